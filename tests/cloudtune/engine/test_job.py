"""How a job ends if this machine, rather than its service, has a problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.errors import ProviderError
from cloudtune.fitting.capabilities import DRIVEN, Capabilities
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning import planner
from cloudtune.provider import registry
from cloudtune.provider.models import Interrupted, JobContext, JobRef, JobStatus, Recovered
from cloudtune.provider.plan import Plan
from cloudtune.provider.protocols import Emit
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.runs import lifecycle
from cloudtune.study.study import Study
from cloudtune_local import LocalProvider
from cloudtune_local.capabilities import CAPABILITIES

STUDY = Study.model_validate(
    {
        "objective": {"metric": "score", "goal": "maximize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
        "strategy": "random",
        "limits": {"max_trials": 1},
        "trial": {"command": ["true"]},
    }
)


class CompletedJob:
    """A client of a service at which the job has completed."""

    poll_seconds = 0.01
    hidden_seconds = 0.0

    def status(self, job: JobRef) -> JobStatus:
        return JobStatus("completed", f"{job.id} DONE")


class ManagedProvider(LocalProvider):
    """A service with a tuner, which can be reached or not."""

    capabilities: Capabilities = replace(CAPABILITIES, provider="far", managed=DRIVEN, driven=None)
    is_signed_in = False

    def client(self, plan: Plan, context: JobContext) -> Any:
        if not self.is_signed_in:
            raise ProviderError("far", "not signed in")
        return CompletedJob()


def test_an_error_here_does_not_fail_a_managed_job_that_was_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    (tmp_path / "source").mkdir()
    with registry.temporary_provider("far", ManagedProvider):
        plan = planner.plan(STUDY, "far", base=tmp_path / "source")
        run = lifecycle.create([plan]).id
        with Ledger() as ledger:
            ledger.begin_job(run, "far")
            ledger.set_job_name(run, "far", "job-1")
        outcome = lifecycle.execute(run)["far"]
        assert outcome.state == "unknown"
        assert outcome.reason.startswith("far: not signed in; the job job-1 may still run there")
        monkeypatch.setattr(ManagedProvider, "is_signed_in", True)
        assert lifecycle.execute(run)["far"].state == "completed"


class RecoveringRunner:
    """Recovers a measurement whose metric has a secret in its name."""

    enforces_trial_timeout = False

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def job_name(self, number: int, start: int) -> None: ...

    def start(self, started: Started) -> None:
        self._emit(Measured(started.number, 2.0, 1, {"score": 1.0}))
        self._emit(Ended(started.number, 3.0, "completed"))

    def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
        return Recovered([Measured(1, 1.0, 1, {"loss of hf_verysecret": 1.0})])

    def stop(self, number: int, *, now: bool = False) -> None: ...

    def close(self) -> None: ...


class RecoveringProvider(LocalProvider):
    """A provider with this runner."""

    capabilities: Capabilities = replace(CAPABILITIES, provider="recovering")

    def runner(
        self, plan: Plan, context: JobContext, emit: Emit, notify: Callable[[str], None]
    ) -> Any:
        return RecoveringRunner(emit)


def test_a_secret_in_a_recovered_measurement_is_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    trial = {"command": ["true"], "env": {"TOKEN": {"from_env": "HF_TOKEN"}}}
    study = Study.model_validate({**STUDY.to_json(), "trial": trial})
    with registry.temporary_provider("recovering", RecoveringProvider):
        run = lifecycle.create([planner.plan(study, "recovering", base=tmp_path)]).id
        with Ledger() as ledger:
            ledger.begin_job(run, "recovering")
            ledger.append(run, "recovering", Started(1, 0.5, {"x": 0.5}))
        assert lifecycle.execute(run)["recovering"].state == "completed"
        with Ledger() as ledger:
            events = [event for _, event in ledger.events(run, "recovering")]
    names = {name for event in events if isinstance(event, Measured) for name in event.metrics}
    assert names == {"loss of ${HF_TOKEN}", "score"}
