"""The tuning job of the managed mode."""

from __future__ import annotations

from cloudtune.provider import (
    Facts,
    Json,
    Study,
    count_combinations,
    inverse,
    parameter_specs,
    uses_launcher,
)
from cloudtune_vertex.native.names import ALGORITHMS, GOALS, SELECTIONS
from cloudtune_vertex.request.custom_job import encryption, job_spec, set_fields, to_duration
from cloudtune_vertex.request.layout import RUN_LABEL, output_uri
from cloudtune_vertex.settings import VertexSettings

_SELECTIONS = {select: word for word, select in SELECTIONS.items()}
"""By what counts, the word, rather than the one for nothing."""


def tuning_job(study: Study, settings: VertexSettings, facts: Facts) -> Json:
    """Return the HyperparameterTuningJob of a fitted study."""
    return {
        "displayName": facts.job_name,
        "studySpec": _study_spec(study, facts),
        **set_fields(maxTrialCount=max_trials(study)),
        "parallelTrialCount": study.limits.parallel_trials or 1,
        **set_fields(maxFailedTrialCount=_max_failed_trials(study)),
        "trialJobSpec": job_spec(study, settings, facts, output_uri(facts), {}),
        "labels": {**settings.labels, RUN_LABEL: facts.run_id},
        **encryption(settings),
    }


def max_trials(study: Study) -> int | None:
    """Return the number of trials of a fitted study, which Vertex AI requires.

    A grid has at most one trial for each combination. None if the study sets no number.
    """
    size = count_combinations(study) if study.strategy.name == "grid" else None
    numbers = [number for number in (study.limits.max_trials, size) if number is not None]
    return min(numbers, default=None)


def _max_failed_trials(study: Study) -> int | None:
    """Return after how many failed trials the job ends; Vertex AI accepts at most all of them.

    Never 0, with which the service ends a job when its first trial fails.
    """
    trials, tolerated = max_trials(study), study.limits.max_failed_trials
    if tolerated is None:
        return trials
    return tolerated + 1 if trials is None else min(trials, tolerated + 1)


def _study_spec(study: Study, facts: Facts) -> Json:
    objectives, limits = study.objectives, study.limits
    spec: Json = {
        "metrics": [
            {"metricId": objective.metric, "goal": inverse(GOALS, objective.goal)}
            for objective in objectives
        ],
        "parameters": parameter_specs(study),
        "algorithm": _algorithm(study.strategy.name),
        "measurementSelectionType": _SELECTIONS[_selection(study, facts)],
    }
    if study.early_stopping:
        spec["medianAutomatedStoppingSpec"] = {"useElapsedDuration": False}
    stopping: Json = {}
    if limits.timeout:
        stopping["maximumRuntimeConstraint"] = {"maxDuration": to_duration(limits.timeout)}
    if limits.patience and len(objectives) == 1:
        stopping["maxNumTrialsNoProgress"] = limits.patience
    if stopping:
        spec["studyStoppingConfig"] = {"shouldStopAsap": True, **stopping}
    return spec


def _algorithm(name: str) -> str:
    """Return Google's name of a strategy; that of the study for one that is refused."""
    return next((word for word, each in ALGORITHMS.items() if each == name), name)


def _selection(study: Study, facts: Facts) -> str:
    """Return which measurement of a trial counts.

    Google does not document which of several objectives' measurements is the best. So the last one
    counts, in which cloudtune's launcher reports the value that counts of each objective.
    """
    selections = [objective.select for objective in study.objectives]
    if len(selections) > 1 and uses_launcher(study, facts):
        return "last"
    return next(iter(selections), "last")
