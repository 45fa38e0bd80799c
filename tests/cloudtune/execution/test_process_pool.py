from __future__ import annotations

import errno
import math
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import psutil
import pytest

from cloudtune.execution import metric_reader as metrics_module
from cloudtune.execution import reaper, sweeper
from cloudtune.execution.child_process import ColdChild
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune.execution.process_pool import ProcessPool
from cloudtune.results.events import Ended, HostFailure, Measured, Stopped
from tests.waiting import wait_until

if TYPE_CHECKING:
    from .conftest import Bench

READY = {"ready": [r"^READY(?P<value>1)$"]}
REPORT = """\
import json
def report(step, **m):
    with open("reports.jsonl", "a") as file:
        file.write(json.dumps({"metrics": m, "step": step}) + "\\n")
    with open("doorbell", "w") as bell: bell.write("x")
"""
FOREVER = "import time\nprint('READY1')\ntime.sleep(1000)\n"


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def wait_until_gone(pid: int) -> None:
    due = time.monotonic() + 200
    while not gone(pid):
        assert time.monotonic() < due, f"{pid} still runs"
        time.sleep(0.01)


def test_a_successful_script(bench: Bench) -> None:
    ended = bench.run("print('hello')")
    assert (ended.state, ended.reason, ended.exit_code) == ("completed", "", 0)
    assert bench.log() == b"hello\n"


def test_standard_input_is_empty_and_both_outputs_are_one(bench: Bench) -> None:
    ended = bench.run("""
        import sys
        print(repr(sys.stdin.read()))
        print('to the other', file=sys.stderr)
    """)
    assert ended.state == "completed"
    assert bench.log() == b"''\nto the other\n"


def test_lines_of_two_streams_do_not_mix_in_the_log(bench: Bench) -> None:
    bench.run(
        """
        import sys
        print('loss=0.5', end='', flush=True)
        print('7 warn', end='', file=sys.stderr)
        print('ings', file=sys.stderr)
        """,
        metrics={"loss": [r"loss=(\S+)"]},
    )
    assert bench.log() == b"loss=0.5\n7 warnings\n"
    assert bench.measured() == [(1, {"loss": 0.5})]


def test_a_crash_reports_its_exit_code_and_last_lines(bench: Bench) -> None:
    ended = bench.run("""
        for n in range(100): print('line', n)
        raise SystemExit(3)
    """)
    assert (ended.state, ended.reason, ended.exit_code) == ("failed", "exited with code 3", 3)
    assert ended.log_tail.split("\n") == [f"line {n}" for n in range(80, 100)]


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL"])
def test_a_signal_is_named(bench: Bench, name: str) -> None:
    ended = bench.run(f"import os, signal\nos.kill(os.getpid(), signal.{name})")
    assert (ended.state, ended.reason, ended.exit_code) == ("failed", f"killed by {name}", None)


def test_the_tail_of_a_log_is_plain_text(bench: Bench) -> None:
    ended = bench.run(r"""
        import sys
        sys.stdout.buffer.write(b'\x1b[31mred\x1b[0m \xff\xfe \x1b]0;title\x07\x07\x00bell\n')
        sys.stdout.buffer.write(b'\x1b[2J\x9b31m' + b'x' * 100_000 + b'\n1%\r2%\r3%')
        sys.exit(1)
    """)
    assert not [c for c in ended.log_tail if ord(c) < 32 and c not in "\t\n"]
    assert "\x9b" not in ended.log_tail
    assert len(ended.log_tail.encode()) <= 4096
    assert ended.log_tail.endswith("1%\n2%\n3%")
    assert b"\xff\xfe" in bench.log()


def test_a_missing_program_fails_the_start(bench: Bench) -> None:
    ended = bench.run("", command=["no-such-program"])
    assert isinstance(ended, HostFailure)
    assert ended.state == "failed"
    assert ended.reason == "cannot be started: no-such-program not found"


def test_a_missing_working_folder_fails_the_start(bench: Bench) -> None:
    ended = bench.run("", cwd=bench.folder / "nowhere")
    assert ended.reason == f"cannot be started: {bench.folder / 'nowhere'} not found"


