"""What a plan finds in the study and on this machine, whichever provider runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import has_code, input_address
from cloudtune.study.methods import can_warm_start
from cloudtune.study.schema import Mode
from cloudtune.study.search_space import Space
from cloudtune.study.study import Study


def check_completeness(study: Study) -> list[Finding]:
    """Return what a run needs, on any provider, and a partial study lacks."""
    found: list[Finding] = []
    if not study.objective:
        found.append(
            Finding("refused", "objective", "the study names no objective: {metric: …, goal: …}")
        )
    if not study.parameters and not study.initial_trials:
        found.append(Finding("refused", "parameters", "the study names no parameter to tune"))
    limits = study.limits
    bounded = (
        limits.max_trials
        or limits.timeout
        or limits.patience
        or limits.max_cost
        or study.strategy.name in {"grid", "list"}
        or any(objective.target is not None for objective in study.objectives)
    )
    if not bounded:
        found.append(
            Finding("refused", "limits", "nothing would end this run: give max_trials or timeout")
        )
    return found


_NEEDED = {"cmaes": ("cmaes", "samplers"), "sobol": ("scipy", "samplers")}


def check_engine(study: Study) -> list[Finding]:
    """Return what holds wherever cloudtune chooses the trials."""
    return [*_not_installed(study), *_without_effect(study)]


def check_warm_start(study: Study, provider: str, mode: Mode) -> list[Finding]:
    """Return what a warm start names that this job cannot learn from."""
    found: list[Finding] = []
    for name in study.warm_start.from_ if study.warm_start else []:
        who, colon, _ = name.partition(":")
        if colon and mode == "driven":
            reason = f"{name}: a driven job learns from runs that cloudtune started, by their ids"
            found.append(Finding("dropped", "warm_start.from", reason))
        elif colon and who != provider:
            reason = f"{name} is another service's job, which this one knows nothing of"
            found.append(Finding("dropped", "warm_start.from", reason))
    return found


def check_lookup(study: Study, provider: str, facts: Facts) -> list[Finding | Note]:
    """Return what the lookup did not find: settings, code, inputs, variables. See `Facts.own`."""
    own, source = facts.own, study.trial.source
    found: list[Finding | Note] = []

    def refuse(path: str, reason: str) -> None:
        found.append(Finding("refused", path, reason))

    missing: Any = own.get("missing") or {}
    if facts.emulated and missing:
        words = f"for the emulator, stand-ins are used in place of: {', '.join(missing)}"
        found.append(Note(f"providers.{provider}", words))
    elif missing:
        for name, what_to_do in missing.items():
            refuse(f"providers.{provider}.{name}", what_to_do)
    if has_code(study) and source and not {"*", provider} & source.keys():
        refuse("trial.source", f"there is no source for {provider}")
    for name in own.get("absent_files", ()):
        path = "trial.script" if name == study.trial.script else "trial.requirements"
        refuse(path, f"there is no file {name} in the source")
    for name in study.trial.inputs:
        path, brought = f"trial.inputs.{name}", own.get("uploads", {}).get(name)
        if input_address(study, provider, name, emulated=facts.emulated) is None:
            refuse(path, f"there is no address for {provider}: give one under {path}.{provider}")
        elif name in own.get("absent_inputs", ()):
            refuse(path, f"there is nothing at {brought or own['inputs'][name]}")
        elif brought:
            words = f"{brought} is uploaded to {own['inputs'][name]}"
            found.append(Finding("approximated", path, words))
    for name in own.get("unset", ()):
        refuse("trial.env", f"the variable {name} is not set in this shell")
    return found


def _without_effect(study: Study) -> list[Finding]:
    strategy, warm_start = study.strategy, study.warm_start
    if warm_start is None or can_warm_start(strategy, warm_start.kind):
        return []
    how = strategy.method or strategy.name
    if warm_start.kind == "transfer":
        reason = f"a {how} keeps its own order and does not begin with earlier trials"
    else:
        reason = f"{how} learns nothing from earlier trials"
    return [Finding("dropped", "warm_start", reason)]


def _not_installed(study: Study) -> list[Finding]:
    from importlib.util import find_spec

    module, extra = _NEEDED.get(study.strategy.method or "", ("", ""))
    if not module or find_spec(module):
        return []
    reason = f"{study.strategy.method} needs {module}: pip install 'cloudtune[{extra}]'"
    return [Finding("refused", "strategy.method", reason)]


def model_notes(study: Study) -> list[Note]:
    """Return which models choose the trials, where the study leaves that to cloudtune."""
    from cloudtune.search.bayesian_search import describe_models

    models = describe_models(study)
    return [Note("strategy", models)] if models else []


def engine_notes(study: Study, facts: Facts) -> Sequence[Note]:
    """Return what a reader of the plan should know where cloudtune chooses the trials."""
    found: list[Note] = []
    limit = study.limits.max_trials
    if (
        study.strategy.name == "grid"
        and limit
        and (size := Space.from_study(study).size)
        and limit < size
    ):
        found.append(
            Note("limits.max_trials", f"the first {limit} of the grid's {size} trials will run")
        )
    if facts.parents:
        from cloudtune.search.sampling import filter_prior_trials

        count = len(facts.parents)
        known = len(
            filter_prior_trials(Space.from_study(study), len(study.objectives), facts.parents)
        )
        found.append(Note("warm_start", f"{known} of {count} earlier trials lie in this space"))
    return found
