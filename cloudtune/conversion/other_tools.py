"""Configurations of tools that cloudtune does not read: whose they are, and the nearest way.

Recognized by keys. Those of Hydra, Determined, DVC and Ax are on these pages, read 2026-11-30:
https://hydra.cc/docs/1.3/upgrades/1.0_to_1.1/defaults_list_override/, Determined's "Configure
Hyperparameter Ranges", https://dvc.org/doc/command-reference/stage, and docs/experiment.md of
https://github.com/facebook/Ax; those of NNI on its "Experiment Config Reference", read 2026-11-27.
Those of Polyaxon, Keras Tuner and Ax's JSON are not verified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cloudtune.study.yaml_reader import is_list, is_map

_Document = Mapping[str, Any]


def explain_other_tool(document: _Document) -> str | None:
    """Return whose configuration a document is and what to do with it; None if that is unknown.

    The text continues a message that starts with the name of the file.
    """
    for is_of, tool, advice in _TOOLS:
        if is_of(document):
            return f"is {tool}, which cloudtune does not read: {advice}"
    return None


def _is_hydra(document: _Document) -> bool:
    defaults = document.get("defaults")
    return is_map(document.get("hydra")) or (
        is_list(defaults) and ("_self_" in defaults or any(map(is_map, defaults)))
    )


def _is_determined(document: _Document) -> bool:
    searcher = document.get("searcher")
    return is_map(searcher) and "name" in searcher and "hyperparameters" in document


def _is_polyaxon(document: _Document) -> bool:
    has_matrix = is_map(document.get("matrix")) or is_map(document.get("hptuning"))
    return has_matrix and bool({"kind", "component", "run", "hubRef", "version"} & document.keys())


def _is_keras_tuner(document: _Document) -> bool:
    inner = document.get("hyperparameters", document)
    space = inner.get("space") if is_map(inner) else None
    return is_list(space) and all(is_map(each) and "class_name" in each for each in space)


def _is_dvc(document: _Document) -> bool:
    stages = document.get("stages")
    return is_map(stages) and any(is_map(each) and "cmd" in each for each in stages.values())


def _is_ax(document: _Document) -> bool:
    kind = str(document.get("__type", document.get("_type", "")))
    is_object = kind in {"Experiment", "AxClient", "Client", "SearchSpace", "MultiTypeExperiment"}
    parameters = document.get("parameters")
    loop = is_list(parameters) and all(
        is_map(each) and each.get("type") in {"range", "choice", "fixed"} and "name" in each
        for each in parameters
    )
    return is_object or (bool(parameters) and loop)


def _is_nni(document: _Document) -> bool:
    return bool({"trialCommand", "trial_command", "trialConcurrency"} & document.keys()) or (
        bool(document) and all(is_map(each) and "_type" in each for each in document.values())
    )


def _is_ai_platform(document: _Document) -> bool:
    return is_map(document.get("trainingInput"))


_WRITE = "write its ranges as parameters of a study, which `cloudtune init` creates"
_TOOLS: tuple[tuple[Callable[[_Document], bool], str, str], ...] = (
    (
        _is_hydra,
        "a configuration of Hydra without its Optuna sweeper",
        f"{_WRITE}; with arguments: assign under trial, the script gets them as Hydra does, such "
        "as lr=0.1",
    ),
    (
        _is_determined,
        "an experiment of Determined",
        f"{_WRITE}; minval and maxval of a log hyperparameter are exponents of its base",
    ),
    (
        _is_polyaxon,
        "an operation of Polyaxon",
        f"{_WRITE}; the kind of its matrix is the strategy",
    ),
    (
        _is_keras_tuner,
        "a search space of Keras Tuner",
        f"{_WRITE}; the callback of cloudtune.trial reports the metrics of Keras",
    ),
    (
        _is_dvc,
        "a pipeline of DVC",
        "it has no search space; write one in a study, which `cloudtune init` creates, with the "
        "cmd of the stage as trial.command",
    ),
    (
        _is_ax,
        "an experiment of Ax",
        f"{_WRITE}; a range has the type float or int, a choice categorical or discrete, and a "
        "fixed parameter is a constant",
    ),
    (
        _is_nni,
        "an experiment of NNI",
        f"{_WRITE}; the upper bound of randint is no value itself, and quniform has a step",
    ),
    (
        _is_ai_platform,
        "a tuning job of Google's AI Platform",
        f"{_WRITE}, and run it on Vertex AI",
    ),
)
