"""The part of a sweep job that a study determines, in the YAML of ``az ml``.

An export is this part, with what is kept of an imported job. A run writes it in the words of the
REST API (`cloudtune_azure.request.rest`) and adds what `cloudtune_azure.request.run_part` has.
"""

from __future__ import annotations

import math

from cloudtune.formats import (
    Native,
    Report,
    compact,
    inverse,
    map_at,
    native_of,
    option_entries,
    read_alone,
    take_block,
)
from cloudtune.provider import Json, Study, is_map
from cloudtune_azure.native.names import LIMITS, RULES, SCHEMA, WORDS, is_automl
from cloudtune_azure.native.search_space import SpaceReader
from cloudtune_azure.native.short import is_short, read_short
from cloudtune_azure.request.space_writer import SpaceWriter, exponent_base, sweep_of
from cloudtune_azure.settings import NAME


def study_part(study: Study, native: Native) -> Json:
    """Return the job, with what is kept of the parameters of an imported one."""
    rest = native.rest
    automl = is_automl(rest)
    head: Json = {key: rest[key] for key in ("$schema", "type") if key in rest}
    job: Json = head if rest or native.block else {"$schema": SCHEMA}
    job |= {} if automl else {"type": "sweep"}
    title = None if study.name == rest.get("name") else study.name
    job |= compact(display_name=title, description=study.description)
    writer = SpaceWriter(study, native)
    sweep: Json = {
        "sampling_algorithm": _algorithm(study, sweep_of(rest)),
        **compact(early_termination=_early_termination(study)),
    }
    if automl:
        job |= {"sweep": sweep, "search_space": writer.alternatives()}
    else:
        job |= {**sweep, "search_space": writer.space(writer.branches.roots)}
    for objective in study.objectives[:1]:
        if automl:
            job["primary_metric"] = objective.metric
        else:
            job["objective"] = {"goal": objective.goal, "primary_metric": objective.metric}
    _add_limits(job, study, rest, automl=automl)
    return job


def kept_native(study: Study) -> Native:
    """Return what is kept of an imported job, in the words of the YAML."""
    rest = native_of(study, NAME)
    block, base = take_block(rest, "search_space"), exponent_base(rest)

    def reread(entry: object) -> Json | None:
        if is_short(entry):
            entry = read_short(entry)
        if not is_map(entry) or "type" not in entry:
            return None
        return read_alone(SpaceReader(Report(), base), entry)

    return Native(rest, block, option_entries(block, "values"), reread)


def time_unit(rest: Json) -> int:
    """Return the unit of time limits in seconds."""
    return 60 if is_automl(rest) else 1


def _algorithm(study: Study, sweep: Json) -> str | Json:
    strategy, name = study.strategy, WORDS.strategy(study.strategy) or study.strategy.name
    settings: Json = {}
    if strategy.name == "random":
        rule = {"uniform": "random", "sobol": "sobol"}.get(strategy.method or "")
        settings = compact(rule=rule)
        settings |= {} if strategy.seed is None else {"seed": strategy.seed}
    is_written_as_map = is_map(sweep.get("sampling_algorithm"))
    return {"type": name, **settings} if settings or is_written_as_map else name


def _early_termination(study: Study) -> Json:
    stopping = study.early_stopping
    if stopping is None:
        return {}
    rule = WORDS.automatic if stopping.rule == "auto" else stopping.rule
    if rule is None or rule not in RULES.values():
        return {}
    policy: Json = {"type": inverse(RULES, rule)}
    if rule == "bandit":
        if stopping.slack_amount is not None:
            policy["slack_amount"] = stopping.slack_amount
        else:
            policy["slack_factor"] = 0.1 if stopping.slack is None else stopping.slack
    for key, value in (
        ("delay_evaluation", stopping.min_step),
        ("evaluation_interval", stopping.interval),
    ):
        if value is not None:
            policy[key] = value
    return policy


def _add_limits(job: Json, study: Study, rest: Json, *, automl: bool) -> None:
    limits = study.limits
    counts: Json = compact(
        **{"max_trials" if automl else "max_total_trials": limits.max_trials},
        max_concurrent_trials=limits.parallel_trials or (None if automl else 1),
    )
    suffix = "_minutes" if automl else ""
    times: Json = {
        name + suffix: math.ceil(seconds / time_unit(rest))
        for name in LIMITS
        if (seconds := getattr(limits, name)) is not None
    }
    if automl and "limits" in map_at(rest, "sweep"):
        job["sweep"]["limits"] = counts
        job |= compact(limits=times)
    else:
        job |= compact(limits=counts | times)
    kept = map_at(rest, "limits")
    is_changed = limits.parallel_trials != limits.max_trials
    if is_changed and kept.get("max_concurrent_trials", 0) is None:
        del kept["max_concurrent_trials"]  # absent in the imported job, but not in the study
