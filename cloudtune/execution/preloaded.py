"""The preloaded process: it has imported what a script imports, and trials are forked from it.

Cloudtune starts it as a file of its own in the trials' Python, so it is written on the standard
library alone in syntax that Python 3.7 reads. It hears from cloudtune over one socket: first what
to import, then, with two file descriptors each, the trials to fork. What becomes of a trial is
told in messages of five bytes (see `MESSAGE`) over the second of the two; once cloudtune closes its
end of that, the trial's process is collected.

It stays at one thread and holds nothing that two trials must not share, or says why it cannot. A
trial's process is given a session, a folder, words and an environment of its own and becomes what
Python makes of ``python script.py``. It ends without tearing down what was preloaded.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select
    import socket
    from collections.abc import Callable, Iterator
    from typing import Any

    Json = dict[str, Any]

MARK = "CLOUDTUNE_RUN"
"""The environment variable that marks the processes of a run."""
MESSAGE = "=ci"
"""A letter and a number: ``f`` forked, the process; ``s`` the script starts; ``e`` it could not be
forked, the error; ``x`` it has ended, its exit code, or the signal as a negative number."""
LONGEST = 100_000
"""Bytes of one message from cloudtune."""
PATIENCE = 10.0
"""Seconds that a first, empty fork may take."""
_SETTLING = 1.0
"""Seconds that threads may need to end at a fork."""
_FORK_SAFE = frozenset(["jemalloc_bg_thd"])
"""Threads that look after themselves when their process forks."""
_HARMLESS = frozenset(["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"])
"""What several processes may read through one file descriptor."""
_REMOVERS = frozenset(["shutil", "os", "posix", "pathlib", "tempfile"])
"""Where functions come from that are registered to remove files when a process ends."""
_MOST_SAID = 1024 * 1024
"""Bytes that are kept of what the imports print."""


def main() -> None:
    """Be the preloaded process on the socket that the first word names; in a fork, a trial."""
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    pristine = {name: value for name, value in globals().items() if name[:2] == name[-2:] == "__"}
    pristine["__doc__"] = None
    bare = frozenset(sys.modules)
    # All that this file needs, before the user's folder is one in which modules are looked for.
    import contextlib
    import importlib.util
    import json
    import runpy
    import select
    import socket
    import struct
    import sysconfig
    import warnings

    _ = contextlib, importlib.util, runpy, select, struct, sysconfig, warnings
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    del sys.argv[1:]
    preloaded = _Preloaded(connection)
    why_not = preloaded.prepare(json.loads(connection.recv(LONGEST)), bare)
    connection.send(json.dumps(why_not).encode())
    job = None if why_not else preloaded.serve()
    if job is None:
        preloaded.end()
        return
    run = _dress(job, pristine)
    _tell(job["status"], b"s", 0)
    os.close(job["status"])
    os.write(1, preloaded.said)
    _leave(_live(run, os.getcwd()))


class _Preloaded:
    """This process, from its start to its end."""

    def __init__(self, connection: socket.socket) -> None:
        self.said = b""
        """What the imports printed, as each trial would have."""
        self._connection = connection
        self._removers = _Removers()
        self._mark_at = 0
        self._mark_room = len(os.environb[MARK.encode()])
        self._statuses: dict[int, int] = {}
        """Where the end of each running process is told."""
        self._ended: set[int] = set()
        """Those whose end was told, and that wait to be collected."""

    def prepare(self, told: Json, bare: frozenset[str]) -> str:
        """Import what is wanted; return why no trial can be forked from here, if none can.

        Args:
            told: What to import, and where the user's own modules are.
            bare: The modules of an interpreter that has just started.
        """
        try:
            import ctypes

            system = ctypes.CDLL(None)
            system.getenv.restype = ctypes.c_void_p
            self._mark_at = system.getenv(MARK.encode())
        except (ImportError, OSError, AttributeError):
            return "this Python has no ctypes"
        from importlib.machinery import PathFinder

        for name in {name.partition(".")[0] for name in set(sys.modules) - bare}:
            if PathFinder.find_spec(name, [told["folder"]]):
                return f"the source has a module with the name of Python's own {name}"
        if not getattr(sys.flags, "safe_path", False):
            sys.path.insert(0, told["folder"])
        before = dict(_descriptors())
        source = _Source(told["source"])
        why_not = (
            _imported(told, source)
            or source.loaded(bare)
            or _held(before)
            or self._probed(told["mark"])
        )
        self._removers.done()
        system.fflush(None)
        if not told["quiet"]:
            self.said = os.pread(1, _MOST_SAID, 0)
        return why_not

    def _probed(self, mark: str) -> str:
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
                wanted = f"{MARK}={mark}".encode()
                with open("/proc/self/environ", "rb") as file:
                    code = 0 if wanted in file.read() else 2
            finally:
                os._exit(code)
        end = time.monotonic() + PATIENCE
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
            left = sorted(name for name in _threads() if name not in _FORK_SAFE)
            if not left:
                return ""
            if time.monotonic() > end:
                return "the imports leave threads: {}".format(", ".join(left))
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
        data, ancillary, _, _ = self._connection.recvmsg(LONGEST, room)
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
        _reseed()

    def end(self) -> None:
        """End this process; nothing is torn down."""
        self._removers.run()
        _run_exit_functions()
        os._exit(0)


class _Removers:
    """What preloaded modules register to remove their files: no trial may, as all share them."""

    def __init__(self) -> None:
        import atexit

        self._kept: list[Callable[[], object]] = []
        self._preloading = True
        self._register: Any = atexit.register

        def kept(call: Callable[..., Any], *args: Any, **named: Any) -> Callable[..., Any]:
            if not self._preloading or getattr(call, "__module__", "") not in _REMOVERS:
                self._register(call, *args, **named)
            else:
                self._kept.append(lambda: call(*args, **named))
            return call

        self._install(kept)

    def done(self) -> None:
        """Leave alone what is registered from now on."""
        self._preloading = False
        self._install(self._register)

    def _install(self, register: Any) -> None:
        import atexit

        atexit.register = register

    def forget(self) -> None:
        """Remove nothing from this process."""
        weakref: Any = sys.modules.get("weakref")
        for finalizer in list(weakref.finalize._registry) if weakref else ():
            finalizer.atexit = False

    def run(self) -> None:
        """Remove the files."""
        for call in self._kept:
            call()


class _Source:
    """The folders whose modules are the user's own; a Python that lies within one is not."""

    def __init__(self, folders: list[str]) -> None:
        import sysconfig

        self._roots = _with_real(folders)
        pythons = [sys.prefix, sys.exec_prefix, sys.base_prefix, *sysconfig.get_paths().values()]
        self._pythons = tuple(each for each in _with_real(pythons) if each.startswith(self._roots))

    def holds(self, places: list[str]) -> bool:
        """Tell whether one of some files is in the source."""
        return any(
            place.startswith(self._roots) and not place.startswith(self._pythons)
            for each in places
            for place in (each, os.path.realpath(each))
        )

    def loaded(self, bare: frozenset[str]) -> str:
        """Tell of a module of the source that was imported by others, later than the ``bare``."""
        for name in set(sys.modules) - bare:
            place = getattr(sys.modules[name], "__file__", None)
            if isinstance(place, str) and self.holds([place]):
                return f"the imports load {name}, which belongs to the source"
        return ""


