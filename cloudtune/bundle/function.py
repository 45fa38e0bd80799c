"""Turns a function, also one of a notebook, into files with which a trial can call it."""

from __future__ import annotations

import inspect
import io
import json
import linecache
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib import import_module
from itertools import count
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from cloudtune.bundle import function_script
from cloudtune.errors import UsageError

MODULE = "cloudtune_function"
"""The module that a trial runs."""
CONTEXT_FILE = f"{MODULE}.json"
"""What depends on this process: the import path, and the text around the function."""
_SECRET_NAME = re.compile(r"(?i)(api|access|secret|auth)_?key|secret|passw(or)?d|(^|_)token$")
_MIN_SECRET = 8
"""Characters of the shortest text that can be a secret."""
MAX_BYTES = 512_000_000
"""Size limit of a function with the values that it uses."""
_FUTURE = "from __future__ import annotations\n"


class _Pickled(NamedTuple):
    data: bytes
    modules: set[str]
    """The modules that the function uses."""
    sources: dict[str, list[str]]
    """The lines of the cells and files that define it, by file name."""


def pack_function(
    function: Callable[..., Any],
    metrics: Sequence[str],
    source: Path,
    printed: Collection[str] = (),
) -> dict[str, bytes]:
    """Return the files, by name, with which `MODULE` calls a function in a copy of a folder.

    Functions and classes of ``__main__``, such as those of a notebook, are stored with the values
    that they use; those of modules are imported. Equal functions give equal files, except for
    `CONTEXT_FILE`.

    Args:
        function: It gets the parameters as keyword arguments, or none at all.
        metrics: The names of the objectives.
        source: The folder whose modules it imports.
        printed: The metrics that are found in what it prints.

    Raises:
        UsageError: If the function or a value that it uses cannot be stored, is too large, or is
            probably a secret.
    """
    for name, value in used_variables(function).items():
        if is_likely_secret(name, value):
            raise UsageError(
                f"{name} may be a secret, which would be stored with the run: read it from "
                f"os.environ inside {function_name(function)}()"
            )
    pickled = _pickle_function(function)
    context = {
        "path": list(_import_path(source)),
        "sources": pickled.sources,
        "has_arguments": bool(inspect.signature(function).parameters),
        "defaults": {
            name: each.default
            for name, each in inspect.signature(function).parameters.items()
            if isinstance(each.default, bool | int | float | str)
        },
        "name": function_name(function),
        "metrics": list(metrics),
        "required": [name for name in metrics if name not in printed],
    }
    # At the top of the script, where the fork server looks for imports.
    imports = "".join(
        f"\ntry:\n    import {name}\nexcept ImportError:\n    pass\n"
        for name in sorted(pickled.modules)
    )
    script = Path(function_script.__file__).read_text("utf-8").replace(_FUTURE, _FUTURE + imports)
    return {
        f"{MODULE}.py": script.encode(),
        f"{MODULE}.pkl": pickled.data,
        CONTEXT_FILE: json.dumps(context).encode(),
    }


def is_likely_secret(name: str, value: object) -> bool:
    """Return whether a variable probably contains a secret, by its name."""
    return isinstance(value, str) and len(value) >= _MIN_SECRET and bool(_SECRET_NAME.search(name))


def function_name(function: Callable[..., Any]) -> str:
    """Return the name of a function, or of the class of another callable."""
    name = getattr(function, "__name__", type(function).__name__)
    return str(name) if str(name).isidentifier() else "function"


def used_variables(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the variables outside of a function that it uses; empty for other callables."""
    try:
        variables = inspect.getclosurevars(function)
    except TypeError:
        return {}
    return {**variables.globals, **variables.nonlocals}


def _pickle_function(function: Callable[..., Any]) -> _Pickled:
    try:
        pickled = _pickle(function)
    except Exception as error:
        raise UsageError(_unpicklable_message(function, error)) from error
    if len(pickled.data) > MAX_BYTES:
        raise UsageError(_size_message(function, len(pickled.data)))
    return pickled


def _pickle(value: object) -> _Pickled:
    cloudpickle: Any = import_module("cloudpickle")

    modules: set[str] = set()
    sources: dict[str, list[str]] = {}
    numbers = count()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, ModuleType):
                modules.add(obj.__name__)
            elif isinstance(obj, FunctionType | type):
                modules.add(obj.__module__)
            elif isinstance(obj, CodeType):
                name = _stable_file_name(obj)
                sources[name] = linecache.getlines(obj.co_filename)
                create, fields = self.dispatch_table[CodeType](obj)
                # cloudpickle replaces the name, which tracebacks need.
                replaced = {"<dynamic-code>", obj.co_filename}
                return create, _replace(fields, lambda text: text in replaced, name)
            base: Any = super()
            reduced = base.reducer_override(obj)
            if isinstance(obj, type) and reduced is not NotImplemented:
                create, fields, *state = reduced
                # cloudpickle gives a class of a notebook a random id.
                return create, _replace(fields, _is_uuid, f"class-{next(numbers)}"), *state
            return reduced

    file = io.BytesIO()
    pickler: Any = Pickler(file)
    pickler.dump(value)
    modules = {
        name for name in modules & sys.modules.keys() if name.partition(".")[0] != "cloudtune"
    }
    return _Pickled(file.getvalue(), modules - {"__main__", "builtins"}, sources)


def _replace(fields: Sequence[Any], matches: Callable[[str], bool], text: str) -> tuple[Any, ...]:
    """Return fields with a text instead of the texts that match."""
    return tuple(text if isinstance(each, str) and matches(each) else each for each in fields)


def _is_uuid(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{32}", text) is not None


def _stable_file_name(code: CodeType) -> str:
    """Return a name for the file of some code that is the same in each process.

    The file of a cell does not exist. Its name depends on the text of the whole cell.
    """
    path = Path(code.co_filename)
    return path.name if path.exists() else f"<cell of {code.co_qualname.partition('.')[0]}>"


def _import_path(source: Path) -> Iterator[str]:
    """Yield the folders of ``sys.path``; those in the source are relative to it."""
    root = os.path.realpath(source)
    for folder in sys.path:
        path = os.path.realpath(folder)
        if path.startswith(root + os.sep):
            yield os.path.relpath(path, root)
        elif path != root:
            yield path


def _unpicklable_message(function: Callable[..., Any], error: Exception) -> str:
    name = function_name(function)
    for variable, value in used_variables(function).items():
        try:
            _pickle(value)
        except Exception as reason:  # noqa: BLE001 - anything that pickling calls
            return (
                f"{name}() uses {variable}, a {type(value).__name__}, which cannot be copied to "
                f"the processes of trials: create it inside the function ({reason})"
            )
    return f"{name}() cannot be copied to the processes of trials: {error}"


def _size_message(function: Callable[..., Any], size: int) -> str:
    sizes = {
        variable: len(_pickle(value).data) for variable, value in used_variables(function).items()
    }
    largest = sorted(sizes, key=lambda variable: -sizes[variable])[:3]
    parts = ", ".join(f"{variable} ({sizes[variable] / 1e6:,.0f} MB)" for variable in largest)
    uses = f", most of it in {parts}" if parts else ""
    return (
        f"{function_name(function)}() with the values that it uses has {size / 1e6:,.0f} MB{uses}; "
        f"each trial reads all of it, so {MAX_BYTES / 1e6:,.0f} MB are allowed: save large data "
        "to a file and load it inside the function"
    )
