"""Strategy `bayesian`: a model of the trials so far chooses the next one.

- `tpe` (the default): Optuna's tree-structured Parzen estimator, in groups of parameters that are
  active together; several objectives too.
- `gp`: Optuna's Gaussian process.
- `cmaes`: Optuna's CMA-ES. Categorical parameters are drawn by chance; earlier runs and initial
  trials do not guide it, since it learns from its own generations only.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from cloudtune.errors import MissingExtraError
from cloudtune.search.assignments import Observation
from cloudtune.search.axes import Axis
from cloudtune.search.model_search import ModelSearch, SamplerKind
from cloudtune.study import Study


def bayesian(
    study: Study,
    axes: Sequence[Axis],
    seed: int,
    method: str = "tpe",
    prior: Sequence[Observation] = (),
) -> ModelSearch:
    """Return the strategy.

    Raises:
        MissingExtraError: If the method needs a package that is not installed.
    """
    from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler

    def tpe(seed: int) -> BaseSampler:
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    def gp(seed: int) -> BaseSampler:
        return GPSampler(seed=seed, warn_independent_sampling=False)

    def cmaes(seed: int) -> BaseSampler:
        return CmaEsSampler(seed=seed, warn_independent_sampling=False)

    if method == "gp":
        _need("strategy.method gp", "gp", "torch", "scipy")
        kind = SamplerKind(gp)
    elif method == "cmaes":
        _need("strategy.method cmaes", "samplers", "cmaes")
        kind = SamplerKind(cmaes)
    else:
        kind = SamplerKind(tpe, knows_conditions=True)
    return ModelSearch(study, axes, seed, kind, prior)


def _need(what: str, extra: str, *packages: str) -> None:
    if not all(find_spec(package) for package in packages):
        raise MissingExtraError(what, extra)
