"""Learning curves of small neural networks, really trained, made once and kept.

    python -m tests.benchmarks.learning_curves            all tables, some minutes of one core
    python -m tests.benchmarks.learning_curves digits     those named

A table holds, for every assignment of a space, the loss on data set aside after each of 27 epochs:
the log loss for classes, the mean squared error for a number. Tables lie in the folder that
CLOUDTUNE_BENCH_CACHE names, else in ~/.cache/cloudtune-benchmarks. The data are scikit-learn's own.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

EPOCHS = 27
_WORST = 1e3
"""What a training counts that ran away."""
FOLDER = Path(
    os.environ.get("CLOUDTUNE_BENCH_CACHE", Path.home() / ".cache" / "cloudtune-benchmarks")
)

Numbers = NDArray[np.float32]
Given = Mapping[str, Any]

_SHAPE: dict[str, Any] = {
    "hidden": {"type": "discrete", "values": [8, 16, 32, 64], "scale": "log"},
    "layers": {"type": "discrete", "values": [1, 2]},
    "batch": {"type": "discrete", "values": [32, 64, 128], "scale": "log"},
    "activation": {"type": "categorical", "values": ["relu", "tanh"]},
    "solver": {"type": "categorical", "values": ["adam", "sgd"]},
}
_RATES: dict[str, Any] = {
    "rate": {
        "type": "discrete",
        "values": [1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3],
        "scale": "log",
    },
    "decay": {"type": "discrete", "values": [1e-5, 1e-3, 0.03], "scale": "log"},
    "momentum": {"type": "discrete", "values": [0.0, 0.5, 0.9], "when": {"solver": "sgd"}},
}
PARAMETERS = _SHAPE | _RATES
"""As in a study file. Networks that differ in the second part alone are trained side by side."""


@dataclass(frozen=True)
class Data:
    """Features and targets to train on, and the same set aside."""

    x: Numbers
    y: Numbers
    held: Numbers
    wanted: Numbers
    classes: bool


@dataclass(frozen=True)
class Curves:
    """The trainings of one data set."""

    name: str
    data: Callable[[], Data]

    @cached_property
    def losses(self) -> Mapping[tuple[Any, ...], Sequence[float]]:
        """The loss after each epoch, by assignment."""
        path = FOLDER / f"curves-{self.name}.npz"
        if not path.is_file():
            begin = time.process_time()
            FOLDER.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(path, losses=_trained(self.data()))
            print(f"{self.name}: trained in {time.process_time() - begin:.0f} s", flush=True)
        with np.load(path) as kept:
            rows = kept["losses"].tolist()
        return {key(given): row for given, row in zip(assignments(), rows, strict=True)}


def key(given: Given) -> tuple[Any, ...]:
    """Return what an assignment is found by."""
    return tuple(given.get(name) for name in PARAMETERS)


def assignments() -> list[dict[str, Any]]:
    """Return all assignments, those that are trained side by side in a row."""
    return [{**shape, **rates} for shape in _shapes() for rates in _rates(shape)]


def _shapes() -> Iterator[dict[str, Any]]:
    return _product(_SHAPE)


def _rates(shape: Given) -> Iterator[dict[str, Any]]:
    active = {
        name: definition
        for name, definition in _RATES.items()
        if all(shape[parent] == value for parent, value in definition.get("when", {}).items())
    }
    return _product(active)


def _product(parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*(p["values"] for p in parameters.values())):
        yield dict(zip(parameters, values, strict=True))


def _trained(data: Data) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        parts = [_train(shape, [*_rates(shape)], data) for shape in _shapes()]
    losses = np.concatenate(parts)
    return np.where(losses < _WORST, losses, _WORST)


def _train(shape: Given, rates: Sequence[Given], data: Data) -> NDArray[np.float64]:
    """Return the losses of networks of one shape: a row a network, a column an epoch."""
    random = np.random.default_rng(0)
    widths = [data.x.shape[1], *[shape["hidden"]] * shape["layers"], data.y.shape[1]]
    weights: list[Numbers] = []
    for before, after in itertools.pairwise(widths):
        first = random.uniform(-1, 1, (before + 1, after)) * np.sqrt(6 / (before + after))
        first[-1] = 0
        weights.append(np.tile(first.astype(np.float32), (len(rates), 1, 1)))
    optimiser = _Optimiser(shape["solver"], rates)
    decay = _column(rates, "decay")
    losses = np.empty((len(rates), EPOCHS))
    for epoch in range(EPOCHS):
        order = random.permutation(len(data.x))
        for begin in range(0, len(order), shape["batch"]):
            some = order[begin : begin + shape["batch"]]
            values = _forward(weights, data.x[some], shape["activation"], data.classes)
            slopes = _backward(weights, values, data.y[some], shape["activation"])
            for place, slope in enumerate(slopes):
                slope[:, :-1] += decay * weights[place][:, :-1] / len(some)
            optimiser.step(weights, slopes)
        found = _forward(weights, data.held, shape["activation"], data.classes)[-1]
        if data.classes:
            apart = -np.log(np.maximum((found * data.wanted).sum(axis=2), 1e-7))
        else:
            apart = ((found - data.wanted) ** 2).sum(axis=2)
        losses[:, epoch] = apart.mean(axis=1)
    return losses


class _Optimiser:
    """Adam, or stochastic gradient descent with Nesterov's momentum, for many networks at once."""

    def __init__(self, solver: str, rates: Sequence[Given]) -> None:
        self._adam = solver == "adam"
        self._rate = _column(rates, "rate")
        self._momentum = _column(rates, "momentum")
        self._means: list[Any] = []
        self._squares: list[Any] = []
        self._steps = 0

    def step(self, weights: Sequence[Numbers], slopes: Sequence[Numbers]) -> None:
        """Change the weights by one step."""
        self._steps += 1
        if not self._means:
            self._means = [np.zeros_like(weight) for weight in weights]
            self._squares = [np.zeros_like(weight) for weight in weights]
        for place, slope in enumerate(slopes):
            mean, square = self._means[place], self._squares[place]
            if self._adam:
                mean += 0.1 * (slope - mean)
                square += 0.001 * (slope * slope - square)
                unbiased = np.sqrt(1 - 0.999**self._steps) / (1 - 0.9**self._steps)
                weights[place][...] -= self._rate * unbiased * mean / (np.sqrt(square) + 1e-8)
            else:
                mean *= self._momentum
                mean -= self._rate * slope
                weights[place][...] += self._momentum * mean - self._rate * slope


