"""The request of a search of WML Accelerator.

CLIENT in `cloudtune_watson.capabilities` describes the fields; the misspelled names are IBM's.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from itertools import islice

from cloudtune.provider import Facts, FittedStudy, Json, Space, Study, Value
from cloudtune_watson.layout import COMMAND, MODEL_FOLDER, archive_name
from cloudtune_watson.settings import WatsonSettings
from cloudtune_watson.versions import STANDALONE
from cloudtune_watson.wmla.native.names import GRID
from cloudtune_watson.wmla.parameters import data_type, hyper_param, to_wire, value_type

DEFAULT_ETA = 3
MAX_EXPERIMENTS = 10_000
"""Trials of a grid that a request lists."""


def tuning_job(fitted: FittedStudy, settings: WatsonSettings, facts: Facts) -> Json:
    """Return the parts of ``POST /platform/rest/deeplearning/v1/hypersearch``.

    ``file`` is the name of the archive. ``data`` is an object here, and is sent as text.
    """
    study = fitted.study
    spec = {"args": shlex.join(trial_arguments(settings, facts))}
    if settings.version == STANDALONE:
        spec["sigName"] = facts.data["instance_group"]
    data: Json = {"hpoName": facts.job_name, "modelSpec": spec}
    if algorithm_name(study) == GRID:
        trials = experiments(study)
        data["algoDef"] = _algorithm(study, len(trials), facts)
        data["experiments"] = trials
    else:
        data["algoDef"] = _algorithm(study, study.limits.max_trials, facts)
        data["hyperParams"] = [
            hyper_param(name, variants[0]) for name, variants in study.parameters.items()
        ]
    return {"file": archive_name(facts), "data": data}


def trial_arguments(settings: WatsonSettings, facts: Facts) -> list[str]:
    """Return the arguments with which WML Accelerator starts a trial, as its ``dlicmd`` does."""
    paths = [path for path in facts.lookup.inputs.addresses.values() if path]
    data = f",data_path={paths[0]}" if paths else ""
    devices = settings.worker_devices
    return [
        *("--exec-start", facts.data["exec_start"]),
        *(("--workerDeviceNum", str(devices)) if devices is not None else ()),
        *("--cs-datastore-meta", f"type=fs{data}"),
        *("--model-main", COMMAND),
        *("--model-dir", MODEL_FOLDER),
    ]


def algorithm_name(study: Study) -> str:
    """Return WML Accelerator's name of a study's strategy."""
    strategy = study.strategy
    if strategy.name == "bayesian":
        return "Tpe" if strategy.method == "tpe" else "Bayesian"
    names = {"random": "Random", "hyperband": "Hyperband", "grid": GRID, "list": GRID}
    return names.get(strategy.name, strategy.name)


def to_minutes(seconds: float) -> int:
    """Return a duration in minutes, rounded up."""
    return math.ceil(seconds / 60)


def experiments(study: Study) -> list[Json]:
    """Return the trials of a grid or a list, in the order of the study.

    A trial of a grid has its active parameters, one of a list the parameters that it names.
    """
    count = min(study.limits.max_trials or MAX_EXPERIMENTS, MAX_EXPERIMENTS)
    trials = _listed_trials(study) if study.strategy.name == "list" else _grid(study)
    return [
        {
            "id": number,
            "hyperParams": [
                {"name": name, "dataType": kind, "fixedVal": to_wire(value, kind)}
                for name, kind, value in trial
            ],
        }
        for number, trial in enumerate(islice(trials, count), start=1)
    ]


def _grid(study: Study) -> Iterator[list[tuple[str, str, Value]]]:
    space = Space.from_study(study)
    for assignment in space.grid():
        yield [
            (node.name, data_type(node.parameter), assignment[node.name])
            for node in space.active_nodes(assignment)
        ]


def _listed_trials(study: Study) -> Iterator[list[tuple[str, str, Value]]]:
    kinds = {name: data_type(variants[0]) for name, variants in study.parameters.items()}
    for trial in study.initial_trials:
        yield [(name, kinds.get(name) or value_type(value), value) for name, value in trial.items()]


def _algorithm(study: Study, max_trials: int | None, facts: Facts) -> Json:
    limits, objectives = study.limits, study.objectives
    algorithm = algorithm_name(study)
    definition: Json = {"algorithm": algorithm}
    if limits.timeout:
        definition["maxRunTime"] = to_minutes(limits.timeout)
    if max_trials:
        definition["maxJobNum"] = max_trials
    definition["maxParalleJobNum"] = limits.parallel_trials or 1
    if objectives:
        definition["objectiveMetric"] = objectives[0].metric
        definition["objective"] = objectives[0].goal
    objective = definition.get("objectiveMetric")
    if others := {name: "latest" for name in study.trial.metrics if name != objective}:
        definition["additionalMetrics"] = others
    if params := dict(_algorithm_params(study, algorithm, facts)):
        definition["algoParams"] = [{"name": name, "value": v} for name, v in params.items()]
    return definition


def _algorithm_params(study: Study, algorithm: str, facts: Facts) -> Iterator[tuple[str, str]]:
    strategy = study.strategy
    if algorithm != GRID:
        yield "RandomSeed", str(facts.seed)
    if algorithm == "Hyperband":
        yield "eta", str(strategy.eta or DEFAULT_ETA)
        yield "ResourceName", strategy.resource or ""
        yield "ResourceValue", str(strategy.max or 1)
