"""Rules of the machines: their types, times and spare capacity, and what a trial asks of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.fit import FittedStudy
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import uses_launcher
from cloudtune.study.quantities import format_duration
from cloudtune.study.schema import Mode
from cloudtune.study.suggestions import did_you_mean
from cloudtune_sagemaker.request import keeps_checkpoints, longest_trial
from cloudtune_sagemaker.rules.settings import HERE
from cloudtune_sagemaker.settings import SageMakerSettings

MOST_TYPES = 5
LONGEST_TRIAL = 28 * 24 * 3600
LONGEST_WAIT_WITHOUT_CHECKPOINTS = 3600
_IN_ORDER = frozenset(
    {"ml.m5.xlarge", "ml.m5.2xlarge", "ml.m5.4xlarge", "ml.c5.xlarge", "ml.c5.2xlarge"}
)
"""Of a tuning job with several types (botocore 1.44.8, HyperParameterTuningInstanceConfig)."""
_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")


def machine_rules(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield what is wrong with the machines, or worth knowing of them."""
    yield from _types(mode, settings, emulated=facts.emulated)
    yield from _times(fitted, settings)
    if settings.spot:
        yield from _spot(fitted, mode, settings, facts)
    elif settings.max_wait:
        yield Finding("dropped", f"{HERE}.max_wait", "only with spot: true is there a wait")
    yield from _checkpoints(fitted, mode, settings, facts)
    yield from _resources(fitted)


def _types(mode: Mode, settings: SageMakerSettings, *, emulated: bool) -> Iterator[Finding | Note]:
    types = settings.instance_type or []
    for number, name in enumerate(types):
        path = f"{HERE}.instance_type.{number}" if len(types) > 1 else f"{HERE}.instance_type"
        if not _TYPE.fullmatch(name):
            yield Finding("refused", path, "SageMaker's machines are called as ml.m5.xlarge")
        elif name in types[:number]:
            yield Finding("refused", path, f"{name} stands twice")
        elif name not in known_types():
            near = did_you_mean(name, known_types())
            text = f"{name} is not among the types of botocore 1.44.8"
            text = f"{text}; {near}" if near else text
            yield Finding("refused", path, text) if emulated else Note(path, text)
    if len(types) > MOST_TYPES and mode == "driven":
        reason = f"a training job takes at most {MOST_TYPES} types"
        yield Finding("refused", f"{HERE}.instance_type", reason)
    if len(types) > 1 and mode == "driven" and settings.spot:
        reason = "a training job with spot takes one type of machine"
        yield Finding("refused", f"{HERE}.instance_type", reason)
    if len(types) > 1 and mode == "managed" and (others := sorted(set(types) - _IN_ORDER)):
        reason = (
            f"a tuning job with several types takes {', '.join(sorted(_IN_ORDER))}, and not "
            f"{', '.join(others)}: give one type, or choose mode: driven"
        )
        yield Finding("refused", f"{HERE}.instance_type", reason)
    storing = list(filter(_has_local_storage, types))
    if settings.volume_kms_key and storing:
        reason = (
            f"{', '.join(storing)} has disks of its own, which its hardware encrypts with a key of "
            "its own: leave this out"
        )
        yield Finding("refused", f"{HERE}.volume_kms_key", reason)
    if settings.instance_count > 1:
        text = "several instances a trial: let one of them report the metrics"
        yield Note(f"{HERE}.instance_count", text)


def _times(fitted: FittedStudy, settings: SageMakerSettings) -> Iterator[Finding | Note]:
    longest = longest_trial(fitted.study)
    if longest > LONGEST_TRIAL:
        reason = "a training job takes at most 28 days"
        yield Finding("refused", "limits.trial_timeout", reason)
    if fitted.study.limits.trial_timeout is None:
        text = "a trial ends after one day, which is SageMaker's own limit where none is given"
        yield Note("limits.trial_timeout", text)
    if settings.retry:
        text = "only internal errors of the service; trial_timeout bounds all attempts together"
        yield Note(f"{HERE}.retry", text)


def _spot(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    longest = longest_trial(fitted.study)
    wait = settings.max_wait or longest
    if wait < longest:
        yield Finding(
            "refused",
            f"{HERE}.max_wait",
            f"{format_duration(wait)} is shorter than a trial may take "
            f"({format_duration(longest)}): raise it, or lower limits.trial_timeout",
        )
    elif not settings.max_wait:
        text = f"a trial may wait and run for {format_duration(longest)} together, as trial_timeout"
        yield Note(f"{HERE}.max_wait", text)
    if not keeps_checkpoints(fitted.study, settings, facts, mode):
        if settings.algorithm and wait > LONGEST_WAIT_WITHOUT_CHECKPOINTS:
            reason = "an algorithm without checkpoints waits and runs for at most 1h with spot"
            yield Finding("refused", f"{HERE}.max_wait", reason)
        text = "a trial that loses its machine begins anew, since no checkpoints are kept"
        yield Note(f"{HERE}.spot", text)
    if mode == "managed" and (_counts_steps(fitted)):
        text = "what a trial reports again after it lost its machine counts twice as a step"
        yield Note(f"{HERE}.spot", text)


def _counts_steps(fitted: FittedStudy) -> bool:
    return bool(fitted.study.early_stopping) or fitted.study.strategy.name == "hyperband"


def _checkpoints(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding]:
    path = f"{HERE}.checkpoints"
    kept = keeps_checkpoints(fitted.study, settings, facts, mode)
    if kept and mode == "managed" and not uses_launcher(fitted.study, facts):
        yield Finding(
            "approximated",
            path,
            "all trials share one folder, which each begins with: only cloudtune's launcher gives "
            "each its own; the code must use a folder named by TRAINING_JOB_NAME",
        )
    if not kept and mode == "driven" and fitted.study.strategy.resource:
        reason = "each rung of hyperband begins anew, since nothing of the one before it is kept"
        yield Finding("approximated", path, reason)


def _resources(fitted: FittedStudy) -> Iterator[Finding]:
    wanted = fitted.study.trial.resources
    for name in ("cpus", "gpus", "memory"):
        if getattr(wanted, name):
            reason = "the machine decides this: choose providers.sagemaker.instance_type for it"
            yield Finding("dropped", f"trial.resources.{name}", reason)


@cache
def known_types() -> frozenset[str]:
    """Return the machine types that SageMaker had when this was written."""
    families: dict[str, str] = _table()["families"]
    return frozenset(
        f"ml.{family}.{size}" for family, sizes in families.items() for size in sizes.split()
    )


def _has_local_storage(name: str) -> bool:
    families: str = _table()["local_storage"]["families"]
    return name.removeprefix("ml.").partition(".")[0] in families.split()


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(
        (Path(__file__).parents[1] / "machines.json").read_text("utf-8")
    )
    return table
