"""The tuning job of managed runs: submitted once, polled and stopped."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.errors import UsageError
from cloudtune.provider.models import JobRef, RawTrial
from cloudtune_vertex.contract import Measurement
from cloudtune_vertex.emulator.state import Status, Trial, TuningJob
from cloudtune_vertex.errors import GoogleError
from cloudtune_vertex.tuning_client import TuningClient
from tests.cloudtune_vertex.played import Played
from tests.played_service import starting

Play = Callable[..., "Harness"]
SCRIPT: Mapping[str, Any] = {"trial": {"script": "train.py"}}

BEGIN = calendar.timegm((2026, 11, 25, 10, 0, 0))


class Harness:
    """A plan, the emulator as the test wants it, and the client."""

    def __init__(self, service: Played) -> None:
        self.service = service
        self.plan = service.plan
        self.faults = service.faults
        self.job = self.plan.facts.job_name
        self.client = self.another()

    def another(self) -> TuningClient:
        return TuningClient(self.service.google, self.plan, self.service.context)

    def submit(self) -> JobRef:
        ref = self.client.submit(self.plan.request)
        self.tuning = self.service.store.get(TuningJob, ref.id)
        self.tuning.enter("JOB_STATE_RUNNING")
        self.tuning.created = BEGIN
        return ref

    def change(self, word: str, error: Status | None = None, **spec: Any) -> None:
        """Let the tuning job enter a state, with more in its StudySpec."""
        self.tuning.request["studySpec"].update(spec)
        self.tuning.enter(f"JOB_STATE_{word}", error)

    def trial(self, number: int, state: str = "ACTIVE", started: int = 0) -> Trial:
        """Add a trial, with its custom job."""
        self.service.add_trials(number)
        trial: Trial = self.tuning.trials[-1]
        trial.state, trial.started = state, BEGIN + started
        trial.job.created = trial.job.start_time = trial.job.started = trial.job.updated = BEGIN
        return trial

    def end(
        self,
        number: int,
        state: str,
        custom: str,
        final: Measurement | None = None,
        *,
        error: Status | None = None,
        reason: str = "",
    ) -> None:
        trial = next(each for each in self.tuning.trials if each.number == number)
        trial.state, trial.ended, trial.final, trial.reason = state, BEGIN + 300, final, reason
        trial.job.enter(f"JOB_STATE_{custom}", error)
        trial.job.ended = BEGIN + 300

    def report(self, number: int, step: int | None = None, **metrics: float) -> None:
        line = {"metrics": metrics, **({} if step is None else {"step": step})}
        self.service.save(str(number), line, of_run=False)

    def trials(self, ref: JobRef) -> dict[int, RawTrial]:
        return {trial.number: trial for trial in self.client.status(ref).trials}


def final(value: float, step: int = 3) -> Measurement:
    return Measurement(step, BEGIN + 290.0, {"accuracy": value})


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "train.py").write_text("print(1)")
    with starting(Played, tmp_path, monkeypatch) as start:

        def play(over: Mapping[str, Any] = SCRIPT) -> Harness:
            return Harness(start(over, mode="managed"))

        yield play


@pytest.fixture
def harness(play: Play) -> Harness:
    return play()


def test_code_is_uploaded_before_the_job_is_created(harness: Harness) -> None:
    assert harness.client.find(harness.job) is None
    ref = harness.submit()
    calls = harness.faults.calls
    assert calls.index("storage.objects.create") < calls.index("CreateHyperparameterTuningJob")
    assert ref == JobRef("vertex", harness.tuning.name)
    assert harness.another().find(harness.job) == ref
    assert harness.tuning.request["displayName"] == harness.job


def test_a_job_is_found_after_a_lost_response(harness: Harness) -> None:
    harness.faults.next["CreateHyperparameterTuningJob"] = ["lose_response"]
    with pytest.raises(GoogleError) as caught:
        harness.submit()
    assert caught.value.retryable
    ref = harness.client.find(harness.job)
    assert ref is not None
    assert harness.client.status(ref).state == "pending"


def test_of_two_jobs_with_one_name_the_oldest_is_found(harness: Harness) -> None:
    for seconds in (1, 0):
        ref = harness.submit()
        harness.tuning.created = BEGIN + seconds
    assert harness.client.find(harness.job) == ref


def test_how_long_a_job_may_be_hidden(harness: Harness) -> None:
    harness.service.google.emulated = False
    assert harness.another().hidden_seconds == 120


def test_a_job_of_another_run_or_name_is_ignored(harness: Harness) -> None:
    harness.submit()
    harness.tuning.request["labels"]["cloudtune-run"] = "other"
    harness.submit()
    harness.tuning.request["displayName"] = "other"
    assert harness.client.find(harness.job) is None


def test_an_unset_variable_is_reported_before_any_upload(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"TOKEN": {"from_env": "NOT_SET_HERE"}}
    harness = play({"trial": {"script": "train.py", "env": env}})
    with pytest.raises(UsageError, match="NOT_SET_HERE"):
        harness.submit()
    monkeypatch.setenv("NOT_SET_HERE", "")
    with pytest.raises(UsageError, match=r"trial\.env\.TOKEN"):
        harness.submit()
    assert harness.faults.calls == []


def test_only_the_sent_request_has_the_values_of_variables(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cr3t")
    env = {"TOKEN": {"from_env": "SECRET"}}
    harness = play({"trial": {"script": "train.py", "env": env}})
    harness.submit()
    assert "s3cr3t" in str(harness.tuning.request)
    assert "s3cr3t" not in str(harness.plan.request)


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
        ("UPDATING", "running"),
    ],
)
def test_job_states(harness: Harness, word: str, state: str) -> None:
    ref = harness.submit()
    harness.change(word)
    status = harness.client.status(ref)
    assert (status.state, status.word) == (state, f"JOB_STATE_{word}")


def test_the_reason_of_a_failed_job(harness: Harness) -> None:
    ref = harness.submit()
    harness.change("FAILED", Status(3, "no objective"))
    assert harness.client.status(ref).reason == "no objective"


def test_trials_are_ordered_and_have_the_services_values(harness: Harness) -> None:
    ref = harness.submit()
    for number in (10, 2, 1):
        harness.trial(number)
    requested = harness.trial(11, "REQUESTED")
    requested.parameters = {}  # there is nothing to tell of it yet
    trials = harness.client.status(ref).trials
    assert [trial.number for trial in trials] == [1, 2, 10]
    first = trials[0]
    assert (first.id, first.state, first.word) == ("1", "running", "ACTIVE")
    assert first.parameters == {"kind": "1e3", "lr": 0.5}
    assert first.created == BEGIN
    assert first.machine == "n1-standard-4"
    assert str(first.artifacts).endswith(f"/{harness.job}/output/1/model")
    assert harness.tuning.trials[-2].job.id in str(first.log)


def test_a_completed_trial_has_its_final_measurement(harness: Harness) -> None:
    ref = harness.submit()
    harness.trial(1)
    harness.end(1, "SUCCEEDED", "SUCCEEDED", final(0.875))
    trial = harness.trials(ref)[1]
    assert (trial.state, trial.ended) == ("completed", BEGIN + 300)
    assert [(m.step, m.metrics) for m in trial.measurements] == [(3, {"accuracy": 0.875})]


def test_an_omitted_zero_is_a_value(harness: Harness) -> None:
    ref = harness.submit()
    harness.trial(1)
    harness.end(1, "SUCCEEDED", "SUCCEEDED", final(0.0))
    trial = harness.trials(ref)[1]
    assert (trial.state, trial.measurements[0].metrics) == ("completed", {"accuracy": 0.0})


def test_curves_are_read_while_a_trial_runs(harness: Harness) -> None:
    ref = harness.submit()
    harness.trial(1)
    harness.report(1, accuracy=0.25, loss=3)
    assert [m.metrics for m in harness.trials(ref)[1].measurements] == [
        {"accuracy": 0.25, "loss": 3.0}
    ]
    harness.report(1, step=9, accuracy=0.5)
    harness.end(1, "SUCCEEDED", "SUCCEEDED", final(0.5, 9))
    trial = harness.trials(ref)[1]
    assert [(m.step, m.metrics["accuracy"]) for m in trial.measurements] == [(1, 0.25), (9, 0.5)]


def test_denied_measurements_are_reported(harness: Harness) -> None:
    ref = harness.submit()
    harness.trial(1)
    harness.report(1, accuracy=0.25)
    assert harness.client.status(ref).remark == ""
    harness.faults.always["storage.objects.list"] = "deny"
    harness.end(1, "SUCCEEDED", "SUCCEEDED", final(0.5))
    status, again = harness.client.status(ref), harness.client.status(ref)
    assert "storage.objects.list" in status.remark
    assert "only their final measurements are known" in status.remark
    assert status == again
    assert [m.metrics["accuracy"] for m in status.trials[0].measurements] == [0.25, 0.5]


def test_a_final_value_that_is_missing_in_the_curve_is_added(harness: Harness) -> None:
    ref = harness.submit()
    harness.trial(1)
    harness.report(1, accuracy=0.25)
    harness.end(1, "SUCCEEDED", "SUCCEEDED", final(0.5))
    assert [m.metrics["accuracy"] for m in harness.trials(ref)[1].measurements] == [0.25, 0.5]


def test_the_best_value_of_a_curve_is_not_added_twice(play: Play) -> None:
    over = {"objective": {"metric": "accuracy", "goal": "maximize", "select": "best"}}
    harness = play(over)
    ref = harness.submit()
    harness.trial(1)
    for value in (0.25, 0.75, 0.5):
        harness.report(1, accuracy=value)
    harness.end(1, "SUCCEEDED", "SUCCEEDED", final(0.75, 2))
    assert [m.metrics["accuracy"] for m in harness.trials(ref)[1].measurements] == [0.25, 0.75, 0.5]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_trial_with_a_last_value_that_is_not_finite_has_failed(
    harness: Harness, value: float
) -> None:
    ref = harness.submit()
    harness.trial(1)
    for each in (0.25, 0.5, value):
        harness.report(1, accuracy=each)
    harness.end(1, "SUCCEEDED", "SUCCEEDED", final(0.5, 2))  # which the launcher passed on last
    trial = harness.trials(ref)[1]
    assert [m.step for m in trial.measurements] == [1, 2, 3]
    assert (trial.state, trial.reason) == ("failed", f"accuracy was {value} at step 3")


def test_a_trial_without_finite_values_has_a_reason(harness: Harness) -> None:
    ref = harness.submit()
    harness.trial(1)
    harness.report(1, accuracy=float("nan"))
    harness.end(1, "INFEASIBLE", "SUCCEEDED")
    assert harness.trials(ref)[1].reason == "accuracy was nan at step 1"


def test_with_select_best_the_best_finite_value_counts(play: Play) -> None:
    over = {"objective": {"metric": "accuracy", "goal": "maximize", "select": "best"}}
    harness = play(over)
    ref = harness.submit()
    harness.trial(1)
    for each in (0.5, 0.25, float("nan")):
        harness.report(1, accuracy=each)
    harness.end(1, "SUCCEEDED", "SUCCEEDED", final(0.5, 1))
    trial = harness.trials(ref)[1]
    assert (trial.state, len(trial.measurements)) == ("completed", 3)


@pytest.mark.parametrize(
    ("custom", "given", "saved", "reason"),
    [
        ("FAILED", "", "exit code 3\nValueError: bad", "exit code 3\nValueError: bad"),
        ("FAILED", "", "", "non-zero status of 3"),
        ("EXPIRED", "", "", "expire"),
        ("SUCCEEDED", "none", "", "recorded no accuracy: none"),
        ("SUCCEEDED", "", "", "recorded no accuracy"),
    ],
)
def test_the_reason_of_an_infeasible_trial(
    harness: Harness, custom: str, given: str, saved: str, reason: str
) -> None:
    ref = harness.submit()
    harness.trial(1)
    if saved:
        harness.service.save("1", {"failure": saved}, of_run=False)
    failure = Status(13, "The replica exited with a non-zero status of 3.")
    error = failure if custom == "FAILED" else None
    harness.end(1, "INFEASIBLE", custom, error=error, reason=given)
    trial = harness.trials(ref)[1]
    assert (trial.state, trial.word) == ("failed", f"INFEASIBLE: JOB_STATE_{custom}")
    assert reason in trial.reason


def test_an_infeasible_trial_without_a_readable_job_has_failed(harness: Harness) -> None:
    ref = harness.submit()
    harness.trial(1)
    harness.end(1, "INFEASIBLE", "FAILED")
    harness.faults.always["GetCustomJob"] = "deny"
    trial = harness.trials(ref)[1]
    assert (trial.state, trial.word) == ("failed", "INFEASIBLE")


MEDIAN: dict[str, Any] = {"medianAutomatedStoppingSpec": {}}
LIMITED: dict[str, Any] = {"studyStoppingConfig": {"maxNumTrialsNoProgress": 3}}


@pytest.mark.parametrize(
    ("spec", "job", "trial", "state"),
    [
        (MEDIAN, "RUNNING", "SUCCEEDED", "stopped_early"),
        (MEDIAN, "SUCCEEDED", "INFEASIBLE", "stopped_early"),
        (MEDIAN, "CANCELLING", "SUCCEEDED", "cancelled"),
        (LIMITED, "SUCCEEDED", "SUCCEEDED", "cancelled"),
        (MEDIAN | LIMITED, "SUCCEEDED", "SUCCEEDED", "unknown"),
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
    harness: Harness, spec: dict[str, Any], job: str, trial: str, state: str
) -> None:
    ref = harness.submit()
    harness.change(job, **spec)
    harness.trial(1)
    harness.end(1, trial, "CANCELLED", final(0.5) if trial == "SUCCEEDED" else None)
    found = harness.trials(ref)[1]
    assert (found.state, bool(found.reason), found.over) == (state, True, True)


def in_time(seconds: int) -> dict[str, Any]:
    """Return the median rule in a study that may take so long; it begins at 10:00."""
    limit = {"maximumRuntimeConstraint": {"maxDuration": f"{seconds}s"}, "shouldStopAsap": True}
    return {**MEDIAN, "studyStoppingConfig": limit}


@pytest.mark.parametrize(("most", "state"), [(301, "stopped_early"), (300, "unknown")])
def test_a_trial_that_ended_before_the_studys_time_was_stopped_early(
    harness: Harness, most: int, state: str
) -> None:
    ref = harness.submit()
    harness.change("SUCCEEDED", **in_time(most))
    harness.trial(1)
    harness.end(1, "SUCCEEDED", "CANCELLED", final(0.5))  # at 10:05
    assert harness.trials(ref)[1].state == state


@pytest.mark.parametrize("job", ["SUCCEEDED", "FAILED", "CANCELLED"])
def test_a_followed_trial_was_not_stopped_with_the_job(harness: Harness, job: str) -> None:
    ref = harness.submit()
    harness.change(job, **in_time(60))
    harness.trial(1)
    harness.end(1, "SUCCEEDED", "CANCELLED", final(0.5))
    harness.trial(2, started=301)
    harness.end(2, "SUCCEEDED", "SUCCEEDED", final(0.5))
    assert harness.trials(ref)[1].state == "stopped_early"


def test_a_stopped_trial_runs_until_its_reason_is_known(harness: Harness) -> None:
    ref = harness.submit()
    harness.change("RUNNING", **MEDIAN, **LIMITED)
    harness.trial(1)
    harness.end(1, "SUCCEEDED", "CANCELLED", final(0.5))
    first = harness.trials(ref)[1]
    assert (first.state, first.over, first.ended) == ("running", False, None)
    harness.trial(2, started=360)
    assert harness.trials(ref)[1].state == "stopped_early"


def test_trials_that_a_failed_job_stopped(harness: Harness) -> None:
    ref = harness.submit()
    harness.change("FAILED", Status(3, "too many trials failed"))
    harness.trial(1)
    harness.end(1, "INFEASIBLE", "CANCELLED")
    assert "with the tuning job, which failed" in harness.trials(ref)[1].reason


def test_a_timed_out_trial_has_failed(harness: Harness) -> None:
    ref = harness.submit()
    harness.trial(1)
    assert harness.trials(ref)[1].state == "running"  # as its custom job
    harness.end(1, "INFEASIBLE", "CANCELLED")
    harness.tuning.trials[0].job.spec["scheduling"] = {"timeout": "300s"}
    trial = harness.trials(ref)[1]
    assert (trial.state, trial.reason) == ("failed", "its trial_timeout was reached")


def test_a_trial_whose_job_waits_is_waiting_and_cannot_be_timed_out(harness: Harness) -> None:
    ref = harness.submit()
    job = harness.trial(1).job
    job.enter("JOB_STATE_QUEUED")
    job.spec["scheduling"] = {"timeout": "300s"}
    trial = harness.trials(ref)[1]
    assert (trial.state, trial.word, trial.started, trial.over) == (
        *("waiting", "ACTIVE: JOB_STATE_QUEUED", None, False),
    )
    harness.end(1, "INFEASIBLE", "CANCELLED")
    trial = harness.trials(ref)[1]
    assert (trial.state, trial.started) == ("cancelled", None)


def test_a_trial_without_a_machine_is_lost_and_has_not_failed(harness: Harness) -> None:
    ref = harness.submit()
    harness.trial(1)
    text = "Resources are insufficient in region: us-central1. Please try a different region."
    harness.end(1, "INFEASIBLE", "FAILED", error=Status(14, text))
    end = harness.trials(ref)[1].end_event(1)
    assert (end.state, end.lost, end.reason, end.billed_seconds) == ("cancelled", True, text, 0.0)


def test_a_trial_seen_as_stopping_was_stopped_early(harness: Harness) -> None:
    ref = harness.submit()
    harness.change("RUNNING", **MEDIAN)
    harness.trial(1, "STOPPING")
    assert harness.trials(ref)[1].stopping
    harness.end(1, "SUCCEEDED", "SUCCEEDED", final(0.5))
    assert harness.trials(ref)[1].state == "stopped_early"


def test_ended_trials_are_not_read_again(harness: Harness) -> None:
    ref = harness.submit()
    for number in range(1, 60):
        harness.trial(number)
        harness.report(number, accuracy=0.5)
        harness.end(number, "INFEASIBLE", "FAILED")
    harness.trial(60)
    harness.client.status(ref)
    harness.faults.calls.clear()
    assert len(harness.client.status(ref).trials) == 60
    assert harness.faults.calls == ["GetHyperparameterTuningJob", "storage.objects.list"]


def test_an_ended_job_waits_for_its_trials(harness: Harness) -> None:
    ref = harness.submit()
    harness.trial(1)
    harness.change("SUCCEEDED")
    assert harness.client.status(ref).state == "running"
    harness.end(1, "SUCCEEDED", "SUCCEEDED", final(0.5))
    status = harness.client.status(ref)
    assert (status.state, status.trials[0].state) == ("completed", "completed")


@pytest.mark.parametrize(("word", "state"), [("CANCELLED", "cancelled"), ("FAILED", "unknown")])
def test_trials_that_never_end_end_with_their_job(harness: Harness, word: str, state: str) -> None:
    ref = harness.submit()
    harness.trial(1)
    harness.change(word)
    states = [harness.client.status(ref).state for _ in range(4)]
    assert states == ["running"] * 3 + ["cancelled" if word == "CANCELLED" else "failed"]
    trial = harness.trials(ref)[1]
    assert (trial.state, trial.over, bool(trial.reason)) == (state, True, True)


def test_stopping_an_ended_job_has_no_effect(harness: Harness) -> None:
    ref = harness.submit()
    harness.client.stop(ref)
    assert harness.client.status(ref).word == "JOB_STATE_CANCELLING"
    harness.client.stop(ref)
    harness.change("SUCCEEDED")  # which it may though it was to be cancelled
    harness.client.stop(ref)
    assert harness.client.status(ref).state == "completed"
    harness.faults.always["CancelHyperparameterTuningJob"] = "deny"
    harness.change("RUNNING")
    with pytest.raises(GoogleError):
        harness.client.stop(ref)


def test_a_missing_job_fails_after_several_polls(harness: Harness) -> None:
    ref = harness.submit()
    store = harness.service.store
    store.delete(harness.tuning)
    with pytest.raises(GoogleError):
        harness.client.status(ref)
    store.add(harness.tuning)
    assert harness.client.status(ref).state == "running"  # it was there after all
    store.delete(harness.tuning)
    for _ in range(3):
        with pytest.raises(GoogleError, match=r"^vertex: tuning job .* no longer exists") as told:
            harness.client.status(ref)
        assert told.value.retryable
    status = harness.client.status(ref)
    assert (status.state, "no longer" in status.reason) == ("failed", True)