def _column(rates: Sequence[Given], name: str) -> Numbers:
    return np.array([given.get(name, 0.0) for given in rates], np.float32)[:, None, None]


def _forward(
    weights: Sequence[Numbers], x: Numbers, activation: str, classes: bool
) -> list[Numbers]:
    """Return what each layer gives, the features first."""
    values: list[Numbers] = [x]
    for place, weight in enumerate(weights):
        value = values[-1] @ weight[:, :-1] + weight[:, -1:]
        if place < len(weights) - 1:
            value = np.maximum(value, 0) if activation == "relu" else np.tanh(value)
        elif classes:
            value = np.exp(value - value.max(axis=2, keepdims=True))
            value /= value.sum(axis=2, keepdims=True)
        values.append(value)
    return values


def _backward(
    weights: Sequence[Numbers], values: Sequence[Numbers], y: Numbers, activation: str
) -> list[Numbers]:
    """Return the slope of the loss for each weight."""
    slopes: list[Numbers] = []
    error = (values[-1] - y) / np.float32(len(y))
    for place in reversed(range(len(weights))):
        before = values[place]
        turned = np.swapaxes(before, -1, -2)
        both = np.concatenate([turned @ error, error.sum(axis=1, keepdims=True)], axis=1)
        slopes.insert(0, both.astype(np.float32, copy=False))
        if place:
            error = error @ np.swapaxes(weights[place][:, :-1], 1, 2)
            error = error * (before > 0 if activation == "relu" else 1 - before**2)
    return slopes


def _loaded(name: str, *, classes: bool, **given: Any) -> Data:
    """Return a data set of scikit-learn in two parts, scaled by what the first one shows."""
    found: tuple[Any, Any] = getattr(import_module("sklearn.datasets"), name)(**given)
    x, y = found
    order = np.random.default_rng(1).permutation(len(x))
    train, held = np.split(order, [int(0.6 * len(x))])
    y = np.eye(y.max() + 1)[y] if classes else ((y - y[train].mean()) / y[train].std())[:, None]
    scale = x[train].std(axis=0)
    x = (x - x[train].mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    x, y = x.astype(np.float32), y.astype(np.float32)
    return Data(x[train], y[train], x[held], y[held], classes)


def _digits() -> Data:
    return _loaded("load_digits", classes=True, return_X_y=True)


def _friedman() -> Data:
    return _loaded("make_friedman1", classes=False, n_samples=1500, noise=1.0, random_state=3)


def _clusters() -> Data:
    return _loaded(
        "make_classification", classes=True, n_samples=1800, n_features=20, n_informative=8,
        n_redundant=4, n_classes=4, n_clusters_per_class=3, flip_y=0.03, class_sep=1.2,
        random_state=5,
    )  # fmt: skip


def _many_classes() -> Data:
    return _loaded(
        "make_classification", classes=True, n_samples=2000, n_features=40, n_informative=10,
        n_redundant=5, n_classes=12, n_clusters_per_class=1, flip_y=0.05, random_state=11,
    )  # fmt: skip


TABLES = [
    Curves("digits", _digits),
    Curves("friedman", _friedman),
    Curves("clusters", _clusters),
    Curves("many classes", _many_classes),
]


if __name__ == "__main__":
    for table in TABLES:
        if table.name in (sys.argv[1:] or [table.name]):
            print(f"{table.name}: {len(table.losses)} curves of {EPOCHS} epochs")
