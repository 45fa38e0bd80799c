"""The process of a trial after the fork: runs the script as ``python script.py`` does.

`server` loads this file by path, so it uses only the standard library and Python 3.7 syntax.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Json = dict[str, Any]

_FLUSH_FAILED = 120
"""Python's exit code if it cannot write its last output."""
_NAMES_STDOUT = sys.version_info >= (3, 13)
"""Python's message about that names the stream, not its object."""


def reseed() -> None:
    """Seed the global random number generators from the system, as their import does."""
    modules: Any = sys.modules
    if "random" in modules:
        modules["random"].seed()
    if "numpy.random" in modules:
        modules["numpy.random"].seed()
    if hasattr(modules.get("torch"), "default_generator"):
        modules["torch"].default_generator.seed()


def prepare_process(job: Json, main_names: Json) -> Callable[[], None]:
    """Set the folder, environment and arguments of a trial; return a function that runs its script.

    Args:
        job: The command, working folder and environment variables of the trial.
        main_names: The names of an empty ``__main__`` module.
    """
    os.environ.update(job["env"])
    old_folder = os.getcwd()
    os.chdir(job["cwd"])
    folder = os.getcwd()
    for index, path in enumerate(sys.path):
        if path == old_folder or path.startswith(old_folder + os.sep):
            sys.path[index] = folder + path[len(old_folder) :]
    if "multiprocessing.process" in sys.modules:
        multiprocessing: Any = sys.modules["multiprocessing.process"]
        multiprocessing.ORIGINAL_DIR = folder
    command: list[str] = job["command"]
    old_argv = sys.argv
    if hasattr(sys, "orig_argv"):
        sys.orig_argv = list(command)
    main: Any = type(sys)("__main__")
    main.__dict__.update(main_names)
    sys.modules["__main__"] = main
    if "__mp_main__" in sys.modules:  # the name of multiprocessing for it
        sys.modules["__mp_main__"] = main
    is_module = command[1] == "-m"
    sys.argv = ["-m", *command[3:]] if is_module else command[1:]
    old_argv[:] = sys.argv  # a library may hold the list itself
    if is_module:
        return lambda: _run_module(command[2])
    script = command[1]
    file = os.path.join(folder, script) if sys.version_info >= (3, 9) else script
    main.__file__ = file
    main.__loader__ = type(main_names["__loader__"])("__main__", file)
    return lambda: _run_script(file, main.__dict__)


def _run_module(name: str) -> None:
    import runpy

    untyped: Any = runpy
    untyped._run_module_as_main(name)


def _run_script(file: str, names: Json) -> None:
    with open(file, "rb") as script:
        code = compile(script.read(), file, "exec", dont_inherit=True)
    exec(code, names)


def run_to_exit(run: Callable[[], None], folder: str) -> int:
    """Run a script and what Python runs at exit; return the exit code or a negative signal."""
    code = _call(run)
    threading: Any = sys.modules.get("threading")
    if threading is not None:
        _call(threading._shutdown)
    _ignore_stop()
    run_exit_functions()
    is_flushed = _flush_streams(report=True)
    _release_objects(folder)
    is_flushed &= _flush_streams()
    return code if is_flushed or code < 0 else _FLUSH_FAILED


def _ignore_stop() -> None:
    """Let the script, which has ended by itself, no longer be ended by a stop."""
    import signal

    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def run_exit_functions() -> None:
    """Run the functions registered with `atexit`."""
    import atexit

    untyped: Any = atexit
    try:
        untyped._run_exitfuncs()
    except BaseException:  # before Python 3.10 it also raises the error that it has printed
        return


def _call(run: Callable[[], None]) -> int:
    try:
        run()
    except SystemExit as exit_request:
        return _exit_code(exit_request.code)
    except BaseException as script_error:  # whatever a script raises is printed as Python prints it
        error = script_error
    else:
        return 0
    return _print_error(error)


def _exit_code(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, int):
        return value & 0xFF
    _flush_streams()
    try:
        text = str(value)
    except Exception:  # also Python prints nothing of such an object
        text = ""
    _write_error(text, required=getattr(sys, "stderr", None) is None)
    _write_error("\n")
    return 1


def _write_error(text: str, *, required: bool = True) -> None:
    """Write to `sys.stderr`; if that fails and the text is required, to the system's stream."""
    try:
        sys.stderr.write(text)
    except Exception:  # the script may have closed, replaced or deleted it
        try:
            if required:
                os.write(2, text.encode("utf-8", "backslashreplace"))
        except OSError:
            return


def _print_error(error: BaseException) -> int:
    """Print an exception as Python does; return the exit code."""
    error_type, trace = type(error), _strip_traceback(error)
    sys.last_type, sys.last_value, sys.last_traceback = error_type, error, trace
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    _flush_streams()
    try:
        sys.excepthook(error_type, error, trace)
    except BaseException as hook_error:  # the script may have replaced the hook
        _write_error("Error in sys.excepthook:\n")
        sys.__excepthook__(type(hook_error), hook_error, _strip_traceback(hook_error))
        _write_error("\nOriginal exception was:\n")
        sys.__excepthook__(error_type, error, trace)
    return -2 if isinstance(error, KeyboardInterrupt) else 1


def _strip_traceback(error: BaseException) -> Any:
    """Remove the frames of this file from an exception's traceback and return it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    error.__traceback__ = trace
    return trace


def _flush_streams(*, report: bool = False) -> bool:
    """Flush the output; return whether that succeeded. Report a failure as Python does at exit."""
    is_flushed = True
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        try:
            if stream is not None and not _is_closed(stream):
                stream.flush()
        except Exception as error:  # the script may have put any object here
            is_flushed = False
            if report and name == "stdout":
                kind = type(error).__name__
                place = "on flushing sys.stdout:" if _NAMES_STDOUT else f"in: {stream!r}"
                _write_error(f"Exception ignored {place}\n{kind}: {error}\n")
    return is_flushed


def _is_closed(stream: Any) -> bool:
    try:
        return bool(stream.closed)
    except Exception:  # for example detached
        return False


def _release_objects(folder: str) -> None:
    """Let the objects of the script's modules be destroyed, and flush all open files."""
    import ctypes
    import gc
    import io

    threads: Any = sys.modules.get("threading")
    if threads is None or threads.active_count() == 1:
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            sys.__dict__.pop(name, None)
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            is_own = isinstance(file, str) and file.startswith(folder + os.sep)
            if is_own or name == "__main__":
                _clear_module(module.__dict__)
        gc.collect()
    for each in gc.get_objects():
        if issubclass(type(each), io.IOBase):
            try:
                each.flush()
            except Exception:  # closed or read-only
                continue
    ctypes.CDLL(None).fflush(None)


def _clear_module(names: Json) -> None:
    """Clear a module as Python does at exit: private names first."""
    for clear_private in (True, False):
        for name in list(names):
            is_private = name.startswith("_") and not name.startswith("__")
            if name != "__builtins__" and is_private is clear_private:
                names[name] = None


def exit_process(code: int) -> None:
    """Exit immediately with an exit code, or by a signal if the code is negative."""
    if code < 0:
        import signal

        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
