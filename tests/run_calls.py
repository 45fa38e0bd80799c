"""The rights that whole runs use on an emulator, to compare with a provider's table of rights."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from cloudtune.emulation import process
from cloudtune.engine import job
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider import registry
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.provider.uploads import remove_uploads
from cloudtune.runs import lifecycle
from cloudtune.study.schema import Mode
from cloudtune.testing.emulated_run_contract import ENDLESS
from cloudtune.testing.emulated_runs import EmulatedRuns


class Call(NamedTuple):
    """A use of a right, as an emulator records it."""

    by: str
    action: str
    resource: str


class RunCalls(EmulatedRuns):
    """Runs that take all paths: to the end, killed and resumed, stopped, with what comes after."""

    optional: Sequence[str] = ()
    """Operations without which runs use others instead."""

    @pytest.fixture(autouse=True)
    def _keep_emulators(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def keep(*_: object) -> None:
            pass

        monkeypatch.setattr(job, "end_emulator", keep)

    def calls_of_runs(self, mode: Mode) -> tuple[Plan, set[Call]]:
        """Return the plan of such runs, and the rights that they use together."""
        blocks: dict[str, Any] = {"limits": {"max_trials": 2, "parallel_trials": 2}}
        rule = {"operation": self.create_operations[mode], "call": 1, "effect": "lose_response"}
        lost = json.dumps({"faults": [rule]})
        finished = self.create_run(mode, faults=lost, **blocks)
        assert self.finish(finished).state == "completed"
        plan = self._after(finished)
        rules = [{"operation": each, "probability": 1, "effect": "deny"} for each in self.optional]
        killed = self.create_run(mode, faults=json.dumps({"faults": rules}), **blocks)
        self.kill_at_call(killed, "submit" if mode == "managed" else "create", 1)
        assert self.finish(killed).state == "completed"
        stopped = self.create_run(mode, ENDLESS, **blocks)
        self._stop(stopped)
        runs = (finished, killed, stopped)
        return plan, {call for run in runs for call in self._calls(run)}

    def _after(self, run: str) -> Plan:
        """Read a log, remove the uploads as `clean --remote`, and return the plan."""
        provider = registry.get(self.name)
        with Ledger() as ledger:
            (record,) = ledger.run(run).jobs
            folder = ledger.job_folder(run, self.name)
        plan = restore_plan(record.plan)
        assert provider.emulator is not None
        emulator = process.connect(self.name, provider.emulator, self.emulator_folder(run))
        context = JobContext(folder, emulator)
        trial = lifecycle.results(run)[0].trials[0]
        lines = provider.read_log(plan, context, trial)
        assert lines is None or list(lines)
        if uploads := provider.uploads(plan, context):
            remove_uploads(uploads, run)
        return plan

    def _stop(self, run: str) -> None:
        thread = threading.Thread(target=lifecycle.execute, args=[run])
        thread.start()
        deadline = time.monotonic() + 200
        while not lifecycle.results(run)[0].trials:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        lifecycle.stop(run)
        thread.join(200)
        assert lifecycle.results(run)[0].state == "cancelled"

    def _calls(self, run: str) -> Iterator[Call]:
        for line in (self.emulator_folder(run) / "calls.jsonl").read_text().splitlines():
            yield Call(**json.loads(line))
