"""Rules of Vertex AI's tuner: its metrics, limits and early stopping."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.formats import count_combinations
from cloudtune.provider import Facts, Finding, Note, Study
from cloudtune.provider.lookup import uses_launcher
from cloudtune_vertex.request.study_part import max_trials

MAX_COUNT = 2**31 - 1
"""Counts of trials are int32, in TYPES."""
HYPERTUNE_FIELDS = frozenset({"checkpoint_path", "global_step", "timestamp", "trial"})
"""The fields next to a metric in a line of the file of metrics, as cloudml-hypertune writes it."""


def tuning_rules(study: Study, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the findings and notes on the tuner."""
    yield from study_rules(study, launched=uses_launcher(study, facts))
    if max_trials(study) is None:
        reason = "Vertex AI requires the number of trials: set max_trials"
        yield Finding("refused", "limits.max_trials", reason)
    if study.limits.max_failed_trials is None:
        text = (
            "without a number of failed trials, maxFailedTrialCount is the number of all trials, "
            "since Vertex AI's default ends the job when its first trial fails"
        )
        yield Note("limits.max_failed_trials", text)
    yield from _enforced_limits(study)


def study_rules(study: Study, *, launched: bool) -> Iterator[Finding | Note]:
    """Yield what the tuner does differently, in a plan and in an export.

    Args:
        study: The fitted study.
        launched: Whether cloudtune's launcher starts the code.
    """
    yield from _metrics(study, launched=launched)
    yield from _max_trials(study)
    yield from _large_limits(study)
    if study.early_stopping:
        text = (
            "Vertex AI's median rule, by the reported steps: it stops a trial whose best objective "
            "is below the median of the other trials' running averages"
        )
        yield Note("early_stopping", text)


def trial_timeout_note(study: Study) -> Iterator[Note]:
    """Yield a note if the study does not limit the duration of a trial."""
    if study.limits.trial_timeout is None:
        yield Note("limits.trial_timeout", "Vertex AI ends a trial after 7 days by default")


def _metrics(study: Study, *, launched: bool) -> Iterator[Finding | Note]:
    for index, objective in enumerate(study.objectives):
        path = study.objective_path(index)
        if re.search(r"\s", objective.metric):
            yield Finding("refused", f"{path}.metric", "a metric's name must have no spaces")
        elif objective.metric in HYPERTUNE_FIELDS:
            reason = (
                f"{objective.metric} is another field of the file from which tuning jobs read "
                "metrics, in the format of cloudml-hypertune 0.1.0.dev6: rename it"
            )
            yield Finding("refused", f"{path}.metric", reason)
        selection = study.objectives[0].select
        # The launcher reports only the value that counts.
        if objective.select != selection and not launched:
            reason = (
                f"a tuning job has one selection for all objectives: the first one's, {selection}; "
                "the results use the selection of the study"
            )
            yield Finding("approximated", f"{path}.select", reason)
    if len(study.objectives) > 1:
        yield Note("objective", "several objectives in a tuning job were not verified live")


def _max_trials(study: Study) -> Iterator[Finding | Note]:
    path, limit = "limits.max_trials", study.limits.max_trials
    number, size = max_trials(study), count_combinations(study)
    if number is not None and number > MAX_COUNT:
        reason = f"{number:,} trials: Vertex AI allows at most {MAX_COUNT:,}"
        yield Finding("refused", path, reason)
    if size is None:
        return
    if study.strategy.name != "grid":
        if limit is not None and limit > size:
            text = f"there are {size} combinations: Vertex AI may repeat some of them"
            yield Note(path, text)
    elif limit is None or limit == size:
        yield Note(path, f"the grid has {size} trials")
    elif limit > size:
        yield Note(path, f"the grid has only {size} trials")
    else:
        reason = f"Vertex AI chooses which {limit} of the grid's {size} trials run"
        yield Finding("approximated", path, reason)


def _large_limits(study: Study) -> Iterator[Finding]:
    limits = study.limits
    for name in ("parallel_trials", "patience"):
        number = getattr(limits, name)
        if number and number > MAX_COUNT:
            reason = f"{number:,}: Vertex AI allows at most {MAX_COUNT:,}"
            yield Finding("refused", f"limits.{name}", reason)
    if limits.patience and len(study.objectives) > 1:
        reason = "Vertex AI supports this only with one objective"
        yield Finding("dropped", "limits.patience", reason)


def _enforced_limits(study: Study) -> Iterator[Note]:
    limits = study.limits
    if limits.timeout:
        text = (
            "while cloudtune is running, it cancels the job at this time; otherwise Vertex AI only "
            "checks it before it starts a trial, and whether tuning jobs do was not verified live"
        )
        yield Note("limits.timeout", text)
    if limits.patience and len(study.objectives) == 1:
        text = (
            "while cloudtune is running, it cancels the job at this limit; whether tuning jobs "
            "apply it, as studies of Vizier do, was not verified live"
        )
        yield Note("limits.patience", text)
    yield from trial_timeout_note(study)
