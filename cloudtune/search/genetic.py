"""Strategy `genetic`: generations of trials that are bred from the best ones before.

`nsga2` (the default) and `nsga3` of Optuna, for one or several objectives. A generation has 20
trials: with Optuna's 50, a hundred trials are hardly better than chance.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloudtune.search.assignments import Observation
from cloudtune.search.axes import Axis
from cloudtune.search.model_search import ModelSearch, SamplerKind
from cloudtune.study import Study

_GENERATION = 20


def genetic(
    study: Study,
    axes: Sequence[Axis],
    seed: int,
    method: str = "nsga2",
    prior: Sequence[Observation] = (),
) -> ModelSearch:
    """Return the strategy. Initial trials and earlier runs belong to its first generation."""
    from optuna.samplers import BaseSampler, NSGAIIISampler, NSGAIISampler

    def nsga2(seed: int) -> BaseSampler:
        return NSGAIISampler(seed=seed, population_size=_GENERATION)

    def nsga3(seed: int) -> BaseSampler:
        return NSGAIIISampler(seed=seed, population_size=_GENERATION)

    name = "NSGAIIISampler" if method == "nsga3" else "NSGAIISampler"
    kind = SamplerKind(nsga3 if method == "nsga3" else nsga2, first_notes={f"{name}:generation": 0})
    return ModelSearch(study, axes, seed, kind, prior)
