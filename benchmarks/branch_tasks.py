"""Conditional tasks that were not used to choose constants of the search: trained, and generated.

    python -m benchmarks.branch_tasks             trains the tables, 40 s of CPU

The tables choose among regressors, among pipelines and among ensembles, on data that no other
benchmark uses. The branches of a generated function are random: how many parameters each has, its
best value, how much worse the rest of it is, and how narrow the best region is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from random import Random
from typing import Any

import numpy as np

from benchmarks.quality_tasks import Params, Task, function
from benchmarks.trained_data import Data
from benchmarks.trained_tasks import Table

_MAKE: dict[str, tuple[str, dict[str, Any]]] = {
    "friedman2": ("make_friedman2", {"n_samples": 700, "noise": 60.0, "random_state": 31}),
    "friedman3": ("make_friedman3", {"n_samples": 700, "noise": 0.1, "random_state": 32}),
    "moons": ("make_moons", {"n_samples": 900, "noise": 0.35, "random_state": 33}),
    "blobs": ("make_blobs", {
        "n_samples": 900, "n_features": 10, "centers": 9, "cluster_std": 7.0, "random_state": 34,
    }),
    "rare": ("make_classification", {
        "n_samples": 1000, "n_features": 12, "n_informative": 6, "n_classes": 3,
        "weights": [0.6, 0.3, 0.1], "flip_y": 0.03, "random_state": 35,
    }),
    "sparse": ("make_classification", {
        "n_samples": 1000, "n_features": 40, "n_informative": 5, "n_redundant": 0,
        "n_classes": 2, "n_clusters_per_class": 4, "flip_y": 0.02, "random_state": 36,
    }),
}  # fmt: skip
_TRAIN = 250


@cache
def _data(name: str) -> Data:
    function, options = _MAKE[name]
    x, y = getattr(import_module("sklearn.datasets"), function)(**options)[:2]
    if name == "moons":
        x = np.hstack([x, np.random.default_rng(33).standard_normal((len(x), 6))])
    if name == "friedman2":
        y = y / 100
    x = (x - x[:_TRAIN].mean(axis=0)) / x[:_TRAIN].std(axis=0)
    cases = None if name.startswith("friedman") else len(y) - _TRAIN
    return Data(name, x[:_TRAIN], y[:_TRAIN], x[_TRAIN:], y[_TRAIN:], cases)


def _number(kind: str, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"type": kind, "min": low, "max": high, **more}


def _log(low: float, high: float, **when: Any) -> dict[str, Any]:
    return _number("float", low, high, scale="log", when=when)


def _log_int(low: int, high: int, **when: Any) -> dict[str, Any]:
    return _number("int", low, high, scale="log", when=when)


def _choice(*values: str, **more: Any) -> dict[str, Any]:
    return {"type": "categorical", "values": list(values), **more}


def _decades(low: int, high: int) -> list[float]:
    return [10.0**k for k in range(low, high + 1)]


def _make(module: str, kind: str, **options: Any) -> Any:
    return getattr(import_module(f"sklearn.{module}"), kind)(**options)


REGRESSORS: dict[str, Any] = {
    "model": _choice("ridge", "lasso", "kernel_ridge", "svr", "neighbors", "tree", "boosting"),
    "ridge": _log(1e-4, 1e4, model="ridge"),
    "lasso": _log(1e-4, 10, model="lasso"),
    "kernel": _choice("rbf", "laplacian", "polynomial", when={"model": "kernel_ridge"}),
    "alpha": _log(1e-5, 10, model="kernel_ridge"),
    "width": _log(1e-3, 10, model="kernel_ridge"),
    "C": _log(1e-2, 1e3, model="svr"),
    "gamma": _log(1e-4, 10, model="svr"),
    "epsilon": _log(1e-3, 3, model="svr"),
    "k": _log_int(1, 60, model="neighbors"),
    "leaf": _log_int(1, 60, model="tree"),
    "rate": _log(0.01, 1, model="boosting"),
    "trees": _log_int(3, 60, model="boosting"),
    "depth": _number("int", 1, 6, when={"model": "boosting"}),
}
REGRESSORS_KNOTS: dict[str, Any] = {
    "ridge": _decades(-4, 4), "lasso": _decades(-4, 1), "alpha": _decades(-5, 1),
    "width": _decades(-3, 1), "C": _decades(-2, 3), "gamma": _decades(-4, 1),
    "epsilon": [0.001, 0.1, 3.0], "k": [1, 3, 8, 20, 60], "leaf": [1, 3, 10, 60],
    "rate": [0.01, 0.1, 1.0], "trees": [3, 15, 60], "depth": [1, 2, 4, 6],
}  # fmt: skip


def _train_regressor(data: Data, params: Params) -> float:
    p: Any = params
    match p["model"]:
        case "ridge":
            model = _make("linear_model", "Ridge", alpha=p["ridge"])
        case "lasso":
            model = _make("linear_model", "Lasso", alpha=p["lasso"], max_iter=300)
        case "kernel_ridge":
            model = _make(
                "kernel_ridge", "KernelRidge",
                kernel=p["kernel"], alpha=p["alpha"], gamma=p["width"],
            )  # fmt: skip
        case "svr":
            options = {"C": p["C"], "gamma": p["gamma"], "epsilon": p["epsilon"]}
            model = _make("svm", "SVR", **options, max_iter=20_000)
        case "neighbors":
            model = _make("neighbors", "KNeighborsRegressor", n_neighbors=p["k"])
        case "tree":
            options = {"min_samples_leaf": p["leaf"], "random_state": 0}
            model = _make("tree", "DecisionTreeRegressor", **options)
        case _:
            model = _make(
                "ensemble", "GradientBoostingRegressor", learning_rate=p["rate"],
                n_estimators=p["trees"], max_depth=p["depth"], random_state=0,
            )  # fmt: skip
    guesses = np.clip(model.fit(data.x, data.y).predict(data.test_x), -1e6, 1e6)
    return min(data.error(guesses), 3 * float(np.std(data.test_y)))


STEPS: dict[str, Any] = {
    "reduction": _choice("none", "pca", "select", "nystroem"),
    "components": _log_int(1, 8, reduction="pca"),
    "kept": _log_int(1, 8, reduction="select"),
    "features": _log_int(5, 150, reduction="nystroem"),
    "gamma": _log(1e-3, 10, reduction="nystroem"),
    "classifier": _choice("logistic", "perceptron", "neighbors", "quadratic"),
    "C": _log(1e-4, 1e3, classifier="logistic"),
    "penalty": _choice("l2", "l1", "elasticnet", when={"classifier": "perceptron"}),
    "alpha": _log(1e-6, 0.1, classifier="perceptron"),
    "k": _log_int(1, 60, classifier="neighbors"),
    "regularization": _number("float", 0, 1, when={"classifier": "quadratic"}),
}
STEPS_KNOTS: dict[str, Any] = {
    "components": [1, 2, 4, 8], "kept": [1, 2, 4, 8], "features": [5, 25, 150],
    "gamma": [1e-3, 1e-2, 0.1, 0.5, 10.0], "C": [1e-4, 1e-2, 1.0, 1e3], "alpha": _decades(-6, -1),
    "k": [1, 3, 8, 20, 60], "regularization": [0.0, 0.05, 0.3, 1.0],
}  # fmt: skip


def _train_steps(data: Data, params: Params) -> float:
    p: Any = params
    x, test = data.x, data.test_x
    match p["reduction"]:
        case "pca":
            step = _make("decomposition", "PCA", n_components=p["components"], random_state=0)
        case "select":
            step = _make("feature_selection", "SelectKBest", k=p["kept"])
        case "nystroem":
            options = {"n_components": p["features"], "gamma": p["gamma"], "random_state": 0}
            step = _make("kernel_approximation", "Nystroem", **options)
        case _:
            step = None
    if step is not None:
        x, test = step.fit_transform(x, data.y), step.transform(test)
    match p["classifier"]:
        case "logistic":
            model = _make("linear_model", "LogisticRegression", C=p["C"], max_iter=60)
        case "perceptron":
            options = {"penalty": p["penalty"], "alpha": p["alpha"], "max_iter": 15}
            model = _make("linear_model", "SGDClassifier", **options, random_state=0)
        case "neighbors":
            model = _make("neighbors", "KNeighborsClassifier", n_neighbors=p["k"])
        case _:
            options = {"reg_param": p["regularization"]}
            model = _make("discriminant_analysis", "QuadraticDiscriminantAnalysis", **options)
    try:
        return data.error(np.asarray(model.fit(x, data.y).predict(test)))
    except (np.linalg.LinAlgError, ValueError):
        return 1.0


ENSEMBLES: dict[str, Any] = {
    "ensemble": _choice("ada", "bagging", "boosting", "svc", "process"),
    "stumps": _log_int(3, 40, ensemble="ada"),
    "ada_rate": _log(0.01, 3, ensemble="ada"),
    "ada_depth": _number("int", 1, 5, when={"ensemble": "ada"}),
    "samples": _number("float", 0.05, 1, when={"ensemble": "bagging"}),
    "columns": _number("float", 0.1, 1, when={"ensemble": "bagging"}),
    "base": _choice("tree", "neighbors", "logistic", when={"ensemble": "bagging"}),
    "trees": _log_int(3, 40, ensemble="boosting"),
    "rate": _log(0.01, 2, ensemble="boosting"),
    "depth": _number("int", 1, 5, when={"ensemble": "boosting"}),
    "kernel": _choice("rbf", "poly", "sigmoid", when={"ensemble": "svc"}),
    "C": _log(1e-3, 1e3, ensemble="svc"),
    "gamma": _log(1e-4, 10, ensemble="svc"),
    "smoothing": _log(1e-9, 10, ensemble="process"),
}
ENSEMBLES_KNOTS: dict[str, Any] = {
    "stumps": [3, 12, 40], "ada_rate": [0.01, 0.1, 0.6, 3.0], "ada_depth": [1, 3, 5],
    "samples": [0.05, 0.2, 0.5, 1.0], "columns": [0.1, 0.3, 0.6, 1.0], "trees": [3, 12, 40],
    "rate": [0.01, 0.1, 0.5, 2.0], "depth": [1, 3, 5], "C": _decades(-3, 3),
    "gamma": _decades(-4, 1), "smoothing": [1e-9, 1e-3, 0.1, 1.0, 10.0],
}  # fmt: skip


def _train_ensemble(data: Data, params: Params) -> float:
    p: Any = params
    match p["ensemble"]:
        case "ada":
            tree = _make("tree", "DecisionTreeClassifier", max_depth=p["ada_depth"], random_state=0)
            model = _make(
                "ensemble", "AdaBoostClassifier", estimator=tree,
                n_estimators=p["stumps"], learning_rate=p["ada_rate"], random_state=0,
            )  # fmt: skip
        case "bagging":
            base = {
                "tree": ("tree", "DecisionTreeClassifier"),
                "neighbors": ("neighbors", "KNeighborsClassifier"),
                "logistic": ("linear_model", "LogisticRegression"),
            }[p["base"]]
            model = _make(
                "ensemble", "BaggingClassifier", estimator=_make(*base),
                max_samples=p["samples"], max_features=p["columns"], random_state=0,
            )  # fmt: skip
        case "boosting":
            model = _make(
                "ensemble", "GradientBoostingClassifier", learning_rate=p["rate"],
                n_estimators=p["trees"], max_depth=p["depth"], random_state=0,
            )  # fmt: skip
        case "svc":
            options = {"kernel": p["kernel"], "C": p["C"], "gamma": p["gamma"]}
            model = _make("svm", "SVC", **options, max_iter=20_000)
        case _:
            model = _make("naive_bayes", "GaussianNB", var_smoothing=p["smoothing"])
    return data.error(np.asarray(model.fit(data.x, data.y).predict(data.test_x)))


class _BranchTable(Table):
    def _load(self) -> Data:
        return _data(self.data)


TABLES = [
    *(
        _BranchTable(f"branch_regressors_{d}", d, REGRESSORS, REGRESSORS_KNOTS, _train_regressor)
        for d in ("friedman2", "friedman3")
    ),
    *(
        _BranchTable(f"branch_steps_{d}", d, STEPS, STEPS_KNOTS, _train_steps)
        for d in ("moons", "blobs", "sparse")
    ),
    *(
        _BranchTable(f"branch_ensembles_{d}", d, ENSEMBLES, ENSEMBLES_KNOTS, _train_ensemble)
        for d in ("rare", "moons", "sparse")
    ),
]


def _generated(seed: int, count: int) -> Task:
    """Return a function with random branches, of which the best value is 0."""
    random = Random(seed)
    space: dict[str, Any] = {"branch": _choice(*(f"b{i}" for i in range(count)))}
    branches: dict[str, tuple[float, float, float, list[float], list[float]]] = {}
    for i in range(count):
        name, width = f"b{i}", random.randint(1, 4)
        for j in range(width):
            space[f"{name}_x{j}"] = _number("float", 0, 1, when={"branch": name})
        branches[name] = (
            random.uniform(0, 1),
            random.uniform(0.2, 1.5),
            10 ** random.uniform(-1.1, -0.1),
            [random.random() for _ in range(width)],
            [random.uniform(0.4, 1.6) for _ in range(width)],
        )
    lowest = min(branch[0] for branch in branches.values())

    def value(params: Params) -> float:
        name: str = params["branch"]
        low, depth, scale, best, weights = branches[name]
        distance: float = sum(
            w * (params[f"{name}_x{j}"] - b) ** 2
            for j, (w, b) in enumerate(zip(weights, best, strict=True))
        ) / len(best)
        return low - lowest + depth * (1 - math.exp(-distance / scale**2 / 0.5)) + 0.3 * distance

    return function(f"branch_generated_{seed}", space, value, 0.0)


TASKS: dict[str, Callable[[], Task]] = {table.name: table.task for table in TABLES} | {
    f"branch_generated_{seed}": partial(_generated, seed, count)
    for seed, count in ((1, 4), (2, 6), (3, 9), (4, 12))
}

if __name__ == "__main__":
    for chosen in TABLES:
        if chosen.name in (sys.argv[1:] or [chosen.name]):
            print(f"{chosen.name}: {len(chosen.errors)} trainings", flush=True)
