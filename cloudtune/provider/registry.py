"""Finding providers by the entry points ``cloudtune.providers``; listing imports none."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from cloudtune.errors import UsageError
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.diagnostics import Note
    from cloudtune.provider.protocols import Provider

GROUP = "cloudtune.providers"


_added: dict[str, Callable[[], Provider[Any]]] = {}


@contextmanager
def temporary_provider(name: str, factory: Callable[[], Provider[Any]]) -> Generator[None]:
    """Know one more provider while the block runs, without installing it; for tests."""
    _added[name] = factory
    try:
        yield
    finally:
        del _added[name]


def names() -> list[str]:
    """Return the names of all installed providers; nothing is imported."""
    return sorted({*_entries(), *_added})


def unknown_provider_notes(study: Study) -> list[Note]:
    """Return a note for each block of settings that no installed provider reads."""
    if not study.providers:
        return []
    import difflib

    from cloudtune.diagnostics import Note

    known = names()
    notes: list[Note] = []
    for name in study.providers:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            notes.append(Note(f"providers.{name}", f"no installed provider reads this{meant}"))
    return notes


def get(name: str) -> Provider[Any]:
    """Return a provider by its name.

    Raises:
        UsageError: If no such provider is installed or its package cannot be imported.
    """
    if name in _added:
        return _added[name]()
    entry = _entries().get(name)
    if entry is None:
        import difflib

        near = difflib.get_close_matches(name, names(), 1)
        meant = f", did you mean {near[0]}?" if near else "."
        raise UsageError(f"there is no provider {name!r}{meant} Installed: {', '.join(names())}")
    try:
        made = entry.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the provider {name} ({entry.value}) cannot be imported: {error}"
        ) from error
    return cast("Provider[Any]", made())


def missing_extra(provider: Provider[Any], *, emulated: bool = False) -> str | None:
    """Return an extra that a run needs and that is not installed; None if there is none."""
    lacking = [
        extra for extra, needed in provider.packages.items() if not all(map(_is_installed, needed))
    ]
    if emulated and lacking:
        return "emulators"  # which brings the services' own, too
    return next((extra for extra in lacking if extra != "emulators"), None)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it is not there
        return False


@cache
def _entries() -> dict[str, EntryPoint]:
    """Return the entry points by name; the scan takes about 5 ms, so there is one per process."""
    entries: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = entries.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise UsageError(
                f"two packages provide {entry.name!r}: {other.value} and {entry.value}; remove one"
            )
    return entries
