"""A forked script behaves like the same script started cold."""

from __future__ import annotations

import ctypes.util
import os
import re
import secrets
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest

from cloudtune.execution import reaper
from cloudtune.execution.forkserver import client as warm
from cloudtune.execution.forkserver.client import Preload
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune.execution.process_pool import ProcessPool
from cloudtune.results.events import Ended, Measured
from tests.waiting import wait_until

NUMPY = ("numpy", ())
READY = {"ready": [r"^READY(?P<value>1)$"]}
FOREVER = "import time\nprint('READY1', flush=True)\ntime.sleep(1000)\n"


class Pair:
    """Runs one script cold and warm, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.work.mkdir()
        self.library = folder / "library"
        self.library.mkdir()
        self.mark = f"warm-{secrets.token_hex(6)}"
        self.messages: list[str] = []
        self.env = {**os.environ, "PYTHONPATH": str(self.library), "PYTHONHASHSEED": "0"}
        self.python = sys.executable
        self.folder = self.work
        self.imports: list[tuple[str, tuple[str, ...]]] = []
        self.required = False
        self.inbox: SimpleQueue[Measured | Ended] = SimpleQueue()
        self._pools: list[ProcessPool] = []

    def processes(self, *, warm: bool) -> ProcessPool:
        """Return a new pool. Earlier ones are closed: each kills all others with its mark."""
        self.close()
        preload = Preload(
            python=self.python,
            env=self.env,
            cwd=str(self.work),
            folder=str(self.folder),
            imports=self.imports,
            required=self.required,
            quiet=False,
            source=[str(self.work)],
        )
        pool = ProcessPool(
            self.inbox.put,
            self.mark,
            grace=0.3,
            preload=preload if warm else None,
            notify=self.messages.append,
        )
        self._pools.append(pool)
        return pool

    def write(self, code: str, name: str = "train.py") -> None:
        (self.work / name).parent.mkdir(exist_ok=True)
        (self.work / name).write_text(textwrap.dedent(code), "utf-8")

    def add(self, name: str, code: str) -> None:
        """Create a module outside the source and import it first."""
        (self.library / f"{name}.py").write_text(textwrap.dedent(code), "utf-8")
        self.imports.append((name, ()))

    def spec(self, *words: str, number: int = 1) -> ProcessSpec:
        return ProcessSpec(
            command=[self.python, *words],
            cwd=self.work,
            env=self.env,
            log=self.work.parent / f"log-{number}.txt",
            metrics=READY,
            grace=0.3,
        )

    def end(self) -> Ended:
        while not isinstance(event := self.inbox.get(timeout=200), Ended):
            pass
        return event

    def ready(self) -> None:
        assert isinstance(self.inbox.get(timeout=200), Measured)

    def run(self, pool: ProcessPool, *words: str) -> tuple[str, Ended]:
        """Run the script; return its output and its end."""
        pool.start(1, self.spec(*(words or ("train.py",))))
        ended = self.end()
        log = self.work.parent / "log-1.txt"
        printed = log.read_text("utf-8")
        log.unlink()
        return printed, ended

    def both(self, *words: str) -> tuple[str, str]:
        """Return the output of the script, cold and warm; both must end in the same way."""
        printed: list[str] = []
        ends: list[tuple[object, ...]] = []
        for is_warm in (False, True):
            output, ended = self.run(self.processes(warm=is_warm), *words)
            printed.append(output)
            ends.append((ended.state, ended.reason, ended.exit_code, ended.log_tail))
        assert self.messages == []
        assert ends[0] == ends[1]
        return printed[0], printed[1]

    def close(self) -> None:
        while self._pools:
            self._pools.pop().close()

    def server_pid(self) -> int:
        """Return the process id of the fork server."""
        (pid,) = reaper.find_processes(f"{self.mark}.preloaded.")
        return pid


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    for name in ("PRELOAD_TIMEOUT", "PROBE_TIMEOUT", "START_TIMEOUT"):  # a machine may be busy
        monkeypatch.setattr(warm, name, 200.0)
    instance = Pair(tmp_path)
    yield instance
    instance.close()
    assert reaper.find_processes(instance.mark) == []


SELF = """
import os, sys
mine = {n: v for n, v in os.environ.items() if n != "CLOUDTUNE_RUN"}
for line in (sys.argv, sys.orig_argv, __name__, __file__, __doc__, __spec__, __package__,
             type(__loader__), __loader__.name, __loader__.path, __builtins__, sorted(globals()),
             sys.path, os.getcwd(), sorted(mine.items()), sys.executable, sys.flags,
             sys.modules["__main__"].__dict__ is globals(), sys.modules.get("__mp_main__"),
             sorted(os.listdir("/proc/self/fd")), os.readlink("/proc/self/fd/0"), sys.stdin.read(),
             [(s.encoding, s.errors, s.line_buffering, s.write_through, s.isatty())
              for s in (sys.stdin, sys.stdout, sys.stderr)],
             os.getpid() == os.getsid(0) == os.getpgrp(), hash("text"), os.umask(0o22),
             os.environ["CLOUDTUNE_RUN"].rpartition(".")[0].rpartition(".")[2]):
    print(line)
