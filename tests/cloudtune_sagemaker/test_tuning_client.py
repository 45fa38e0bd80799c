"""A tuning job is created once, found again, and told with all its trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.engine.managed_job import new_events
from cloudtune.errors import UsageError
from cloudtune.provider.models import JobContext, JobRef, RawTrial
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Ended
from cloudtune.results.trials import Trials
from cloudtune_sagemaker.errors import AwsError
from cloudtune_sagemaker.tuning_client import TuningClient
from tests.cloudtune_sagemaker import fake_aws as fake


class Scene:
    """A plan, the service as the test wants it, and our client of it."""

    def __init__(self, folder: Path, over: dict[str, Any] | None = None, **config: Any) -> None:
        self.plan: Plan = fake.planned("managed", over or {})
        self.aws = fake.FakeAws()
        self.folder = folder
        self.name = self.plan.facts.job_name
        self.config = config
        self.client = self.another_client()

    def begin(self, trials: int = 0) -> JobRef:
        self.aws.begin_tuning(self.name, **self.config)
        for number in range(1, trials + 1):
            self.aws.add(self.trial(number))
        return JobRef("sagemaker", self.name)

    def trial(self, number: int) -> str:
        return f"{self.name}-{number:03d}-{number:08x}"

    def another_client(self) -> TuningClient:
        return TuningClient(self.aws, self.plan, JobContext(self.folder))

    def end(self, status: str = "Completed") -> None:
        assert self.aws.tuning is not None
        self.aws.tuning["HyperParameterTuningJobStatus"] = status

    def trials(self) -> list[RawTrial]:
        return list(self.client.status(JobRef("sagemaker", self.name)).trials)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_find_returns_a_created_job(scene: Scene) -> None:
    assert scene.client.find(scene.name) is None
    job = scene.client.submit(scene.plan.request)
    assert job == JobRef("sagemaker", scene.name)
    assert scene.another_client().find(scene.name) == job


def test_a_lost_response_of_submit_finds_the_job(scene: Scene) -> None:
    scene.aws.lost = {"create_hyper_parameter_tuning_job": 1}
    with pytest.raises(AwsError) as lost:
        scene.client.submit(scene.plan.request)
    assert lost.value.retryable
    assert scene.client.submit(scene.plan.request).id == scene.name


def test_a_job_of_another_run_is_not_used(scene: Scene) -> None:
    scene.begin()
    assert scene.client.find(scene.name) is None
    with pytest.raises(AwsError, match="another tuning job"):
        scene.client.submit(scene.plan.request)


def test_without_permission_for_tags_the_name_decides(scene: Scene) -> None:
    scene.begin()
    scene.aws.always["list_tags"] = fake.error("AccessDeniedException")
    assert scene.client.find(scene.name) == JobRef("sagemaker", scene.name)
    assert scene.client.submit(scene.plan.request).id == scene.name


def test_secrets_are_only_in_the_call(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    trial = {"env": {"TOKEN": {"from_env": "HF_TOKEN"}, "PLAIN": "${HF_TOKEN}"}}
    scene = Scene(tmp_path, {"trial": trial})
    assert "verysecret" not in str(scene.plan.to_json())
    scene.client.submit(scene.plan.request)
    operation, sent = scene.aws.requests[-1]
    assert operation == "create_hyper_parameter_tuning_job"
    environment = sent["TrainingJobDefinition"]["Environment"]
    assert environment == {"TOKEN": "hf_verysecret", "PLAIN": "${HF_TOKEN}"}
    assert "verysecret" not in str(scene.plan.request)


def test_an_unset_variable_fails_before_any_call(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    scene = Scene(tmp_path, {"trial": {"env": {"TOKEN": {"from_env": "HF_TOKEN"}}}})
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UsageError, match="HF_TOKEN"):
        scene.client.submit(scene.plan.request)
    assert scene.aws.calls == []


def test_a_trial_has_all_fields(scene: Scene) -> None:
    scene.begin(1)
    name = scene.trial(1)
    scene.aws.report(name, accuracy=0.25, loss=3.0)
    scene.aws.report(name, accuracy=0.5, loss=2.0)
    scene.aws.change(name, "Completed", ModelArtifacts={"S3ModelArtifacts": "s3://b/model.tar.gz"})
    scene.end()
    status = scene.client.status(JobRef("sagemaker", scene.name))
    assert (status.state, status.word) == ("completed", "Completed")
    (trial,) = status.trials
    assert (trial.number, trial.id, trial.state) == (1, name, "completed")
    assert [(m.step, dict(m.metrics)) for m in trial.measurements] == [
        (1, {"accuracy": 0.25, "loss": 3.0}),
        (2, {"accuracy": 0.5, "loss": 2.0}),
    ]
    assert trial.parameters == {"lr": "0.5", "kind": "1e3"}
    assert (trial.billed_seconds, trial.machine) == (60.0, "ml.m5.large")
    assert trial.artifacts == "s3://b/model.tar.gz"
    assert trial.log is not None
    assert trial.log.startswith("https://us-east-1.console.aws.amazon.com/cloudwatch/home?")
    assert trial.log.endswith(f"TrainingJobs$3FlogStreamNameFilter$3D{name}$252F")


def test_many_trials_are_read_in_pages_and_never_one_by_one(scene: Scene) -> None:
    job = scene.begin(250)
    for number in range(1, 251):
        scene.aws.report(scene.trial(number), accuracy=number / 1000, loss=1.0)
        scene.aws.change(scene.trial(number), "Completed")
    trials = scene.client.status(job).trials
    assert [trial.number for trial in trials] == list(range(1, 251))
    assert trials[249].measurements[-1].metrics["accuracy"] == 0.25
    assert scene.aws.calls.count("search") == 3
    assert scene.aws.calls.count("batch_get_metrics") == 5
    assert "describe_training_job" not in scene.aws.calls

    scene.aws.calls.clear()
    scene.aws.add(scene.trial(251))
    assert len(scene.client.status(job).trials) == 251
    assert scene.aws.calls.count("search") == 1
    assert scene.aws.calls.count("batch_get_metrics") == 1


def test_all_changes_are_read_across_pages(scene: Scene) -> None:
    job = scene.begin(250)
    scene.client.status(job)
    for number in range(1, 241):
        scene.aws.report(scene.trial(number), accuracy=0.5, loss=0.5)
        scene.aws.change(scene.trial(number), "Completed")
    states = [trial.state for trial in scene.client.status(job).trials]
    assert states == ["completed"] * 240 + ["running"] * 10


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException"])
def test_trials_are_listed_where_search_is_refused(scene: Scene, code: str) -> None:
    job = scene.begin(120)
    scene.aws.always["search"] = fake.error(code)
    for number in range(1, 121):
        scene.aws.report(scene.trial(number), accuracy=0.5, loss=0.5)
        scene.aws.change(scene.trial(number), "Completed")
    trials = scene.client.status(job).trials
    assert [trial.state for trial in trials] == ["completed"] * 120
    assert trials[0].parameters == {"only": "1", "lr": "0.5", "kind": "1e3"}
    scene.client.status(job)
    assert scene.aws.calls.count("search") == 1


@pytest.mark.parametrize("objective", ["accuracy", "ObjectiveMetric"])
def test_the_second_name_of_the_objective_is_no_metric(tmp_path: Path, objective: str) -> None:
    """SageMaker adds ObjectiveMetric to the metrics of built-in algorithms."""
    changes = {
        "objective": {"metric": objective, "goal": "maximize"},
        "trial": {"metrics": {objective: r"(\S+)"}},
    }
    scene = Scene(tmp_path, changes)
    facts = scene.plan.facts
    data = {**facts.data, "metrics": [objective, "ObjectiveMetric"]}
    facts = replace(facts, lookup=replace(facts.lookup, data=data))
    scene.plan = replace(scene.plan, facts=facts)
    scene.client = scene.another_client()
    scene.begin(1)
    scene.aws.report(scene.trial(1), **{objective: 0.5, "ObjectiveMetric": 0.5})
    scene.aws.change(scene.trial(1), "Completed")
    (trial,) = scene.trials()
    assert [dict(m.metrics) for m in trial.measurements] == [{objective: 0.5}]


def test_throttling_is_retryable(scene: Scene) -> None:
    job = scene.begin(1)
    scene.aws.faults["search"] = [fake.error("ThrottlingException", "Rate exceeded")]
    with pytest.raises(AwsError) as told:
        scene.client.status(job)
    assert told.value.retryable
    assert len(scene.client.status(job).trials) == 1


def test_trials_missing_in_search_are_listed(scene: Scene) -> None:
    job = scene.begin(3)
    scene.aws.unsearchable = {scene.trial(2)}
    assert [trial.number for trial in scene.client.status(job).trials] == [1, 2, 3]


def test_the_job_ends_only_when_its_trials_have(scene: Scene) -> None:
    job = scene.begin(1)
    scene.client.status(job)
    scene.end()
    assert scene.client.status(job).state == "running"
    scene.aws.report(scene.trial(1), accuracy=0.5)
    scene.aws.change(scene.trial(1), "Completed")
    status = scene.client.status(job)
    assert (status.state, status.trials[0].state) == ("completed", "completed")


def test_a_job_ends_even_if_its_trials_never_do(scene: Scene) -> None:
    job = scene.begin(1)
    scene.end("Failed")
    states = [scene.client.status(job).state for _ in range(10)]
    assert states[0] == "running"
    assert states[-1] == "failed"


def test_a_trial_waits_for_its_final_metrics(scene: Scene) -> None:
    job = scene.begin(1)
    name = scene.trial(1)
    scene.aws.report(name, accuracy=0.1)
    late = {"MetricName": "accuracy", "Value": 0.9}
    scene.aws.change(name, "Completed", FinalMetricDataList=[late])
    assert scene.client.status(job).trials[0].state == "running"
    scene.aws.report(name, accuracy=0.9)
    (trial,) = scene.client.status(job).trials
    assert trial.state == "completed"
    assert [m.metrics["accuracy"] for m in trial.measurements] == [0.1, 0.9]


def test_missing_metrics_become_the_final_ones(scene: Scene) -> None:
    job = scene.begin(1)
    final = {"MetricName": "accuracy", "Value": 0.8999999761581421}
    scene.aws.change(scene.trial(1), "Completed", FinalMetricDataList=[final])
    trials = [scene.client.status(job).trials for _ in range(6)][-1]
    assert [(m.step, dict(m.metrics)) for m in trials[0].measurements] == [(1, {"accuracy": 0.9})]
    assert trials[0].state == "completed"


def test_without_permission_for_metrics_the_final_ones_are_used(scene: Scene) -> None:
    job = scene.begin(1)
    scene.aws.always["batch_get_metrics"] = fake.error("AccessDeniedException")
    scene.aws.report(scene.trial(1), accuracy=0.5)
    scene.aws.change(scene.trial(1), "Completed")
    trials = [scene.client.status(job).trials for _ in range(6)][-1]
    assert [dict(m.metrics) for m in trials[0].measurements] == [{"accuracy": 0.5}]


def test_selecting_the_best_needs_permission_for_metrics(tmp_path: Path) -> None:
    objective = {"metric": "accuracy", "goal": "maximize", "select": "best"}
    scene = Scene(tmp_path, {"objective": objective})
    job = scene.begin(1)
    said = "not authorized to perform: sagemaker:BatchGetMetrics on resource: x"
    scene.aws.always["batch_get_metrics"] = fake.error("AccessDeniedException", said)
    with pytest.raises(AwsError, match="needs the permission sagemaker:BatchGetMetrics"):
        scene.client.status(job)


def test_a_new_client_continues(scene: Scene) -> None:
    job = scene.begin(1)
    name = scene.trial(1)
    events: list[Any] = []

    def follow(client: TuningClient) -> None:
        known = Trials(scene.plan.study, "run")
        for event in events:
            known.tell(event)
        trials = client.status(job).trials
        events.extend(new_events("sagemaker", known, scene.plan.fitted, trials))

    scene.aws.report(name, accuracy=0.1, loss=1.0)
    scene.aws.report(name, accuracy=0.2)
    follow(scene.client)
    scene.aws.report(name, accuracy=0.3, loss=0.5)
    follow(scene.another_client())
    scene.aws.report(name, accuracy=0.4)
    scene.aws.change(name, "Completed")
    follow(scene.another_client())
    follow(scene.another_client())
    whole = Trials(scene.plan.study, "run")
    for event in events:
        whole.tell(event)
    trial = whole.get(1)
    assert (trial.state, trial.objective) == ("completed", (0.4,))
    assert trial.metrics == {"accuracy": 0.4, "loss": 0.5}
    assert [m.metrics["accuracy"] for m in trial.measurements if "accuracy" in m.metrics] == [
        *(0.1, 0.2, 0.3, 0.4)
    ]


def test_stop_is_idempotent(scene: Scene) -> None:
    job = scene.begin(1)
    scene.client.stop(job)
    scene.client.stop(job)
    scene.end("Stopped")
    scene.client.stop(job)
    scene.aws.change(scene.trial(1), "Stopped")
    assert scene.client.status(job).state == "cancelled"


def test_a_refused_stop_is_an_error(scene: Scene) -> None:
    job = scene.begin(1)
    scene.aws.always["stop_hyper_parameter_tuning_job"] = fake.error("AccessDeniedException")
    with pytest.raises(AwsError, match="AccessDenied"):
        scene.client.stop(job)


def test_trials_that_stop_ended_are_cancelled(tmp_path: Path) -> None:
    scene = Scene(tmp_path, TrainingJobEarlyStoppingType="Auto")
    job = scene.begin(2)
    scene.aws.change(scene.trial(1), "Stopped")
    assert scene.client.status(job).trials[0].state == "stopped_early"
    scene.client.stop(job)
    scene.aws.change(scene.trial(2), "Stopped")
    scene.end("Stopped")
    assert [t.state for t in scene.client.status(job).trials] == ["stopped_early", "cancelled"]


def test_a_missing_job_fails(scene: Scene) -> None:
    job = scene.begin()
    scene.aws.tuning = None
    for _ in range(3):
        with pytest.raises(AwsError, match="no longer exists") as told:
            scene.client.status(job)
        assert told.value.retryable
    assert scene.client.status(job).state == "failed"


def test_a_trial_that_ended_for_an_unknown_reason_ends_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path, TrainingJobEarlyStoppingType="Auto")
    job = scene.begin(1)
    scene.aws.report(scene.trial(1), accuracy=0.5)
    scene.aws.change(scene.trial(1), "Stopped")
    scene.end("Stopped")
    known = Trials(scene.plan.study, "run")
    ends: list[str] = []
    for _ in range(2):
        trials = scene.client.status(job).trials
        for event in new_events("sagemaker", known, scene.plan.fitted, trials):
            known.tell(event)
            if isinstance(event, Ended):
                ends.append(event.state)
    assert ends == ["unknown"]
