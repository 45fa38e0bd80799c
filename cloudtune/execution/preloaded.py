"""The preloaded process: it has imported what a script imports, and trials are forked from it.

Cloudtune starts it as a file of its own in the trials' Python, so it is written on the standard
library alone in syntax that Python 3.7 reads. It hears from cloudtune over one socket: first what
to import, then, with two file descriptors each, the trials to fork. What becomes of a trial is
told in messages of five bytes (see `MESSAGE`) over the second of the two; once cloudtune closes its
end of that, the trial's process is collected.

It stays at one thread and holds nothing that two trials must not share, or says why it cannot.
A trial's process is given a session, a folder, words and an environment of its own and becomes what
Python makes of ``python script.py``. It ends without tearing down what was preloaded.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    Json = dict[str, Any]

MARK = "CLOUDTUNE_RUN"
"""The environment variable that marks the processes of a run."""
MESSAGE = "=ci"
"""A letter and a number: ``f`` forked, the process; ``s`` the script starts; ``e`` it could not be
forked, the error; ``x`` it has ended, its exit code, or the signal as a negative number."""
LONGEST = 200_000
"""Bytes of one message from cloudtune."""
PATIENCE = 10.0
"""Seconds that a first, empty fork may take."""
_SETTLING = 1.0
"""Seconds that threads may need to end at a fork."""
_FORK_SAFE = frozenset(["jemalloc_bg_thd"])
"""Threads that look after themselves when their process forks."""
_HARMLESS = frozenset(["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"])
_REMOVERS = frozenset(["shutil", "os", "posix", "pathlib", "tempfile"])
"""Where functions come from that are registered to remove files when a process ends."""
_GARBLED = 120
"""Python's exit code when output could not be written at its end."""


class _Exits:
    """What preloaded modules register to be run when their process ends."""

    def __init__(self) -> None:
        import atexit

        self._atexit = atexit
        self._register, self._unregister = atexit.register, atexit.unregister
        self._kept: list[tuple[Callable[..., Any], tuple[Any, ...], Json]] = []
        self._open = True

        def register(call: Callable[..., Any], *args: Any, **named: Any) -> Callable[..., Any]:
            if not self._open:
                return self._register(call, *args, **named)
            self._kept.append((call, args, named))
            return call

        def unregister(call: Callable[..., Any]) -> None:
            self._kept = [each for each in self._kept if each[0] != call]
            self._unregister(call)

        atexit.register = register
        atexit.unregister = unregister

    def become(self, *, forked: bool) -> None:
        """Register them; in a trial those not that remove files, which are not the trial's own."""
        self._open = False
        self._atexit.register, self._atexit.unregister = self._register, self._unregister
        for call, args, named in self._kept:
            if not forked or getattr(call, "__module__", "") not in _REMOVERS:
                self._register(call, *args, **named)
        weakref: Any = sys.modules.get("weakref")
        for finalizer in list(weakref.finalize._registry) if weakref and forked else ():
            finalizer.atexit = False


