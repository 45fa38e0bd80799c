"""Learning curves of small neural networks, trained once and cached.

    python -m benchmarks.learning_curves            all tables, some minutes of one core
    python -m benchmarks.learning_curves digits     the named tables

A table has the validation loss after each of 27 epochs for each assignment of a space: the log loss
for classification, the mean squared error for regression. The cache is the folder in
CLOUDTUNE_BENCH_CACHE, by default ~/.cache/cloudtune-benchmarks. The data sets are scikit-learn's.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality_tasks import study_of
from cloudtune.study.search_space import Space

EPOCHS = 27
_WORST = 1e3
"""The loss of a diverged training."""
FOLDER = Path(
    os.environ.get("CLOUDTUNE_BENCH_CACHE", Path.home() / ".cache" / "cloudtune-benchmarks")
)

Floats = NDArray[np.float32]
Params = Mapping[str, Any]

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
"""As in a study file. Networks that differ only in the second part are trained in one batch."""


@dataclass(frozen=True)
class Data:
    """Features and targets for training and for validation."""

    x: Floats
    y: Floats
    held_x: Floats
    held_y: Floats
    classes: bool


@dataclass(frozen=True)
class Curves:
    """The learning curves of all assignments of a space."""

    name: str
    parameters: Params
    """As in a study file; all of them have countable values."""
    train: Callable[[Sequence[Params]], NDArray[np.float64]]
    """Returns one row per assignment and one column per epoch."""

    @cached_property
    def losses(self) -> Mapping[tuple[Any, ...], Sequence[float]]:
        """The loss after each epoch, by assignment."""
        assignments = list(Space.from_study(study_of(self.parameters)).grid())
        path = FOLDER / f"curves-{self.name}.npz"
        if not path.is_file():
            begin = time.process_time()
            FOLDER.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(path, losses=self.train(assignments))
            print(f"{self.name}: trained in {time.process_time() - begin:.0f} s", flush=True)
        with np.load(path) as archive:
            rows = archive["losses"].tolist()
        return {self.key(params): row for params, row in zip(assignments, rows, strict=True)}

    def key(self, params: Params) -> tuple[Any, ...]:
        """Return the key of an assignment."""
        return tuple(params.get(name) for name in self.parameters)


def networks(name: str, load: Callable[[], Data], parameters: Params = PARAMETERS) -> Curves:
    """Return the curves of networks, whose learning rates may have a schedule."""

    def train(assignments: Sequence[Params]) -> NDArray[np.float64]:
        data = load()
        batches = itertools.groupby(assignments, lambda params: [params[name] for name in _SHAPE])
        with np.errstate(all="ignore"):
            losses = np.concatenate([_train([*batch], data) for _, batch in batches])
        return np.where(losses < _WORST, losses, _WORST)

    return Curves(name, parameters, train)


def _train(rates: Sequence[Params], data: Data) -> NDArray[np.float64]:
    """Return the losses of networks of one shape: one row per network, one column per epoch."""
    shape = rates[0]
    random = np.random.default_rng(0)
    widths = [data.x.shape[1], *[shape["hidden"]] * shape["layers"], data.y.shape[1]]
    weights: list[Floats] = []
    for before, after in itertools.pairwise(widths):
        first = random.uniform(-1, 1, (before + 1, after)) * np.sqrt(6 / (before + after))
        first[-1] = 0
        weights.append(np.tile(first.astype(np.float32), (len(rates), 1, 1)))
    optimizer = _Optimizer(shape["solver"], rates)
    decay = _hyperparameter(rates, "decay")
    losses = np.empty((len(rates), EPOCHS))
    for epoch in range(EPOCHS):
        optimizer.scale_rate((epoch + 0.5) / EPOCHS)
        order = random.permutation(len(data.x))
        for begin in range(0, len(order), shape["batch"]):
            batch = order[begin : begin + shape["batch"]]
            values = _forward(weights, data.x[batch], shape["activation"], data.classes)
            gradients = _backward(weights, values, data.y[batch], shape["activation"])
            for i, gradient in enumerate(gradients):
                gradient[:, :-1] += decay * weights[i][:, :-1] / len(batch)
            optimizer.step(weights, gradients)
        outputs = _forward(weights, data.held_x, shape["activation"], data.classes)[-1]
        if data.classes:
            errors = -np.log(np.maximum((outputs * data.held_y).sum(axis=2), 1e-7))
        else:
            errors = ((outputs - data.held_y) ** 2).sum(axis=2)
        losses[:, epoch] = errors.mean(axis=1)
    return losses


class _Optimizer:
    """Adam, or stochastic gradient descent with Nesterov momentum, for many networks at once."""

    def __init__(self, solver: str, rates: Sequence[Params]) -> None:
        self._adam = solver == "adam"
        self._rate = self._peak_rate = _hyperparameter(rates, "rate")
        self._schedules = [params.get("schedule", "constant") for params in rates]
        self._momentum = _hyperparameter(rates, "momentum")
        self._means: list[Any] = []
        self._squares: list[Any] = []
        self._steps = 0

    def scale_rate(self, part: float) -> None:
        """Set the learning rates after a part of the training."""
        factors = {
            "constant": 1.0,
            "cosine": (1 + np.cos(np.pi * part)) / 2,
            "warm-up": min(1.0, part * 4) * min(1.0, (1 - part) * 2),
        }
        scales = np.array([factors[name] for name in self._schedules], np.float32)
        self._rate = self._peak_rate * scales[:, None, None]

    def step(self, weights: Sequence[Floats], gradients: Sequence[Floats]) -> None:
        """Update the weights."""
        self._steps += 1
        if not self._means:
            self._means = [np.zeros_like(weight) for weight in weights]
            self._squares = [np.zeros_like(weight) for weight in weights]
        for i, gradient in enumerate(gradients):
            mean, square = self._means[i], self._squares[i]
            if self._adam:
                mean += 0.1 * (gradient - mean)
                square += 0.001 * (gradient * gradient - square)
                unbiased = np.sqrt(1 - 0.999**self._steps) / (1 - 0.9**self._steps)
                weights[i][...] -= self._rate * unbiased * mean / (np.sqrt(square) + 1e-8)
            else:
                mean *= self._momentum
                mean -= self._rate * gradient
                weights[i][...] += self._momentum * mean - self._rate * gradient


def _hyperparameter(rates: Sequence[Params], name: str) -> Floats:
    return np.array([params.get(name, 0.0) for params in rates], np.float32)[:, None, None]


def _forward(weights: Sequence[Floats], x: Floats, activation: str, classes: bool) -> list[Floats]:
    """Return the features and the output of each layer."""
    values: list[Floats] = [x]
    for i, weight in enumerate(weights):
        value = values[-1] @ weight[:, :-1] + weight[:, -1:]
        if i < len(weights) - 1:
            value = np.maximum(value, 0) if activation == "relu" else np.tanh(value)
        elif classes:
            value = np.exp(value - value.max(axis=2, keepdims=True))
            value /= value.sum(axis=2, keepdims=True)
        values.append(value)
    return values


def _backward(
    weights: Sequence[Floats], values: Sequence[Floats], y: Floats, activation: str
) -> list[Floats]:
    """Return the gradient of the loss for each weight."""
    gradients: list[Floats] = []
    error = (values[-1] - y) / np.float32(len(y))
    for i in reversed(range(len(weights))):
        before = values[i]
        transposed = np.swapaxes(before, -1, -2)
        gradient = np.concatenate([transposed @ error, error.sum(axis=1, keepdims=True)], axis=1)
        gradients.insert(0, gradient.astype(np.float32, copy=False))
        if i:
            error = error @ np.swapaxes(weights[i][:, :-1], 1, 2)
            error = error * (before > 0 if activation == "relu" else 1 - before**2)
    return gradients


def _load(name: str, *, classes: bool, **params: Any) -> Data:
    """Return a data set of scikit-learn in two parts, standardized by the first one."""
    data: tuple[Any, Any] = getattr(import_module("sklearn.datasets"), name)(**params)
    x, y = data
    order = np.random.default_rng(1).permutation(len(x))
    train, held = np.split(order, [int(0.6 * len(x))])
    y = np.eye(y.max() + 1)[y] if classes else ((y - y[train].mean()) / y[train].std())[:, None]
    scale = x[train].std(axis=0)
    x = (x - x[train].mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    x, y = x.astype(np.float32), y.astype(np.float32)
    return Data(x[train], y[train], x[held], y[held], classes)


def _digits() -> Data:
    return _load("load_digits", classes=True, return_X_y=True)


def _friedman() -> Data:
    return _load("make_friedman1", classes=False, n_samples=1500, noise=1.0, random_state=3)


def _clusters() -> Data:
    return _load(
        "make_classification", classes=True, n_samples=1800, n_features=20, n_informative=8,
        n_redundant=4, n_classes=4, n_clusters_per_class=3, flip_y=0.03, class_sep=1.2,
        random_state=5,
    )  # fmt: skip


def _many_classes() -> Data:
    return _load(
        "make_classification", classes=True, n_samples=2000, n_features=40, n_informative=10,
        n_redundant=5, n_classes=12, n_clusters_per_class=1, flip_y=0.05, random_state=11,
    )  # fmt: skip


TABLES = [
    networks("digits", _digits),
    networks("friedman", _friedman),
    networks("clusters", _clusters),
    networks("many classes", _many_classes),
]


if __name__ == "__main__":
    for table in TABLES:
        if table.name in (sys.argv[1:] or [table.name]):
            print(f"{table.name}: {len(table.losses)} curves of {EPOCHS} epochs")