def _with_real(folders: list[str]) -> tuple[str, ...]:
    return tuple({each + os.sep for name in folders for each in (name, os.path.realpath(name))})


def _imported(told: Json, source: _Source) -> str:
    """Import what is wanted, up to the first module that is the user's own."""
    from importlib.util import find_spec

    for name, members in told["imports"]:
        root = name.partition(".")[0]
        try:
            found = find_spec(root)
        except (ImportError, ValueError):
            found = None
        if found is None and told["required"]:
            return f"there is no module {root}"
        if found is None:
            continue  # the script may well get on without it
        places = [found.origin] if found.has_location and found.origin else []
        if source.holds([*places, *(found.submodule_search_locations or ())]):
            if told["required"]:
                return f"{name} belongs to the source"
            break
        try:
            __import__(name, {}, {}, members, 0)
        except BaseException as error:  # it is the module's own, whatever it is
            return f"importing {name} fails: {type(error).__name__}: {error}"
    _flush()
    return ""


def _descriptors() -> Iterator[tuple[int, str]]:
    for name in os.listdir("/proc/self/fd"):
        try:
            yield int(name), os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue


def _held(before: dict[int, str]) -> str:
    """Tell of something open that several processes cannot share: a file, a connection, a GPU."""
    for end, what in _descriptors():
        if before.get(end) != what and what not in _HARMLESS:
            return f"the imports leave {what} open"
    return ""


def _threads() -> Iterator[str]:
    """Yield the names of this process's threads, the main one's not."""
    for thread in os.listdir("/proc/self/task"):
        if int(thread) != os.getpid():
            try:
                with open(f"/proc/self/task/{thread}/comm") as file:
                    yield file.read().strip()
            except OSError:
                continue


def _tell(status: int, letter: bytes, number: int) -> None:
    import contextlib
    import struct

    with contextlib.suppress(BrokenPipeError):  # nobody asks after it any more
        os.write(status, struct.pack(MESSAGE, letter, number))


