"""A study as the experiment that Watson Machine Learning's API v3 took, until IBM removed it.

No service accepts it. It is shown, and never sent.
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
    ModeCapabilities,
    Note,
    Parameter,
    Plan,
    ServiceDocument,
    StrategyName,
    Study,
    Value,
    format_value,
    list_values,
)
from cloudtune_watson.capabilities import MANAGED
from cloudtune_watson.request.layout import COMMAND
from cloudtune_watson.request.tuning_job import (
    BASE,
    data_type,
    exponent,
    in_place_of_a_range,
    is_raised,
)

ABOUT = (
    "The document of Watson Machine Learning's experiments with hyper_parameters_optimization, as "
    "API v3 of IBM Cloud took it from 2018 on. IBM deprecated that API on 1 September 2020 and "
    "ended it on 1 October 2020, and removed all training of one's own code from IBM Cloud in "
    "September 2022. No service takes this document any more, and cloudtune never sends it: it is "
    "for comparing, and for reading old files."
)
SOURCE = (
    "IBM Cloud doc, Hyper parameters optimization, of 2018-02-05; swagger models in "
    "ibm-watson-machine-learning 1.0.370, libs/repo; read 2026-11-24"
)
METHODS: dict[StrategyName, str] = {"random": "random", "bayesian": "rbfopt"}
"""The swagger model also has hyperband and bandit; the document says that only these work."""
STAND_INS = {
    "training_definition_url": "{{training_definition_url}}",
    "endpoint_url": "{{endpoint_url}}",
    "access_key_id": "{{access_key_id}}",
    "secret_access_key": "{{secret_access_key}}",
    "bucket": "{{bucket}}",
}

_ABLE: ModeCapabilities = replace(
    MANAGED,
    strategies=frozenset(METHODS),
    grid_of_trials=False,
    methods=frozenset({"uniform"}),
    seeds=False,
    limits=frozenset({"max_trials", "parallel_trials"}),
)
CAPABILITIES = Capabilities(
    provider="watson",
    title="IBM's experiment",
    verified="offline only",
    managed=_ABLE,
    driven=None,
)
_WORDS = {"INT": "int", "DOUBLE": "double", "STR": "string"}


def shown(plan: Plan) -> ServiceDocument:
    """Return a plan's study as such an experiment, with what is lost in it."""
    fitted = fit(plan.study, CAPABILITIES, "managed")
    return ServiceDocument(
        description=ABOUT,
        content=document(fitted, plan.facts.job_name),
        remarks=(*fitted.findings, *fitted.notes, *_rules(fitted.study)),
    )


def document(fitted: FittedStudy, name: str) -> Json:
    """Return the experiment as plain data; what a study does not say of it is a stand-in."""
    study = fitted.study
    settings: Json = {"name": name}
    if study.description:
        settings["description"] = study.description
    return {
        "settings": settings,
        "training_references": [
            {
                "name": name,
                "training_definition_url": STAND_INS["training_definition_url"],
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
    said: dict[str, str | int] = {}
    if study.objectives:
        said["objective"] = study.objectives[0].metric
        said["maximize_or_minimize"] = study.objectives[0].goal
    if study.limits.max_trials:
        said["num_optimizer_steps"] = study.limits.max_trials
    if method == "rbfopt":
        said |= {"filename": "val_dict_list.json", "time_interval": "steps"}
    parameters = [
        {"name": name, "int_value" if isinstance(value, int) else "string_value": value}
        for name, value in said.items()
    ]
    return {
        "method": {"name": method, "parameters": parameters},
        "hyper_parameters": [
            {"name": name, **_values(definitions[0])}
            for name, definitions in study.parameters.items()
        ],
    }


def _values(parameter: Parameter) -> Json:
    kind = _WORDS[data_type(parameter)]
    listed = in_place_of_a_range(parameter)
    if listed is None and isinstance(parameter, FloatParameter | IntParameter):
        return {f"{kind}_range": _range(parameter)}
    values: list[Value] = list(listed if listed is not None else list_values(parameter) or ())
    return {
        f"{kind}_values": [format_value(value) for value in values] if kind == "string" else values
    }


def _range(parameter: FloatParameter | IntParameter) -> Json:
    if is_raised(parameter):
        ends = (exponent(parameter.min), exponent(parameter.max))
        return {"min_value": ends[0], "max_value": ends[1], "power": BASE}
    made: Json = {"min_value": parameter.min, "max_value": parameter.max}
    return {**made, "step": parameter.step} if parameter.step is not None else made


def _storage(key: str) -> Json:
    connection = {
        name: STAND_INS[name] for name in ("endpoint_url", "access_key_id", "secret_access_key")
    }
    return {"type": "s3", "connection": connection, key: {"bucket": STAND_INS["bucket"]}}


def _rules(study: Study) -> Iterator[Finding | Note]:
    for name, definitions in study.parameters.items():
        parameter = definitions[0]
        listed = in_place_of_a_range(parameter)
        if listed:
            reason = f"its power raises exponents alone: written as a list of {len(listed)} values"
            yield Finding("approximated", f"parameters.{name}.scale", reason)
        elif is_raised(parameter):
            yield Note(f"parameters.{name}.scale", f"its bounds are exponents of {BASE}")
    if (study.limits.parallel_trials or 1) > 1:
        reason = "IBM ran the trials of an experiment one after the other"
        yield Finding("approximated", "limits.parallel_trials", reason)
    if study.limits.max_trials and study.strategy.name == "bayesian":
        reason = "rbfopt ran one trial more than num_optimizer_steps, in IBM's own test"
        yield Finding("approximated", "limits.max_trials", reason)
