"""The seam holds for a provider that is nothing like local."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

import cloudtune
from cloudtune.cli import exit_codes
from cloudtune.provider.base import BaseProvider
from cloudtune.runs import lifecycle
from cloudtune.testing import ProviderContract
from tests.cloudtune.testing import odd_provider as odd


class TestOddProvider(ProviderContract):
    name = "odd"

    @pytest.fixture(autouse=True)
    def _service(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.service = odd.OddService(tmp_path_factory.mktemp("kitchen"))

    def create_provider(self) -> BaseProvider[Any]:
        launcher = Path(cloudtune.__file__).parents[1]
        return cast("BaseProvider[Any]", odd.OddProvider(self.service, launcher))

    def test_a_tree_is_flattened_and_the_script_sees_only_the_active_part(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "train.py").write_text(
            "from cloudtune.trial import params, report\n"
            "got = params()\n"
            "wanted = {'kernel', 'gamma'} | ({'degree'} if got['kernel'] == 'poly' else set())\n"
            "assert set(got) == wanted, got\n"
            "assert (got['gamma'] > 5) == (got['kernel'] == 'poly'), got\n"
            "report(score=got['gamma'])\n",
            "utf-8",
        )
        tree = {
            "kernel": {"type": "categorical", "values": ["rbf", "poly"]},
            "gamma": [
                {"type": "discrete", "values": [1.5, 2.5], "when": {"kernel": "rbf"}},
                {"type": "discrete", "values": [10.5, 20.5], "when": {"kernel": "poly"}},
            ],
            "degree": {"type": "int", "min": 2, "max": 3, "when": {"kernel": "poly"}},
        }
        over = {"parameters": tree, "limits": {"max_trials": 10}}
        result = self.run_study(over, "managed", tmp_path)
        assert {trial.state for trial in result.trials} == {"completed"}, result.trials
        assert {trial.parameters["kernel"] for trial in result.trials} == {"rbf", "poly"}
        for trial in result.trials:
            assert trial.word == "SERVED"
            assert trial.metrics == {"score": trial.parameters["gamma"]}
            assert ("degree" in trial.parameters) == (trial.parameters["kernel"] == "poly")

    def test_a_refusal_of_the_service_is_the_jobs_outcome(self, tmp_path: Path) -> None:
        self.service.closed = True
        run = lifecycle.create([self.plan({}, "managed", tmp_path)]).id
        outcomes = lifecycle.execute(run)
        assert outcomes["odd"].state == "failed"
        assert outcomes["odd"].reason == "odd: the kitchen is closed"
        assert exit_codes.run_exit_code(lifecycle.results(run)) == 3
