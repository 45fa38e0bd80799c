"""Training jobs are made under names that are known before, and followed through all troubles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from cloudtune.engine import backoff, job_poller, polled_job
from cloudtune.engine.job_poller import JobPoller
from cloudtune.errors import EmulatorEndedError, ProviderError
from cloudtune.provider.models import Interrupted, Lost, TrainingJob
from cloudtune.results.events import Ended, Running, Started, Stopped, TrialState, Waiting
from cloudtune.results.model import Measurement
from tests.runner_harness import Followed

BUSY = ProviderError("far", "the line is busy", retryable=True)
EXPIRED = ProviderError("far", "the sign-in has expired", affects_all_calls=True)
FULL = ProviderError("far", "the quota is used up", quota_exceeded=True)


def measured(*values: float) -> list[Measurement]:
    return [Measurement(step, {"score": value}) for step, value in enumerate(values, start=1)]


WAITS = TrainingJob(state="waiting", word="QUEUED", reason="no node is free")
NO_MACHINE = TrainingJob(
    state="failed", word="FAILED", reason="no capacity", no_machine=True, ended=1.0
)
RUNNING = TrainingJob(state="running", word="RUNS")
DONE = TrainingJob(state="completed", word="DONE", measurements=measured(0.5))


class FarJobs:
    """A service that does what the test says."""

    enforces_trial_timeout = True
    poll_seconds = 0.01
    hidden_seconds = 0.0

    def __init__(self) -> None:
        self.jobs: dict[str, TrainingJob] = {}
        self.first = RUNNING
        """The state of a new job."""
        self.calls: list[str] = []
        self.faults: dict[str, list[ProviderError | None]] = {}
        """What the next calls raise; None: nothing."""
        self.lost = False
        """Whether the next answer to a create is lost."""
        self.hidden: dict[str, int] = {}
        """For how many looks a job is not found."""
        self.word = TrainingJob(state="cancelled", word="STOPPED")
        """What becomes of a job that is stopped."""

    def job_name(self, number: int, start: int) -> str:
        return f"job-{number}-{start}"

    def create(self, started: Started) -> None:
        self._call("create")
        assert started.id is not None
        assert started.id not in self.jobs
        self.jobs[started.id] = self.first
        if self.lost:
            self.lost = False
            raise BUSY

    def poll(self, starts: Sequence[Started]) -> Mapping[str, TrainingJob]:
        self._call("poll")
        ids = [s.id for s in starts if s.id in self.jobs]
        shown = [name for name in ids if self.hidden.get(name, 0) <= 0]
        self.hidden = {name: left - (name in ids) for name, left in self.hidden.items()}
        return {name: self.jobs[name] for name in shown}

    def stop(self, name: str) -> None:
        self._call("stop")
        self.jobs[name] = self.word

    def _call(self, what: str) -> None:
        self.calls.append(what)
        if (faults := self.faults.get(what)) and (fault := faults.pop(0)):
            raise fault


class Harness(Followed):
    def __init__(self) -> None:
        self.far = FarJobs()
        super().__init__("far", lambda: self.far)

    def until_created(self, *numbers: int) -> None:
        self.until(lambda: {f"job-{number}-1" for number in numbers} <= set(self.far.jobs))


@pytest.fixture
def harness() -> Iterator[Harness]:
    created = Harness()
    yield created
    created.far.faults.clear()
    created.runner.close()


def test_measurements_are_emitted_once(harness: Harness) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.jobs["job-1-1"] = replace(DONE, machine="big", billed_seconds=7.0)
    end = harness.ended()
    assert (end.state, end.word, end.machine, end.billed_seconds) == ("completed", "DONE", "big", 7)
    assert harness.silent()


def test_a_job_is_looked_for_before_it_is_created_again(harness: Harness) -> None:
    harness.far.lost = True
    harness.start(1)
    harness.until_created(1)
    harness.far.jobs["job-1-1"] = DONE
    assert harness.ended().state == "completed"
    assert harness.far.calls.count("create") == 1


def test_a_service_that_never_responds_ends_the_run(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_poller, "FIRST_CONTACT_SECONDS", 0.05)
    harness.far.faults = {"create": [BUSY] * 1000, "poll": [BUSY] * 1000}
    harness.start(1)
    lost = harness.lost()
    assert lost.recoverable  # the unanswered call may have created the job
    assert lost.reason.startswith("far: the line is busy; gave up")


def test_a_service_that_responded_once_is_waited_for(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_poller, "FIRST_CONTACT_SECONDS", 0.0)
    harness.start(1)
    harness.until_created(1)
    harness.far.faults = {"create": [BUSY] * 3, "poll": [BUSY] * 3}
    harness.start(2)
    harness.until_created(1, 2)


@pytest.fixture
def waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the runner wait for longer than a test after a failed call."""

    def next_backoff(_seconds: float, _last: float) -> float:
        return 1000.0

    monkeypatch.setattr(backoff, "next_backoff", next_backoff)


