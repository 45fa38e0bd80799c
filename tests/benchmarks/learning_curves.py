"""Learning curves of real trainings on scikit-learn's own data, made once and kept.

    python tests/benchmarks/learning_curves.py             all of them, about an hour of one core
    python tests/benchmarks/learning_curves.py mlp_digits  those named

A table holds the loss on data set aside after each of 27 epochs (for boosting: of 27 times four
trees), for every assignment of a space. They lie in the folder that CLOUDTUNE_BENCHMARKS names,
else in ~/.cache/cloudtune-benchmarks.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np

EPOCHS = 27
_TREES = 4
_WORST = 1e6
"""What a training counts that ran away."""
FOLDER = Path(
    os.environ.get("CLOUDTUNE_BENCHMARKS", Path.home() / ".cache" / "cloudtune-benchmarks")
)

Data = tuple[Any, Any, Any, Any]
"""Features and targets to train on, and the same set aside."""
Curve = Callable[[Mapping[str, Any], Data], Iterator[float]]


def choice(*values: Any, when: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a parameter without an order."""
    return {"type": "categorical", "values": list(values)} | ({"when": when} if when else {})


def ordered(*values: Any, scale: str = "linear", when: Any = None) -> dict[str, Any]:
    """Return a parameter of numbers."""
    made = {"type": "discrete", "values": list(values), "scale": scale}
    return made | ({"when": when} if when else {})


def powers(low: float, high: float, count: int) -> list[float]:
    """Return numbers evenly apart on a log scale."""
    return [float(f"{value:.3g}") for value in np.geomspace(low, high, count)]


