"""One training job a trial: made once, followed to its one end, whatever the service does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider.models import Interrupted, JobContext
from cloudtune_sagemaker import training_client
from cloudtune_sagemaker.errors import AwsError
from cloudtune_sagemaker.launcher_contract import CONTINUED
from cloudtune_sagemaker.training_client import SageMakerJobs
from tests.cloudtune_sagemaker import fake_aws as fake
from tests.runner_harness import Followed

HYPERBAND: Mapping[str, Any] = {
    "strategy": {"name": "hyperband", "resource": "epochs", "min": 1, "max": 9, "seed": 1}
}


class Scene(Followed):
    """A plan, the service as the test wants it, and a runner with what it emitted."""

    def __init__(self, folder: Path, over: Mapping[str, Any]) -> None:
        self.aws = fake.FakeAws()
        self.plan = fake.planned("driven", over)
        self.job = self.plan.facts.job_name
        super().__init__(
            "sagemaker",
            lambda: SageMakerJobs(self.aws, self.plan, JobContext(folder)),
            {"lr": 0.25, "kind": "true"},
        )

    def made(self, *names: str) -> None:
        """Wait until these training jobs are there."""
        wanted = {f"{self.job}-{name}" for name in names}
        self.until(lambda: wanted <= set(self.aws.jobs))

    def finish(self, name: str, accuracy: float = 0.5) -> None:
        self.aws.report(f"{self.job}-{name}", accuracy=accuracy)
        self.aws.change(f"{self.job}-{name}", "Completed")


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scene]]:
    monkeypatch.setattr(training_client, "POLL_SECONDS_EMULATED", 0.02)
    scenes: list[Scene] = []

    def make(over: Mapping[str, Any] | None = None) -> Scene:
        scenes.append(Scene(tmp_path, over or {}))
        return scenes[-1]

    yield make
    for scene in scenes:
        scene.aws.always = {}
        scene.runner.close()


@pytest.fixture
def scene(play: Callable[..., Scene]) -> Scene:
    return play()


def test_a_trial_is_a_training_job_with_its_own_parts(play: Callable[..., Scene]) -> None:
    scene = play({"constants": {"depth": 3}})
    scene.start(7)
    scene.made("7")
    request = next(r for name, r in scene.aws.requests if name == "create_training_job")
    assert request["TrainingJobName"] == f"{scene.job}-7"
    assert request["HyperParameters"] == {"depth": "3", "lr": "0.25", "kind": "true"}
    assert {"Key": "cloudtune:trial", "Value": "7"} in request["Tags"]
    assert {"Key": "cloudtune:run", "Value": scene.plan.facts.run_id} in request["Tags"]
    assert request["CheckpointConfig"]["S3Uri"].endswith("/checkpoints/7/")
    assert "{{" not in str(request)
    scene.finish("7")
    end = scene.ended()
    assert (end.number, end.state, end.word) == (7, "completed", "Completed")
    assert (end.billed_seconds, end.machine) == (60.0, "ml.m5.large")


def test_measurements_are_emitted_once_and_in_order(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    name = f"{scene.job}-1"
    for step in range(1, 4):
        scene.aws.report(name, accuracy=step / 10, loss=1.0)
        event = scene.measured()
        assert (event.step, dict(event.metrics)) == (step, {"accuracy": step / 10, "loss": 1.0})
    scene.aws.change(name, "Completed")
    assert scene.ended().state == "completed"
    assert scene.silent()


@pytest.mark.parametrize(
    "fault",
    [
        fake.error("ThrottlingException", "Rate exceeded"),
        fake.error("InternalFailure", status=500),
        AwsError("the connection failed", retryable=True),
    ],
)
@pytest.mark.parametrize(
    "operation",
    ["create_training_job", "search", "batch_get_metrics", "stop_training_job"],
)
def test_retryable_errors_do_not_fail_trials(scene: Scene, operation: str, fault: AwsError) -> None:
    scene.aws.faults[operation] = [fault, fault]
    scene.start(1)
    scene.made("1")
    if operation == "stop_training_job":
        scene.runner.stop(1)
        name = f"{scene.job}-1"
        scene.until(lambda: scene.aws.jobs[name]["TrainingJobStatus"] == "Stopping")
        scene.aws.change(name, "Stopped")
    else:
        scene.finish("1")
    assert scene.ended().state == "completed"
    assert scene.aws.faults[operation] == []
    assert len(scene.aws.jobs) == 1


def test_a_lost_response_creates_no_second_job(scene: Scene) -> None:
    scene.aws.lost["create_training_job"] = 1
    scene.start(1)
    scene.made("1")
    scene.finish("1")
    assert scene.ended().state == "completed"
    assert list(scene.aws.jobs) == [f"{scene.job}-1"]
    assert scene.aws.calls.count("create_training_job") == 1


def test_a_job_of_another_run_is_not_used(scene: Scene) -> None:
    scene.aws.add(f"{scene.job}-1", HyperParameters={"lr": "0.25", "kind": "true"})
    scene.start(1)
    assert "another run has a training job" in scene.lost().reason


def test_a_quota_used_by_others_is_not_waited_for(scene: Scene) -> None:
    scene.aws.always["create_training_job"] = fake.error("ResourceLimitExceeded", "limit is 0")
    scene.start(1)
    assert "limit is 0" in scene.lost().reason


def test_without_permission_nothing_more_is_started(scene: Scene) -> None:
    said = "User: x is not authorized to perform: iam:PassRole on resource: y"
    scene.aws.always["create_training_job"] = fake.error("AccessDeniedException", said)
    scene.start(1)
    lost = scene.lost()
    assert ("iam:PassRole" in lost.reason, lost.recoverable) == (True, False)
    scene.start(2)
    scene.runner.close()
    assert scene.aws.calls.count("create_training_job") == 1


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException"])
def test_without_search_jobs_are_described(scene: Scene, code: str) -> None:
    scene.aws.always["search"] = fake.error(code)
    scene.start(1, 2)
    scene.made("1", "2")
    scene.finish("1")
    scene.finish("2")
    assert {scene.ended().number, scene.ended().number} == {1, 2}
    assert scene.aws.calls.count("search") == 1


def test_a_job_missing_in_search_is_described(scene: Scene) -> None:
    scene.aws.unsearchable = {f"{scene.job}-1"}
    scene.start(1)
    scene.made("1")
    scene.finish("1")
    assert scene.ended().state == "completed"


def test_polling_many_jobs_takes_one_search(scene: Scene) -> None:
    numbers = range(1, 61)
    scene.start(*numbers)
    scene.made(*map(str, numbers))
    scene.until(lambda: "batch_get_metrics" in scene.aws.calls)
    searches = scene.aws.calls.count("search")
    reads = scene.aws.calls.count("batch_get_metrics")
    assert "describe_training_job" not in scene.aws.calls
    assert reads <= 2 * searches  # 60 jobs of 2 metrics, 100 a call


@pytest.mark.parametrize(
    ("status", "second", "state", "reason"),
    [
        ("Failed", "Failed", "failed", "boom"),
        ("Stopped", "MaxRuntimeExceeded", "failed", "trial_timeout"),
        ("Stopped", "Stopped", "failed", "not by cloudtune"),
        ("Completed", "Completed", "completed", ""),
    ],
)
def test_final_state_of_a_trial(
    scene: Scene, status: str, second: str, state: str, reason: str
) -> None:
    scene.start(1)
    scene.made("1")
    scene.aws.change(f"{scene.job}-1", status, second, FailureReason="boom")
    end = scene.ended()
    assert end.state == state
    assert reason in end.reason
    assert bool(reason) == bool(end.reason)


def test_a_stop_by_cloudtune_is_not_a_failure(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    scene.runner.stop(1)
    name = f"{scene.job}-1"
    scene.until(lambda: scene.aws.jobs[name]["TrainingJobStatus"] == "Stopping")
    scene.runner.stop(1)
    scene.aws.change(name, "Stopped")
    assert scene.ended().state == "completed"
    scene.runner.stop(1)
    assert scene.aws.calls.count("stop_training_job") == 1


def test_a_stop_after_the_end_has_no_effect(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    looks: list[int] = []

    def end_first() -> None:
        if not looks:
            looks.append(1)
            scene.finish("1")
            scene.runner.stop(1)

    scene.aws.at_look = end_first
    assert scene.ended().state == "completed"
    assert scene.silent()


def test_a_later_start_has_its_own_name_and_continues_the_steps(
    play: Callable[..., Scene],
) -> None:
    scene = play(HYPERBAND)
    scene.start(1, resource=3)
    scene.made("1")
    for value in (0.1, 0.2, 0.3):
        scene.aws.report(f"{scene.job}-1", accuracy=value)
    scene.aws.change(f"{scene.job}-1", "Completed")
    assert scene.ended().state == "completed"
    scene.start(1, resource=9, start=2, after_step=3)
    scene.made("1-2")
    first, second = (r for name, r in scene.aws.requests if name == "create_training_job")
    assert first["HyperParameters"]["epochs"] == "3"
    assert second["HyperParameters"]["epochs"] == "9"
    assert first["CheckpointConfig"] == second["CheckpointConfig"]
    scene.aws.report(f"{scene.job}-1-2", accuracy=0.4)
    scene.aws.change(f"{scene.job}-1-2", "Completed")
    assert scene.measured().step == 4


@pytest.mark.parametrize(("continued", "step"), [(0.0, 1), (1.0, 4)])
def test_a_start_without_a_checkpoint_counts_its_steps_anew(
    play: Callable[..., Scene], tmp_path: Path, continued: float, step: int
) -> None:
    trial: dict[str, Any] = {"command": ["true"], "source": str(tmp_path), "metrics": {"loss": {}}}
    scene = play({**HYPERBAND, "trial": trial})
    scene.start(1, resource=3)
    scene.made("1")
    scene.finish("1", 0.1)
    scene.ended()
    scene.start(1, resource=9, start=2, after_step=3)
    scene.made("1-2")
    scene.aws.report(f"{scene.job}-1-2", accuracy=0.4, **{CONTINUED: continued})
    scene.aws.change(f"{scene.job}-1-2", "Completed")
    assert scene.measured().step == step


@pytest.mark.parametrize("lost", [True, False])
def test_a_job_that_sagemaker_failed_to_run_is_lost(scene: Scene, lost: bool) -> None:
    scene.start(1)
    scene.made("1")
    reason = "InternalServerError: We encountered an internal error." if lost else "AlgorithmError"
    scene.aws.change(f"{scene.job}-1", "Failed", FailureReason=reason)
    end = scene.ended()
    assert (end.state, end.lost) == (("cancelled", True) if lost else ("failed", False))


def test_a_repeat_has_the_checkpoints_of_the_lost_trial(scene: Scene) -> None:
    scene.runner.start(scene.started(1))
    scene.made("1")
    repeat = replace(scene.started(2, after_step=3), replaces=1, checkpoint=1)
    scene.runner.start(repeat)
    scene.made("2")
    first, second = (r for name, r in scene.aws.requests if name == "create_training_job")
    assert first["CheckpointConfig"] == second["CheckpointConfig"]
    assert first["OutputDataConfig"] == second["OutputDataConfig"]


def test_a_later_start_in_a_later_process_is_a_new_job(play: Callable[..., Scene]) -> None:
    scene = play(HYPERBAND)
    scene.start(1, resource=3)
    scene.made("1")
    scene.finish("1")
    scene.ended()
    scene.runner.close()
    scene.runner = scene.another()
    scene.start(1, resource=9, start=2, after_step=3)
    scene.made("1-2")
    assert scene.aws.jobs[f"{scene.job}-1-2"]["HyperParameters"]["epochs"] == "9"


def abandon(scene: Scene) -> None:
    """Leave the runner as a killed process would, with its jobs going on."""
    scene.aws.always["stop_training_job"] = fake.error("SlowDown")
    scene.runner.close()
    scene.aws.always.clear()
    scene.runner = scene.another()


def test_running_trials_are_recovered(scene: Scene) -> None:
    scene.start(1, 2, 3)
    scene.made("1", "2", "3")
    names = [f"{scene.job}-{n}" for n in (1, 2, 3)]
    scene.aws.report(names[0], accuracy=0.1, loss=1.0)
    assert scene.measured().metrics["accuracy"] == 0.1
    abandon(scene)
    scene.aws.report(names[0], accuracy=0.2, loss=0.5)
    scene.finish("2")
    found = scene.runner.recover([scene.left(1, 1), *map(scene.left, (2, 3, 4))])
    assert found.running == {1, 2, 3}
    assert [(m.number, m.step, m.metrics["accuracy"]) for m in found.measured] == [
        (1, 2, 0.2),
        (2, 1, 0.5),
    ]
    end = scene.ended()
    assert (end.number, end.state) == (2, "completed")
    scene.aws.report(names[0], accuracy=0.3, loss=0.5)
    assert (scene.measured().step, scene.silent()) == (3, True)
    scene.aws.change(names[0], "Completed")
    scene.aws.change(names[2], "Failed", FailureReason="boom")
    assert {scene.ended().number, scene.ended().number} == {1, 3}
    assert len(scene.aws.jobs) == 3


def test_trials_being_stopped_are_not_recovered(scene: Scene) -> None:
    scene.start(1, 2, 3)
    scene.made("1", "2", "3")
    abandon(scene)
    scene.aws.change(f"{scene.job}-1", "Stopping")
    scene.aws.change(f"{scene.job}-2", "Stopped")
    scene.aws.change(f"{scene.job}-3", "Stopped", "MaxRuntimeExceeded")
    assert scene.runner.recover([*map(scene.left, (1, 2, 3))]).running == {3}
    assert scene.ended().number == 3


def test_the_end_of_an_earlier_start_does_not_end_the_next(
    play: Callable[..., Scene],
) -> None:
    scene = play(HYPERBAND)
    scene.start(1, 2, resource=3)
    scene.made("1", "2")
    scene.finish("1")
    scene.finish("2")
    scene.ended()
    scene.ended()
    abandon(scene)
    # The ledger has the next start of trial 1, which was never made, and none of the end of 2.
    next_one = Interrupted(scene.started(1, resource=9, start=2, after_step=1), 0, 1)
    found = scene.runner.recover([next_one, Interrupted(scene.started(2, resource=3), 0, 0)])
    assert found.running == {2}


def test_the_latest_start_is_recovered(play: Callable[..., Scene]) -> None:
    scene = play(HYPERBAND)
    scene.start(1, resource=3)
    scene.made("1")
    scene.finish("1", 0.1)
    scene.ended()
    scene.start(1, resource=9, start=2, after_step=3)
    scene.made("1-2")
    abandon(scene)
    scene.aws.report(f"{scene.job}-1-2", accuracy=0.2, loss=1.0)
    later = Interrupted(scene.started(1, resource=9, start=2, after_step=1), 0, 1)
    found = scene.runner.recover([later])
    assert found.running == {1}
    assert [(m.step, m.metrics["accuracy"]) for m in found.measured] == [(2, 0.2)]
    scene.aws.report(f"{scene.job}-1-2", accuracy=0.3, loss=1.0)
    assert scene.measured().step == 3
    scene.aws.change(f"{scene.job}-1-2", "Completed")
    assert scene.ended().state == "completed"
