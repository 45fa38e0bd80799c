"""The jobs of one run: one for each start of a trial.

Each poll reads the files of the trials in the shared folder. The queue is read rarely: it shows
which jobs wait, and how a job ended that wrote no end file.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cloudtune.provider import (
    JobContext,
    Json,
    Plan,
    Resources,
    TrainingJob,
    start_constants,
    trial_resources,
)
from cloudtune.provider.secrets import Mask, resolve_secrets
from cloudtune.results import (
    InvalidReportError,
    Measurement,
    Started,
    check_count,
    is_bool,
    is_integer,
    is_text,
    is_time,
    is_whole,
    or_absent,
    parse_record,
    parse_report,
)
from cloudtune_slurm.errors import SlurmError
from cloudtune_slurm.host import Host, Unreadable
from cloudtune_slurm.launcher_contract import BEGIN_FILE, END_FILE, REPORTS_FILE, TRIAL_FILE
from cloudtune_slurm.layout import STOP_FILE, Layout, locate_request
from cloudtune_slurm.queue import Queue
from cloudtune_slurm.request import LOG, changed_resources, sbatch_words
from cloudtune_slurm.response import Ending, invalid_job, training_job
from cloudtune_slurm.settings import POLL_SECONDS, POLL_SECONDS_SSH, SlurmSettings
from cloudtune_slurm.uploads import copy_code

HIDDEN_SECONDS = 30.0
"""Chosen: sbatch may report a time-out although the controller creates the job a little later."""
FILE_SECONDS = 15.0
"""Chosen: seconds for which files of an ended job may still be invisible on this machine."""
EMULATED_SECONDS = 0.25
_JOB_ID = re.compile(r"\s*(\d+)(;.*)?\s*")
_GONE = (
    "invalid job id",
    "already completed",
    "already completing",
    "completing or completed",
    "not found",
)
"""What scancel prints for a job that has ended."""
_TAIL_LINES = 20
MAX_FILE_BYTES = 64 * 1024 * 1024
"""Bytes of one file that a trial writes, as for a trial on this machine."""


def _is_job_id(value: object) -> bool:
    """Return whether a value cannot be taken for an option of scancel."""
    return isinstance(value, str) and (not value or value.isdecimal())


_BEGIN = {"job": _is_job_id, "node": is_text, "time": is_time}
_END = {
    "code": or_absent(is_integer),
    "stopped": or_absent(is_bool),
    "timed_out": or_absent(is_bool),
    "ended": or_absent(is_time),
    "reason": or_absent(is_text),
}
"""The fields of the files of a start that are used, and their types."""


@dataclass
class _Start:
    """The state of one start."""

    folder: str
    created: float | None = None
    """When this process created its job, by `time.monotonic`."""
    id: str = ""
    begin: Json | None = None
    end: Json | None = None
    problem: str = ""
    """What is wrong with the files that it wrote; its trial fails."""
    measurements: list[Measurement] = field(default_factory=list[Measurement])
    offset: int = 0
    """Bytes of the reports that were read."""
    stopping: bool = False
    looked_for_stop: bool = False
    kill_at: float | None = None
    """When a stopped script is killed, by `time.monotonic`."""
    over_since: float | None = None
    """Since when the job is known to have ended, by `time.monotonic`."""
    result: TrainingJob | None = None
    """The final state."""


class SlurmJobs:
    """The jobs of one run: the `TrainingJobs` of Slurm."""

    enforces_trial_timeout = True  # the time in the queue does not count

    def __init__(self, host: Host, plan: Plan, context: JobContext) -> None:
        """Copy the code into the shared folder, unless it is there.

        Raises:
            SlurmError: If the folder cannot be written.
            UsageError: If a variable of the study is not set.
        """
        assert isinstance(plan.settings, SlurmSettings)
        emulated, settings = plan.facts.emulated, plan.settings
        regular = POLL_SECONDS_SSH if plan.request["host"] else POLL_SECONDS
        self.poll_seconds = EMULATED_SECONDS if emulated else settings.poll_interval or regular
        self.hidden_seconds = 4 * EMULATED_SECONDS if emulated else HIDDEN_SECONDS
        self._file_seconds = 2 * EMULATED_SECONDS if emulated else FILE_SECONDS
        self._grace = settings.grace
        self._plan = plan
        self._host = host
        self._request = locate_request(plan, context)
        self._layout = Layout.of_plan(plan, context)
        self._queue = Queue(host, 2 * EMULATED_SECONDS if emulated else settings.queue_interval)
        self._variables: Mapping[str, str] = resolve_secrets(plan.request, plan.study)["env"]
        self._hide = Mask(plan.study).hide
        self._starts: dict[str, _Start] = {}
        self._accepted: list[Resources] = []
        """The resources of the jobs that this process created."""
        copy_code(host, plan, context, self._request)

    def job_name(self, number: int, start: int) -> str:
        """Return the name of the job of a trial's start."""
        return self._layout.job_name(number, start)

    def create(self, started: Started) -> None:
        """Create the job of a start.

        Slurm would create a second job of this name, so the caller first looks for one that may
        exist. If two exist nevertheless, the second one ends before the script.

        Raises:
            SlurmError: If the call fails.
        """
        assert started.id is not None
        start = self._start(started.id)
        content = json.dumps(self._trial_file(started)).encode()
        self._host.write(start.folder, {TRIAL_FILE: content})
        resources = trial_resources(self._plan.fitted.study, started)
        options = changed_resources(self._plan, resources)
        words = sbatch_words(self._request, started.id, start.folder, options)
        try:
            output = self._host.run(words, self._variables)
        except SlurmError as error:
            if resources not in self._accepted and not self._any_active():
                error.quota_exceeded = False  # the job may be too large, and would wait for ever
            raise
        if resources not in self._accepted:
            self._accepted.append(resources)
        ids = [match[1] for line in output.splitlines() if (match := _JOB_ID.fullmatch(line))]
        if not ids:
            raise SlurmError(f"sbatch printed no job id: {output.strip()[:200]}", retryable=True)
        start.id, start.created, start.looked_for_stop = ids[-1], time.monotonic(), True

    def poll(self, starts: Sequence[Started]) -> dict[str, TrainingJob]:
        """Return the current state of each job by name. Missing jobs are omitted.

        Raises:
            SlurmError: If the folder cannot be read, or squeue fails.
        """
        known = {name: self._start(name) for each in starts if (name := each.id)}
        active = {name: start for name, start in known.items() if start.result is None}
        self._read_files(active)
        self._ask_queue(active)
        self._read_files({n: each for n, each in active.items() if self._began_meanwhile(n, each)})
        for name, start in active.items():
            self._apply_queue(name, start)
        jobs = {name: start.result for name, start in known.items() if start.result}
        for name, start in active.items():
            job = self._training_job(name, start)
            if job is not None:
                jobs[name] = job
                start.result = job if job.over else None
        return jobs

    def stop(self, name: str) -> None:
        """Ask the script to end, and kill it after the grace period; a waiting job is cancelled.

        Raises:
            SlurmError: If a call fails.
        """
        start = self._start(name)
        if start.result or start.end:
            return
        self._host.write(start.folder, {STOP_FILE: b""})
        start.stopping = True
        if start.begin is None:
            self._cancel(name, start)
        else:
            self._cancel(name, start, "--signal=TERM", "--batch")
        start.kill_at = time.monotonic() + self._grace
        self._queue.ask_soon()

    def _any_active(self) -> bool:
        return any(start.id and start.result is None for start in self._starts.values())

    def _start(self, name: str) -> _Start:
        return self._starts.setdefault(name, _Start(self._layout.start(name)))

    def _trial_file(self, started: Started) -> Json:
        study, facts = self._plan.fitted.study, self._plan.facts
        folder = self._layout.trial(started.number)
        return {
            "trial": f"{facts.run_id}-{started.number}",
            "number": started.number,
            "parameters": dict(started.parameters),
            "constants": {**study.constants, **start_constants(self._plan, started)},
            "inputs": {n: a for n, a in facts.lookup.inputs.addresses.items() if a},
            "checkpoint": f"{self._layout.trial(started.checkpoint_number)}/checkpoint",
            "output": f"{folder}/output",
            "after_step": started.after_step,
            "timeout": study.limits.trial_timeout,
            "grace": self._grace,
        }

    def _began_meanwhile(self, name: str, start: _Start) -> bool:
        """Return whether a job has begun since its files were read, which then have its start."""
        queued = self._queue.jobs.get(name)
        return start.begin is None and queued is not None and (queued.runs or queued.ended)

    def _read_files(self, starts: Mapping[str, _Start]) -> None:
        """Read what the jobs have written. The end comes first, so that no report is missed."""
        if not starts:
            return
        offsets: dict[str, int] = {}
        for start in starts.values():
            offsets[f"{start.folder}/{END_FILE}"] = 0
            if start.begin is None:
                offsets[f"{start.folder}/{BEGIN_FILE}"] = 0
            if not start.looked_for_stop:
                offsets[f"{start.folder}/{STOP_FILE}"] = 0
            offsets[f"{start.folder}/{REPORTS_FILE}"] = start.offset
        contents = self._host.read(offsets, MAX_FILE_BYTES)
        for start in starts.values():
            start.stopping |= f"{start.folder}/{STOP_FILE}" in contents
            start.looked_for_stop = True
            try:
                self._add_files(start, contents)
            except InvalidReportError as error:
                start.problem = start.problem or str(error)

    def _add_files(self, start: _Start, contents: Mapping[str, bytes | Unreadable]) -> None:
        """Add what the files of a start have that is new; raise an error if it is invalid."""

        def content(name: str) -> bytes:
            found = contents.get(f"{start.folder}/{name}", b"")
            if isinstance(found, Unreadable):
                raise InvalidReportError(f"its {name} cannot be read: {found.reason}")
            return found

        reports = content(REPORTS_FILE)
        complete = reports[: reports.rfind(b"\n") + 1]
        start.offset += len(complete)
        for line in complete.splitlines():
            report = parse_report(line, self._hide)
            step = len(start.measurements) + 1 if report.step is None else report.step
            start.measurements.append(Measurement(step, report.metrics, report.time))
            check_count(len(start.measurements))
        start.begin = start.begin or self._parse_whole(content(BEGIN_FILE), BEGIN_FILE, _BEGIN)
        start.end = start.end or self._parse_whole(content(END_FILE), END_FILE, _END)

    def _parse_whole(
        self, content: bytes, name: str, checks: Mapping[str, Callable[[object], bool]]
    ) -> Json | None:
        """Return the object in a file; None if it is missing, or is being written."""
        return parse_record(content, checks, name, self._hide) if is_whole(content) else None

    def _ask_queue(self, starts: Mapping[str, _Start]) -> None:
        """Read the queue if it is time, or earlier for jobs that may not exist.

        A transient error matters only if a job may not exist.
        """
        may_be_absent = any(
            start.created is None
            and start.begin is None
            and start.end is None
            and name not in self._queue.jobs
            for name, start in starts.items()
        )
        names = [
            name
            for name, start in self._starts.items()
            if start.result is None and (not start.end or Ending(start.end).needs_queue)
        ]
        try:
            self._queue.refresh(names, soon=may_be_absent)
        except SlurmError as error:
            if may_be_absent or not error.retryable:
                raise

    def _apply_queue(self, name: str, start: _Start) -> None:
        """Record what the queue shows of a job, and kill a stopped one that does not end."""
        now = time.monotonic()
        queued = self._queue.jobs.get(name)
        start.id = start.id or (queued.id if queued else "")
        if start.end is None and queued and not queued.ended:
            start.over_since = None
        if start.over_since is None and (start.end or (queued and queued.ended)):
            start.over_since = now
            if start.end and Ending(start.end).needs_queue:
                self._queue.ask_soon()
        if start.kill_at and now >= start.kill_at and start.over_since is None:
            self._cancel(name, start)
            start.kill_at = now + 2 * self._grace + 60
            self._queue.ask_soon()

    def _training_job(self, name: str, start: _Start) -> TrainingJob | None:
        """Return the state of a job, or None if it does not exist."""
        queued = self._queue.jobs.get(name)
        now = time.monotonic()
        if start.end is None and queued is None:
            if start.begin is None and start.created is None:
                return None
            visible_at = (start.created or 0.0) + self.hidden_seconds
            if self._queue.asked_at > visible_at and start.over_since is None:
                start.over_since = now
        ending = Ending(start.end) if start.end else None
        waited = now - start.over_since if start.over_since is not None else 0.0
        if ending is None:
            is_over = start.over_since is not None and waited >= self._file_seconds
        else:
            fate_is_known = queued is not None and queued.ended
            patience = self._file_seconds + self._queue.interval
            is_over = not ending.needs_queue or fate_is_known or waited >= patience
        tail: Sequence[str] = ()
        if is_over and ending is None and not start.stopping:
            tail = self._log_tail(start)
        if start.problem and not is_over:
            self._cancel(name, start)
        job = training_job(
            begin=start.begin,
            ending=ending,
            queued=queued,
            is_over=is_over,
            stopping=start.stopping,
            measurements=tuple(start.measurements),
            log=self._address(f"{start.folder}/{LOG}"),
            artifacts=self._address(f"{start.folder.rpartition('/')[0]}/output"),
            tail=tail,
            has_timeout=self._plan.fitted.study.limits.trial_timeout is not None,
        )
        return invalid_job(job, start.problem) if start.problem else job

    def _address(self, path: str) -> str:
        host = self._plan.request["host"]
        return f"{host}:{path}" if host else path

    def _log_tail(self, start: _Start) -> Sequence[str]:
        path = f"{start.folder}/{LOG}"
        content = self._host.read({path: 0}).get(path, b"")
        text = "" if isinstance(content, Unreadable) else content.decode("utf-8", "replace")
        return text.splitlines()[-_TAIL_LINES:]

    def _cancel(self, name: str, start: _Start, *options: str) -> None:
        target = start.id or (start.begin or {}).get("job") or f"--name={name}"
        try:
            self._host.run(["scancel", *options, target])
        except SlurmError as error:
            if not any(text in str(error).lower() for text in _GONE):
                raise
