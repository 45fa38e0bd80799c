"""Runs trials as processes of this machine."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock

from cloudtune.execution import reaper
from cloudtune.execution.forkserver.client import Preload, cold_start_message
from cloudtune.execution.metric_reader import MetricError, ReportReader, StepCounter
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune.execution.process_pool import ProcessPool
from cloudtune.provider.models import Interrupted, Recovered
from cloudtune.provider.protocols import Emit
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.study.schema import Json
from cloudtune_local.contract import LocalContract
from cloudtune_local.forkserver import can_fork, cold_start_reason, create_preload
from cloudtune_local.trial_dirs import trial_folder


class LocalRunner:
    """The local provider's `TrialRunner`: each trial is a process in a folder of its own.

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
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Prepare, and end what an earlier process of this run may have left.

        Args:
            request: What `cloudtune_local.request` made.
            run: The run's id.
            folder: The job's folder.
            emit: Is told what happens.
            say: Is told what the user may want to know.
        """
        self._contract = LocalContract(request, run, folder)
        if (folder / "trials").exists():
            reaper.kill_processes(f"{run}.")
        self._folder = folder
        self._metrics = {name: found for name, found in request["metrics"].items() if found}
        self._slots = _Slots(request["gpus"], request["gpus_per_trial"])
        self._steps: dict[int, StepCounter] = {}
        self._begun: dict[int, float] = {}
        self._processes = ProcessPool(
            emit,
            f"{run}.{secrets.token_hex(4)}",
            grace=self._contract.grace,
            finish=self._finish,
            emit_last=lambda events: emit(*events, inline=True),
            ahead=self._contract.prepare_ahead,
            preload=self._preload(request, say),
            say=say,
        )

    def job_name(self, number: int, start: int) -> None:
        """Return nothing: trials have no other name here."""

    def start(self, started: Started) -> None:
        """Start a trial, or start it again with more of its resource and what it had saved."""
        self._begun[started.number] = time.monotonic()
        slot = self._slots.take(started.number)
        doorbell = f"{self._folder}/doorbell-{slot}"

        def spec() -> ProcessSpec:
            folder = self._contract.prepare(started, doorbell)
            return ProcessSpec(
                command=self._contract.words(started),
                cwd=folder.work,
                env=self._contract.environment(started, self._slots.devices(slot)),
                log=folder.log,
                reports=folder.reports,
                doorbell=doorbell,
                metrics=self._metrics,
                grace=self._contract.grace,
                steps=self._steps_of(started),
            )

        self._processes.start(started.number, spec, quick=self._contract.quick)

    def stop(self, number: int, *, now: bool = False) -> None:
        """Ask a trial to end: gracefully, or at once with ``now``. An ended one is left alone."""
        self._processes.stop(number, now=now)

    def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
        """Return what trials reported before they ended with the process that ran them."""
        return Recovered(
            [
                measured
                for trial in interrupted
                for measured in self._reported(trial.started.number)[
                    trial.measured_before + trial.measured :
                ]
            ]
        )

    def close(self) -> None:
        """End everything that still runs, at once, with whatever it left behind."""
        self._processes.close()
        self._contract.close()

    def _preload(self, request: Json, say: Callable[[str], None]) -> Preload | None:
        """Return what trials are forked from; None, having said why, where they start cold."""
        source = self._contract.source
        if not can_fork(request) or source is None:
            return None
        why = cold_start_reason(request)
        if not why:
            try:
                return create_preload(
                    request, source, self._contract.shared_environment(self._slots.devices(0))
                )
            except (OSError, SyntaxError, ValueError) as error:
                why = f"the script cannot be read: {error}"
        say(cold_start_message(why))
        return None

    def _finish(self, ended: Ended) -> Ended:
        self._slots.give_back(ended.number)
        took = time.monotonic() - self._begun.pop(ended.number)
        folder = trial_folder(self._folder, ended.number)
        made = folder.output if os.path.isdir(folder.output) else None  # noqa: PTH112
        return replace(ended, log=folder.log, artifacts=made, seconds=took)

    def _reported(self, number: int) -> list[Measured]:
        found: list[Measured] = []
        reports = ReportReader(trial_folder(self._folder, number).reports, from_start=True)
        try:
            found.extend(Measured(number, *measured) for measured in reports.read())
        except MetricError:
            pass  # what came before it is as good as ever
        finally:
            reports.close()
        return found

    def _steps_of(self, started: Started) -> StepCounter:
        """Return what counts the trial's printed metrics; it goes on counting in a later rung."""
        if started.resource is None:
            return StepCounter()
        return self._steps.setdefault(started.number, StepCounter())


class _Slots:
    """Gives each running trial a place of its own, and GPUs as far as there are enough."""

    def __init__(self, devices: list[str], each: int) -> None:
        self._devices = devices
        self._each = each
        self._taken: dict[int, int] = {}
        self._lock = Lock()

    def take(self, number: int) -> int:
        """Return the lowest free place, which is now the trial's."""
        with self._lock:
            taken = set(self._taken.values())
            slot = next(n for n in range(len(taken) + 1) if n not in taken)
            self._taken[number] = slot
        return slot

    def devices(self, slot: int) -> list[str] | None:
        """Return the GPUs of a place, or None where the study asks for none."""
        if not self._each or not self._devices:
            return None
        first = slot * self._each
        return [self._devices[(first + n) % len(self._devices)] for n in range(self._each)]

    def give_back(self, number: int) -> None:
        """Note that a trial's place is free."""
        with self._lock:
            self._taken.pop(number, None)
