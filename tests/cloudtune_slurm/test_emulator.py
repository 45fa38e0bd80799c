"""What only the emulator does: faults, limits, and refusing what it does not have."""

from __future__ import annotations

import json
import stat
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cloudtune_slurm.emulator.conf import compress, expand, parse_conf
from cloudtune_slurm.emulator.options import format_seconds, parse_memory, parse_minutes
from tests.cloudtune_slurm.conftest import (
    SAME,
    EmulatedSlurm,
    exit_code,
    look,
    wait_for,
    wait_for_reason,
)

Start = Callable[..., EmulatedSlurm]
SLEEP = "#!/bin/sh\necho begin\nsleep 60\n"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an emulator with a fault plan and a configuration."""
    with ExitStack() as stack:

        def start(faults: str = "", conf: str = SAME, speed: float = 3000) -> EmulatedSlurm:
            plan = tmp_path / "faults.yaml"
            plan.write_text(f"faults: {faults or []}")
            words = ["--speed", str(speed), "--faults", str(plan)]
            emulator = EmulatedSlurm(tmp_path / "emulator", *words, conf=conf)
            stack.callback(emulator.end)
            emulator.reach()
            return emulator

        yield start


def submit(slurm: EmulatedSlurm, *words: str, script: str = SLEEP) -> int:
    options = ["--parsable", "--mem=10", f"--chdir={slurm.folder}", *words]
    done = slurm.run("sbatch", *options, text=script)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize(
    ("effect", "message", "exists"),
    [
        ("throttle", "Rate limit exceeded, please retry later", False),
        ("error", "Unable to contact slurm controller (connect failure)", False),
        ("late_error", "Socket timed out on send/recv operation", True),
        ("lose_response", "Zero Bytes were transmitted or received", True),
        ("deny", "Access/permission denied", False),
        ("expire", "Protocol authentication error", False),
        (
            "quota",
            "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
            False,
        ),
    ],
)
def test_a_fault_of_a_call(*, start: Start, effect: str, message: str, exists: bool) -> None:
    slurm = start(f"[{{operation: sbatch, call: 1, effect: {effect}}}]")
    done = slurm.run("sbatch", "-J", "a", f"--chdir={slurm.folder}", text=SLEEP)
    failed = f"sbatch: error: Batch job submission failed: {message}"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == failed
    listed = slurm.run("squeue", "-h", "-t", "all", "--name=a", "-o", "%j").stdout
    assert listed == ("a\n" if exists else "")


@pytest.mark.parametrize(
    ("effect", "state", "reason", "code"),
    [
        ("lose", "NODE_FAIL", "NodeDown", "0:1"),
        ("lose_node", "NODE_FAIL", "NodeDown", "0:1"),
        ("interrupt", "PREEMPTED", "None", "0:15"),
        ("out_of_memory", "OUT_OF_MEMORY", "OutOfMemory", "0:125"),
        ("fail", "FAILED", "JobLaunchFailure", "0:1"),
    ],
)
def test_a_fault_of_a_job(*, start: Start, effect: str, state: str, reason: str, code: str) -> None:
    slurm = start(f"[{{operation: trial, call: 1, effect: {effect}}}]")
    job = submit(slurm, "--no-requeue")
    seen = wait_for(slurm, job, "COMPLETED", state)
    assert (seen[1], seen[2]) == (state, reason)
    assert exit_code(slurm, job) == code
    other = submit(slurm)
    wait_for(slurm, other, "RUNNING")
    assert slurm.run("scancel", f"{other}").returncode == 0
    wait_for(slurm, other, "CANCELLED")


def test_a_lost_node_takes_all_its_jobs_and_returns(start: Start) -> None:
    slurm = start("[{operation: trial, call: 2, effect: lose_node}]", speed=30)
    jobs = [submit(slurm, "--no-requeue", "-w", "n1") for _ in range(2)]
    other = submit(slurm, "--no-requeue", "-w", "n2")
    states = "sinfo", "-h", "-p", "main", "-o", "%N %t"
    slurm.until(lambda: slurm.run(*states).stdout, lambda text: "n1 down*" in text)
    for job in jobs:
        wait_for(slurm, job, "NODE_FAIL")
    assert look(slurm, other)[1] == "RUNNING"
    slurm.until(lambda: slurm.run(*states).stdout, lambda text: "n1 idle" in text)


def test_a_job_that_may_be_requeued_starts_again_after_the_loss_of_its_node(start: Start) -> None:
    slurm = start("[{operation: trial, call: 1, effect: lose}]")
    again = '[ "$SLURM_RESTART_COUNT" ]'
    script = f"#!/bin/sh\necho restart $SLURM_RESTART_COUNT\n{again} || sleep 60\n"
    job = submit(slurm, "-o", "out.txt", script=script)
    wait_for(slurm, job, "COMPLETED")
    assert (slurm.folder / "out.txt").read_text() == "restart\nrestart 1\n"


def test_jobs_wait_for_what_they_request(start: Start) -> None:
    slurm = start()
    first = submit(slurm, "-c", "4", "-w", "n1")
    wait_for(slurm, first, "RUNNING")
    second = submit(slurm, "--gres=gpu:2", "-w", "n1")
    third = submit(slurm, "-w", "n2")
    wait_for_reason(slurm, second, "Resources")
    wait_for_reason(slurm, third, "Priority")
    slurm.run("scancel", f"{first}")
    wait_for(slurm, second, "RUNNING")
    assert wait_for(slurm, third, "RUNNING")[4] == "n2"
    whole = submit(slurm, "--mem=0", "-w", "n2")
    wait_for_reason(slurm, whole, "Resources")


def test_a_user_may_have_only_so_many_jobs(start: Start) -> None:
    slurm = start(conf=f"{SAME}MaxSubmitJobsPerUser=1\n")
    job = submit(slurm)
    done = slurm.run("sbatch", f"--chdir={slurm.folder}", text=SLEEP)
    assert done.returncode == 1
    assert done.stderr.startswith("sbatch: error: QOSMaxSubmitJobPerUserLimit\n")
    slurm.run("scancel", f"{job}")
    wait_for(slurm, job, "CANCELLED")
    submit(slurm)


def test_an_ended_job_is_forgotten(start: Start) -> None:
    slurm = start(conf=SAME.replace("MinJobAge=300", "MinJobAge=1"))
    job = submit(slurm, script="#!/bin/sh\nexit 0\n")
    words = ["squeue", "-h", "-t", "all", "-j", f"{job}", "-o", "%T"]
    slurm.until(lambda: slurm.run(*words).stderr, lambda text: "Invalid job id specified" in text)


@pytest.mark.parametrize(
    "words",
    [
        ["sbatch", "--array=1-3"],
        ["sbatch", "--dependency=afterok:1"],
        ["sbatch", "--nodes=2"],
        ["squeue", "--json"],
        ["scancel", "--interactive", "1"],
        ["sinfo", "--long"],
        ["scontrol", "requeue", "1"],
    ],
)
def test_what_the_emulator_lacks_is_refused(emulator: EmulatedSlurm, words: list[str]) -> None:
    done = emulator.run(*words, text=SLEEP)
    assert done.returncode == 1
    assert f"{words[0]}: error: the emulator does not have" in done.stderr


def test_the_commands_are_programs_that_only_their_owner_can_use(emulator: EmulatedSlurm) -> None:
    program = emulator.folder / "bin" / "sinfo"
    assert stat.S_IMODE(program.stat().st_mode) == 0o700
    done = subprocess.run([program, "-h", "-o", "%R"], capture_output=True, text=True, check=True)
    assert done.stdout == "main\nshort\n"
    assert emulator.address["environment"]["PATH"].startswith(f"{program.parent}:")


def test_a_call_without_the_key_is_refused(emulator: EmulatedSlurm) -> None:
    request = urllib.request.Request(f"{emulator.url}/squeue", b"{}", {"Authorization": "Bearer x"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    with caught.value as response:
        assert json.loads(response.read())["error"] == "Protocol authentication error"
    done = emulator.run("squeue", env={"CLOUDTUNE_SLURM_KEY": "x"})
    assert (done.returncode, done.stdout) == (1, "")


def test_a_command_knows_when_the_emulator_has_ended(tmp_path: Path) -> None:
    slurm = EmulatedSlurm(tmp_path / "emulator")
    slurm.reach()
    slurm.end()
    done = slurm.run("squeue")
    assert done.returncode == 1
    assert "the emulator has ended, and its jobs with it" in done.stderr
    assert "slurm_load_jobs error: Unable to contact slurm controller" in done.stderr


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("5", 5),
        ("0", 0),
        ("1:30", 2),
        ("1:00:00", 60),
        ("1-0", 1440),
        ("1-2:30", 1590),
        ("1-2:30:01", 1591),
        ("INFINITE", 0),
        ("abc", None),
        ("1:2:3:4", None),
    ],
)
def test_the_formats_of_a_time_limit(text: str, minutes: int | None) -> None:
    assert parse_minutes(text) == minutes


def test_sizes_durations_and_lists_of_nodes() -> None:
    assert [parse_memory(text) for text in ("5", "2G", "1T", "0", "2048K", "x")] == [
        *(5, 2048, 1024**2, 0, 2, None)
    ]
    assert [format_seconds(seconds) for seconds in (3, 3723, 90_061)] == [
        *("0:03", "1:02:03", "1-01:01:01")
    ]
    assert expand("a,n[09-11]") == ["a", "n09", "n10", "n11"]
    assert compress(["n1", "n2", "n4", "x"]) == "x,n[1-2,4]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NodeName=n1 Weight=3\n", "line 1: the emulator does not have Weight"),
        ("AccountingStorageType=x\n", "line 1: the emulator does not have AccountingStorageType"),
        ("NodeName\n", "line 1: 'NodeName' is not NAME=VALUE"),
        ("NodeName=n1\n", "a cluster needs at least one NodeName and one PartitionName"),
        ("NodeName=n1 Gres=fpga:1\n", "line 1: the emulator has gpu:COUNT only as Gres"),
    ],
)
def test_a_configuration_that_is_not_emulated_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"emulator|NAME=VALUE|cluster") as caught:
        parse_conf(text)
    assert str(caught.value) == message
