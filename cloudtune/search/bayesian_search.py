"""Strategy `bayesian`: models of the trials so far choose the next trial.

Without a method, two models alternate. A Gaussian process, which learns more from few trials,
chooses three trials in four. Optuna's tree-structured Parzen estimator (TPE), which costs less and
makes different errors, chooses the fourth. After 250 trials each chooses every second trial. With
several objectives, each has its own process.

- `gp`: only the Gaussian processes.
- `tpe`: only Optuna's TPE, over groups of parameters that are active together.
- `cost-aware`: only a Gaussian process, which prefers trials that run for a short time.
- `cmaes`: Optuna's CMA-ES. It samples categorical parameters at random, and learns only from its
  own generations: earlier runs and initial trials do not guide it.

The Gaussian process and TPE see a bounded subsample of the trials. With one objective, earlier runs
have processes of their own, and TPE learns from the search's own trials only, since it cannot tell
how far earlier ones are right. Alone, it takes their values as they are, and so do searches with
several objectives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from typing_extensions import override

from cloudtune.errors import MissingExtraError
from cloudtune.results.events import SearchEvent
from cloudtune.search.axes import Axis
from cloudtune.search.bayesian_turns import is_second_turn
from cloudtune.search.optuna_search import OptunaSearch
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.search.sampling import PriorTrial, SearchInputs
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.search.gp_search import GPSearch

_TPE_MIN_MEASURED = 12
"""TPE samples at random until so many trials have been measured, so it gets no turn before."""
_TPE_PART_SIZE = 70
"""The number of the best trials, of the latest and of a sample that TPE sees."""


def build(inputs: SearchInputs) -> Strategy:
    """Return the strategy of a study.

    Raises:
        MissingExtraError: If the method needs a package that is not installed.
    """
    study, prior = inputs.study, inputs.prior
    axes, seed, method = inputs.initial.axes, inputs.initial.seed, study.strategy.method
    if method == "cmaes":
        return _make_cmaes(study, axes, seed)
    if method == "tpe":
        return _make_tpe(study, axes, seed, prior)
    gp = _make_gp(study, axes, seed, prior, counts_time=method == "cost-aware")
    if method:
        return gp
    known = prior if len(study.objectives) > 1 else ()
    return AlternatingSearch(gp, lambda: _make_tpe(study, axes, seed, known))


class AlternatingSearch(Strategy):
    """A Gaussian process and a second model that take turns and see the same events.

    The second model is created for its first turn. The process replaces its repeats.
    """

    def __init__(self, gp: GPSearch, make_second: Callable[[], Strategy]) -> None:
        self._gp = gp
        self._make_second = make_second
        self._second: Strategy | None = None
        self._events: list[SearchEvent] = []
        """The events before the second model exists."""

    @override
    def tell(self, event: SearchEvent) -> None:
        self._gp.tell(event)
        if self._second:
            self._second.tell(event)
        else:
            self._events.append(event)

    @override
    def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
        known = min(index, self._gp.measured_count)
        is_second = is_second_turn(index)
        if known < _TPE_MIN_MEASURED or self._gp.is_uninformed or not is_second:
            return self._gp.ask(index)
        if self._second is None:
            self._second = self._make_second()
            for event in self._events:
                self._second.tell(event)
            self._events.clear()
        suggestion = self._second.ask(index)
        if isinstance(suggestion, Suggestion) and self._gp.tried.is_repeat(suggestion.parameters):
            return self._gp.ask(index)
        return suggestion


def _make_gp(
    study: Study, axes: Sequence[Axis], seed: int, prior: Sequence[PriorTrial], *, counts_time: bool
) -> GPSearch:
    if len(study.objectives) > 1:
        from cloudtune.search.front_search import FrontSearch

        return FrontSearch(study, axes, seed, prior, explores=False)
    if prior:
        from cloudtune.search.warm_search import WarmSearch

        return WarmSearch(study, axes, seed, prior, counts_time=counts_time)
    from cloudtune.search.gp_search import GPSearch

    return GPSearch(study, axes, seed, counts_time=counts_time)


def _make_tpe(
    study: Study, axes: Sequence[Axis], seed: int, prior: Sequence[PriorTrial]
) -> Strategy:
    from optuna.samplers import TPESampler

    create = partial(TPESampler, multivariate=True, group=True, constant_liar=True)
    return OptunaSearch(
        study,
        axes,
        seed,
        create,
        name="the tree-structured Parzen estimator (TPE)",
        handles_conditions=True,
        learns_constraints=True,
        part_size=_TPE_PART_SIZE,
        prior=prior,
    )


def _make_cmaes(study: Study, axes: Sequence[Axis], seed: int) -> Strategy:
    from optuna.samplers import CmaEsSampler

    if not find_spec("cmaes"):
        raise MissingExtraError("strategy.method cmaes", "samplers")
    create = partial(CmaEsSampler, warn_independent_sampling=False)
    return OptunaSearch(study, axes, seed, create, name="the sampler CMA-ES")