import signal
print([(s.name, signal.getsignal(s)) for s in signal.Signals if s not in (9, 19)])
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), sys.getrecursionlimit())
"""
"""Prints all that a script can see of itself."""


def plain(printed: str) -> str:
    """Return what was printed without the addresses of objects."""
    return re.sub(r"0x[0-9a-f]+", "0x", printed)


@pytest.mark.parametrize("words", [("train.py",), ("./train.py", "--x", "ü"), ("-m", "train", "1")])
def test_a_script_sees_the_same(pair: Pair, words: tuple[str, ...]) -> None:
    pair.write(SELF)
    pair.imports = [("json", ("dumps",)), ("socket", ())]
    pair.env |= {"A": "b", "LC_ALL": "", "LANG": "C"}
    cold, warm = pair.both(*words)
    assert cold.count("\n") == 29
    assert plain(warm) == plain(cold)


def test_a_script_in_a_folder_and_a_package_see_the_same(pair: Pair) -> None:
    pair.write("print('package', __name__, __file__)", "inner/__init__.py")
    pair.write("print(__name__, __file__)\nclass Mine: pass", "inner/own.py")
    pair.write(
        SELF + "\nimport own; print(own.Mine)\nimport inner.own\nprint(inner.own.Mine().__class__)",
        "inner/train.py",
    )
    pair.env["PYTHONPATH"] += ":."
    pair.folder = pair.work / "inner"
    cold, warm = pair.both("inner/train.py")
    assert "<class 'inner.own.Mine'>" in cold
    assert warm == cold
    pair.folder = pair.work
    pair.write(
        "from . import own\nfrom .own import Mine\nprint(__package__, own, Mine)", "inner/m.py"
    )
    cold, warm = pair.both("-m", "inner.m")
    assert "<class 'inner.own.Mine'>" in cold
    assert warm == cold


@pytest.mark.parametrize(
    ("code", "code_of_exit"),
    [
        ("print('x', end='')\nraise SystemExit", 0),
        ("import sys; print('out', flush=True); sys.exit('a text')", 1),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit(257)", 1),
        ("import os; print('lost'); os._exit(4)", 4),
        ("def f(x):\n    return 1 / x\ntry:\n    f(0)\nexcept OSError:\n    pass", 1),
        ("try:\n    {}['a']\nexcept KeyError as e:\n    raise RuntimeError('ü') from e", 1),
        ("print('before'\n", 1),
        ("import own_broken", 1),
        ("raise ExceptionGroup('many', [ValueError(1), TypeError(2)])", 1),
        ("import sys\ndef hook(*a): print('hooked', a[0])\nsys.excepthook = hook\n1 / 0", 1),
        ("import sys\ndef hook(*a): [][1]\nsys.excepthook = hook\n1 / 0", 1),
        ("import threading\nthreading.Thread(target=lambda: 1 / 0, name='t').start()", 0),
        ("raise KeyboardInterrupt", None),
        ("import os; os.kill(os.getpid(), 9)", None),
        ("import os; os.abort()", None),
    ],
)
def test_a_script_ends_the_same(pair: Pair, code: str, code_of_exit: int | None) -> None:
    pair.write(code)
    pair.write("def f(:\n", "own_broken.py")
    cold, warm = pair.both()
    assert warm == cold
    _, ended = pair.run(pair.processes(warm=True))
    assert ended.exit_code == code_of_exit


LAST_THINGS = """
import atexit, gzip, logging, os, pickle, sys, tempfile, threading, time, weakref, zipfile

class Last:
    def __init__(self, name): self.name = name
    def __del__(self): print("gone", self.name)

def late():
    time.sleep(0.2)
    print("thread", threading.current_thread().name)

