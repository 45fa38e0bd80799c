"""How notebooks show objects: classes declare that they have HTML, the root package renders it."""

from __future__ import annotations

from collections.abc import Callable

_renderers: list[Callable[[object], str]] = []


def set_renderer(renderer: Callable[[object], str]) -> None:
    """Set the function that returns the HTML of an `HtmlRepr`."""
    _renderers[:] = [renderer]


class HtmlRepr:
    """An object that notebooks show as HTML."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        (renderer,) = _renderers
        return renderer(self)
