"""Calls the function of a study in a trial; `pack_function` copies it next to the function."""

from __future__ import annotations

import json
import linecache
import os
import pickle
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from cloudtune.trial import TRIAL, load_json, params, report

_NAME = "cloudtune_function"


def _load() -> tuple[dict[str, Any], Any]:
    """Return what `pack_function` recorded of the function, and the function."""
    here = Path(__file__).absolute().parent
    context = json.loads((here / f"{_NAME}.json").read_text("utf-8"))
    folders = (str(here / folder) for folder in context["path"])
    sys.path += [folder for folder in folders if folder not in sys.path]
    for name, lines in context["sources"].items():  # for tracebacks
        linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
    with (here / f"{_NAME}.pkl").open("rb") as file:
        return context, pickle.load(file)  # noqa: S301 - the run's own file


def _main_names(function: Any) -> dict[str, Any]:
    """Return what a function uses of the ``__main__`` that defines it; empty if a module does."""
    while inner := getattr(function, "func", None) or getattr(function, "__wrapped__", None):
        function = inner
    if not hasattr(function, "__globals__"):
        function = type(function).__call__
    names: dict[str, Any] = getattr(function, "__globals__", {})
    if names.get("__name__") != "__main__":
        return {}
    own = {function.__name__: function, **names}
    return {name: value for name, value in own.items() if not name.startswith("__")}


def _replace_main(names: dict[str, Any]) -> None:
    """Let pickle find functions and classes in ``__main__``, for pools that spawn processes."""
    main = type(sys)("__main__")
    own = sys.modules["__main__"].__dict__.items()
    main.__dict__.update({name: value for name, value in own if name.startswith("__")})
    main.__dict__.update(names)
    sys.modules["__main__"] = main


def _reported_names() -> set[str]:
    """Return the names of the metrics that this trial has reported."""
    path = Path(load_json(os.environ[TRIAL])["reports"])
    lines = path.read_text("utf-8").splitlines() if path.exists() else ()
    return {name for line in lines for name in json.loads(line).get("metrics", ())}


def _main() -> None:
    context, function = _load()
    _replace_main(_main_names(function))
    result: Any
    try:
        result = function(**params()) if context["has_arguments"] else function()
    except Exception as error:  # noqa: BLE001 - printed as Python does
        trace = error.__traceback__
        error.__traceback__ = trace and trace.tb_next  # without this file
        traceback.print_exception(error)  # unlike Python's own, it shows the lines of cells
        sys.exit(1)
    metrics = context["metrics"]
    name = context["name"]
    if result is None:
        missing = [each for each in context["required"] if each not in _reported_names()]
        if missing:
            pairs = ", ".join(f"{each!r}: ..." for each in metrics)
            value = missing[0] if len(metrics) == 1 else f"{{{pairs}}}"
            sys.exit(
                f"{name}() returned nothing and reported no {' and no '.join(missing)}: end it "
                f"with `return {value}`"
            )
        return
    if isinstance(result, Mapping):
        values = cast("dict[str, Any]", result)
    elif len(metrics) == 1:
        values = {metrics[0]: result}
    else:
        sys.exit(f"{name}() returned {result!r}, not a dict with the metrics {', '.join(metrics)}")
    try:
        report(values)
    except (TypeError, ValueError) as error:
        sys.exit(f"{name}() returned {result!r}: {error}")


if __name__ == "__main__":
    _main()
elif __name__ == "__mp_main__":  # in a process that a pool has spawned
    globals().update(_main_names(_load()[1]))
