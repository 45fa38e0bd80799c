"""The emulator's commands against those of a real Slurm 24.11, call by call."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from cloudtune_slurm.account import check_account
from cloudtune_slurm.host import LocalHost
from tests.cloudtune_slurm.cluster import COMMANDS, Cluster, version
from tests.cloudtune_slurm.conftest import (
    Slurm,
    exit_code,
    look,
    wait_for,
    wait_for_exit_code,
    wait_for_text,
)
from tests.cloudtune_slurm.support import plan_of

VERSION = "24.11"
"""The version that the emulator follows; others word some errors differently."""


@pytest.fixture(autouse=True)
def _same_version(slurm: Slurm) -> None:
    if isinstance(slurm, Cluster) and not version().startswith(VERSION):
        pytest.skip(f"this is Slurm {version()}, and the emulator follows {VERSION}")


Submit = Callable[..., int]
SCRIPT = "#!/bin/sh\nexit 0\n"
UNAVAILABLE = (
    "sbatch: error: Batch job submission failed: Requested node configuration is not available"
)
SIGNALS = """\
exec {python} -u - <<'END'
import os, signal, subprocess, sys, time
def note(number, frame):  # in one call, since both processes write to the file
    os.write(1, f"script {{signal.Signals(number).name}}".encode() + bytes([10]))
for number in (signal.SIGTERM, signal.SIGCONT, signal.SIGUSR1):
    signal.signal(number, note)
