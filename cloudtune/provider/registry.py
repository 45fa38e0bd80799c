"""Installed providers, found by their entry points; listing them imports none."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from cloudtune.common.entry_points import find_entry_points
from cloudtune.errors import UsageError
from cloudtune.study.study import Study
from cloudtune.study.suggestions import did_you_mean

if TYPE_CHECKING:
    from cloudtune.diagnostics import Note
    from cloudtune.provider.base import BaseProvider
    from cloudtune.study.schema import Mode

GROUP = "cloudtune.providers"

_temporary: dict[str, Callable[[], BaseProvider[Any]]] = {}


@contextmanager
def temporary_provider(name: str, factory: Callable[[], BaseProvider[Any]]) -> Generator[None]:
    """Register a provider in this process while the block runs; for tests."""
    _temporary[name] = factory
    try:
        yield
    finally:
        del _temporary[name]


def names() -> list[str]:
    """Return the names of all installed providers, without importing them."""
    return sorted({*_entries(), *_temporary})


def importable() -> dict[str, BaseProvider[Any]]:
    """Return all installed providers by name, without those whose packages cannot be imported."""
    providers: dict[str, BaseProvider[Any]] = {}
    for name in names():
        with suppress(UsageError):  # which a study that names the provider gets
            providers[name] = get(name)
    return providers


def has_mode(name: str, mode: Mode) -> bool:
    """Return whether a provider of this name is installed and has a mode.

    A run of another tool is recorded under the name of the tool, as ``managed``. A provider of the
    same name is another thing: it has no managed mode.
    """
    return name in names() and get(name).capabilities.for_mode(mode) is not None


def unknown_provider_notes(study: Study) -> list[Note]:
    """Return a note for each block under ``providers`` that no provider or format reads."""
    from cloudtune.diagnostics import Note
    from cloudtune.formats import registry as formats

    known = {*names(), *formats.names()}
    return [
        Note(f"providers.{name}", f"no installed provider reads this{_hint(name, '; ')}", "warning")
        for name in study.providers
        if name not in known
    ]


def get(name: str) -> BaseProvider[Any]:
    """Return the provider of this name.

    Raises:
        UsageError: If it is not installed, or its package cannot be imported.
    """
    if name in _temporary:
        return _temporary[name]()
    entry = _entries().get(name)
    if entry is None:
        hint = _hint(name, ", ") or "."
        raise UsageError(f"no provider {name!r}{hint} Installed: {', '.join(names())}")
    try:
        factory = entry.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the provider {name} ({entry.value}) cannot be imported: {error}"
        ) from error
    return cast("BaseProvider[Any]", factory())


def _hint(name: str, separator: str) -> str:
    hint = did_you_mean(name, names())
    return f"{separator}{hint}" if hint else ""


def missing_extra(provider: BaseProvider[Any], *, emulated: bool = False) -> str | None:
    """Return an extra that a run needs and that is not installed, if any."""
    missing = [
        extra
        for extra, modules in provider.packages.items()
        if not all(map(_is_installed, modules))
    ]
    if emulated and missing:
        return "emulators"  # includes the extras of the services
    return next((extra for extra in missing if extra != "emulators"), None)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


@cache
def _entries() -> dict[str, EntryPoint]:
    """Return the entry points by name."""
    entries: dict[str, EntryPoint] = {}
    for entry in find_entry_points(GROUP):
        other = entries.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise UsageError(
                f"two packages provide {entry.name!r}: {other.value} and {entry.value}; remove one"
            )
    return entries
