"""Plans for IBM Watson from only the pure functions of the provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune_watson import WatsonProvider
from cloudtune_watson.settings import MODES, WatsonSettings
from tests.plan_factory import Planned, planned, study_with

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "wml": {
        "backend": "wml",
        "url": "https://cpd.example.com",
        "version": "5.1",
        "username": "me",
        "space_id": "my-space",
        "hardware_spec": "M",
        "software_spec": "tensorflow_rt24.1-py3.11",
    },
    "jobs": {
        "backend": "jobs",
        "url": "https://us-south.ml.cloud.ibm.com",
        "space_id": "my-space",
        "hardware_spec": "S",
        "software_spec": "runtime-25.1-py3.12",
    },
    "wmla": {
        "backend": "wmla",
        "url": "https://wmla-console.example.com",
        "version": "4.6",
        "username": "me",
        "exec_start": "PyTorch",
    },
}
"""All that a job needs, by back end."""


def study_of(base: str, over: Mapping[str, Any] = {}, /, **settings: Any) -> Study:
    """Return `PLAIN` with something put over it; a setting that is None is left out.

    Args:
        base: The back end whose settings are taken.
        over: Put over the study.
        settings: Put over the settings.
    """
    return study_with("watson", {**SETTINGS[base], **settings}, over)


def plan_of(
    study: Study, base: Path, mode: Mode | None = None, *, emulated: bool = False
) -> Planned:
    """Return what the pure half makes of a study whose folder is ``base``.

    Without a mode it is the one that the back end has.
    """
    settings = WatsonSettings.model_validate(study.providers["watson"])
    mode = mode or MODES[settings.service or "wmla"]
    return planned(WatsonProvider(), study, base, mode, emulated=emulated)
