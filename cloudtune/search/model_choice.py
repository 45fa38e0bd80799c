"""The trial that a model of all trials would take instead of the best one.

The best of many noisy trials is also a lucky one. The posterior mean of a Gaussian process weighs
each value with those of similar settings, so the trial with the best mean is often truly better.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cloudtune.results.model import Trial, best_trial
from cloudtune.study.study import Study

_LIKELY = 0.6
"""The least probability of a choice, by the model, which is too sure: of those above it, somewhat
more than half are truly better."""
_MIN_TRIALS = 20
"""With fewer trials, the choice is hardly better than the best trial on average."""


@dataclass(frozen=True)
class ModelChoice:
    """A trial that a model of all trials prefers to the best one."""

    number: int
    value: float
    """The objective that it measured."""


def model_choice(study: Study, trials: Iterable[Trial]) -> ModelChoice | None:
    """Return the trial of a job that the model would take; None if that is the best one itself.

    Also None with several objectives, with fewer than 20 completed trials, if the model knows too
    little, and if the trial is better with a probability below 60 %.
    """
    measured = [each for each in trials if each.state == "completed" and each.objective]
    amount = max((each.resource or 0 for each in measured), default=0)
    measured = [each for each in measured if (each.resource or 0) == amount]
    if len(study.objectives) != 1 or len(measured) < _MIN_TRIALS:
        return None
    best = best_trial(measured, study.objectives[0].goal)
    if best is None:
        return None
    from cloudtune.search.surrogate import fit_surrogate

    model = fit_surrogate(study, [*(each for each in measured if each is not best), best])
    found = model.choose(best.number) if model and model.is_reliable else None
    if found is None or found[1] < _LIKELY:
        return None
    trial = found[0]
    return ModelChoice(trial.number, (trial.objective or (0.0,))[0])