@pytest.mark.usefixtures("waits_long")
def test_running_jobs_are_polled_while_no_job_can_be_created(
    harness: Harness,
) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.faults = {"create": [BUSY]}
    harness.start(2)
    harness.until(lambda: harness.far.calls.count("create") == 2)
    harness.far.jobs["job-1-1"] = DONE
    assert harness.ended().number == 1
    assert harness.far.calls.count("create") == 2


@pytest.mark.usefixtures("waits_long")
def test_a_stop_ends_the_wait_after_failed_calls(harness: Harness) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.faults = {"poll": [BUSY], "stop": [BUSY]}
    harness.until(lambda: not harness.far.faults["poll"])
    harness.runner.stop(1)
    harness.until(lambda: not harness.far.faults["stop"])
    harness.runner.stop(1)
    assert harness.ended().number == 1
    assert harness.far.jobs["job-1-1"].word == "STOPPED"


@pytest.mark.usefixtures("waits_long")
def test_a_job_is_stopped_while_no_job_can_be_created(harness: Harness) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.faults = {"create": [BUSY] * 1000}
    harness.start(2)
    harness.until(lambda: any("retrying" in text for text in harness.said))
    harness.runner.stop(1)
    harness.until(lambda: harness.far.jobs["job-1-1"].word == "STOPPED")


@pytest.mark.usefixtures("waits_long")
def test_a_service_that_does_not_respond_can_be_left(harness: Harness) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.faults = {"stop": [BUSY]}
    harness.runner.stop(1)
    harness.until(lambda: any("retrying" in text for text in harness.said))
    harness.runner.stop(1, now=True)
    lost = harness.lost()
    assert lost.recoverable
    assert "busy; its training jobs may still run at far" in lost.reason


def test_polls_may_be_apart_by_any_time(harness: Harness) -> None:
    harness.far.poll_seconds = 1e15
    harness.start(1)
    harness.until_created(1)
    harness.start(2)
    harness.until_created(2)
    assert harness.silent()


def test_a_stop_ends_the_search_for_jobs(harness: Harness) -> None:
    harness.far.poll_seconds = 1000.0
    harness.far.faults = {"poll": [BUSY]}

    def ignore(*_: object, inline: bool = False) -> None: ...

    runner = JobPoller("far", harness.far, ignore, harness.said.append, lambda: True)
    with pytest.raises(ProviderError, match="may still run") as raised:
        runner.recover([harness.left(1)])
    assert raised.value.retryable


def test_a_refusal_of_all_jobs_ends_the_run_when_the_running_ones_have_ended(
    harness: Harness,
) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.faults = {"create": [EXPIRED] * 1000}
    harness.start(2)
    harness.until(lambda: harness.far.calls.count("create") >= 2)
    harness.far.jobs["job-1-1"] = DONE
    assert harness.ended().number == 1
    assert harness.lost() == Lost("far: the sign-in has expired", recoverable=False)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_job_that_becomes_visible_late_is_not_created_again(
    harness: Harness, *, stopped: bool
) -> None:
    harness.far.hidden_seconds = 20.0
    harness.far.hidden = {"job-1-1": 5}
    harness.far.lost = True
    harness.start(1)
    harness.until_created(1)
    if stopped:
        harness.runner.stop(1)
    else:
        harness.far.jobs["job-1-1"] = DONE
    assert harness.ended().state == "completed"
    assert harness.far.calls.count("create") == 1
    assert harness.far.calls.count("poll") > 5
    assert "the training job job-1-1 may exist; looking for it again" in harness.said


