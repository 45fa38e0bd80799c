"""Runs on the emulator, of which each mode has its own back end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune.testing.emulated_runs import SCRIPT, EmulatedRuns

BACKENDS: Mapping[Mode, str] = {"managed": "wmla", "driven": "wml"}


class OnBackends(EmulatedRuns):
    """Runs of which each mode has its own back end."""

    name = "watson"
    create_operations: Mapping[Mode, str] = {"managed": "StartSearch", "driven": "CreateTraining"}

    def study(
        self,
        mode: Mode,
        script: str = SCRIPT,
        *,
        settings: Mapping[str, Any] | None = None,
        **blocks: Any,
    ) -> Study:
        own = {"backend": BACKENDS[mode], **(settings or {})}
        return super().study(mode, script, settings=own, **blocks)
