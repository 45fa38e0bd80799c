"""Learning curves whose losses are error rates of 200 to 230 examples, trained once and cached.

    python -m benchmarks.quantised_curves           all tables
    python -m benchmarks.quantised_curves svm       the tables whose names start so

Error rates of finite test sets have ties, plateaus and steps, and many assignments are no better
than chance at first. In each space, a category decides which other parameters exist. The cache is
that of `learning_curves`. The resource is the number of passes over the training data (`linear`),
of trees (`ensembles`), or of the parts of the training data that are used (`svm`), up to 27.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning_curves import EPOCHS, Curves, Params

_LINEAR: dict[str, Any] = {
    "loss": {"type": "categorical", "values": ["hinge", "log_loss", "perceptron"]},
    "penalty": {"type": "categorical", "values": ["l2", "l1", "elasticnet"]},
    "alpha": {"type": "discrete", "values": [1e-6, 1e-4, 1e-2, 0.1, 1.0], "scale": "log"},
    "share": {"type": "discrete", "values": [0.15, 0.5, 0.85], "when": {"penalty": "elasticnet"}},
    "schedule": {"type": "categorical", "values": ["optimal", "constant", "invscaling"]},
    "rate": {
        "type": "discrete",
        "values": [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0],
        "scale": "log",
        "when": {"schedule": ["constant", "invscaling"]},
    },
    "power": {"type": "discrete", "values": [0.25, 0.5], "when": {"schedule": "invscaling"}},
}
_ENSEMBLES: dict[str, Any] = {
    "family": {"type": "categorical", "values": ["boosting", "forest", "adaboost"]},
    "rate": {
        "type": "discrete",
        "values": [0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0],
        "scale": "log",
        "when": {"family": ["boosting", "adaboost"]},
    },
    "share": {"type": "discrete", "values": [0.1, 0.3, 1.0], "when": {"family": "boosting"}},
    "depth": {"type": "discrete", "values": [1, 2, 3, 5, 8]},
    "features": {
        "type": "categorical",
        "values": ["sqrt", "log2", "all"],
        "when": {"family": ["boosting", "forest"]},
    },
    "bootstrap": {"type": "bool", "when": {"family": "forest"}},
}
_SVM: dict[str, Any] = {
    "kernel": {"type": "categorical", "values": ["rbf", "poly", "sigmoid", "linear"]},
    "c": {
        "type": "discrete",
        "values": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0],
        "scale": "log",
    },
    "gamma": {
        "type": "discrete",
        "values": [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0],
        "scale": "log",
        "when": {"kernel": ["rbf", "poly", "sigmoid"]},
    },
    "degree": {"type": "discrete", "values": [2, 3, 5], "when": {"kernel": "poly"}},
    "offset": {"type": "discrete", "values": [0.0, 1.0], "when": {"kernel": ["poly", "sigmoid"]}},
}

Arrays = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def _split(name: str, train: int, held: int, standardize: bool) -> Arrays:
    """Return features and classes for training and for validation."""
    x, y = getattr(import_module("sklearn.datasets"), name)(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(x))[: train + held]
    first, rest = order[:train], order[train:]
    x = x / x.max()
    if standardize:
        scale = x[first].std(axis=0)
        x = (x - x[first].mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    return x[first], y[first], x[rest], y[rest]


def trained_table(
    name: str,
    parameters: Params,
    fit: Callable[[Params, Arrays], Iterable[float]],
    load: Callable[[], Arrays],
) -> Curves:
    """Return the curves of models, each of which is fitted by itself."""

    def train(assignments: Sequence[Params]) -> NDArray[np.float64]:
        data = load()
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return np.array([[*fit(params, data)] for params in assignments])

    return Curves(name, parameters, train)


def _linear(params: Params, data: Arrays) -> Iterable[float]:
    linear_model: Any = import_module("sklearn.linear_model")
    x, y, held_x, held_y = data
    model = linear_model.SGDClassifier(
        loss=params["loss"],
        penalty=params["penalty"],
        alpha=params["alpha"],
        l1_ratio=params.get("share", 0.15),
        learning_rate=params["schedule"],
        eta0=params.get("rate", 0.01),
        power_t=params.get("power", 0.5),
        random_state=0,
    )
    for _ in range(EPOCHS):
        try:
            model.partial_fit(x, y, classes=np.unique(y))
            yield 1 - model.score(held_x, held_y)
        except ValueError:  # the weights have overflowed
            yield 1.0


def _ensembles(params: Params, data: Arrays) -> Iterable[float]:
    ensemble: Any = import_module("sklearn.ensemble")
    x, y, held_x, held_y = data
    features = None if params.get("features") == "all" else params.get("features")
    if params["family"] == "forest":
        forest = ensemble.RandomForestClassifier(
            EPOCHS,
            max_depth=params["depth"],
            max_features=features,
            bootstrap=params["bootstrap"],
            random_state=0,
        ).fit(x, y)
        votes = np.cumsum([tree.predict_proba(held_x) for tree in forest.estimators_], axis=0)
        return [_error(vote.argmax(axis=1), held_y) for vote in votes]
    if params["family"] == "boosting":
        model = ensemble.GradientBoostingClassifier(
            n_estimators=EPOCHS,
            learning_rate=params["rate"],
            subsample=params["share"],
            max_depth=params["depth"],
            max_features=features,
            random_state=0,
        )
    else:
        tree = import_module("sklearn.tree").DecisionTreeClassifier(
            max_depth=params["depth"], random_state=0
        )
        model = ensemble.AdaBoostClassifier(
            tree, n_estimators=EPOCHS, learning_rate=params["rate"], random_state=0
        )
    model.fit(x, y)
    errors = [_error(labels, held_y) for labels in model.staged_predict(held_x)]
    return errors + errors[-1:] * (EPOCHS - len(errors))  # AdaBoost may end early


def _error(labels: Any, held_y: NDArray[Any]) -> float:
    errors: NDArray[np.bool_] = np.asarray(labels != held_y)
    return float(errors.mean())


def _svm(params: Params, data: Arrays) -> Iterable[float]:
    svm: Any = import_module("sklearn.svm")
    x, y, held_x, held_y = data
    for part in range(1, EPOCHS + 1):
        count = len(x) * part // EPOCHS
        model = svm.SVC(
            C=params["c"],
            kernel=params["kernel"],
            gamma=params.get("gamma", 1.0),
            degree=params.get("degree", 3),
            coef0=params.get("offset", 0.0),
            max_iter=20_000,
        )
        yield 1 - model.fit(x[:count], y[:count]).score(held_x, held_y)


TABLES = [
    trained_table("linear digits", _LINEAR, _linear, lambda: _split("load_digits", 540, 200, True)),
    trained_table(
        "ensembles breast cancer",
        _ENSEMBLES,
        _ensembles,
        lambda: _split("load_breast_cancer", 339, 230, False),
    ),
    trained_table("svm digits", _SVM, _svm, lambda: _split("load_digits", 540, 200, False)),
]


if __name__ == "__main__":
    for table in TABLES:
        if table.name.startswith(sys.argv[1] if sys.argv[1:] else ""):
            print(f"{table.name}: {len(table.losses)} curves of {EPOCHS} epochs")
