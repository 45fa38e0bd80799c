"""Rules of the instances: their types, time limits, spot capacity and checkpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cloudtune.provider import (
    Facts,
    Finding,
    FittedStudy,
    Mode,
    Note,
    did_you_mean,
    format_cost,
    format_count,
    format_duration,
    largest_resources,
)
from cloudtune.provider.lookup import uses_launcher
from cloudtune_sagemaker.request.run_part import max_trial_seconds, saves_checkpoints
from cloudtune_sagemaker.rules.settings import SETTINGS, refuse
from cloudtune_sagemaker.settings import SageMakerSettings

MAX_TYPES: Mapping[Mode, int] = {"managed": 6, "driven": 5}
"""InstanceConfigs of a tuning job, InstancePreferences of a training job (botocore 1.44.8)."""
USUAL_QUOTA = 8
"""Instances of a type at one time that an account may often use for training. AWS publishes no
defaults: each account sees its own in Service Quotas. New accounts have 0 for many types; 8 is the
default that the documentation of DeepRacer on AWS names (its page Service quotas, read 2026-11-27).
"""
MAX_TRIAL_SECONDS = 28 * 24 * 3600
MAX_KEEP_ALIVE = 21_600
"""Seconds (KeepAlivePeriodInSeconds, botocore 1.44.8 model)."""
GUIDE_KEEP_ALIVE = 3600
"""Seconds (developer guide, train-warm-pools, read 2026-11-27)."""
MAX_WAIT_WITHOUT_CHECKPOINTS = 3600
_PRIORITIZED_TYPES = frozenset(
    {"ml.m5.xlarge", "ml.m5.2xlarge", "ml.m5.4xlarge", "ml.c5.xlarge", "ml.c5.2xlarge"}
)
"""The types of a tuning job with several (botocore 1.44.8, HyperParameterTuningInstanceConfig). The
tests of sagemaker-python-sdk tune with ml.m4.2xlarge and ml.m4.xlarge (integ/test_tuner.py)."""
_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")


def machine_rules(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield the findings and notes on instances."""
    yield from _types(mode, settings, emulated=facts.emulated)
    yield from _count(fitted, settings, facts)
    if not facts.emulated:
        yield from _quota(fitted, settings)
    yield from _time_limits(fitted, settings)
    if settings.spot:
        yield from _spot(fitted, mode, settings, facts)
    elif settings.max_wait:
        yield Finding("dropped", f"{SETTINGS}.max_wait", "applies only with spot: true")
    yield from _checkpoints(fitted, mode, settings, facts)
    yield from _warm_pool(fitted, mode, settings, facts)
    yield from _resources(fitted)


def _types(mode: Mode, settings: SageMakerSettings, *, emulated: bool) -> Iterator[Finding | Note]:
    types = settings.instance_type or []
    for number, name in enumerate(types):
        field = f"instance_type.{number}" if len(types) > 1 else "instance_type"
        if not _TYPE.fullmatch(name):
            yield refuse(field, "invalid instance type: use a name like ml.m5.xlarge")
        elif name in types[:number]:
            yield refuse(field, f"duplicate instance type {name}")
        elif name not in known_types():
            suggestion = did_you_mean(name, known_types())
            model = _table()["source"].partition(",")[0]
            text = f"{name} is not among the instance types of {model}"
            text = f"{text}; {suggestion}" if suggestion else text
            yield refuse(field, text) if emulated else Note(f"{SETTINGS}.{field}", text)
    if len(types) > MAX_TYPES[mode]:
        job = "tuning" if mode == "managed" else "training"
        reason = f"a {job} job accepts at most {MAX_TYPES[mode]} instance types"
        yield refuse("instance_type", reason)
    if len(types) > 1 and mode == "driven" and settings.spot:
        yield refuse("instance_type", "a training job with spot accepts only one instance type")
    if len(types) > 1 and mode == "managed" and (others := set(types) - _PRIORITIZED_TYPES):
        text = (
            f"AWS's documentation allows only {', '.join(sorted(_PRIORITIZED_TYPES))} in a tuning "
            f"job with several types, but its SDK is tested with others: not verified live for "
            f"{', '.join(sorted(others))}"
        )
        yield Note(f"{SETTINGS}.instance_type", text)
    with_disks = list(filter(_has_local_storage, types))
    if settings.volume_kms_key and with_disks:
        yield refuse(
            "volume_kms_key",
            f"{', '.join(with_disks)} has local disks, which the hardware encrypts with its own "
            "key: remove this setting",
        )


