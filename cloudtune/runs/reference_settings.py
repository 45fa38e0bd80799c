"""The settings with which a confirmation compares the best trials of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cloudtune.results.model import Trial
from cloudtune.search.model_choice import model_choice
from cloudtune.study.confirmation import Candidate
from cloudtune.study.schema import FloatParameter, Parameter
from cloudtune.study.script_defaults import script_defaults
from cloudtune.study.search_space import (
    Space,
    Value,
    assignment_key,
    conditions_hold,
    is_same_value,
    match_value,
    value_at,
)
from cloudtune.study.study import Study


def with_model_choice(
    study: Study, top: list[Trial], trials: Sequence[Trial], notes: list[str]
) -> list[Trial]:
    """Return the best trials, the last one replaced by the trial that the model would take.

    Of fewer than three, none is: the second one shows the lead of the best in the search.

    Args:
        study: The study of the search.
        top: Its best trials, with different parameters.
        trials: All of its completed trials.
        notes: Gets which trial is replaced.
    """
    choice = model_choice(study, trials) if len(top) > 2 else None
    chosen = next((each for each in trials if choice and each.number == choice.number), None)
    known = [assignment_key(trial.parameters) for trial in top]
    if chosen is None or assignment_key(chosen.parameters) in known:
        return top
    text = f"Trial {chosen.number}, which the model would take, is repeated"
    notes.append(f"{text} instead of trial {top[-1].number}.")
    return [*top[:-1], chosen]


def with_baseline(
    study: Study,
    candidates: Sequence[Candidate],
    trials: Sequence[Trial],
    source: Path,
    notes: list[str],
    *,
    eligible: Sequence[Trial],
) -> list[Candidate]:
    """Return candidates with the script's defaults, or the first trial if these do not fit.

    If one of the candidates has the same parameters, it is the baseline. Otherwise, a trial with
    these parameters that can be taken is another candidate.

    Args:
        study: The study of the search.
        candidates: Its best trials.
        trials: All of its completed trials.
        source: The folder of its code.
        notes: Gets why the defaults are not repeated, or cannot be taken.
        eligible: The trials that can be taken.
    """
    first = min(trials, key=lambda trial: trial.number)
    first_trial = "first trial" if first.number == 1 else "first completed trial"
    known = script_defaults(study, source)
    parameters = _completed(study, {**first.parameters, **known})
    if known and parameters is None:
        notes.append(
            "The script's defaults are not in the search space, so the baseline is the "
            f"{first_trial}."
        )
    parameters = parameters or dict(first.parameters)
    unknown = [name for name in parameters if name not in known]
    label = "script's known defaults" if unknown else "script's defaults"
    key = assignment_key(parameters)
    if key == assignment_key(first.parameters):
        label = first_trial
    elif unknown:
        values = f"the values of the {first_trial}"
        notes.append(f"The baseline has {values} where no default is known: {', '.join(unknown)}.")
    for index, each in enumerate(candidates):
        if assignment_key(each.parameters) == key:
            named = replace(each, label=f"{each.label} ({label})", is_baseline=True)
            return [*candidates[:index], named, *candidates[index + 1 :]]
    same = next(
        (each for each in (*eligible, *trials) if assignment_key(each.parameters) == key), None
    )
    if same is None:
        return [*candidates, Candidate(label, parameters, "baseline")]
    value = same.objective[0] if same.objective else None
    if same in eligible:
        label = f"trial {same.number} ({label})"
        baseline = Candidate(label, parameters, "candidate", same.number, value, is_baseline=True)
        return [*candidates, baseline]
    why = "broke a constraint" if same.broken else "did not run as long as the others"
    notes.append(f"Trial {same.number} ({label}) cannot be taken, since it {why} in the search.")
    return [*candidates, Candidate(label, parameters, "baseline", same.number, value)]


def changes(
    study: Study,
    winner: Mapping[str, Value],
    trials: Sequence[Trial],
    source: Path,
    notes: list[str],
) -> list[Candidate]:
    """Return the winner with one parameter at a time back at its default or first value.

    Args:
        study: The study of the search.
        winner: The parameters of its best trial.
        trials: All of its completed trials.
        source: The folder of its code.
        notes: Gets which parameters are not repeated at their defaults, and why.
    """
    found: list[Candidate] = []
    same: list[str] = []
    known = script_defaults(study, source)
    first = min(trials, key=lambda trial: trial.number).parameters
    for node in Space.from_study(study).nodes:
        name = node.name
        if name not in winner or not conditions_hold(node.when, winner):
            continue
        default = match_value(node.parameter, known[name]) if name in known else None
        if default is None:
            firsts = (first.get(name, winner[name]), _first_value(node.parameter))
            default = next((each for each in firsts if not is_same_value(each, winner[name])), None)
            if name in known:
                outside = (
                    f"The script's default of {name}, {known[name]!r}, is not in the search space"
                )
                instead = "it has no other value" if default is None else f"it goes to {default}"
                notes.append(f"{outside}: {instead}.")
        if default is None or is_same_value(default, winner[name]):
            if default is not None or name not in known:
                same.append(f"{name} ({winner[name]})")
            continue
        wanted = {**first, **known, **winner, name: default}
        changed = _completed(study, wanted, fill=True)
        if changed is None:
            notes.append(
                f"{name} does not go back to {default}: with the other values of the winner, that "
                "breaks a constraint."
            )
        elif assignment_key(changed) != assignment_key(winner):
            found.append(Candidate(f"{name} back at {default}", changed, "change"))
    if same:
        why = "since the winner has what they would go back to"
        notes.append(f"Not changed, {why}: {', '.join(same)}.")
    return found


def _completed(
    study: Study, wanted: Mapping[str, Value], *, fill: bool = False
) -> dict[str, Value] | None:
    """Return the active ones of some values; None if one does not fit, or a constraint is broken.

    With ``fill``, a parameter without a value that fits gets its first one.
    """
    values: dict[str, Value] = {}
    space = Space.from_study(study)
    for node in space.nodes:
        if conditions_hold(node.when, values):
            value = match_value(node.parameter, wanted[node.name]) if node.name in wanted else None
            if value is None and fill:
                value = _first_value(node.parameter)
            if value is None:
                return None
            values[node.name] = value
    if not space.allows(values):
        return None
    return {name: values[name] for name in study.parameters if name in values}


def _first_value(parameter: Parameter) -> Value:
    return parameter.min if isinstance(parameter, FloatParameter) else value_at(parameter, 0)
