"""Real trainings with two objectives, an error and a size, trained once and cached.

    python -m benchmarks.fronts_trainings            trains them, some minutes of one core

The models are scikit-learn's, on its own data sets. Each is trained on a grid. Between the points
of the grid the metrics are interpolated linearly, and then rounded to what a test set of that size
and a whole number of parts can give: errors and sizes have ties, as in real studies. Sizes count
support vectors, leaves or weights, so they repeat exactly. The cache is that of learning_curves.py.
"""

from __future__ import annotations

import itertools
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning_curves import FOLDER as CACHE

Params = Mapping[str, Any]
Floats = NDArray[np.float64]
Scores = dict[str, list[float]]
"""The error and the size by the JSON text of a point of the grid."""

_TRAIN = 0.5
_LOG = {"C", "gamma", "trees", "leaf", "rate", "rounds", "width", "second", "decay"}
"""The parameters that are interpolated on a log scale."""


@dataclass(frozen=True)
class Grid:
    """The points at which one kind of model is trained."""

    choices: Mapping[str, Sequence[Any]]
    """The values of categories."""
    ranges: Mapping[str, Sequence[float]]
    """The values of numbers, ascending."""

    def points(self) -> Iterator[dict[str, Any]]:
        """Yield all points."""
        axes: dict[str, Sequence[Any]] = {**self.choices, **self.ranges}
        for values in itertools.product(*axes.values()):
            yield dict(zip(axes, values, strict=True))


SVM = {
    "rbf": Grid(
        {"kernel": ["rbf"]},
        {
            "C": [0.01, 0.1, 0.5, 2, 10, 100, 1000],
            "gamma": [1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1],
        },
    ),
    "poly": Grid(
        {"kernel": ["poly"]},
        {"C": [0.01, 0.1, 0.5, 2, 10, 100, 1000], "degree": [2, 3, 4, 5]},
    ),
    "linear": Grid({"kernel": ["linear"]}, {"C": [0.01, 0.1, 0.5, 2, 10, 100, 1000]}),
}
FOREST = Grid(
    {"criterion": ["gini", "entropy"]},
    {
        "depth": [1, 2, 3, 5, 8, 12, 16],
        "share": [0.03, 0.1, 0.4, 1.0],
        "leaf": [1, 3, 10, 30],
        "trees": [1, 2, 4, 8, 16, 32, 64],
    },
)
BOOSTING = Grid(
    {"loss": ["squared_error", "absolute_error"]},
    {
        "depth": [1, 2, 3, 5, 7],
        "rate": [0.01, 0.04, 0.1, 0.3, 1.0],
        "part": [0.3, 0.6, 1.0],
        "rounds": [1, 2, 4, 8, 16, 32, 64, 128],
    },
)
NET = {
    1: Grid(
        {"layers": [1], "activation": ["relu", "tanh"]},
        {"width": [2, 8, 32, 128], "rate": [3e-4, 3e-3, 0.03, 0.3], "decay": [1e-4, 0.3]},
    ),
    2: Grid(
        {"layers": [2], "activation": ["relu", "tanh"]},
        {
            "width": [2, 8, 32, 128],
            "second": [2, 8, 32, 128],
            "rate": [3e-4, 3e-3, 0.03, 0.3],
            "decay": [1e-4, 0.3],
        },
    ),
}


def _float(low: float, high: float, scale: str = "linear") -> dict[str, Any]:
    return {"type": "float", "min": low, "max": high, "scale": scale}


def _int(low: int, high: int, scale: str = "linear") -> dict[str, Any]:
    return {"type": "int", "min": low, "max": high, "scale": scale}


def _choice(*values: str) -> dict[str, Any]:
    return {"type": "categorical", "values": list(values)}