def _count(
    fitted: FittedStudy, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    if settings.instance_count == 1:
        return
    if facts.emulated:
        text = "the emulator runs one instance per trial: set it to 1 for the rehearsal"
        yield refuse("instance_count", text)
    elif uses_launcher(fitted.study, facts):
        text = "each instance runs the script; metrics are read from the first one, algo-1"
        yield Note(f"{SETTINGS}.instance_count", text)
    else:
        text = "each instance runs the image: print metrics on only one of them"
        yield Note(f"{SETTINGS}.instance_count", text)


def _quota(fitted: FittedStudy, settings: SageMakerSettings) -> Iterator[Note]:
    """Yield the quotas of the account that the trials at one time may exceed."""
    instances = (fitted.study.limits.parallel_trials or 1) * settings.instance_count
    kind = "spot training" if settings.spot else "training"
    types = settings.instance_type or []
    scarce = [name for name in types if instances > (0 if _has_accelerators(name) else USUAL_QUOTA)]
    if scarce:
        names = " and ".join(f"'{name} for {kind} job usage'" for name in scarce)
        field = "limits.parallel_trials" if instances > 1 else f"{SETTINGS}.instance_type"
        text = (
            f"{format_count(instances, 'instance')} at a time: the default quota of an account is "
            f"often less (0 to {USUAL_QUOTA}, by type); look at Service Quotas: {names}"
        )
        yield Note(field, text, "warning")


def _time_limits(fitted: FittedStudy, settings: SageMakerSettings) -> Iterator[Finding | Note]:
    if max_trial_seconds(fitted.study) > MAX_TRIAL_SECONDS:
        yield Finding("refused", "limits.trial_timeout", "a training job runs for at most 28 days")
    if fitted.study.limits.trial_timeout is None:
        text = "without it a trial ends after one day, which is SageMaker's default"
        yield Note("limits.trial_timeout", text)
    if settings.retry:
        text = "only after internal errors of the service; trial_timeout covers all attempts"
        yield Note(f"{SETTINGS}.retry", text)


def _spot(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    limit = max_trial_seconds(fitted.study)
    wait = settings.max_wait or limit
    if wait < limit:
        yield refuse(
            "max_wait",
            f"{format_duration(wait)} is shorter than the time limit of a trial "
            f"({format_duration(limit)}): increase it, or reduce limits.trial_timeout",
        )
    elif not settings.max_wait:
        text = f"waiting and running take at most {format_duration(limit)}, as trial_timeout"
        yield Note(f"{SETTINGS}.max_wait", text)
    if not saves_checkpoints(fitted.study, settings, facts, mode):
        if settings.algorithm and wait > MAX_WAIT_WITHOUT_CHECKPOINTS:
            reason = "with spot, an algorithm without checkpoints waits and runs for at most 1h"
            yield refuse("max_wait", reason)
        text = "an interrupted trial starts from scratch, since checkpoints are not saved"
        yield Note(f"{SETTINGS}.spot", text)
    counts_steps = fitted.study.early_stopping or fitted.study.strategy.name == "hyperband"
    if mode == "managed" and counts_steps:
        text = "steps that a trial repeats after an interruption count twice"
        yield Note(f"{SETTINGS}.spot", text)


def _warm_pool(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield what a warm pool saves and costs.

    Developer guide, page train-warm-pools (read 2026-11-27): only training jobs create warm pools,
    idle instances are billed, spot instances and heterogeneous clusters have none, and without a
    quota, which is 0 by default, instances are not kept.
    """
    if settings.keep_alive is None:
        return
    path = f"{SETTINGS}.keep_alive"
    if mode == "managed":
        yield Finding("dropped", path, "SageMaker's tuner does not use warm pools")
        return
    if not 1 <= settings.keep_alive <= MAX_KEEP_ALIVE:
        yield refuse("keep_alive", f"must be between 1s and {format_duration(MAX_KEEP_ALIVE)}")
    if settings.spot:
        yield refuse("keep_alive", "spot instances have no warm pool: remove spot or keep_alive")
    elif settings.keep_alive > GUIDE_KEEP_ALIVE:
        text = (
            f"AWS's guide allows at most {format_duration(GUIDE_KEEP_ALIVE)}, its API model "
            f"{format_duration(MAX_KEEP_ALIVE)}: not verified live"
        )
        yield Note(path, text)
    if len(settings.instance_type or []) > 1:
        text = "whether instances of several types are kept is not verified: set one instance_type"
        yield Note(path, text)
    limits = fitted.study.limits
    parallel = limits.parallel_trials or 1
    warm = (limits.max_trials or 0) - parallel
    saved = f"up to {warm} of {limits.max_trials} trials start" if warm > 0 else "trials start"
    idle = settings.keep_alive * parallel
    price = facts.price
    cost = f", at most {format_cost(price.per_second * idle, price.currency)}" if price else ""
    after = f"{format_duration(settings.keep_alive)}" + (f" x {parallel}" if parallel > 1 else "")
    yield Note(
        path,
        f"{saved} on the instances of earlier ones, in less than a minute instead of minutes; idle "
        f"instances are billed like running ones, after the last trials for {after}{cost}; needs a "
        "quota, by default 0: "
        f"'{(settings.instance_type or ['TYPE'])[0]} for training warm pool usage'",
    )


def _checkpoints(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    path = f"{SETTINGS}.checkpoints"
    saved = saves_checkpoints(fitted.study, settings, facts, mode)
    if saved and mode == "managed" and uses_launcher(fitted.study, facts):
        text = (
            "a tuning job has one address for the checkpoints of all trials: each trial uses a "
            "folder of its own there, but first downloads those of all earlier trials"
        )
        yield Note(path, text)
    elif saved and mode == "managed":
        yield Finding(
            "approximated",
            path,
            "all trials share one checkpoint folder, and each starts with its files: only "
            "cloudtune's launcher gives each trial its own; the code must use a subfolder named "
            "after TRAINING_JOB_NAME",
        )
    if not saved and mode == "driven" and fitted.study.strategy.resource:
        reason = "each rung of hyperband starts from scratch, since checkpoints are not saved"
        yield Finding("approximated", path, reason)


def _resources(fitted: FittedStudy) -> Iterator[Finding]:
    for name in ("cpus", "gpus", "memory"):
        if getattr(largest_resources(fitted.study), name):
            reason = "depends on the instance: choose providers.sagemaker.instance_type"
            yield Finding("dropped", f"trial.resources.{name}", reason)


@cache
def known_types() -> frozenset[str]:
    """Return the instance types in ``machines.json``."""
    families: dict[str, str] = _table()["families"]
    return frozenset(
        f"ml.{family}.{size}" for family, sizes in families.items() for size in sizes.split()
    )


def _has_accelerators(name: str) -> bool:
    """Return whether instances of a type have GPUs or AWS's own chips for training."""
    return re.match(r"ml\.(g|p|trn)\d", name) is not None


def _has_local_storage(name: str) -> bool:
    families: str = _table()["local_storage"]["families"]
    return name.removeprefix("ml.").partition(".")[0] in families.split()


@cache
def _table() -> dict[str, Any]:
    path = Path(__file__).parents[1] / "machines.json"
    table: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return table
