"""Strategy `bayesian`: models of the trials so far choose the next one.

Without a method two models take turns. A Gaussian process, which learns more from few trials,
chooses three trials in four; Optuna's tree-structured Parzen estimator, which costs less and errs
in other ways, the fourth. After the first 250 trials they choose every other one. Several
objectives are left to the estimator alone.

- `gp`: the Gaussian process alone; several objectives are mixed by weights that change by chance.
- `tpe`: Optuna's estimator alone, in groups of parameters that are active together.
- `cmaes`: Optuna's CMA-ES. Categorical parameters are drawn by chance; earlier runs and initial
  trials do not guide it, since it learns from its own generations only.

However many trials there are, both models look at a bounded part of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from cloudtune.errors import MissingExtraError
from cloudtune.results.events import Event
from cloudtune.search.axes import Axis
from cloudtune.search.optuna_search import OptunaSearch, SamplerSpec
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.search.sampling import PriorTrial
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.search.gp_search import GPSearch

_MANY = 250
"""From how many trials on the two models choose alike."""
_FEW = 12
"""Before so many were measured the estimator has nothing to go by, and draws by chance."""

_TPE_SEES = 70
"""How many of the best trials, of the last and of a sample Optuna's estimator looks at."""


def make_bayesian_strategy(
    study: Study,
    axes: Sequence[Axis],
    seed: int,
    method: str | None = None,
    prior: Sequence[PriorTrial] = (),
) -> Strategy:
    """Return the strategy.

    Raises:
        MissingExtraError: If the method needs a package that is not installed.
    """
    match method:
        case "cmaes":
            return _make_cmaes(study, axes, seed)
        case "gp":
            return _make_gp(study, axes, seed, prior)
        case None if len(study.objectives) == 1:
            return AlternatingSearch(
                _make_gp(study, axes, seed, prior),
                lambda: _make_tpe(study, axes, seed, prior),
            )
        case _:
            return _make_tpe(study, axes, seed, prior)


def describe_models(study: Study) -> str | None:
    """Return which models choose the trials, in words, where a study leaves that to us."""
    strategy = study.strategy
    if strategy.name != "bayesian" or strategy.method is not None:
        return None
    estimator = "a tree-structured Parzen estimator (tpe)"
    if len(study.objectives) > 1:
        return f"{estimator} chooses the trials, since there are several objectives"
    both = f"a Gaussian process (gp) chooses three trials in four, {estimator} the fourth"
    most = study.limits.max_trials
    return both if most is not None and most <= _MANY else f"{both}; after {_MANY} in turns"


class AlternatingSearch:
    """A Gaussian process and another model, told the same events.

    The other one is made when its first turn comes. What it would repeat, the process replaces.
    """

    def __init__(self, first: GPSearch, make_second: Callable[[], Strategy]) -> None:
        self._first = first
        self._make_second = make_second
        self._events: list[Event] = []
        self._second: Strategy | None = None

    def tell(self, event: Event) -> None:
        """Take note of an event."""
        self._first.tell(event)
        if self._second:
            self._second.tell(event)
        else:
            self._events.append(event)

    def ask(self, draw: int) -> Suggestion | Literal["wait", "done"]:
        """Return the draw's trial."""
        known = min(draw, self._first.values)
        if known < _FEW or draw % (4 if draw < _MANY else 2):
            return self._first.ask(draw)
        if self._second is None:
            self._second = self._make_second()
            for event in self._events:
                self._second.tell(event)
            self._events.clear()
        found = self._second.ask(draw)
        if isinstance(found, Suggestion) and self._first.repeats(found.parameters):
            return self._first.ask(draw)
        return found

    def stop_reason(self, number: int) -> None:
        """Stop no trial."""


def _make_gp(
    study: Study, axes: Sequence[Axis], seed: int, prior: Sequence[PriorTrial]
) -> GPSearch:
    from cloudtune.search.gp_search import GPSearch

    return GPSearch(study, axes, seed, prior)


def _make_tpe(
    study: Study, axes: Sequence[Axis], seed: int, prior: Sequence[PriorTrial]
) -> Strategy:
    from optuna.samplers import BaseSampler, TPESampler

    def tpe(seed: int) -> BaseSampler:
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    kind = SamplerSpec(tpe, knows_conditions=True, part_seen=_TPE_SEES)
    return OptunaSearch(study, axes, seed, kind, prior)


def _make_cmaes(study: Study, axes: Sequence[Axis], seed: int) -> Strategy:
    from optuna.samplers import BaseSampler, CmaEsSampler

    if not find_spec("cmaes"):
        raise MissingExtraError("strategy.method cmaes", "samplers")

    def cmaes(seed: int) -> BaseSampler:
        return CmaEsSampler(seed=seed, warn_independent_sampling=False)

    return OptunaSearch(study, axes, seed, SamplerSpec(cmaes))
