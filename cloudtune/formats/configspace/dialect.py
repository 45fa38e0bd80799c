"""How a study is written as a configuration space of ConfigSpace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cloudtune.diagnostics import Finding
from cloudtune.dialect.model import Dialect
from cloudtune.dialect.native import Native, named_entries, native_of, take_block
from cloudtune.dialect.ranges import RANGES_AND_CHOICES, choice_values, choose_one, separate_values
from cloudtune.dialect.words import Words
from cloudtune.fitting.capabilities import DRIVEN, NOTHING, Adjustment
from cloudtune.fitting.fit import FittedStudy
from cloudtune.formats.configspace.conditions import write_condition
from cloudtune.formats.configspace.forbidden import to_constraint
from cloudtune.formats.configspace.names import FORMAT_VERSION, HOME
from cloudtune.formats.configspace.reader import SpaceReader
from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.study.constraints import constraint_path
from cloudtune.study.schema import (
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    When,
)
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_list, is_map

_SPACE = "a space has only parameters; set this in the tool that uses it"
_BLOCKS = (
    *("description", "objective", "strategy", "limits", "early_stopping", "initial_trials"),
    *("warm_start", "trial"),
)


def _adjust(parameter: Parameter) -> Adjustment | None:
    return choose_one(parameter) or separate_values(parameter, "ConfigSpace")


_ALL = {
    name: getattr(DRIVEN, name)
    for name in ("strategies", "seeds", "objectives", "targets", "select", "early_stopping")
} | {name: getattr(DRIVEN, name) for name in ("limits", "initial_trials", "warm_start")}
_CAPABILITIES = replace(
    NOTHING,
    parameters={**RANGES_AND_CHOICES, "discrete": frozenset({"linear"})},
    conditions="one_definition",
    adjust=_adjust,
    fields=frozenset(
        {"constants", "constraints", *_BLOCKS}
    ),  # the rule drops the blocks as a whole
    reasons={
        "parameters.when": "ConfigSpace has one definition of a parameter, whatever the condition",
    },
    **_ALL,
)
_OTHERS = ("conditions", "forbiddens")


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    return _space(fitted.study, native)


def _space(study: Study, native: Native) -> Json:
    entries: list[Json] = []
    for name, variants in study.parameters.items():
        kept = _kept(native, name)
        own = {} if "type" in kept else _hyperparameter(variants[0])
        entries.append({"name": name, **own, **kept})
    entries += [
        {"name": name, "type": "constant", "value": value, **_kept(native, name)}
        for name, value in study.constants.items()
    ]
    space: Json = {
        "name": study.name,
        "hyperparameters": entries,
        "conditions": _conditions(study, native),
        "forbiddens": native.block["forbiddens"],
    }
    if "json_format_version" not in native.rest:  # of versions before 1
        space["format_version"] = FORMAT_VERSION
    return space


def _kept(native: Native, name: str) -> Json:
    entries: Sequence[Json] = native.entries.get(name, ())
    return entries[0] if entries else {}


def _hyperparameter(parameter: Parameter) -> Json:
    match parameter:
        case FloatParameter() | IntParameter():
            kind = "uniform_int" if isinstance(parameter, IntParameter) else "uniform_float"
            is_log = parameter.scale == "log"
            return {"type": kind, "lower": parameter.min, "upper": parameter.max, "log": is_log}
        case DiscreteParameter():
            return {"type": "ordinal", "sequence": list(parameter.values)}
        case _:
            return {"type": "categorical", "choices": choice_values(parameter)}


def _conditions(study: Study, native: Native) -> list[Json]:
    """Return the conditions: those of the imported space where the study still has the same."""
    imported: dict[str, list[Json]] = {}
    for each in native.block["conditions"]:
        imported.setdefault(str(each.get("child")), []).append(each)
    found: list[Json] = []
    for name, variants in study.parameters.items():
        whens: list[When] = [variant.when for variant in variants if variant.when]
        if name in imported and whens:
            found += imported[name]
        elif len(whens) > 1 and "type" in _kept(native, name):
            continue  # the conditions stand for a forbidden combination
        elif len(whens) == 1:
            found.append(write_condition(name, whens[0]))
        elif whens:
            parts = [write_condition(name, when) for when in whens]
            found.append({"type": "OR", "child": name, "conditions": parts})
    return found


def _native(study: Study) -> Native:
    """Return what is kept of an imported space, without what is out of date.

    That is what belongs to parameters that an import would now read in another way.
    """
    rest = native_of(study, HOME)
    kept = named_entries(take_block(rest, "hyperparameters"), "name")
    block = {key: list(filter(is_map, _items(rest.pop(key, None)))) for key in _OTHERS}
    names = {*study.parameters, *study.constants}
    native = _native_of(rest, kept, block, names)
    if kept or any(block.values()):
        ignored = Report()
        document = _space(study, native) | rest
        reader = SpaceReader(Fields(document, ignored))
        before = reader.draft().data["parameters"]
        again = Study.model_validate({"parameters": before}).parameters
        outdated = {name for name, each in study.parameters.items() if again.get(name) != each}
        block["forbiddens"] = [
            clause
            for index, clause in enumerate(native.block["forbiddens"])
            if reader.constraints.get(index) in {None, *study.constraints}
        ]
        native = _native_of(rest, kept, block, names - outdated)
    for name, entries in native.entries.items():
        if "type" not in entries[0] and "q" in entries[0] and name in study.parameters:
            entries[0].update(_hyperparameter(study.parameters[name][0]) | entries[0])
    return native


def _native_of(
    rest: Json, kept: Mapping[str, Sequence[Any]], block: Mapping[str, list[Any]], names: set[str]
) -> Native:
    others = {key: [e for e in each if _names_in(e) <= names] for key, each in block.items()}
    entries = {name: each for name, each in kept.items() if name in names}
    current = frozenset(name for name, each in entries.items() if {"type", "q"} & each[0].keys())
    return Native(rest, others, entries, current=current)


def _items(value: Any) -> list[Any]:
    return value if is_list(value) else []


def _names_in(entry: Any) -> set[str]:
    """Return the parameters that a condition or a forbidden combination names."""
    if not is_map(entry):
        return set()
    names = {
        str(entry[key]) for key in ("child", "parent", "name", "left", "right") if key in entry
    }
    inner: list[Iterable[Any]] = [_items(entry.get(key)) for key in ("clauses", "conditions")]
    return names.union(*(_names_in(each) for several in inner for each in several))


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding]:
    written = fitted.study.to_json()
    kinds = {name: each[0].type for name, each in fitted.study.parameters.items()}
    known = {to_constraint(clause, kinds) for clause in native.block["forbiddens"]}
    for index, text in enumerate(fitted.study.constraints):
        if text not in known:
            path = constraint_path(fitted.study, index)
            yield Finding("dropped", path, "write it as a forbidden clause of the space")
    for key in _BLOCKS:
        if key in written:
            yield Finding("dropped", key, _SPACE)


CONFIGSPACE = Dialect(
    name=HOME,
    title="ConfigSpace",
    capabilities=_CAPABILITIES,
    words=Words(strategies={}),
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
