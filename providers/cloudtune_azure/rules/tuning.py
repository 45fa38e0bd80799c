"""What a sweep does differently from a study: the same for a run and for an export."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.provider import Finding, FittedStudy, FloatParameter, IntParameter, Note
from cloudtune_azure.native.names import LIMITS, WORDS

_NAME = re.compile(r"\w+")
_MAX_INTEGER = 2**53


def study_rules(fitted: FittedStudy, *, unit: int = 1) -> Iterator[Finding | Note]:
    """Yield the findings.

    Args:
        fitted: The study.
        unit: The unit of limits of time in seconds.
    """
    study = fitted.study
    strategy = study.strategy
    if strategy.name != "random" and strategy.seed is not None:
        yield Finding("dropped", "strategy.seed", f"Azure has no seed for {strategy.name}")
    for name in LIMITS:
        seconds = getattr(study.limits, name)
        if seconds is not None and seconds % unit:
            text = f"Azure takes whole {'minutes' if unit == 60 else 'seconds'}; rounded up"
            yield Finding("approximated", f"limits.{name}", text)
    if study.limits.max_trials is None and unit == 1:
        yield Note("limits.max_trials", "absent: Azure needs max_total_trials; set it", "warning")
    stopping = study.early_stopping
    for name in ("min_step", "interval") if stopping else ():
        if (getattr(stopping, name) or 1) > 1:
            # "Each time the training script logs the primary metric counts as one interval"
            # (learn.microsoft.com, how-to-tune-hyperparameters, read 2026-12-01).
            text = "Azure counts the reports of the metric, not their steps"
            yield Note(f"early_stopping.{name}", text)
    if strategy.name == "bayesian":
        yield from _bayesian(fitted)


def rounded(fitted: FittedStudy) -> Iterator[Finding]:
    """Yield the ranges whose ends are drawn less often than other values.

    "QUniform(min_value, max_value, q): Returns a value like round(Uniform(min_value, max_value) /
    q) * q" (learn.microsoft.com, how-to-tune-hyperparameters, read 2026-12-01). A range that is
    half a step wider would be even, but its values would be others if the service counts steps
    from min_value. No recording has one.
    """
    if fitted.study.strategy.name != "random":
        return
    for path, parameter in fitted.sent.items():
        if not isinstance(parameter, FloatParameter | IntParameter):
            continue
        is_int = isinstance(parameter, IntParameter)
        if parameter.step is None and not (is_int and (parameter.min or parameter.scale == "log")):
            continue  # uniform, loguniform or randint
        reason = (
            "Azure rounds, which draws both ends about half as often as the values between; "
            "a categorical parameter draws all alike"
        )
        yield Finding("approximated", path, reason)


def _integers(fitted: FittedStudy) -> Iterator[Finding]:
    """Yield the integers that JSON's floating-point numbers, and so the tags, may not keep."""
    for path, parameter in fitted.sent.items():
        bounds = (parameter.min, parameter.max) if isinstance(parameter, IntParameter) else ()
        if any(abs(bound) > _MAX_INTEGER for bound in bounds):
            yield Finding("refused", path, "Azure rounds integers above 2^53")


def _bayesian(fitted: FittedStudy) -> Iterator[Finding]:
    """Yield what Bayesian sampling does not support.

    "Bayesian sampling only supports choice(), uniform(), and quniform()", and "does not support any
    early termination policy" (azuremlsdk, bayesian_parameter_sampling, read 2026-11-30).
    """
    for path, parameter in fitted.sent.items():
        if isinstance(parameter, FloatParameter | IntParameter) and parameter.scale == "log":
            reason = "Azure's bayesian search has no log scale: choose linear, or random search"
            yield Finding("refused", f"{path}.scale", reason)
    if fitted.study.early_stopping is not None:
        reason = "Azure's bayesian search may stop no trial early: its older reference says so"
        yield Finding("approximated", "early_stopping", reason)


def tuning_rules(fitted: FittedStudy) -> Iterator[Finding | Note]:
    """Yield the findings and notes on a sweep that cloudtune runs."""
    yield from study_rules(fitted)
    yield from rounded(fitted)
    yield from _integers(fitted)
    if note := WORDS.automatic_note(fitted.study.early_stopping, "Azure"):
        yield note
    if fitted.study.limits.trial_timeout is not None:
        text = "Azure cancels the trial; whether the time in the queue counts is not verified"
        yield Note("limits.trial_timeout", text)
    for name in fitted.study.parameters:
        if _NAME.fullmatch(name.replace(".", "")) is None:
            text = (
                "Azure's names have letters, digits and _; whether it takes others is not verified"
            )
            yield Note(f"parameters.{name}", text)
