"""The jobs of a run on a cluster in memory: states, stops, lost answers, and calls of squeue."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider.models import JobContext, TrainingJob
from cloudtune.results.events import Started
from cloudtune_slurm import queue, training_client
from cloudtune_slurm.errors import SlurmError, command_error
from cloudtune_slurm.layout import Layout, read_log
from cloudtune_slurm.training_client import SlurmJobs
from tests.cloudtune_slurm.support import FakeCluster, plan_of


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1.8e9 + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (training_client, queue):
        monkeypatch.setattr(module, "time", clock)
    return clock


class Rig:
    def __init__(self, base: Path, over: dict[str, Any] | None = None, **settings: Any) -> None:
        self.plan = plan_of(base, over or {}, folder=str(base / "shared"), **settings)
        self.context = JobContext(base / "job")
        self.context.folder.mkdir(exist_ok=True)
        self.cluster = FakeCluster()
        self.layout = Layout.of_plan(self.plan)
        self.jobs = SlurmJobs(self.cluster, self.plan, self.context)

    def started(self, number: int, **more: Any) -> Started:
        name = self.jobs.job_name(number, 1)
        return Started(number, time.time(), {"lr": 0.01}, id=name, **more)

    def create(self, number: int) -> Started:
        started = self.started(number)
        self.jobs.create(started)
        return started

    def write(self, started: Started, name: str, content: Any) -> None:
        path = Path(self.layout.start(str(started.id)), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    def begin(self, started: Started) -> None:
        self.cluster.set_state(str(started.id), "RUNNING")
        self.write(started, "begin.json", {"job": "101", "node": "n1", "time": 5.0})

    def end(self, started: Started, **fields: Any) -> None:
        end = {"code": 0, "stopped": False, "timed_out": False, "ended": 9.0, "reason": ""}
        self.write(started, "end.json", {**end, **fields})

    def poll(self, *starts: Started) -> dict[str, TrainingJob]:
        return self.jobs.poll(starts)

    def state(self, started: Started) -> TrainingJob:
        return self.poll(started)[str(started.id)]


@pytest.fixture
def rig(tmp_path: Path, clock: Clock) -> Rig:
    return Rig(tmp_path)


def test_a_job_waits_runs_measures_and_completes(rig: Rig, clock: Clock) -> None:
    started = rig.create(1)
    job = rig.state(started)
    assert (job.state, job.word) == ("waiting", "PENDING (Priority)")
    rig.begin(started)
    rig.write(started, "reports.jsonl", '{"time": 6, "step": 1, "metrics": {"a": NaN}}\n{"time"')
    job = rig.state(started)
    assert job.state == "running"
    assert [m.step for m in job.measurements] == [1]
    lines = [f'{{"time": {6 + n}, "step": {n + 1}, "metrics": {{"a": NaN}}}}\n' for n in range(2)]
    rig.write(started, "reports.jsonl", "".join(lines))
    rig.end(started)
    job = rig.state(started)
    assert (job.state, job.ended, job.machine, job.billed_seconds) == ("completed", 9.0, "n1", 4.0)
    assert [m.step for m in job.measurements] == [1, 2]
    assert rig.cluster.count("squeue") == 1


@pytest.mark.parametrize(
    ("state", "expected", "word"),
    [
        ("SPECIAL_EXIT", "waiting", "SPECIAL_EXIT (Priority)"),
        ("RESV_DEL_HOLD", "waiting", "RESV_DEL_HOLD (Priority)"),
        ("COMPLETING", "running", "COMPLETING"),
        ("OF_A_LATER_VERSION", "unknown", "OF_A_LATER_VERSION (Priority)"),
    ],
)
def test_a_job_that_has_not_begun_is_not_running(
    rig: Rig, clock: Clock, state: str, expected: str, word: str
) -> None:
    started = rig.create(1)
    id_, _state, reason = rig.cluster.queue[str(started.id)]
    rig.cluster.queue[str(started.id)] = (id_, state, reason)
    job = rig.state(started)
    assert (job.state, job.word) == (expected, word)


def test_a_job_that_begins_between_its_files_and_the_queue_runs_since_its_start(
    rig: Rig, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, run = rig.create(1), rig.cluster.run

    def begin_and_run(*args: Any, **options: Any) -> str:
        rig.begin(started)
        return run(*args, **options)

    monkeypatch.setattr(rig.cluster, "run", begin_and_run)
    job = rig.state(started)
    assert (job.state, job.started) == ("running", 5.0)


def test_files_are_read_at_each_poll_and_the_queue_once_in_its_interval(
    rig: Rig, clock: Clock
) -> None:
    starts = [rig.create(number) for number in range(1, 21)]
    for second in range(120):
        clock.now += 1
        rig.poll(*starts)
        if second == 3:
            for started in starts:
                rig.begin(started)
    assert 4 <= rig.cluster.count("squeue") <= 5


def test_an_end_file_that_is_being_written_is_no_end(rig: Rig, clock: Clock) -> None:
    started = rig.create(1)
    rig.begin(started)
    rig.write(started, "end.json", '{"code": 0, "sto')
    assert rig.state(started).state == "running"


@pytest.mark.parametrize("state", ["NODE_FAIL", "PREEMPTED", "BOOT_FAIL"])
def test_a_lost_job_is_no_failure(rig: Rig, clock: Clock, state: str) -> None:
    started = rig.create(1)
    rig.begin(started)
    rig.cluster.set_state(str(started.id), state)
    assert rig.state(started).state == "running"  # its files may become visible
    clock.now += training_client.FILE_SECONDS + 1
    job = rig.state(started)
    assert job.lost
    assert (job.state, job.word) == ("cancelled", state)


def test_a_job_that_another_cluster_of_the_federation_has_started_is_not_lost(
    rig: Rig, clock: Clock
) -> None:
    started = rig.create(1)
    rig.begin(started)
    rig.cluster.set_state(str(started.id), "REVOKED")
    rig.state(started)
    clock.now += 120
    assert rig.state(started).state == "running"
    rig.end(started)
    assert rig.state(started).state == "completed"


@pytest.mark.parametrize("state", ["REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"])
def test_a_held_job_waits(rig: Rig, state: str) -> None:
    started = rig.create(1)
    rig.cluster.set_state(str(started.id), state)
    assert rig.state(started).state == "waiting"


def test_a_preempted_script_that_saved_and_left_is_lost_too(rig: Rig, clock: Clock) -> None:
    started = rig.create(1)
    rig.begin(started)
    rig.state(started)
    rig.end(started, stopped=True)
    assert rig.state(started).state == "running"  # only the queue knows why
    rig.cluster.set_state(str(started.id), "PREEMPTED")
    clock.now += 6
    assert rig.state(started).lost


@pytest.mark.parametrize(
    ("ending", "state", "word", "reason", "memory"),
    [
        ({"code": 3, "reason": "exit code 3"}, "FAILED", "FAILED", "exit code 3", False),
        ({"stopped": True, "timed_out": True}, "COMPLETED", "TIMEOUT", "time limit", False),
        ({"code": -9, "reason": "killed"}, "OUT_OF_MEMORY", "OUT_OF_MEMORY", "killed", True),
        (
            {"code": 1, "reason": "worker"},
            "OUT_OF_MEMORY",
            "OUT_OF_MEMORY",
            "of memory: worker",
            True,
        ),
        ({"code": -9, "reason": "killed"}, "FAILED", "FAILED", "killed", False),
        (
            {"code": 1, "reason": "out of memory: MemoryError"},
            "OUT_OF_MEMORY",
            "OUT_OF_MEMORY",
            "out of memory: MemoryError",
            True,
        ),
        (None, "TIMEOUT", "TIMEOUT", "time limit", False),
        (None, "OUT_OF_MEMORY", "OUT_OF_MEMORY", "out of memory", True),
        (None, "FAILED", "FAILED", "the launcher was killed", False),
    ],
)
def test_failures(
    rig: Rig,
    clock: Clock,
    *,
    ending: dict[str, Any] | None,
    state: str,
    word: str,
    reason: str,
    memory: bool,
) -> None:
    started = rig.create(1)
    rig.begin(started)
    rig.state(started)
    if ending:
        rig.end(started, **ending)
    rig.cluster.set_state(str(started.id), state)
    for _ in range(3):
        clock.now += 31
        rig.state(started)
    job = rig.state(started)
    assert (job.state, job.word, job.out_of_memory, job.lost) == ("failed", word, memory, False)
    assert reason in job.reason
    assert "out of memory: out of" not in job.reason


def test_a_job_that_ends_before_its_script_shows_its_log(rig: Rig, clock: Clock) -> None:
    started = rig.create(1)
    rig.write(started, "log.txt", "bash: module: command not found\n")
    rig.cluster.set_state(str(started.id), "FAILED", "NonZeroExitCode")
    for _ in range(2):
        rig.state(started)
        clock.now += 20
    job = rig.state(started)
    assert job.state == "failed"
    assert "before the script began (NonZeroExitCode)" in job.reason
    assert "module: command not found" in job.reason


def test_a_job_that_slurm_kills_for_its_memory_without_cgroups(rig: Rig, clock: Clock) -> None:
    started = rig.create(1)
    rig.begin(started)
    rig.write(
        started,
        "log.txt",
        "slurmstepd: error: StepId=3.batch exceeded memory limit (116 > 104), being killed\n"
        "slurmstepd: error: Exceeded job memory limit\n",
    )
    rig.cluster.set_state(str(started.id), "FAILED", "RaisedSignal:9(Killed)")
    for _ in range(2):
        rig.state(started)
        clock.now += 20
    job = rig.state(started)
    assert (job.state, job.out_of_memory) == ("failed", True)
    assert job.reason.startswith("out of memory")


def test_without_a_log_the_folder_is_in_doubt(rig: Rig, clock: Clock) -> None:
    started = rig.create(1)
    rig.cluster.set_state(str(started.id), "FAILED")
    rig.state(started)
    clock.now += 20
    assert "share providers.slurm.folder" in rig.state(started).reason


def test_a_job_that_the_queue_forgot_is_lost(rig: Rig, clock: Clock) -> None:
    started = rig.create(1)
    rig.begin(started)
    rig.cluster.queue.clear()
    for _ in range(4):
        clock.now += 31
        rig.state(started)
    job = rig.state(started)
    assert (job.state, job.word, job.lost) == ("cancelled", "GONE", True)


def test_polling_one_job_keeps_the_state_of_the_others(rig: Rig, clock: Clock) -> None:
    first = rig.create(1)
    rig.begin(first)
    rig.poll(first)
    clock.now += 100
    assert rig.poll(rig.started(2)) == {}
    clock.now += 100
    assert rig.state(first).state == "running"


def test_a_lost_answer_of_sbatch_leaves_a_job_that_is_found_by_name(rig: Rig, clock: Clock) -> None:
    rig.cluster.errors["sbatch"] = [SlurmError("sbatch: Socket timed out", retryable=True)]
    started = rig.started(1)
    with pytest.raises(SlurmError):
        rig.jobs.create(started)
    assert rig.state(started).state == "waiting"
    rig.jobs.stop(str(started.id))
    assert rig.cluster.calls[-1] == ["scancel", "101"]


def test_a_job_that_was_not_created_is_missing(rig: Rig, clock: Clock) -> None:
    started = rig.started(1)
    for _ in range(15):
        assert rig.poll(started) == {}
        clock.now += 2
    assert rig.cluster.count("squeue") <= 7


def test_a_stop_lets_the_script_save_and_then_cancels(rig: Rig, clock: Clock) -> None:
    started = rig.create(1)
    rig.begin(started)
    rig.state(started)
    rig.jobs.stop(str(started.id))
    assert rig.cluster.calls[-1] == ["scancel", "--signal=TERM", "--batch", "101"]
    job = rig.state(started)
    assert (job.state, job.stopping) == ("running", True)
    clock.now += 31
    rig.state(started)
    assert rig.cluster.calls[-1] == ["scancel", "101"]
    rig.end(started, stopped=True)
    assert rig.state(started).state == "running"
    rig.cluster.set_state(str(started.id), "CANCELLED")
    clock.now += 6
    assert rig.state(started).state == "cancelled"
    rig.jobs.stop(str(started.id))


def test_a_stop_of_an_ended_job_is_ignored(rig: Rig, clock: Clock) -> None:
    started = rig.create(1)
    rig.begin(started)
    rig.state(started)
    text = "scancel: error: Kill job error on job id 101: Job/step already completing or completed"
    rig.cluster.errors["scancel"] = [SlurmError(text)]
    rig.jobs.stop(str(started.id))


def test_another_process_finds_running_ended_and_stopped_jobs(rig: Rig, clock: Clock) -> None:
    running, ended, stopped, gone = (rig.create(number) for number in range(1, 5))
    for started in (running, ended, stopped):
        rig.begin(started)
    rig.end(ended)
    rig.poll(running, ended, stopped)
    rig.jobs.stop(str(stopped.id))
    del rig.cluster.queue[str(gone.id)]
    other = SlurmJobs(rig.cluster, rig.plan, rig.context)
    jobs = other.poll([running, ended, stopped, gone])
    states = {name[-1]: (job.state, job.stopping) for name, job in jobs.items()}
    assert states == {"1": ("running", False), "2": ("completed", False), "3": ("running", True)}


def test_an_outage_of_the_controller_hides_no_measurement(rig: Rig, clock: Clock) -> None:
    started = rig.create(1)
    rig.begin(started)
    rig.state(started)
    clock.now += 40
    error = SlurmError("Unable to contact slurm controller", retryable=True)
    rig.cluster.errors["squeue"] = [error]
    rig.end(started)
    assert rig.state(started).state == "completed"


def test_a_squeue_that_hangs_delays_no_measurement(
    rig: Rig, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_PATIENCE", 0.01)
    started = rig.create(1)
    rig.begin(started)
    rig.state(started)
    answer, run = threading.Event(), rig.cluster.run

    def hang(words: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
        output = run(words, variables)
        answer.wait(200)
        return output

    monkeypatch.setattr(rig.cluster, "run", hang)
    for step in (1, 2):
        clock.now += 40
        with Path(rig.layout.start(str(started.id)), "reports.jsonl").open("a") as file:
            file.write(f'{{"time": 6, "step": {step}, "metrics": {{"a": 1}}}}\n')
        assert [m.step for m in rig.state(started).measurements][-1] == step
        assert not answer.is_set()
    assert rig.cluster.count("squeue") == 2  # one more than before, and no second one meanwhile
    other = rig.started(2)
    answer.set()
    assert rig.poll(other) == {}  # whether it exists is not answered by the older call
    assert any(str(other.id) in word for word in rig.cluster.calls[-1])


def test_the_code_is_copied_once(rig: Rig, clock: Clock) -> None:
    archive = Path(rig.plan.request["folder"], "code.tar.gz")
    before = archive.stat().st_mtime_ns
    SlurmJobs(rig.cluster, rig.plan, rig.context)
    assert archive.stat().st_mtime_ns == before


def test_a_trial_continues_from_the_checkpoints_of_the_one_it_repeats(
    rig: Rig, clock: Clock
) -> None:
    started = rig.started(5, replaces=3, checkpoint=2)
    rig.jobs.create(started)
    trial = json.loads(Path(rig.layout.start(str(started.id)), "trial.json").read_text())
    assert trial["checkpoint"] == f"{rig.layout.trial(2)}/checkpoint"
    assert trial["output"] == f"{rig.layout.trial(5)}/output"


def test_secrets_are_only_in_the_environment_of_sbatch(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "very-secret-value")
    env = {"TOKEN": {"from_env": "MY_TOKEN"}}
    rig = Rig(tmp_path, {"trial": {"script": "train.py", "env": env}})
    rig.create(1)
    (call,) = [c for c in rig.cluster.calls if c[0] == "sbatch"]
    assert "--export=TOKEN" in call
    assert rig.cluster.variables[0] == {"TOKEN": "very-secret-value"}
    assert not any("very-secret" in word for word in call)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"very-secret" not in path.read_bytes()


def test_sbatch_that_prints_no_id_is_asked_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> str:
        return ""

    monkeypatch.setattr(rig.cluster, "run", run)
    with pytest.raises(SlurmError) as caught:
        rig.create(1)
    assert caught.value.retryable


def test_a_job_that_may_be_too_large_waits_only_for_jobs_of_its_run(
    tmp_path: Path, clock: Clock
) -> None:
    retry = {"resources": {"memory": "1 GB"}, "retry": "memory"}
    rig = Rig(tmp_path, {"trial": {"script": "train.py", **retry}})
    text = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"

    def waits(number: int, retries: int) -> bool:
        rig.cluster.errors["sbatch"] = [command_error("sbatch", 1, text)]
        with pytest.raises(SlurmError) as raised:
            rig.jobs.create(rig.started(number, memory_retries=retries))
        return raised.value.quota_exceeded

    first = rig.create(1)
    assert waits(2, 0)
    assert waits(3, 1)
    rig.end(first)
    assert rig.state(first).over
    assert waits(4, 0)
    assert not waits(5, 1)


def test_the_log_of_a_waiting_job_says_that_it_waits(rig: Rig) -> None:
    started = rig.create(1)
    with pytest.raises(SlurmError, match="has not started"):
        read_log(rig.cluster, rig.layout, str(started.id))


REPORT = '{"time": 6, "step": 1, "metrics": {"accuracy": 0.5}}\n'
BEGIN = '{"job": "101", "node": "n1", "time": 5.0}'


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "reports.jsonl",
            REPORT + '{"step": 2, "metrics": {"score": "text"}, "time": "x"}\n',
            "invalid report",
        ),
        ("reports.jsonl", REPORT + '{"a": 1}\n', "invalid report '{\"a\": 1}'"),
        ("reports.jsonl", REPORT + "[1]\n", "invalid report"),
        ("reports.jsonl", REPORT + "nonsense\n", "invalid report"),
        ("reports.jsonl", REPORT + "[" * 60_000 + "\n", "invalid report"),
        ("reports.jsonl", REPORT + '{"step": 1.5, "metrics": {"a": 1}, "time": 1}\n', "invalid"),
        ("reports.jsonl", REPORT + '{"step": 1, "metrics": {"a": 1}, "time": 1e99}\n', "invalid"),
        ("reports.jsonl", REPORT + f'{{"metrics": {{"{"a" * 70_000}": 1}}}}\n', "a line of more"),
        ("begin.json", "[]", "invalid begin.json '[]'"),
        ("begin.json", '{"job": ["x"], "node": 1, "time": "soon"}', "invalid begin.json"),
        ("begin.json", '{"job": "--user=other", "node": "n", "time": 1}', "invalid begin.json"),
        ("end.json", "3", "invalid end.json"),
        ("end.json", '{"code": "none"}', "invalid end.json"),
        ("end.json", '{"code": 0, "ended": "now"}', "invalid end.json"),
        ("end.json", '{"code": 0, "ended": NaN}', "invalid end.json"),
        ("end.json", '{"code": 1, "reason": {}}', "invalid end.json"),
    ],
)
def test_an_invalid_file_of_a_trial_fails_this_trial_only(
    rig: Rig, clock: Clock, name: str, content: str, reason: str
) -> None:
    hostile, other = rig.create(1), rig.create(2)
    for started in (hostile, other):
        rig.begin(started)
        rig.write(started, "reports.jsonl", REPORT)
    rig.write(hostile, name, content)
    jobs = rig.poll(hostile, other)
    job = jobs[str(hostile.id)]
    assert (job.state, job.over, job.lost) == ("failed", True, False)
    assert reason in job.reason
    assert ["scancel", "101"] in rig.cluster.calls
    assert jobs[str(other.id)].state == "running"
    assert [m.step for m in jobs[str(other.id)].measurements] == [1]
    assert rig.state(hostile).state == "failed"


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "large"])
@pytest.mark.parametrize("name", ["reports.jsonl", "begin.json", "end.json"])
def test_what_is_no_regular_file_fails_its_trial(
    rig: Rig, clock: Clock, name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_client, "MAX_FILE_BYTES", 2**20)
    started = rig.create(1)
    rig.begin(started)
    path = Path(rig.layout.start(str(started.id)), name)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, 2**20 + 1)
    job = rig.state(started)
    problem = "larger than 1 MiB" if kind == "large" else "not a regular file"
    assert (job.state, job.reason) == ("failed", f"its {name} cannot be read: {problem}")
