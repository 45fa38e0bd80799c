"""The tuning job of managed runs: submitted once, polled and stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.errors import UsageError
from cloudtune.provider.models import JobContext, JobRef, RawTrial
from cloudtune_vertex.errors import GoogleError
from cloudtune_vertex.tuning_client import TuningClient
from tests.cloudtune_vertex import fake_vertex as fake

JOB = "fake-3f6k2m9qxt"


class Scene:
    """A plan, the service as the test wants it, and the client."""

    def __init__(self, folder: Path, over: Mapping[str, Any]) -> None:
        (folder / "source").mkdir(exist_ok=True)
        (folder / "source" / "train.py").write_text("print(1)")
        self.google = fake.FakeGoogle()
        self.plan = fake.planned("managed", over)
        self.folder = folder
        self.client = self.another()

    def another(self) -> TuningClient:
        return TuningClient(self.google, self.plan, JobContext(self.folder))

    def submit(self) -> JobRef:
        return self.client.submit(self.plan.request)

    def trial(self, number: int, state: str = "ACTIVE", **told: Any) -> dict[str, Any]:
        """Put a trial there, with its custom job."""
        custom = self.google.add(displayName=f"{JOB}-trial-{number}")
        trial = {
            "id": str(number),
            "state": state,
            "parameters": [
                {"parameterId": "kind", "value": "1e3"},
                {"parameterId": "lr", "value": 0.5},
            ],
            "startTime": "2026-11-25T10:00:00Z",
            "customJob": custom["name"],
            **told,
        }
        self.google.called(JOB).setdefault("trials", []).append(trial)
        return trial

    def end(self, number: int, state: str, custom: str, **told: Any) -> None:
        for trial in self.google.called(JOB)["trials"]:
            if trial["id"] == str(number):
                trial |= {"state": state, "endTime": "2026-11-25T10:05:00Z", **told}
        self.google.change(f"{JOB}-trial-{number}", custom)

    def trials(self, ref: JobRef) -> dict[int, RawTrial]:
        return {trial.number: trial for trial in self.client.status(ref).trials}


def final(value: float | None, step: int = 3) -> dict[str, Any]:
    metric = {"metricId": "accuracy", **({} if value is None else {"value": value})}
    return {"finalMeasurement": {"stepCount": str(step), "metrics": [metric]}}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, {})


def test_code_is_uploaded_before_the_job_is_created(scene: Scene) -> None:
    assert scene.client.find(JOB) is None
    ref = scene.submit()
    assert scene.google.calls[-2:] == ["write", "create"]
    assert list(scene.google.buckets["my-bucket"]) == [
        f"tuning/{JOB}/source/cloudtune_trial-1.tar.gz"
    ]
    assert ref == JobRef("vertex", "projects/123456789012/locations/us-central1/"
                         "hyperparameterTuningJobs/1000")  # fmt: skip
    assert scene.another().find(JOB) == ref
    assert scene.google.created == [scene.plan.request]


def test_a_job_is_found_after_a_lost_response(scene: Scene) -> None:
    scene.google.lost["create"] = 1
    with pytest.raises(GoogleError) as caught:
        scene.submit()
    assert caught.value.retryable
    ref = scene.client.find(JOB)
    assert ref is not None
    assert scene.client.status(ref).state == "running"


def test_of_two_jobs_with_one_name_the_oldest_is_found(scene: Scene) -> None:
    labels = {"cloudtune-run": scene.plan.facts.run_id}
    second, first = (
        scene.google.add("hyperparameterTuningJobs", displayName=JOB, labels=labels, createTime=at)
        for at in ("2026-11-25T10:00:01Z", "2026-11-25T10:00:00Z")
    )
    assert second["name"] < first["name"]
    assert scene.client.find(JOB) == JobRef("vertex", first["name"])


def test_how_long_a_job_may_be_hidden(scene: Scene) -> None:
    assert scene.client.hidden_seconds == 1
    scene.google.emulated = False
    real = TuningClient(scene.google, scene.plan, JobContext(Path()))
    assert real.hidden_seconds == 120


def test_a_job_of_another_run_or_name_is_ignored(scene: Scene) -> None:
    for run, name in (("other", JOB), (scene.plan.facts.run_id, "other")):
        scene.google.add(
            "hyperparameterTuningJobs", displayName=name, labels={"cloudtune-run": run}
        )
    assert scene.client.find(JOB) is None


def test_an_unset_variable_is_reported_before_any_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"TOKEN": {"from_env": "NOT_SET_HERE"}}
    scene = Scene(tmp_path, {"trial": {"script": "train.py", "env": env}})
    with pytest.raises(UsageError, match="NOT_SET_HERE"):
        scene.submit()
    monkeypatch.setenv("NOT_SET_HERE", "")
    with pytest.raises(UsageError, match=r"trial\.env\.TOKEN"):
        scene.submit()
    assert scene.google.calls == []


def test_only_the_sent_request_has_the_values_of_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cr3t")
    env = {"TOKEN": {"from_env": "SECRET"}}
    scene = Scene(tmp_path, {"trial": {"script": "train.py", "env": env}})
    scene.submit()
    assert "s3cr3t" in str(scene.google.created)
    assert "s3cr3t" not in str(scene.plan.request)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("QUEUED", "pending"),
        ("PENDING", "pending"),
        ("RUNNING", "running"),
        ("CANCELLING", "running"),
        ("PAUSED", "running"),
        ("SUCCEEDED", "completed"),
        ("PARTIALLY_SUCCEEDED", "completed"),
        ("FAILED", "failed"),
        ("EXPIRED", "failed"),
        ("CANCELLED", "cancelled"),
        ("DREAMING", "unknown"),
    ],
)
def test_job_states(scene: Scene, word: str, state: str) -> None:
    ref = scene.submit()
    scene.google.change(JOB, word)
    status = scene.client.status(ref)
    assert (status.state, status.word) == (state, f"JOB_STATE_{word}")


def test_the_reason_of_a_failed_job(scene: Scene) -> None:
    ref = scene.submit()
    scene.google.change(JOB, "FAILED", error={"code": 3, "message": "no objective"})
    assert scene.client.status(ref).reason == "no objective"


def test_trials_are_ordered_and_have_the_services_values(scene: Scene) -> None:
    ref = scene.submit()
    for number in (10, 2, 1):
        scene.trial(number)
    scene.trial(11, "REQUESTED", parameters=[])  # there is nothing to tell of it yet
    trials = scene.client.status(ref).trials
    assert [trial.number for trial in trials] == [1, 2, 10]
    first = trials[0]
    assert (first.id, first.state, first.word) == ("1", "running", "ACTIVE")
    assert first.parameters == {"kind": "1e3", "lr": 0.5}
    assert first.created == 1795600800.0
    assert first.machine == "n1-standard-4"
    assert first.artifacts == f"gs://my-bucket/tuning/{JOB}/output/1/model"
    assert "/training/100" in str(first.log)


def test_a_completed_trial_has_its_final_measurement(scene: Scene) -> None:
    ref = scene.submit()
    scene.trial(1)
    scene.end(1, "SUCCEEDED", "SUCCEEDED", **final(0.875))
    trial = scene.trials(ref)[1]
    assert (trial.state, trial.ended) == ("completed", 1795601100.0)
    assert [(m.step, m.metrics) for m in trial.measurements] == [(3, {"accuracy": 0.875})]


def test_an_omitted_zero_is_a_value(scene: Scene) -> None:
    ref = scene.submit()
    scene.trial(1)
    scene.end(1, "SUCCEEDED", "SUCCEEDED", **final(None))
    trial = scene.trials(ref)[1]
    assert (trial.state, trial.measurements[0].metrics) == ("completed", {"accuracy": 0.0})


def test_curves_are_read_while_a_trial_runs(scene: Scene) -> None:
    ref = scene.submit()
    scene.trial(1)
    scene.google.report("1", accuracy=0.25, loss=3)
    assert [m.metrics for m in scene.trials(ref)[1].measurements] == [
        {"accuracy": 0.25, "loss": 3.0}
    ]
    scene.google.report("1", step=9, accuracy=0.5)
    scene.end(1, "SUCCEEDED", "SUCCEEDED", **final(0.5, 9))
    trial = scene.trials(ref)[1]
    assert [(m.step, m.metrics["accuracy"]) for m in trial.measurements] == [(1, 0.25), (9, 0.5)]


def test_denied_measurements_are_reported(scene: Scene) -> None:
    ref = scene.submit()
    scene.trial(1)
    scene.google.report("1", accuracy=0.25)
    assert scene.client.status(ref).remark == ""
    scene.google.always["list_objects"] = fake.error(403, "no storage.objects.list access")
    scene.end(1, "SUCCEEDED", "SUCCEEDED", **final(0.5))
    status, again = scene.client.status(ref), scene.client.status(ref)
    assert "no storage.objects.list access" in status.remark
    assert "only their final measurements are known" in status.remark
    assert status == again
    assert [m.metrics["accuracy"] for m in status.trials[0].measurements] == [0.25, 0.5]


def test_a_final_value_that_is_missing_in_the_curve_is_added(scene: Scene) -> None:
    ref = scene.submit()
    scene.trial(1)
    scene.google.report("1", accuracy=0.25)
    scene.end(1, "SUCCEEDED", "SUCCEEDED", **final(0.5))
    assert [m.metrics["accuracy"] for m in scene.trials(ref)[1].measurements] == [0.25, 0.5]


def test_the_best_value_of_a_curve_is_not_added_twice(tmp_path: Path) -> None:
    over = {"objective": {"metric": "accuracy", "goal": "maximize", "select": "best"}}
    scene = Scene(tmp_path, over)
    ref = scene.submit()
    scene.trial(1)
    for value in (0.25, 0.75, 0.5):
        scene.google.report("1", accuracy=value)
    scene.end(1, "SUCCEEDED", "SUCCEEDED", **final(0.75, 2))
    assert [m.metrics["accuracy"] for m in scene.trials(ref)[1].measurements] == [0.25, 0.75, 0.5]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_trial_with_a_last_value_that_is_not_finite_has_failed(
    scene: Scene, value: float
) -> None:
    ref = scene.submit()
    scene.trial(1)
    for each in (0.25, 0.5, value):
        scene.google.report("1", accuracy=each)
    scene.end(1, "SUCCEEDED", "SUCCEEDED", **final(0.5, 2))  # which the launcher passed on last
    trial = scene.trials(ref)[1]
    assert [m.step for m in trial.measurements] == [1, 2, 3]
    assert (trial.state, trial.reason) == ("failed", f"accuracy was {value} at step 3")


def test_a_trial_without_finite_values_has_a_reason(scene: Scene) -> None:
    ref = scene.submit()
    scene.trial(1)
    scene.google.report("1", accuracy=float("nan"))
    scene.end(1, "INFEASIBLE", "SUCCEEDED")
    assert scene.trials(ref)[1].reason == "accuracy was nan at step 1"


def test_with_select_best_the_best_finite_value_counts(tmp_path: Path) -> None:
    over = {"objective": {"metric": "accuracy", "goal": "maximize", "select": "best"}}
    scene = Scene(tmp_path, over)
    ref = scene.submit()
    scene.trial(1)
    for each in (0.5, 0.25, float("nan")):
        scene.google.report("1", accuracy=each)
    scene.end(1, "SUCCEEDED", "SUCCEEDED", **final(0.5, 1))
    trial = scene.trials(ref)[1]
    assert (trial.state, len(trial.measurements)) == ("completed", 3)


@pytest.mark.parametrize(
    ("custom", "told", "kept", "reason"),
    [
        ("FAILED", {}, "exit code 3\nValueError: bad", "exit code 3\nValueError: bad"),
        ("FAILED", {}, "", "non-zero status of 3"),
        ("EXPIRED", {}, "", "expire"),
        ("SUCCEEDED", {"infeasibleReason": "none"}, "", "recorded no accuracy: none"),
        ("SUCCEEDED", {}, "", "recorded no accuracy"),
    ],
)
def test_the_reason_of_an_infeasible_trial(
    scene: Scene, custom: str, told: dict[str, Any], kept: str, reason: str
) -> None:
    ref = scene.submit()
    scene.trial(1)
    if kept:
        scene.google.keep("1", {"failure": kept})
    scene.end(1, "INFEASIBLE", custom, **told)
    if custom == "FAILED":
        error = {"code": 13, "message": "The replica exited with a non-zero status of 3."}
        scene.google.called(f"{JOB}-trial-1")["error"] = error
    trial = scene.trials(ref)[1]
    assert (trial.state, trial.word) == ("failed", f"INFEASIBLE: JOB_STATE_{custom}")
    assert reason in trial.reason


def test_an_infeasible_trial_without_a_readable_job_has_failed(scene: Scene) -> None:
    ref = scene.submit()
    scene.trial(1)
    scene.end(1, "INFEASIBLE", "FAILED")
    scene.google.faults["get"] = [None, fake.error(403)]
    trial = scene.trials(ref)[1]
    assert (trial.state, trial.word) == ("failed", "INFEASIBLE")


MEDIAN: dict[str, Any] = {"studySpec": {"medianAutomatedStoppingSpec": {}}}
LIMITED: dict[str, Any] = {"studySpec": {"studyStoppingConfig": {"maxNumTrialsNoProgress": 3}}}


@pytest.mark.parametrize(
    ("spec", "job", "trial", "state"),
    [
        (MEDIAN, "RUNNING", "SUCCEEDED", "stopped_early"),
        (MEDIAN, "SUCCEEDED", "INFEASIBLE", "stopped_early"),
        (MEDIAN, "CANCELLING", "SUCCEEDED", "cancelled"),
        (LIMITED, "SUCCEEDED", "SUCCEEDED", "cancelled"),
        ({"studySpec": MEDIAN["studySpec"] | LIMITED["studySpec"]}, "SUCCEEDED", "SUCCEEDED",
         "unknown"),
        (MEDIAN, "FAILED", "INFEASIBLE", "unknown"),
        ({}, "RUNNING", "SUCCEEDED", "cancelled"),
        ({}, "SUCCEEDED", "SUCCEEDED", "cancelled"),
        ({}, "RUNNING", "INFEASIBLE", "cancelled"),
        ({}, "FAILED", "INFEASIBLE", "cancelled"),
        ({}, "FAILED", "SUCCEEDED", "cancelled"),
        ({}, "CANCELLED", "INFEASIBLE", "cancelled"),
    ],
)  # fmt: skip
def test_states_of_stopped_trials(
    scene: Scene, spec: dict[str, Any], job: str, trial: str, state: str
) -> None:
    ref = scene.submit()
    scene.google.change(JOB, job, **spec)
    scene.trial(1)
    told = final(0.5) if trial == "SUCCEEDED" else {}
    scene.end(1, trial, "CANCELLED", **told)
    found = scene.trials(ref)[1]
    assert (found.state, bool(found.reason), found.over) == (state, True, True)


def in_time(seconds: int) -> dict[str, Any]:
    """Return the median rule in a study that may take so long; it begins at 10:00."""
    limit = {"maximumRuntimeConstraint": {"maxDuration": f"{seconds}s"}, "shouldStopAsap": True}
    spec = {**MEDIAN["studySpec"], "studyStoppingConfig": limit}
    return {"studySpec": spec, "createTime": "2026-11-25T10:00:00Z"}


@pytest.mark.parametrize(("most", "state"), [(301, "stopped_early"), (300, "unknown")])
def test_a_trial_that_ended_before_the_studys_time_was_stopped_early(
    scene: Scene, most: int, state: str
) -> None:
    ref = scene.submit()
    scene.google.change(JOB, "SUCCEEDED", **in_time(most))
    scene.trial(1)
    scene.end(1, "SUCCEEDED", "CANCELLED", **final(0.5))  # at 10:05
    assert scene.trials(ref)[1].state == state


@pytest.mark.parametrize("job", ["SUCCEEDED", "FAILED", "CANCELLED"])
def test_a_followed_trial_was_not_stopped_with_the_job(scene: Scene, job: str) -> None:
    ref = scene.submit()
    scene.google.change(JOB, job, **in_time(60))
    scene.trial(1)
    scene.end(1, "SUCCEEDED", "CANCELLED", **final(0.5))
    scene.trial(2, startTime="2026-11-25T10:05:01Z")
    scene.end(2, "SUCCEEDED", "SUCCEEDED", **final(0.5))
    assert scene.trials(ref)[1].state == "stopped_early"


def test_a_stopped_trial_runs_until_its_reason_is_known(scene: Scene) -> None:
    ref = scene.submit()
    limited = {**MEDIAN["studySpec"], **LIMITED["studySpec"]}
    scene.google.change(JOB, "RUNNING", studySpec=limited)
    scene.trial(1)
    scene.end(1, "SUCCEEDED", "CANCELLED", **final(0.5))
    first = scene.trials(ref)[1]
    assert (first.state, first.over, first.ended) == ("running", False, None)
    scene.trial(2, startTime="2026-11-25T10:06:00Z")
    assert scene.trials(ref)[1].state == "stopped_early"


def test_trials_that_a_failed_job_stopped(scene: Scene) -> None:
    ref = scene.submit()
    scene.google.change(JOB, "FAILED", error={"code": 3, "message": "too many trials failed"})
    scene.trial(1)
    scene.end(1, "INFEASIBLE", "CANCELLED")
    assert "with the tuning job, which failed" in scene.trials(ref)[1].reason


def test_a_timed_out_trial_has_failed(scene: Scene) -> None:
    ref = scene.submit()
    scene.trial(1)
    assert scene.trials(ref)[1].state == "running"  # as its custom job
    scene.end(1, "INFEASIBLE", "CANCELLED")
    custom = scene.google.called(f"{JOB}-trial-1")
    custom["jobSpec"] = {"scheduling": {"timeout": "600s"}}
    trial = scene.trials(ref)[1]
    assert (trial.state, trial.reason) == ("failed", "its trial_timeout was reached")


def test_a_trial_whose_job_waits_is_waiting_and_cannot_be_timed_out(scene: Scene) -> None:
    ref = scene.submit()
    scene.trial(1)
    custom = scene.google.called(f"{JOB}-trial-1")
    custom |= {"state": "JOB_STATE_QUEUED", "jobSpec": {"scheduling": {"timeout": "600s"}}}
    trial = scene.trials(ref)[1]
    assert (trial.state, trial.word, trial.started, trial.over) == (
        *("waiting", "ACTIVE: JOB_STATE_QUEUED", None, False),
    )
    scene.end(1, "INFEASIBLE", "CANCELLED")
    trial = scene.trials(ref)[1]
    assert (trial.state, trial.started) == ("cancelled", None)


def test_a_trial_without_a_machine_is_lost_and_has_not_failed(scene: Scene) -> None:
    ref = scene.submit()
    scene.trial(1)
    scene.end(1, "INFEASIBLE", "FAILED")
    text = "Resources are insufficient in region: us-central1. Please try a different region."
    scene.google.called(f"{JOB}-trial-1")["error"] = {"code": 14, "message": text}
    end = scene.trials(ref)[1].end_event(1)
    assert (end.state, end.lost, end.reason, end.billed_seconds) == ("cancelled", True, text, 0.0)


def test_a_trial_seen_as_stopping_was_stopped_early(scene: Scene) -> None:
    ref = scene.submit()
    scene.google.change(JOB, "RUNNING", **MEDIAN)
    scene.trial(1, "STOPPING")
    assert scene.trials(ref)[1].stopping
    scene.end(1, "SUCCEEDED", "SUCCEEDED", **final(0.5))
    assert scene.trials(ref)[1].state == "stopped_early"


def test_ended_trials_are_not_read_again(scene: Scene) -> None:
    ref = scene.submit()
    for number in range(1, 60):
        scene.trial(number)
        scene.google.report(str(number), accuracy=0.5)
        scene.end(number, "INFEASIBLE", "FAILED")
    scene.trial(60)
    scene.client.status(ref)
    before = list(scene.google.calls)
    reads = len(scene.google.reads)
    assert len(scene.client.status(ref).trials) == 60
    assert scene.google.calls[len(before) :] == ["get", "list_objects"]
    assert len(scene.google.reads) == reads


def test_an_ended_job_waits_for_its_trials(scene: Scene) -> None:
    ref = scene.submit()
    scene.trial(1)
    scene.google.change(JOB, "SUCCEEDED")
    assert scene.client.status(ref).state == "running"
    scene.end(1, "SUCCEEDED", "SUCCEEDED", **final(0.5))
    status = scene.client.status(ref)
    assert (status.state, status.trials[0].state) == ("completed", "completed")


@pytest.mark.parametrize(("word", "state"), [("CANCELLED", "cancelled"), ("FAILED", "unknown")])
def test_trials_that_never_end_end_with_their_job(scene: Scene, word: str, state: str) -> None:
    ref = scene.submit()
    scene.trial(1)
    scene.google.change(JOB, word)
    states = [scene.client.status(ref).state for _ in range(4)]
    assert states == ["running"] * 3 + ["cancelled" if word == "CANCELLED" else "failed"]
    trial = scene.trials(ref)[1]
    assert (trial.state, trial.over, bool(trial.reason)) == (state, True, True)


def test_stopping_an_ended_job_has_no_effect(scene: Scene) -> None:
    ref = scene.submit()
    scene.client.stop(ref)
    assert scene.client.status(ref).word == "JOB_STATE_CANCELLING"
    scene.client.stop(ref)
    scene.google.change(JOB, "SUCCEEDED")  # which it may though it was to be cancelled
    scene.client.stop(ref)
    assert scene.client.status(ref).state == "completed"
    scene.google.always["cancel"] = fake.error(403)
    scene.google.change(JOB, "RUNNING")
    with pytest.raises(GoogleError):
        scene.client.stop(ref)


def test_a_missing_job_fails_after_several_polls(scene: Scene) -> None:
    ref = scene.submit()
    scene.google.faults["get"] = [fake.error(404), None]
    with pytest.raises(GoogleError):
        scene.client.status(ref)
    assert scene.client.status(ref).state == "running"  # it was there after all
    scene.google.jobs.clear()
    for _ in range(3):
        with pytest.raises(GoogleError, match=r"^vertex: tuning job .* no longer exists") as told:
            scene.client.status(ref)
        assert told.value.retryable
    status = scene.client.status(ref)
    assert (status.state, "no longer" in status.reason) == ("failed", True)