kept = Last("global")
cycle = [Last("in a cycle")]; cycle.append(cycle)
atexit.register(print, "first registered, last run")
atexit.register(lambda: print("sees", kept.name))
weakref.finalize(kept, print, "finalized")
threading.Thread(target=late).start()
threading.Thread(target=time.sleep, args=(1000,), daemon=DAEMON).start() if DAEMON else None
folder = tempfile.TemporaryDirectory(dir=".")
text = open("left.txt", "w"); text.write("left open")
packed = gzip.open("left.gz", "wt"); packed.write("packed")
archive = zipfile.ZipFile("left.zip", "w"); archive.writestr("a", "b")
logging.basicConfig(stream=sys.stdout); logging.warning("logged")
print(pickle.loads(pickle.dumps(kept)).name, pickle.dumps(kept)[:40])
sys.stdout.write("no end of line")
"""


@pytest.mark.parametrize("daemon", [False, True])
def test_a_script_is_finalized(pair: Pair, daemon: bool) -> None:
    pair.write(f"DAEMON = {daemon}\n{LAST_THINGS}")
    pair.imports = [("tempfile", ()), ("zipfile", ()), ("logging", ())]
    seen: list[object] = []
    for is_warm in (False, True):
        printed, ended = pair.run(pair.processes(warm=is_warm))
        assert ended.state == "completed"
        left = sorted(path.name for path in pair.work.iterdir())
        lines = sorted(printed.splitlines())
        if daemon:  # a thread may use objects to the end: where there is one, none is let go
            lines = [line for line in lines if not line.startswith("gone")]
        else:
            subprocess.run(["gzip", "-t", pair.work / "left.gz"], check=True)
            assert zipfile.is_zipfile(pair.work / "left.zip")
        seen.append((lines, left, (pair.work / "left.txt").read_text()))
        for name in ("left.txt", "left.gz", "left.zip"):
            (pair.work / name).unlink()
    assert pair.messages == []
    assert seen[1] == seen[0]


def test_output_of_c_code_is_not_lost(pair: Pair) -> None:
    pair.write("import ctypes; ctypes.CDLL(None).printf(b'from C')")
    cold, warm = pair.both()
    assert warm == cold == "from C"


def test_output_of_imports_is_in_every_log_once(pair: Pair) -> None:
    pair.add("speaks", "import ctypes; print('hello'); ctypes.CDLL(None).printf(b'from C\\n')")
    pair.write("import speaks\nprint('script')")
    pool = pair.processes(warm=True)
    for _ in range(2):
        printed, _ = pair.run(pool)
        assert sorted(printed.splitlines()) == ["from C", "hello", "script"]
    assert pair.messages == []


def test_much_output_of_imports_is_in_every_log(pair: Pair) -> None:
    pair.add("speaks", "print(('x' * 99 + '\\n') * 5_000, end='')")
    pair.write("print('script')")
    printed, _ = pair.run(pair.processes(warm=True))
    assert printed == ("x" * 99 + "\n") * 5_000 + "script\n"
    assert pair.messages == []


STREAMS = {
    "encoding": "sys.stdout.reconfigure(encoding='latin-1'); print('ü')",
    "encoding of errors": "sys.stderr.reconfigure(encoding='utf-8'); print('ü', file=sys.stderr)",
    "encoding of input": "sys.stdin.reconfigure(encoding='utf-8'); print(repr(sys.stdin.read()))",
    "line buffering": "sys.stdout.reconfigure(line_buffering=True); print(1)",
    "write through": "sys.stdout.reconfigure(write_through=True); print(1)",
    "wrapped": "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8'); print('ü')",
    "wrapped errors": "sys.stderr = io.TextIOWrapper(sys.stderr.buffer, 'utf-8'); 1 / 0",
    "wrapped input": "print(repr(io.TextIOWrapper(sys.stdin.buffer, encoding='utf-8').read()))",
    "detached": "sys.stdout = io.TextIOWrapper(sys.stdout.detach(), 'utf-16'); print('ü')",
    "detached only": "kept = sys.stdout.detach(); print('lost')",
    "detached errors": "kept = sys.stderr.detach(); 1 / 0",
    "detached input": "print(sys.stdin.detach().read()); print(sys.stdin.read())",
    "codec": "sys.stdout = codecs.getwriter('utf-8')(sys.stdout.detach()); print('ü')",
    "new text file": "sys.stdout = open(1, 'w', encoding='utf-8', closefd=False); print('ü')",
    "new line-buffered file": "sys.stdout = os.fdopen(sys.stdout.fileno(), 'w', 1); print(1)",
    "new raw file": "os.fdopen(sys.stdout.fileno(), 'wb', 0, closefd=False).write(b'raw')",
    "positions": "print([(s.seekable(), s.buffer.seekable()) for s in (sys.stdout, sys.stderr)])\n"
    "print(os.fstat(1).st_mode, os.fstat(0).st_mode, sys.stdin.tell())\nsys.stdout.tell()",
    "position of the system": "os.lseek(1, 0, os.SEEK_CUR)",
    "truncated": "sys.stdout.truncate(0)",
    "what they are": "print([(s.name, s.mode, s.fileno(), s.isatty(), type(s.buffer), s.newlines,"
    " s.line_buffering, s.write_through, s.errors) for s in (sys.stdin, sys.stdout, sys.stderr)],"
    " sys.stdout is sys.__stdout__, os.isatty(1), fcntl.fcntl(1, fcntl.F_GETFL))",
    "duplicate": "os.write(os.dup(1), b'dup'); print(2)",
    "redirected and back": "kept = os.dup(1); os.dup2(os.open('/dev/null', os.O_WRONLY), 1)\n"
    "print('hidden'); sys.stdout.flush(); os.dup2(kept, 1); print('seen')",
    "errors to output": "os.dup2(1, 2); print('both', file=sys.stderr)",
    "interleaved": "print(1); print(2, file=sys.stderr); os.write(1, b'3\\n'); print(4)\n"
    "subprocess.run(['echo', '5']); print(6)",
    "of C": "ctypes.CDLL(None).puts(b'puts'); ctypes.CDLL(None).write(1, b'write\\n', 6); print(1)",
    "of a fork": "pid = os.fork()\nif pid: os.wait()\nprint('one of two')\nif not pid: os._exit(0)",
    "redirected in Python": "with contextlib.redirect_stdout(io.StringIO()) as text: print('x')\n"
    "print(text.getvalue())",
    "opened by a module": "import opens; io.TextIOWrapper(opens.out.buffer, 'utf-8').write('ü')",
    "logged": "logging.basicConfig(level=20); logging.info('told')",
    "closed": "sys.stdout.close(); print('lost')",
    "closed by the system": "os.close(1); print('lost')",
    "closed errors": "sys.stderr.close(); 1 / 0",
    "none": "sys.stdout = None; print('lost')",
    "no errors": "sys.stderr = None; 1 / 0",
    "no errors at exit": "sys.stderr = None; sys.exit('text')",
    "closed errors at exit": "sys.stderr.close(); sys.exit('text')",
    "detached errors at exit": "kept = sys.stderr.detach(); sys.exit('text')",
    "deleted": "del sys.stdout; print('lost')",
    "deleted errors": "del sys.stderr; 1 / 0",
    "deleted errors at exit": "del sys.stderr; sys.exit('text')",
}
"""What scripts do to the streams of Python and of the system."""


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_streams_behave_the_same(pair: Pair, unbuffered: str) -> None:
    pair.imports = [("json", ()), ("logging", ()), ("ctypes", ())]
    pair.add("opens", "out = open(1, 'w', closefd=False)")
    pair.env |= {"PYTHONUNBUFFERED": unbuffered, "PYTHONWARNINGS": "ignore"}
    seen: list[dict[str, tuple[object, ...]]] = []
    for is_warm in (False, True):
        pool = pair.processes(warm=is_warm)
        seen.append({})
        for number, (name, code) in enumerate(STREAMS.items(), 1):
            pair.write("import codecs, contextlib, ctypes, fcntl, io, logging, os, subprocess, sys")
            with (pair.work / "train.py").open("a") as script:
                script.write(f"\n{code}\n")
            pool.start(number, replace(pair.spec("train.py", number=number), metrics={}))
            ended, log = pair.end(), pair.work.parent / f"log-{number}.txt"
            printed = re.sub(rb"(address|count|type) +: .*", b"", log.read_bytes())
            seen[-1][name] = (printed, ended.exit_code, ended.reason)
            log.unlink()
    assert pair.messages == []
    assert [name for name in STREAMS if seen[1][name] != seen[0][name]] == []
    assert seen[1] == seen[0]


def test_lines_of_two_streams_do_not_mix(pair: Pair) -> None:
    pair.write("import sys\nprint('loss=0.5', end='', flush=True)\nprint('7', file=sys.stderr)")
    assert pair.both() == ("loss=0.5\n7\n",) * 2


PICKLED = """
import multiprocessing, pickle, sys
class Point:
    def __init__(self, x): self.x = x
