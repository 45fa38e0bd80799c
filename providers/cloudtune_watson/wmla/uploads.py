"""Packs the code of a search, which WML Accelerator gets with the request."""

from __future__ import annotations

from pathlib import Path

from cloudtune.provider import SOURCE, JobContext, Plan, write_archive
from cloudtune_watson.layout import MODEL_FOLDER
from cloudtune_watson.uploads import packing_error, source_folder, travelling_files


def write_search_archive(target: Path, plan: Plan, context: JobContext) -> None:
    """Write the archive of a search: one folder with the launcher and the user's code.

    Raises:
        ProviderError: If the code cannot be read.
    """
    files = {f"{MODEL_FOLDER}/{name}": data for name, data in travelling_files(plan).items()}
    try:
        write_archive(target, source_folder(context), f"{MODEL_FOLDER}/{SOURCE}", files)
    except OSError as error:
        raise packing_error(error) from error