SPACES: Mapping[str, Mapping[str, Any]] = {
    "svm": {
        "kernel": _choice("rbf", "poly", "linear"),
        "C": _float(0.01, 1000, "log"),
        "gamma": _float(1e-4, 1, "log") | {"when": {"kernel": "rbf"}},
        "degree": _int(2, 5) | {"when": {"kernel": "poly"}},
    },
    "forest": {
        "criterion": _choice("gini", "entropy"),
        "depth": _int(1, 16),
        "share": _float(0.03, 1),
        "leaf": _int(1, 30, "log"),
        "trees": _int(1, 64, "log"),
    },
    "boosting": {
        "loss": _choice("squared_error", "absolute_error"),
        "depth": _int(1, 7),
        "rate": _float(0.01, 1, "log"),
        "part": _float(0.3, 1),
        "rounds": _int(1, 128, "log"),
    },
    "net": {
        "layers": _int(1, 2),
        "activation": _choice("relu", "tanh"),
        "width": _int(2, 128, "log"),
        "second": _int(2, 128, "log") | {"when": {"layers": 2}},
        "rate": _float(3e-4, 0.3, "log"),
        "decay": _float(1e-4, 0.3, "log"),
    },
}
"""As in a study file."""


@dataclass(frozen=True)
class Data:
    """Features and targets for training and for testing."""

    x: Floats
    y: Floats
    other: Floats
    targets: Floats


@cache
def _data(name: str) -> Data:
    datasets: Any = import_module("sklearn.datasets")
    selection: Any = import_module("sklearn.model_selection")
    if name == "friedman":
        x, y = datasets.make_friedman1(800, noise=1.0, random_state=0)
    else:
        loaded: Any = getattr(datasets, f"load_{name}")()
        x, y = loaded.data, loaded.target
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9)
    parts: Any = selection.train_test_split(x, y, train_size=_TRAIN, random_state=0)
    return Data(parts[0], parts[2], parts[1], parts[3])


def _train_svm(data: Data, point: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[float]]]:
    svm: Any = import_module("sklearn.svm")
    extra = {"gamma": point["gamma"] / 4} if "gamma" in point else {}
    model: Any = svm.SVC(**(point | extra)).fit(data.x, data.y)
    yield point, [1 - model.score(data.other, data.targets), float(model.n_support_.sum())]


def _train_forest(
    data: Data, point: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], list[float]]]:
    if point["trees"] != FOREST.ranges["trees"][-1]:
        return
    ensemble: Any = import_module("sklearn.ensemble")
    model: Any = ensemble.RandomForestClassifier(
        point["trees"],
        criterion=point["criterion"],
        max_depth=point["depth"],
        max_features=point["share"],
        min_samples_leaf=point["leaf"],
        random_state=0,
    ).fit(data.x, data.y)
    votes: Any = 0.0
    leaves = 0
    for count, tree in enumerate(model.estimators_, start=1):
        votes = votes + tree.predict_proba(data.other)
        leaves += tree.tree_.n_leaves
        if count in FOREST.ranges["trees"]:
            error = float((votes.argmax(axis=1) != data.targets).mean())
            yield point | {"trees": count}, [error, float(leaves)]


def _train_boosting(
    data: Data, point: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], list[float]]]:
    if point["rounds"] != BOOSTING.ranges["rounds"][-1]:
        return
    ensemble: Any = import_module("sklearn.ensemble")
    model: Any = ensemble.GradientBoostingRegressor(
        loss=point["loss"],
        n_estimators=point["rounds"],
        max_depth=point["depth"],
        learning_rate=point["rate"],
        subsample=point["part"],
        random_state=0,
    ).fit(data.x, data.y)
    leaves: Any = np.cumsum([tree[0].tree_.n_leaves for tree in model.estimators_])
    for count, prediction in enumerate(model.staged_predict(data.other), start=1):
        if count in BOOSTING.ranges["rounds"]:
            error = math.sqrt(float(((prediction - data.targets) ** 2).mean()))
            yield point | {"rounds": count}, [error, float(leaves[count - 1])]


def _train_net(data: Data, point: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[float]]]:
    networks: Any = import_module("sklearn.neural_network")
    layers = [int(point[key]) for key in ("width", "second") if key in point]
    model: Any = networks.MLPClassifier(
        layers,
        activation=point["activation"],
        alpha=point["decay"],
        learning_rate_init=point["rate"],
        max_iter=15,
        batch_size=64,
        random_state=0,
    ).fit(data.x, data.y)
    yield point, [1 - model.score(data.other, data.targets), 0.0]


