"""Mistakes that show when the parts of a study are held against each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from pydantic import ValidationError

from cloudtune.diagnostics import Note, Problem
from cloudtune.study.fields import StudyFields
from cloudtune.study.messages import translate_error
from cloudtune.study.methods import METHODS, SINGLE_OBJECTIVE
from cloudtune.study.schema import FloatParameter, Limits
from cloudtune.study.search_space import count_values
from cloudtune.study.suggestions import did_you_mean
from cloudtune.study.validation.parameters import check_constants, check_parameters
from cloudtune.study.validation.trial_spec import check_secrets, check_trial, placeholder_names

Hidden = frozenset[str]

_MAX_PROBLEMS = 1_000


def find_problems(study: StudyFields, hidden: Hidden = frozenset()) -> list[Problem]:
    """Return the mistakes in a study whose parts are each well-formed: all, or the first thousand.

    Args:
        study: The study.
        hidden: Paths of the fields that were written but are not in the study, since they are wrong
            by themselves. Nothing is said about them, nor about what hangs on them; the parameters
            among them are there as stand-ins.
    """
    found = chain(
        check_constants(study),
        check_parameters(study, hidden),
        _check_objectives(study),
        _check_strategy(study, hidden),
        _check_early_stopping(study),
        _check_warm_start(study),
        check_trial(study, hidden),
        check_secrets(study),
        _check_provider_limits(study),
    )
    return list(islice(found, _MAX_PROBLEMS))


def find_notes(study: StudyFields) -> list[Note]:
    """Return what is no mistake but may not be meant."""
    found = chain(
        _note_fixed_arguments(study), _note_unread_metrics(study), _note_surplus_trials(study)
    )
    return [Note(path, text) for path, text in found]


def _check_objectives(study: StudyFields) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, objective in enumerate(study.objectives):
        if objective.metric in seen:
            message = f"{objective.metric} is already an objective"
            yield Problem(f"objective.{number}.metric", message, "name each metric once")
        seen.add(objective.metric)


def _check_strategy(study: StudyFields, hidden: Hidden) -> Iterator[Problem]:
    if "strategy.name" in hidden:
        return  # what belongs to a strategy cannot be said
    strategy = study.strategy
    methods = METHODS[strategy.name]
    if strategy.method is not None and strategy.method not in methods:
        if methods:
            message = f"{strategy.name} has no method {strategy.method}"
            hint = did_you_mean(strategy.method, methods) or f"it has {', '.join(methods)}"
        else:
            message = f"{strategy.name} has no methods to choose among"
            hint = "leave it out"
        yield Problem("strategy.method", message, hint)
    elif strategy.method in SINGLE_OBJECTIVE and len(study.objectives) > 1:
        message = f"{strategy.method} knows one objective, and there are several"
        others = ", ".join(other for other in methods if other not in SINGLE_OBJECTIVE)
        yield Problem("strategy.method", message, f"use {others}, or name one objective")
    if strategy.name == "hyperband":
        yield from _check_hyperband(study, hidden)
    else:
        for key in ("resource", "min", "max", "eta"):
            if getattr(strategy, key) is not None:
                message = f"belongs to hyperband, and the strategy is {strategy.name}"
                yield Problem(f"strategy.{key}", message, "leave it out, or use name: hyperband")
    if strategy.name == "grid":
        yield from _check_grid(study, hidden)
    if strategy.name == "list" and not study.initial_trials and "initial_trials" not in hidden:
        message = "the strategy list runs the initial trials, and there are none"
        yield Problem("initial_trials", message, "list them under initial_trials")


def _check_hyperband(study: StudyFields, hidden: Hidden) -> Iterator[Problem]:
    strategy = study.strategy
    if strategy.max is None and "strategy.max" not in hidden:
        message = "hyperband needs to know how long the longest training is"
        yield Problem("strategy.max", message, "as in max: 27")
    if strategy.max is not None and (strategy.min or 1) > strategy.max:
        message = f"min {strategy.min} is above max {strategy.max}"
        yield Problem("strategy.min", message, "swap them")
    if strategy.resource is not None:
        for block in ("parameters", "constants"):
            if strategy.resource in getattr(study, block):
                message = f"{strategy.resource} is also among the {block}, and hyperband sets it"
                yield Problem("strategy.resource", message, f"remove it from {block}")
        if not strategy.resource.strip() or not strategy.resource.isprintable():
            message = "a resource needs a name of printable characters"
            yield Problem("strategy.resource", message, "leave it out to count reported steps")
    if len(study.objectives) > 1:
        message = "hyperband compares trials by one objective, and there are several"
        yield Problem("strategy.name", message, "use bayesian or genetic, or name one objective")


def _check_grid(study: StudyFields, hidden: Hidden) -> Iterator[Problem]:
    for name, definitions in study.parameters.items():
        if f"parameters.{name}" in hidden:
            continue
        for number, parameter in enumerate(definitions):
            if not isinstance(parameter, FloatParameter) or parameter.min > parameter.max:
                continue
            if parameter.step is None and count_values(parameter) is None:
                several = len(definitions) > 1 or study.is_list(f"parameters.{name}")
                path = f"parameters.{name}.{number}" if several else f"parameters.{name}"
                message = f"a grid cannot cover {name}, a float without a step"
                yield Problem(path, message, "give it a step, or list its values: type: discrete")


def _check_early_stopping(study: StudyFields) -> Iterator[Problem]:
    stopping = study.early_stopping
    if stopping is None:
        return
    if study.strategy.name == "hyperband":
        message = "hyperband stops trials itself"
        yield Problem("early_stopping", message, "leave early_stopping out")
    elif len(study.objectives) > 1:
        message = "trials are stopped by one objective, and there are several"
        yield Problem("early_stopping", message, "leave it out, or name one objective")
    if stopping.slack is not None and stopping.rule != "bandit":
        message = f"belongs to the rule bandit, and the rule is {stopping.rule}"
        yield Problem("early_stopping.slack", message, "leave it out, or use rule: bandit")


def _check_warm_start(study: StudyFields) -> Iterator[Problem]:
    if study.warm_start is None:
        return
    for number, parent in enumerate(study.warm_start.from_):
        provider, colon, job = parent.partition(":")
        if not provider.strip() or (colon and not job.strip()) or not parent.isprintable():
            several = len(study.warm_start.from_) > 1 or study.is_list("warm_start.from")
            path = f"warm_start.from.{number}" if several else "warm_start.from"
            hint = "as in sagemaker:job-name, or the id of a run"
            yield Problem(path, f"{parent!r} names no run and no provider's job", hint)


def _check_provider_limits(study: StudyFields) -> Iterator[Problem]:
    for name, settings in study.providers.items():
        own = settings.get("limits")
        if own is None:
            continue
        try:
            Limits.model_validate(own)
        except ValidationError as error:
            for problem in translate_error(error, own, Limits):
                path = f"providers.{name}.limits"
                path = f"{path}.{problem.path}" if problem.path else path
                yield Problem(path, problem.message, problem.hint)


def _note_fixed_arguments(study: StudyFields) -> Iterator[tuple[str, str]]:
    if study.trial.arguments not in {"flags", "equals"}:
        return
    placed = set(placeholder_names([*(study.trial.command or ()), *study.trial.args]))
    for number, word in enumerate(study.trial.args):
        flag = word.partition("=")[0]
        name = flag.removeprefix("--") if flag.startswith("--") else flag.removeprefix("-")
        dashed = flag == f"--{name}" or (flag == f"-{name}" and len(name) == 1)
        if dashed and name in study.parameters and name not in placed:
            text = f"{name} is also a parameter; the tuned value comes later and wins with argparse"
            yield f"trial.args.{number}", text


def _note_unread_metrics(study: StudyFields) -> Iterator[tuple[str, str]]:
    read = study.trial.metrics
    for number, objective in enumerate(study.objectives):
        if read and objective.metric not in read:
            path = f"objective.{number}.metric" if len(study.objectives) > 1 else "objective.metric"
            text = f"{objective.metric} is not under trial.metrics, so the script must report it"
            near = did_you_mean(objective.metric, read)
            yield path, f"{text} ({near})" if near else text


def _note_surplus_trials(study: StudyFields) -> Iterator[tuple[str, str]]:
    most, listed = study.limits.max_trials, len(study.initial_trials)
    if most is not None and listed > most:
        text = f"only the first {most} of {listed} run, as max_trials is {most}"
        yield "initial_trials", text
