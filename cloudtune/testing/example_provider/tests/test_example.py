"""The tests that every provider passes, and a whole run of this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider import BaseProvider
from cloudtune.testing import ProviderContract
from cloudtune_example import ExampleProvider


class TestExample(ProviderContract):
    """Runs studies on the service."""

    name = "example"

    @pytest.fixture(autouse=True)
    def _service(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EXAMPLE_BATCH_HOME", str(tmp_path / "batch"))

    def create_provider(self) -> BaseProvider[Any]:
        """Return the provider."""
        return ExampleProvider()

    def test_inputs_are_refused(self, tmp_path: Path) -> None:
        """Example Batch has no storage for them."""
        trial = {"script": "train.py", "inputs": {"data": "/data/train.csv"}}
        plan = self.plan({"trial": trial}, "driven", tmp_path)
        assert [finding.path for finding in plan.refused] == ["trial.inputs.data"]

    def test_a_price_gives_an_estimate(self, tmp_path: Path) -> None:
        """The limits of the study bound the cost."""
        self.settings = {"prices": {"hour": "2 USD"}}
        limits = {"max_trials": 3, "trial_timeout": "30m"}
        plan = self.plan({"limits": limits}, "driven", tmp_path)
        assert plan.estimate
        assert plan.estimate.most == 3
