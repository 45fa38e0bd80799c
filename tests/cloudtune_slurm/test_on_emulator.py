"""Complete runs on the emulator, including errors and crashes."""

from __future__ import annotations

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