class Model:
    """One kind of model on one data set, as an interpolated table."""

    def __init__(
        self,
        name: str,
        data: str,
        grids: Sequence[Grid],
        train: Callable[[Data, dict[str, Any]], Iterator[tuple[dict[str, Any], list[float]]]],
    ) -> None:
        self.name = name
        self.data = _data(data)
        self.is_counted = data != "friedman"
        path = CACHE / f"fronts-{name}-{data}.json"
        if not path.exists():
            begin = time.process_time()
            scores: Scores = {}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for grid in grids:
                    for point in grid.points():
                        for place, row in train(self.data, point):
                            scores[json.dumps(place, sort_keys=True)] = row
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(scores), "utf-8")
            print(f"{name} {data}: {time.process_time() - begin:.0f} s of CPU", flush=True)
        scores = json.loads(path.read_text("utf-8"))
        self._parts: list[tuple[Grid, dict[tuple[Any, ...], Floats]]] = []
        for grid in grids:
            shape = [len(values) for values in grid.ranges.values()]
            tables = {
                chosen: np.array(
                    [
                        scores[json.dumps(point, sort_keys=True)]
                        for point in grid.points()
                        if all(point[k] == c for k, c in zip(grid.choices, chosen, strict=True))
                    ]
                ).reshape(*shape, 2)
                for chosen in itertools.product(*grid.choices.values())
            }
            self._parts.append((grid, tables))

    def measure(self, params: Params) -> tuple[float, float]:
        """Return the error and the size."""
        grid, table = next(
            (grid, tables[chosen])
            for grid, tables in self._parts
            if (chosen := tuple(params[key] for key in grid.choices)) in tables
        )
        values = table
        for key, ticks in grid.ranges.items():
            values = _interpolate(values, ticks, float(params[key]), is_log=key in _LOG)
        error, size = (float(value) for value in values)
        tests = len(self.data.targets)
        error = round(error * tests) / tests if self.is_counted else round(error, 3)
        if self.name == "net":
            size = float(self._weights(params))
        return error, float(round(size))

    def _weights(self, params: Params) -> int:
        widths = [int(params[key]) for key in ("width", "second") if key in params]
        widths = [self.data.x.shape[1], *widths, len(np.unique(self.data.y))]
        return sum((a + 1) * b for a, b in itertools.pairwise(widths))

    def grid_points(self) -> Iterator[dict[str, Any]]:
        """Yield all points of the grid."""
        for grid, _ in self._parts:
            yield from grid.points()


def _interpolate(values: Floats, ticks: Sequence[float], place: float, *, is_log: bool) -> Floats:
    """Return the values at a place of the first axis."""
    if is_log:
        ticks, place = [math.log(tick) for tick in ticks], math.log(place)
    right = min(max(int(np.searchsorted(ticks, place)), 1), len(ticks) - 1)
    part = (place - ticks[right - 1]) / (ticks[right] - ticks[right - 1])
    return np.asarray((1 - part) * values[right - 1] + part * values[right], np.float64)


@cache
def model(kind: str, data: str) -> Model:
    """Return a kind of model on a data set."""
    grids: dict[str, tuple[Sequence[Grid], Any]] = {
        "svm": (list(SVM.values()), _train_svm),
        "forest": ([FOREST], _train_forest),
        "boosting": ([BOOSTING], _train_boosting),
        "net": (list(NET.values()), _train_net),
    }
    return Model(kind, data, *grids[kind])


PAIRS = (
    ("svm", "digits"),
    ("svm", "breast_cancer"),
    ("forest", "digits"),
    ("boosting", "friedman"),
    ("net", "digits"),
)
"""The kinds of models and their data sets."""


def choice_space(kinds: Sequence[str]) -> dict[str, Any]:
    """Return a space whose root chooses the kind of model."""
    space: dict[str, Any] = {"model": _choice(*kinds)}
    for kind in kinds:
        for key, definition in SPACES[kind].items():
            when = {f"{kind}.{name}": value for name, value in definition.get("when", {}).items()}
            space[f"{kind}.{key}"] = {**definition, "when": {"model": kind} | when}
    return space


def measure_choice(data: str, params: Params) -> tuple[float, float]:
    """Return the error and the stored numbers of the chosen kind of model."""
    kind = params["model"]
    own = {key.partition(".")[2]: value for key, value in params.items() if "." in key}
    error, size = model(kind, data).measure(own)
    width = model(kind, data).data.x.shape[1]
    return error, size * {"svm": width, "forest": 4}.get(kind, 1)


if __name__ == "__main__":
    for pair in PAIRS:
        model(*pair)
