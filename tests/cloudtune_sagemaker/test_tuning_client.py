"""A tuning job is created once, found again, and told with all its trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.engine.managed_events import new_events
from cloudtune.errors import UsageError
from cloudtune.provider.models import JobRef, RawTrial
from cloudtune.results.events import Ended
from cloudtune.results.trials import Trials
from cloudtune_sagemaker.errors import AwsError
from cloudtune_sagemaker.tuning_client import TuningClient
from tests.cloudtune_sagemaker.played import Played
from tests.played_service import STUDY, starting

Play = Callable[..., "Harness"]


class Harness:
    """A plan, the emulator as the test wants it, and cloudtune's client of it."""

    def __init__(self, service: Played, **config: Any) -> None:
        self.service = service
        self.plan = service.plan
        self.faults = service.faults
        self.name = self.plan.facts.job_name
        self.config = config
        self.client = self.another_client()

    def begin(self, trials: int = 0) -> JobRef:
        ref = self.client.submit(self.plan.request)
        (self.tuning,) = self.service.store.tunings()
        self.tuning.config.update(self.config)
        self.add(*range(1, trials + 1))
        self.faults.calls.clear()
        return ref

    def add(self, *numbers: int) -> None:
        self.service.add_trials(*numbers, definition=0)

    def change(self, number: int, status: str, **fields: Any) -> None:
        """Let a training job enter a status."""
        job = self.service.jobs()[self.service.trial(number)]
        with self.service.store.lock:
            job.enter_secondary(status, status)
            for name, value in fields.items():
                setattr(job, name, value)

    def report(self, number: int, **metrics: float) -> None:
        self.service.report(self.service.trial(number), **metrics)

    def deny(self, operation: str) -> None:
        self.faults.always[operation] = "deny"

    def another_client(self) -> TuningClient:
        return TuningClient(self.service.aws, self.plan, self.service.context)

    def end(self, status: str = "Completed") -> None:
        self.tuning.enter(status)

    def trials(self) -> list[RawTrial]:
        return list(self.client.status(JobRef("sagemaker", self.name)).trials)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Harness]]:
    with starting(Played, tmp_path, monkeypatch) as start:

        def play(over: Mapping[str, Any] = {}, **config: Any) -> Harness:
            return Harness(start(over, mode="managed"), **config)

        yield play


@pytest.fixture
def harness(play: Callable[..., Harness]) -> Harness:
    return play()


def test_find_returns_a_created_job(harness: Harness) -> None:
    assert harness.client.find(harness.name) is None
    job = harness.client.submit(harness.plan.request)
    assert job == JobRef("sagemaker", harness.name)
    assert harness.another_client().find(harness.name) == job


def test_a_lost_response_of_submit_finds_the_job(harness: Harness) -> None:
    harness.faults.next["CreateHyperParameterTuningJob"] = ["lose_response", "late_error"]
    assert harness.client.submit(harness.plan.request).id == harness.name
    assert len(harness.service.store.tunings()) == 1


def test_a_job_of_another_run_is_not_used(harness: Harness) -> None:
    harness.begin()
    harness.tuning.tags["cloudtune:run"] = "other"
    assert harness.client.find(harness.name) is None
    with pytest.raises(AwsError, match="another tuning job"):
        harness.client.submit(harness.plan.request)


def test_without_permission_for_tags_the_name_decides(harness: Harness) -> None:
    harness.begin()
    harness.deny("ListTags")
    assert harness.client.find(harness.name) == JobRef("sagemaker", harness.name)
    assert harness.client.submit(harness.plan.request).id == harness.name


