"""The tests that every provider passes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.emulation import process
from cloudtune.engine.job_emulator import job_context
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
from cloudtune.study.limits import LIMITS
from cloudtune.study.schema import Mode
from cloudtune.study.search_space import Space, match_value
from cloudtune.study.study import Study
from cloudtune.testing.features import PLAIN, Feature, excesses, features

_SCRIPT = '''\
"""Scores an assignment, and fails if a value has not its type, or a map is not in the arguments."""
import sys
from cloudtune.trial import params, report

TYPES = {types}
values = params()
for name, value in values.items():
    types = TYPES.get(name)
    if types and type(value).__name__ not in types:
        raise SystemExit(f"{{name}} is {{value!r}}, a {{type(value).__name__}}, not {{types}}")
following = dict(zip(sys.argv, sys.argv[1:]))
for key, part in values.get("maps", {{}}).items():
    if following.get("--maps." + key) != str(part):
        raise SystemExit(f"{{key}} is {{part!r}} and not in {{sys.argv}}")
report(score=sum(len(str(v)) for v in values.values()), loss=float(len(values)), step=1)
'''

_KINDS: Mapping[str, Any] = {
    "text": {"type": "categorical", "values": ["true", "1e3", "007", "null", " a b", "ü"]},
    "mixed": {"type": "categorical", "values": [16, "large", 0.5, True]},
    "flag": {"type": "bool"},
    "l": {"type": "categorical", "values": ['{"a": 1}', "--x=1"]},
    "lambda.x-1": {"type": "discrete", "values": [1, 2, 4]},
    "only": {"type": "categorical", "values": ["one"]},
    "maps": {
        "type": "categorical",
        "values": [{"name": "sgd", "momentum": 0.9}, {"name": 'a "b"', "on": True, "text": "1"}],
    },
}
_TYPES = {
    "text": ["str"],
    "mixed": ["int", "str", "float", "bool"],
    "flag": ["bool"],
    "l": ["str"],
    "lambda.x-1": ["int"],
    "only": ["str"],
    "maps": ["dict"],
    "depth": ["int"],
}


def stop_emulators(state: Path) -> None:
    """Stop the emulators that still run for the runs in a state folder."""
    for folder in state.glob(f"runs/*/*/{home.EMULATOR_FOLDER}"):
        if address := process.find_running(folder):
            process.stop(address)


class ProviderContract:
    """Tests of a provider: define `name` and `create_provider`, and override what differs."""

    name: str
    """The provider's name in studies."""
    settings: Mapping[str, Any] = {}
    """The settings under ``providers.<name>`` in each study."""
    emulated = False
    """Whether the jobs run on the provider's emulator."""

    def create_provider(self) -> BaseProvider[Any]:
        """Return a new provider."""
        raise NotImplementedError

    def trial_block(self, folder: Path) -> Mapping[str, Any]:
        """Return the study's ``trial`` block for the script ``train.py`` in a folder."""
        return {"script": "train.py"}

    @pytest.fixture(autouse=True)
    def _isolate(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
        monkeypatch.chdir(tmp_path)
        (tmp_path / "train.py").write_text(_SCRIPT.format(types=_TYPES), "utf-8")
        with registry.temporary_provider(self.name, self.create_provider):
            yield
        stop_emulators(tmp_path / "state")

    def modes(self) -> list[tuple[Mode, ModeCapabilities]]:
        """Return the modes that the provider supports, with their capabilities."""
        capabilities = self.create_provider().capabilities
        modes: tuple[Mode, ...] = ("managed", "driven")
        return [(mode, each) for mode in modes if (each := capabilities.for_mode(mode)) is not None]

    def study(self, blocks: Mapping[str, Any], mode: Mode, folder: Path) -> Study:
        """Return `PLAIN` with other blocks, for this provider in one mode."""
        strategies = dict(self.modes())[mode].strategies
        strategy = "random" if "random" in strategies else min(strategies)
        base = {**PLAIN, "strategy": {"name": strategy}, "trial": dict(self.trial_block(folder))}
        return Study.model_validate(
            {**base, **blocks, "providers": {self.name: {**self.settings, "mode": mode}}}
        )

    def plan(self, blocks: Mapping[str, Any], mode: Mode, folder: Path) -> Plan:
        """Return the plan of a `study`."""
        study = self.study(blocks, mode, folder)
        return plan(study, self.name, base=folder, emulated=self.emulated)

    def test_capabilities_name_the_provider_and_a_mode(self) -> None:
        assert self.create_provider().capabilities.provider == self.name
        assert self.modes()
        for _, mode in self.modes():
            assert mode.limits | mode.enforced_here <= {*LIMITS, "target"}

    def test_a_plan_is_pure_and_survives_json(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_args: object, **_more: object) -> None:
            raise AssertionError("planning opened a connection")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        for mode, _ in self.modes():
            plan = self.plan({}, mode, tmp_path)
            assert not plan.refused
            again = restore_plan(json.loads(json.dumps(plan.to_json())))
            assert again.to_json() == plan.to_json()

    def test_an_unsupported_feature_is_a_finding(self, tmp_path: Path) -> None:
        wrong: list[str] = []
        for mode, capabilities in self.modes():
            for feature in [*features(), *excesses(capabilities)]:
                wrong += self._check_feature(feature, mode, capabilities, tmp_path)
        assert not wrong, "\n".join(wrong)

    def _check_feature(
        self, feature: Feature, mode: Mode, capabilities: ModeCapabilities, folder: Path
    ) -> Iterator[str]:
        plan = self.plan(feature.study, mode, folder)
        findings = [f for f in plan.findings if f.path.startswith(feature.path)]
        if feature.supported(capabilities):
            if any(finding.kind == "refused" for finding in findings):
                yield f"{mode}: {feature.name} is supported but refused: {findings[0]}"
        elif not findings and not feature.has_exact_fit:
            yield f"{mode}: {feature.name} is not supported, and there is no finding"

    def test_a_study_runs_and_values_keep_their_types(self, tmp_path: Path) -> None:
        tree = {**_KINDS, "depth": {"type": "discrete", "values": [2, 3], "when": {"flag": True}}}
        for mode, _ in self.modes():
            result = self.run_study(
                {"parameters": tree, "limits": {"max_trials": 6}}, mode, tmp_path
            )
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
                    value_of_study = match_value(active[name].parameter, value)
                    assert value_of_study == value
                    assert type(value_of_study) is type(value)

    def test_results_survive_json(self, tmp_path: Path) -> None:
        for mode, _ in self.modes():
            result = self.run_study({}, mode, tmp_path)
            assert StudyResult.from_json(result.to_json()) == result

    def test_a_failed_script_is_a_failed_trial(self, tmp_path: Path) -> None:
        (tmp_path / "train.py").write_text("raise SystemExit(3)", "utf-8")
        for mode, _ in self.modes():
            result = self.run_study({}, mode, tmp_path)
            states: set[TrialState] = {trial.state for trial in result.trials}
            assert states == {"failed"}
            assert all(trial.reason for trial in result.trials)

    def test_a_job_is_created_once_and_stop_is_idempotent(self, tmp_path: Path) -> None:
        for mode, _ in self.modes():
            if mode == "driven":
                continue
            plan = self.plan({}, mode, tmp_path)
            run = lifecycle.create([plan]).id
            with Ledger() as ledger:
                client = self.create_provider().client(plan, job_context(plan, ledger))
            assert client.find(plan.facts.job_name) is None
            job = client.submit(plan.request)
            assert client.find(plan.facts.job_name) == job
            client.stop(job)
            client.stop(job)
            lifecycle.execute(run)
            result = lifecycle.results(run)[0]
            assert (result.job, result.state) == (job.id, "cancelled")

    def run_study(self, blocks: Mapping[str, Any], mode: Mode, folder: Path) -> StudyResult:
        """Run a `study`, and return its result."""
        plan = self.plan(blocks, mode, folder)
        run = lifecycle.create([plan]).id
        lifecycle.execute(run)
        return lifecycle.results(run)[0]