def test_too_many_open_files_fail_the_start(bench: Bench) -> None:
    spec = bench.spec(1, "print('hello')")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        bench.processes.start(1, spec)
        ended = bench.end()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(ended, HostFailure)
    assert "cannot be started: Too many open files; raise the limit of open files" in ended.reason
    assert bench.run("print('hello')").state == "completed"


def test_invalid_arguments_fail_the_start(bench: Bench) -> None:
    ended = bench.run("", command=["python", "a\0b"])
    assert (ended.state, ended.reason) == ("failed", "cannot be started: embedded null byte")
    assert type(ended) is Ended, "another process may start"


def test_too_long_arguments_fail_only_their_process(bench: Bench) -> None:
    ended = bench.run("", command=["true", "x" * 4_000_000])
    assert (type(ended), ended.state) == (Ended, "failed")
    assert "Argument list too long" in ended.reason


def test_an_error_of_the_spec_fails_the_start(bench: Bench) -> None:
    def prepare() -> object:
        raise OSError(28, "No space left on device", "/x")

    bench.processes.start(1, prepare)  # type: ignore[arg-type]
    ended = bench.end()
    assert isinstance(ended, HostFailure)
    assert ended.reason == (
        "cannot be started: /x: No space left on device; free space or inodes there (`df`, `df -i`)"
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "cannot be started: not enough memory; free memory"),
        (BlockingIOError(11, "again"), "cannot be started: no more processes can be started"),
        (RuntimeError("can't start new thread"), "cannot be started: no more threads can be"),
    ],
)
def test_a_machine_without_resources_fails_the_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(ColdChild, "__init__", fail)
        ended = bench.run("print('hello')")
    assert isinstance(ended, HostFailure)
    assert ended.reason.startswith(reason)
    assert bench.run("print('hello')").state == "completed"


def test_a_process_that_cannot_be_monitored_is_killed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("cloudtune.execution.child_process.open_exit_fd", fail)
        ended = bench.run(FOREVER)
    assert isinstance(ended, HostFailure)
    assert ended.reason.startswith("cannot be monitored: Too many open files")
    assert bench.run("print('hello')").state == "completed"


def test_a_thread_that_cannot_be_started_fails_the_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        ended = bench.run("print('hello')")
    assert isinstance(ended, HostFailure)
    assert "no more threads can be started; free memory, or raise the limit" in ended.reason
    assert bench.run("print('hello')").state == "completed"


def test_reports_arrive_while_the_script_runs(bench: Bench) -> None:
    bench.start(1, REPORT + "import time\nreport(3, loss=0.5)\ntime.sleep(1000)")
    bench.next(lambda event: not isinstance(event, Ended))
    assert bench.measured() == [(3, {"loss": 0.5})]
    bench.processes.stop(1)
    assert bench.end().reason == "killed by SIGTERM"


def test_reports_without_a_doorbell_arrive_at_the_end(bench: Bench) -> None:
    bench.run("""
        with open('reports.jsonl', 'a') as file:
            file.write('{"metrics": {"a": NaN, "b": 1}}\\n{"metrics": {"b": -Infinity}}\\n')
    """)
    (_, first), second = bench.measured()
    assert math.isnan(first["a"])
    assert first["b"] == 1
    assert second == (2, {"b": -math.inf})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nonsense", "invalid report 'nonsense'"),
        ('{"metrics": {"a": "1"}}', "invalid report"),
        ('{"metrics": {"a": 1}, "step": 1.5}', "invalid report"),
        ("[" * 60_000, "invalid report"),
        ('{"metrics": {"a": 1' + "0" * 5000 + "}}", "invalid report"),
        ("x" * 100_000, "more than 65,536 bytes"),
    ],
)
def test_invalid_reports_fail_the_trial(bench: Bench, line: str, reason: str) -> None:
    (bench.folder / "line").write_text(line)
    ended = bench.run("""
        import time
        open('reports.jsonl', 'w').write(open('../line').read() + '\\n')
        open('doorbell', 'w').write('x')
        time.sleep(1000)
    """)
    assert ended.state == "failed"
    assert reason in ended.reason


def test_reports_that_are_not_a_file_fail_the_trial(bench: Bench) -> None:
    ended = bench.run("import os\nos.mkfifo('reports.jsonl')\nos.remove('doorbell')")
    assert (ended.state, ended.exit_code) == ("failed", 0)
    assert ended.reason == "its reports cannot be read: not a regular file"
    (bench.folder / "1" / "doorbell").write_text("no bell")
    (bench.folder / "1" / "reports.jsonl").unlink()
    assert bench.run(REPORT + "report(1, a=1)").state == "completed"


