"""The search spaces of trained_tasks.py, the knots of their tables, and the trainings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.quality_tasks import Params
from benchmarks.trained_data import Data


def _number(kind: str, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"type": kind, "min": low, "max": high, **more}


def _log(low: float, high: float, **more: Any) -> dict[str, Any]:
    return _number("float", low, high, scale="log", **more)


def _log_int(low: int, high: int, **more: Any) -> dict[str, Any]:
    return _number("int", low, high, scale="log", **more)


def _decades(low: int, high: int, steps: int = 1) -> list[float]:
    """Return the powers of ten between two exponents, with some steps for each."""
    count = (high - low) * steps
    return [float(f"{10 ** (low + k / steps):.3g}") for k in range(count + 1)]


def _categories(*values: str, **more: Any) -> dict[str, Any]:
    return {"type": "categorical", "values": list(values), **more}


def _module(name: str) -> Any:
    return import_module(f"sklearn.{name}")


# Support vector machines: the kernel decides which parameters exist.


def svc_space(*kernels: str) -> dict[str, Any]:
    """Return the space of support vector machines with some kernels."""
    space: dict[str, Any] = {"kernel": _categories(*kernels), "C": _log(1e-3, 1e3)}
    curved = [kernel for kernel in kernels if kernel != "linear"]
    space["gamma"] = _log(1e-4, 1, when={"kernel": curved})
    space["degree"] = _number("int", 2, 5, when={"kernel": "poly"})
    if "sigmoid" in kernels:
        space["coef0"] = _number("float", 0, 2, when={"kernel": ["poly", "sigmoid"]})
    return space


def svc_knots(steps: int, *, coef0: bool = False) -> dict[str, Sequence[float]]:
    """Return knots, with some steps for each power of ten."""
    knots: dict[str, Sequence[float]] = {
        "C": _decades(-3, 3, steps),
        "gamma": _decades(-4, 0, steps),
        "degree": [2, 3, 4, 5],
    }
    return knots | ({"coef0": [0.0, 0.5, 2.0]} if coef0 else {})


def train_svc(data: Data, params: Params) -> float:
    """Return the error of a support vector machine."""
    machine = _module("svm").SVC(**params, max_iter=-1 if data.name == "digits" else 20_000)
    return data.error_rate(machine.fit(data.x, data.y).predict(data.test_x))


# Boosted trees: with early stopping, other parameters decide the number of trees.

TREES: dict[str, Any] = {
    "learning_rate": _log(0.01, 1),
    "max_leaf_nodes": _log_int(2, 64),
    "min_samples_leaf": _log_int(1, 100),
    "early_stopping": {"type": "bool"},
    "n_iter_no_change": _number("int", 1, 20, when={"early_stopping": True}),
    "validation_fraction": _number("float", 0.05, 0.5, when={"early_stopping": True}),
    "max_iter": _log_int(3, 100, when={"early_stopping": False}),
}
_SHARED_KNOTS: dict[str, Sequence[float]] = {
    "learning_rate": [0.01, 0.03, 0.1, 0.3, 1.0],
    "max_leaf_nodes": [2, 6, 20, 64],
    "min_samples_leaf": [1, 10, 100],
    "max_iter": [3, 10, 30, 100],
}
TREES_KNOTS = _SHARED_KNOTS | {
    "n_iter_no_change": [1, 5, 20],
    "validation_fraction": [0.05, 0.2, 0.5],
}
BOOSTING: dict[str, Any] = {
    "learning_rate": _log(0.01, 1),
    "max_leaf_nodes": _log_int(2, 64),
    "min_samples_leaf": _log_int(1, 100),
    "l2_regularization": _log(1e-3, 100),
    "max_iter": _log_int(3, 100),
}
BOOSTING_KNOTS = _SHARED_KNOTS | {"l2_regularization": [1e-3, 0.1, 3.0, 100.0]}


def train_trees(data: Data, params: Params) -> float:
    """Return the error of boosted trees."""
    rest = {name: value for name, value in params.items() if name != "max_iter"}
    trees: int = params.get("max_iter", 0)
    return _staged_errors(data, tuple(rest.items()))[trees - 1]


@lru_cache(1)
def _staged_errors(data: Data, params: tuple[tuple[str, Any], ...]) -> list[float]:
    """Return the error after each tree."""
    kind = "HistGradientBoostingClassifier" if data.cases else "HistGradientBoostingRegressor"
    rest = {"early_stopping": False, "max_iter": 100, "random_state": 0, **dict(params)}
    model = getattr(_module("ensemble"), kind)(**rest).fit(data.x, data.y)
    return [data.error(guesses) for guesses in model.staged_predict(data.test_x)]


# Small networks: the solver decides which parameters exist.

MLP: dict[str, Any] = {
    "solver": _categories("sgd", "adam", "lbfgs"),
    "activation": _categories("relu", "tanh"),
    "width": _log_int(4, 64),
    "alpha": _log(1e-5, 10),
    "rate": _log(1e-4, 0.3, when={"solver": ["sgd", "adam"]}),
    "momentum": _number("float", 0, 0.95, when={"solver": "sgd"}),
    "nesterov": {"type": "bool", "when": {"solver": "sgd"}},
    "beta_1": _number("float", 0.5, 0.99, when={"solver": "adam"}),
    "beta_2": _number("float", 0.9, 0.999, when={"solver": "adam"}),
}
MLP_KNOTS: dict[str, Sequence[float]] = {
    "width": [4, 16, 64],
    "alpha": [1e-5, 0.01, 0.5, 10.0],
    "rate": [1e-4, 1e-3, 0.01, 0.05, 0.3],
    "momentum": [0.0, 0.6, 0.95],
    "beta_1": [0.5, 0.9, 0.99],
    "beta_2": [0.9, 0.999],
}


def train_mlp(data: Data, params: Params) -> float:
    """Return the error of a small network."""
    renamed = {
        "width": "hidden_layer_sizes",
        "rate": "learning_rate_init",
        "nesterov": "nesterovs_momentum",
    }
    rest = {renamed.get(name, name): value for name, value in params.items()}
    network = _module("neural_network").MLPClassifier(
        **rest | {"hidden_layer_sizes": [int(params["width"])]},
        batch_size="auto" if params["solver"] == "lbfgs" else 64,
        max_iter=20,
        random_state=0,
    )
    return data.error_rate(network.fit(data.x, data.y).predict(data.test_x))


# The choice of a classifier with its own parameters.

MODELS: dict[str, Any] = {
    "model": _categories("svc", "neighbors", "forest", "logistic"),
    "C": _log(1e-4, 1e3, when={"model": ["svc", "logistic"]}),
    "gamma": _log(1e-5, 1, when={"model": "svc"}),
    "k": _log_int(1, 60, when={"model": "neighbors"}),
    "by_distance": {"type": "bool", "when": {"model": "neighbors"}},
    "p": _number("int", 1, 2, when={"model": "neighbors"}),
    "trees": _log_int(4, 64, when={"model": "forest"}),
    "depth": _number("int", 1, 20, when={"model": "forest"}),
    "share": _number("float", 0.05, 1, when={"model": "forest"}),
    "criterion": _categories("gini", "entropy", when={"model": "forest"}),
}
MODELS_KNOTS: dict[str, Sequence[float]] = {
    "C": _decades(-4, 3),
    "gamma": _decades(-5, 0),
    "k": [1, 2, 4, 8, 15, 30, 60],
    "p": [1, 2],
    "trees": [4, 16, 64],
    "depth": [1, 3, 7, 12, 20],
    "share": [0.05, 0.2, 0.5, 1.0],
}


def train_models(data: Data, params: Params) -> float:
    """Return the error of a classifier."""
    match params["model"]:
        case "svc":
            model = _module("svm").SVC(C=params["C"], gamma=params["gamma"], max_iter=20_000)
        case "neighbors":
            weights = "distance" if params["by_distance"] else "uniform"
            model = _module("neighbors").KNeighborsClassifier(
                params["k"], weights=weights, p=params["p"]
            )
        case "forest":
            model = _module("ensemble").RandomForestClassifier(
                params["trees"], max_depth=params["depth"], max_features=params["share"],
                criterion=params["criterion"], random_state=0,
            )  # fmt: skip
        case _:
            model = _module("linear_model").LogisticRegression(C=params["C"], max_iter=200)
    return data.error_rate(model.fit(data.x, data.y).predict(data.test_x))


# A pipeline with categories and numbers that always exist.

PIPELINE: dict[str, Any] = {
    "scaler": _categories("none", "standard", "ranges", "rows"),
    "components": _log_int(2, 40),
    "metric": _categories("euclidean", "manhattan", "chebyshev", "cosine"),
    "by_distance": {"type": "bool"},
    "k": _log_int(1, 100),
}
PIPELINE_KNOTS: dict[str, Sequence[float]] = {
    "components": [2, 3, 5, 8, 13, 22, 40],
    "k": [1, 2, 3, 5, 9, 17, 40, 100],
}


def train_pipeline(data: Data, params: Params) -> float:
    """Return the error of nearest neighbors after scaling and projection."""
    labels, distances = _neighbors(data, *(params[n] for n in ("scaler", "components", "metric")))
    count = int(params["k"])
    weights = 1 / np.maximum(distances[:, :count], 1e-9) if params["by_distance"] else 1.0
    votes = [
        (np.asarray(labels[:, :count] == label) * weights).sum(axis=1)
        for label in range(int(data.y.max()) + 1)
    ]
    guesses: Any = np.argmax(votes, axis=0)
    return data.error_rate(guesses)


@lru_cache(4)
def _neighbors(data: Data, scaler: str, components: int, metric: str) -> tuple[Any, Any]:
    """Return the labels and the distances of the 100 nearest neighbors of each test case."""
    scalers = {"standard": "StandardScaler", "ranges": "MinMaxScaler", "rows": "Normalizer"}
    steps = [getattr(_module("preprocessing"), scalers[scaler])()] if scaler in scalers else []
    components = min(components, data.x.shape[1])
    steps.append(_module("decomposition").PCA(components, random_state=0))
    pipeline = _module("pipeline").make_pipeline(*steps)
    train, test = pipeline.fit_transform(data.x), pipeline.transform(data.test_x)
    search = _module("neighbors").NearestNeighbors(n_neighbors=100, metric=metric)
    distances, rows = search.fit(train).kneighbors(test)
    return data.y[rows], distances
