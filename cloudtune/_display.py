"""How terminals and notebooks show objects: the root package has the renderers of such classes."""

from __future__ import annotations

from collections.abc import Callable

_Renderer = Callable[[object], str]
_renderers: list[_Renderer] = []


def set_renderers(text: _Renderer, html: _Renderer) -> None:
    """Set the functions that return the text and the HTML of a `Displayable`."""
    _renderers[:] = [text, html]


class Displayable:
    """An object that terminals show as short text, and notebooks as HTML."""

    __slots__ = ()

    def __repr__(self) -> str:
        text, _ = _renderers
        return text(self)

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        _, html = _renderers
        return html(self)