class _Preloaded:
    """This process, from its start to its end."""

    def __init__(self, connection: socket.socket, bare: frozenset[str]) -> None:
        self._connection = connection
        self._bare = bare
        """The modules of an interpreter that has just started."""
        self._exits = _Exits()
        self._mark_at: int = 0
        self._mark_room = len(os.environb[MARK.encode()])
        self._statuses: dict[int, int] = {}
        """Where the end of each running process is told."""
        self._ended: set[int] = set()
        """Those whose end was told, and that wait to be collected."""

    def why_not(self, told: Json) -> str:
        """Import what is wanted; return why no trial can be forked from here, if none can."""
        before = dict(_descriptors())
        source = _Source(told["source"])
        try:
            import ctypes

            getenv = ctypes.CDLL(None).getenv
            getenv.restype = ctypes.c_void_p
            self._mark_at = getenv(MARK.encode()) or 0
        except (ImportError, OSError, AttributeError):
            return "this Python has no ctypes"
        return (
            _imported(told, source)
            or self._shadowed(told["folder"])
            or source.loaded()
            or _held(before)
            or self._probed(told["sample"])
        )

    def _shadowed(self, folder: str) -> str:
        """Tell of a module beside the script that would have been found in place of a loaded one."""
        loaded = {name.partition(".")[0] for name in set(sys.modules) - self._bare}
        for entry in os.scandir(folder):
            name = entry.name.partition(".")[0]
            ending = entry.name[len(name) :]
            is_module = ending.endswith((".py", ".so", ".pyc")) or (
                not ending and os.path.exists(os.path.join(entry.path, "__init__.py"))
            )
            if is_module and name in loaded:
                return "{} in the source has the name of a module that is preloaded".format(
                    entry.name
                )
        return ""

    def _probed(self, sample: str) -> str:
        """Fork a process that does all that a trial does before its script."""
        import time
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            process = os.fork()
        if not process:
            code = 1
            try:
                self._become(sample)
                wanted = "{}={}".format(MARK, sample).encode()
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
            return "a process that was forked after the imports failed ({})".format(status)
        end = time.monotonic() + _SETTLING
        while True:
            left = [name for name in _threads() if name not in _FORK_SAFE]
            if not left:
                return ""
            if time.monotonic() > end:
                return "the imports leave threads: {}".format(", ".join(sorted(left)))
            time.sleep(0.01)

    def serve(self) -> Json | None:
        """Fork trials. Return in each of them what it is to be, here None once cloudtune is gone."""
        import gc
        import select
        import signal

        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.close(quiet)
        gc.collect()
        if hasattr(gc, "freeze"):
            gc.freeze()
        woken, wake = os.pipe()
        for end in (woken, wake):
            os.set_blocking(end, False)
        before = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        waiting = select.poll()
        waiting.register(woken, select.POLLIN)
        waiting.register(self._connection, select.POLLIN)
        while True:
            for end, _ in waiting.poll():
                if end == woken:
                    os.read(woken, 4096)
                elif end == self._connection.fileno():
                    job, given = self._next()
                    if job is None:
                        return None
                    if len(given) < 2:  # there was no room for them
                        for each in given:
                            os.close(each)
                        continue
                    output, status = given
                    process = self._fork(status)
                    if process:
                        os.close(output)
                    if process > 0:
                        self._statuses[process] = status
                        waiting.register(status, 0)
                    if process:
                        continue
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)
                    for each in (woken, wake, *self._statuses.values()):
                        os.close(each)
                    self._connection.close()
                    os.dup2(output, 1)
                    os.dup2(output, 2)
                    os.close(output)
                    job["status"] = status
                    self._become(job["mark"])
                    return job
            self._look_after(waiting)

    def _next(self) -> tuple[Json | None, list[int]]:
        import array
        import json
        import socket

        room = socket.CMSG_SPACE(2 * array.array("i").itemsize)
        data, ancillary, _, _ = self._connection.recvmsg(LONGEST, room)
        given = array.array("i")
        for _, _, said in ancillary:
            given.frombytes(said[: len(said) - len(said) % given.itemsize])
        for end in given:
            os.set_inheritable(end, False)
        return (json.loads(data) if data else None), list(given)

    def _fork(self, status: int) -> int:
        """Fork; return the process, 0 in it, -1 if that cannot be."""
        try:
            process = os.fork()
        except OSError as error:
            _tell(status, b"e", error.errno or 0)
            os.close(status)
            return -1
        if process:
            _tell(status, b"f", process)
        return process

    def _look_after(self, waiting: select.poll) -> None:
        """Tell of processes that have ended; collect those that nobody asks after any more."""
        import select

        for process, status in list(self._statuses.items()):
            if process not in self._ended:
                options = os.WEXITED | os.WNOHANG | os.WNOWAIT
                found = os.waitid(os.P_PID, process, options)
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
        shown = mark.encode()[: self._mark_room].ljust(self._mark_room, b"_")
        ctypes.memmove(self._mark_at, shown, len(shown))
        self._exits.become(forked=True)
        _reseed()

    def end(self) -> None:
        """End this process; nothing is torn down."""
        import atexit

        self._exits.become(forked=False)
        atexit._run_exitfuncs()
        os._exit(0)


def _imported(told: Json, source: _Source) -> str:
    """Import what is wanted, as far as it is there and not the source's own."""
    from importlib.util import find_spec

    for name, members in told["imports"]:
        root = name.partition(".")[0]
        try:
            found = find_spec(root)
        except (ImportError, ValueError):
            found = None
        if found is None and told["required"]:
            return "there is no module {}".format(root)
        if found is None or source.holds(_places(found)):
            continue
        try:
            __import__(name, {}, {}, members, 0)
        except BaseException as error:  # it is the module's own, whatever it is
            shown = "{}: {}".format(type(error).__name__, error)
            return "importing {} fails: {}".format(name, shown)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return ""