def test_a_job_that_does_not_become_visible_is_created_again(harness: Harness) -> None:
    harness.far.hidden_seconds = 2.0
    harness.far.faults = {"create": [BUSY]}
    harness.start(1)
    harness.until_created(1)
    assert harness.far.calls[: harness.far.calls.index("create", 1)].count("poll") > 1
    assert harness.far.calls.count("create") == 2


def test_recovery_waits_for_jobs_that_become_visible_late(harness: Harness) -> None:
    harness.far.hidden_seconds = 20.0
    harness.far.jobs["job-1-1"] = DONE
    harness.far.hidden = {"job-1-1": 3}
    assert harness.runner.recover([Interrupted(harness.started(1), 0, 0)]).running == {1}
    harness.far.hidden_seconds = 0.1
    assert 2 not in harness.runner.recover([Interrupted(harness.started(2), 0, 0)]).running


def test_a_transient_error_is_reported_once_and_fails_no_trial(harness: Harness) -> None:
    harness.far.faults = {"create": [BUSY], "poll": [None, BUSY, BUSY, BUSY]}
    harness.start(1)
    harness.until_created(1)
    harness.far.jobs["job-1-1"] = DONE
    assert harness.ended().state == "completed"
    assert harness.said == ["far: the line is busy; retrying with increasing delays"]


def test_waiting_for_a_quota_is_reported(harness: Harness) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.faults = {"create": [FULL, FULL]}
    harness.start(2)
    harness.until_created(2)
    assert harness.said == ["far: the quota is used up; trials wait until other jobs end"]


