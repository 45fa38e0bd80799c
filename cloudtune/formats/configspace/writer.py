"""Writes a study as a configuration space of ConfigSpace, with only what the study says."""

from __future__ import annotations

from typing import Any, cast

from cloudtune.formats.configspace.conditions import write_condition
from cloudtune.formats.configspace.names import FORMAT_VERSION, HOME
from cloudtune.formats.configspace.reader import SpaceReader
from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.formats.model import native_block, report_unsupported
from cloudtune.formats.ranges import Range, distinct_values, list_steps, range_or_values
from cloudtune.study.merge import merge_json
from cloudtune.study.schema import DiscreteParameter, Parameter
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_list, is_map

_SPACE = "a space has only parameters; set this in the tool that uses it"
_UNSUPPORTED: dict[str, str] = dict.fromkeys(
    (
        *("description", "objective", "strategy", "limits", "early_stopping", "initial_trials"),
        *("warm_start", "trial"),
    ),
    _SPACE,
)


def write_space(study: Study, report: Report) -> Json:
    """Return the space of a study, with its ``providers.configspace.native`` merged in.

    What is kept of a parameter that has changed since the import is left out.
    """
    report_unsupported(study, report, _UNSUPPORTED)
    native: Json = native_block(study, HOME)
    _drop_outdated(study, native)
    return _space(study, native, report)


def _space(study: Study, native: Json, report: Report) -> Json:
    kept = _kept_entries(native)
    conditions: Any = native.get("conditions", [])
    space: Json = {
        "name": study.name,
        "hyperparameters": [
            {"name": name, **_hyperparameter(name, variants, kept.get(name, {}), report)}
            for name, variants in study.parameters.items()
        ],
        "conditions": _conditions(study, conditions if is_list(conditions) else [], kept),
        "forbiddens": native.get("forbiddens", []),
    }
    space["hyperparameters"] += [
        {"name": name, "type": "constant", "value": value}
        for name, value in study.constants.items()
    ]
    if "json_format_version" not in native:  # of versions before 1
        space["format_version"] = FORMAT_VERSION
    rest = {key: each for key, each in native.items() if key not in {"conditions", "forbiddens"}}
    return cast("Json", merge_json(space, rest))


def _kept_entries(native: Json) -> dict[str, Json]:
    entries: Any = native.get("hyperparameters")
    entries = entries if is_list(entries) else []
    return {each["name"]: each for each in entries if is_map(each) and "name" in each}


def _drop_outdated(study: Study, native: Json) -> None:
    """Drop what is kept of parameters that an import would now read in another way."""
    kept = _kept_entries(native)
    if not kept and not native.get("conditions"):
        return
    ignored = Report()
    before = SpaceReader(Fields(_space(study, native, ignored), ignored)).draft().data["parameters"]
    again = Study.model_validate({"parameters": before}).parameters
    outdated = {name for name, each in study.parameters.items() if again.get(name) != each}
    native["hyperparameters"] = [each for name, each in kept.items() if name not in outdated]
    for key in ("conditions", "forbiddens"):
        entries: Any = native.get(key)
        kept_entries: list[Any] = entries if is_list(entries) else []
        native[key] = [each for each in kept_entries if not outdated & _names_in(each)]


def _names_in(entry: Any) -> set[str]:
    """Return the parameters that a clause forbids, or the child of a condition."""
    if not is_map(entry):
        return set()
    names = {str(entry.get(key)) for key in ("child", "name", "left", "right")}
    clauses: Any = entry.get("clauses")
    return names.union(*map(_names_in, clauses if is_list(clauses) else ()))


def _hyperparameter(name: str, variants: list[Parameter], kept: Json, report: Report) -> Json:
    path = f"parameters.{name}"
    if "type" in kept:
        return {}
    parameter = variants[0]
    bare = [each.model_copy(update={"when": None}) for each in variants]
    if any(each != bare[0] for each in bare):
        reason = "ConfigSpace has one definition of a parameter, whatever the condition"
        report.refuse(path, reason)
    found = range_or_values(path, parameter, report, "ConfigSpace", rounds=False)
    if isinstance(found, Range):
        if found.step is not None and not (found.is_int and found.step == 1) and "q" not in kept:
            reason = "ConfigSpace has no step since version 1"
            values = list_steps(path, cast("Any", parameter), report, reason)
            return {"type": "ordinal", "sequence": values}
        kind = "uniform_int" if found.is_int else "uniform_float"
        return {"type": kind, "lower": found.low, "upper": found.high, "log": found.is_log}
    values = distinct_values(path, found, report, "ConfigSpace")
    if isinstance(parameter, DiscreteParameter):
        return {"type": "ordinal", "sequence": values}
    return {"type": "categorical", "choices": values}


def _conditions(study: Study, before: list[Any], kept: Json) -> list[Json]:
    """Return the conditions: those of the imported space where the study still has the same."""
    imported: dict[str, list[Json]] = {}
    for each in before:
        imported.setdefault(str(each.get("child")), []).append(each)
    found: list[Json] = []
    for name, variants in study.parameters.items():
        whens = [variant.when for variant in variants if variant.when]
        if name in imported and whens:
            found += imported[name]
        elif len(whens) > 1 and "type" in kept.get(name, {}):
            continue  # the conditions stand for a forbidden combination
        elif len(whens) == 1:
            found.append(write_condition(name, whens[0]))
        elif whens:
            parts = [write_condition(name, when) for when in whens]
            found.append({"type": "OR", "child": name, "conditions": parts})
    return found
