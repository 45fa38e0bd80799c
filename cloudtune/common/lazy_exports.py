"""Modules that only export names of others, each imported when it is first used.

A stub lists the names, as ``from MODULE import NAME as NAME``, one a line. Type checkers read the
same file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_exports(
    module: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return the ``__getattr__`` and the ``__dir__`` of a module, and the exported names.

    Args:
        module: The module's name.
        file: Its file, with the stub next to it.
    """
    with open(file + "i", encoding="utf-8") as stub:  # noqa: PTH123 - each start of cloudtune
        words = [line.split() for line in stub if line.startswith("from ")]
    homes = {line[-1]: line[1] for line in words}

    def get_attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        setattr(sys.modules[module], name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[module]), *homes})

    return get_attribute, list_names, [*homes]
