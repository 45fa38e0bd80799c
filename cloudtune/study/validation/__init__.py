"""Check that the parts of a study fit together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from pydantic import ValidationError

from cloudtune.diagnostics import Note, Problem, Severity
from cloudtune.launcher.call import placeholder_names
from cloudtune.study.fields import StudyFields
from cloudtune.study.schema import FloatParameter, Limits
from cloudtune.study.search_space import count_values
from cloudtune.study.strategies import SINGLE_OBJECTIVE, STRATEGIES
from cloudtune.study.suggestions import did_you_mean
from cloudtune.study.validation.option_values import (
    OPTION_STYLES,
    check_option_values,
    note_option_values,
)
from cloudtune.study.validation.parameters import (
    check_constants,
    check_parameters,
    check_seed_argument,
)
from cloudtune.study.validation.trial_spec import check_secrets, check_trial

_MAX_PROBLEMS = 1_000


def find_problems(
    study: StudyFields, invalid_fields: frozenset[str] = frozenset()
) -> list[Problem]:
    """Return the first 1,000 mistakes in a study whose parts are each valid.

    Args:
        study: The study.
        invalid_fields: The paths of fields that are not in the study because they are invalid by
            themselves; a parameter among them is in the study as a placeholder. Neither they nor
            fields that depend on them are reported.
    """
    results = chain(
        check_constants(study),
        check_seed_argument(study),
        check_parameters(study, invalid_fields),
        _check_map_values(study, invalid_fields),
        _check_constraints(study, invalid_fields),
        _check_objectives(study),
        _check_strategy(study, invalid_fields),
        _check_early_stopping(study),
        _check_warm_start(study),
        _check_confirm(study),
        check_trial(study, invalid_fields),
        check_option_values(study),
        check_secrets(study),
        _check_provider_limits(study),
    )
    problems = list(islice(results, _MAX_PROBLEMS))
    blocks = {path.partition(".")[0] for path in (*invalid_fields, *(p.path for p in problems))}
    parts = {"parameters", "constants", "constraints", "initial_trials"}
    if study.constraints and blocks.isdisjoint(parts):
        from cloudtune.study.validation.constraints import check_feasibility

        problems += check_feasibility(study)
    return problems


def find_notes(study: StudyFields) -> list[Note]:
    """Return notes about likely mistakes."""
    return [
        *_note_fixed_arguments(study),
        *note_option_values(study),
        *_note_constraints(study),
        *_note_unread_metrics(study),
        *_note_surplus_trials(study),
    ]


def _check_map_values(study: StudyFields, invalid_fields: frozenset[str]) -> Iterator[Problem]:
    if study.maps:
        from cloudtune.study.validation.map_values import check_map_values

        yield from check_map_values(study, invalid_fields)


def _check_constraints(study: StudyFields, invalid_fields: frozenset[str]) -> Iterator[Problem]:
    if study.constraints:
        from cloudtune.study.validation.constraints import check_constraints

        yield from check_constraints(study, invalid_fields)


def _note_constraints(study: StudyFields) -> Iterator[Note]:
    if study.constraints and not find_problems(study):
        from cloudtune.study.validation.constraints import note_constraints

        yield from note_constraints(study)


def _check_objectives(study: StudyFields) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, objective in enumerate(study.objectives):
        if objective.metric in seen:
            message = f"duplicate objective {objective.metric}"
            yield Problem(f"objective.{number}.metric", message, "remove one of them")
        seen.add(objective.metric)


def _check_strategy(study: StudyFields, invalid_fields: frozenset[str]) -> Iterator[Problem]:
    if "strategy.name" in invalid_fields:
        return  # which fields are valid depends on the name
    strategy = study.strategy
    methods = STRATEGIES[strategy.name].methods
    if strategy.method is not None and strategy.method not in methods:
        if methods:
            message = f"{strategy.name} has no method {strategy.method}"
            hint = did_you_mean(strategy.method, methods) or f"use one of {', '.join(methods)}"
        else:
            message = f"{strategy.name} has no methods"
            hint = "remove it"
        yield Problem("strategy.method", message, hint)
    elif strategy.method in SINGLE_OBJECTIVE and len(study.objectives) > 1:
        message = f"{strategy.method} supports only one objective"
        others = ", ".join(other for other in methods if other not in SINGLE_OBJECTIVE)
        yield Problem("strategy.method", message, f"use {others}, or keep one objective")
    if strategy.name == "hyperband":
        yield from _check_hyperband(study, invalid_fields)
    else:
        for key in ("resource", "min", "max", "eta"):
            if getattr(strategy, key) is not None:
                message = "requires the strategy hyperband"
                yield Problem(f"strategy.{key}", message, "remove it, or use name: hyperband")
    if strategy.name == "external" and strategy.proposals is not None:
        message = "the strategy external leaves all trials to proposals"
        yield Problem("strategy.proposals", message, "remove it")
    has_share = strategy.proposals is not None or "strategy.proposals" in invalid_fields
    if strategy.proposal_wait is not None and not has_share:
        message = "requires strategy.proposals"
        yield Problem("strategy.proposal_wait", message, "add proposals: 0.3, or remove it")
    if strategy.name == "grid":
        yield from _check_grid(study, invalid_fields)
    if (
        strategy.name == "list"
        and not study.initial_trials
        and "initial_trials" not in invalid_fields
    ):
        message = "the strategy list needs initial trials"
        yield Problem("initial_trials", message, "add them under initial_trials")


def _check_hyperband(study: StudyFields, invalid_fields: frozenset[str]) -> Iterator[Problem]:
    strategy = study.strategy
    if strategy.max is None and "strategy.max" not in invalid_fields:
        message = "hyperband needs the largest amount of the resource"
        yield Problem("strategy.max", message, "for example max: 27")
    if strategy.max is not None and (strategy.min or 1) > strategy.max:
        message = f"min {strategy.min} is greater than max {strategy.max}"
        yield Problem("strategy.min", message, "swap them")
    if strategy.resource is not None:
        for block in ("parameters", "constants"):
            if strategy.resource in getattr(study, block):
                message = f"hyperband sets {strategy.resource}, which is also in {block}"
                yield Problem("strategy.resource", message, f"remove it from {block}")
        if not strategy.resource.strip() or not strategy.resource.isprintable():
            message = "must have printable characters only"
            yield Problem("strategy.resource", message, "remove it to count reported steps")
    if len(study.objectives) > 1:
        message = "hyperband supports only one objective"
        yield Problem("strategy.name", message, "use bayesian or genetic, or keep one objective")


def _check_grid(study: StudyFields, invalid_fields: frozenset[str]) -> Iterator[Problem]:
    for path, name, parameter in study.definitions():
        if f"parameters.{name}" in invalid_fields:
            continue
        if not isinstance(parameter, FloatParameter) or parameter.min > parameter.max:
            continue
        if parameter.step is None and count_values(parameter) is None:
            message = f"a grid needs a step for the float {name}"
            yield Problem(path, message, "add a step, or list the values with type: discrete")


def _check_early_stopping(study: StudyFields) -> Iterator[Problem]:
    stopping = study.early_stopping
    if stopping is None:
        return
    if study.strategy.name == "hyperband":
        message = "hyperband already stops trials early"
        yield Problem("early_stopping", message, "remove early_stopping")
    elif len(study.objectives) > 1:
        message = "early stopping supports only one objective"
        yield Problem("early_stopping", message, "remove it, or keep one objective")
    for field, rule in (("slack", "bandit"), ("slack_amount", "bandit"), ("eta", "halving")):
        if getattr(stopping, field) is not None and stopping.rule != rule:
            message = f"requires the rule {rule}"
            yield Problem(f"early_stopping.{field}", message, f"remove it, or use rule: {rule}")
    if stopping.slack is not None and stopping.slack_amount is not None:
        message = "slack and slack_amount exclude each other"
        yield Problem("early_stopping.slack_amount", message, "keep one of them")


def _check_warm_start(study: StudyFields) -> Iterator[Problem]:
    if study.warm_start is None:
        return
    for number, parent in enumerate(study.warm_start.from_):
        provider, colon, job = parent.partition(":")
        if not provider.strip() or (colon and not job.strip()) or not parent.isprintable():
            path = study.item_path("warm_start.from", number, len(study.warm_start.from_))
            hint = "use the id of a run, or provider:job such as sagemaker:job-name"
            yield Problem(path, f"{parent!r} is not a run or a job", hint)


def _check_confirm(study: StudyFields) -> Iterator[Problem]:
    confirm = study.confirm
    if confirm is None:
        return
    objectives = [each.metric for each in study.objectives]
    for key in ("metric", "train_metric"):
        if (name := getattr(confirm, key)) in objectives:
            message = f"{name} is the objective, which is measured in any case"
            yield Problem(f"confirm.{key}", message, "name another metric, or remove it")
    if confirm.metric is not None and confirm.metric == confirm.train_metric:
        message = f"{confirm.metric} is also the metric that decides"
        yield Problem("confirm.train_metric", message, "name the metric on the training data")
    if confirm.goal is not None and confirm.metric is None:
        message = "has no effect without confirm.metric"
        yield Problem("confirm.goal", message, "add the metric, or remove the goal")


def _check_provider_limits(study: StudyFields) -> Iterator[Problem]:
    for name, settings in study.providers.items():
        limits = settings.get("limits")
        if limits is None:
            continue
        try:
            Limits.model_validate(limits)
        except ValidationError as error:
            from cloudtune.study.messages import translate_error

            for problem in translate_error(error, limits, Limits):
                path = f"providers.{name}.limits"
                path = f"{path}.{problem.path}" if problem.path else path
                yield Problem(path, problem.message, problem.hint)


def _note_fixed_arguments(study: StudyFields) -> Iterator[Note]:
    if study.trial.arguments not in OPTION_STYLES:
        return
    placeholders = set(placeholder_names([*(study.trial.command or ()), *study.trial.args]))
    for number, word in enumerate(study.trial.args):
        flag = word.partition("=")[0]
        name = flag.removeprefix("--") if flag.startswith("--") else flag.removeprefix("-")
        dashed = flag == f"--{name}" or (flag == f"-{name}" and len(name) == 1)
        if dashed and name in study.argument_names and name not in placeholders:
            text = f"{name} is also a parameter; argparse uses the tuned value, which comes later"
            yield Note(f"trial.args.{number}", text, "warning")


def _note_unread_metrics(study: StudyFields) -> Iterator[Note]:
    metrics = study.trial.metrics
    for number, objective in enumerate(study.objectives):
        if metrics and objective.metric not in metrics:
            path = f"{study.objective_path(number)}.metric"
            text = f"{objective.metric} is not in trial.metrics, so the script must report it"
            suggestion = did_you_mean(objective.metric, metrics)
            severity: Severity = "warning" if suggestion else "note"
            yield Note(path, f"{text} ({suggestion})" if suggestion else text, severity)


def _note_surplus_trials(study: StudyFields) -> Iterator[Note]:
    limit, count = study.limits.max_trials, len(study.initial_trials)
    if limit is not None and count > limit:
        text = f"max_trials is {limit}, so only the first {limit} of {count} run"
        yield Note("initial_trials", text, "warning")
