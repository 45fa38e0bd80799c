"""Complete runs on the emulator, including errors and crashes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from cloudtune.study.schema import Mode
from cloudtune.testing import EmulatedRunContract


@pytest.mark.slow
class TestSlurmOnEmulator(EmulatedRunContract):
    name = "slurm"
    create_operations = MappingProxyType[Mode, str]({"driven": "sbatch"})
    trial_timeout = "6s"
    lost_after = 5

    def list_jobs(self, folder: Path) -> Sequence[str]:
        return [path.name for path in folder.glob("jobs/*")]
