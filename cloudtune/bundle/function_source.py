"""Writes a function, with what it uses, as a script."""

from __future__ import annotations

import ast
import inspect
import json
import linecache
import math
import symtable
import sys
import textwrap
from collections.abc import Callable, Sequence
from types import FunctionType, ModuleType
from typing import Any, cast

from cloudtune.bundle.function import is_likely_secret
from cloudtune.errors import UsageError

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


def script_text(function: Callable[..., Any], metrics: Sequence[str]) -> str:
    """Return a script that calls a function with its trial's parameters and reports the result.

    Args:
        function: A function with source. What it uses of its module or notebook becomes part of
            the script; what is imported there is imported.
        metrics: The names of the objectives.

    Raises:
        UsageError: If it uses a value without source.
    """
    if not isinstance(function, FunctionType) or function.__name__ == "<lambda>":
        raise UsageError("only a function that is defined with def can be written as a script")
    script = _Script(function.__module__)
    script.add(function.__name__, function)
    if script.problems:
        raise UsageError("\n".join(script.problems))
    arguments = "**params()" if inspect.signature(function).parameters else ""
    if len(metrics) == 1:
        convert = f"result if isinstance(result, dict) else {{{json.dumps(metrics[0])}: result}}"
    else:
        convert = "result"
    call = (
        'if __name__ == "__main__":\n'
        "    from cloudtune.trial import params, report\n\n"
        f"    result = {function.__name__}({arguments})\n"
        "    if result is not None:\n"
        f"        report({convert})\n"
    )
    head = [f'"""The function {function.__name__}, as a script that cloudtune tunes."""']
    imports = "\n".join(sorted(script.imports))
    values = "\n".join(script.values)
    blocks = [*head, imports, values]
    parts = "\n\n".join(block for block in blocks if block)
    return "\n\n\n".join([parts, *script.definitions, call])


class _Script:
    """The parts of a script, in the order in which they are needed."""

    def __init__(self, module: str) -> None:
        self.imports: set[str] = set()
        self.values: list[str] = []
        self.definitions: list[str] = []
        self.problems: list[str] = []
        self._module = module
        self._added: set[str] = set()

    def add(self, name: str, value: Any) -> None:
        """Add a name with its value, after what that uses."""
        if name in self._added:
            return
        self._added.add(name)
        if isinstance(value, ModuleType):
            plain = f"import {value.__name__}"
            self.imports.add(plain if name == value.__name__ else f"{plain} as {name}")
        elif is_likely_secret(name, value):
            self.problems.append(
                f"{name} may be a secret, which a script should not have: read it from os.environ "
                "inside the function, and set it with trial.env"
            )
        elif _is_plain(value):
            self.values.append(f"{name} = {value!r}")
        elif isinstance(value, FunctionType | type) and value.__module__ == self._module:
            self._add_definition(name, value)
        elif inspect.isroutine(value) or isinstance(value, type):
            own, module = value.__name__, getattr(value, "__module__", None)
            if module:
                alias = "" if name == own else f" as {name}"
                self.imports.add(f"from {module} import {own}{alias}")
            else:
                self._refuse(name, value)
        else:
            self._refuse(name, value)

    def _add_definition(self, name: str, value: FunctionType | type) -> None:
        source = _source(value)
        if source is None:
            self.problems.append(f"{name} has no source: define it in a file or a cell")
            return
        namespace = _namespace(value)
        for used in sorted(_global_names(symtable.symtable(source, "", "exec"))):
            if used in namespace:
                self.add(used, namespace[used])
        self.definitions.append(source)
        if value.__name__ != name:
            self.definitions.append(f"{name} = {value.__name__}")

    def _refuse(self, name: str, value: object) -> None:
        self.problems.append(
            f"{name}, a {type(value).__name__}, has no source that a script could have: create or "
            "load it inside the function"
        )


def _source(value: FunctionType | type) -> str | None:
    """Return the source of a function or class; None if it has none."""
    try:
        return textwrap.dedent(inspect.getsource(value)).rstrip()
    except (OSError, TypeError):
        pass
    # Before Python 3.13, a class does not know in which cell of a notebook it is.
    for member in vars(value).values():
        if isinstance(member, FunctionType):
            text = "".join(linecache.getlines(member.__code__.co_filename))
            for node in ast.parse(text).body:
                if isinstance(node, ast.ClassDef) and node.name == value.__name__:
                    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    return None


def _namespace(value: FunctionType | type) -> dict[str, Any]:
    """Return the variables that the source of a function or class sees."""
    if isinstance(value, type):
        return vars(sys.modules[value.__module__])
    closure = inspect.getclosurevars(value).nonlocals
    return {**value.__globals__, **closure}


def _global_names(table: symtable.SymbolTable, *, is_top: bool = True) -> set[str]:
    """Return the names that code takes from outside."""
    symbols = table.get_symbols()
    names = {each.get_name() for each in symbols if each.is_referenced()}
    if not is_top:
        names &= {each.get_name() for each in symbols if each.is_global()}
    return names.union(*(_global_names(each, is_top=False) for each in table.get_children()))


def _is_plain(value: object) -> bool:
    """Return whether the text of a value is its source."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if type(value) in {list, tuple}:
        return all(map(_is_plain, cast("Sequence[object]", value)))
    if type(value) is dict:
        content = cast("dict[object, object]", value)
        return all(map(_is_plain, [*content, *content.values()]))
    return type(value) in _PLAIN