def test_an_expired_sign_in_waits_while_jobs_run(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.faults = {"poll": [EXPIRED] * 3}
    harness.far.jobs["job-1-1"] = DONE
    assert harness.ended().state == "completed"
    harness.far.faults = {"poll": [EXPIRED] * 1_000}
    monkeypatch.setattr(job_poller, "MAX_OUTAGE", 0.05)
    harness.start(2)
    harness.until_created(2)
    lost = harness.lost()
    assert lost.recoverable
    assert "the sign-in has expired; its training jobs may still run at far" in lost.reason
    harness.start(3)
    harness.runner.close()
    assert harness.far.jobs.keys() == {"job-1-1", "job-2-1"}
    assert "stop" not in harness.far.calls


def test_a_dead_emulator_is_not_waited_for(harness: Harness) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.faults = {"poll": [EmulatorEndedError("far", "poll")]}
    reason = "far: poll: the emulator has ended, and its jobs with it"
    assert harness.lost() == Lost(reason, recoverable=False)


def test_a_rejected_first_job_ends_the_runner(harness: Harness) -> None:
    harness.far.faults = {"create": [ProviderError("far", "no such machine")]}
    harness.start(1, 2, 3)
    assert harness.lost() == Lost("far: no such machine", recoverable=False)
    assert harness.silent()
    assert harness.far.calls.count("create") == 1


def test_a_rejected_job_does_not_hide_another_one_that_may_exist(harness: Harness) -> None:
    harness.far.hidden_seconds = 20.0
    harness.far.hidden = {"job-1-1": 1000}
    harness.far.lost = True
    harness.far.faults = {"create": [None, ProviderError("far", "no such machine")]}
    harness.start(1, 2)
    lost = harness.lost()
    assert lost.recoverable
    assert lost.reason.startswith("far: no such machine; its training jobs may still run at far")


def test_a_stopped_job_is_completed_if_cloudtune_stopped_it_else_failed(harness: Harness) -> None:
    harness.start(1, 2)
    harness.until_created(1, 2)
    harness.runner.stop(1)
    first = harness.ended()
    assert (first.number, first.state, type(first)) == (1, "completed", Stopped)
    harness.far.jobs["job-2-1"] = TrainingJob(state="cancelled", word="STOPPED")
    second = harness.ended()
    assert (second.state, "stopped at far, not by cloudtune" in second.reason) == ("failed", True)


def test_a_job_that_succeeds_before_it_is_stopped_ended_by_itself(harness: Harness) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.word = DONE
    harness.runner.stop(1)
    ended = harness.ended()
    assert (ended.state, type(ended)) == ("completed", Ended)


def test_a_lost_job_is_cancelled_unless_it_was_to_end(harness: Harness) -> None:
    harness.start(1, 2)
    harness.until_created(1, 2)
    gone = TrainingJob(state="failed", word="NODE_FAIL", reason="node n1 failed", lost=True)
    harness.far.jobs["job-1-1"] = gone
    first = harness.ended()
    assert (first.state, first.reason, first.lost) == ("cancelled", "node n1 failed", True)
    harness.far.word = gone
    harness.runner.stop(2)
    second = harness.ended()
    assert (second.state, second.lost) == ("completed", False)


@pytest.mark.parametrize(
    ("job", "out_of_memory"),
    [
        (TrainingJob(state="failed", word="OOM", reason="killed", out_of_memory=True), True),
        (TrainingJob(state="failed", word="BAD", reason="out of memory: exit code 1"), True),
        (TrainingJob(state="failed", word="BAD", reason="exit code 1: out of memory"), False),
    ],
)
def test_the_service_or_the_launcher_reports_a_lack_of_memory(
    harness: Harness, job: TrainingJob, out_of_memory: bool
) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.jobs["job-1-1"] = job
    assert harness.ended().out_of_memory is out_of_memory


def test_recovered_jobs_continue_from_their_last_measurement(harness: Harness) -> None:
    harness.far.jobs = {
        "job-1-2": replace(RUNNING, measurements=measured(0.1, 0.2, 0.3)),
        "job-2-1": replace(DONE, measurements=measured(0.4)),
        "job-3-1": replace(RUNNING, stopping=True, measurements=measured(0.5)),
        "job-4-1": TrainingJob(state="cancelled", word="STOPPED"),
        "job-7-1": TrainingJob(state="unknown", word="???", ended=9.0),
    }
    left = [
        Interrupted(harness.started(1, 2), 2, 9),
        *(Interrupted(harness.started(number), 0, 0) for number in (2, 3, 4, 5, 7)),
        Interrupted(Started(6, 0.0, {}), 0, 0),
    ]
    found = harness.runner.recover(left)
    assert found.running == {1, 2}
    told = [(m.number, m.step, m.metrics["score"]) for m in found.measured]
    assert told == [(1, 3, 0.3), (2, 1, 0.4), (3, 1, 0.5)]
    assert harness.ended().number == 2
    assert harness.silent()
    harness.far.jobs["job-1-2"] = replace(DONE, measurements=measured(0.1, 0.2, 0.3, 0.6))
    assert harness.ended().number == 1
    assert "create" not in harness.far.calls


def test_a_job_in_an_unknown_state_is_followed_until_it_ends(harness: Harness) -> None:
    harness.far.jobs["job-1-1"] = TrainingJob(state="unknown", word="MAINTAINED")
    assert harness.runner.recover([Interrupted(harness.started(1), 0, 0)]).running == {1}
    assert harness.silent()
    harness.far.jobs["job-1-1"] = DONE
    assert harness.ended().state == "completed"
    assert "create" not in harness.far.calls


def test_close_stops_running_jobs(harness: Harness) -> None:
    harness.start(1, 2)
    harness.until_created(1, 2)
    harness.runner.close()
    assert {job.word for job in harness.far.jobs.values()} == {"STOPPED"}


def test_start_does_not_block(harness: Harness) -> None:
    harness.far.faults = {"create": [BUSY] * 1_000}
    harness.start(1, 2, 3)
    assert harness.far.faults["create"], "it has waited until the service answered"
    harness.far.faults.clear()
    harness.until_created(1, 2, 3)


def test_a_rejected_later_job_is_a_failed_trial(harness: Harness) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.faults = {"create": [ProviderError("far", "too odd")]}
    harness.start(2)
    end = harness.ended()
    assert (end.number, end.state, "too odd" in end.reason) == (2, "failed", True)
    harness.start(3)
    harness.until_created(3)


def test_a_missing_job_ends_its_trial(harness: Harness) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.jobs.clear()
    assert "the training job job-1-1 no longer exists" in harness.ended().reason


def test_a_trial_stopped_during_an_unanswered_create_is_not_left_running(
    harness: Harness,
) -> None:
    harness.far.lost = True
    harness.far.faults = {"poll": [BUSY] * 3}
    harness.start(1)
    harness.until_created(1)
    harness.runner.stop(1)
    assert harness.ended().number == 1
    assert harness.far.jobs["job-1-1"].word == "STOPPED"
    assert harness.far.calls.count("create") == 1


def test_a_quota_that_others_use_up_fails_no_trial(harness: Harness) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.jobs["job-1-1"] = DONE
    assert harness.ended().number == 1
    harness.far.faults = {"create": [FULL, FULL]}
    harness.start(2)
    harness.until_created(1, 2)
    harness.far.jobs["job-2-1"] = DONE
    assert (harness.ended().state, harness.far.calls.count("create")) == ("completed", 4)


def test_a_quota_that_is_used_up_at_first_ends_the_runner(harness: Harness) -> None:
    harness.far.faults = {"create": [FULL]}
    harness.start(1)
    assert harness.lost() == Lost("far: the quota is used up", recoverable=False)


def test_a_trial_that_waits_for_capacity_can_be_stopped(harness: Harness) -> None:
    harness.start(1)
    harness.until_created(1)
    harness.far.faults = {"create": [FULL] * 1_000}
    harness.start(2)
    harness.until(lambda: harness.far.calls.count("create") >= 2)
    harness.runner.stop(2)
    end = harness.ended()
    assert (end.number, end.billed_seconds) == (2, 0)
    assert list(harness.far.jobs) == ["job-1-1"]


def test_recovery_waits_for_a_busy_service(harness: Harness) -> None:
    harness.far.jobs["job-1-1"] = RUNNING
    harness.far.faults = {"poll": [BUSY] * 3}
    found = harness.runner.recover([Interrupted(harness.started(1), 0, 0)])
    assert found.running == {1}


def test_an_unexpected_error_is_reported_as_lost(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    harness.start(1)
    harness.until_created(1)
    monkeypatch.setattr(harness.far, "poll", broken)
    lost = harness.lost()
    assert isinstance(lost.error, ZeroDivisionError)
    assert lost.recoverable


class RemovableFarJobs(FarJobs):
    """A service at which a run leaves something."""

    def remove_leftovers(self) -> None:
        self._call("remove")


class RemovableScene(Harness):
    def __init__(self) -> None:
        self.far = RemovableFarJobs()
        Followed.__init__(self, "far", lambda: self.far)


def test_what_a_run_has_left_is_removed_after_its_jobs_were_stopped() -> None:
    harness = RemovableScene()
    harness.start(1)
    harness.until_created(1)
    harness.runner.close()
    assert harness.far.calls[-2:] == ["stop", "remove"]
    assert harness.far.calls.count("remove") == 1


def test_nothing_is_removed_while_jobs_may_run() -> None:
    harness = RemovableScene()
    harness.start(1)
    harness.until_created(1)
    harness.far.faults["stop"] = [BUSY] * 9
    harness.runner.close()
    assert "remove" not in harness.far.calls
    assert harness.said == ["far: the line is busy; training jobs may still run at far"]


@pytest.mark.parametrize("closes", [False, True])
def test_a_job_that_cannot_be_stopped_is_reported_and_nothing_that_it_may_need_removed(
    *, closes: bool
) -> None:
    harness = RemovableScene()
    harness.start(1)
    harness.until_created(1)
    harness.far.faults["stop"] = [EXPIRED]
    if not closes:
        harness.runner.stop(1)
        assert harness.ended().number == 1
    harness.runner.close()
    assert "remove" not in harness.far.calls
    (text,) = harness.said
    assert text == "far: the sign-in has expired; the training job job-1-1 still runs at far"


def test_nothing_is_removed_while_a_job_may_become_visible() -> None:
    harness = RemovableScene()
    harness.far.hidden_seconds = 20.0
    harness.far.hidden = {"job-1-1": 1000}
    harness.far.lost = True
    harness.start(1)
    harness.until_created(1)
    harness.runner.close()
    assert "remove" not in harness.far.calls


def test_a_rejected_first_job_leaves_nothing() -> None:
    harness = RemovableScene()
    harness.far.faults["create"] = [EXPIRED]
    harness.start(1)
    assert "expired" in harness.lost().reason
    harness.runner.close()
    assert harness.far.calls[-1] == "remove"


def test_a_failed_removal_is_reported() -> None:
    harness = RemovableScene()
    harness.far.faults["remove"] = [BUSY]
    harness.runner.close()
    assert any("clean RUN --remote" in text for text in harness.said)


def test_what_a_job_waits_for_is_an_event_and_so_is_its_machine(harness: Harness) -> None:
    harness.far.first = WAITS
    harness.start(1)
    harness.until(lambda: len(harness.machine_events) == 1)
    harness.far.jobs["job-1-1"] = replace(RUNNING, started=5.0)
    harness.until(lambda: len(harness.machine_events) == 2)
    harness.far.jobs["job-1-1"] = replace(DONE, started=5.0)
    harness.ended()
    waiting, running = harness.machine_events
    assert isinstance(waiting, Waiting)
    assert waiting.reason == "no node is free"
    assert running == Running(1, 5.0)


@pytest.mark.parametrize(("state", "ran"), [("completed", True), ("cancelled", False)])
def test_a_job_that_was_only_seen_waiting_has_run_unless_it_was_cancelled(
    harness: Harness, state: TrialState, ran: bool
) -> None:
    harness.far.first = WAITS
    harness.start(1)
    harness.until(lambda: len(harness.machine_events) == 1)
    harness.far.jobs["job-1-1"] = replace(DONE, state=state)
    harness.ended()
    assert [type(each) for each in harness.machine_events] == [Waiting, *([Running] if ran else [])]


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
def test_the_bill_of_a_job_that_ran_unseen_has_two_bounds(
    harness: Harness, state: TrialState
) -> None:
    harness.far.first = replace(DONE, state=state)
    harness.start(1)
    end = harness.ended()
    assert harness.machine_events == []
    assert end.billed_at_least == 0.0
    assert end.billed_seconds == pytest.approx(end.time - harness.started(1).time, abs=200)


def test_the_bill_of_a_job_whose_service_reports_its_start_has_no_bounds(harness: Harness) -> None:
    harness.far.first = replace(DONE, started=5.0)
    harness.start(1)
    end = harness.ended()
    assert (end.billed_seconds, end.billed_at_least) == (None, None)


def test_a_job_without_a_machine_is_no_failure_and_the_next_one_waits(harness: Harness) -> None:
    harness.far.first = NO_MACHINE
    harness.start(1)
    end = harness.ended()
    assert (end.state, end.lost, end.reason, end.billed_seconds) == (
        *("pending", True, "no capacity", 0.0),
    )
    harness.far.first = RUNNING
    harness.start(1, start=2)
    harness.until(lambda: "job-1-2" in harness.far.jobs and len(harness.machine_events) > 1)
    assert [type(each) for each in harness.machine_events[:2]] == [Waiting, Waiting]
    assert "up to 24 times in a row" in " ".join(harness.said)


@pytest.mark.parametrize("has_timeout", [False, True])
def test_asking_for_machines_ends(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, has_timeout: bool
) -> None:
    monkeypatch.setattr(polled_job, "MAX_ASKED", 3)
    harness.has_timeout = has_timeout
    harness.runner = harness.another()
    harness.far.first = NO_MACHINE
    for start in (1, 2):
        harness.start(1, start=start)
        assert harness.ended().state == "pending"
    harness.start(1, start=3)
    if has_timeout:
        assert harness.ended().state == "pending"
    else:
        lost = harness.lost()
        assert not lost.recoverable
        assert "no capacity; far had no machine 3 times in a row" in lost.reason
