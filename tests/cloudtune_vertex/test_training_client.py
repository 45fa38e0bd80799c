"""The custom jobs of driven runs: created once, found by label, polled until they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider.models import JobContext
from cloudtune.results.events import Running
from cloudtune_vertex import training_client
from cloudtune_vertex.errors import GoogleError
from cloudtune_vertex.training_client import VertexJobs
from tests.cloudtune_vertex import fake_vertex as fake
from tests.runner_harness import Followed

HYPERBAND: Mapping[str, Any] = {
    "strategy": {"name": "hyperband", "resource": "epochs", "min": 1, "max": 9, "seed": 1}
}


class Scene(Followed):
    """A plan, the service as the test wants it, and a runner with what it emitted."""

    def __init__(self, folder: Path, over: Mapping[str, Any]) -> None:
        self.google = fake.FakeGoogle()
        self.plan = fake.planned("driven", over)
        self.job = self.plan.facts.job_name
        super().__init__(
            "vertex",
            lambda: VertexJobs(self.google, self.plan, JobContext(folder)),
            {"lr": 0.25, "kind": "true"},
        )

    @property
    def names(self) -> list[str]:
        return [job["displayName"].removeprefix(f"{self.job}-") for job in self.jobs]

    @property
    def jobs(self) -> list[dict[str, Any]]:
        return list(self.google.jobs.values())

    def made(self, *names: str) -> None:
        """Wait until these custom jobs are there."""
        self.until(lambda: set(names) <= set(self.names))

    def finish(self, name: str, accuracy: float = 0.5) -> None:
        self.google.report(f"{self.job}-{name}", accuracy=accuracy)
        self.google.change(f"{self.job}-{name}", "SUCCEEDED")


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scene]]:
    monkeypatch.setattr(training_client, "POLL_SECONDS_EMULATED", 0.02)
    monkeypatch.setattr(training_client, "HIDDEN_SECONDS_EMULATED", 0.2)
    scenes: list[Scene] = []

    def make(over: Mapping[str, Any] | None = None) -> Scene:
        scenes.append(Scene(tmp_path, over or {}))
        return scenes[-1]

    yield make
    for scene in scenes:
        scene.google.always = {}
        scene.runner.close()


@pytest.fixture
def scene(play: Callable[..., Scene]) -> Scene:
    return play()


def test_the_custom_job_of_a_trial(
    play: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "$(HOME) or $x")
    env = {"MORE": "{{number}}", "TOKEN": {"from_env": "SECRET"}}
    scene = play({"trial": {"script": "train.py", "env": env}})
    scene.start(7)
    scene.made("7")
    (request,) = scene.google.created
    name = f"{scene.job}-7"
    job = request["customJob"]
    assert request["parent"] == "projects/my-project/locations/us-central1"
    assert (job["displayName"], job["labels"]["cloudtune-job"]) == (name, name)
    assert job["labels"]["cloudtune-run"] == scene.plan.facts.run_id
    spec = job["jobSpec"]
    assert spec["baseOutputDirectory"]["outputUriPrefix"].endswith(f"/{scene.job}/trials/7")
    task = spec["workerPoolSpecs"][0]["pythonPackageSpec"]
    assert task["args"] == ["--lr=0.25", "--kind=true"]
    assert {each["name"]: each["value"] for each in task["env"]} == {
        "CLOUDTUNE_JOB": name,
        "MORE": "{{number}}",
        "TOKEN": "$$(HOME) or $x",
    }
    scene.finish("7")
    end = scene.ended()
    assert (end.number, end.state, end.word) == (7, "completed", "JOB_STATE_SUCCEEDED")
    assert (end.billed_seconds, end.machine) == (None, "n1-standard-4")
    assert end.artifacts == f"gs://my-bucket/tuning/{scene.job}/trials/7/model"
    assert "/training/1000?project=my-project" in str(end.log)


def test_measurements_are_emitted_once_and_in_order(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    name = f"{scene.job}-1"
    for step in range(1, 4):
        scene.google.report(name, accuracy=step / 10, loss=1.0)
        event = scene.measured()
        assert (event.step, dict(event.metrics)) == (step, {"accuracy": step / 10, "loss": 1.0})
        assert event.time == 1_700_000_000.5
    scene.google.change(name, "SUCCEEDED")
    assert scene.ended().state == "completed"
    assert scene.silent()
    starts = [start for _, start in scene.google.reads]
    assert len(starts) == 3
    assert starts == sorted(set(starts))  # nothing is read twice


def test_the_last_measurement_is_emitted_before_the_end(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    scene.finish("1", 0.75)
    assert scene.measured().metrics["accuracy"] == 0.75
    assert scene.ended().state == "completed"


@pytest.mark.parametrize(
    "fault",
    [
        fake.error(429, "Quota exceeded for quota metric 'Job or LRO submission requests'"),
        fake.error(503),
        GoogleError("the connection failed", retryable=True),
    ],
)
@pytest.mark.parametrize("operation", ["create", "get", "list_objects", "read", "cancel"])
def test_transient_errors_fail_no_trial(scene: Scene, operation: str, fault: GoogleError) -> None:
    scene.google.faults[operation] = [fault, fault]
    scene.start(1)
    scene.made("1")
    if operation == "cancel":
        scene.runner.stop(1)
        scene.until(lambda: scene.jobs[0]["state"] == "JOB_STATE_CANCELLING")
        scene.google.change(f"{scene.job}-1", "CANCELLED")
    else:
        scene.finish("1")
    assert scene.ended().state == "completed"
    assert scene.google.faults[operation] == []
    assert len(scene.google.jobs) == 1


def test_a_lost_response_creates_no_second_job(scene: Scene) -> None:
    scene.google.lost["create"] = 1
    scene.start(1)
    scene.made("1")
    scene.finish("1")
    assert scene.ended().state == "completed"
    assert scene.names == ["1"]
    assert scene.google.calls.count("create") == 1


def test_a_job_that_is_not_listed_yet_is_not_created_again(
    play: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_client, "HIDDEN_SECONDS_EMULATED", 20.0)
    scene = play()
    scene.google.unlisted = {f"{scene.job}-1"}
    scene.google.lost["create"] = 1
    scene.start(1)
    scene.made("1")
    scene.until(lambda: scene.google.calls.count("list_custom_jobs") > 3)
    scene.google.unlisted = set()
    scene.finish("1")
    assert scene.ended().state == "completed"
    assert scene.google.calls.count("create") == 1


def test_of_two_jobs_with_one_name_the_first_is_polled(scene: Scene) -> None:
    name = f"{scene.job}-1"
    labels = {"cloudtune-run": scene.plan.facts.run_id, "cloudtune-job": name}
    first, _second = (scene.google.add(displayName=name, labels=labels) for _ in range(2))
    assert scene.runner.recover([scene.left(1)]).running == {1}
    first["state"] = "JOB_STATE_SUCCEEDED"
    assert scene.ended().state == "completed"


FULL = (
    "The following quota metrics exceed quota limits: "
    "aiplatform.googleapis.com/custom_model_training_cpus"
)


def test_a_quota_that_other_jobs_use_is_not_waited_for(scene: Scene) -> None:
    scene.google.always["create"] = fake.error(429, FULL)
    scene.start(1)
    lost = scene.lost()
    assert not lost.recoverable
    assert "custom_model_training_cpus" in lost.reason
    assert "higher quota" in lost.reason


def test_without_permission_no_more_trials_start(scene: Scene) -> None:
    said = "Permission 'aiplatform.customJobs.create' denied on resource"
    scene.google.always["create"] = fake.error(403, said)
    scene.start(1)
    assert "Vertex AI User" in scene.lost().reason
    scene.start(2)
    scene.runner.close()
    assert scene.google.calls.count("create") == 1


def test_jobs_are_read_individually_if_the_list_is_refused(scene: Scene) -> None:
    scene.google.always["list_custom_jobs"] = fake.error(400, "invalid filter")
    scene.start(1, 2)
    scene.made("1", "2")
    scene.finish("1")
    scene.finish("2")
    assert {scene.ended().number, scene.ended().number} == {1, 2}
    assert scene.google.calls.count("list_custom_jobs") == 1


def test_a_job_that_is_missing_in_the_list_is_read(scene: Scene) -> None:
    scene.google.unlisted = {f"{scene.job}-1"}
    scene.start(1, 2)
    scene.made("1", "2")
    scene.finish("1")
    assert (scene.ended().number, scene.google.calls.count("create")) == (1, 2)


def test_a_poll_of_many_jobs_takes_few_calls(scene: Scene) -> None:
    numbers = range(1, 101)
    scene.start(*numbers)
    scene.made(*map(str, numbers))
    scene.google.report(f"{scene.job}-40", accuracy=0.5)
    assert scene.measured().number == 40
    scene.finish("41")
    assert scene.ended().number == 41
    objects = scene.google.calls.count("list_objects")  # a look makes its other list before
    assert objects <= scene.google.calls.count("list_custom_jobs")
    assert scene.google.calls.count("get") == 1  # of the one that has ended
    assert len(scene.google.reads) == 2  # of those that have measured something


@pytest.mark.parametrize(
    ("state", "ends", "reason"),
    [
        ("FAILED", "failed", "exited with a non-zero status"),
        ("EXPIRED", "failed", "expire"),
        ("CANCELLED", "failed", "not by cloudtune"),
        ("SUCCEEDED", "completed", ""),
        ("PARTIALLY_SUCCEEDED", "completed", ""),
    ],
)
def test_how_a_trial_ends(scene: Scene, state: str, ends: str, reason: str) -> None:
    scene.start(1)
    scene.made("1")
    error = {"error": {"code": 13, "message": "The replica exited with a non-zero status of 1."}}
    scene.google.change(f"{scene.job}-1", state, **(error if state == "FAILED" else {}))
    end = scene.ended()
    assert (end.state, end.word) == (ends, f"JOB_STATE_{state}")
    assert reason in end.reason
    assert bool(reason) == bool(end.reason)


@pytest.mark.parametrize(("most", "reason"), [("7998.5s", "trial_timeout"), ("8000s", "not by")])
def test_a_timed_out_job_has_failed(scene: Scene, most: str, reason: str) -> None:
    scene.start(1)
    scene.made("1")
    (job,) = scene.jobs
    job["jobSpec"] = {**job["jobSpec"], "scheduling": {"timeout": most}}
    scene.google.change(f"{scene.job}-1", "RUNNING")
    scene.until(lambda: any(isinstance(each, Running) for each in scene.machine_events))
    scene.google.change(f"{scene.job}-1", "CANCELLED")  # after 7999 seconds
    end = scene.ended()
    assert end.state == "failed"
    assert reason in end.reason


def test_an_unknown_state_is_kept_and_polled_again(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    for state in ("HIBERNATING", "PAUSED", "UPDATING"):
        scene.google.change(f"{scene.job}-1", state)
        scene.google.calls.clear()
        scene.until(lambda: scene.google.calls.count("get") > 1)
    assert scene.silent()
    scene.finish("1")
    assert scene.ended().state == "completed"


def test_the_launcher_saves_why_a_script_failed(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    name = f"{scene.job}-1"
    scene.google.keep(name, {"failure": "exit code 3\nValueError: bad data"})
    scene.google.change(name, "FAILED", error={"code": 13, "message": "non-zero status"})
    assert scene.ended().reason == "exit code 3\nValueError: bad data"


def test_a_stopped_trial_has_not_failed(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    scene.runner.stop(1)
    scene.until(lambda: scene.jobs[0]["state"] == "JOB_STATE_CANCELLING")
    scene.runner.stop(1)
    scene.google.change(f"{scene.job}-1", "CANCELLED")
    assert scene.ended().state == "completed"
    scene.runner.stop(1)
    assert scene.google.calls.count("cancel") == 1


def test_a_late_stop_has_no_effect(scene: Scene) -> None:
    scene.start(1)
    scene.made("1")
    looked = scene.google.calls.count("get")
    scene.until(lambda: scene.google.calls.count("get") > looked)
    scene.google.always["get"] = fake.error(503)
    scene.finish("1")
    scene.runner.stop(1)
    scene.until(lambda: "cancel" in scene.google.calls)
    scene.google.always = {}
    assert scene.ended().state == "completed"


@pytest.mark.parametrize(
    ("code", "message", "lost"),
    [
        (13, "Internal error occurred for the current attempt.", True),
        (14, "The machine of the job was taken away.", True),
        (13, "The replica exited with a non-zero status of 1.", False),
    ],
)
def test_a_job_that_google_failed_to_run_is_lost(
    scene: Scene, code: int, message: str, lost: bool
) -> None:
    scene.start(1)
    scene.made("1")
    scene.google.change(f"{scene.job}-1", "FAILED", error={"code": code, "message": message})
    end = scene.ended()
    assert (end.state, end.lost) == (("cancelled", True) if lost else ("failed", False))


def test_a_repeat_has_the_output_of_the_lost_trial(scene: Scene) -> None:
    scene.runner.start(scene.started(1))
    scene.made("1")
    repeat = replace(scene.started(2, after_step=3), replaces=1, checkpoint=1)
    scene.runner.start(repeat)
    scene.made("2")
    first, second = (each["customJob"]["jobSpec"] for each in scene.google.created)
    assert first["baseOutputDirectory"] == second["baseOutputDirectory"]
    scene.google.report(f"{scene.job}-2", accuracy=0.4)
    assert (scene.measured().number, scene.jobs[0]["state"]) == (2, "JOB_STATE_RUNNING")


def test_a_later_start_has_its_own_job_and_continues_the_steps(
    play: Callable[..., Scene],
) -> None:
    scene = play(HYPERBAND)
    scene.start(1, resource=3)
    scene.made("1")
    for value in (0.1, 0.2, 0.3):
        scene.google.report(f"{scene.job}-1", accuracy=value)
    scene.google.change(f"{scene.job}-1", "SUCCEEDED")
    assert scene.ended().state == "completed"
    scene.start(1, resource=9, start=2, after_step=3)
    scene.made("1-2")
    specs = [each["customJob"]["jobSpec"] for each in scene.google.created]
    args = [spec["workerPoolSpecs"][0]["pythonPackageSpec"]["args"] for spec in specs]
    assert [each[-1] for each in args] == ["--epochs=3", "--epochs=9"]
    assert specs[0]["baseOutputDirectory"] == specs[1]["baseOutputDirectory"]
    scene.google.report(f"{scene.job}-1-2", accuracy=0.4)
    scene.google.report(f"{scene.job}-1-2", step=7, accuracy=0.5)  # said by the script itself
    scene.google.report(f"{scene.job}-1-2", accuracy=0.6)
    assert [scene.measured().step for _ in range(3)] == [4, 7, 8]


def abandon(scene: Scene) -> None:
    """Leave the runner as a killed process would, with its jobs going on."""
    scene.google.always["cancel"] = fake.error(503)
    scene.runner.close()
    scene.google.always.clear()
    scene.runner = scene.another()


def test_running_trials_are_recovered(scene: Scene) -> None:
    scene.start(1, 2, 3)
    scene.made("1", "2", "3")
    names = [f"{scene.job}-{n}" for n in (1, 2, 3)]
    scene.google.report(names[0], accuracy=0.1)
    assert scene.measured().metrics["accuracy"] == 0.1
    abandon(scene)
    scene.google.report(names[0], accuracy=0.2)
    scene.finish("2")
    found = scene.runner.recover([scene.left(1, 1), *map(scene.left, (2, 3, 4))])
    assert found.running == {1, 2, 3}
    assert [(m.number, m.step, m.metrics["accuracy"]) for m in found.measured] == [
        (1, 2, 0.2),
        (2, 1, 0.5),
    ]
    end = scene.ended()
    assert (end.number, end.state) == (2, "completed")
    scene.google.report(names[0], accuracy=0.3)
    assert (scene.measured().step, scene.silent()) == (3, True)
    scene.google.change(names[0], "SUCCEEDED")
    scene.google.change(names[2], "FAILED")
    assert {scene.ended().number, scene.ended().number} == {1, 3}
    assert len(scene.google.jobs) == 3


def test_stopping_jobs_are_not_recovered(scene: Scene) -> None:
    scene.start(1, 2)
    scene.made("1", "2")
    abandon(scene)
    scene.google.change(f"{scene.job}-1", "CANCELLING")
    scene.google.change(f"{scene.job}-2", "CANCELLED")
    assert scene.runner.recover([*map(scene.left, (1, 2))]).running == set()


def test_jobs_of_another_run_are_ignored(scene: Scene) -> None:
    labels = {"cloudtune-run": "other", "cloudtune-job": f"{scene.job}-1"}
    scene.google.add(displayName=f"{scene.job}-1", labels=labels)
    assert scene.runner.recover([scene.left(1)]).running == set()
