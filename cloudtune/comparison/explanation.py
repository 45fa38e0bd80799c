"""What a search believes after its trials, and why it chose one of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from cloudtune.comparison.bounds import BoundHit, bounds_of_best
from cloudtune.comparison.curves import eligible_trials
from cloudtune.comparison.left import Left, what_is_left
from cloudtune.confirmation.analysis import ConfirmationResult, analyze
from cloudtune.confirmation.choice import decisive
from cloudtune.errors import UsageError
from cloudtune.results.aggregate import count_states, failure_reason, failures_by_cause
from cloudtune.results.model import StudyResult, Trial, encode_json
from cloudtune.results.outcomes import describe_broken
from cloudtune.search.model_choice import ModelChoice, model_choice
from cloudtune.search.surrogate import MIN_TRIALS, Checked, Prediction, Surrogate, fit_surrogate
from cloudtune.study.quantities import format_count
from cloudtune.study.search_space import Value

FORMAT: Literal["cloudtune.explanation/v1"] = "cloudtune.explanation/v1"
_MAX_TRIALS, _MAX_SURPRISES, _MAX_CAUSES, _MAX_BOUNDS = 3, 5, 5, 5
_MAX_WHY, _MAX_REASON = 200, 120
_MAX_TOKENS = 1_900
_TOKEN = re.compile(r"[^\sA-Za-z0-9]?[A-Za-z]{1,5}|[0-9]{1,3}| ?[^\sA-Za-z0-9]{1,3}|\s+")
"""What is counted as a token: tokenizers split digits in threes, and words where they must."""


@dataclass(frozen=True)
class TopTrial:
    """A measured trial and what the others predict for it."""

    number: int
    value: float
    predicted: Checked | None
    parameters: Mapping[str, Value] | None
    why: str
    """Why it was proposed, shortened."""


@dataclass(frozen=True)
class Taken:
    """The setting that a confirmation takes."""

    label: str
    mean: float
    low: float | None
    """The bounds of the 95 % interval of its mean; None if they are unknown."""
    high: float | None
    seeds: int
    parameters: Mapping[str, Value]


@dataclass(frozen=True)
class Fit:
    """How well the model predicts each trial from all others."""

    trials: int
    rank_correlation: float
    """Spearman's, of predicted and measured values: 1 if their orders agree, 0 if by chance."""
    reliable: bool
    """Whether the order agrees by more than chance, so that a best assignment is predicted."""
    within_interval: float
    """The share of the measured values in their 95 % intervals."""
    surprises: tuple[Checked, ...]
    """Those that are furthest outside, the worst first."""


@dataclass(frozen=True)
class Cause:
    """A cause of failures."""

    trials: int
    first: int
    reason: str
    """That of the first trial, shortened."""


@dataclass(frozen=True)
class Explanation:
    """What the trials of one job make one believe."""

    run: str
    provider: str
    metric: str
    goal: str
    strategy: str
    trials: Mapping[str, int]
    """The number of trials in each state."""
    broken: int
    """The number of trials that break a constraint on metrics. The model learns from them, too."""
    best: tuple[TopTrial, ...]
    """The best trials of the search, the best first; none for a confirmation."""
    decision: str
    """What the confirmations say about the best trial; empty if they say nothing."""
    take: Taken | None
    """The setting to take, if the job is a confirmation."""
    fit: Fit | None
    """None if there are too few trials for a model, as are the predictions."""
    model_choice: ModelChoice | None
    """The trial that the model would take instead of the best one; None after a confirmation."""
    predicted_best: Prediction | None
    """The assignment with the best predicted value, tried or not; None if the model knows too
    little. Its mean and interval allow for having been chosen as the best of many."""
    least_certain: Prediction | None
    """The assignment of whose value the model knows least."""
    failures: tuple[Cause, ...]
    noise_floor: float | None
    """How far two runs of one setting are apart by chance; None if no confirmation measured it."""
    confirmed: bool
    """Whether a confirmation of the job was started, or the job is one."""
    at_bounds: tuple[BoundHit, ...]
    left: Left
    checked: Annotated[tuple[Checked, ...], Field(exclude=True)] = ()
    """All measured trials, for the plot; not in the JSON."""
    format: Literal["cloudtune.explanation/v1"] = FORMAT

    def to_json(self) -> str:
        """Return the explanation as short JSON, with numbers but parameters rounded to five digits.

        If it would have more than about 2,000 tokens, these are left out, one after the other: the
        parameters of the best trials but the first, the surprises, the least certain assignment,
        the parameters of the first, and the predicted best.
        """
        bare = tuple(replace(each, parameters=None) for each in self.best)
        changes: tuple[dict[str, Any], ...] = (
            {"checked": ()},
            {"best": (*self.best[:1], *bare[1:])},
            {"fit": self.fit and replace(self.fit, surprises=())},
            {"least_certain": None},
            {"best": bare},
            {"predicted_best": None},
        )
        found, text = self, ""
        for change in changes:
            found = replace(found, **change)
            text = encode_json(_rounded(found))
            if len(_TOKEN.findall(text)) <= _MAX_TOKENS:
                break
        return text


