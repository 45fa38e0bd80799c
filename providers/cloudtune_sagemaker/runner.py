"""The driven mode's runner: one training job a trial.

One thread makes all calls. It takes what the driver wants from an inbox, so that the driver never
waits for AWS, and between that looks at all running jobs with one call for each hundred. An error
that may pass delays a trial and never fails it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar

from cloudtune.errors import ProviderError
from cloudtune.events import Ended, Measured, Started, TrialState
from cloudtune.planning import Plan
from cloudtune.provider import Emit, Json, Place, Recovered
from cloudtune_sagemaker import metrics, response
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.environment import Mask
from cloudtune_sagemaker.failures import NO_EMULATOR, PROVIDER, AwsError
from cloudtune_sagemaker.logs import log_of
from cloudtune_sagemaker.starts import Start, found_again, measured
from cloudtune_sagemaker.training import TrainingJobs, ending
from cloudtune_sagemaker.upload import upload

_T = TypeVar("_T")

POLL = 15.0
POLL_EMULATED = 0.25
_LONGEST_PAUSE = 300.0
"""Seconds between two tries while AWS cannot be reached."""
_LONGEST_TROUBLE = 600.0
"""Seconds for which running jobs wait for what does not pass by itself, as an expired sign-in."""
_PATIENCE = 3
"""Looks for which a trial that has ended waits for its last metrics."""


@dataclass(frozen=True)
class _Stop:
    number: int


class _Close:
    """The runner is not needed any more."""


class SagemakerRunner:
    """Runs each trial as a training job; the `TrialRunner` of SageMaker."""

    times_trials = True

    def __init__(self, aws: Aws, plan: Plan, place: Place, emit: Emit) -> None:
        """Bring code and data to S3.

        Args:
            aws: Reaches the service.
            plan: Of the job.
            place: Where it is at home.
            emit: Is told what happens.

        Raises:
            UsageError: If a variable that trials are to be given is not set.
            ProviderError: If the bucket is not there, or something cannot be sent.
        """
        self._aws = aws
        self._service = TrainingJobs(aws, plan)
        self._mask = Mask(plan.study)
        self._plan = plan
        self._place = place
        self._emit = emit
        self._reader = metrics.MetricReader(aws, plan)
        self._poll = POLL_EMULATED if aws.emulated else POLL
        self._inbox: SimpleQueue[Started | _Stop | _Close] = SimpleQueue()
        self._waiting: dict[int, Start] = {}
        self._running: dict[int, Start] = {}
        self._starts: dict[int, int] = {}
        """How many training jobs each trial had."""
        self._steps: dict[int, int] = {}
        """The last step of each trial."""
        self._made_one = False
        self._closing = False
        self._due = 0.0
        """When to look next."""
        self._quiet_until = 0.0
        """Until when nothing is called, since AWS could not be reached."""
        self._pause = 0.0
        self._trouble_since: float | None = None
        self._broken: ProviderError | None = None
        self._thread = threading.Thread(target=self._work, name="sagemaker-trials", daemon=True)
        upload(aws, plan, place)

    def start(self, started: Started) -> None:
        """Start a trial, or start it again with more of its resource and what it had saved.

        Raises:
            ProviderError: If training jobs can be neither made nor followed any more.
        """
        if self._broken is not None:
            raise self._broken
        self._inbox.put(started)
        self._begin()

    def stop(self, number: int, *, now: bool = False) -> None:
        """Ask a trial to end; SageMaker gives it two minutes. An ended one is left alone."""
        self._inbox.put(_Stop(number))

    def recover(self, known: Mapping[int, int]) -> Recovered:
        """Find the training jobs of the trials that were left running, and follow them.

        Args:
            known: How many measurements are known, by the numbers of those trials.

        Raises:
            ProviderError: If SageMaker cannot be asked.
        """
        fresh: list[Measured] = []
        for number, count in known.items():
            jobs = self._patiently(partial(self._service.of_trial, number))
            if jobs:
                fresh += self._patiently(partial(self._taken_up, number, jobs, count))
        followed = frozenset(self._running)
        if followed:
            self._begin()
        return Recovered(fresh, followed)

    def close(self) -> None:
        """Ask SageMaker to stop what still runs, and follow nothing any more."""
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
                if not self._closing and time.monotonic() >= self._quiet_until:
                    self._act()
            self._stop_rest()
        finally:
            if not self._closing:  # a fault of ours: nobody shall wait for these trials for ever
                self._broken = ProviderError(PROVIDER, "cloudtune itself failed")
                self._end_all("cloudtune itself failed")

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
        elif isinstance(wish, Started):
            self._waiting[wish.number] = Start(
                wish.number,
                self._service.given(wish),
                offset=self._steps.get(wish.number, 0),
            )
        elif job := self._running.get(wish.number) or self._waiting.get(wish.number):
            job.stop = True

    def _act(self) -> None:
        """Make, stop and look, each as far as the service lets it."""
        try:
            self._make_waiting()
            self._stop_wanted()
            if self._running and time.monotonic() >= self._due:
                self._look()
                self._due = time.monotonic() + self._poll
        except AwsError as error:
            self._note_trouble(error)
        else:
            self._pause, self._trouble_since = 0.0, None

    def _note_trouble(self, error: AwsError) -> None:
        """Wait before the next call; give up what cannot be waited for."""
        now = time.monotonic()
        self._trouble_since = self._trouble_since or now
        lasted = now - self._trouble_since
        waits = bool(self._running) and lasted <= _LONGEST_TROUBLE and error.code != NO_EMULATOR
        if not (error.retryable or waits):
            self._broken = error
            self._end_all(self._mask(str(error)))
            return
        self._pause = min(max(self._poll, 2 * self._pause), _LONGEST_PAUSE)
        self._quiet_until = now + self._pause

    def _make_waiting(self) -> None:
        for job in list(self._waiting.values()):
            if job.stop:
                self._withdraw(job)
            elif time.monotonic() >= job.not_before:
                self._make(job)

    def _withdraw(self, job: Start) -> None:
        """End a trial that has no training job; follow it if it has one, so that it is stopped.

        Raises:
            AwsError: If SageMaker cannot be asked.
        """
        name: str = self._request(job)["TrainingJobName"]
        found = self._service.find(name) if job.tried else None
        if found is None:
            self._end(job, "failed", "it was stopped before SageMaker had a place for it")
        else:
            self._follow(job, name, found["TrainingJobArn"])

    def _make(self, job: Start) -> None:
        """Create the training job of a trial.

        Raises:
            AwsError: If that may succeed later.
        """
        request = self._request(job)
        name: str = request["TrainingJobName"]
        try:
            job.tried = True
            self._follow(job, name, self._service.create(request))
        except AwsError as error:
            if error.retryable or (error.of_caller and self._running):
                raise
            if error.taken:
                self._take_over(job, name)
            elif error.over_quota and self._running:
                job.tried, job.not_before = False, time.monotonic() + 2 * self._poll
            else:
                if error.of_caller or not self._made_one:
                    self._broken = error
                self._end(job, "failed", self._mask(str(error)))

    def _take_over(self, job: Start, name: str) -> None:
        """Follow the training job of this name if a call whose answer was lost has made it.

        Raises:
            AwsError: If SageMaker cannot be asked.
        """
        found = self._service.find(name)
        if not found or not self._service.is_own(found):
            self._end(job, "failed", f"there is a training job {name} that is not of this run")
            return
        told: Json = found.get("HyperParameters", {})
        if all(told.get(key) == value for key, value in job.given.items()):
            self._follow(job, name, found["TrainingJobArn"])
        else:  # it is that of an earlier start, made by an earlier process
            self._starts[job.number] = self._starts.get(job.number, 0) + 1
            self._make(job)

    def _request(self, job: Start) -> Json:
        return self._service.request(job.number, self._starts.get(job.number, 0) + 1, job.given)

    def _follow(self, job: Start, name: str, arn: str) -> None:
        """Take note that the training job of a trial is there."""
        if not self._running:
            self._due = time.monotonic() + self._poll
        self._made_one = True
        self._starts[job.number] = self._starts.get(job.number, 0) + 1
        job.name, job.arn = name, arn
        self._running[job.number] = self._waiting.pop(job.number)

    def _stop_wanted(self) -> None:
        for job in list(self._running.values()):
            if job.stop and not job.stop_sent:
                self._send_stop(job)

    def _send_stop(self, job: Start) -> None:
        try:
            self._service.stop(job.name)
        except AwsError as error:
            if error.retryable:
                raise
            if error.of_caller:
                words = f"{error}; it could not be stopped, and goes on at SageMaker"
                self._end(job, "failed", self._mask(words))
                return
        job.stop_sent = True  # or it has ended, which the next look tells

    def _stop_rest(self) -> None:
        try:
            for job in [job for job in self._waiting.values() if job.tried]:
                self._withdraw(job)
            for job in [job for job in self._running.values() if not job.stop_sent]:
                self._send_stop(job)
        except AwsError:
            return  # out of reach, and the others are as well

    def _look(self) -> None:
        """Look at all running jobs, and tell what is new."""
        found = self._service.told([job.name for job in self._running.values()])
        for job in list(self._running.values()):
            if job.name not in found:
                self._end(job, "failed", f"there is no training job {job.name} any more")
        jobs = list(self._running.values())
        read = self._reader.read(
            job.arn for job in jobs if response.phase_of(found[job.name]) != "waiting"
        )
        for job in jobs:
            self._tell(job, found[job.name], read.get(job.arn, {}))

    def _tell(self, job: Start, told: Json, series: metrics.Series) -> None:
        """Emit what is new about a trial, and its end once all is known."""
        ended = response.has_ended(told)
        if ended and not metrics.settled(series, metrics.final_of(told)):
            job.looks += 1
            ended = job.looks > _PATIENCE
        events = measured(job.number, told, series, self._reader, offset=job.offset, ended=ended)
        for event in events[job.told :]:
            self._emit(event)
        job.told = max(job.told, len(events))
        job.step = max([job.step, *(event.step for event in events)])
        if ended:
            state, reason = ending(told, stopped=job.stop)
            self._end(job, state, self._mask(reason), told)

    def _end(self, job: Start, state: TrialState, reason: str, told: Json | None = None) -> None:
        """Emit a trial's end, and let others have its place."""
        self._waiting.pop(job.number, None)
        self._running.pop(job.number, None)
        self._steps[job.number] = max(job.offset, job.step)
        for other in self._waiting.values():
            other.not_before = 0.0
        now = time.time()
        log = log_of(self._plan, self._place, job.name) if job.name else None
        end = Ended(job.number, now, state, response.bounded(reason), log=log)
        if told is not None:
            end = replace(
                end,
                time=min(now, response.ended_at(told) or now),
                word=response.word_of(told),
                artifacts=response.artifacts_of(told),
                billed_seconds=response.billed(told),
                machine=response.machine_of(told),
            )
        self._emit(end)

    def _end_all(self, why: str) -> None:
        for job in list(self._waiting.values()):
            self._end(job, "failed", why)
        for job in list(self._running.values()):
            words = f"{why}; the training job {job.name} may go on at SageMaker"
            self._end(job, "failed", words)

    def _taken_up(self, number: int, jobs: Sequence[Json], known: int) -> Sequence[Measured]:
        """Follow the last training job of a trial, and return what nobody took note of."""
        read = self._reader.read(job["TrainingJobArn"] for job in jobs)
        several = self._service.several
        found = found_again(number, jobs, read, self._reader, known=known, several=several)
        self._starts[number] = len(jobs)
        self._steps[number] = found.start.step
        if found.goes_on:
            self._running[number] = found.start
        return found.fresh

    def _patiently(self, ask: Callable[[], Sequence[_T]]) -> Sequence[_T]:
        """Return an answer of AWS, waiting some time for it.

        Raises:
            AwsError: If there is none.
        """
        due = time.monotonic() + _LONGEST_TROUBLE
        while True:
            try:
                return ask()
            except AwsError as error:
                if not error.retryable or time.monotonic() > due:
                    raise
                time.sleep(self._poll)
