"""A trial's process once it is forked: it becomes what Python makes of ``python script.py``.

Loaded by `preloaded` from the file beside it, so it is written as that one is.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cloudtune.study.schema import Json


def reseed() -> None:
    """Give the global generators of random numbers seeds from the system, as an import does."""
    modules: Any = sys.modules
    if "random" in modules:
        modules["random"].seed()
    if "numpy.random" in modules:
        modules["numpy.random"].seed()
    if hasattr(modules.get("torch"), "default_generator"):
        modules["torch"].default_generator.seed()


def prepare_process(job: Json, pristine: Json) -> Callable[[], None]:
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
    seen = sys.argv
    if hasattr(sys, "orig_argv"):
        sys.orig_argv = list(words)
    main: Any = type(sys)("__main__")
    main.__dict__.update(pristine)
    sys.modules["__main__"] = main
    if "__mp_main__" in sys.modules:  # the name that multiprocessing has for it
        sys.modules["__mp_main__"] = main
    is_module = words[1] == "-m"
    sys.argv = ["-m", *words[3:]] if is_module else words[1:]
    seen[:] = sys.argv  # a library may have taken the list itself
    if is_module:
        return lambda: _run_module(words[2])
    script = words[1]
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


def run_to_exit(run: Callable[[], None], folder: str) -> int:
    """Run a script and what Python runs at its end; return its exit code, below 0 a signal."""
    code = _code_of(run)
    threading: Any = sys.modules.get("threading")
    if threading is not None:
        _code_of(threading._shutdown)
    run_exit_functions()
    _flush()
    _let_go(folder)
    _flush()
    return code


def run_exit_functions() -> None:
    """Run what is registered with `atexit`."""
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


def exit_process(code: int) -> None:
    """End this process at once, with an exit code or by the signal that is below 0."""
    if code < 0:
        import signal

        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