@dataclass(frozen=True)
class Task:
    """A space, and what training with one of its assignments brings."""

    name: str
    parameters: Mapping[str, Mapping[str, Any]]
    data: Callable[[], Data]
    curve: Curve

    @cached_property
    def losses(self) -> Mapping[tuple[Any, ...], tuple[float, ...]]:
        """The loss after each epoch, by assignment."""
        with np.load(FOLDER / f"{self.name}.npz") as kept:
            rows = kept["losses"]
        return {
            self.key(assignment): tuple(row)
            for assignment, row in zip(self.assignments(), rows.tolist(), strict=True)
        }

    def key(self, assignment: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return what an assignment is found by."""
        return tuple(assignment.get(name) for name in self.parameters)

    def assignments(self) -> list[dict[str, Any]]:
        """Return all assignments."""
        found: list[dict[str, Any]] = [{}]
        for name, parameter in self.parameters.items():
            wanted = parameter.get("when", {})
            found = [
                {**known, name: value} if active else known
                for known in found
                for active in [all(known.get(k) == v for k, v in wanted.items())]
                for value in (parameter["values"] if active else [None])
            ]
        return found

    def make(self) -> None:
        """Train all of them and keep their curves."""
        data = self.data()
        begin = time.process_time()
        rows: list[list[float]] = []
        for assignment in self.assignments():
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    row = list(itertools.islice(self.curve(assignment, data), EPOCHS))
                except ValueError:
                    row = []
            row = [value if value < _WORST else _WORST for value in row]
            rows.append(row + [_WORST] * (EPOCHS - len(row)))
        FOLDER.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(FOLDER / f"{self.name}.npz", losses=np.array(rows))
        print(f"{self.name}: {len(rows)} curves, {time.process_time() - begin:.0f} s", flush=True)


def parted(features: Any, targets: Any, classes: bool) -> Data:
    """Return data in two parts, scaled by what the first one shows."""
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    shared = targets if classes else None
    x, held, y, wanted = train_test_split(
        features, targets, test_size=0.4, random_state=0, stratify=shared
    )
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), y, scaler.transform(held), wanted


def digits() -> Data:
    """Return ten handwritten digits, eight by eight points."""
    from sklearn.datasets import load_digits

    return parted(*load_digits(return_X_y=True), classes=True)


def cancer() -> Data:
    """Return measurements of cells, two classes."""
    from sklearn.datasets import load_breast_cancer

    return parted(*load_breast_cancer(return_X_y=True), classes=True)


def diabetes() -> Data:
    """Return the course of a disease, a number."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return parted(x, (y - y.mean()) / y.std(), classes=False)


def friedman() -> Data:
    """Return a function of five features of ten, with noise."""
    from sklearn.datasets import make_friedman1

    x, y = make_friedman1(1500, noise=1.0, random_state=3)
    return parted(x, (y - y.mean()) / y.std(), classes=False)


def clusters() -> Data:
    """Return four classes of three clusters each, some labels wrong."""
    from sklearn.datasets import make_classification

    x, y = make_classification(
        1800, 20, n_informative=8, n_redundant=4, n_classes=4, n_clusters_per_class=3,
        flip_y=0.03, class_sep=1.2, random_state=5,
    )  # fmt: skip
    return parted(x, y, classes=True)


def many_classes() -> Data:
    """Return twelve classes that overlap, of many features that say nothing."""
    from sklearn.datasets import make_classification

    x, y = make_classification(
        2000, 40, n_informative=10, n_redundant=5, n_classes=12, n_clusters_per_class=1,
        flip_y=0.05, class_sep=1.0, random_state=11,
    )  # fmt: skip
    return parted(x, y, classes=True)


def network(given: Mapping[str, Any], data: Data) -> Iterator[float]:
    """Train a neural network; classes: log loss, a number: mean squared error."""
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    x, y, held, wanted = data
    classes = y.dtype.kind == "i"
    kind = MLPClassifier if classes else MLPRegressor
    model = kind(
        hidden_layer_sizes=(given["hidden"],) * given.get("layers", 1),
        activation=given["activation"],
        solver=given.get("solver", "adam"),
        alpha=given.get("alpha", 1e-4),
        batch_size=given["batch"],
        learning_rate_init=given["rate"],
        momentum=given.get("momentum", 0.9),
        random_state=0,
    )
    more = {"classes": np.unique(y)} if classes else {}
    for _ in range(EPOCHS):
        model.partial_fit(x, y, **more)
        if classes:
            yield float(log_loss(wanted, model.predict_proba(held), labels=more["classes"]))
        else:
            yield float(((model.predict(held) - wanted) ** 2).mean())


def linear(given: Mapping[str, Any], data: Data) -> Iterator[float]:
    """Train a linear classifier by stochastic gradient descent; share of errors."""
    from sklearn.linear_model import SGDClassifier

    x, y, held, wanted = data
    model = SGDClassifier(
        loss=given["loss"],
        penalty=given["penalty"],
        alpha=given["alpha"],
        eta0=given["rate"],
        learning_rate=given["schedule"],
        power_t=given.get("power", 0.5),
        average=given["average"],
        random_state=0,
    )
    random = np.random.default_rng(0)
    for _ in range(EPOCHS):
        order = random.permutation(len(x))
        model.partial_fit(x[order], y[order], classes=np.unique(y))
        yield float((model.predict(held) != wanted).mean())


def boosting(given: Mapping[str, Any], data: Data) -> Iterator[float]:
    """Train boosted trees; classes: log loss, a number: mean squared error."""
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
    from sklearn.metrics import log_loss

    x, y, held, wanted = data
    classes = y.dtype.kind == "i"
    kind = GradientBoostingClassifier if classes else GradientBoostingRegressor
    model = kind(
        n_estimators=EPOCHS * _TREES,
        learning_rate=given["rate"],
        max_depth=given["depth"],
        subsample=given["subsample"],
        max_features=given["features"],
        min_samples_leaf=given["leaf"],
        random_state=0,
    ).fit(x, y)
    staged = model.staged_predict_proba(held) if classes else model.staged_predict(held)
    for predicted in itertools.islice(staged, _TREES - 1, None, _TREES):
        if classes:
            yield float(log_loss(wanted, predicted))
        else:
            yield float(((predicted - wanted) ** 2).mean())


_NETWORK = {
    "hidden": ordered(8, 16, 32, 64, 128, scale="log"),
    "rate": ordered(*powers(1e-4, 0.3, 10), scale="log"),
    "batch": ordered(16, 32, 64, 128, scale="log"),
    "activation": choice("relu", "tanh"),
    "alpha": ordered(1e-5, 1e-3, 1e-1, scale="log"),
}
_SOLVERS = {
    "hidden": ordered(8, 24, 72, scale="log"),
    "layers": ordered(1, 2),
    "batch": ordered(16, 48, 144, scale="log"),
    "activation": choice("relu", "tanh"),
    "rate": ordered(*powers(1e-4, 0.3, 8), scale="log"),
    "solver": choice("adam", "sgd"),
    "momentum": ordered(0.0, 0.5, 0.9, when={"solver": "sgd"}),
}
_LINEAR = {
    "loss": choice("hinge", "log_loss", "modified_huber"),
    "penalty": choice("l2", "l1"),
    "average": choice(False, True),
    "alpha": ordered(*powers(1e-6, 0.1, 6), scale="log"),
    "rate": ordered(*powers(1e-4, 1.0, 7), scale="log"),
    "schedule": choice("constant", "invscaling"),
    "power": ordered(0.2, 0.5, when={"schedule": "invscaling"}),
}
_BOOSTING = {
    "rate": ordered(*powers(0.003, 1.0, 10), scale="log"),
    "depth": ordered(1, 2, 3, 4, 6, 8),
    "subsample": ordered(0.3, 0.6, 1.0),
    "features": ordered(0.15, 0.4, 1.0, scale="log"),
    "leaf": ordered(1, 5, 20, scale="log"),
}

CHOSEN_ON = [
    Task("mlp_digits", _NETWORK, digits, network),
    Task("boosting_diabetes", _BOOSTING, diabetes, boosting),
    Task("linear_classes", _LINEAR, many_classes, linear),
]
"""The tasks on which the strategy was chosen."""
HELD_BACK = [
    Task("mlp_clusters", _SOLVERS, clusters, network),
    Task("mlp_friedman", _SOLVERS, friedman, network),
    Task("boosting_cancer", _BOOSTING, cancer, boosting),
    Task("linear_digits", _LINEAR, digits, linear),
]
"""The tasks that were looked at only to report."""


if __name__ == "__main__":
    for task in CHOSEN_ON + HELD_BACK:
        if (
            task.name in (sys.argv[1:] or [task.name])
            and not (FOLDER / f"{task.name}.npz").is_file()
        ):
            task.make()
