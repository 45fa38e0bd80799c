"""The driven mode: one training per start of a trial, created once and found by its tags."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider.models import JobContext
from cloudtune_watson import run_jobs
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.wml import metrics as metric_files
from cloudtune_watson.wml.training_client import WatsonJobs
from tests.cloudtune_watson import fake_watson as fake
from tests.runner_harness import Followed

LIST = "val_dict_list.json"


class Scene(Followed):
    """A plan, the service as the test wants it, and a runner with what it emitted."""

    def __init__(self, folder: Path, over: Mapping[str, Any]) -> None:
        self.ibm = fake.FakeWmlClient()
        self.plan = fake.planned("driven", over)
        self.job = self.plan.facts.job_name
        super().__init__(
            "watson",
            lambda: WatsonJobs(self.ibm, self.plan, JobContext(folder), "definition-0"),
            {"lr": 0.25, "kind": "it's $HOME"},
        )

    def made(self, *names: str) -> None:
        """Wait until these trainings are there."""
        self.until(lambda: {f"{self.job}-{n}" for n in names} <= set(self.names))

    @property
    def names(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.ibm.trainings.values()]

    def finish(self, name: str, accuracy: float = 0.5) -> None:
        self.ibm.write(f"{self.job}-{name}", LIST, [{"steps": 1, "accuracy": accuracy}])
        self.ibm.change(f"{self.job}-{name}", "completed")


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scene]]:
    monkeypatch.setattr(run_jobs, "POLL_SECONDS_EMULATED", 0.02)
    scenes: list[Scene] = []

    def make(over: Mapping[str, Any] | None = None) -> Scene:
        scenes.append(Scene(tmp_path, over or {}))
        return scenes[-1]

    yield make
    for scene in scenes:
        scene.ibm.of.always = {}
        scene.runner.close()


@pytest.fixture
def scene(play: Callable[..., Scene]) -> Scene:
    return play()


def test_a_trial_is_a_training(scene: Scene) -> None:
    scene.start(7)
    scene.made("7")
    (request,) = scene.ibm.created
    name = f"{scene.job}-7"
    assert request["name"] == name
    assert request["tags"] == [
        "cloudtune",
        f"cloudtune-run:{scene.plan.facts.run_id}",
        f"cloudtune-job:{name}",
    ]
    where = f"spaces/space-1/assets/cloudtune/{name}"
    assert request["results_reference"]["location"]["path"] == where
    definition = request["model_definition"]
    assert definition["id"] == "definition-0"
    assert shlex.split(definition["command"]) == [
        "cloudtune_launch.py",
        "--lr=0.25",
        "--kind=it's $HOME",
    ]
    scene.finish("7")
    end = scene.ended()
    assert (end.number, end.state, end.word) == (7, "completed", "completed")
    assert (end.machine, end.artifacts, end.log) == ("M", where, None)


def test_metrics_of_the_status_are_reported_once_and_in_order(play: Callable[..., Scene]) -> None:
    scene = play({"trial": {"script": "train.py", "metrics": {"loss": "loss=(.*)"}}})
    scene.start(1)
    scene.made("1")
    name = f"{scene.job}-1"
    metrics: list[dict[str, Any]] = []
    for step in range(1, 4):
        metrics.append({"iteration": step, "ml_metrics": {"accuracy": step / 10}})
        scene.ibm.change(name, "running", metrics=deepcopy(metrics))
        scene.ibm.of.calls.clear()
        scene.until(lambda: scene.ibm.of.calls.count("get") > 1)
        assert scene.silent()  # the rest of it comes
        metrics[-1]["ml_metrics"]["loss"] = 1.0
        scene.ibm.change(name, "running", metrics=deepcopy(metrics))
        event = scene.measured()
        assert (event.step, dict(event.metrics)) == (step, {"accuracy": step / 10, "loss": 1.0})
    metrics.append({"iteration": 4, "ml_metrics": {"accuracy": 0.4}})
    scene.ibm.write(name, LIST, [{"steps": 9, "accuracy": 9}])  # the same in another place
    scene.ibm.change(name, "completed", metrics=metrics)
    event = scene.measured()
    assert (event.step, dict(event.metrics)) == (4, {"accuracy": 0.4})
    assert scene.ended().state == "completed"
    assert scene.silent()


@pytest.mark.parametrize("file", [LIST, "evaluation-metrics.txt"])
def test_files_are_read_if_the_status_has_no_objective(scene: Scene, file: str) -> None:
    scene.start(1)
    scene.made("1")
    name = f"{scene.job}-1"
    other = [{"iteration": 1, "ml_metrics": {"loss": 0.25}}]
    scene.ibm.change(name, "running", metrics=other)
    line = b'{"etimes": {"iteration": {"value": "4"}}, "values": {"accuracy": {"value": "0.75"}}}\n'
    if file == LIST:
        scene.ibm.write(name, LIST, [{"steps": 4, "accuracy": 0.75}])
        assert scene.measured().metrics == {"accuracy": 0.75}
    else:
        scene.ibm.write(name, LIST, [{"steps": 1, "loss": 0.25}])
        scene.ibm.write(name, file, line)
        assert scene.measured().metrics == {"loss": 0.25}
    scene.ibm.change(name, "completed", metrics=other)
    if file != LIST:
        event = scene.measured()
        assert (event.step, dict(event.metrics)) == (4, {"accuracy": 0.75})
    assert scene.ended().state == "completed"
    assert scene.silent()


def test_a_list_that_is_too_long_is_reported(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_files, "MAX_BYTES", 20)
    scene.start(1)
    scene.made("1")
    scene.finish("1")
    assert "val_dict_list.json has" in scene.ended().reason


def test_metrics_only_in_the_status_are_reported_at_the_end(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    other = [{"iteration": 1, "ml_metrics": {"loss": 0.25}}]
    scene.ibm.change(f"{scene.job}-1", "completed", metrics=other)
    assert scene.measured().metrics == {"loss": 0.25}
    assert scene.ended().state == "completed"


def test_without_a_status_the_list_is_read(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    name = f"{scene.job}-1"
    scene.ibm.write(name, LIST, b'[{"steps": 1, "acc')  # being written
    scene.ibm.write(name, LIST, [{"steps": 1, "accuracy": 0.1}])
    assert scene.measured().step == 1
    scene.ibm.write(name, LIST, [{"steps": 1, "accuracy": 0.1}, {"steps": 2, "accuracy": 0.2}])
    assert scene.measured().metrics["accuracy"] == 0.2
    entries = [{"iteration": 1, "ml_metrics": {"accuracy": 0.1}}]
    scene.ibm.change(name, "completed", metrics=entries)  # the same, late
    assert scene.ended().state == "completed"
    assert scene.silent()


def test_a_status_with_more_metrics_than_the_list_is_used(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    name = f"{scene.job}-1"
    scene.ibm.write(name, LIST, [{"steps": 1, "accuracy": 0.1, "loss": 2}])
    assert scene.measured().metrics == {"accuracy": 0.1, "loss": 2.0}
    entries = [
        {"iteration": 1, "ml_metrics": {"accuracy": 0.1, "loss": 2}},
        {"iteration": 2, "ml_metrics": {"accuracy": 0.2}},
    ]
    scene.ibm.change(name, "completed", metrics=entries)
    event = scene.measured()
    assert (event.step, dict(event.metrics)) == (2, {"accuracy": 0.2})
    assert scene.ended().state == "completed"
    assert scene.silent()


def test_results_may_be_in_a_subfolder_of_the_training(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    (id_,) = scene.ibm.trainings
    scene.ibm.write(f"{scene.job}-1/{id_}", LIST, [{"steps": 1, "accuracy": 0.1}])
    assert scene.measured().metrics["accuracy"] == 0.1
    location = scene.ibm.trainings[id_]["entity"]["results_reference"]["location"]
    location["training_log"] = "spaces/space-1/assets/log.txt"
    scene.ibm.change(f"{scene.job}-1", "completed")
    assert scene.ended().log == "spaces/space-1/assets/log.txt"


def test_without_a_list_the_log_is_read(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    line = (
        b'{"meta": {"time": 1500}, "etimes": {"iteration": {"type": 2, "value": "4"}},'
        b' "values": {"accuracy": {"type": 3, "value": "0.75"}}}\n'
    )
    scene.ibm.write(f"{scene.job}-1", "evaluation-metrics.txt", line)
    scene.ibm.change(f"{scene.job}-1", "completed")
    event = scene.measured()
    assert (event.step, dict(event.metrics), event.time) == (4, {"accuracy": 0.75}, 1.5)


@pytest.mark.parametrize(
    "fault",
    [fake.error(429), fake.error(503), WatsonError("the connection failed", retryable=True)],
)
@pytest.mark.parametrize("operation", ["create", "get", "read", "cancel"])
def test_transient_errors_do_not_fail_a_trial(
    scene: Scene, operation: str, fault: WatsonError
) -> None:
    scene.ibm.of.faults[operation] = [fault, fault]
    scene.start(1)
    scene.made("1")
    if operation == "cancel":
        scene.runner.stop(1)
    else:
        scene.finish("1")
    assert scene.ended().state == "completed"
    assert scene.ibm.of.faults[operation] == []
    assert len(scene.ibm.trainings) == 1


def test_a_lost_response_does_not_create_a_second_training(scene: Scene) -> None:
    scene.ibm.of.lost["create"] = 1
    scene.start(1)
    scene.made("1")
    scene.finish("1")
    assert scene.ended().state == "completed"
    assert scene.ibm.of.calls.count("create") == 1


def test_of_two_trainings_with_one_name_the_first_counts(scene: Scene) -> None:
    name = f"{scene.job}-1"
    tags = [f"cloudtune-run:{scene.plan.facts.run_id}", f"cloudtune-job:{name}"]
    request = {**scene.plan.request, "name": name, "tags": tags}
    first, _second = (scene.ibm.add(**request) for _ in range(2))
    assert scene.runner.recover([scene.left(1)]).running == {1}
    scene.ibm.trainings[first]["entity"]["status"]["state"] = "completed"
    assert scene.ended().state == "completed"


def test_without_permission_no_more_trials_start(scene: Scene) -> None:
    scene.ibm.of.always["create"] = fake.error(403, "not a member of the space")
    scene.start(1)
    assert "needs the role Editor" in scene.lost().reason
    scene.start(2)
    scene.runner.close()
    assert scene.ibm.of.calls.count("create") == 1


def test_an_unlisted_training_is_read(scene: Scene) -> None:
    scene.ibm.unlisted = {f"{scene.job}-1"}
    scene.start(1, 2)
    scene.made("1", "2")
    scene.finish("1")
    assert (scene.ended().number, scene.ibm.of.calls.count("create")) == (1, 2)


def test_a_poll_of_many_trainings_takes_few_calls(scene: Scene) -> None:
    numbers = range(1, 51)
    scene.start(*numbers)
    scene.made(*map(str, numbers))
    scene.finish("41")
    assert scene.ended().number == 41
    assert scene.ibm.of.calls.count("get") == 0


@pytest.mark.parametrize(
    ("state", "ends", "reason"),
    [
        ("failed", "failed", "The container ran out of memory"),
        ("error", "failed", "The container ran out of memory"),
        ("canceled", "failed", "not by cloudtune"),
        ("cancelled", "failed", "not by cloudtune"),
        ("completed", "completed", ""),
    ],
)
def test_how_a_trial_ends(scene: Scene, state: str, ends: str, reason: str) -> None:
    scene.start(1)
    scene.made("1")
    failure = {"failure": {"errors": [{"message": "The container ran out of memory"}]}}
    scene.ibm.change(f"{scene.job}-1", state, **(failure if ends == "failed" else {}))
    end = scene.ended()
    assert (end.state, end.word) == (ends, state)
    assert reason in end.reason
    assert bool(reason) == bool(end.reason)


def test_the_launchers_failure_reason_is_used(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    name = f"{scene.job}-1"
    scene.ibm.write(name, "cloudtune_failure.txt", "exit code 3\nValueError: bäd".encode())
    scene.ibm.change(name, "failed", message={"level": "error", "text": "it failed"})
    assert scene.ended().reason == "exit code 3\nValueError: bäd"


def test_an_unknown_state_is_kept_and_polled(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    for state in ("hibernating", "storing", "pending"):
        scene.ibm.change(f"{scene.job}-1", state)
        scene.ibm.of.calls.clear()
        scene.until(lambda: scene.ibm.of.calls.count("get") > 1)
    assert scene.silent()
    scene.finish("1")
    assert scene.ended().state == "completed"


def test_a_requested_stop_is_not_a_failure(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    scene.runner.stop(1)
    assert scene.ended().state == "completed"
    scene.runner.stop(1)
    assert scene.ibm.of.calls.count("cancel") == 1


def test_a_stop_after_the_end_has_no_effect(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.start(1)
    scene.made("1")

    def late(_: str) -> None:
        scene.finish("1")
        raise fake.error(400, "Job already completed with state completed")

    monkeypatch.setattr(scene.ibm, "_cancel", late)
    scene.runner.stop(1)
    assert scene.ended().state == "completed"
    assert scene.ibm.of.calls.count("cancel") == 1


def test_a_later_start_has_its_own_training(play: Callable[..., Scene]) -> None:
    scene = play(
        {"strategy": {"name": "hyperband", "resource": "epochs", "min": 1, "max": 9, "seed": 1}}
    )
    scene.start(1, resource=3)
    scene.made("1")
    scene.finish("1")
    assert scene.ended().state == "completed"
    scene.start(1, resource=9, start=2)
    scene.made("1-2")
    commands = [each["model_definition"]["command"] for each in scene.ibm.created]
    assert [shlex.split(each)[-1] for each in commands] == ["--epochs=3", "--epochs=9"]
    paths = {each["results_reference"]["location"]["path"] for each in scene.ibm.created}
    assert len(paths) == 2


def test_running_trials_are_recovered(scene: Scene) -> None:
    scene.start(1, 2, 3)
    scene.made("1", "2", "3")
    name = f"{scene.job}-1"
    scene.ibm.write(name, LIST, [{"steps": 1, "accuracy": 0.1}])
    assert scene.measured().metrics["accuracy"] == 0.1
    scene.ibm.of.always["cancel"] = fake.error(503)
    scene.runner.close()
    scene.ibm.of.always.clear()
    scene.runner = scene.another()
    scene.ibm.write(name, LIST, [{"steps": 1, "accuracy": 0.1}, {"steps": 2, "accuracy": 0.2}])
    scene.finish("2")
    found = scene.runner.recover([scene.left(1, 1), *map(scene.left, (2, 3, 4))])
    assert found.running == {1, 2, 3}
    assert [(m.number, m.step, m.metrics["accuracy"]) for m in found.measured] == [
        (1, 2, 0.2),
        (2, 1, 0.5),
    ]
    assert scene.ended().number == 2
    scene.ibm.change(name, "completed")
    scene.ibm.change(f"{scene.job}-3", "failed")
    assert {scene.ended().number, scene.ended().number} == {1, 3}
    assert len(scene.ibm.trainings) == 3


def test_trainings_of_another_run_are_ignored(scene: Scene) -> None:
    tags = ["cloudtune-run:other", f"cloudtune-job:{scene.job}-1"]
    scene.ibm.add(**{**scene.plan.request, "name": f"{scene.job}-1", "tags": tags})
    assert scene.runner.recover([scene.left(1)]).running == set()