def work(point): return point.x * 2
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(method, pool.map(work, [Point(1), Point(2)]))
    print(pickle.loads(pickle.dumps(Point(3))).x, Point.__module__)
"""


def test_processes_of_a_script_find_its_classes(pair: Pair) -> None:
    pair.write(PICKLED)
    pair.imports = [("multiprocessing", ()), ("multiprocessing.pool", ())]
    pair.env["PYTHONWARNINGS"] = "ignore"
    cold, warm = pair.both()
    assert (
        warm
        == cold
        == "".join(
            [f"{how} [2, 4]\n" for how in ("fork", "spawn", "forkserver")] + ["3 __main__\n"]
        )
    )


CHANCE = """
import random, numpy, torch
print(random.random(), numpy.random.rand(3).tobytes().hex(), {*map(str, range(20))})
"""
TORCH = """
class Generator:
    def seed(self): print("torch is seeded")
default_generator = Generator()
"""
"""Replaces torch, which is too large for a test."""


def test_a_seeded_script_gives_equal_bits_and_an_unseeded_one_its_own(pair: Pair) -> None:
    pair.imports = [NUMPY, ("numpy.random", ())]
    pair.add("torch", "")
    seeded = (
        "import random, numpy\nrandom.seed(3); numpy.random.seed(4)\n"
        + CHANCE
        + (
            "a = numpy.random.default_rng(5).normal(size=(50, 50))\n"
            "print((a @ a).tobytes().hex()[:400], numpy.linalg.svd(a)[1].tobytes().hex())"
        )
    )
    pair.write(seeded)
    cold, warm = pair.both()
    assert warm == cold
    pair.write(CHANCE)
    pool = pair.processes(warm=True)
    draws = [pair.run(pool)[0].split(" {")[0].split() for _ in range(3)]
    assert len({each[0] for each in draws}) == len({each[1] for each in draws}) == 3
    (pair.library / "torch.py").write_text(TORCH)
    assert pair.run(pair.processes(warm=True))[0].startswith("torch is seeded\n")
    assert pair.messages == []


def test_each_forked_process_has_its_own_group_and_mark(pair: Pair) -> None:
    pair.write(FOREVER)
    pair.add("counted", "import os; open(os.path.dirname(__file__) + '/count', 'a').write('x')")
    pool = pair.processes(warm=True)
    for number in (1, 2):
        pool.start(number, pair.spec("train.py", number=number))
        pair.ready()
    parent = pair.server_pid()
    for number in (1, 2):
        (pid,) = reaper.find_processes(f"{pair.mark}.{number}.")
        assert os.getsid(pid) == os.getpgid(pid) == pid
        assert f"PPid:\t{parent}\n" in Path(f"/proc/{pid}/status").read_text()
    pool.stop(1)
    assert pair.end().reason == "killed by SIGTERM"
    assert reaper.find_processes(f"{pair.mark}.1.") == []
    pool.stop(2, now=True)
    assert pair.end().reason == "killed by SIGKILL"
    assert (pair.library / "count").read_text() == "x"
    wait_until(lambda: not Path(f"/proc/{parent}/task/{parent}/children").read_text())


def test_a_stop_has_its_grace_and_reaches_the_whole_group(pair: Pair) -> None:
    pair.write("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER)
    pool = pair.processes(warm=True)
    pool.start(1, pair.spec("train.py"))
    pair.ready()
    pool.stop(1)
    assert pair.end().reason == "did not exit within 0.3 s of the request to stop"
    pair.write(
        "import subprocess, time\n"
        "for session in (False, True):\n"
        "    subprocess.Popen(['sleep', '1000'], start_new_session=session)\n" + FOREVER
    )
    pool.start(1, pair.spec("train.py"))
    pair.ready()
    assert len(reaper.find_processes(f"{pair.mark}.1.")) == 3
    pool.stop(1)
    assert pair.end().reason == "killed by SIGTERM"
    assert reaper.find_processes(f"{pair.mark}.1.") == []


def test_a_script_that_has_ended_is_not_ended_by_a_stop(pair: Pair) -> None:
    pair.write("""
        import atexit, os, time
        def wait():
            print("READY1", flush=True)
            while not os.path.exists("go"):
                time.sleep(0.01)
        atexit.register(wait)
        """)
    pool = pair.processes(warm=True)
    pool.start(1, replace(pair.spec("train.py"), grace=60))
    pair.ready()
    pool.stop(1)
    (pair.work / "go").touch()
    ended = pair.end()
    assert (type(ended), ended.state, ended.exit_code) == (Ended, "completed", 0)


def test_a_killed_fork_server_loses_its_trials_and_is_replaced(
    pair: Pair,
) -> None:
    pool = pair.processes(warm=True)
    seen: set[int] = set()
    for round_ in (1, 2):
        pair.write(FOREVER)
        pool.start(1, pair.spec("train.py"))
        pair.ready()
        seen.add(pair.server_pid())
        os.kill(pair.server_pid(), signal.SIGKILL)
        ended = pair.end()
        assert (ended.state, ended.exit_code) == ("cancelled", None)
        assert ended.reason == "the fork server that forked it was killed"
        assert reaper.find_processes(f"{pair.mark}.1.") == []
        (pair.work.parent / "log-1.txt").unlink()
        pair.write("import os; print(os.getppid())")
        printed, ended = pair.run(pool)
        assert ended.state == "completed"
        forked = printed.split() != [str(os.getpid())]
        assert forked == (round_ == 1)
    assert len(seen) == 2
    assert pair.messages == [warm.cold_start_message("the fork server was killed 2 times")]


def test_a_module_with_the_name_of_a_missing_file_is_not_of_the_source(pair: Pair) -> None:
    """PyTorch has such modules: `torch.classes.__file__` is `_classes.py`."""
    module = "m = types.ModuleType('odd.classes'); m.__file__ = '_classes.py'"
    pair.add("odd", f"import sys, types; {module}; sys.modules[m.__name__] = m")
    pair.write("import odd, os; print(os.getppid())")
    printed, ended = pair.run(pair.processes(warm=True))
    assert ended.state == "completed"
    assert printed != f"{os.getpid()}\n"
    assert pair.messages == []


def test_a_package_that_has_a_path_object_in_its_spec(pair: Pair) -> None:
    """As `transformers` has, which another package of the script may have imported before."""
    pair.add("first", "import odd")
    pair.add("odd", "import pathlib; __spec__.submodule_search_locations = [pathlib.Path('/odd')]")
    pair.write("import first, odd, os; print(os.getppid())")
    printed, ended = pair.run(pair.processes(warm=True))
    assert ended.state == "completed"
    assert printed != f"{os.getpid()}\n"
    assert pair.messages == []


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise ValueError('no')", "importing odd fails: ValueError: no"),
        ("import sys; sys.exit(3)", "importing odd fails: SystemExit: 3"),
        ("import os; os._exit(7)", "the fork server exited during imports: no output"),
        (
            "import os; os.write(2, b'Fatal: no\\n'); os.abort()",
            "the fork server exited during imports: Fatal: no",
        ),
        (
            "import threading, time\n"
            "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
            "the imports leave threads running: ",
        ),
        ("f = open(__file__)", "the imports leave "),
        ("import os; ends = os.pipe()", "the imports leave pipe:"),
        (
            "import os, time; os.register_at_fork(after_in_child=lambda: time.sleep(1000))",
            "a process that was forked after the imports hung",
        ),
        ("import train", "the imports load train, which belongs to the source"),
        ("import sys; WORDS = sys.argv[1:]", "the imports read sys.argv"),
        ("import sys; WORDS = list(sys.argv)", "the imports read sys.argv"),
        ("import sys; MANY = len(sys.argv) > 1", "the imports read sys.argv"),
        ("import sys; LOUD = '-v' in sys.argv", "the imports read sys.argv"),
        ("import os; os.chdir('/')", "the imports change the working folder"),
        ("import os; os.makedirs('made', exist_ok=True)", "the imports change the working folder"),
        ("import mmap; M = mmap.mmap(-1, 1)", "the imports share memory: "),
        (
            "import multiprocessing as m; L = m.get_context('fork').Lock()",
            "the imports share memory: /dev/shm/sem.",
        ),
    ],
)
def test_unsafe_imports_cause_cold_starts_and_one_message(
    pair: Pair, code: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.add("odd", code)
    pair.write("import os; print(os.getppid())")
    if why.endswith("hung"):
        monkeypatch.setattr(warm, "PROBE_TIMEOUT", 1.0)
    pool = pair.processes(warm=True)
    for _ in range(2):
        printed, ended = pair.run(pool)
        assert (ended.state, printed) == ("completed", f"{os.getpid()}\n")
    (message,) = pair.messages
    assert message.startswith(warm.cold_start_message(why))
    assert reaper.find_processes(f"{pair.mark}.preloaded") == []


def test_a_used_openmp_pool_causes_cold_starts(pair: Pair) -> None:
    library = ctypes.util.find_library("gomp")
    if library is None:
        pytest.skip("there is no libgomp here")
    pair.env["OMP_NUM_THREADS"] = "2"
    pair.add(
        "parallel",
        f"""
        import ctypes
        work = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
        ctypes.CDLL({library!r}).GOMP_parallel(work, None, 2, 0)
        """,
    )
    pair.write("import parallel\nprint('well')")
    assert pair.run(pair.processes(warm=True))[0] == "well\n"
    (message,) = pair.messages
    assert "the imports leave threads running: " in message


def test_only_a_missing_required_module_causes_cold_starts(pair: Pair) -> None:
    pair.imports = [("there_is_none", ())]
    pair.write("print(1)")
    assert pair.both() == ("1\n", "1\n")
    pair.required = True
    pair.run(pair.processes(warm=True))
    assert pair.messages == [warm.cold_start_message("module there_is_none not found")]


def test_a_file_that_shadows_a_module_of_python_causes_cold_starts(pair: Pair) -> None:
    (pair.work / "signal").mkdir()  # a folder is no module as long as Python has one
    pair.write("import signal; print(signal.SIGTERM)")
    assert pair.both() == ("15\n", "15\n")
    for name in ("json", "signal"):
        pair.messages.clear()
        pair.write("print('mine')", f"{name}.py")
        pair.write(f"import {name}")
        assert pair.run(pair.processes(warm=True))[0] == "mine\n"
        assert pair.messages == [
            warm.cold_start_message(f"the source has a module with the name of Python's own {name}")
        ]
        (pair.work / f"{name}.py").unlink()


def test_the_users_own_modules_are_never_preloaded(pair: Pair) -> None:
    pair.write("import os; print(os.environ['CLOUDTUNE_RUN'].split('.')[-2])", "own.py")
    pair.write("import own; print('script')")
    pair.imports = [("own", ())]
    pool = pair.processes(warm=True)
    assert pair.run(pool)[0] == "1\nscript\n"
    pair.write("print('changed')", "own.py")
    assert pair.run(pool)[0] == "changed\nscript\n"
    assert pair.messages == []
    pair.required = True
    pair.run(pair.processes(warm=True))
    assert pair.messages == [warm.cold_start_message("own belongs to the source")]


def test_imports_after_an_own_module_are_not_preloaded(pair: Pair) -> None:
    pair.write("import os; os.environ['SET'] = 'in time'", "inner/own.py")
    pair.env["PYTHONPATH"] += f":{pair.work}/inner"
    pair.imports = [("own", ())]
    pair.add("reads", "import os; SEEN = os.environ.get('SET')")
    pair.write("import own, reads; print(reads.SEEN)")
    assert pair.both() == ("in time\n", "in time\n")


def test_a_path_that_a_library_inserts_stays_first(pair: Pair) -> None:
    pair.add("brings", "import os, sys; sys.path.insert(0, os.path.dirname(__file__) + '/more')")
    (pair.library / "more").mkdir()
    (pair.library / "more" / "brought.py").write_text("")
    pair.write("import brings, brought, sys; print(sys.path)")
    cold, warm = pair.both()
    assert warm == cold
    assert "/more" in cold


def test_a_library_that_holds_sys_argv_sees_the_arguments_of_the_script(pair: Pair) -> None:
    pair.add("takes", "from sys import argv")
    pair.write("import sys, takes; print(takes.argv, takes.argv == sys.argv)")
    cold, warm = pair.both("train.py", "--x", "1")
    assert warm == cold == "['train.py', '--x', '1'] True\n"


@pytest.mark.parametrize(
    "remover",
    [
        *("shutil.rmtree, F", "lambda: shutil.rmtree(F)", "partial(shutil.rmtree, F)", "tidy"),
        "lambda: time.sleep(2) or shutil.rmtree(F)",
    ],
)
def test_no_trial_removes_shared_files(pair: Pair, remover: str) -> None:
    pair.add(
        "makes",
        f"""
        import atexit, shutil, tempfile, time
        from functools import partial
        F = tempfile.mkdtemp()
        def tidy(): shutil.rmtree(F)
        atexit.register({remover})
        atexit.register(print, "goodbye")
        """,
    )
    pair.write("import makes, os; print(makes.F, os.path.isdir(makes.F))")
    pool = pair.processes(warm=True)
    printed = [pair.run(pool)[0] for _ in range(2)]
    folder = printed[0].split()[0]
    assert printed == [f"{folder} True\ngoodbye\n"] * 2
    pool.close()
    assert not Path(folder).exists()
    assert pair.messages == []


def test_arguments_that_are_too_long_cause_one_message(pair: Pair) -> None:
    pair.write("import sys, os; print(len(sys.argv[1]), os.getppid())")
    pool = pair.processes(warm=True)
    for _ in range(2):
        assert pair.run(pool, "train.py", "x" * 110_000)[0] == f"110000 {os.getpid()}\n"
    (message,) = pair.messages
    assert "are too long" in message


def test_a_hanging_import_times_out(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "PRELOAD_TIMEOUT", 0.5)
    pair.add("hangs", "import time; time.sleep(1000)")
    pair.write("print('cold')")
    assert pair.run(pair.processes(warm=True))[0] == "cold\n"
    assert pair.messages == [warm.cold_start_message("the imports take more than 0.5 s")]


def test_a_stop_interrupts_the_wait_for_imports(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "PRELOAD_TIMEOUT", 10_000.0)
    pair.add("hangs", "import time; time.sleep(1000)")
    pair.write("print('never')")
    pool = pair.processes(warm=True)
    for number in (1, 2):
        pool.start(number, pair.spec("train.py", number=number))
    wait_until(lambda: bool(reaper.find_processes(f"{pair.mark}.preloaded.")))
    for number in (1, 2):
        pool.stop(number)
    assert {pair.end().reason, pair.end().reason} == {"stopped before it was started"}
    assert pair.messages == []


def test_a_child_that_does_not_reach_its_script_times_out(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "START_TIMEOUT", 0.5)
    pair.add(
        "hangs",
        """
        import os, time
        forks = []
        def child(): len(forks) > 1 and time.sleep(1000)
        os.register_at_fork(before=lambda: forks.append(1), after_in_child=child)
        """,
    )
    pair.write("print('cold')")
    assert pair.run(pair.processes(warm=True))[0] == "cold\n"
    assert pair.messages == [
        warm.cold_start_message("a forked process took more than 0.5 s to start")
    ]


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false"])
def test_a_program_that_is_not_python_starts_cold(pair: Pair, python: str) -> None:
    pair.python = python
    pair.write("")
    _, cold = pair.run(pair.processes(warm=False))
    _, ended = pair.run(pair.processes(warm=True)) if "false" in python else (None, None)
    assert cold.state == "failed"
    assert ended is None or ended.reason == cold.reason == "exited with code 1"
    assert len(pair.messages) == (ended is not None)


ENGINE = """
import os, sys, threading
from queue import SimpleQueue
from cloudtune.execution.process_pool import ProcessPool
from cloudtune.execution.forkserver.client import Preload
from cloudtune.execution.process_monitor import ProcessSpec