def _reseed() -> None:
    """Give the global generators of random numbers seeds from the system, as an import does."""
    modules: Any = sys.modules
    if "random" in modules:
        modules["random"].seed()
    if "numpy.random" in modules:
        modules["numpy.random"].seed()
    if hasattr(modules.get("torch"), "default_generator"):
        modules["torch"].default_generator.seed()


# A trial's process.


def _dress(job: Json, pristine: Json) -> Callable[[], None]:
    """Give this process a trial's folder, environment and words; return what runs its script."""
    os.environ.update(job["env"])
    here = os.getcwd()
    os.chdir(job["cwd"])
    there = os.getcwd()
    for at, place in enumerate(sys.path):
        if place == here or place.startswith(here + os.sep):
            sys.path[at] = there + place[len(here) :]
    if "multiprocessing.process" in sys.modules:
        multiprocessing: Any = sys.modules["multiprocessing.process"]
        multiprocessing.ORIGINAL_DIR = there
    words: list[str] = job["command"]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv = list(words)
    main: Any = type(sys)("__main__")
    main.__dict__.update(pristine)
    sys.modules["__main__"] = main
    if "__mp_main__" in sys.modules:  # the name that multiprocessing has for it
        sys.modules["__mp_main__"] = main
    if words[1] == "-m":
        sys.argv = ["-m", *words[3:]]
        return lambda: _run_module(words[2])
    script = words[1]
    sys.argv = words[1:]
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.path.dirname(os.path.realpath(script))
    file = os.path.join(there, script) if sys.version_info >= (3, 9) else script
    main.__file__ = file
    main.__loader__ = type(pristine["__loader__"])("__main__", file)
    return lambda: _run_script(file, main.__dict__)


def _run_module(name: str) -> None:
    import runpy

    run: Any = runpy
    run._run_module_as_main(name)


def _run_script(file: str, names: Json) -> None:
    with open(file, "rb") as opened:
        code = compile(opened.read(), file, "exec", dont_inherit=True)
    exec(code, names)


def _live(run: Callable[[], None], folder: str) -> int:
    """Run a script and what Python runs at its end; return its exit code, below 0 a signal."""
    code = _code_of(run)
    threading: Any = sys.modules.get("threading")
    if threading is not None:
        _code_of(threading._shutdown)
    _run_exit_functions()
    _flush()
    _let_go(folder)
    _flush()
    return code


def _run_exit_functions() -> None:
    import atexit

    functions: Any = atexit
    try:
        functions._run_exitfuncs()
    except BaseException:  # before Python 3.10 it raises what it has already shown
        return


def _code_of(run: Callable[[], None]) -> int:
    try:
        run()
    except SystemExit as leaving:
        return _exit_code(leaving.code)
    except BaseException as error:  # whatever a script raises is shown as Python shows it
        raised = error
    else:
        return 0
    return _show(raised)


def _exit_code(said: object) -> int:
    if said is None:
        return 0
    if isinstance(said, int):
        return said & 0xFF
    _flush()
    sys.stderr.write(f"{said}\n")
    return 1


def _show(error: BaseException) -> int:
    """Print an exception as Python does."""
    kind, trace = type(error), _of_script(error)
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    _flush()
    try:
        sys.excepthook(kind, error, trace)
    except BaseException as another:  # a hook is the script's, too
        sys.stderr.write("Error in sys.excepthook:\n")
        sys.__excepthook__(type(another), another, _of_script(another))
        sys.stderr.write("\nOriginal exception was:\n")
        sys.__excepthook__(kind, error, trace)
    return -2 if isinstance(error, KeyboardInterrupt) else 1


def _of_script(error: BaseException) -> Any:
    """Return an exception's traceback, from which the frames of this file are now gone."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    error.__traceback__ = trace
    return trace


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception:  # a stream of the script's may be anything
            continue


def _let_go(folder: str) -> None:
    """Let the script's own objects end, and write what it left in files that are open."""
    import ctypes
    import gc
    import io

    threads: Any = sys.modules.get("threading")
    if threads is None or threads.active_count() == 1:
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            sys.__dict__.pop(name, None)
        for name, module in list(sys.modules.items()):
            place = getattr(module, "__file__", None)
            own = isinstance(place, str) and place.startswith(folder + os.sep)
            if own or name == "__main__":
                _empty(module.__dict__)
        gc.collect()
    for each in gc.get_objects():
        if issubclass(type(each), io.IOBase):
            try:
                each.flush()
            except Exception:  # closed, or for reading
                continue
    ctypes.CDLL(None).fflush(None)


def _empty(names: Json) -> None:
    """Empty a module as Python does at its end: private names first."""
    for private in (True, False):
        for name in list(names):
            is_private = name.startswith("_") and not name.startswith("__")
            if name != "__builtins__" and is_private is private:
                names[name] = None


def _leave(code: int) -> None:
    if code < 0:
        import signal

        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
