"""Runs `cloudtune verify` again and again, and ends it each time at another request.

Usage: python -m tests.cloudtune.verification.killed PROVIDER STEPS AT_ONCE [KIND]

A first run, which is not ended, lists its requests. Each further run is sent SIGKILL or SIGINT
before or after a request: the first and the last but one of each kind, and a sample of the others.
With ``CLOUDTUNE_KILLS=all``, one run is ended at each request; a number draws another sample. With
KIND, there is no first run, and one run is sent SIGKILL before the first request of this kind,
another one after it. Runs are forked, since
imports take longer than they do, and AT_ONCE of them run at the same time. The output says how each
ended, and what they left.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil

from cloudtune.cli import main
from cloudtune.emulation.environment import folder_variable
from cloudtune.emulation.process import find_running
from cloudtune.verification import planning
from tests.cloudtune.verification.leftovers import LEFTOVERS

_ID = re.compile(r"\?.*|(?<=/runs/)\w+|verify-[a-z]+-\w+|(?<![a-z0-9])(?=[a-z-]*\d)[0-9a-z-]{6,}")
"""What differs between requests of a kind."""
_READS = re.compile("GET|HEAD|Describe|Search|POST .*(BatchGet|search|token)")
_TIMEOUT = 600
_SAMPLE = 6


@dataclass(frozen=True)
class Point:
    """When a run is ended."""

    kind: str
    number: int
    is_after: bool

    def __str__(self) -> str:
        return f"{'after' if self.is_after else 'before'} {self.kind} {self.number}"


class Requests:
    """Counts the requests of this process by kind, and calls a function at a point."""

    def __init__(self, point: Point | None, act: Callable[[], None]) -> None:
        self.counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._point, self._act = point, act

    def install(self) -> None:
        """Watch all HTTP requests of this process."""
        connection: Any = HTTPConnection
        putrequest, putheader = connection.putrequest, connection.putheader
        endheaders, getresponse = connection.endheaders, connection.getresponse

        def begin(self: Any, method: str, url: str, *args: Any, **options: Any) -> None:
            self.kind = f"{method} {_ID.sub('#', url)}"
            putrequest(self, method, url, *args, **options)

        def add(self: Any, header: Any, *values: Any) -> None:
            if str(header).lower() == "x-amz-target":
                self.kind = str(values[0]).rpartition(".")[2]
            putheader(self, header, *values)

        def send(connection: Any, *args: Any, **options: Any) -> None:
            with self._lock:
                number = self.counts[connection.kind] = self.counts.get(connection.kind, 0) + 1
            connection.number = number
            self._pass(Point(connection.kind, number, is_after=False))
            endheaders(connection, *args, **options)

        def receive(connection: Any, *args: Any, **options: Any) -> Any:
            response = getresponse(connection, *args, **options)
            self._pass(Point(connection.kind, connection.number, is_after=True))
            return response

        connection.putrequest, connection.putheader = begin, add
        connection.endheaders, connection.getresponse = send, receive

    def _pass(self, point: Point) -> None:
        if point == self._point:
            self._act()


def start(provider: str, folder: Path, signal_: int = 0, point: Point | None = None) -> int:
    """Run the command in a fork, which is sent a signal at a point; return its process id."""
    child = os.fork()
    if child:
        return child
    folder.mkdir()
    os.chdir(folder)
    os.environ["CLOUDTUNE_HOME"] = str(folder / "state")
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    requests = Requests(point, lambda: os.kill(os.getpid(), signal_))
    requests.install()
    code: object = 70
    try:
        main(["verify", provider])
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:  # a fork must not continue the caller
        Path("counts.json").write_text(json.dumps(requests.counts), "utf-8")
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 1)


def wait(children: list[int]) -> list[int]:
    """Return the exit codes of forks; kill those that do not end."""
    due = time.monotonic() + _TIMEOUT
    codes: dict[int, int] = {}
    while len(codes) < len(children):
        for child in [each for each in children if each not in codes]:
            if time.monotonic() > due:
                os.kill(child, signal.SIGKILL)
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                codes[child] = os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    return [codes[child] for child in children]


def left(provider: str) -> list[str]:
    """Wait until no process of the command runs; return what is left, here and at the emulator."""
    served = Path(os.environ[folder_variable(provider)])
    emulator = find_running(served)
    assert emulator is not None
    due = time.monotonic() + _TIMEOUT
    while True:
        guards = _processes(psutil.process_iter(), f"cleanup {Path.cwd()}")
        trials = _processes(psutil.Process(emulator.pid).children(recursive=True), "")
        if not (running := guards + trials) or time.monotonic() > due:
            break
        time.sleep(0.05)
    homes = [str(each) for each in Path.cwd().glob("*/state/verify/*")]
    empty = [str(each) for each in Path.cwd().glob("*/verify-*") if not [*each.glob("*/*")]]
    return [*running, *homes, *empty, *LEFTOVERS[provider](emulator)]


def _processes(processes: Iterable[psutil.Process], text: str) -> list[str]:
    """Return the command lines with a text; an emulator's reaper waits for its end."""
    lines: list[str] = []
    for each in processes:
        try:
            lines.append(" ".join(each.cmdline()))
        except psutil.Error:
            continue
    return [each for each in lines if text in each and "reaper.py" not in each]