child = '''import os, signal, time
def note(number, frame):
    os.write(1, f"child {{signal.Signals(number).name}}".encode() + bytes([10]))
for number in (signal.SIGTERM, signal.SIGCONT, signal.SIGUSR1):
    signal.signal(number, note)
print("child waits")
while not os.path.exists("over"):
    time.sleep(0.1)
'''
child = subprocess.Popen([sys.executable, "-u", "-c", child], start_new_session=True)
print("script waits")
child.wait()
END
"""
"""Prints the signals that reach it and a child in a session of its own, until a file exists."""


def signals() -> str:
    return SIGNALS.format(python=sys.executable)


@pytest.mark.parametrize(
    ("words", "text", "code", "errors"),
    [
        (["nofile.sh"], "", 1, "sbatch: error: Unable to open file nofile.sh"),
        ([], "", 1, "sbatch: error: Batch script is empty!"),
        (
            [],
            "echo\n",
            1,
            "sbatch: error: This does not look like a batch script.  The first\n"
            "sbatch: error: line must start with #! followed by the path to an interpreter.\n"
            "sbatch: error: For instance: #!/bin/sh",
        ),
        (
            [],
            "#!/bin/sh\r\necho\r\n",
            1,
            "sbatch: error: Batch script contains DOS line breaks (\\r\\n)\n"
            "sbatch: error: instead of expected UNIX line breaks (\\n).",
        ),
        (
            ["-p", "nope"],
            SCRIPT,
            1,
            "sbatch: error: invalid partition specified: nope\n"
            "sbatch: error: Batch job submission failed: Invalid partition name specified",
        ),
        (
            ["--foo"],
            SCRIPT,
            255,
            "sbatch: unrecognized option '--foo'\nTry \"sbatch --help\" for more information",
        ),
        (
            ["--parsable=1"],
            SCRIPT,
            255,
            "sbatch: option '--parsable' doesn't allow an argument\n"
            'Try "sbatch --help" for more information',
        ),
        (
            ["--output"],
            SCRIPT,
            255,
            "sbatch: option '--output' requires an argument\n"
            'Try "sbatch --help" for more information',
        ),
        (
            [],
            "#!/bin/sh\n#SBATCH --foo\nexit 0\n",
            255,
            "sbatch: unrecognized option '--foo'\nTry \"sbatch --help\" for more information",
        ),
        (["--time=abc"], SCRIPT, 255, "sbatch: error: Invalid --time specification"),
        (["--mem=abc"], SCRIPT, 255, "sbatch: error: Invalid --mem specification"),
        (["--mem=1.5G"], SCRIPT, 255, "sbatch: error: Invalid --mem specification"),
        (["--signal=foo"], SCRIPT, 255, "sbatch: error: Invalid --signal specification"),
        (["--signal=B:TERM@70000"], SCRIPT, 255, "sbatch: error: Invalid --signal specification"),
        (["--open-mode=foo"], SCRIPT, 255, "sbatch: error: Invalid --open-mode specification"),
        (["-c", "0"], SCRIPT, 1, 'sbatch: error: Invalid numeric value "0" for --cpus-per-task.'),
        (["-c", "x"], SCRIPT, 1, 'sbatch: error: Invalid numeric value "x" for --cpus-per-task.'),
        (
            ["-c", "5"],
            SCRIPT,
            1,
            f"sbatch: error: CPU count per node can not be satisfied\n{UNAVAILABLE}",
        ),
        (
            ["--mem=5000"],
            SCRIPT,
            1,
            f"sbatch: error: Memory specification can not be satisfied\n{UNAVAILABLE}",
        ),
        (["--gres=gpu:3"], SCRIPT, 1, UNAVAILABLE),
        (["--gpus=5"], SCRIPT, 1, UNAVAILABLE),
        (
            ["--gres=foo:1"],
            SCRIPT,
            1,
            "sbatch: error: Invalid generic resource (gres) specification",
        ),
        (
            ["-C", "fast"],
            SCRIPT,
            1,
            "sbatch: error: Batch job submission failed: Invalid feature specification",
        ),
        (
            ["-w", "n9"],
            SCRIPT,
            1,
            "sbatch: error: Batch job submission failed: Invalid node name specified",
        ),
    ],
)
def test_sbatch_refuses(
    *, slurm: Slurm, tmp_path: Path, words: list[str], text: str, code: int, errors: str
) -> None:
    done = slurm.run("sbatch", *words, text=text, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.strip() == errors


@pytest.mark.parametrize(
    ("words", "code", "output", "errors"),
    [
        (["squeue", "-h", "-j", "99999"], 1, "", "slurm_load_jobs error: Invalid job id specified"),
        (["squeue", "-h", "-j", "abc"], 1, "", "squeue: error: Invalid job id: abc"),
        (["squeue", "-h", "-n", "nope", "-t", "all"], 0, "", ""),
        (["squeue", "-h", "-p", "nope"], 0, "", ""),
        (
            ["squeue", "--foo"],
            1,
            "",
            "squeue: unrecognized option '--foo'\nTry \"squeue --help\" for more information",
        ),
        (
            ["squeue", "-h", "-o"],
            1,
            "",
            "squeue: option requires an argument -- 'o'\n"
            'Try "squeue --help" for more information',
        ),
        (["scancel", "99999"], 0, "", ""),
        (["scancel", "--name", "nope"], 0, "", ""),
        (["scancel", "abc"], 1, "", "scancel: error: Invalid job id abc"),
        (["scancel"], 1, "", "scancel: error: No job identification provided"),
        (["scancel", "--signal=FOO", "1"], 1, "", "Unknown job signal: FOO"),
        (
            ["scancel", "--signal=TERM", "99999"],
            1,
            "",
            "scancel: error: Kill job error on job id 99999: Invalid job id specified",
        ),
        (
            ["scancel", "--foo"],
            1,
            "",
            "scancel: unrecognized option '--foo'\nTry \"scancel --help\" for more information",
        ),
        (["sinfo", "-h", "-p", "nope"], 0, "", ""),
        (
            ["sinfo", "-h", "-o", "%P|%l|%c|%m|%G|%R"],
            0,
            "main*|infinite|4|4000|gpu:2|main\nshort|5:00|4|4000|gpu:2|short",
            "",
        ),
        (["scontrol", "foo"], 1, "", "invalid keyword: foo"),
        (["scontrol", "show", "foo"], 1, "", "invalid entity:foo for keyword:show"),
        (["scontrol", "show", "partition", "nope"], 1, "Partition nope not found", ""),
        (["scontrol", "show", "node", "n9"], 1, "Node n9 not found", ""),
        (
            ["scontrol", "show", "job", "99999"],
            1,
            "",
            "slurm_load_jobs error: Invalid job id specified",
        ),
        *(([name, "--version"], 0, "slurm-wlm 24.11.5", "") for name in ("sbatch", "squeue")),
        *(([name, "--version"], 0, "slurm-wlm 24.11.5", "") for name in ("scancel", "scontrol")),
    ],
)
def test_commands_answer(
    slurm: Slurm, words: list[str], code: int, output: str, errors: str
) -> None:
    done = slurm.run(*words)
    assert (done.returncode, done.stderr.strip()) == (code, errors)
    assert done.stdout.strip() == output


def test_an_unknown_state_is_refused_and_an_unknown_user_is_not(slurm: Slurm) -> None:
    done = slurm.run("squeue", "-h", "-t", "foo")
    assert done.returncode == 1
    assert done.stderr.startswith("squeue: error: Invalid job state specified: foo\n")
    done = slurm.run("squeue", "-h", "-u", "nobody2", "-t", "DL")
    assert (done.returncode, done.stderr.strip()) == (0, "squeue: error: Invalid user: nobody2")


@pytest.mark.parametrize(
    ("words", "code", "errors"),
    [
        (
            ["-p", "short", "--time=10"],
            0,
            r"sbatch: Job \d+ to start at \S+ using 1 processors on nodes n1 in partition short",
        ),
        (["-c", "9"], 1, "allocation failure: Requested node configuration is not available"),
        (
            ["-p", "nope"],
            1,
            "sbatch: error: invalid partition specified: nope\n"
            "allocation failure: Invalid partition name specified",
        ),
    ],
)
def test_a_job_is_only_tested(slurm: Slurm, words: list[str], code: int, errors: str) -> None:
    named = ["-J", "tested", "--mem=10", "-w", "n1", "--wrap=true"]
    done = slurm.run("sbatch", "--parsable", "--test-only", *named, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert re.fullmatch(errors, done.stderr.strip())
    assert slurm.run("squeue", "-h", "-t", "all", "--name=tested").stdout == ""


def test_the_account_of_a_user_has_only_jobs_that_have_not_ended(
    slurm: Slurm, submit: Submit, tmp_path: Path
) -> None:
    slurm.run("scancel", "--me")
    job = submit("exit 0")
    wait_for(slurm, job, "COMPLETED")
    waiting = submit("exit 0", "--hold")

    class Host(LocalHost):
        def run(self, words: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
            if words[0] not in COMMANDS:
                return super().run(words, variables)
            done = slurm.run(*words)
            assert done.returncode == 0, done.stderr
            return done.stdout

    checks = {check.id: check for check in check_account(Host(), plan_of(tmp_path))}
    slurm.run("scancel", f"{waiting}")
    assert "you have 1 job in the queue" in checks["slurm-controller"].message
    assert checks["slurm-request"].message == "Slurm accepts the job of a trial"
    assert "partition main is up: 2 nodes" in checks["slurm-partition"].message


def test_a_job_that_no_node_can_run_is_refused_and_listed_as_failed(
    slurm: Slurm, tmp_path: Path
) -> None:
    done = slurm.run("sbatch", "-J", "too-big", "-c", "5", text=SCRIPT, cwd=tmp_path)
    assert done.returncode == 1
    done = slurm.run("squeue", "-h", "-t", "all", "--name=too-big", "-o", "%j|%T|%r|%N|%M")
    assert done.stdout == "too-big|FAILED|BadConstraints||0:00\n"


@pytest.mark.parametrize(
    ("script", "state", "code", "reason"),
    [
        ("exit 0", "COMPLETED", "0:0", "None"),
        ("exit 7", "FAILED", "7:0", "NonZeroExitCode"),
        ("kill -9 $$", "FAILED", "0:9", "RaisedSignal:9(Killed)"),
        ("kill -TERM $$", "FAILED", "0:15", "RaisedSignal:15(Terminated)"),
        ("sleep 300 &\nexit 0", "COMPLETED", "0:0", "None"),
    ],
)
def test_how_a_script_exits(
    *, slurm: Slurm, submit: Submit, script: str, state: str, code: str, reason: str
) -> None:
    job = submit(script)
    _, seen, why, _, node = wait_for(slurm, job, "COMPLETED", "FAILED", "CANCELLED")
    assert (seen, why) == (state, reason)
    assert exit_code(slurm, job) == code
    assert node in {"n1", "n2"}


def test_a_script_without_its_interpreter_fails(slurm: Slurm, tmp_path: Path) -> None:
    words = ["--parsable", "--mem=10", "-o", "out.txt"]
    done = slurm.run("sbatch", *words, text="#!/nonexistent/python\n", cwd=tmp_path)
    job = int(done.stdout)
    assert wait_for(slurm, job, "FAILED")[2] == "NonZeroExitCode"
    assert exit_code(slurm, job) == "2:0"
    text = "error: execve(): bad interpreter(/nonexistent/python): No such file or directory"
    assert text in wait_for_text(tmp_path / "out.txt", text)


def test_the_output_goes_where_the_options_say(slurm: Slurm, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "kept-x.txt").write_text("before\n")
    (tmp_path / "job.sh").write_text(
        "#!/bin/sh\n#SBATCH --job-name=lost --comment='two words'\n"
        'echo "$PWD" "$@"; cat; echo problem >&2\n'
    )
    words = ["-J", "x", "--mem=10", "--chdir", "log", "--open-mode=append", "-o", "kept-%x.txt"]
    words += ["-e", "new/%j.err", "job.sh", "one", "two  words", "$HOME"]
    done = slurm.run("sbatch", *words, cwd=tmp_path)
    match = re.fullmatch(r"Submitted batch job (\d+)\n", done.stdout)
    assert match, done.stderr
    wait_for(slurm, int(match[1]), "COMPLETED")
    log = tmp_path / "log"
    assert (log / "kept-x.txt").read_text() == f"before\n{log} one two  words $HOME\n"
    assert (log / "new" / f"{match[1]}.err").read_text() == "problem\n"
    words = ["squeue", "-h", "-t", "all", "-j", match[1], "-o", "%j|%k|%Z|%o|%u|%P|%C|%m|%D"]
    fields = slurm.run(*words).stdout.strip().split("|")
    assert fields[:4] == ["x", "two words", str(log), "job.sh"]
    assert fields[5:] == ["main", "1", "10M", "1"]


@pytest.mark.parametrize(
    ("export", "expected"),
    [
        ("ALL", {"A": "1", "B": "2"}),
        ("A", {"A": "1"}),
        ("A,C=3", {"A": "1", "C": "3"}),
        ("ALL,C=3", {"A": "1", "B": "2", "C": "3"}),
        ("NONE", {}),
        ("NIL", {}),
    ],
)
def test_which_variables_a_script_gets(
    slurm: Slurm, submit: Submit, tmp_path: Path, export: str, expected: dict[str, str]
) -> None:
    script = "/usr/bin/env | /usr/bin/sort; echo done"
    names = ["-J", "named", "--cpus-per-task=2", "--time=1", f"--export={export}"]
    job = submit(script, *names, env={"A": "1", "B": "2"})
    text = wait_for_text(tmp_path / f"out-{job}.txt", "done")
    variables = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert {name: variables[name] for name in ("A", "B", "C") if name in variables} == expected
    assert ("HOME" in variables) == (export != "NIL")
    assert variables["SLURM_JOB_ID"] == variables["SLURM_JOBID"] == str(job)
    assert variables["SLURM_JOB_NAME"] == "named"
    assert variables["SLURM_JOB_PARTITION"] == "main"
    assert variables["SLURM_CPUS_PER_TASK"] == variables["SLURM_CPUS_ON_NODE"] == "2"
    assert variables["SLURM_MEM_PER_NODE"] == "10"
    assert variables["SLURM_SUBMIT_DIR"] == str(tmp_path)
    assert variables["SLURMD_NODENAME"] == variables["SLURM_JOB_NODELIST"]
    seconds = int(variables["SLURM_JOB_END_TIME"]) - int(variables["SLURM_JOB_START_TIME"])
    assert seconds == 60


def test_scancel_ends_all_processes_and_kills_those_that_stay(
    slurm: Slurm, submit: Submit, tmp_path: Path
) -> None:
    job = submit(signals())
    log = tmp_path / f"out-{job}.txt"
    wait_for_text(log, "script waits")
    wait_for_text(log, "child waits")
    assert slurm.run("scancel", f"{job}").returncode == 0
    text = wait_for_text(log, "script SIGTERM")
    assert look(slurm, job)[1] == "COMPLETING"
    assert wait_for(slurm, job, "CANCELLED")[2] == "None"
    wait_for_exit_code(slurm, job, "0:9")
    text = log.read_text()
    assert re.search(
        rf"slurmstepd-n\d: error: \*\*\* JOB {job} ON n\d CANCELLED AT \S+ \*\*\*", text
    )
    for line in ("script SIGTERM", "script SIGCONT", "child SIGTERM", "child SIGCONT"):
        assert text.count(line) == 1
    done = slurm.run("scancel", f"{job}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_signal_to_the_batch_script_reaches_it_only(
    slurm: Slurm, submit: Submit, tmp_path: Path
) -> None:
    job = submit(signals())
    log = tmp_path / f"out-{job}.txt"
    wait_for_text(log, "script waits")
    wait_for_text(log, "child waits")
    assert slurm.run("scancel", "--signal=USR1", f"{job}").returncode == 0
    assert slurm.run("scancel", "--batch", "--signal=TERM", f"{job}").returncode == 0
    wait_for_text(log, "script SIGTERM")
    (tmp_path / "over").touch()
    wait_for(slurm, job, "COMPLETED")
    text = log.read_text()
    assert "USR1" not in text
    assert "child SIG" not in text
    assert f"*** JOB {job} ON" in text


def test_a_script_that_ends_on_a_signal_has_its_own_state(
    slurm: Slurm, submit: Submit, tmp_path: Path
) -> None:
    script = "trap 'exit {}' TERM; echo waits; sleep 60 & wait"
    jobs = {code: submit(script.format(code)) for code in (0, 7)}
    for job in jobs.values():
        wait_for_text(tmp_path / f"out-{job}.txt", "waits")
        slurm.run("scancel", "--batch", "--signal=TERM", f"{job}")
    assert wait_for(slurm, jobs[0], "COMPLETED", "FAILED")[1] == "COMPLETED"
    assert wait_for(slurm, jobs[7], "COMPLETED", "FAILED")[1] == "FAILED"
    assert exit_code(slurm, jobs[7]) == "7:0"


def test_a_waiting_job_is_cancelled_at_once(slurm: Slurm, submit: Submit) -> None:
    job = submit("exit 0", "--hold")
    assert wait_for(slurm, job, "PENDING")[3] == "(JobHeldUser)"
    done = slurm.run("scancel", "--signal=TERM", f"{job}")
    text = f"scancel: error: Kill job error on job id {job}: Job can not be altered now"
    assert (done.returncode, done.stderr) == (228, f"{text}, try again later\n")
    assert slurm.run("scancel", f"{job}").returncode == 0
    assert look(slurm, job)[1] == "CANCELLED"


def test_a_limit_beyond_the_partitions_keeps_a_job_waiting(slurm: Slurm, submit: Submit) -> None:
    job = submit("exit 0", "-p", "short", "--time=10")
    seen = look(slurm, job)
    assert seen[1] == "PENDING"
    wait_for_reason(slurm, job, "PartitionTimeLimit")
    slurm.run("scancel", f"{job}")


def wait_for_reason(slurm: Slurm, job: int, reason: str) -> None:
    deadline = time.monotonic() + 200
    while look(slurm, job)[2] != reason:
        assert time.monotonic() < deadline, look(slurm, job)
        time.sleep(0.1)


@pytest.mark.slow
def test_the_signal_before_the_limit_and_the_limit(
    slurm: Slurm, submit: Submit, tmp_path: Path
) -> None:
    # slurmctld looks each 30 s, and signals up to as much earlier: 20 s after the start or later.
    job = submit(signals(), "--time=1", "--signal=B:USR1@10")
    wait_for(slurm, job, "TIMEOUT")
    text = (tmp_path / f"out-{job}.txt").read_text()
    assert re.search(r"CANCELLED AT \S+ DUE TO TIME LIMIT \*\*\*", text)
    assert text.index("script SIGUSR1") < text.index("script SIGTERM")
    assert "child SIGUSR1" not in text
    assert "child SIGTERM" in text
    assert look(slurm, job)[2] == "TimeLimit"
    wait_for_exit_code(slurm, job, "0:9")


def test_jobs_are_listed_by_name_whatever_their_state(slurm: Slurm, submit: Submit) -> None:
    jobs = [submit("exit 3", "-J", "one"), submit("exit 0", "-J", "two"), submit("exit 0")]
    for job in jobs:
        wait_for(slurm, job, "COMPLETED", "FAILED")
    words = ["squeue", "-h", "-t", "all", "--name=one,two,three", "-o", "%j %T %i"]
    lines = sorted(slurm.run(*words).stdout.splitlines())
    assert lines == [f"one FAILED {jobs[0]}", f"two COMPLETED {jobs[1]}"]
    assert str(jobs[0]) not in slurm.run("squeue", "-h", "-o", "%i").stdout.split()
    done = slurm.run("squeue", "-h", "-t", "all", "-j", f"{jobs[0]}", "-o", "<%.9i|%5j|%2T|%t>")
    assert done.stdout == f"<{jobs[0]:>9}|one  |FA|F>\n"
