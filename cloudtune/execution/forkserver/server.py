"""The fork server: imports what a script imports, then forks a process for each trial.

Cloudtune runs this file with the trials' Python, so it and the files that it loads by path
(`preload`, `child` and `overlay`) use only the standard library and the syntax of Python 3.7.
Requests arrive on one socket: first the imports, then one message per trial with the file
descriptors of its standard output and error, of its status, and of what the imports have printed,
if anything. The server reports the status of a trial in messages of five bytes (see
`MESSAGE_FORMAT`) and collects the process when cloudtune closes its end of the status pipe.

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

    from cloudtune.execution.forkserver import child, overlay, preload
    from cloudtune.study.schema import Json

MARK_VARIABLE = "CLOUDTUNE_RUN"
"""The environment variable that marks the processes of a run."""
MESSAGE_FORMAT = "=ci"
"""A letter and a number: ``f`` forked, process id; ``s`` the script starts; ``e`` fork failed,
error number; ``x`` exited, exit code or negative signal."""
MAX_MESSAGE_BYTES = 100_000
"""Bytes of one message from cloudtune."""
_SETTLE_SECONDS = 1.0
"""How long threads may take to end after a fork."""
_MAX_OUTPUT_BYTES = 1024 * 1024
"""Bytes of the imports' output that each trial repeats."""
_INITIAL_MODULES = frozenset(sys.modules)
"""The modules of a newly started interpreter."""


def main() -> None:
    """Serve on the socket that the first argument names; in a forked process, run the trial."""
    main_names = {name: value for name, value in globals().items() if name[:2] == name[-2:] == "__"}
    main_names["__doc__"] = None
    # Import all that is needed later now, before the user's folder is on the module path.
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
    server = _ForkServer(connection)
    problem = server.import_modules(json.loads(connection.recv(MAX_MESSAGE_BYTES)))
    connection.send(json.dumps(problem).encode())
    job = None if problem else server.serve()
    if job is None:
        server.exit()
        return
    if job["lower"]:
        overlay.mount(job["lower"], job["cwd"])
    run = child.prepare_process(job, main_names)
    if not _send_status(job["status"], b"s", 0):
        os._exit(1)
    os.close(job["status"])
    for fd in job["printed"]:
        os.write(1, os.pread(fd, _MAX_OUTPUT_BYTES, 0))
        os.close(fd)
    child.exit_process(child.run_to_exit(run, os.getcwd()))


