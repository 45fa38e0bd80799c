"""Learning curves whose start says nothing of the end, trained once and cached.

    python -m benchmarks.misleading_curves          two minutes of one core

Boosted trees with a small learning rate are the worst at first, and often the best at the end. The
resource is 6 trees, the loss is the mean squared error, and the cache is that of `learning_curves`.
No constant of `hyperband` was chosen on this table.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning_curves import EPOCHS, Curves, Params

_TREES = 6
_BOOSTING: dict[str, Any] = {
    "rate": {"type": "discrete", "values": [0.003, 0.01, 0.03, 0.1, 0.3], "scale": "log"},
    "depth": {"type": "discrete", "values": [1, 2, 3, 5]},
    "share": {"type": "discrete", "values": [0.3, 0.6, 1.0]},
    "leaf": {"type": "discrete", "values": [1, 5, 20], "scale": "log"},
    "loss": {"type": "categorical", "values": ["squared_error", "huber", "absolute_error"]},
}


def _boosting(assignments: Sequence[Params]) -> NDArray[np.float64]:
    ensemble: Any = import_module("sklearn.ensemble")
    x, y = import_module("sklearn.datasets").load_diabetes(return_X_y=True)
    order = np.random.default_rng(2).permutation(len(x))
    train, held = order[:290], order[290:]
    losses = np.empty((len(assignments), EPOCHS))
    for row, params in zip(losses, assignments, strict=True):
        model = ensemble.GradientBoostingRegressor(
            n_estimators=_TREES * EPOCHS,
            learning_rate=params["rate"],
            max_depth=params["depth"],
            subsample=params["share"],
            min_samples_leaf=params["leaf"],
            loss=params["loss"],
            random_state=0,
        ).fit(x[train], y[train])
        predictions = np.array([*model.staged_predict(x[held])])[_TREES - 1 :: _TREES]
        row[:] = ((predictions - y[held]) ** 2).mean(axis=1)
    return losses


TABLES = [Curves("boosting diabetes", _BOOSTING, _boosting)]


if __name__ == "__main__":
    for table in TABLES:
        print(f"{table.name}: {len(table.losses)} curves of {EPOCHS} epochs")
