"""An account of which nothing was checked is not called healthy."""

from __future__ import annotations

from pathlib import Path

import pytest

import cloudtune
from cloudtune.reporting.console.diagnosis import format_checks
from tests.providers import EMULATED


@pytest.mark.parametrize("service", [name for name in EMULATED if name != "slurm"])
def test_an_account_without_settings_is_unknown(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checks = cloudtune.diagnose({}, on=[service]).checks
    account = [check for check in checks if check.area == "account"]
    assert {check.severity for check in account} - {"ok"}
    assert all(check.id == "sdk-version" for check in account if check.severity == "ok")


def test_a_diagnosis_without_checks_is_not_healthy() -> None:
    assert [*format_checks([])] == ["", "Nothing was checked: give a study."]