def test_a_flood_of_reports_fails_the_trial(bench: Bench) -> None:
    ended = bench.run("""
        line = b'{"metrics": {"a": 1}}' + b' ' * 60_000 + b'\\n'
        with open('reports.jsonl', 'ab') as file:
            while True:
                file.write(line)
                if file.tell() > 70_000_000: open('doorbell', 'w').write('x')
                if file.tell() > 1_000_000_000: break
    """)
    assert (ended.state, ended.reason) == ("failed", "reported more than 64 MiB")


def test_printed_metrics(bench: Bench) -> None:
    bench.run(
        r"""
        print('epoch 3 val_acc: 0.91, loss=2')
        print('\x1b[32mloss=1.5\x1b[0m loss=1')
        print('loss=none')
        print('50%\rloss=0.5\r', end='')
        print('val_acc: nan', end='')
        """,
        metrics={"acc": [r"val_acc: (\S+)"], "loss": [r"loss=(?P<value>\S+)", r"(LOSS) (\S+)"]},
    )
    got = bench.measured()
    assert got[:4] == [
        (1, {"acc": 0.91, "loss": 2.0}),
        (2, {"loss": 1.5}),
        (3, {"loss": 1.0}),
        (4, {"loss": 0.5}),
    ]
    assert got[4][0] == 2
    assert math.isnan(got[4][1]["acc"])


def test_matches_that_are_not_numbers_lead_to_a_warning(bench: Bench) -> None:
    ended = bench.run(
        r"""
        print('acc=n/a loss=n/a')
        print('acc=-- loss=0.5 f1=' + '\x00' * 100)
        """,
        metrics={name: [rf"{name}=(\S+)"] for name in ("acc", "loss", "f1", "auc")},
    )
    assert ended.state == "completed"
    quoted = repr("\0" * 40)
    assert ended.reason == (
        "the regular expression of acc last matched '--', which is not a number; "
        f"the regular expression of f1 last matched {quoted}, which is not a number"
    )
    assert bench.measured() == [(1, {"loss": 0.5})]


def test_only_the_first_64_kib_of_a_line_are_searched(bench: Bench) -> None:
    bench.run(
        "print('a=1' + ' ' * 70_000 + 'a=2' + ' ' * 300_000 + 'a=3')\nprint('a=4')",
        metrics={"a": [r"a=(\d)"]},
    )
    assert bench.measured() == [(1, {"a": 1.0}), (2, {"a": 4.0})]


def test_a_process_that_prints_too_much_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_module, "MAX_SEARCHED_LINES", 200)
    code = "print('a=1', flush=True)\nimport time\ntime.sleep(0.2)\nprint('a=2 \\n' * 999)"
    ended = bench.run(code, metrics={"a": [r"a=(\d)"]})
    assert ended.state == "failed"
    assert ended.reason.startswith("printed more than 1,000,000 lines or")
    assert len(bench.measured()) == 200


@pytest.mark.slow
def test_a_slow_regular_expression_fails_only_its_trial(bench: Bench) -> None:
    metrics = {"m": [r"^(a|aa)+$"]}
    waits = "import os, time\nprint('READY1')\nwhile not os.path.exists('go'): time.sleep(0.01)\n"
    slow = f"{waits}print('a' * 60 + 'b')\ntime.sleep(1000)"
    bench.start(1, slow, metrics={**READY, **metrics})
    bench.ready(1)
    bench.start(2, f"{REPORT}{waits}for n in range(20): report(n, a=n)", metrics=READY)
    bench.ready(2)
    for number in (1, 2):  # both have started, which may take long
        (bench.folder / f"{number}" / "go").touch()
    first, second = bench.end(), bench.end()
    assert (first.number, first.state) == (2, "completed")
    assert len(bench.measured(2)) == 21
    assert (second.number, second.state) == (1, "failed")
    assert "the metric m" in second.reason
    assert "^(a|aa)+$" in second.reason


@pytest.mark.parametrize("expression", ["(", "no group"])
def test_an_invalid_regular_expression(bench: Bench, expression: str) -> None:
    ended = bench.run("print(1)", metrics={"m": [expression]})
    assert ended.state == "failed"
    assert "the metric m" in ended.reason


