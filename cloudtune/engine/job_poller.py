"""Driven mode at a service: one training job for each start of a trial, polled until it ends.

One thread makes all calls, so that the driver never waits for a service, and polls all running jobs
together. A transient error delays a trial and never fails it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from cloudtune.common.debug_log import get_logger, log_calls
from cloudtune.engine.backoff import (
    FIRST_CONTACT_SECONDS,
    MAX_OUTAGE,
    Outage,
    first_contact_failure,
    next_poll_time,
    without_repeats,
)
from cloudtune.engine.circuit_breaker import GONE
from cloudtune.engine.job_recovery import find_jobs
from cloudtune.engine.polled_job import Capacity, PolledJob, to_event
from cloudtune.errors import EmulatorEndedError, ProviderError
from cloudtune.provider.models import Interrupted, Lost, Recovered, TrainingJob
from cloudtune.provider.protocols import Emit, RemovableJobs, TrainingJobs
from cloudtune.results.events import Ended, Measured, Running, Started, TrialState

_log = get_logger(__name__)


@dataclass(frozen=True)
class _Stop:
    number: int
    now: bool


class _Close: ...


class JobPoller:
    """Runs each start of a trial as a training job; the `TrialRunner` of every service."""

    def __init__(
        self,
        service: str,
        jobs: TrainingJobs,
        emit: Emit,
        notify: Callable[[str], None],
        is_stopping: Callable[[], bool] = bool,
        *,
        has_timeout: bool = False,
    ) -> None:
        """Create a runner of a provider's training jobs; nothing is called yet.

        A request to stop, for which ``is_stopping`` returns True, ends the wait of `recover`. A
        study that ``has_timeout`` asks for machines until then.
        """
        self._removable = jobs if isinstance(jobs, RemovableJobs) else None
        self._jobs = log_calls(jobs, service, _log)
        self.job_name = jobs.job_name
        self.enforces_trial_timeout = jobs.enforces_trial_timeout
        self._service = service
        self._emit = emit
        self._notify = notify
        self._is_stopping = is_stopping
        self._notify_once = without_repeats(notify)
        self._inbox: SimpleQueue[Started | _Stop | _Close] = SimpleQueue()
        self._waiting: dict[int, PolledJob] = {}
        self._running: dict[int, PolledJob] = {}
        self._closing = False
        self._next_poll = 0.0
        self._last_poll: float | None = None
        """When the running jobs were polled last, in epoch seconds."""
        self._capacity = Capacity(jobs.poll_seconds, has_timeout)
        self._poll_outage = Outage()
        self._request_outage = Outage()
        """Of creating and stopping jobs."""
        self._lost: Lost | None = None
        self._stops_failed = False
        """Whether jobs may still run after the end, since they could not be stopped."""
        self._any_created = False
        self._any_response = False
        """Whether a call has succeeded; until then, the service may be out of reach for good."""
        self._thread = threading.Thread(target=self._work, name="training-jobs", daemon=True)

    def start(self, started: Started) -> None:
        """Start a trial, or continue it with more of its resource and its checkpoint."""
        self._inbox.put(started)
        self._ensure_thread()

    def stop(self, number: int, *, now: bool = False) -> None:
        """Ask a trial to end, with the service's own grace period. Ended trials are ignored.

        After failed calls, the service is called at once, or left with ``now``.
        """
        self._inbox.put(_Stop(number, now))

    def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
        """Find the training jobs of the trials that were left running, and follow them.

        Jobs that were stopped, are stopping or ended in an unknown way are not followed, since the
        reason is no longer known.

        Raises:
            ProviderError: If the service cannot be reached.
        """
        starts = [each.started for each in interrupted if each.started.id]
        jobs = find_jobs(self._service, self._jobs, starts, self._notify_once, self._is_stopping)
        measurements: list[Measured] = []
        for each in interrupted:
            number = each.started.number
            job = jobs.get(each.started.id or "")
            if job is None:
                continue
            measurements += [to_event(number, m) for m in job.measurements[each.measured :]]
            ended_unknown = job.state == "unknown" and job.over
            if not (job.stopping or ended_unknown or job.state == "cancelled"):
                emitted = max(each.measured, len(job.measurements))
                polled = self._running[number] = PolledJob(each.started, emitted)
                polled.run_time = each.time or polled.run_time
                self._any_created = self._any_response = True
        followed = frozenset(self._running)  # before the thread changes it
        if followed:
            self._ensure_thread()
        return Recovered(measurements, followed)

    def close(self) -> None:
        """Ask the service to stop the running jobs, stop polling, and remove what they used."""
        self._inbox.put(_Close())
        if self._thread.ident is not None:
            self._thread.join()
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """Remove what the run has at the service, unless jobs may still need it."""
        recoverable = self._lost is not None and self._lost.recoverable
        if self._removable is None or recoverable or self._stops_failed:
            return
        try:
            self._removable.remove_leftovers()
        except EmulatorEndedError:
            return  # with everything in it
        except ProviderError as error:
            self._notify(f"{error}; `cloudtune clean RUN --remote` removes what is left")

    def _ensure_thread(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def _work(self) -> None:
        try:
            while not self._closing:
                self._receive_requests()
                if not self._closing:
                    self._act(self._request_outage, self._send_requests)
                    self._act(self._poll_outage, self._poll)
            if self._lost is None:
                self._stop_remaining()
        except Exception as error:  # noqa: BLE001 - the driver must not wait for these trials forever
            if self._closing:
                self._notify(f"{error!r} while stopping training jobs; some may still run")
            self._lose("", recoverable=True, error=error)

    def _receive_requests(self) -> None:
        """Wait for requests until the next call is due, and accept them."""
        due = self._next_due()
        left = math.inf if due is None else max(0.0, due - time.monotonic())
        try:
            self._accept(self._inbox.get(timeout=min(left, threading.TIMEOUT_MAX)))
            while True:
                self._accept(self._inbox.get_nowait())
        except Empty:
            return

    def _next_due(self) -> float | None:
        times: list[float] = []
        if self._running:
            times.append(max(self._next_poll, self._poll_outage.until))
        requests = [job.not_before for job in self._waiting.values()]
        requests += [0.0 for job in self._running.values() if job.stop and not job.stop_sent]
        if requests:
            times.append(max(min(requests), self._request_outage.until))
        return min(times, default=None)

    def _accept(self, request: Started | _Stop | _Close) -> None:
        if isinstance(request, _Close):
            self._closing = True
        elif self._lost:
            return
        elif isinstance(request, Started):
            job = self._waiting[request.number] = PolledJob(request)
            if seconds := self._capacity.pause:
                self._delay(job, seconds, self._capacity.reason)
        elif known := self._running.get(request.number) or self._waiting.get(request.number):
            known.stop = True
            for outage in (self._request_outage, self._poll_outage):
                outage.until = 0.0
                if request.now and outage.error and not self._lost:
                    self._lose(str(outage.error), recoverable=self._any_may_run)

    def _act(self, outage: Outage, call: Callable[[], None]) -> None:
        """Make calls of one kind, unless they are to be repeated later."""
        if self._lost or time.monotonic() < outage.until:
            return
        try:
            call()
        except ProviderError as error:
            self._handle_error(error, outage)
        else:
            outage.end()

    def _handle_error(self, error: ProviderError, outage: Outage) -> None:
        """Wait before the next call, or give up if waiting does not help."""
        seconds = outage.fail(error)
        if isinstance(error, EmulatorEndedError):
            self._lose(str(error), recoverable=False)
            return
        if not (error.retryable or (self._running and seconds <= MAX_OUTAGE)):
            self._lose(str(error), recoverable=self._any_may_run)
            return
        if not self._any_response and seconds >= FIRST_CONTACT_SECONDS:
            self._lose(first_contact_failure(error), recoverable=self._any_may_run)
            return
        if outage.is_news(text := f"{error}; retrying with increasing delays"):
            self._notify_once(text)
        longest = math.inf if self._any_response else FIRST_CONTACT_SECONDS - seconds
        wait = outage.back_off(self._jobs.poll_seconds, longest)
        _log.debug("back off for %.1f s: %s", wait, error)

    def _send_requests(self) -> None:
        self._stop_jobs()  # first: their end makes room for others, and saves money
        self._create_waiting()

    @property
    def _any_may_run(self) -> bool:
        return bool(self._running) or any(job.may_exist for job in self._waiting.values())

    def _create_waiting(self) -> None:
        for job in list(self._waiting.values()):
            if self._lost:
                return
            if time.monotonic() < job.not_before and (job.may_exist or not job.stop):
                continue
            (self._withdraw if job.stop else self._create)(job)

    def _withdraw(self, job: PolledJob) -> None:
        """End a trial without a training job; one that has a job is followed to be stopped."""
        if not self._follow_if_found(job):
            self._end(job, "failed", f"stopped before {self._service} had capacity for it")

    def _create(self, job: PolledJob) -> None:
        """Create the training job of a trial, unless an unanswered call has created it."""
        if self._follow_if_found(job):
            return
        job.may_exist = True
        try:
            self._jobs.create(job.started)
        except ProviderError as error:
            job.may_exist = error.retryable
            job.absent_after = time.monotonic() + self._jobs.hidden_seconds
            if _concerns_service(error) or (error.affects_all_calls and self._running):
                raise
            if error.quota_exceeded and self._any_created:
                self._notify_once(f"{error}; trials wait until other jobs end")
                self._delay(job, 2 * self._jobs.poll_seconds, str(error))
                return
            if error.affects_all_calls or not self._any_created:
                self._lose(str(error), recoverable=self._any_may_run)
            else:
                self._end(job, "failed", str(error))
        else:
            self._follow(job)

    def _delay(self, job: PolledJob, seconds: float, reason: str) -> None:
        """Create the training job of a trial later, and say why."""
        job.not_before = time.monotonic() + seconds
        if job.run_time.wait_reason != reason:
            self._emit(job.wait(reason))

    def _follow_if_found(self, job: PolledJob) -> bool:
        """Return whether a trial has a training job, or may have one that is not visible yet.

        An existing job is followed; one that may exist is looked for again later.
        """
        if not job.may_exist:
            return False
        found = self._jobs.poll([job.started])
        self._any_response = True
        if found:
            self._follow(job)
            return True
        now = time.monotonic()
        if now >= job.absent_after:
            return False
        self._notify_once(f"the training job {job.id} may exist; looking for it again")
        job.not_before = now + self._jobs.poll_seconds
        return True

    def _follow(self, job: PolledJob) -> None:
        if not self._running:
            self._next_poll = next_poll_time(self._jobs.poll_seconds, len(self._running))
        self._any_created = self._any_response = True
        self._running[job.started.number] = self._waiting.pop(job.started.number)

    def _stop_jobs(self) -> None:
        for job in [each for each in self._running.values() if each.stop and not each.stop_sent]:
            try:
                self._jobs.stop(job.id)
                job.stop_sent = True
            except ProviderError as error:
                if _concerns_service(error):
                    raise
                self._stops_failed = True
                self._notify(f"{error}; the training job {job.id} still runs at {self._service}")
                self._end(job, "failed", str(error))

    def _stop_remaining(self) -> None:
        try:
            for job in [job for job in self._waiting.values() if job.may_exist]:
                self._withdraw(job)
            for job in self._running.values():
                job.stop = True
            self._stop_jobs()
            self._stops_failed |= any(job.may_exist for job in self._waiting.values())
        except ProviderError as error:  # it is unreachable for the others, too
            self._stops_failed = True
            self._notify(f"{error}; training jobs may still run at {self._service}")

    def _poll(self) -> None:
        """Poll all running jobs if it is time, and emit what is new."""
        if not self._running or time.monotonic() < self._next_poll:
            return
        polled = self._jobs.poll([job.started for job in self._running.values()])
        now = time.time()
        for job in list(self._running.values()):
            if job.id in polled:
                self._emit_new(job, polled[job.id], now)
            else:
                self._end(job, "failed", f"the training job {job.id} {GONE}")
        self._last_poll = now
        self._next_poll = next_poll_time(self._jobs.poll_seconds, len(self._running))

    def _emit_new(self, job: PolledJob, polled: TrainingJob, now: float) -> None:
        """Emit whether a trial waits or runs, its new measurements, and its end."""
        for event in job.observe(polled, now=now, last_poll=self._last_poll):
            self._emit(event)
            if isinstance(event, Running):
                self._capacity.grant()
        if polled.over and polled.no_machine and not job.stop:
            self._ask_again(job, polled)
        elif polled.over:
            self._end(job, *job.outcome(polled, self._service), polled)

    def _ask_again(self, job: PolledJob, polled: TrainingJob) -> None:
        """End a start that got no machine; the driver starts the trial again, after a pause."""
        self._capacity.refuse(polled.reason)
        any_runs = any(each.run_time.is_running for each in self._running.values())
        if self._capacity.is_exhausted and not any_runs:
            for other in self._running.values():
                other.stop = other is not job
            self._stop_jobs()
            self._lose(self._capacity.end_reason(self._service), recoverable=False)
            return
        self._notify_once(f"{self._capacity.reason}; {self._capacity.advice}")
        self._end(job, "pending", self._capacity.reason, polled)

    def _end(
        self, job: PolledJob, state: TrialState, reason: str, polled: TrainingJob | None = None
    ) -> None:
        """Emit a trial's end, and retry those that waited for capacity."""
        number = job.started.number
        has_job = self._waiting.pop(number, None) is None
        self._running.pop(number, None)
        for other in self._waiting.values():
            other.not_before = self._capacity.until
        event = Ended(number, time.time(), state, billed_seconds=None if has_job else 0.0)
        event = polled.end_event(number) if polled else event
        lost, ended = event.lost and state != "completed", min(time.time(), event.time)
        event = replace(event, time=ended, state=state, reason=reason, lost=lost)
        self._emit(job.end(event, polled))

    def _lose(self, reason: str, *, recoverable: bool, error: Exception | None = None) -> None:
        """Give up: no trial can be started or followed any longer."""
        if recoverable:
            reason += f"; its training jobs may still run at {self._service}, and "
            reason += "`cloudtune resume` finds them"
        self._lost = Lost(reason, recoverable, error)
        self._waiting.clear()
        self._running.clear()
        self._emit(self._lost)


def _concerns_service(error: ProviderError) -> bool:
    """Return whether an error is about the whole service rather than one training job."""
    return error.retryable or isinstance(error, EmulatorEndedError)
