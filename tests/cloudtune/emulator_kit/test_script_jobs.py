from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloudtune.emulation.faults import Fault, FaultPlan
from cloudtune.emulator_kit.delays import Delays
from cloudtune.emulator_kit.job_run import JobRun
from cloudtune.emulator_kit.script_jobs import Context, ScriptJobs
from cloudtune.emulator_kit.state import ScriptJob
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune.results.events import Ended, Measured


@dataclass
class Job(ScriptJob):
    """A job that runs a line of Python."""

    RUNNING = "running"
    FINAL = frozenset({"completed", "failed", "stopped"})

    code: str = "pass"
    pending: float = 0.0
    attempts: int = 0
    prepared: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


class Jobs(ScriptJobs[Job, str, str]):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(Delays(1.0), threading.RLock(), grace=1.0, reads_files=False)

    def stop(self, job: Job) -> None:
        with self.lock:
            self.request_stop(job)

    def stop_early(self, job: Job) -> None:
        self.stop(job)

    def prepare(self, run: JobRun[Job, str, str]) -> ProcessSpec:
        run.job.attempts += 1
        run.job.prepared.set()
        self.start_machine(run, run.job.pending, "no machine")
        with self.lock:
            run.job.enter("running")
        return ProcessSpec(
            [sys.executable, "-u", "-c", run.job.code],
            self.folder,
            {},
            self.folder / "log.txt",
            metrics={"loss": ["loss=(.+)"]},
        )

    def record(self, run: JobRun[Job, str, str], measured: Measured) -> None:
        run.notify(measured)
        self.inject_fault(run, measured.step)

    def settle(self, run: JobRun[Job, str, str], ended: Ended) -> None:
        stopped = run.job.stop_requested.is_set()
        run.job.enter("stopped" if stopped else "failed" if run.problem else ended.state)
        run.job.over.set()


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    runner = Jobs(tmp_path)
    yield runner
    runner.close()


def test_a_job_reports_its_measurements_and_its_end(jobs: Jobs) -> None:
    events: list[Measured | Ended] = []
    ended = threading.Event()

    def listen(event: Measured | Ended) -> None:
        events.append(event)
        if isinstance(event, Ended):
            ended.set()

    job = Job(code="print('loss=0.5')")
    jobs.launch(job, listen)
    assert ended.wait(200)
    assert [type(event) for event in events] == [Measured, Ended]
    assert (job.state, job.started is None, job.ended is None) == ("completed", False, False)
    assert not jobs.busy()


def test_a_stop_before_the_process_exists_is_not_lost(jobs: Jobs) -> None:
    job = Job(code="import time; time.sleep(600)", pending=600.0)
    jobs.launch(job)
    assert job.prepared.wait(200)
    jobs.stop(job)
    assert job.over.wait(200)
    assert (job.state, job.started) == ("stopped", None)


def test_no_job_starts_after_closing(tmp_path: Path) -> None:
    jobs, job = Jobs(tmp_path), Job()
    jobs.close()
    jobs.launch(job)
    assert not job.prepared.wait(0.5)  # short: it never is


def test_an_interrupted_job_starts_again_once(jobs: Jobs) -> None:
    code = "import time; print('loss=1'); time.sleep({})"
    job = Job(code=code.format(600), fault=Fault("interrupt", after=1))
    started = threading.Event()

    def shorten(event: Measured | Ended) -> None:
        if not started.is_set():
            started.set()
            job.code = code.format(0)

    jobs.launch(job, shorten)
    assert job.over.wait(200)
    assert (job.state, job.attempts) == ("completed", 2)


def test_a_job_fails_where_the_plan_has_it(jobs: Jobs) -> None:
    job = Job(fault=Fault("fail"))
    jobs.launch(job)
    assert job.over.wait(200)
    assert (job.state, job.started) == ("failed", None)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\0", "a\nb"])
def test_the_folder_of_a_job_is_below_that_of_its_emulator(tmp_path: Path, name: str) -> None:
    jobs = Jobs(tmp_path)
    context = Context(tmp_path, jobs.delays, FaultPlan(), jobs, jobs.lock)
    kept = context.job_folder("us-east-1", "one") / "log.txt"
    kept.write_text("kept")
    with pytest.raises(ValueError, match="not the name of a folder"):
        context.job_folder(name, "jobs")
    assert kept.exists()
    jobs.close()
