"""Calls the function of a study in a trial; `pack_function` copies it next to the function."""

from __future__ import annotations

import json
import linecache
import pickle
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from cloudtune.trial import params, report

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


def _main() -> None:
    context, function = _load()
    result: Any
    try:
        result = function(**params()) if context["has_arguments"] else function()
    except Exception as error:  # noqa: BLE001 - printed as Python does
        trace = error.__traceback__
        error.__traceback__ = trace and trace.tb_next  # without this file
        traceback.print_exception(error)  # unlike Python's own, it shows the lines of cells
        sys.exit(1)
    if result is None:
        return
    metrics = context["metrics"]
    if isinstance(result, Mapping):
        values = cast("dict[str, Any]", result)
    elif len(metrics) == 1:
        values = {metrics[0]: result}
    else:
        sys.exit(f"returned {result!r}, not a dict with the metrics {', '.join(metrics)}")
    try:
        report(values)
    except (TypeError, ValueError) as error:
        sys.exit(f"returned {result!r}: {error}")


if __name__ == "__main__":
    _main()
