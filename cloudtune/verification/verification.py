"""One verification: its runs, what they answer, and its recordings."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cloudtune.emulation.environment import reconnect
from cloudtune.errors import CloudtuneError, UsageError
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import RunLock, lock_holder
from cloudtune.provider import registry
from cloudtune.provider.call_record import READ_LOG, Answer, record_call, recorded_calls
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.runs import lifecycle
from cloudtune.study.schema import Json
from cloudtune.verification.cleanup import clean_up, remove_home
from cloudtune.verification.planning import Verification
from cloudtune.verification.recording import to_recordings
from cloudtune.verification.steps import PRINTED, Step

MAX_SECONDS = 30 * 60.0
_STOP, _LEAVE = 25 / 30, 28 / 30
"""The parts of the time after which all is stopped, and after which nothing is waited for."""
_POLL_SECONDS = 0.5
_MAX_WAITING = 10


@dataclass(frozen=True)
class Verified:
    """What a verification has shown."""

    answers: tuple[Answer, ...]
    recordings: Mapping[str, Json]
    """What the service answered, by step."""
    left: tuple[str, ...]
    """What could not be removed, and why."""
    failures: Mapping[str, str]
    """Why steps failed without a trial that failed, by step: their calls may be missing."""
    error: KeyboardInterrupt | CloudtuneError | None = None
    """What ended it early; its answers and recordings are those until then."""


def verify(
    verification: Verification,
    notify: Callable[[str], None],
    save: Callable[[str, Json], None],
) -> Verified:
    """Run the steps at the same time, remove everything, and return what was seen.

    Ctrl-C and an error end it early: what was seen until then is returned, with the error. A kill
    removes everything, too. After 30 minutes, this function returns, whatever the service does; the
    guard then tries to remove what is left.

    Args:
        verification: What is run.
        notify: Receives what happens, in words.
        save: Keeps the recording of a step that has ended, without what follows its end. An OSError
            is ignored, since all recordings are returned.
    """
    workspace, since = verification.workspace, _Clock()
    provider = registry.get(verification.provider)
    workspace.is_clean = False
    left = ["not all removed: the clean-up was interrupted"]
    error: KeyboardInterrupt | CloudtuneError | None = None
    jobs = {each.step.name: each.plan.facts.job_name for each in verification.runnable}
    failures: dict[str, str] = {}
    with recorded_calls() as calls:

        def record(cut_short: Container[str]) -> dict[str, Json]:
            return to_recordings(
                verification.provider,
                list(calls),
                jobs,
                verification.settings,
                emulated=verification.emulated,
                cut_short=cut_short,
            )

        def end(step: str, failure: str) -> None:
            if failure:
                failures[step] = failure
            if recording := record(jobs).get(step):
                with suppress(OSError):
                    save(step, recording)

        try:
            try:
                _run(verification, since, notify, end)
                for each in verification.runnable:
                    _read_log(each.plan)
            finally:
                seconds = max(MAX_SECONDS * (1 - _LEAVE), MAX_SECONDS - since.seconds)
                left = clean_up(workspace.home, notify, seconds)
                workspace.is_clean = not left
        except (KeyboardInterrupt, CloudtuneError) as caught:
            error = caught
        recordings = record(jobs if error else {*failures})
        answers = tuple(provider.verify(list(calls)))
        return Verified(answers, recordings, tuple(left), {**failures}, error)


def clean_up_earlier(notify: Callable[[str], None]) -> None:
    """Remove what verifications have left of which every process was killed."""
    before = os.environ.get("CLOUDTUNE_HOME")
    for home in sorted((state_folder() / "verify").glob("*")):
        if not home.is_dir() or lock_holder(home) is not None:
            continue
        os.environ["CLOUDTUNE_HOME"] = str(home)
        try:
            with RunLock(home):
                left = clean_up(home, notify)
                for each in left:
                    notify(f"left of an earlier verification: {each}")
                if not left:
                    remove_home(home)
        finally:
            os.environ.pop("CLOUDTUNE_HOME")
            if before is not None:
                os.environ["CLOUDTUNE_HOME"] = before


class _Clock:
    """The time since it was created; also that for which this machine slept."""

    def __init__(self) -> None:
        self._begin = time.monotonic(), time.time()

    @property
    def seconds(self) -> float:
        monotonic, wall = self._begin
        return max(time.monotonic() - monotonic, time.time() - wall)


def _run(
    verification: Verification,
    since: _Clock,
    notify: Callable[[str], None],
    end: Callable[[str, str], None],
) -> None:
    """Run all steps; stop them in time, and if this process is interrupted."""
    runs = [
        (each.step, lifecycle.create([each.plan], saved=True)) for each in verification.runnable
    ]
    threads = [
        threading.Thread(target=_execute, args=(new, step.name, notify, end), daemon=True)
        for step, new in runs
    ]
    for thread in threads:
        thread.start()
    plans = {each.plan.facts.run_id: each.plan for each in verification.runnable}
    waiting = {new.id: _StopRule(step) for step, new in runs if step.stops}
    stops = 0
    try:
        while any(thread.is_alive() for thread in threads) and since.seconds < MAX_SECONDS * _LEAVE:
            time.sleep(_POLL_SECONDS)
            for run in [run for run, rule in waiting.items() if rule.is_due(run)]:
                del waiting[run]
                notify("stopping a job, as planned")
                _read_log(plans[run])  # IBM's job, and its log, are deleted at its end
                _stop(run)
            if stops < 2 and since.seconds > MAX_SECONDS * (_STOP + stops / 60):
                stops += 1  # the second request does not wait for the service
                notify("the time is over: stopping all")
                _stop_all([new.id for _, new in runs])
    except BaseException:
        _stop_all([new.id for _, new in runs])
        for thread in threads:
            thread.join(MAX_SECONDS / 30)
        raise


def _read_log(plan: Plan) -> None:
    """Record whether the log of a trial has what its script prints, and nothing else of it.

    A log without it says nothing if the trial may never have run.
    """
    provider, run, address = registry.get(plan.provider), plan.facts.run_id, plan.facts.emulator
    with suppress(CloudtuneError, OSError):
        emulator = reconnect(plan.provider, provider, plan.settings, address) if address else None
        with Ledger() as ledger:
            context = JobContext(ledger.job_folder(run, plan.provider), emulator)
        for trial in lifecycle.results(run)[0].trials[:1]:
            if (lines := provider.read_log(plan, context, trial)) is not None:
                has_output = any(PRINTED in line for line in lines)
                if has_output or trial.started is not None or trial.measurements:
                    record_call(READ_LOG, {}, 200, {"has_output": has_output})


def _execute(
    new: lifecycle.NewRun,
    name: str,
    notify: Callable[[str], None],
    end: Callable[[str, str], None],
) -> None:
    notify(f"{name}: started")
    failure = ""
    try:
        outcomes = lifecycle.execute(new.id, plans=new.plans)
        for outcome in outcomes.values():
            notify(f"{name}: {outcome.state} {outcome.reason}".rstrip())
            is_failed = outcome.state in {"failed", "refused"} and not _has_failed_trial(new.id)
            if is_failed or outcome.state == "unknown":
                failure = outcome.reason or outcome.state
    except CloudtuneError as error:
        failure = str(error)
        notify(f"{name}: {error}")
    end(name, failure)


def _has_failed_trial(run: str) -> bool:
    """Return whether a trial of a run failed, as some steps do on purpose."""
    return any(trial.state == "failed" for job in lifecycle.results(run) for trial in job.trials)


class _StopRule:
    """When a job is stopped: once a trial has reported, or has run for a while without that.

    IBM shows measurements only at the end of a job, and may not show that it runs.
    """

    def __init__(self, step: Step) -> None:
        self._seconds = {"running": step.stops, "waiting": _MAX_WAITING * step.stops}
        self._since: dict[tuple[int, str], float] = {}

    def is_due(self, run: str) -> bool:
        trials = [trial for job in lifecycle.results(run) for trial in job.trials]
        now = time.monotonic()
        states = [(trial.number, trial.state) for trial in trials]
        self._since = {each: self._since.get(each, now) for each in states}
        return any(trial.measurements for trial in trials) or any(
            now - begin > self._seconds.get(state, math.inf)
            for (_, state), begin in self._since.items()
        )


def _stop(run: str) -> None:
    with suppress(UsageError):  # it has ended
        lifecycle.stop(run)


def _stop_all(runs: Sequence[str]) -> None:
    for run in runs:
        _stop(run)