mark, folder, grace = sys.argv[1:]
inbox = SimpleQueue()
env = dict(os.environ)
preload = Preload(sys.executable, env, folder, folder, [("json", ())], False, False, [folder])
processes = ProcessPool(inbox.put, mark, grace=float(grace), preload=preload, notify=print)
ready = {"ready": [r"READY(1)"]}
for number in (1, 2):
    command = [sys.executable, "train.py", str(number)]
    log = f"{folder}/{number}.log"
    processes.start(number, ProcessSpec(command, folder, env, log, metrics=ready))
    inbox.get()
print("ALL", flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize(
    "code",
    [
        FOREVER,
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER,
        "import subprocess as s\n"
        "s.Popen(['sleep', '1000'], start_new_session=True, stdout=s.DEVNULL)\n" + FOREVER,
        "import signal, sys\ndef end(*_):\n    open('saved' + sys.argv[1], 'w')\n    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n" + FOREVER,
    ],
)
def test_killing_the_engine_ends_all_forked_processes(pair: Pair, code: str) -> None:
    pair.write(code)
    grace = "30" if "saved" in code else "0.3"  # which others may use up
    words = [sys.executable, "-c", ENGINE, pair.mark, str(pair.work), grace]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == "ALL\n"
        assert len(reaper.find_processes(pair.mark)) >= 3
        engine.kill()
    wait_until(lambda: not reaper.find_processes(pair.mark))
    if "saved" in code:
        assert {path.name for path in pair.work.glob("saved*")} == {"saved1", "saved2"}