def points(counts: Mapping[str, int], chosen: str) -> list[Point]:
    """Return the points at which runs are ended; see above. Of calls that read, the first ones."""
    found = [
        Point(kind, number, is_after)
        for kind, count in counts.items()
        for number in range(1, count + 1)
        for is_after in (False, True)
    ]
    if chosen == "all":
        return found
    drawn = {*random.Random(int(chosen or 1)).sample(found, min(_SAMPLE, len(found)))}
    last = {kind: 1 if _READS.match(kind) else max(1, count - 1) for kind, count in counts.items()}
    return [each for each in found if each.number in (1, last[each.kind]) or each in drawn]


def only(names: str) -> None:
    """Let verifications have some steps only."""
    module: Any = planning
    steps = module.list_steps

    def some(*args: Any, **options: Any) -> Any:
        return [each for each in steps(*args, **options) if each.name in names.split(",")]

    module.list_steps = some


def list_runs(provider: str) -> list[tuple[signal.Signals, Point]]:
    """Run the command; return with which signals at which points it is run again."""
    first = Path("first").absolute()
    assert wait([start(provider, first)]) == [0], (first / "output.txt").read_text("utf-8")
    assert left(provider) == []
    chosen = os.environ.get("CLOUDTUNE_KILLS", "")
    found = points(json.loads((first / "counts.json").read_text("utf-8")), chosen)
    runs = [(signal.SIGKILL, each) for each in found]
    return runs + [(signal.SIGINT, each) for each in found if not each.is_after or chosen == "all"]


def run_all(provider: str, steps: str, at_once: str, kind: str = "") -> int:
    """Run the command for each signal and point; return whether anything was left."""
    only(steps)
    runs = [(signal.SIGKILL, Point(kind, 1, is_after)) for is_after in (False, True)]
    if not kind:
        runs = list_runs(provider)
    failed = 0
    for begin in range(0, len(runs), int(at_once)):
        batch = {f"run{begin + n}": each for n, each in enumerate(runs[begin:][: int(at_once)])}
        codes = wait([start(provider, Path(name), *each) for name, each in batch.items()])
        remains = left(provider)
        failed += bool(remains)
        for (name, (number, point)), code in zip(batch.items(), codes, strict=True):
            is_shown = remains or code not in {0, -signal.SIGKILL, 130}
            log = Path(name, "output.txt").read_text("utf-8") if is_shown else ""
            sys.stdout.write(f"{name} {number.name} {point} ended with {code}\n{log}")
        sys.stdout.write(f"left: {remains}\n")
        sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(run_all(*sys.argv[1:]))
