"""Conditional tasks to choose constants of the search on: random forests, and eight learners.

    python -m benchmarks.development_tasks             trains the tables, 80 s of CPU

They are tables like those of trained_tasks.py, on generated data that no other benchmark uses.
`dev_learners_rings` has the best assignments in a small part of a branch that is bad elsewhere.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.quality_tasks import Params
from benchmarks.trained_data import Data
from benchmarks.trained_tasks import Table

_MAKE: dict[str, tuple[str, dict[str, Any]]] = {
    "groups": ("make_classification", {
        "n_samples": 900, "n_features": 16, "n_informative": 9, "n_redundant": 3,
        "n_classes": 4, "n_clusters_per_class": 2, "flip_y": 0.08, "random_state": 21,
    }),
    "rings": ("make_gaussian_quantiles", {
        "n_samples": 900, "n_features": 8, "n_classes": 3, "random_state": 22,
    }),
    "hastie": ("make_hastie_10_2", {"n_samples": 1000, "random_state": 23}),
    "friedman": ("make_friedman1", {
        "n_samples": 700, "n_features": 12, "noise": 1.0, "random_state": 24,
    }),
}  # fmt: skip
_TRAIN = 300


@cache
def _data(name: str) -> Data:
    function, options = _MAKE[name]
    x, y = getattr(import_module("sklearn.datasets"), function)(**options)
    cases = None if name == "friedman" else len(y) - _TRAIN
    return Data(name, x[:_TRAIN], y[:_TRAIN], x[_TRAIN:], y[_TRAIN:], cases)


def _number(kind: str, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"type": kind, "min": low, "max": high, **more}


FOREST: dict[str, Any] = {
    "kind": {"type": "categorical", "values": ["RandomForest", "ExtraTrees"]},
    "n_estimators": _number("int", 3, 48, scale="log"),
    "max_features": _number("float", 0.06, 1),
    "min_samples_leaf": _number("int", 1, 60, scale="log"),
    "limited": {"type": "bool"},
    "max_depth": _number("int", 1, 16, when={"limited": True}),
    "bootstrap": {"type": "bool"},
    "max_samples": _number("float", 0.05, 1, when={"bootstrap": True}),
}
FOREST_KNOTS: dict[str, Any] = {
    "n_estimators": [3, 12, 48],
    "max_features": [0.06, 0.3, 1.0],
    "min_samples_leaf": [1, 8, 60],
    "max_depth": [1, 4, 16],
    "max_samples": [0.05, 0.3, 1.0],
}


def _train_forest(data: Data, params: Params) -> float:
    rest = dict(params)
    rest.pop("limited")
    kind = rest.pop("kind") + ("Classifier" if data.cases else "Regressor")
    model = getattr(import_module("sklearn.ensemble"), kind)(**rest, random_state=0)
    return data.error(model.fit(data.x, data.y).predict(data.test_x))


def _when(learner: str) -> dict[str, Any]:
    return {"when": {"learner": learner}}


LEARNERS: dict[str, Any] = {
    "learner": {
        "type": "categorical",
        "values": ["svc", "neighbors", "tree", "extra", "logistic", "discriminant", "bayes", "net"],
    },
    "C": _number("float", 1e-3, 1e3, scale="log", **_when("svc")),
    "gamma": _number("float", 1e-4, 10, scale="log", **_when("svc")),
    "k": _number("int", 1, 60, scale="log", **_when("neighbors")),
    "by_distance": {"type": "bool", **_when("neighbors")},
    "depth": _number("int", 1, 16, **_when("tree")),
    "tree_leaf": _number("int", 1, 50, scale="log", **_when("tree")),
    "trees": _number("int", 3, 48, scale="log", **_when("extra")),
    "share": _number("float", 0.06, 1, **_when("extra")),
    "leaf": _number("int", 1, 50, scale="log", **_when("extra")),
    "penalty": _number("float", 1e-4, 1e3, scale="log", **_when("logistic")),
    "shrinkage": _number("float", 0, 1, **_when("discriminant")),
    "smoothing": _number("float", 1e-9, 10, scale="log", **_when("bayes")),
    "alpha": _number("float", 1e-5, 10, scale="log", **_when("net")),
    "rate": _number("float", 1e-4, 0.3, scale="log", **_when("net")),
    "width": _number("int", 4, 64, scale="log", **_when("net")),
}
LEARNERS_KNOTS: dict[str, Any] = {
    "C": [10.0**k for k in range(-3, 4)],
    "gamma": [10.0**k for k in range(-4, 2)],
    "k": [1, 3, 8, 20, 60],
    "depth": [1, 3, 6, 10, 16],
    "tree_leaf": [1, 3, 10, 50],
    "trees": [3, 12, 48],
    "share": [0.06, 0.25, 1.0],
    "leaf": [1, 7, 50],
    "penalty": [10.0**k for k in range(-4, 4)],
    "shrinkage": [0.0, 0.1, 0.4, 1.0],
    "smoothing": [1e-9, 1e-3, 0.1, 1.0, 10.0],
    "alpha": [1e-5, 0.01, 0.5, 10.0],
    "rate": [1e-4, 1e-3, 0.01, 0.05, 0.3],
    "width": [4, 16, 64],
}


def _train_learner(data: Data, params: Params) -> float:
    p: Any = params

    def make(module: str, kind: str, **options: Any) -> Any:
        return getattr(import_module(f"sklearn.{module}"), kind)(**options)

    match p["learner"]:
        case "svc":
            model = make("svm", "SVC", C=p["C"], gamma=p["gamma"], max_iter=20_000)
        case "neighbors":
            weights = "distance" if p["by_distance"] else "uniform"
            model = make("neighbors", "KNeighborsClassifier", n_neighbors=p["k"], weights=weights)
        case "tree":
            options = {"max_depth": p["depth"], "min_samples_leaf": p["tree_leaf"]}
            model = make("tree", "DecisionTreeClassifier", **options, random_state=0)
        case "extra":
            model = make(
                "ensemble", "ExtraTreesClassifier", n_estimators=p["trees"],
                max_features=p["share"], min_samples_leaf=p["leaf"], random_state=0,
            )  # fmt: skip
        case "logistic":
            model = make("linear_model", "LogisticRegression", C=p["penalty"], max_iter=200)
        case "discriminant":
            options = {"solver": "lsqr", "shrinkage": p["shrinkage"]}
            model = make("discriminant_analysis", "LinearDiscriminantAnalysis", **options)
        case "bayes":
            model = make("naive_bayes", "GaussianNB", var_smoothing=p["smoothing"])
        case _:
            model = make(
                "neural_network", "MLPClassifier", hidden_layer_sizes=[int(p["width"])],
                alpha=p["alpha"], learning_rate_init=p["rate"], max_iter=20, random_state=0,
            )  # fmt: skip
    return data.error(np.asarray(model.fit(data.x, data.y).predict(data.test_x)))


class _DevelopmentTable(Table):
    def _load(self) -> Data:
        return _data(self.data)


TABLES = [
    *(
        _DevelopmentTable(f"dev_forest_{data}", data, FOREST, FOREST_KNOTS, _train_forest)
        for data in ("groups", "rings", "friedman")
    ),
    *(
        _DevelopmentTable(f"dev_learners_{data}", data, LEARNERS, LEARNERS_KNOTS, _train_learner)
        for data in ("groups", "rings", "hastie")
    ),
]

if __name__ == "__main__":
    for chosen in TABLES:
        if chosen.name in (sys.argv[1:] or [chosen.name]):
            print(f"{chosen.name}: {len(chosen.errors)} trainings", flush=True)
