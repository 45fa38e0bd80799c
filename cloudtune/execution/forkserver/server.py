"""The fork server: imports what a script imports, then forks a process for each trial.

Cloudtune runs this file with the trials' Python, so it and the two files that it loads by path,
`preload` and `child`, use only the standard library and the syntax of Python 3.7. Requests arrive
on one socket: first the imports, then one message per trial with two file descriptors, one for its
output and one for its status. The server reports the status of a trial in messages of five bytes
(see `MESSAGE_FORMAT`) and collects the process when cloudtune closes its end of the status pipe.

The server keeps a single thread and holds nothing that two trials must not share; if it cannot, it
reports why. A forked process gets its own session, folder, arguments and environment, runs the
script as ``python script.py`` does, and exits without tearing down the preloaded modules.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select
    import socket
    from typing import Any

    from cloudtune.execution.forkserver import child, preload
    from cloudtune.study.schema import Json

MARK_VARIABLE = "CLOUDTUNE_RUN"
"""The environment variable that marks the processes of a run."""
MESSAGE_FORMAT = "=ci"
"""A letter and a number: ``f`` forked, the process; ``s`` the script starts; ``e`` it could not be
forked, the error; ``x`` it has ended, its exit code, or the signal as a negative number."""
MAX_MESSAGE_BYTES = 100_000
"""Bytes of one message from cloudtune."""
_SETTLING = 1.0
"""Seconds that threads may need to end at a fork."""
_MOST_SAID = 1024 * 1024
"""Bytes that are kept of what the imports print."""
_BARE = frozenset(sys.modules)
"""The modules of an interpreter that has just started."""


def main() -> None:
    """Be the preloaded process on the socket that the first word names; in a fork, a trial."""
    pristine = {name: value for name, value in globals().items() if name[:2] == name[-2:] == "__"}
    pristine["__doc__"] = None
    # All that is needed later, before the user's folder is one in which modules are looked for.
    import json
    import runpy
    import select
    import signal
    import socket
    import struct
    import sysconfig
    import warnings

    _ = runpy, select, signal, struct, sysconfig, warnings
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    del sys.argv[1:]
    preloaded = _Preloaded(connection)
    why_not = preloaded.prepare(json.loads(connection.recv(MAX_MESSAGE_BYTES)))
    connection.send(json.dumps(why_not).encode())
    job = None if why_not else preloaded.serve()
    if job is None:
        preloaded.end()
        return
    run = child.prepare_process(job, pristine)
    if not _tell(job["status"], b"s", 0):
        os._exit(1)
    os.close(job["status"])
    os.write(1, preloaded.said)
    child.exit_process(child.run_to_exit(run, os.getcwd()))


class _Preloaded:
    """This process, from its start to its end."""

    def __init__(self, connection: socket.socket) -> None:
        self.said = b""
        """What the imports printed, as each trial would have."""
        self._connection = connection
        self._removers = preload.CleanupHooks()
        self._mark_at = 0
        self._mark_room = len(os.environb[MARK_VARIABLE.encode()])
        self._statuses: dict[int, int] = {}
        """Where the end of each running process is told."""
        self._ended: set[int] = set()
        """Those whose end was told, and that wait to be collected."""

    def prepare(self, told: Json) -> str:
        """Import what is wanted; return why no trial can be forked from here, if none can."""
        try:
            import ctypes

            system = ctypes.CDLL(None)
            system.getenv.restype = ctypes.c_void_p
            self._mark_at = system.getenv(MARK_VARIABLE.encode())
        except (ImportError, OSError, AttributeError):
            return "this Python has no ctypes"
        why_not = preload.import_modules(told, _BARE) or self._probed(
            told["mark"], told["patience"]
        )
        self._removers.done()
        system.fflush(None)
        if not told["quiet"]:
            self.said = os.pread(1, _MOST_SAID, 0)
        return why_not

    def _probed(self, mark: str, patience: float) -> str:
        """Fork a process that does what a trial does before its script."""
        import time
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads: they are looked for below
            process = os.fork()
        if not process:
            code = 1
            try:
                self._become(mark)
                wanted = f"{MARK_VARIABLE}={mark}".encode()
                with open("/proc/self/environ", "rb") as file:
                    code = 0 if wanted in file.read() else 2
            finally:
                os._exit(code)
        end = time.monotonic() + patience
        while True:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                break
            if time.monotonic() > end:
                os.kill(process, 9)
                os.waitpid(process, 0)
                return "a process that was forked after the imports hung"
            time.sleep(0.001)
        if status:
            return f"a process that was forked after the imports failed ({status})"
        end = time.monotonic() + _SETTLING
        while True:
            left = sorted(preload.unsafe_threads())
            if not left:
                return ""
            if time.monotonic() > end:
                return f"the imports leave threads: {', '.join(left)}"
            time.sleep(0.01)

    def serve(self) -> Json | None:
        """Fork trials; return what it is to be in each of them, None here once we are let go."""
        import gc
        import select
        import signal

        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.close(quiet)
        gc.collect()
        gc.freeze()
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        before = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        waiting = select.poll()
        waiting.register(woken, select.POLLIN)
        waiting.register(self._connection, select.POLLIN)
        while True:
            ready = {end for end, _ in waiting.poll()}
            if woken in ready:
                os.read(woken, 4096)
            if self._connection.fileno() in ready:
                job, given = self._next()
                if job is None:
                    return None
                output, status = given
                process = self._fork(status)
                if process == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)
                    for end in (woken, wake, *self._statuses.values()):
                        os.close(end)
                    self._connection.close()
                    os.dup2(output, 1)
                    os.dup2(output, 2)
                    os.close(output)
                    self._become(job["mark"])
                    job["status"] = status
                    return job
                os.close(output)
                if process:
                    self._statuses[process] = status
                    waiting.register(status, 0)
            self._look_after(waiting)

    def _next(self) -> tuple[Json | None, list[int]]:
        import array
        import json
        import socket

        given = array.array("i")
        room = socket.CMSG_SPACE(2 * given.itemsize)
        data, ancillary, _, _ = self._connection.recvmsg(MAX_MESSAGE_BYTES, room)
        for _, _, said in ancillary:
            given.frombytes(said)
        for end in given:
            os.set_inheritable(end, False)
        return (json.loads(data) if data else None), list(given)

    def _fork(self, status: int) -> int | None:
        """Fork; return the process, 0 in it, None if that cannot be."""
        try:
            process = os.fork()
        except OSError as error:
            _tell(status, b"e", error.errno or 0)
            os.close(status)
            return None
        if process:
            _tell(status, b"f", process)
        return process

    def _look_after(self, waiting: select.poll) -> None:
        """Tell of processes that have ended; collect those that nobody asks after any more."""
        import select

        for process, status in list(self._statuses.items()):
            if process not in self._ended:
                # It is not collected yet: until cloudtune lets go, its number stays its own.
                found = os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None:
                    continue
                killed = found.si_code != os.CLD_EXITED
                _tell(status, b"x", -found.si_status if killed else found.si_status)
                self._ended.add(process)
            alone = select.poll()
            alone.register(status, 0)
            if alone.poll(0):
                os.waitpid(process, 0)
                waiting.unregister(status)
                os.close(status)
                del self._statuses[process]
                self._ended.discard(process)

    def _become(self, mark: str) -> None:
        """Make this, a process that was just forked, one of its own."""
        import ctypes

        os.setsid()
        # Written over what it began with, which is what the system shows of an environment.
        shown = mark.encode().ljust(self._mark_room, b"_")[: self._mark_room]
        ctypes.memmove(self._mark_at, shown, len(shown))
        self._removers.forget()
        child.reseed()

    def end(self) -> None:
        """End this process; nothing is torn down."""
        self._removers.run()
        child.run_exit_functions()
        os._exit(0)


def _tell(status: int, letter: bytes, number: int) -> bool:
    """Tell what became of a trial; return whether anybody asks after it."""
    import struct

    try:
        os.write(status, struct.pack(MESSAGE_FORMAT, letter, number))
    except BrokenPipeError:
        return False
    return True


def _beside(name: str) -> Any:
    """Return the module in a file beside this one; other modules cannot find it."""
    from importlib.util import module_from_spec, spec_from_file_location

    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    spec: Any = spec_from_file_location("cloudtune." + name, file)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # the folder of this file
    if not TYPE_CHECKING:
        preload, child = _beside("preload"), _beside("child")
    main()
