"""How terminals and notebooks show objects: the root package has the renderers of such classes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

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


def import_progress_bars() -> None:
    """Import tqdm's progress bars, as Optuna does, in a notebook without its widgets.

    tqdm warns there that it would look better with them, although nothing shows its bars.
    """
    if "ipykernel" in sys.modules:
        with warnings.catch_warnings(), suppress(ImportError):
            warnings.filterwarnings("ignore", "IProgress not found")
            import_module("tqdm.auto")