class _Source:
    """The folders whose modules are the user's own; a Python that lies within one is not."""

    def __init__(self, folders: Iterable[str]) -> None:
        real = {os.path.realpath(folder) for folder in folders}
        self._roots = tuple(folder + os.sep for folder in real.union(folders))
        self._pythons: tuple[str, ...] | None = None

    def holds(self, places: Iterable[str]) -> bool:
        """Tell whether one of some files is in the source."""
        return any(
            place.startswith(self._roots) and not place.startswith(self._of_pythons())
            for place in places
        )

    def loaded(self) -> str:
        """Tell of a module of the source that was imported by others."""
        for name, module in list(sys.modules.items()):
            place = getattr(module, "__file__", None)
            if name != "__main__" and isinstance(place, str) and self.holds([place]):
                return "the imports load {}, which belongs to the source".format(name)
        return ""

    def _of_pythons(self) -> tuple[str, ...]:
        if self._pythons is None:
            import sysconfig

            found = {sys.prefix, sys.exec_prefix, sys.base_prefix, *sysconfig.get_paths().values()}
            found.update([os.path.realpath(each) for each in found])
            within = [each + os.sep for each in found]
            self._pythons = tuple(each for each in within if each.startswith(self._roots))
        return self._pythons


def _places(spec: Any) -> Iterator[str]:
    found = [spec.origin] if spec.has_location and spec.origin else []
    for place in [*found, *(spec.submodule_search_locations or ())]:
        yield place
        yield os.path.realpath(place)


def _descriptors() -> Iterator[tuple[int, str]]:
    for name in os.listdir("/proc/self/fd"):
        try:
            yield int(name), os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue


def _held(before: dict[int, str]) -> str:
    """Tell of something open that several processes cannot use, such as a connection or a GPU."""
    for end, what in _descriptors():
        device = what.startswith("/dev/") and not what.startswith("/dev/shm/")
        if before.get(end) != what and (device or not what.startswith("/")):
            if what not in _HARMLESS:
                return "the imports open {}".format(what)
    return ""


def _threads() -> Iterator[str]:
    """Yield the names of this process's threads, the main one's not."""
    for thread in os.listdir("/proc/self/task"):
        if int(thread) != os.getpid():
            try:
                with open("/proc/self/task/{}/comm".format(thread)) as file:
                    yield file.read().strip()
            except OSError:
                continue


def _tell(status: int, letter: bytes, number: int) -> None:
    import struct

    try:
        os.write(status, struct.pack(MESSAGE, letter, number))
    except BrokenPipeError:
        pass  # nobody asks after it any more


def _reseed() -> None:
    """Give the global generators of random numbers seeds of their own, as an import does."""
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
    env: dict[str, str] = job["env"]
    for name in set(os.environ) - set(env):
        del os.environ[name]
    for name, value in env.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
    os.chdir(job["cwd"])
    if "multiprocessing.process" in sys.modules:
        multiprocessing: Any = sys.modules["multiprocessing.process"]
        multiprocessing.ORIGINAL_DIR = os.getcwd()
    words: list[str] = job["command"]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv = list(words)
    main: Any = type(sys)("__main__")
    main.__dict__.update(pristine)
    sys.modules["__main__"] = main
    sys.argv = words[1:]
    if words[1] == "-m":
        sys.argv = ["-m", *words[3:]]
        _first_path(os.getcwd())
        return lambda: _run_module(words[2])
    script = words[1]
    _first_path(os.path.dirname(os.path.realpath(script)))
    file = os.path.abspath(script) if sys.version_info >= (3, 9) else script
    main.__file__ = file
    main.__loader__ = type(pristine["__loader__"])("__main__", file)
    return lambda: _run_script(file, main.__dict__)


def _first_path(folder: str) -> None:
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, folder)


def _run_module(name: str) -> None:
    import runpy
    from typing import cast

    cast("Any", runpy)._run_module_as_main(name)


def _run_script(file: str, names: Json) -> None:
    with open(file, "rb") as opened:
        code = compile(opened.read(), file, "exec", dont_inherit=True)
    exec(code, names)