def test_secrets_are_only_in_the_call(play: Play, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    env = {"TOKEN": {"from_env": "HF_TOKEN"}, "PLAIN": "${HF_TOKEN}"}
    harness = play({"trial": {**STUDY["trial"], "env": env}})
    assert "verysecret" not in str(harness.plan.to_json())
    harness.client.submit(harness.plan.request)
    (job,) = harness.service.store.tunings()
    environment = job.request["TrainingJobDefinition"]["Environment"]
    assert (environment["TOKEN"], environment["PLAIN"]) == ("hf_verysecret", "${HF_TOKEN}")
    assert "verysecret" not in str(harness.plan.request)


def test_an_unset_variable_fails_before_any_call(play: Play, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    harness = play({"trial": {"env": {"TOKEN": {"from_env": "HF_TOKEN"}}}})
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UsageError, match="HF_TOKEN"):
        harness.client.submit(harness.plan.request)
    assert harness.faults.calls == []


def test_a_trial_has_all_fields(harness: Harness) -> None:
    harness.begin(1)
    harness.report(1, accuracy=0.25, loss=3.0)
    harness.report(1, accuracy=0.5, loss=2.0)
    harness.change(1, "Completed", model="s3://b/model.tar.gz")
    harness.end()
    status = harness.client.status(JobRef("sagemaker", harness.name))
    assert (status.state, status.word) == ("completed", "Completed")
    (trial,) = status.trials
    name = f"{harness.name}-{harness.service.trial(1)}"
    assert (trial.number, trial.id, trial.state) == (1, name, "completed")
    assert [(m.step, dict(m.metrics)) for m in trial.measurements] == [
        (1, {"accuracy": 0.25, "loss": 3.0}),
        (2, {"accuracy": 0.5, "loss": 2.0}),
    ]
    assert (trial.parameters["lr"], trial.parameters["kind"]) == ("0.5", "1e3")
    assert (trial.billed_seconds or 0) >= 1
    assert trial.machine == "ml.m5.large"
    assert trial.artifacts == "s3://b/model.tar.gz"
    assert trial.log is not None
    assert trial.log.startswith("https://us-east-1.console.aws.amazon.com/cloudwatch/home?")
    assert trial.log.endswith(f"TrainingJobs$3FlogStreamNameFilter$3D{name}$252F")


def test_many_trials_are_read_in_pages_and_never_one_by_one(harness: Harness) -> None:
    job = harness.begin(250)
    for number in range(1, 251):
        harness.report(number, accuracy=number / 1000, loss=1.0)
        harness.change(number, "Completed")
    trials = harness.client.status(job).trials
    assert [trial.number for trial in trials] == list(range(1, 251))
    assert trials[249].measurements[-1].metrics["accuracy"] == 0.25
    assert harness.faults.calls.count("Search") == 3
    assert harness.faults.calls.count("BatchGetMetrics") == 5
    assert "DescribeTrainingJob" not in harness.faults.calls

    harness.faults.calls.clear()
    harness.add(251)
    assert len(harness.client.status(job).trials) == 251
    assert harness.faults.calls.count("Search") == 1
    assert harness.faults.calls.count("BatchGetMetrics") == 1


def test_all_changes_are_read_across_pages(harness: Harness) -> None:
    job = harness.begin(250)
    harness.client.status(job)
    for number in range(1, 241):
        harness.report(number, accuracy=0.5, loss=0.5)
        harness.change(number, "Completed")
    states = [trial.state for trial in harness.client.status(job).trials]
    assert states == ["completed"] * 240 + ["running"] * 10


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException"])
def test_trials_are_listed_where_search_is_refused(harness: Harness, code: str) -> None:
    job = harness.begin(120)
    harness.service.refuse_lists(code)
    for number in range(1, 121):
        harness.report(number, accuracy=0.5, loss=0.5)
        harness.change(number, "Completed")
    trials = harness.client.status(job).trials
    assert [trial.state for trial in trials] == ["completed"] * 120
    expected = {"sagemaker_program": "cloudtune_launch.py", "lr": "0.5", "kind": "1e3"}
    assert trials[0].parameters.items() >= expected.items()
    harness.client.status(job)
    assert harness.faults.calls.count("Search") == 1


@pytest.mark.parametrize("objective", ["accuracy", "ObjectiveMetric"])
def test_the_second_name_of_the_objective_is_no_metric(play: Play, objective: str) -> None:
    """SageMaker adds ObjectiveMetric to the metrics of built-in algorithms."""
    changes = {
        "objective": {"metric": objective, "goal": "maximize"},
        "trial": {"script": "train.py", "metrics": {objective: r"(\S+)"}},
    }
    harness = play(changes)
    facts = harness.plan.facts
    data = {**facts.data, "metrics": [objective, "ObjectiveMetric"]}
    facts = replace(facts, lookup=replace(facts.lookup, data=data))
    harness.plan = replace(harness.plan, facts=facts)
    harness.client = harness.another_client()
    harness.begin(1)
    harness.report(1, **{objective: 0.5, "ObjectiveMetric": 0.5})
    harness.change(1, "Completed")
    (trial,) = harness.trials()
    assert [dict(m.metrics) for m in trial.measurements] == [{objective: 0.5}]


def test_throttling_is_retryable(harness: Harness) -> None:
    job = harness.begin(1)
    harness.faults.always["Search"] = "throttle"
    with pytest.raises(AwsError) as raised:
        harness.client.status(job)
    assert raised.value.retryable
    harness.faults.always.clear()
    assert len(harness.client.status(job).trials) == 1


def test_trials_missing_in_search_are_listed(harness: Harness) -> None:
    job = harness.begin(3)
    harness.service.hide(harness.service.trial(2))
    assert [trial.number for trial in harness.client.status(job).trials] == [1, 2, 3]


def test_the_job_ends_only_when_its_trials_have(harness: Harness) -> None:
    job = harness.begin(1)
    harness.client.status(job)
    harness.end()
    assert harness.client.status(job).state == "running"
    harness.report(1, accuracy=0.5)
    harness.change(1, "Completed")
    status = harness.client.status(job)
    assert (status.state, status.trials[0].state) == ("completed", "completed")


def test_a_job_ends_even_if_its_trials_never_do(harness: Harness) -> None:
    job = harness.begin(1)
    harness.end("Failed")
    states = [harness.client.status(job).state for _ in range(10)]
    assert states[0] == "running"
    assert states[-1] == "failed"


def test_a_trial_waits_for_its_final_metrics(harness: Harness) -> None:
    job = harness.begin(1)
    harness.report(1, accuracy=0.1)
    harness.report(1, accuracy=0.9)
    harness.change(1, "Completed")
    harness.service.show_values(1)
    assert harness.client.status(job).trials[0].state == "running"
    harness.service.show_values(2)
    (trial,) = harness.client.status(job).trials
    assert trial.state == "completed"
    assert [m.metrics["accuracy"] for m in trial.measurements] == [0.1, 0.9]


def test_missing_metrics_become_the_final_ones(harness: Harness) -> None:
    job = harness.begin(1)
    harness.report(1, accuracy=0.9)
    harness.change(1, "Completed")
    harness.service.show_values(0)
    trials = [harness.client.status(job).trials for _ in range(6)][-1]
    assert [(m.step, dict(m.metrics)) for m in trials[0].measurements] == [(1, {"accuracy": 0.9})]
    assert trials[0].state == "completed"


def test_without_permission_for_metrics_the_final_ones_are_used(harness: Harness) -> None:
    job = harness.begin(1)
    harness.deny("BatchGetMetrics")
    harness.report(1, accuracy=0.5)
    harness.change(1, "Completed")
    trials = [harness.client.status(job).trials for _ in range(6)][-1]
    assert [dict(m.metrics) for m in trials[0].measurements] == [{"accuracy": 0.5}]


def test_selecting_the_best_needs_permission_for_metrics(play: Play) -> None:
    objective = {"metric": "accuracy", "goal": "maximize", "select": "best"}
    harness = play({"objective": objective})
    job = harness.begin(1)
    harness.deny("BatchGetMetrics")
    with pytest.raises(AwsError, match="needs the permission sagemaker:BatchGetMetrics"):
        harness.client.status(job)


def test_a_new_client_continues(harness: Harness) -> None:
    job = harness.begin(1)
    events: list[Any] = []

    def follow(client: TuningClient) -> None:
        known = Trials(harness.plan.study, "run")
        for event in events:
            known.tell(event)
        trials = client.status(job).trials
        events.extend(new_events("sagemaker", known, harness.plan.fitted, trials))

    harness.report(1, accuracy=0.1, loss=1.0)
    harness.report(1, accuracy=0.2)
    follow(harness.client)
    harness.report(1, accuracy=0.3, loss=0.5)
    follow(harness.another_client())
    harness.report(1, accuracy=0.4)
    harness.change(1, "Completed")
    follow(harness.another_client())
    follow(harness.another_client())
    whole = Trials(harness.plan.study, "run")
    for event in events:
        whole.tell(event)
    trial = whole.get(1)
    assert (trial.state, trial.objective) == ("completed", (0.4,))
    assert trial.metrics == {"accuracy": 0.4, "loss": 0.5}
    assert [m.metrics["accuracy"] for m in trial.measurements if "accuracy" in m.metrics] == [
        *(0.1, 0.2, 0.3, 0.4)
    ]


def test_stop_is_idempotent(harness: Harness) -> None:
    job = harness.begin(1)
    harness.client.stop(job)
    harness.client.stop(job)
    harness.end("Stopped")
    harness.client.stop(job)
    harness.change(1, "Stopped")
    assert harness.client.status(job).state == "cancelled"


def test_a_refused_stop_is_an_error(harness: Harness) -> None:
    job = harness.begin(1)
    harness.deny("StopHyperParameterTuningJob")
    with pytest.raises(AwsError, match="AccessDenied"):
        harness.client.stop(job)


def test_trials_that_stop_ended_are_cancelled(play: Play) -> None:
    harness = play(TrainingJobEarlyStoppingType="Auto")
    job = harness.begin(2)
    harness.change(1, "Stopped")
    assert harness.client.status(job).trials[0].state == "stopped_early"
    harness.client.stop(job)
    harness.change(2, "Stopped")
    harness.end("Stopped")
    assert [t.state for t in harness.client.status(job).trials] == ["stopped_early", "cancelled"]


def test_a_missing_job_fails(harness: Harness) -> None:
    job = harness.begin()
    harness.service.store.delete_tuning(harness.tuning)
    for _ in range(3):
        with pytest.raises(AwsError, match="no longer exists") as raised:
            harness.client.status(job)
        assert raised.value.retryable
    assert harness.client.status(job).state == "failed"


def test_a_trial_that_ended_for_an_unknown_reason_ends_once(play: Play) -> None:
    harness = play(TrainingJobEarlyStoppingType="Auto")
    job = harness.begin(1)
    harness.report(1, accuracy=0.5)
    harness.change(1, "Stopped")
    harness.end("Stopped")
    known = Trials(harness.plan.study, "run")
    ends: list[str] = []
    for _ in range(2):
        trials = harness.client.status(job).trials
        for event in new_events("sagemaker", known, harness.plan.fitted, trials):
            known.tell(event)
            if isinstance(event, Ended):
                ends.append(event.state)
    assert ends == ["unknown"]


@pytest.mark.parametrize(
    ("state", "started", "seconds", "waited"),
    [
        ("cancelled", None, 0, 3600),  # it may only have waited
        ("failed", None, None, None),
        ("completed", None, None, None),
        ("completed", 3000.0, 1600, 2000),
        ("cancelled", 3000.0, 1600, 2000),
    ],
)
def test_an_attached_trial_without_a_start_does_not_count_its_wait_as_its_run(
    harness: Harness,
    state: Any,
    started: float | None,
    seconds: float | None,
    waited: float | None,
) -> None:
    job = harness.begin(1)
    (trial,) = harness.client.status(job).trials
    raw = replace(trial, state=state, created=1000.0, started=started, ended=4600.0)
    known = Trials(harness.plan.study, "run", price=1.0)
    for event in new_events(
        "sagemaker", known, harness.plan.fitted, [raw], on_invalid=lambda _: None
    ):
        known.tell(event)
    shown = known.get(1)
    assert (shown.seconds, shown.waited) == (seconds, waited)
    assert shown.started == started