def test_stop_lets_the_script_exit_by_itself(bench: Bench) -> None:
    bench.start(
        1,
        """
        import signal, sys, time
        def end(*_):
            print('saved')
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        print('READY1')
        time.sleep(1000)
        """,
        metrics=READY,
    )
    bench.ready()
    bench.processes.stop(1)
    bench.processes.stop(1)
    assert bench.end().state == "completed"
    assert b"saved" in bench.log()
    bench.processes.stop(1)


STUBBORN = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print('READY1')
    while True: time.sleep(1000)
"""


def test_a_script_that_ignores_a_stop_is_killed_after_its_grace(bench: Bench) -> None:
    bench.start(1, STUBBORN, metrics=READY, grace=0.1)
    bench.ready()
    bench.processes.stop(1)
    assert bench.end().reason == "did not exit within 0.1 s of the request to stop"


def test_a_stop_reaches_a_process_only_before_its_end(bench: Bench) -> None:
    bench.start(1, FOREVER, metrics=READY)
    bench.ready()
    bench.processes.stop(1)
    assert type(bench.end()) is Stopped

    ends: SimpleQueue[Ended] = SimpleQueue()

    def emit(event: Measured | Ended) -> None:
        """Ask for a stop while a measurement is read of a process that has ended."""
        if isinstance(event, Ended):
            ends.put(event)
            return
        (bench.folder / "2" / "go").touch()
        while reaper.find_processes(f"{bench.mark}.late.2."):
            time.sleep(0.01)
        processes.stop(2)

    processes = ProcessPool(emit, f"{bench.mark}.late", grace=0.2)
    code = """
        import os, time
        print('READY1')
        while not os.path.exists('go'):
            time.sleep(0.01)
    """
    try:
        processes.start(2, bench.spec(2, code, metrics=READY))
        ended = ends.get(timeout=200)
    finally:
        processes.close()
    assert (type(ended), ended.state) == (Ended, "completed")


WAIT = """
import atexit, os, signal, time
def wait():
    print('READY1')
    while not os.path.exists('go'):
        time.sleep(0.01)
"""
AT_EXIT = """
atexit.register(wait)
open('trial.json', 'w').write('{}')
os.environ['CLOUDTUNE_TRIAL'] = 'trial.json'
from cloudtune.trial import params
params()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what handles a signal")
@pytest.mark.parametrize("end", ["signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwait()", AT_EXIT])
def test_a_process_that_ignores_a_stop_ends_by_itself(bench: Bench, end: str) -> None:
    code = WAIT + end
    bench.start(1, code, metrics=READY)
    bench.ready()
    bench.processes.stop(1)
    (bench.folder / "1" / "go").touch()
    ended = bench.end()
    assert (type(ended), ended.state) == (Ended, "completed")


def test_stop_now_does_not_wait_for_the_grace(bench: Bench) -> None:
    bench.start(1, STUBBORN, metrics=READY, grace=1000)
    bench.ready()
    bench.processes.stop(1)
    bench.processes.stop(1, now=True)
    assert bench.end().reason == "killed by SIGKILL"


def test_stop_before_the_process_exists(bench: Bench) -> None:
    go = threading.Event()

    def prepare() -> object:
        go.wait(200)
        return bench.spec(1, "print('never')")

    bench.processes.start(1, prepare)  # type: ignore[arg-type]
    bench.processes.stop(1)
    go.set()
    ended = bench.end()
    assert (ended.state, ended.reason) == ("failed", "stopped before it was started")
    assert bench.log() == b""


def test_a_slow_spec_delays_no_other_start(bench: Bench) -> None:
    go = threading.Event()

    def prepare() -> object:
        go.wait(200)
        return bench.spec(1, "print('late')")

    bench.processes.start(1, prepare)  # type: ignore[arg-type]
    bench.start(2, "print('hello')")
    assert bench.end().number == 2
    go.set()
    assert bench.end().number == 1


CHILD = """
    import os, subprocess, sys, time
    child = subprocess.Popen([sys.executable, '-c', 'import signal, time; '
        'signal.signal(signal.SIGTERM, signal.SIG_IGN); '
        'signal.signal(signal.SIGHUP, signal.SIG_IGN); '
        'print("READY1", flush=True); time.sleep(1000)'], start_new_session={session})
    open('../child', 'w').write(str(child.pid))
"""


