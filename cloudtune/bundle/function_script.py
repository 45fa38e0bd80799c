"""Calls the function of a study in a trial; `pack_function` copies it next to the function."""

from __future__ import annotations

import linecache
import os
import pickle
import sys
import traceback
from collections.abc import Mapping
from typing import Any, cast

from cloudtune.trial import params, report

_FILE = "cloudtune_function.pkl"


def _load() -> tuple[dict[str, Any], Any]:
    """Return what `pack_function` recorded of the function, and the function."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    with open(os.path.join(here, _FILE), "rb") as file:  # noqa: PTH118, PTH123
        header = pickle.load(file)  # noqa: S301 - the run's own file
        folders = (os.path.join(here, folder) for folder in header["path"])  # noqa: PTH118
        sys.path += [folder for folder in folders if folder not in sys.path]
        for name, lines in header["cells"].items():  # for tracebacks
            linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
        return header, pickle.load(file)  # noqa: S301


def _main() -> None:
    header, function = _load()
    result: Any
    try:
        result = function(**params()) if header["has_arguments"] else function()
    except Exception as error:  # noqa: BLE001 - printed as Python does
        trace = error.__traceback__
        error.__traceback__ = trace and trace.tb_next  # without this file
        traceback.print_exception(error)  # unlike Python's own, it shows the lines of cells
        sys.exit(1)
    if result is None:
        return
    metrics = header["metrics"]
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
