"""What the launcher must know of a study: made here, read by trial.py beside the script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.fit import Fitted, definitions
from cloudtune.trial import launch_file

Json = dict[str, Any]


def launch_data(fitted: Fitted, run: str, paths: Mapping[str, str]) -> Json:
    """Return the content of ``cloudtune_study.json`` for a fitted study.

    Args:
        fitted: What the request is made from.
        run: The id of the run.
        paths: The inputs by name, as they lie where the launcher runs.
    """
    study = fitted.original
    call = study.trial.model_dump(
        mode="json",
        include={"script", "module", "command", "args", "arguments", "metrics", "env"},
        exclude_none=True,
    )
    call["parameters"] = list(study.parameters)
    return launch_file(call, definitions(fitted), study.constants, paths, run)