@pytest.mark.parametrize("session", [False, True])
def test_remaining_children_end_with_the_script(bench: Bench, session: bool) -> None:
    code = CHILD.format(session=session) + "    time.sleep(0.3)\n"
    ended = bench.run(code, metrics=READY)
    assert ended.state == "completed"
    wait_until_gone(int((bench.folder / "child").read_text()))


@pytest.mark.parametrize("session", [False, True])
def test_children_end_with_a_script_that_is_stopped(bench: Bench, session: bool) -> None:
    bench.start(1, CHILD.format(session=session) + "    time.sleep(1000)\n", metrics=READY)
    bench.ready()
    bench.processes.stop(1)
    assert bench.end().state == "failed"
    wait_until_gone(int((bench.folder / "child").read_text()))


DETACHED = """
    import os, subprocess, sys, time
    quiet = subprocess.DEVNULL
    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'],
        start_new_session=True, stdout=quiet, stderr=quiet)
    open('../child', 'w').write(str(child.pid))
"""


def test_a_detached_child_ends_with_its_script(bench: Bench) -> None:
    bench.start(2, FOREVER, metrics=READY)
    bench.ready(2)
    assert bench.run(DETACHED).state == "completed"
    wait_until_gone(int((bench.folder / "child").read_text()))
    assert len(bench.alive()) == 1, "another process was killed"


def test_a_detached_child_ends_with_the_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "_PAUSE", 1000.0)
    bench.run(DETACHED)
    child = int((bench.folder / "child").read_text())
    assert not gone(child)
    bench.processes.close()
    wait_until_gone(child)


@pytest.mark.parametrize("missing", ["in Python", "in the kernel"])
def test_without_pidfd(bench: Bench, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def refuse(_: int) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    if missing == "in Python":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    else:
        monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    assert bench.run("print('hello')\nraise SystemExit(4)").reason == "exited with code 4"
    bench.start(1, FOREVER, metrics=READY)
    bench.ready()
    bench.processes.stop(1)
    assert bench.end().reason == "killed by SIGTERM"


def test_a_number_can_be_reused_after_the_end(bench: Bench) -> None:
    report = REPORT + "report(None, a=1)"
    bench.run(report)
    assert bench.run(report).state == "completed"
    assert bench.measured() == [(1, {"a": 1.0}), (2, {"a": 1.0})]


def test_no_file_descriptor_leaks(bench: Bench) -> None:
    report = REPORT + "report(None, a=1)"
    bench.run(report)  # leaves its reports, which the next start opens; the reaper runs now
    before = psutil.Process().num_fds()
    for _ in range(10):
        assert bench.run(report).state == "completed"
        assert "cannot be started" in bench.run(report, doorbell=bench.folder).reason
        assert "cannot be started" in bench.run(report, cwd=bench.folder / "nowhere").reason
    # Other threads of this process may have opened or closed a few meanwhile.
    wait_until(lambda: psutil.Process().num_fds() < before + 10)


def watchers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("cloudtune processes")]


def test_a_thread_runs_one_process_after_another(bench: Bench) -> None:
    before = {*watchers()}
    for _ in range(5):
        assert bench.run("print('hello')").state == "completed"
        wait_until(lambda: vars(bench.processes)["_idle"])  # it is back from the last
    assert len({*watchers()} - before) == 1
    for number in (1, 2):
        bench.start(number, FOREVER, metrics=READY)
        bench.ready(number)
    assert len({*watchers()} - before) == 2
    bench.processes.close()
    wait_until(lambda: not {*watchers()} - before)


