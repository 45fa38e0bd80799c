"""Imports modules before forks, and detects why forks after these imports are unsafe.

`server` loads this file by path, so it uses only the standard library and Python 3.7 syntax.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    Json = dict[str, Any]
    _StringList = list[str]
else:
    _StringList = list

_FORK_SAFE_THREADS = frozenset(["jemalloc_bg_thd"])
"""Threads of libraries that restart them after a fork."""
_SHAREABLE_FILES = frozenset(["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"])
"""Files that several processes may read through one file descriptor."""
_CLEANUP_MODULES = frozenset(["shutil", "os", "posix", "pathlib", "tempfile"])
"""Modules whose functions, when registered with `atexit`, remove files."""
_CLEANUP_CALLS = frozenset(["rmtree", "remove", "unlink", "rmdir", "cleanup"])
"""Functions that other such functions call."""


def import_modules(request: Json, initial_modules: frozenset[str]) -> str:
    """Import modules; return why forks are unsafe afterwards, or an empty text.

    Args:
        request: What to import, and the folders of the user's own modules.
        initial_modules: The modules of a newly started interpreter.
    """
    from importlib.machinery import PathFinder

    for name in {name.partition(".")[0] for name in set(sys.modules) - initial_modules}:
        spec = PathFinder.find_spec(name, [request["folder"]])
        if spec is not None and spec.origin:  # else a plain folder, after which Python's own wins
            return f"the source has a module with the name of Python's own {name}"
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, request["folder"])
    old_fds, old_folder = dict(_open_files()), _folder_state()
    source = _Source(request["source"])
    sys.argv = argv = _WatchedArgv(sys.argv)
    problem = (
        _import(request, source)
        or source.loaded_module(initial_modules)
        or _shared_resource(old_fds)
        or argv.problem
    )
    if not problem and _folder_state() != old_folder:
        return "the imports change the working folder or its content"
    return problem


class _WatchedArgv(_StringList):
    """Arguments that detect whether an import reads more of them than the script's name."""

    problem = ""

    def _record_read(self) -> None:
        self.problem = "the imports read sys.argv, which differs between trials"

    def __getitem__(self, index: Any) -> Any:
        if index != 0:
            self._record_read()
        return _StringList.__getitem__(self, index)

    def __iter__(self) -> Iterator[Any]:
        self._record_read()
        return _StringList.__iter__(self)

    def __len__(self) -> int:
        self._record_read()
        return _StringList.__len__(self)

    def __contains__(self, word: object) -> bool:
        self._record_read()
        return _StringList.__contains__(self, word)


def _folder_state() -> tuple[str, list[str]]:
    return os.getcwd(), sorted(os.listdir("."))


def _import(request: Json, source: _Source) -> str:
    """Import the requested modules, up to the first that belongs to the user's source."""
    from importlib.util import find_spec

    for name, members in request["imports"]:
        root = name.partition(".")[0]
        try:
            spec = find_spec(root)
        except (ImportError, ValueError):
            spec = None
        if spec is None and request["required"]:
            return f"module {root} not found"
        if spec is None:
            continue  # the script may handle its absence
        paths = [spec.origin] if spec.has_location and spec.origin else []
        if source.contains([*paths, *(spec.submodule_search_locations or ())]):
            if request["required"]:
                return f"{name} belongs to the source"
            break
        try:
            __import__(name, {}, {}, members, 0)
        except BaseException as error:  # an import can raise anything
            return f"importing {name} fails: {type(error).__name__}: {error}"
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return ""


class _Source:
    """The folders of the user's own modules, without any Python installation inside them."""

    def __init__(self, folders: list[str]) -> None:
        import sysconfig

        self._roots = _prefixes(folders)
        pythons = [sys.prefix, sys.exec_prefix, sys.base_prefix, *sysconfig.get_paths().values()]
        self._pythons = tuple(each for each in _prefixes(pythons) if each.startswith(self._roots))

    def contains(self, paths: Iterable[str | os.PathLike[str]]) -> bool:
        texts = [os.fspath(path) for path in paths]  # the spec of transformers has a pathlib.Path
        return any(
            path.startswith(self._roots) and not path.startswith(self._pythons)
            for each in texts
            for path in (each, os.path.realpath(each))
        )

    def loaded_module(self, initial_modules: frozenset[str]) -> str:
        """Return a message if other modules have imported a module of the source."""
        for name in set(sys.modules) - initial_modules:
            file = getattr(sys.modules[name], "__file__", None)
            if not isinstance(file, str) or not self.contains([file]):
                continue
            # PyTorch has modules with the relative name of a file that does not exist.
            if os.path.isabs(file) or os.path.exists(file):
                return f"the imports load {name}, which belongs to the source"
        return ""


def _prefixes(folders: list[str]) -> tuple[str, ...]:
    return tuple({each + os.sep for name in folders for each in (name, os.path.realpath(name))})


def _open_files() -> Iterator[tuple[int, str]]:
    for name in os.listdir("/proc/self/fd"):
        try:
            yield int(name), os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue


def _shared_resource(old_fds: dict[int, str]) -> str:
    """Return a message if the imports hold a file, connection, GPU or memory that forks share."""
    for fd, target in _open_files():
        if old_fds.get(fd) != target and target not in _SHAREABLE_FILES:
            return f"the imports leave {target} open"
    with open("/proc/self/maps") as maps:
        for line in maps:
            fields = line.split(None, 5)
            if fields[1] == "rw-s":
                file = fields[5].strip() if fields[5:] else "anonymous"
                return f"the imports share memory: {file}"
    return ""


def unsafe_threads() -> Iterator[str]:
    """Yield the names of the threads that make a fork unsafe."""
    for thread in os.listdir("/proc/self/task"):
        if int(thread) != os.getpid():
            try:
                with open(f"/proc/self/task/{thread}/comm") as file:
                    name = file.read().strip()
            except OSError:
                continue
            if name not in _FORK_SAFE_THREADS:
                yield name


def _removes_files(function: Any) -> bool:
    """Return whether an exit function removes files, as far as its code shows."""
    function = getattr(function, "func", function)  # that of a partial
    code = getattr(function, "__code__", None)
    calls = code.co_names if code is not None else ()
    in_module = getattr(function, "__module__", "") in _CLEANUP_MODULES
    return in_module or not _CLEANUP_CALLS.isdisjoint(calls)


class CleanupHooks:
    """Exit functions of preloaded modules that remove files.

    All trials share these files, so only the server may run them.
    """

    def __init__(self) -> None:
        """Intercept `atexit.register`."""
        import atexit

        self._functions: list[Callable[[], object]] = []
        self._intercepting = True
        self._register: Any = atexit.register

        def register(function: Callable[..., Any], *args: Any, **named: Any) -> Callable[..., Any]:
            if self._intercepting and _removes_files(function):
                self._functions.append(lambda: function(*args, **named))
            else:
                self._register(function, *args, **named)
            return function

        atexit.register = register  # type: ignore[assignment]

    def stop_intercepting(self) -> None:
        """Restore `atexit.register`."""
        import atexit

        self._intercepting = False
        atexit.register = self._register

    def discard_finalizers(self) -> None:
        """Prevent the finalizers of preloaded modules from running when this process exits."""
        weakref: Any = sys.modules.get("weakref")
        for finalizer in list(weakref.finalize._registry) if weakref else ():
            finalizer.atexit = False

    def run(self) -> None:
        """Remove the files."""
        for function in self._functions:
            function()
