"""How much each parameter matters for the objective."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cloudtune.comparison.curves import eligible_trials
from cloudtune.comparison.groups import Group
from cloudtune.results.model import Trial
from cloudtune.search.axes import build_axes
from cloudtune.search.encoding import Encoding, Rows
from cloudtune.study.search_space import Assignment, Node, Space, Value, match_value
from cloudtune.study.study import Study

METHOD = "total effects (Sobol) on boosted trees"
MIN_TRIALS = 20
"""With fewer trials, importance is not computed."""
_MAX_TRIALS = 400
"""The forest learns from an even selection of at most so many trials."""
_SAMPLES = 512
MIN_EXPLAINED = 0.1
"""If the forest explains less of the differences between unseen trials, nothing is known."""
_INACTIVE = -1.0
"""The number of a parameter that is not active, below all values."""
_SEED = 7


@dataclass(frozen=True)
class Importance:
    """The importance of a group's parameters for one objective."""

    label: str
    metric: str
    trials: int
    best: float
    """The share of the trials from which the model learned."""
    shares: dict[str, float] | None
    """By the key of the parameter's definition, adding up to 1; None if unknown."""
    explained: float | None = None
    """The share of the differences between unseen trials that the model explains; None if there
    are too few trials for a model."""


def parameter_importance(group: Group, index: int) -> Importance:
    """Return how much of the differences between trials each parameter causes.

    A model learns the rank of a trial by the objective at the index from its parameters. A
    parameter's share is the mean squared change of the prediction when only this parameter changes,
    anywhere in the search space. Where a change makes other parameters active or inactive, this is
    part of it; a change of an inactive parameter has no effect. The trials of repeated runs are
    pooled.
    """
    study = group.jobs[0].study
    trials = [trial for job in group.jobs for trial in eligible_trials(job.trials)]
    shares = explained = None
    if len(trials) >= MIN_TRIALS:
        shares, explained = _shares(study, trials, index)
    used = min(1.0, _MAX_TRIALS / len(trials)) if trials else 1.0
    metric = study.objectives[index].metric
    return Importance(group.label, metric, len(trials), used, shares, explained)


def valid_values(space: Space, parameters: Assignment) -> Iterator[tuple[Node, Value]]:
    """Yield the values of a trial's active parameters, except those outside the search space."""
    for node in space.active_nodes(parameters):
        if node.name in parameters:
            value = match_value(node.parameter, parameters[node.name])
            if value is not None:
                yield node, value


def _shares(
    study: Study, trials: Sequence[Trial], index: int
) -> tuple[dict[str, float] | None, float | None]:
    import numpy as np

    from cloudtune.comparison.forest import fit_forest

    space = Space.from_study(study)
    encoding = Encoding(build_axes(space))
    if not encoding.columns:
        return None, None
    ordered = sorted(trials, key=lambda trial: _objective(trial, index))
    count = min(len(ordered), _MAX_TRIALS)
    chosen = [ordered[i * (len(ordered) - 1) // max(1, count - 1)] for i in range(count)]
    values = np.array([_objective(trial, index) for trial in chosen])
    if values[0] == values[-1]:
        return None, None
    # Ranks, because a few very bad trials would determine everything. Equal values have one rank.
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts + 1) / 2)[inverse] / len(values)
    rows = np.array([encoding.encode(_within(space, trial)) for trial in chosen])
    orders = _category_orders(encoding, rows, ranks)
    rng = np.random.default_rng(_SEED)
    forest = fit_forest(_prepare(rows, orders), ranks, rng)
    if forest.explained < MIN_EXPLAINED:
        return None, max(0.0, forest.explained)
    base, other = (encoding.sample_unmasked(rng, _SAMPLES) for _ in range(2))
    expected = forest.predict(_prepare(encoding.mask_inactive(base.copy()), orders))
    effects: list[float] = []
    for column in range(len(encoding.columns)):
        changed = base.copy()
        changed[:, column] = other[:, column]
        masked = _prepare(encoding.mask_inactive(changed), orders)
        effects.append(float(np.mean((forest.predict(masked) - expected) ** 2)))
    total = sum(effects)
    if not total:
        return None, max(0.0, forest.explained)
    keys = [column.axis.node.key for column in encoding.columns]
    shares = {key: effect / total for key, effect in zip(keys, effects, strict=True)}
    return shares, forest.explained


def _objective(trial: Trial, index: int) -> float:
    assert trial.objective is not None
    return trial.objective[index]


def _within(space: Space, trial: Trial) -> dict[str, Value]:
    return {node.name: value for node, value in valid_values(space, trial.parameters)}


def _category_orders(encoding: Encoding, rows: Rows, ranks: Rows) -> dict[int, Rows]:
    """Return a new number for each category by column, so that one split can separate them."""
    import numpy as np

    orders: dict[int, Rows] = {}
    for index, column in enumerate(encoding.columns):
        if column.categories:
            of_category = [rows[:, index] == number for number in range(column.categories)]
            means = np.array([ranks[m].mean() if m.any() else 0.5 for m in of_category])
            orders[index] = means.argsort().argsort().astype(float)
    return orders


def _prepare(rows: Rows, orders: dict[int, Rows]) -> Rows:
    """Return rows for the forest: categories in order, inactive parameters below all values."""
    import numpy as np

    prepared = np.where(np.isnan(rows), _INACTIVE, rows)
    for index, order in orders.items():
        active = prepared[:, index] >= 0
        prepared[active, index] = order[prepared[active, index].astype(int)]
    return prepared