@dataclass(frozen=True)
class TrialExplanation:
    """Why a search chose a trial, and what it expected."""

    run: str
    provider: str
    number: int
    state: str
    parameters: Mapping[str, Value]
    value: float | None
    origin: str
    """Who or what chose it."""
    expected: Prediction | None
    """What the trials that had ended before it started predict that it measures."""
    best_before: float | None
    """The best value of those trials."""
    learned_from: int
    """How many trials those were."""
    not_expected: str = ""
    """Why nothing was expected; empty if something was."""
    reason: str = ""
    """Why it failed, was cancelled or stopped early, or what it waits for; else empty."""
    breaks: str = ""
    """The constraints on metrics that it breaks, with what it measured; empty if none."""
    format: Literal["cloudtune.explanation/v1"] = FORMAT

    def to_json(self) -> str:
        """Return the explanation as JSON, with numbers but parameters rounded to five digits."""
        return encode_json(_rounded(self))


def explain(
    job: StudyResult,
    confirmations: Sequence[ConfirmationResult] = (),
    *,
    jobs: Sequence[StudyResult] = (),
    now: float | None = None,
) -> Explanation:
    """Return what the trials of a job make one believe.

    Args:
        job: The job, with one objective.
        confirmations: What runs found that confirm it, for the noise floor.
        jobs: All jobs of its run, which share its budget; by default, it is the only one.
        now: The time of the clock if a process runs the job, or its service does; else None.

    Raises:
        UsageError: If the study has several objectives.
    """
    if len(job.study.objectives) != 1:
        raise UsageError(f"run {job.run} has several objectives: explain one of its trials")
    objective = job.study.objectives[0]
    failed = [trial for trial in job.trials if trial.state == "failed"]
    model = fit_surrogate(job.study, eligible_trials(job.trials, may_break=True), failed)
    checked = {each.number: each for each in (model.check() if model else ())}
    found = analyze(job)
    ordered = sorted(
        eligible_trials(job.trials) if found is None else (), key=lambda trial: _loss(job, trial)
    )
    predicted_best, least_certain = model.explore() if model else (None, None)
    own = [c for c in confirmations if (c.confirms, c.searched_on) == (job.run, job.provider)]
    by = job.decision.by if job.decision else None
    is_alike = all(c.metric == objective.metric for c in own if (c.run, c.provider) == by)
    bounds = bounds_of_best(job.study, job.best, ordered) if is_alike else ()
    decides = found or decisive([each for each in own if each.metric == objective.metric])
    return Explanation(
        run=job.run,
        provider=job.provider,
        metric=objective.metric,
        goal=objective.goal,
        strategy=_chooser(job),
        trials=dict[str, int](count_states(job.trials).items()),
        broken=sum(bool(trial.broken) for trial in job.trials),
        take=_taken(found) if found else None,
        best=tuple(
            TopTrial(
                trial.number,
                _value(trial),
                checked.get(trial.number),
                trial.parameters,
                _shortened(trial.why, _MAX_WHY),
            )
            for trial in ordered[:_MAX_TRIALS]
        ),
        decision=job.decision.reason if job.decision else "",
        fit=_fit([*checked.values()], model) if model else None,
        model_choice=None if job.decision or decides else model_choice(job.study, job.trials),
        predicted_best=predicted_best,
        least_certain=least_certain,
        failures=tuple(_causes(job)),
        noise_floor=decides.noise_floor if decides else None,
        confirmed=bool(own) or job.confirmation is not None,
        at_bounds=bounds[:_MAX_BOUNDS],
        left=what_is_left(job, jobs or [job], now),
        checked=tuple(checked.values()),
    )


