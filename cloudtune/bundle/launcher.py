"""What the launcher must know of a study, and the files of ours that go with a user's code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cloudtune import trial
from cloudtune.fitting.fit import FittedStudy, restore_definitions
from cloudtune.study.schema import Json

PROGRAM = "cloudtune_launch.py"
"""What a service starts, at the archive's root; also as a module, as old SageMaker images do."""
SOURCE = "source"
"""The archive's folder for the user's code. In a folder of its own it cannot clash with ours, the
script sees the same working folder everywhere, and no service takes up a setup.py in it unasked."""

START = f"""\
folder = tempfile.mkdtemp(prefix="cloudtune-")
with tarfile.open(archive) as bundle:
    if hasattr(tarfile, "fully_trusted_filter"):
        bundle.extraction_filter = tarfile.fully_trusted_filter
    bundle.extractall(folder)
program = os.path.join(folder, "{PROGRAM}")
os.execv(sys.executable, [sys.executable, program] + words)
"""
"""Python that unpacks ``archive`` and becomes the launcher with ``words``, where a service does not
unpack by itself. It has to import os, sys, tarfile and tempfile before."""

_PROGRAM = """\
import sys

from cloudtune.trial import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def launch_data(
    fitted: FittedStudy,
    run: str,
    paths: Mapping[str, str],
    folder: str | None = None,
    measurements: str | None = None,
) -> Json:
    """Return the content of ``cloudtune_study.json`` for a fitted study.

    Args:
        fitted: What the request is made from.
        run: The id of the run.
        paths: The inputs by name, as they lie where the launcher runs.
        folder: The folder beside that file in which the script runs; None: where it is started.
        measurements: The address below which the launcher keeps what is measured, if it has to.
    """
    study = fitted.original
    call = study.trial.model_dump(
        mode="json",
        include={
            "script",
            "module",
            "command",
            "args",
            "arguments",
            "metrics",
            "env",
            "requirements",
        },
        exclude_none=True,
    )
    call["parameters"] = list(study.parameters)
    return trial.launch_file(
        call,
        restore_definitions(fitted),
        study.constants,
        paths,
        run,
        resource=study.strategy.resource,
        folder=folder,
        objectives={o.metric: o.goal if o.select == "best" else "last" for o in study.objectives},
        measurements=measurements,
    )


def launcher_files(
    fitted: FittedStudy, run: str, paths: Mapping[str, str], measurements: str | None = None
) -> dict[str, bytes]:
    """Return the files of ours in an archive, by name; the user's code goes into `SOURCE`.

    The service has to start `PROGRAM` with Python 3.7 or later, wherever the archive lies.

    Args:
        fitted: What the request is made from.
        run: The id of the run.
        paths: The inputs by name, as they lie where the launcher runs. On SageMaker this is
            ``/opt/ml/input/data/<name>``, with the file's name behind it for an input that is one
            file; the launcher itself finds out where a channel really is. On Vertex AI it is
            below ``/gcs``.
        measurements: As in `launch_data`.
    """
    data = launch_data(fitted, run, paths, SOURCE, measurements)
    return {
        PROGRAM: _PROGRAM.encode(),
        "cloudtune/__init__.py": b"",
        "cloudtune/trial.py": Path(trial.__file__).read_bytes(),
        trial.STUDY_FILE: json.dumps(data, ensure_ascii=False).encode(),
    }
