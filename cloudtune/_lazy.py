"""Modules that only export names of others, each imported when it is first used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


def lazy_exports(module: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and the ``__dir__`` of a module.

    It exports what its source imports for type checkers, in lines like
    ``from HOME import NAME as NAME``.
    """

    @cache
    def homes() -> dict[str, str]:
        source = Path(str(sys.modules[module].__file__)).read_text("utf-8")
        lines = [line.split() for line in source.splitlines()]
        return {line[5]: line[1] for line in lines if line[:1] == ["from"] and len(line) == 6}

    def get_attribute(name: str) -> Any:
        if name not in homes():
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = getattr(import_module(homes()[name]), name)
        setattr(sys.modules[module], name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[module]), *homes()})

    return get_attribute, list_names