def explain_trial(
    job: StudyResult, number: int, origins: Mapping[int, str] = MappingProxyType({})
) -> TrialExplanation:
    """Return why a job's trial was chosen.

    Args:
        job: The job.
        number: The number of the trial.
        origins: What the strategy told of who or what chose each trial, by number.

    Raises:
        UsageError: If there is no such trial.
    """
    trial = next((each for each in job.trials if each.number == number), None)
    if trial is None:
        raise UsageError(f"there is no trial {number!r}; `cloudtune results` lists the trials")
    start = math.inf if trial.created is None else trial.created
    before = [
        each
        for each in eligible_trials(job.trials, may_break=True)
        if each.number < number and each.ended is not None and each.ended <= start
    ]
    model = fit_surrogate(job.study, before)
    is_single = len(job.study.objectives) == 1
    kept = [each for each in before if not each.broken] if is_single else []
    best = min(kept, key=lambda each: _loss(job, each), default=None)
    expected = model.predict(trial.parameters) if model else None
    return TrialExplanation(
        run=job.run,
        provider=job.provider,
        number=trial.number,
        state=trial.state,
        parameters=trial.parameters,
        value=_value(trial) if is_single and trial.objective is not None else None,
        origin=_origin(job, trial, origins.get(number, "")),
        expected=expected,
        best_before=_value(best) if best else None,
        learned_from=len(before),
        not_expected="" if expected else _not_expected(job, before, model),
        reason=failure_reason(trial) if trial.state == "failed" else trial.reason,
        breaks=describe_broken(job.study, trial),
    )


def _chooser(job: StudyResult) -> str:
    if job.confirmation:
        return f"the confirmation of run {job.confirmation.run}"
    return job.study.strategy.name if job.mode == "driven" else "the service's tuner"


def _taken(found: ConfirmationResult) -> Taken | None:
    each = found.taken
    if each is None or each.confirmed is None:
        return None
    mean = each.confirmed
    label = each.label if each.number is None else f"{each.label} of run {found.confirms}"
    return Taken(label, mean.mean, mean.low, mean.high, each.seeds, each.parameters)


def _not_expected(job: StudyResult, before: Sequence[Trial], model: Surrogate | None) -> str:
    count = f"{format_count(len(before), 'trial')} of this run"
    if len(job.study.objectives) > 1:
        return "the study has several objectives, and the model predicts only one"
    if model:
        return "its parameters are not in the search space"
    if len(before) < MIN_TRIALS:
        return f"{count} had ended with a result before, and the model needs {MIN_TRIALS}"
    return f"the {count} that had ended before had too few different parameters or values"


def _origin(job: StudyResult, trial: Trial, told: str) -> str:
    """Return who or what chose a trial, as the strategy has told it; no guess where it has not."""
    if trial.proposal:
        why = _shortened(trial.why, _MAX_WHY)
        origin = f"it was proposed from outside{f': {why}' if why else ''}"
    elif job.mode == "managed":
        origin = f"the tuner of {job.provider} chose it, and does not say why"
    elif trial.seed is not None:
        origin = "it repeats a candidate with a seed, to confirm it"
    else:
        origin = told or f"the strategy {job.study.strategy.name} chose it"
    if trial.replaces is None:
        return origin
    return f"it repeats trial {trial.replaces}, which was interrupted; of that one, {origin}"


def _fit(checked: Sequence[Checked], model: Surrogate) -> Fit:
    inside = sum(not each.is_surprise for each in checked)
    surprises = sorted((each for each in checked if each.is_surprise), key=_distance, reverse=True)
    return Fit(
        trials=len(checked),
        rank_correlation=model.rank_correlation,
        reliable=model.is_reliable,
        within_interval=inside / len(checked),
        surprises=tuple(surprises[:_MAX_SURPRISES]),
    )


def _distance(each: Checked) -> float:
    """Return how many widths of its interval a value is from the prediction."""
    return abs(each.measured - each.predicted) / ((each.high - each.low) or 1.0)


def _causes(job: StudyResult) -> Iterator[Cause]:
    for cause in failures_by_cause([job])[:_MAX_CAUSES]:
        yield Cause(cause.count, cause.first.number, _shortened(cause.reason, _MAX_REASON))


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _loss(job: StudyResult, trial: Trial) -> float:
    return (-1 if job.study.objectives[0].goal == "maximize" else 1) * _value(trial)


def _value(trial: Trial) -> float:
    return (trial.objective or (math.nan,))[0]


def _rounded(value: Any) -> Any:
    """Return data as maps and lists without empty entries, and rounded except for parameters."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, BoundHit):
        return {name: each for name, each in vars(value).items() if each is not None}
    if isinstance(value, tuple | list):
        return [_rounded(each) for each in cast("Sequence[Any]", value)]
    if is_dataclass(value) or isinstance(value, Mapping):
        entries = cast("Mapping[str, Any]", value if isinstance(value, Mapping) else vars(value))
        return {
            name: each if name == "parameters" else _rounded(each)
            for name, each in entries.items()
            if each not in (None, (), "")
        }
    return value
