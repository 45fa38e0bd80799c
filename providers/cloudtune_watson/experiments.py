"""The experiment that a study would have been in Watson Machine Learning's API v3.

No service accepts this document any more. It is shown, and never sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cloudtune.fitting.fit import fit
from cloudtune.provider import (
    Capabilities,
    Finding,
    FittedStudy,
    FloatParameter,
    IntParameter,
    Json,
    Note,
    Parameter,
    Plan,
    ServiceDocument,
    StrategyName,
    Study,
    Value,
    list_values,
)
from cloudtune_watson.capabilities import MANAGED
from cloudtune_watson.layout import COMMAND
from cloudtune_watson.wmla.parameters import (
    BASE,
    data_type,
    exponent,
    listed_values,
    to_wire,
    uses_exponents,
)

DESCRIPTION = (
    "The document of Watson Machine Learning's experiments with hyper_parameters_optimization, "
    "which API v3 of IBM Cloud accepted from 2018. IBM deprecated that API on 1 September 2020, "
    "ended it on 1 October 2020, and removed trainings with custom code from IBM Cloud in "
    "September 2022. No service accepts this document any more, and cloudtune never sends it: use "
    "it to compare, and to read old files."
)
SOURCE = (
    "IBM Cloud doc, Hyper parameters optimization, of 2018-02-05; swagger models in "
    "ibm-watson-machine-learning 1.0.370, libs/repo; read 2026-11-24"
)
METHODS: dict[StrategyName, str] = {"random": "random", "bayesian": "rbfopt"}
"""The swagger model also has hyperband and bandit; according to the doc, only these work."""
CAPABILITIES = Capabilities(
    provider="watson",
    title="IBM's experiment",
    verified="offline only",
    managed=replace(
        MANAGED,
        strategies=frozenset(METHODS),
        grid_of_trials=False,
        methods=frozenset({"uniform"}),
        seeds=False,
        limits=frozenset({"max_trials", "parallel_trials"}),
    ),
    driven=None,
)
_TYPES = {"INT": "int", "DOUBLE": "double", "STR": "string"}
_CONNECTION = ("endpoint_url", "access_key_id", "secret_access_key")


def to_document(plan: Plan) -> ServiceDocument:
    """Return a plan's study as such an experiment, with the findings."""
    fitted = fit(plan.study, CAPABILITIES, "managed")
    return ServiceDocument(
        description=DESCRIPTION,
        content=experiment(fitted, plan.facts.job_name),
        remarks=(*fitted.findings, *fitted.notes, *_rules(fitted.study)),
    )


def experiment(fitted: FittedStudy, name: str) -> Json:
    """Return the experiment as plain data, with placeholders for what a study does not have."""
    study = fitted.study
    settings: Json = {"name": name}
    if study.description:
        settings["description"] = study.description
    return {
        "settings": settings,
        "training_references": [
            {
                "name": name,
                "training_definition_url": _placeholder("training_definition_url"),
                "command": f"python3 {COMMAND}",
                "compute_configuration": {"name": "k80", "nodes": 1},
                "hyper_parameters_optimization": _optimization(study),
            }
        ],
        "training_data_reference": _storage("source"),
        "training_results_reference": _storage("target"),
    }


def _optimization(study: Study) -> Json:
    method = METHODS.get(study.strategy.name, study.strategy.name)
    values: dict[str, str | int] = {}
    if study.objectives:
        values["objective"] = study.objectives[0].metric
        values["maximize_or_minimize"] = study.objectives[0].goal
    if study.limits.max_trials:
        values["num_optimizer_steps"] = study.limits.max_trials
    if method == "rbfopt":
        values |= {"filename": "val_dict_list.json", "time_interval": "steps"}
    parameters = [
        {"name": name, "int_value" if isinstance(value, int) else "string_value": value}
        for name, value in values.items()
    ]
    return {
        "method": {"name": method, "parameters": parameters},
        "hyper_parameters": [
            {"name": name, **_values(variants[0])} for name, variants in study.parameters.items()
        ],
    }


def _values(parameter: Parameter) -> Json:
    kind = data_type(parameter)
    listed = listed_values(parameter)
    if listed is None and isinstance(parameter, FloatParameter | IntParameter):
        return {f"{_TYPES[kind]}_range": _range(parameter)}
    values: list[Value] = list(listed if listed is not None else list_values(parameter) or ())
    return {f"{_TYPES[kind]}_values": [to_wire(value, kind) for value in values]}


def _range(parameter: FloatParameter | IntParameter) -> Json:
    if uses_exponents(parameter):
        bounds = (exponent(parameter.min), exponent(parameter.max))
        return {"min_value": bounds[0], "max_value": bounds[1], "power": BASE}
    fields: Json = {"min_value": parameter.min, "max_value": parameter.max}
    return {**fields, "step": parameter.step} if parameter.step is not None else fields


def _storage(key: str) -> Json:
    connection = {name: _placeholder(name) for name in _CONNECTION}
    return {"type": "s3", "connection": connection, key: {"bucket": _placeholder("bucket")}}


def _placeholder(name: str) -> str:
    return f"{{{{{name}}}}}"


def _rules(study: Study) -> Iterator[Finding | Note]:
    for name, variants in study.parameters.items():
        path = f"parameters.{name}.scale"
        if values := listed_values(variants[0]):
            reason = f"power applies only to exponents: written as a list of {len(values)} values"
            yield Finding("approximated", path, reason)
        elif uses_exponents(variants[0]):
            yield Note(path, f"the bounds are exponents of {BASE}")
    if (study.limits.parallel_trials or 1) > 1:
        reason = "IBM ran the trials of an experiment one at a time"
        yield Finding("approximated", "limits.parallel_trials", reason)
    if study.limits.max_trials and study.strategy.name == "bayesian":
        reason = "in IBM's own test, rbfopt ran one trial more than num_optimizer_steps"
        yield Finding("approximated", "limits.max_trials", reason)
