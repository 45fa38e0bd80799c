"""Rules of Vertex AI's own tuner: its metrics, strategies, limits and early stopping."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, FittedStudy, Note, Study, uses_launcher
from cloudtune_vertex.request import most_trials
from cloudtune_vertex.request.parameters import combinations

LARGEST_COUNT = 2**31 - 1
"""Counts of trials are int32, in TYPES."""
NOT_METRICS = frozenset({"checkpoint_path", "global_step", "timestamp", "trial"})
"""What stands beside a metric in a line of the file of metrics, as cloudml-hypertune writes it."""


def tuning_rules(fitted: FittedStudy, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what the tuner refuses or does otherwise, or what is worth knowing of it."""
    study = fitted.study
    yield from _metrics(study, exact=uses_launcher(study, facts))
    yield from _number_of_trials(fitted)
    yield from _failures(study)
    yield from _other_limits(study)
    yield from _early_stopping(study)


def _metrics(study: Study, *, exact: bool) -> Iterator[Finding | Note]:
    """Yield what is wrong with the objectives; ``exact``: the launcher says which value counts."""
    several = len(study.objectives) > 1
    for place, objective in enumerate(study.objectives):
        path = f"objective.{place}" if several else "objective"
        if re.search(r"\s", objective.metric):
            reason = "Vertex AI's names of metrics have no spaces; rename it"
            yield Finding("refused", f"{path}.metric", reason)
        elif objective.metric in NOT_METRICS:
            reason = (
                "in the file by which a tuning job is told its metrics, as cloudml-hypertune "
                f"0.1.0.dev6 writes it, {objective.metric} stands for something else; rename it"
            )
            yield Finding("refused", f"{path}.metric", reason)
        if objective.select != study.objectives[0].select and not exact:
            reason = (
                f"a tuning job has one way to select: {study.objectives[0].select}, of the first "
                "objective; the results still say the one asked for"
            )
            yield Finding("approximated", f"{path}.select", reason)
    if several:
        yield Note("objective", "several objectives in a tuning job were not verified live")


def _number_of_trials(fitted: FittedStudy) -> Iterator[Finding | Note]:
    study, path = fitted.study, "limits.max_trials"
    wanted, most = study.limits.max_trials, most_trials(study)
    if most is None:
        reason = "Vertex AI needs to know how many trials: give max_trials"
        yield Finding("refused", path, reason)
    elif most > LARGEST_COUNT:
        reason = f"{most:,} trials, and Vertex AI counts to {LARGEST_COUNT:,}"
        yield Finding("refused", path, reason)
    size = combinations(study)
    if size is None:
        return
    if study.strategy.name == "grid":
        if wanted is not None and wanted > size:
            yield Note(path, f"the grid has {size} trials, which are asked for")
        elif wanted is not None and wanted < size:
            reason = f"Vertex AI itself chooses which {wanted} of the grid's {size} trials run"
            yield Finding("approximated", path, reason)
        else:
            yield Note(path, f"the grid's {size} trials are asked for")
    elif wanted is not None and wanted > size:
        text = f"there are {size} combinations: Vertex AI may try some of them again"
        yield Note(path, text)


def _failures(study: Study) -> Iterator[Note]:
    if study.limits.max_failed_trials is None:
        text = (
            "no number of failed trials ends the job, as the study says none: maxFailedTrialCount "
            "is all of them, since Vertex AI otherwise ends a job whose first trial fails"
        )
        yield Note("limits.max_failed_trials", text)


def _other_limits(study: Study) -> Iterator[Finding | Note]:
    limits = study.limits
    for name in ("parallel_trials", "patience"):
        wanted = getattr(limits, name)
        if wanted and wanted > LARGEST_COUNT:
            reason = f"{wanted:,}, and Vertex AI counts to {LARGEST_COUNT:,}"
            yield Finding("refused", f"limits.{name}", reason)
    if limits.patience and len(study.objectives) > 1:
        reason = "Vertex AI heeds this for one objective alone"
        yield Finding("dropped", "limits.patience", reason)
    if limits.timeout:
        reason = (
            "Vertex AI looks at this before a new trial alone, and stops then what still runs: the "
            "job may take longer by what a trial takes; that tuning jobs keep it at all was not "
            "verified live"
        )
        yield Finding("approximated", "limits.timeout", reason)
    if limits.patience and len(study.objectives) == 1:
        text = "that tuning jobs keep it, as studies of Vizier do, was not verified live"
        yield Note("limits.patience", text)
    if limits.trial_timeout is None:
        yield Note("limits.trial_timeout", "a trial ends after 7 days, if nothing else is said")


def _early_stopping(study: Study) -> Iterator[Finding | Note]:
    stopping = study.early_stopping
    if stopping is None:
        return
    for name in ("min_step", "interval", "min_trials"):
        if getattr(stopping, name) is not None:
            reason = "Vertex AI's median rule decides this itself"
            yield Finding("dropped", f"early_stopping.{name}", reason)
    text = (
        "Vertex AI's median rule, by the steps that are reported: a trial is stopped if its best "
        "objective is below the median of the others' running averages"
    )
    yield Note("early_stopping", text)
