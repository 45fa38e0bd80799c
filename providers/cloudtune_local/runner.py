"""Runs trials as processes of this machine."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

from cloudtune.execution import reaper
from cloudtune.execution.forkserver.client import Preload, cold_start_message
from cloudtune.execution.metric_reader import MetricError, ReportReader, StepCounter, begin_reports
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune.execution.process_pool import ProcessPool
from cloudtune.launcher.contract import has_files
from cloudtune.launcher.memory import (
    OUT_OF_MEMORY,
    SIGKILL_EXIT,
    count_memory_kills,
    is_memory_error,
)
from cloudtune.launcher.secrets import SecretFilter
from cloudtune.provider import Emit, Interrupted, Json, Recovered, Resources
from cloudtune.results import Ended, Measured, Started
from cloudtune_local.contract import LocalContract, restarts
from cloudtune_local.forkserver import can_fork, cold_start_reason, create_preload
from cloudtune_local.trial_dirs import TrialFolder, trial_folder


class LocalRunner:
    """The local provider's `TrialRunner`: each trial is a process in its own folder.

    Raises:
        UsageError: If a variable that the study takes from the environment is not set.
    """

    enforces_trial_timeout = False

    def __init__(
        self,
        request: Json,
        run: str,
        folder: Path,
        emit: Emit,
        notify: Callable[[str], None] = lambda _text: None,
        *,
        resources: Callable[[Started], Resources] | None = None,
        seed: int = 0,
    ) -> None:
        """Kill the processes that an earlier process of this run left, and get ready for trials."""
        self._contract = LocalContract(request, run, folder, seed)
        if self._contract.copies_large_source:
            notify(
                "each trial copies the source, which is large: this system does not let trials "
                "share it by an overlay file system"
            )
        if (folder / "trials").exists():
            reaper.kill_processes(f"{run}.")
        self._folder = folder
        self._metrics = request["metrics"]
        self._fixed_resources = Resources(gpus=request["gpus_per_trial"])
        self._resources = resources if request.get("resources") else None
        self._slots = _Slots(request["gpus"])
        self._memory_kills = count_memory_kills()
        self._steps: dict[int, StepCounter] = {}
        self._start_times: dict[int, float] = {}
        self._processes = ProcessPool(
            emit,
            f"{run}.{secrets.token_hex(4)}",
            grace=self._contract.grace,
            finish=self._finish,
            emit_last=lambda events: emit(*events, inline=True),
            prepare_next=self._contract.prepare_ahead,
            preload=self._create_preload(request, notify),
            notify=notify,
        )

    def job_name(self, number: int, start: int) -> None:
        """Return None: no service names the trials."""

    def start(self, started: Started) -> None:
        """Start a trial, or continue it with more of its resource."""
        self._start_times[started.number] = time.monotonic()
        resources = self._resources(started) if self._resources else self._fixed_resources
        slot = self._slots.acquire(started.number, resources.gpus or 0)
        devices = self._slots.devices(started.number)
        doorbell = f"{self._folder}/doorbell-{slot}"

        def spec() -> ProcessSpec:
            folder = self._contract.prepare(started, doorbell)
            # Now, so that a full disk is not the script's failure when it reports.
            os.close(os.open(folder.reports, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
            steps = self._begin_steps(started, folder)
            return ProcessSpec(
                command=self._contract.command(started),
                cwd=folder.work,
                env=self._contract.environment(started, devices, resources.cpus),
                log=folder.log,
                reports=folder.reports,
                doorbell=doorbell,
                metrics=self._metrics,
                secrets=self._contract.secrets,
                grace=self._contract.grace,
                lower=str(self._contract.shared) if self._contract.shared else None,
                steps=steps,
            )

        self._processes.start(started.number, spec, quick=self._contract.quick)

    def stop(self, number: int, *, now: bool = False) -> None:
        """Ask a trial to exit, or kill it ``now``. Ignored if it has ended."""
        self._processes.stop(number, now=now)

    def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
        """Return the measurements that interrupted trials reported but no event records."""
        recovered: list[Measured] = []
        for trial in interrupted:
            reported = self._read_reports(trial.started.number)
            recovered += reported[trial.measured_before + trial.measured :]
        return Recovered(recovered)

    def close(self) -> None:
        """Kill all running trials and what they left running."""
        self._processes.close()
        self._contract.close()

    def _create_preload(self, request: Json, notify: Callable[[str], None]) -> Preload | None:
        source = self._contract.source
        if not can_fork(request) or source is None:
            return None
        reason = cold_start_reason(request)
        if not reason:
            try:
                devices = self._slots.first(request["gpus_per_trial"])
                env = self._contract.environment(None, devices)
                return create_preload(request, source, env)
            except (OSError, SyntaxError, ValueError) as error:
                reason = f"the script cannot be read: {error}"
        notify(cold_start_message(reason))
        return None

    def _finish(self, ended: Ended) -> Ended:
        self._slots.release(ended.number)
        seconds = time.monotonic() - self._start_times.pop(ended.number)
        folder = trial_folder(self._folder, ended.number)
        self._contract.finish(folder)
        artifacts = folder.output if os.path.isdir(folder.output) else None  # noqa: PTH112
        ended = replace(ended, log=folder.log, artifacts=artifacts, seconds=seconds)
        return self._with_memory_failure(ended) if ended.state == "failed" else ended

    def _with_memory_failure(self, ended: Ended) -> Ended:
        """Return the end of a failed trial, with whether it ran out of memory."""
        kills, self._memory_kills = self._memory_kills, count_memory_kills()
        is_killed = ended.exit_code == SIGKILL_EXIT or ended.reason == "killed by SIGKILL"
        lacks_memory = is_killed and self._memory_kills > kills
        if not lacks_memory and not is_memory_error(ended.log_tail):
            return ended
        return replace(ended, out_of_memory=True, reason=f"{OUT_OF_MEMORY}: {ended.reason}")

    def _read_reports(self, number: int) -> list[Measured]:
        measured: list[Measured] = []
        path = trial_folder(self._folder, number).reports
        secret_filter = SecretFilter(self._contract.secrets)
        reports = ReportReader(path, from_start=True, secrets=secret_filter)
        with closing(reports), suppress(MetricError):  # the measurements before it are valid
            measured.extend(Measured(number, *measurement) for measurement in reports.read())
        return measured

    def _begin_steps(self, started: Started, folder: TrialFolder) -> StepCounter:
        """Return the counter of printed metrics, and write to the reports where steps begin.

        A trial that continues from a checkpoint continues the steps of its last start, or those of
        the trial that it repeats.
        """
        if not started.after_step and not restarts(started):
            return StepCounter()
        continues = has_files(self._contract.checkpoint(started))
        after_step = started.after_step if continues else 0
        if continues != (os.path.getsize(folder.reports) > 0):  # noqa: PTH202
            begin_reports(folder.reports, after_step)
        if not continues or started.number not in self._steps:
            self._steps[started.number] = StepCounter(after_step)
        return self._steps[started.number]


class _Slots:
    """Assigns a slot to each running trial, and GPUs as far as there are enough."""

    def __init__(self, devices: list[str]) -> None:
        self._all = devices
        self._slots: dict[int, int] = {}
        self._devices: dict[int, list[str]] = {}
        self._lock = Lock()

    def acquire(self, number: int, devices: int) -> int:
        """Return a slot for a trial that needs so many GPUs."""
        with self._lock:
            occupied = set(self._slots.values())
            slot = next(n for n in range(len(occupied) + 1) if n not in occupied)
            self._slots[number] = slot
            used = Counter(each for assigned in self._devices.values() for each in assigned)
            self._devices[number] = sorted(self._all, key=lambda each: used[each])[:devices]
        return slot

    def devices(self, number: int) -> list[str] | None:
        """Return the GPUs of a trial, or None if it asks for none."""
        return self._devices[number] or None

    def first(self, count: int) -> list[str] | None:
        """Return the GPUs that the first trial gets, or None if it asks for none."""
        return self._all[:count] or None

    def release(self, number: int) -> None:
        with self._lock:
            self._slots.pop(number, None)
            self._devices.pop(number, None)
