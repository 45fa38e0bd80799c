"""Runs the command of ``notify`` when a trial is the best, or a trial or a job fails or ends.

The command only hears what is in the ledger already. It runs in a thread of its own, one at a time,
and nothing that it does affects the run. What happened before a run was resumed is not repeated.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from cloudtune.common.debug_log import get_logger
from cloudtune.ledger.records import RunRecord
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Ended, Event, Outcome
from cloudtune.results.model import Trial, encode_json, pareto_front
from cloudtune.results.trials import Trials
from cloudtune.study.notify import Notify, NotifyEvent

_log = get_logger(__name__)

FORMAT = "cloudtune.notification/v1"
TIMEOUT = 30.0
"""Seconds after which a command is killed, and for which the end of a run waits for the last."""
_UNSENT = ("measurements", "log_tail")
"""The fields of a trial that can be long."""


class Notifier:
    """Runs the command of a run's study during its block: an `Observer`."""

    def __init__(self, notify: Notify, record: RunRecord, message: Callable[[str], None]) -> None:
        """Create a notifier.

        Args:
            notify: The command, and when it runs.
            record: The run as it is before its jobs are executed.
            message: Called once with a line for the user if the command fails.
        """
        self._notify = notify
        self._record = record
        self._message: Callable[[str], None] | None = message
        self._jobs: dict[str, _Job] = {}
        self._ended = {
            job.provider
            for job in record.jobs
            if job.state == "completed" and not job.has_new_limits
        }
        self._queue: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._run_commands, name="notify", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread of the commands."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the commands of what has happened, for a while; then end them."""
        self._queue.put(None)
        try:
            self._thread.join(TIMEOUT)
        finally:
            self._is_closing = True
            if self._thread.is_alive():
                self._kill()
                self._report("notify: the last commands did not end in time, and were left out")

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float) -> None:
        """Fold the earlier events of a job."""
        del elapsed
        job = self._jobs[plan.provider] = _Job(plan)
        for event in events:
            job.tell(event)

    def events(self, provider: str, events: Sequence[Event]) -> None:
        """Queue a command for each best and each failed trial."""
        job = self._jobs[provider]
        for event in events:
            for name, trial in job.tell(event):
                self._add(name, provider, job.describe(trial))

    def end(self, provider: str, outcome: Outcome) -> None:
        """Queue a command for the end of a job, unless it had ended before."""
        if provider in self._ended:
            return
        document = {"state": outcome.state, "reason": outcome.reason}
        if provider in self._jobs:
            document |= self._jobs[provider].describe(None)
        is_failed = outcome.state == "failed" and "ended" not in self._notify.on
        self._add("failed" if is_failed else "ended", provider, document)

    def message(self, text: str) -> None:
        """Ignore a line for the user."""

    def _add(self, event: NotifyEvent, provider: str, document: Mapping[str, Any]) -> None:
        if event not in self._notify.on:
            return
        record = self._record
        job = next(job for job in record.jobs if job.provider == provider)
        head = {
            "format": FORMAT,
            "event": event,
            "study": record.name,
            "run": record.id,
            "provider": provider,
            "emulated": job.emulated,
            "time": time.time(),
        }
        self._queue.put({**head, **document})

    def _run_commands(self) -> None:
        while (document := self._queue.get()) is not None and not self._is_closing:
            if problem := self._run(document):
                words = " ".join(self._notify.command)
                self._report(f"notify: {words}: {problem}; further failures are not reported")

    def _run(self, document: Mapping[str, Any]) -> str:
        """Run the command; return why it failed, or nothing."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
            given.write(encode_json(document).encode() + b"\n")
            given.seek(0)
            try:
                self._process = subprocess.Popen(
                    self._notify.command,
                    stdin=given,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    cwd=self._record.base,
                    start_new_session=True,
                )
                code = self._process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self._kill()
                return f"it was killed after {TIMEOUT:.0f} s"
            except (OSError, ValueError) as error:
                return str(error)
            errors.seek(0)
            lines = errors.read()[-1000:].decode("utf-8", "replace").split("\n")
            _log.debug("notify %s: exit code %d", document["event"], code)
            last = next((line.strip() for line in reversed(lines) if line.strip()), "")
            return f"it exited with {code}{last and f' ({last})'}" if code else ""

    def _kill(self) -> None:
        """Kill the command, and what it has started."""
        if self._process is not None:
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _report(self, text: str) -> None:
        report, self._message = self._message, None
        if report:
            report(text)


class _Job:
    """The trials of a job, and which of them are the best so far."""

    def __init__(self, plan: Plan) -> None:
        self._trials = Trials(plan.study, plan.facts.run_id)
        self._goals = [objective.goal for objective in plan.study.objectives]
        self._front: tuple[Trial, ...] = ()
        self._is_search = plan.facts.confirmation is None
        """Whether a trial can be the best: that of noisy repetitions says nothing."""
        self._states: dict[int, str] = {}

    def tell(self, event: Event) -> list[tuple[NotifyEvent, Trial]]:
        """Add an event; return what has happened to a trial."""
        self._trials.tell(event)
        if not isinstance(event, Ended):
            return []
        trial = self._trials.get(event.number)
        self._states[trial.number] = trial.state
        before = self._front
        if self._is_search:
            self._front = pareto_front([*before, trial], self._goals)
        is_equal = any(each.objective == trial.objective for each in before)
        is_best = any(each is trial for each in self._front) and not is_equal
        happened: list[tuple[NotifyEvent, Trial]] = []
        if is_best:
            happened.append(("best", trial))
        if trial.state == "failed":
            happened.append(("failed", trial))
        return happened

    def describe(self, trial: Trial | None) -> dict[str, Any]:
        """Return a trial, the best ones, and how many trials are in each state."""
        document: dict[str, Any] = {} if trial is None else {"trial": _to_dict(trial)}
        document["best"] = [_to_dict(each) for each in self._front]
        return {**document, "trials": Counter(self._states.values())}


def _to_dict(trial: Trial) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(encode_json(trial))
    return {name: value for name, value in fields.items() if name not in _UNSENT}
