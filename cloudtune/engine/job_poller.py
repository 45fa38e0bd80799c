"""The driven mode at a service: one training job a start of a trial, followed by looking at it.

One thread makes all calls, so that the driver never waits for a service, and looks at all running
jobs at once. An error that may pass delays a trial and never fails it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from cloudtune.engine.backoff import add_jitter, next_backoff, next_poll_time
from cloudtune.errors import EmulatorEndedError, ProviderError
from cloudtune.provider.models import Interrupted, Lost, Recovered, TrainingJob
from cloudtune.provider.protocols import Emit, TrainingJobs
from cloudtune.results.events import Ended, Measured, Started, TrialState
from cloudtune.results.model import Measurement

_MAX_OUTAGE = 600.0
"""Seconds for which running jobs wait for what does not pass by itself, as an expired sign-in."""


@dataclass
class _PolledJob:
    """A start of a trial until its `Ended`."""

    started: Started
    told: int = 0
    """How many of its measurements were told."""
    tried: bool = False
    """Whether its training job may be there, though no answer said so."""
    sure_at: float = 0.0
    """When its training job is not there if it is not found."""
    not_before: float = 0.0
    """When to try again to make it."""
    stop: bool = False
    """Whether the driver wants it to end."""
    stop_sent: bool = False

    @property
    def id(self) -> str:
        """The name of its training job."""
        assert self.started.id is not None
        return self.started.id


@dataclass(frozen=True)
class _Stop:
    number: int


class _Close:
    """The runner is not needed any more."""


class JobPoller:
    """Runs each start of a trial as a training job; the `TrialRunner` of every service."""

    enforces_trial_timeout = True

    def __init__(
        self, service: str, jobs: TrainingJobs, emit: Emit, notify: Callable[[str], None]
    ) -> None:
        """Prepare; nothing is called.

        Args:
            service: The provider's name.
            jobs: Reaches it.
            emit: Is told what happens.
            notify: Is told what trials wait for.
        """
        self._jobs = jobs
        self._service = service
        self._emit = emit
        self._notify = notify
        self._said = ""
        self._inbox: SimpleQueue[Started | _Stop | _Close] = SimpleQueue()
        self._waiting: dict[int, _PolledJob] = {}
        self._running: dict[int, _PolledJob] = {}
        self._closing = False
        self._due = 0.0
        """When to look next."""
        self._quiet_until = 0.0
        """Until when nothing is called, since the service could not be reached."""
        self._pause = 0.0
        self._trouble_since: float | None = None
        self._lost: Lost | None = None
        self._made_one = False
        self._thread = threading.Thread(target=self._work, name="training-jobs", daemon=True)

    def job_name(self, number: int, start: int) -> str:
        """Return the name of a training job before it is made."""
        return self._jobs.job_name(number, start)

    def start(self, started: Started) -> None:
        """Start a trial, or start it again with more of its resource and what it had saved."""
        self._inbox.put(started)
        self._begin()

    def stop(self, number: int, *, now: bool = False) -> None:
        """Ask a trial to end; the service gives it its own grace. An ended one is left alone."""
        self._inbox.put(_Stop(number))

    def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
        """Find the training jobs of the trials that were left running, and follow them.

        One that was stopped, is being stopped or ended nobody knows how is not followed: why is
        not known any more.

        Raises:
            ProviderError: If the service cannot be asked.
        """
        seen = self._patiently([each.started for each in interrupted if each.started.id])
        fresh: list[Measured] = []
        for each in interrupted:
            number = each.started.number
            job = seen.get(each.started.id or "")
            if job is None:
                continue
            fresh += [_to_event(number, m) for m in job.measurements[each.measured :]]
            lost = job.state == "unknown" and job.over
            if not (job.stopping or lost or job.state == "cancelled"):
                told = max(each.measured, len(job.measurements))
                self._running[number] = _PolledJob(each.started, told)
                self._made_one = True
        followed = frozenset(self._running)
        if followed:
            self._begin()
        return Recovered(fresh, followed)

    def close(self) -> None:
        """Ask the service to stop what still runs, and follow nothing any more."""
        self._inbox.put(_Close())
        if self._thread.ident is not None:
            self._thread.join()

    def _begin(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def _work(self) -> None:
        """Do what is wanted until the end; in the thread."""
        try:
            while not self._closing:
                self._take_wishes()
                quiet = self._lost is not None or time.monotonic() < self._quiet_until
                if not (self._closing or quiet):
                    self._act()
            if self._lost is None:
                self._stop_rest()
        except Exception as error:  # noqa: BLE001 - nobody shall wait for these trials for ever
            if self._closing:
                self._notify(f"{error!r} while training jobs were stopped; some may go on")
            self._lose("", go_on=True, error=error)

    def _take_wishes(self) -> None:
        """Wait for wishes until something is due, and take note of them."""
        next_time = max(self._due, self._quiet_until)
        wait = max(0.0, next_time - time.monotonic()) if self._running or self._waiting else None
        try:
            self._note(self._inbox.get(timeout=wait))
            while True:
                self._note(self._inbox.get_nowait())
        except Empty:
            return

    def _note(self, wish: Started | _Stop | _Close) -> None:
        if isinstance(wish, _Close):
            self._closing = True
        elif self._lost:
            return
        elif isinstance(wish, Started):
            self._waiting[wish.number] = _PolledJob(wish)
        elif job := self._running.get(wish.number) or self._waiting.get(wish.number):
            job.stop = True

    def _act(self) -> None:
        """Make, stop and look, each as far as the service lets it."""
        try:
            self._make_waiting()
            self._stop_wanted()
            if self._running and time.monotonic() >= self._due:
                self._look()
                self._due = next_poll_time(self._jobs.poll_seconds, len(self._running))
        except ProviderError as error:
            self._note_trouble(error)
        else:
            self._pause, self._trouble_since = 0.0, None

    def _note_trouble(self, error: ProviderError) -> None:
        """Wait before the next call; give up what cannot be waited for."""
        now = time.monotonic()
        self._trouble_since = self._trouble_since or now
        lasted = now - self._trouble_since
        waits = bool(self._running) and lasted <= _MAX_OUTAGE
        if isinstance(error, EmulatorEndedError):
            self._lose(str(error), go_on=False)
            return
        if not (error.retryable or waits):
            tried = [job for job in self._waiting.values() if job.tried]
            self._lose(str(error), go_on=bool(self._running or tried))
            return
        self._tell_user(f"{error}; it is asked again, less and less often")
        self._pause = next_backoff(self._jobs.poll_seconds, self._pause)
        self._quiet_until = now + add_jitter(self._pause)

    def _tell_user(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._notify(text)

    def _make_waiting(self) -> None:
        for job in list(self._waiting.values()):
            if self._lost:
                return
            if time.monotonic() < job.not_before and (job.tried or not job.stop):
                continue
            (self._withdraw if job.stop else self._make)(job)

    def _withdraw(self, job: _PolledJob) -> None:
        """End a trial that has no training job; follow it if it has one, so that it is stopped.

        Raises:
            ProviderError: If the service cannot be asked.
        """
        if self._may_be_there(job):
            return
        self._end(job, "failed", f"it was stopped before {self._service} had a place for it")

    def _make(self, job: _PolledJob) -> None:
        """Create the training job of a trial, unless a call without an answer has made it.

        Raises:
            ProviderError: If that may succeed later.
        """
        if self._may_be_there(job):
            return
        job.tried = True
        try:
            self._jobs.create(job.started)
        except ProviderError as error:
            job.sure_at = time.monotonic() + self._jobs.hidden_seconds
            if _concerns_service(error) or (error.affects_all_calls and self._running):
                raise
            if error.quota_exceeded and self._running:
                self._tell_user(f"{error}; trials wait until others have ended")
                job.tried = False
                job.not_before = time.monotonic() + 2 * self._jobs.poll_seconds
                return
            if error.affects_all_calls or not self._made_one:
                self._lose(str(error), go_on=False)
            else:
                self._end(job, "failed", str(error))
        else:
            self._follow(job)

    def _may_be_there(self, job: _PolledJob) -> bool:
        """Tell whether a trial has a training job, or may have one that is not found yet.

        If it has one it is followed; if it may have one it waits for the next look.

        Raises:
            ProviderError: If the service cannot be asked.
        """
        if not job.tried:
            return False
        if self._jobs.poll([job.started]):
            self._follow(job)
            return True
        now = time.monotonic()
        if now >= job.sure_at:
            return False
        self._tell_user(f"the training job {job.id} may be there, and is looked for again")
        job.not_before = now + self._jobs.poll_seconds
        if not self._running:
            self._due = job.not_before
        return True

    def _follow(self, job: _PolledJob) -> None:
        """Take note that the training job of a trial is there."""
        if not self._running:
            self._due = next_poll_time(self._jobs.poll_seconds, len(self._running))
        self._made_one = True
        number = job.started.number
        self._running[number] = self._waiting.pop(number)

    def _stop_wanted(self) -> None:
        for job in list(self._running.values()):
            if job.stop and not job.stop_sent:
                self._send_stop(job)

    def _send_stop(self, job: _PolledJob) -> None:
        try:
            self._jobs.stop(job.id)
        except ProviderError as error:
            if _concerns_service(error):
                raise
            words = f"{error}; it could not be stopped, and goes on at {self._service}"
            self._end(job, "failed", words)
        else:
            job.stop_sent = True

    def _stop_rest(self) -> None:
        try:
            for job in [job for job in self._waiting.values() if job.tried]:
                self._withdraw(job)
            for job in [job for job in self._running.values() if not job.stop_sent]:
                self._send_stop(job)
        except ProviderError:
            return  # out of reach, and the others are as well

    def _look(self) -> None:
        """Look at all running jobs, and tell what is new."""
        seen = self._jobs.poll([job.started for job in self._running.values()])
        for job in list(self._running.values()):
            if job.id in seen:
                self._tell(job, seen[job.id])
            else:
                self._end(job, "failed", f"there is no training job {job.id} any more")

    def _tell(self, job: _PolledJob, seen: TrainingJob) -> None:
        """Emit what is new about a trial, and its end once there is one."""
        for measurement in seen.measurements[job.told :]:
            self._emit(_to_event(job.started.number, measurement))
        job.told = max(job.told, len(seen.measurements))
        if not seen.over:
            return
        state, reason = seen.state, seen.reason
        if state == "cancelled":
            by = f"this training job was stopped by somebody else, at {self._service}"
            state, reason = ("completed", "") if job.stop else ("failed", by)
        self._end(job, state, reason, seen)

    def _end(
        self, job: _PolledJob, state: TrialState, reason: str, seen: TrainingJob | None = None
    ) -> None:
        """Emit a trial's end, and let others have its place."""
        number = job.started.number
        self._waiting.pop(number, None)
        self._running.pop(number, None)
        for other in self._waiting.values():
            other.not_before = 0.0
        now = time.time()
        end = Ended(number, now, state, reason)
        if seen is not None:
            end = replace(
                end,
                time=min(now, seen.ended or now),
                word=seen.word,
                log=seen.log,
                artifacts=seen.artifacts,
                billed_seconds=seen.billed_seconds,
                machine=seen.machine,
            )
        self._emit(end)

    def _lose(self, why: str, *, go_on: bool, error: Exception | None = None) -> None:
        """Tell that nothing can be started or followed any more."""
        if go_on:
            why += (
                f"; its training jobs may go on at {self._service}, and `cloudtune resume` finds "
                "them again"
            )
        self._lost = Lost(why, go_on, error)
        self._waiting.clear()
        self._running.clear()
        self._emit(self._lost)

    def _patiently(self, left: Sequence[Started]) -> Mapping[str, TrainingJob]:
        """Look at training jobs, waiting some time for an answer, and for those that are missing.

        Raises:
            ProviderError: If there is none.
        """
        begun = time.monotonic()
        while True:
            try:
                seen = self._jobs.poll(left)
            except ProviderError as error:
                if not error.retryable or time.monotonic() > begun + _MAX_OUTAGE:
                    raise
                self._tell_user(f"{error}; it is asked again")
            else:
                if len(seen) == len(left) or time.monotonic() >= begun + self._jobs.hidden_seconds:
                    return seen
                self._tell_user("training jobs that may be there are looked for again")
            time.sleep(self._jobs.poll_seconds)


def _concerns_service(error: ProviderError) -> bool:
    """Tell whether an error is about the service, and not about one training job."""
    return error.retryable or isinstance(error, EmulatorEndedError)


def _to_event(number: int, measurement: Measurement) -> Measured:
    time_of = measurement.time or time.time()
    return Measured(number, time_of, measurement.step, measurement.metrics)
