"""All formats: those of providers, cloudtune's own, and those of other packages."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from cloudtune.errors import UsageError
from cloudtune.formats import registry as formats
from cloudtune.provider import registry as providers
from cloudtune.study.suggestions import did_you_mean

if TYPE_CHECKING:
    from cloudtune.formats.fields import Json
    from cloudtune.formats.model import Format


def all_formats() -> dict[str, Format]:
    """Return all formats by name; each may be imported for this."""
    found = dict(_provider_formats())
    for name in formats.names():
        found.setdefault(name, formats.get(name))
    return dict(sorted(found.items()))


def get(name: str) -> Format:
    """Return the format of this name.

    Raises:
        UsageError: If there is none.
    """
    if name in formats.names() and name not in providers.names():
        return formats.get(name)
    if (own := _provider_formats().get(name)) is not None:
        return own
    if name not in (known := all_formats()):
        hint = did_you_mean(name, known)
        raise UsageError(
            f"no format {name!r}{f', {hint}' if hint else '.'} Formats: {', '.join(known)}"
        )
    return known[name]


def detect(document: Json) -> list[Format]:
    """Return the formats that a document matches: one, unless it is unknown or ambiguous."""
    return [each for each in all_formats().values() if each.matches(document)]


@cache
def _provider_formats() -> dict[str, Format]:
    found: dict[str, Format] = {}
    for name in providers.names():
        for each in providers.get(name).formats:
            found[each.name] = each
    return found
