"""Runs of Optuna: a study in a storage."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import UsageError
from cloudtune.formats.exported_runs import (
    finished_run,
    parse_measurements,
    parse_result,
    parse_trial,
    part_key,
)
from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.formats.optuna.distributions import (
    merge_distributions,
    parse_distribution,
    read_distribution,
)
from cloudtune.formats.optuna.names import default_metrics
from cloudtune.formats.optuna.run_export import CURVE, RESULT, TRIAL
from cloudtune.formats.optuna.storage import is_storage, open_storage
from cloudtune.formats.run_reader import FinishedRun, RunChoice, RunReader
from cloudtune.formats.secrets import hide_credentials
from cloudtune.formats.tool_runs.objective import StoredObjective, choose_objectives, to_goal
from cloudtune.formats.tool_runs.places import choose_name
from cloudtune.formats.tool_runs.rebuilt import TrialSource, rebuild_study
from cloudtune.formats.tool_runs.space import DerivedSpace, ObservedSpace, read_definition
from cloudtune.formats.tool_runs.values import Period, is_name, to_metric, to_time, to_value
from cloudtune.formats.values import choice as choice_of
from cloudtune.results.events import TrialState
from cloudtune.results.model import Measurement, Trial
from cloudtune.study.constraints import quote_name
from cloudtune.study.quantities import format_count, format_list
from cloudtune.study.search_space import Value
from cloudtune.study.validation.values import comparison_key
from cloudtune.study.yaml_reader import is_list, is_map

if TYPE_CHECKING:
    from optuna.study._frozen import FrozenStudy
    from optuna.trial import FrozenTrial

_MAX_NAMED = 5
"""Attributes that a message names."""
_STATES: Mapping[str, TrialState] = {
    "COMPLETE": "completed",
    "PRUNED": "stopped_early",
    "FAIL": "failed",
    "RUNNING": "cancelled",
}
_REASONS = {
    "FAIL": "the objective function failed, or returned no number",
    "RUNNING": "running when the study was read",
    "PRUNED": "pruned",
}
_METRIC_NAMES = "study:metric_names"
_CONSTRAINTS = "constraints"


class OptunaReader(RunReader):
    """Studies in storages of Optuna."""

    name = "optuna"
    title = "an Optuna storage"
    source = "https://optuna.readthedocs.io/en/v5.0.0/, read 2026-11-27"
    packages = ("optuna", "sqlalchemy")

    @override
    def matches(self, path: Path) -> bool:
        return path.is_file() and is_storage(path)

    @override
    def read(self, location: str, choice: RunChoice) -> FinishedRun:
        place = location if "?" in location else location.removeprefix("sqlite:///")
        place = place if "://" in place else str(Path(place).expanduser())
        return _Reading(place, choice).finished_run()


class _Reading:
    def __init__(self, place: str, choice: RunChoice) -> None:
        self._place = place
        self._choice = choice
        self._findings: list[Finding | Note] = []
        self._objective_names: list[str] = []

    def finished_run(self) -> FinishedRun:
        with open_storage(self._place) as storage:
            studies = {each.study_name: each for each in storage.get_all_studies()}
            shown = hide_credentials(self._place)
            name = choose_name(self._choice.name, studies, f"{shown} has no Optuna study")
            id_ = storage.get_study_id_from_name(name)
            trials = storage.get_all_trials(id_, deepcopy=False)
        address = shown if "://" in shown else str(Path(shown).resolve())
        address = f"optuna:{address}#{name}"
        if exported := parse_result(studies[name].user_attrs.get(RESULT)):
            source = TrialSource(partial(map, _exported_trial, trials))
            return finished_run(exported, source, address, self._findings)
        return self._run(studies[name], trials, address)

    def _run(self, study: FrozenStudy, trials: Sequence[FrozenTrial], address: str) -> FinishedRun:
        from optuna.distributions import distribution_to_json

        seen: dict[str, dict[str, None]] = {}
        period, waiting, started = Period(), 0, 0
        metrics: dict[str, None] = {}
        attributes: dict[str, None] = {}
        constrained: Counter[str] = Counter()
        complete = 0
        self._objective_names = self._names(study)
        space = ObservedSpace("Optuna")
        for trial in trials:
            for name, distribution in trial.distributions.items():
                seen.setdefault(name, {}).setdefault(distribution_to_json(distribution))
            if trial.state.name == "WAITING":
                waiting += 1
                continue
            started += 1
            space.add(trial.params, is_complete=trial.state.name == "COMPLETE")
            period.add(_time(trial.datetime_start), _time(trial.datetime_complete))
            numbers = _attribute_metrics(trial.user_attrs)
            metrics |= dict.fromkeys(numbers)
            attributes |= dict.fromkeys(name for name in trial.user_attrs if name not in numbers)
            if trial.state.name == "COMPLETE":
                complete += 1
                constrained.update(_constraints(trial).keys())
        if not started:
            raise UsageError(f"the Optuna study {study.study_name!r} has no trial that was started")
        if waiting:
            text = f"{format_count(waiting, 'trial')} that never started left out"
            self._findings.append(Note("trials", text))
        self._findings += _infinite(trials)
        if attributes:
            names = format_list([*map(repr, attributes)], _MAX_NAMED)
            reason = f"the user attributes {names}: results have only metrics, as numbers"
            self._findings.append(Finding("dropped", "trials", reason))
        for name, having in [*constrained.items()]:
            if not is_name(name) or "`" in name:
                del constrained[name]
                reason = f"{name!r}: a study has no such name"
                self._findings.append(Finding("dropped", "constraints", reason))
            elif having < complete:
                text = (
                    f"{format_count(complete - having, 'trial')} without a value of {name} break "
                )
                text += "it in the results; Optuna takes them as keeping it"
                self._findings.append(Note("constraints", text))
        space.declare({name: self._definition(name, list(texts)) for name, texts in seen.items()})
        derived = space.derive()
        stored = [
            StoredObjective(name, to_goal(direction.name.lower()))
            for name, direction in zip(self._objective_names, study.directions, strict=False)
        ]
        known = {**dict.fromkeys(self._objective_names), **metrics}
        objectives = choose_objectives(self._choice, stored, known, "Optuna")
        name = study.study_name
        return FinishedRun(
            study=rebuild_study(
                name,
                objectives,
                derived,
                f"Optuna study {name}",
                [f"{quote_name(each)} <= 0" for each in constrained],
            ),
            trials=TrialSource(partial(self._trials, trials, derived)),
            job=name,
            address=address,
            findings=(*self._findings, *derived.findings),
            started=period.start,
            ended=period.end,
        )

    def _names(self, study: FrozenStudy) -> list[str]:
        """Return the names of the objectives; the user can name the only one of a study."""
        names = study.system_attrs.get(_METRIC_NAMES)
        if is_list(names) and len(names) == len(study.directions):
            return [str(name) for name in names]
        if len(study.directions) == 1 and self._choice.metric is not None:
            return [self._choice.metric]
        return default_metrics(len(study.directions))

    def _definition(self, name: str, texts: Sequence[str]) -> Json | None:
        """Return the parameter of all distributions that trials have; None if they differ."""
        found: list[Json] = []
        for text in texts:
            parsed = parse_distribution(text) or {}
            attributes = parsed.get("attributes")
            if parsed.get("name") == "CategoricalDistribution" and is_map(attributes):
                found.append(_choice(attributes.get("choices") or ()))
                continue
            fields = Fields(parsed, Report(), f"parameters.{name}")
            parameter, differences = read_definition(fields, read_distribution)
            self._findings += differences
            if parameter is None:
                return None
            found.append(parameter)
        if all(each.get("type") in {"categorical", "bool"} for each in found):
            return _choice([value for each in found for value in each.get("values", (False, True))])
        merged, difference = merge_distributions(found)
        if difference:
            self._findings.append(Finding("approximated", f"parameters.{name}", difference))
        return merged

    def _trials(self, trials: Sequence[FrozenTrial], space: DerivedSpace) -> Iterator[Trial]:
        for trial in trials:
            if (state := trial.state.name) != "WAITING":
                yield Trial(
                    id=str(trial.number),
                    number=trial.number + 1,
                    state=_STATES[state],
                    parameters=space.assignment(trial.params),
                    measurements=tuple(self._measurements(trial)),
                    word=state,
                    started=_time(trial.datetime_start),
                    ended=_time(trial.datetime_complete),
                    reason=_REASONS.get(state, ""),
                )

    def _measurements(self, trial: FrozenTrial) -> Iterator[Measurement]:
        """Yield the intermediate values, and what the objective function returned.

        Optuna lets both differ: the returned value then comes one step later.
        """
        names = self._objective_names
        steps = _curve(trial) if len(names) == 1 else []
        final = dict(zip(names, trial.values or (), strict=False))
        rest = {
            name: value
            for name, value in _attribute_metrics(trial.user_attrs).items()
            if name not in names
        }
        rest |= {name: x for name, x in _constraints(trial).items() if is_name(name)}
        for index, (step, value) in enumerate(steps):
            is_last = index == len(steps) - 1
            if is_last and final.get(names[0], value) == value:
                yield Measurement(step, {names[0]: value, **rest})
                return
            yield Measurement(step, {names[0]: value})
        if final or rest:
            yield Measurement(steps[-1][0] + 1 if steps else 1, {**final, **rest})


def _infinite(trials: Sequence[FrozenTrial]) -> Iterator[Note]:
    """Yield a note if completed trials have no result, although Optuna compares their values."""
    complete = [trial.values or () for trial in trials if trial.state.name == "COMPLETE"]
    number = sum(not all(map(math.isfinite, values)) for values in complete)
    if number:
        text = f"{format_count(number, 'completed trial')} with an infinite objective, which "
        text += "Optuna can take as the best: here, such a trial has no result"
        yield Note("trials", text, "warning")


def _constraints(trial: FrozenTrial) -> dict[str, float]:
    """Return the values of a trial's constraints, which it keeps where they are at most 0.

    Optuna stores a list, and from version 5 on an attribute for each. They become metrics.
    """
    stored: dict[str, Any] = trial.system_attrs
    values: Any = stored.get(_CONSTRAINTS)
    named = {str(index): value for index, value in enumerate(values if is_list(values) else ())}
    prefix = f"{_CONSTRAINTS}:"
    named |= {k.removeprefix(prefix): value for k, value in stored.items() if k.startswith(prefix)}
    return {
        f"constraint {key}": number
        for key, value in named.items()
        if (number := to_metric(value)) is not None
    }


def _curve(trial: FrozenTrial) -> list[tuple[int, float]]:
    """Return the intermediate values by step; a damaged journal can have others than numbers."""
    try:
        return sorted((int(step), float(x)) for step, x in trial.intermediate_values.items())
    except (TypeError, ValueError) as error:
        raise UsageError(f"trial {trial.number} has a value that is no number: {error}") from error


def _time(time: datetime | None) -> float | None:
    """Return a time of Optuna, which is local, as seconds since 1970."""
    return None if time is None else to_time(time.timestamp())


def _choice(choices: Sequence[Any]) -> Json:
    """Return a choice. Values that are equal, such as 1 and 1.0, count once."""
    values: dict[tuple[str, Value], Value] = {}
    for each in choices:
        if (value := to_value(each)) is not None:
            values.setdefault(comparison_key(value), value)
    return choice_of(list(values.values()))


def _exported_trial(trial: FrozenTrial) -> Trial:
    attributes = trial.user_attrs
    keys = (part_key(CURVE, index) for index in count())
    texts = takewhile(lambda text: text is not None, map(attributes.get, keys))
    try:
        restored = parse_trial(attributes.get(TRIAL), parse_measurements(texts))
    except ValueError:
        restored = None
    if restored is None:
        raise UsageError(f"trial {trial.number} of an export of cloudtune has been changed")
    return restored


def _attribute_metrics(attributes: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers among the attributes that a script set."""
    return {
        name: number
        for name, value in attributes.items()
        if is_name(name) and (number := to_metric(value)) is not None
    }
