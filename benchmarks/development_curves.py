"""Learning curves to choose constants of `hyperband` on, trained once and cached.

    python -m benchmarks.development_curves         three minutes of one core

No other table has these data sets. On `dev boosting noise`, the rungs at one and three epochs would
stop most of the best assignments. The cache is that of `learning_curves`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning_curves import EPOCHS, Data, Params, networks
from benchmarks.quantised_curves import Arrays, trained_table


def _discrete(*values: float) -> dict[str, Any]:
    return {"type": "discrete", "values": [*values], "scale": "log"}


def _categories(*values: str) -> dict[str, Any]:
    return {"type": "categorical", "values": [*values]}


_BOOSTING: dict[str, Any] = {
    "rate": _discrete(0.003, 0.006, 0.012, 0.025, 0.05, 0.1, 0.2, 0.4),
    "depth": _discrete(1, 2, 4),
    "share": _discrete(0.4, 1.0),
    "leaf": _discrete(1, 5, 20),
    "features": _discrete(0.4, 1.0),
}
_NETWORK: dict[str, Any] = {
    "hidden": _discrete(8, 32),
    "layers": _discrete(1),
    "batch": _discrete(16, 64),
    "activation": _categories("relu", "tanh"),
    "solver": _categories("adam", "sgd"),
    "rate": _discrete(3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1),
    "decay": _discrete(1e-3, 0.1, 1.0),
    "momentum": {"type": "discrete", "values": [0.0, 0.9], "when": {"solver": "sgd"}},
    "schedule": _categories("constant", "cosine", "warm-up"),
}
_LINEAR: dict[str, Any] = {
    "rate": _discrete(1e-4, 1e-3, 0.01, 0.1),
    "schedule": _categories("constant", "invscaling", "optimal"),
    "average": {"type": "bool"},
    "alpha": _discrete(1e-5, 1e-3, 0.1),
    "penalty": _categories("l1", "l2"),
    "loss": _categories("squared_error", "huber", "epsilon_insensitive"),
}
_FORESTS: dict[str, Any] = {
    "family": _categories("forest", "extra"),
    "depth": _discrete(1, 2, 4, 8),
    "features": _discrete(0.2, 0.5, 1.0),
    "leaf": _discrete(1, 4, 16),
    "samples": _discrete(0.2, 0.5, 0.9),
    "criterion": _categories("gini", "entropy"),
}
_SVM: dict[str, Any] = {
    "kernel": _categories("rbf", "poly", "sigmoid"),
    "c": _discrete(0.01, 0.1, 1, 10, 100),
    "gamma": _discrete(1e-3, 0.01, 0.03, 0.1, 0.3, 1),
    "offset": {"type": "discrete", "values": [0.0, 1.0], "when": {"kernel": ["poly", "sigmoid"]}},
    "balanced": {"type": "bool"},
}


def _split(name: str, held: float = 0.4, flipped: float = 0.0, **params: Any) -> Arrays:
    """Return standardized features and targets for training and for validation."""
    x, y = getattr(import_module("sklearn.datasets"), name)(**params)
    random = np.random.default_rng(4)
    order = random.permutation(len(x))
    train, rest = np.split(order, [int((1 - held) * len(x))])
    x = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    if len(np.unique(y)) > 20:
        y = (y - y[train].mean()) / y[train].std()
    else:
        y = np.unique(y, return_inverse=True)[1]
    first = y[train].copy()
    wrong = random.random(len(first)) < flipped
    first[wrong] = random.permutation(first[wrong])
    return x[train], first, x[rest], y[rest]


def _boosting(params: Params, data: Arrays, trees: int) -> Iterable[float]:
    x, y, held_x, held_y = data
    is_classes = y.dtype.kind == "i"
    kind = "Classifier" if is_classes else "Regressor"
    model = getattr(import_module("sklearn.ensemble"), f"GradientBoosting{kind}")(
        n_estimators=trees * EPOCHS,
        learning_rate=params["rate"],
        max_depth=params["depth"],
        subsample=params["share"],
        min_samples_leaf=params["leaf"],
        max_features=params["features"],
        random_state=0,
    ).fit(x, y)
    stages = model.staged_predict_proba if is_classes else model.staged_predict
    for i, outputs in enumerate(stages(held_x), 1):
        if i % trees == 0:
            yield _log_loss(outputs, held_y) if is_classes else ((outputs - held_y) ** 2).mean()


def _linear(params: Params, data: Arrays) -> Iterable[float]:
    x, y, held_x, held_y = data
    model = import_module("sklearn.linear_model").SGDRegressor(
        loss=params["loss"],
        penalty=params["penalty"],
        alpha=params["alpha"],
        learning_rate=params["schedule"],
        eta0=params["rate"],
        average=params["average"],
        random_state=0,
    )
    for _ in range(EPOCHS):
        try:
            model.partial_fit(x, y)
            loss = float(((model.predict(held_x) - held_y) ** 2).mean())
            yield loss if loss < 1e3 else 1e3
        except ValueError:  # diverged
            yield 1e3


def _forests(params: Params, data: Arrays) -> Iterable[float]:
    x, y, held_x, held_y = data
    name = "RandomForest" if params["family"] == "forest" else "ExtraTrees"
    forest = getattr(import_module("sklearn.ensemble"), f"{name}Classifier")(
        EPOCHS,
        max_depth=params["depth"],
        max_features=params["features"],
        min_samples_leaf=params["leaf"],
        bootstrap=True,
        max_samples=params["samples"],
        criterion=params["criterion"],
        random_state=0,
    ).fit(x, y)
    votes = np.cumsum([tree.predict_proba(held_x) for tree in forest.estimators_], axis=0)
    return [float((vote.argmax(axis=1) != held_y).mean()) for vote in votes]


def _svm(params: Params, data: Arrays) -> Iterable[float]:
    x, y, held_x, held_y = data
    for part in range(1, EPOCHS + 1):
        count = max(len(x) * part // EPOCHS, 12)
        model = import_module("sklearn.svm").SVC(
            C=params["c"],
            kernel=params["kernel"],
            gamma=params["gamma"],
            coef0=params.get("offset", 0.0),
            class_weight="balanced" if params["balanced"] else None,
            max_iter=20_000,
        )
        yield 1 - model.fit(x[:count], y[:count]).score(held_x, held_y)


def _log_loss(chances: NDArray[Any], y: NDArray[Any]) -> float:
    return float(-np.log(np.maximum(chances[np.arange(len(y)), y], 1e-7)).mean())


def _network_data(name: str, **params: Any) -> Data:
    x, y, held_x, held_y = _split(name, **params)
    classes = y.dtype.kind == "i"
    y, held_y = (np.eye(t.max() + 1)[t] if classes else t[:, None] for t in (y, held_y))
    x, y, held_x, held_y = (values.astype(np.float32) for values in (x, y, held_x, held_y))
    return Data(x, y, held_x, held_y, classes)


TABLES = [
    trained_table(
        "dev averaged regression",
        _LINEAR,
        _linear,
        lambda: _split(
            "make_regression",
            n_samples=250,
            n_features=20,
            n_informative=6,
            noise=40.0,
            random_state=8,
        ),
    ),
    trained_table(
        "dev forests wine",
        _FORESTS,
        _forests,
        lambda: _split("load_wine", held=0.6, return_X_y=True),
    ),
    trained_table(
        "dev svm quantiles",
        _SVM,
        _svm,
        lambda: _split(
            "make_gaussian_quantiles", n_samples=500, n_features=4, n_classes=3, random_state=3
        ),
    ),
    trained_table(
        "dev boosting noise",
        _BOOSTING,
        partial(_boosting, trees=6),
        lambda: _split("make_friedman2", n_samples=350, noise=400, random_state=6),
    ),
    trained_table(
        "dev boosting slow",
        _BOOSTING,
        partial(_boosting, trees=2),
        lambda: _split("make_sparse_uncorrelated", n_samples=300, random_state=6),
    ),
    trained_table(
        "dev boosting wrong labels",
        _BOOSTING,
        partial(_boosting, trees=5),
        lambda: _split("make_hastie_10_2", n_samples=400, flipped=0.4, random_state=6),
    ),
    networks(
        "dev networks wrong labels",
        lambda: _network_data(
            "make_classification",
            n_samples=500,
            n_features=15,
            n_informative=5,
            n_classes=3,
            flipped=0.3,
            random_state=9,
        ),
        _NETWORK,
    ),
    networks(
        "dev networks moons",
        lambda: _network_data("make_moons", n_samples=500, noise=0.25, random_state=1),
        _NETWORK,
    ),
    networks(
        "dev networks friedman2",
        lambda: _network_data("make_friedman2", n_samples=500, noise=50.0, random_state=2),
        _NETWORK,
    ),
]


if __name__ == "__main__":
    for table in TABLES:
        if table.name.startswith(sys.argv[1] if sys.argv[1:] else ""):
            print(f"{table.name}: {len(table.losses)} curves of {EPOCHS} epochs", flush=True)
