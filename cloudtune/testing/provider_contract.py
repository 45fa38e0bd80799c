"""The tests that every provider passes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.emulation import process
from cloudtune.engine import job as jobs
from cloudtune.fitting.capabilities import ModeCapabilities
from cloudtune.ledger import home
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning.planner import plan
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider import registry
from cloudtune.provider.base import BaseProvider
from cloudtune.provider.plan import Plan
from cloudtune.results.events import TrialState
from cloudtune.results.model import StudyResult
from cloudtune.runs import lifecycle
from cloudtune.study.schema import Mode
from cloudtune.study.search_space import Space, match_value
from cloudtune.study.study import Study
from cloudtune.testing.features import PLAIN, Feature, beyond, features

_SCRIPT = '''\
"""Scores an assignment, and fails if a value came in another type than the study's."""
from cloudtune.trial import params, report

TYPES = {types}
got = params()
for name, value in got.items():
    wanted = TYPES.get(name)
    if wanted and type(value).__name__ not in wanted:
        raise SystemExit(f"{{name}} is {{value!r}}, a {{type(value).__name__}}, not {{wanted}}")
report(score=sum(len(str(value)) for value in got.values()), loss=float(len(got)), step=1)
'''

_KINDS: Mapping[str, Any] = {
    "text": {"type": "categorical", "values": ["true", "1e3", "007", "null", " a b", "ü"]},
    "mixed": {"type": "categorical", "values": [16, "large", 0.5, True]},
    "flag": {"type": "bool"},
    "l": {"type": "categorical", "values": ['{"a": 1}', "--x=1"]},
    "lambda.x-1": {"type": "discrete", "values": [1, 2, 4]},
    "only": {"type": "categorical", "values": ["one"]},
}
_TYPES = {
    "text": ["str"],
    "mixed": ["int", "str", "float", "bool"],
    "flag": ["bool"],
    "l": ["str"],
    "lambda.x-1": ["int"],
    "only": ["str"],
    "depth": ["int"],
}


def end_emulators(state: Path) -> None:
    """End the emulators that the runs in a state folder have left."""
    for folder in state.glob(f"runs/*/*/{home.EMULATOR_FOLDER}"):
        if address := process.find_running(folder):
            process.stop(address)


class ProviderContract:
    """What a provider must do. Subclass it, give `name` and `make`, and override what differs."""

    name: str
    """The provider's name in studies."""
    settings: Mapping[str, Any] = {}
    """What stands under ``providers.<name>`` in each study, credentials aside."""
    emulated = False
    """Whether the jobs run on the provider's emulator."""

    def make(self) -> BaseProvider[Any]:
        """Return a new provider."""
        raise NotImplementedError

    def runnable(self, folder: Path) -> Mapping[str, Any]:
        """Return the study's ``trial`` block for a script in a folder; the script is there."""
        return {"script": "train.py"}

    @pytest.fixture(autouse=True)
    def _alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
        monkeypatch.chdir(tmp_path)
        (tmp_path / "train.py").write_text(_SCRIPT.format(types=_TYPES), "utf-8")
        with registry.temporary_provider(self.name, self.make):
            yield
        end_emulators(tmp_path / "state")

    def modes(self) -> list[tuple[Mode, ModeCapabilities]]:
        """Return the modes that the provider has."""
        able = self.make().capabilities
        modes: tuple[Mode, ...] = ("managed", "driven")
        return [(mode, found) for mode in modes if (found := able.for_mode(mode)) is not None]

    def study(self, over: Mapping[str, Any], mode: Mode, folder: Path) -> Study:
        """Return `PLAIN` with something put over it, for this provider in one mode."""
        able = dict(self.modes())[mode]
        strategy = "random" if "random" in able.strategies else min(able.strategies)
        base = {**PLAIN, "strategy": {"name": strategy}, "trial": dict(self.runnable(folder))}
        return Study.model_validate(
            {**base, **over, "providers": {self.name: {**self.settings, "mode": mode}}}
        )

    def planned(self, over: Mapping[str, Any], mode: Mode, folder: Path) -> Plan:
        """Return the plan of such a study."""
        study = self.study(over, mode, folder)
        return plan(study, self.name, base=folder, emulated=self.emulated)

    def test_capabilities_name_the_provider_and_a_mode(self) -> None:
        assert self.make().capabilities.provider == self.name
        assert self.modes()

    def test_plan_is_json_is_pure_and_comes_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_args: object, **_more: object) -> None:
            raise AssertionError("planning opened a connection")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        for mode, _ in self.modes():
            made = self.planned({}, mode, tmp_path)
            assert not made.refused
            again = restore_plan(json.loads(json.dumps(made.to_json())))
            assert again.to_json() == made.to_json()

    def test_what_is_not_supported_is_a_finding(self, tmp_path: Path) -> None:
        wrong: list[str] = []
        for mode, able in self.modes():
            for feature in [*features(), *beyond(able)]:
                wrong += self._answers(feature, mode, able, tmp_path)
        assert not wrong, "\n".join(wrong)

    def _answers(
        self, feature: Feature, mode: Mode, able: ModeCapabilities, folder: Path
    ) -> Iterator[str]:
        made = self.planned(feature.study, mode, folder)
        found = [f for f in made.findings if f.path.startswith(feature.path)]
        if feature.supported(able):
            if any(finding.kind == "refused" for finding in found):
                yield f"{mode}: {feature.name} is supported, and refused: {found[0]}"
        elif not found and not feature.quiet:
            yield f"{mode}: {feature.name} is not supported, and nothing says so"

    def test_a_study_runs_and_its_values_come_back_with_their_types(self, tmp_path: Path) -> None:
        tree = {**_KINDS, "depth": {"type": "discrete", "values": [2, 3], "when": {"flag": True}}}
        for mode, _ in self.modes():
            result = self.result({"parameters": tree, "limits": {"max_trials": 6}}, mode, tmp_path)
            assert result.state == "completed", result.reason
            assert len(result.trials) == 6
            assert len({trial.number for trial in result.trials}) == 6
            space = Space.from_study(result.study)
            for trial in result.trials:
                assert trial.state == "completed", (trial.reason, trial.log_tail)
                assert trial.objective is not None
                active = {node.name: node for node in space.active_nodes(trial.parameters)}
                assert set(trial.parameters) == set(active)
                for name, value in trial.parameters.items():
                    own = match_value(active[name].parameter, value)
                    assert own == value
                    assert type(own) is type(value)

    def test_results_come_back_from_json(self, tmp_path: Path) -> None:
        for mode, _ in self.modes():
            result = self.result({}, mode, tmp_path)
            assert StudyResult.from_json(result.to_json()) == result

    def test_states_are_ours(self, tmp_path: Path) -> None:
        (tmp_path / "train.py").write_text("raise SystemExit(3)", "utf-8")
        for mode, _ in self.modes():
            result = self.result({}, mode, tmp_path)
            states: set[TrialState] = {trial.state for trial in result.trials}
            assert states == {"failed"}
            assert all(trial.reason for trial in result.trials)

    def test_a_job_is_created_once_and_stopping_twice_is_stopping(self, tmp_path: Path) -> None:
        for mode, _ in self.modes():
            if mode == "driven":
                continue
            made = self.planned({}, mode, tmp_path)
            run = lifecycle.create([made]).id
            with Ledger() as ledger:
                client = self.make().client(made, jobs.job_context(made, ledger))
            assert client.find(made.facts.job_name) is None
            job = client.submit(made.request)
            assert client.find(made.facts.job_name) == job
            client.stop(job)
            client.stop(job)
            lifecycle.execute(run)
            result = lifecycle.results(run)[0]
            assert (result.job, result.state) == (job.id, "cancelled")

    def result(self, over: Mapping[str, Any], mode: Mode, folder: Path) -> StudyResult:
        """Run such a study to its end and return its result."""
        made = self.planned(over, mode, folder)
        run = lifecycle.create([made]).id
        lifecycle.execute(run)
        return lifecycle.results(run)[0]