class _ForkServer:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._hooks = preload.CleanupHooks()
        self._mark_address = 0
        self._mark_size = len(os.environb[MARK_VARIABLE.encode()])
        self._status_fds: dict[int, int] = {}
        """The status pipe of each process that is not collected yet."""
        self._exited: set[int] = set()
        """The processes whose exit has been reported."""

    def import_modules(self, request: Json) -> str:
        """Import the requested modules; return why processes cannot be forked, or an empty text."""
        try:
            import ctypes

            system = ctypes.CDLL(None)
            system.getenv.restype = ctypes.c_void_p
            self._mark_address = system.getenv(MARK_VARIABLE.encode())
        except (ImportError, OSError, AttributeError):
            return "this Python has no ctypes"
        problem = preload.import_modules(request, _INITIAL_MODULES) or self._probe(
            request["mark"], request["timeout"]
        )
        self._hooks.stop_intercepting()
        system.fflush(None)
        return problem

    def _probe(self, mark: str, timeout: float) -> str:
        """Fork a process that does what a trial does before its script; return what went wrong."""
        import time
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about threads, which are checked below
            pid = os.fork()
        if not pid:
            code = 1
            try:
                self._become_trial(mark)
                entry = f"{MARK_VARIABLE}={mark}".encode()
                with open("/proc/self/environ", "rb") as file:
                    code = 0 if entry in file.read() else 2
            finally:
                os._exit(code)
        deadline = time.monotonic() + timeout
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                break
            if time.monotonic() > deadline:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                return "a process that was forked after the imports hung"
            time.sleep(0.001)
        if status:
            return f"a process that was forked after the imports failed ({status})"
        deadline = time.monotonic() + _SETTLE_SECONDS
        while True:
            threads = sorted(preload.unsafe_threads())
            if not threads:
                return ""
            if time.monotonic() > deadline:
                return f"the imports leave threads running: {', '.join(threads)}"
            time.sleep(0.01)

    def serve(self) -> Json | None:
        """Fork trials. Return the job in each forked process, and None here at the end."""
        import gc
        import select
        import signal

        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.close(null)
        gc.collect()
        gc.freeze()
        wakeup_fd, wakeup_write_end = os.pipe()
        os.set_blocking(wakeup_fd, False)
        os.set_blocking(wakeup_write_end, False)
        old_handler = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wakeup_write_end, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(wakeup_fd, select.POLLIN)
        poll.register(self._connection, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if wakeup_fd in ready:
                os.read(wakeup_fd, 4096)
            if self._connection.fileno() in ready:
                job, fds = self._receive_job()
                if job is None:
                    return None
                output, errors, status_fd, *printed = fds
                pid = self._fork(status_fd)
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, old_handler or signal.SIG_DFL)
                    for fd in (wakeup_fd, wakeup_write_end, *self._status_fds.values()):
                        os.close(fd)
                    self._connection.close()
                    os.dup2(output, 1)
                    os.dup2(errors, 2)
                    os.close(output)
                    os.close(errors)
                    self._become_trial(job["mark"])
                    job["status"], job["printed"] = status_fd, printed
                    return job
                for fd in (output, errors, *printed):
                    os.close(fd)
                if pid:
                    self._status_fds[pid] = status_fd
                    poll.register(status_fd, 0)
            self._check_processes(poll)

    def _receive_job(self) -> tuple[Json | None, list[int]]:
        import array
        import json
        import socket

        fds = array.array("i")
        room = socket.CMSG_SPACE(4 * fds.itemsize)
        message, ancillary, _, _ = self._connection.recvmsg(MAX_MESSAGE_BYTES, room)
        for _, _, data in ancillary:
            fds.frombytes(data)
        for fd in fds:
            os.set_inheritable(fd, False)
        return (json.loads(message) if message else None), list(fds)

    def _fork(self, status_fd: int) -> int | None:
        """Fork; return the process id, 0 in the new process, or None on failure."""
        try:
            pid = os.fork()
        except OSError as error:
            _send_status(status_fd, b"e", error.errno or 0)
            os.close(status_fd)
            return None
        if pid:
            _send_status(status_fd, b"f", pid)
        return pid

    def _check_processes(self, poll: select.poll) -> None:
        """Report processes that have exited; collect those whose status pipe is closed."""
        import select

        for pid, status_fd in list(self._status_fds.items()):
            if pid not in self._exited:
                # Not collected yet, so that its id stays valid until cloudtune closes the pipe.
                result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if result is None:
                    continue
                killed = result.si_code != os.CLD_EXITED
                _send_status(status_fd, b"x", -result.si_status if killed else result.si_status)
                self._exited.add(pid)
            pipe = select.poll()
            pipe.register(status_fd, 0)
            if pipe.poll(0):
                os.waitpid(pid, 0)
                poll.unregister(status_fd)
                os.close(status_fd)
                del self._status_fds[pid]
                self._exited.discard(pid)

    def _become_trial(self, mark: str) -> None:
        """Separate this newly forked process from the server."""
        import ctypes

        os.setsid()
        # Overwrite the initial environment in memory, which is what the system shows to others.
        padded = mark.encode().ljust(self._mark_size, b"_")[: self._mark_size]
        ctypes.memmove(self._mark_address, padded, len(padded))
        self._hooks.discard_finalizers()
        child.reseed()

    def exit(self) -> None:
        """Run exit functions and end this process without tearing down modules."""
        self._hooks.run()
        child.run_exit_functions()
        os._exit(0)


def _send_status(status_fd: int, letter: bytes, number: int) -> bool:
    """Send a status message; return whether cloudtune still reads the pipe."""
    import struct

    try:
        os.write(status_fd, struct.pack(MESSAGE_FORMAT, letter, number))
    except BrokenPipeError:
        return False
    return True


def _load_sibling(name: str) -> Any:
    """Load a file of this folder as a module that others cannot import."""
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
        preload, child = _load_sibling("preload"), _load_sibling("child")
        overlay = _load_sibling("overlay")
    main()