def _live(run: Callable[[], None], folder: str) -> int:
    """Run a script and what Python runs at its end; return its exit code, below 0 a signal."""
    code = _code_of(run)
    threading: Any = sys.modules.get("threading")
    if threading is not None:
        code = _code_of(threading._shutdown) or code
    import atexit

    atexit._run_exitfuncs()
    flushed = _flush()
    _let_go(folder)
    return code if flushed and _flush() else code or _GARBLED


def _code_of(run: Callable[[], None]) -> int:
    try:
        run()
    except SystemExit as leaving:
        return _exit_code(leaving.code)
    except BaseException as error:  # whatever a script raises is shown as Python shows it
        return _show(error)
    return 0


def _exit_code(said: object) -> int:
    if said is None:
        return 0
    if isinstance(said, int):
        return said & 0xFF
    _flush()
    sys.stderr.write("{}\n".format(said))
    return 1


def _show(error: BaseException) -> int:
    """Print an exception as Python does, without the frames of this file."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    error = error.with_traceback(trace)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    _flush()
    try:
        sys.excepthook(type(error), error, trace)
    except SystemExit as leaving:
        return _exit_code(leaving.code)
    except BaseException as another:  # a hook is the script's, too
        sys.stderr.write("Error in sys.excepthook:\n")
        sys.__excepthook__(type(another), another, another.__traceback__)
        sys.stderr.write("\nOriginal exception was:\n")
        sys.__excepthook__(type(error), error, trace)
    return -2 if isinstance(error, KeyboardInterrupt) else 1


def _flush() -> bool:
    """Flush standard output and error; return whether output was written."""
    written = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not getattr(stream, "closed", False):
                stream.flush()
        except BaseException:  # a stream may be anything
            written = written and stream is not sys.stdout
    return written


def _let_go(folder: str) -> None:
    """Let the script's own objects end, and close the files that it left open."""
    import gc

    threads: Any = sys.modules.get("threading")
    if threads is None or threads.active_count() == 1:
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            sys.__dict__.pop(name, None)
        for module in list(sys.modules.values()):
            name = getattr(module, "__name__", "")
            place = getattr(module, "__file__", None) or ""
            if name == "__main__" or (isinstance(place, str) and place.startswith(folder + os.sep)):
                _empty(module.__dict__)
        gc.collect()
    _close_files(gc.get_objects())
    if "ctypes" in sys.modules:
        sys.modules["ctypes"].CDLL(None).fflush(None)


def _empty(names: Json) -> None:
    """Empty a module as Python does at its end: private names first."""
    for private in (True, False):
        for name in list(names):
            is_private = name.startswith("_") and not name.startswith("__")
            if name != "__builtins__" and is_private is private:
                names[name] = None


def _close_files(objects: list[Any]) -> None:
    import _io

    io: Any = _io
    standard = {sys.__stdin__, sys.__stdout__, sys.__stderr__}
    for stream in list(standard):
        standard.add(getattr(stream, "buffer", None))
    open_files = [each for each in objects if issubclass(type(each), io._IOBase)]

    def inner(file: Any) -> int:
        """Return how deep it lies: what writes into others is closed before them."""
        if issubclass(type(file), io._TextIOBase):
            return 0
        if type(file).__module__ != "_io":
            return 1
        return 3 if issubclass(type(file), io._RawIOBase) else 2

    for file in sorted(open_files, key=inner):
        if not any(file is each for each in standard):
            try:
                file.close()
            except BaseException:  # as where Python lets go of a file
                continue


def _leave(code: int) -> None:
    if code < 0:
        import signal

        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def main() -> None:
    """Be the preloaded process on the socket that the first word names."""
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    bare = frozenset(sys.modules)
    pristine = {name: value for name, value in globals().items() if name[:2] == name[-2:] == "__"}
    import json
    import socket

    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    preloaded = _Preloaded(connection, bare)
    why_not = preloaded.why_not(json.loads(connection.recv(LONGEST)))
    connection.send(json.dumps(why_not).encode())
    job = None if why_not else preloaded.serve()
    if job is None:
        preloaded.end()
        return
    run = _dress(job, pristine)
    _tell(job["status"], b"s", 0)
    os.close(job["status"])
    _leave(_live(run, job["cwd"]))


if __name__ == "__main__":
    main()