def test_the_first_process_started_at_an_end_runs_on_the_same_thread(bench: Bench) -> None:
    """The others find a thread that is free: they do not wait for what this one still does."""
    inbox: SimpleQueue[Measured | Ended] = SimpleQueue()
    others = threading.Semaphore(0)
    watched: dict[int, int] = {}

    def spec(number: int) -> ProcessSpec:
        watched[number] = threading.get_ident()
        return bench.spec(number, "print('READY1')", metrics=READY)

    def emit_last(events: Sequence[Measured | Ended]) -> None:
        if events[-1].number == 1:
            watched[0] = threading.get_ident()
            for number in (2, 3, 4):
                processes.start(number, partial(spec, number))
            assert others.acquire(timeout=200)
            assert others.acquire(timeout=200)
        for event in events:
            inbox.put(event)
        others.release()

    processes = ProcessPool(inbox.put, bench.mark, grace=0.2, emit_last=emit_last)
    try:
        processes.start(1, partial(spec, 1))
        ended = [inbox.get(timeout=200) for _ in range(8)]
    finally:
        processes.close()
    for number in (1, 2, 3, 4):
        of_one = [type(event) for event in ended if event.number == number]
        assert of_one == [Measured, Ended]
    assert [event.number for event in ended if event.number < 3] == [1, 1, 2, 2]
    assert watched[0] == watched[1] == watched[2]
    assert len({watched[2], watched[3], watched[4]}) == 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_internal_error_fails_only_its_start(bench: Bench) -> None:
    def prepare() -> object:
        raise KeyError("a mistake")

    bench.processes.start(1, prepare)  # type: ignore[arg-type]
    ended = bench.end()
    assert isinstance(ended, HostFailure)
    assert "internal error of cloudtune (KeyError: 'a mistake')" in ended.reason
    assert bench.run("print('hello')").state == "completed"


def test_a_stop_of_one_process_does_not_affect_the_next(bench: Bench) -> None:
    bench.start(1, FOREVER, metrics=READY)
    bench.ready()
    bench.processes.stop(1)
    bench.processes.stop(1, now=True)
    assert bench.end().state == "failed"
    assert bench.run("print('hello')").state == "completed"


def test_a_closed_pool_can_start_processes_again(bench: Bench) -> None:
    bench.run("print('hello')")
    bench.processes.close()
    assert bench.run("print('hello')").state == "completed"


def test_a_running_number_is_refused(bench: Bench) -> None:
    bench.start(1, FOREVER, metrics=READY)
    with pytest.raises(ValueError, match="already running"):
        bench.start(1, FOREVER)


def flood(bench: Bench, megabytes: int) -> None:
    """One trial floods while another reports; the log stays small and says what it lacks."""
    code = f"""
        import sys
        line = b'x' * 63 + b'\\n'
        block = line * 16384
        sys.stdout.buffer.write(b'first\\n')
        for _ in range({megabytes}): sys.stdout.buffer.write(block)
        sys.stdout.buffer.write(b'last\\n')
    """
    bench.start(1, code)
    bench.start(2, REPORT + "for n in range(50): report(n, a=n)")
    assert [bench.end().state, bench.end().state] == ["completed", "completed"]
    assert [step for step, _ in bench.measured(2)] == list(range(50))
    log = bench.log()
    assert log.startswith(b"first\n")
    assert log.endswith(b"xxx\nlast\n")
    left_out = megabytes * 2**20 + 11 - 5 * 2**20
    assert f"[cloudtune omitted {left_out:,} bytes here]".encode() in log
    assert len(log) < 5 * 2**20 + 100


def test_a_flood_of_output(bench: Bench) -> None:
    flood(bench, 100)


@pytest.mark.slow
def test_a_gigabyte_of_output(bench: Bench) -> None:
    flood(bench, 1024)


def test_a_flood_of_searched_output_can_be_stopped(bench: Bench) -> None:
    bench.start(
        1, "print('READY1')\nwhile True: print('x' * 50)", metrics={**READY, "a": [r"a: (\d+)"]}
    )
    bench.ready()
    bench.processes.stop(1)
    assert bench.end().reason == "killed by SIGTERM"


def test_close_ends_everything(bench: Bench) -> None:
    for number in range(1, 4):
        bench.start(number, STUBBORN, metrics=READY)
        bench.ready(number)
    bench.processes.close()
    assert {bench.end().reason for _ in range(3)} == {"killed by SIGKILL"}
    assert bench.alive() == []


def test_many_at_a_time(bench: Bench) -> None:
    for number in range(1, 31):
        bench.start(number, REPORT + f"report(1, a={number})")
    ended = [bench.end() for _ in range(30)]
    assert {e.number for e in ended if e.state == "completed"} == set(range(1, 31))
    assert all(bench.measured(n) == [(1, {"a": float(n)})] for n in range(1, 31))
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
