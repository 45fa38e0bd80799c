"""Importing what scripts import, and whether processes can be forked after it.

Loaded by `preloaded` from the file beside it, so it is written as that one is.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from cloudtune.study.schema import Json

    _Strings = list[str]
else:
    _Strings = list

_FORK_SAFE = frozenset(["jemalloc_bg_thd"])
"""Threads that look after themselves when their process forks."""
_HARMLESS = frozenset(["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"])
"""What several processes may read through one file descriptor."""
_REMOVERS = frozenset(["shutil", "os", "posix", "pathlib", "tempfile"])
"""Where functions come from that are registered to remove files when a process ends."""
_REMOVING = frozenset(["rmtree", "remove", "unlink", "rmdir", "cleanup"])
"""What other such functions call."""


def import_modules(told: Json, bare: frozenset[str]) -> str:
    """Import what is wanted; return why nobody can be forked after that, as far as it is seen.

    Args:
        told: What to import, and where the user's own modules are.
        bare: The modules of an interpreter that has just started.
    """
    from importlib.machinery import PathFinder

    for name in {name.partition(".")[0] for name in set(sys.modules) - bare}:
        found = PathFinder.find_spec(name, [told["folder"]])
        if found is not None and found.origin:  # else it is a folder, and Python's own comes first
            return f"the source has a module with the name of Python's own {name}"
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, told["folder"])
    before, here = dict(_descriptors()), _here()
    source = _Source(told["source"])
    sys.argv = words = _Words(sys.argv)
    why_not = _imported(told, source) or source.loaded(bare) or _held(before) or words.why_not
    if not why_not and _here() != here:
        return "the imports change the working folder, or what is in it"
    return why_not


class _Words(_Strings):
    """Words that note whether an import looks at more of them than the name of the script."""

    why_not = ""

    def _note(self) -> None:
        self.why_not = "the imports read sys.argv, which each trial has its own of"

    def __getitem__(self, at: Any) -> Any:
        if at != 0:
            self._note()
        return _Strings.__getitem__(self, at)

    def __iter__(self) -> Iterator[Any]:
        self._note()
        return _Strings.__iter__(self)

    def __len__(self) -> int:
        self._note()
        return _Strings.__len__(self)

    def __contains__(self, word: object) -> bool:
        self._note()
        return _Strings.__contains__(self, word)


def _here() -> tuple[str, list[str]]:
    return os.getcwd(), sorted(os.listdir("."))


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
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return ""


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
    with open("/proc/self/maps") as maps:
        for line in maps:
            where = line.split(None, 5)
            if where[1] == "rw-s":
                return f"the imports share memory: {where[5].strip() if where[5:] else 'no file'}"
    return ""


def unsafe_threads() -> Iterator[str]:
    """Yield the names of threads that must not be there at a fork."""
    for thread in os.listdir("/proc/self/task"):
        if int(thread) != os.getpid():
            try:
                with open(f"/proc/self/task/{thread}/comm") as file:
                    name = file.read().strip()
            except OSError:
                continue
            if name not in _FORK_SAFE:
                yield name


def _removes(call: Any) -> bool:
    """Tell whether a function is registered to remove files, as far as it shows."""
    call = getattr(call, "func", call)  # that of a partial
    code = getattr(call, "__code__", None)
    calls = code.co_names if code is not None else ()
    return getattr(call, "__module__", "") in _REMOVERS or not _REMOVING.isdisjoint(calls)


class CleanupHooks:
    """What preloaded modules register to remove their files: no trial may, as all share them."""

    def __init__(self) -> None:
        import atexit

        self._kept: list[Callable[[], object]] = []
        self._preloading = True
        self._register: Any = atexit.register

        def kept(call: Callable[..., Any], *args: Any, **named: Any) -> Callable[..., Any]:
            if self._preloading and _removes(call):
                self._kept.append(lambda: call(*args, **named))
            else:
                self._register(call, *args, **named)
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
