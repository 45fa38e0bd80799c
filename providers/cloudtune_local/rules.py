"""The rules of this machine: findings and notes on a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudtune.bundle.ignore_file import IGNORE_FILE
from cloudtune.provider import (
    Facts,
    Finding,
    FittedStudy,
    Note,
    format_bytes,
    format_count,
    largest_resources,
)
from cloudtune.provider.lookup import python_misfit
from cloudtune_local.source import MAX_KEPT_BYTES

_MIN_COPIES = 100
"""Copies of the source to assume if there are fewer trials, or an unknown number."""
_NOTABLE_BYTES = 10e9
"""Total size of the copies of the source from which on there is a note."""


def rules(fitted: FittedStudy, facts: Facts) -> list[Finding | Note]:
    """Return the findings and notes of a study on this machine."""
    return [
        *_code(fitted, facts.data),
        *_python(facts),
        *_copies(fitted, facts.lookup.source.size),
        *_inputs(fitted, facts.lookup.inputs.addresses),
        *_resources(fitted, facts.data),
    ]


def _code(fitted: FittedStudy, data: Any) -> Iterator[Finding | Note]:
    if data["system"] != "posix":
        reason = "local runs need Linux or macOS for now; on Windows, check and plan work"
        yield Finding("refused", "trial", reason)
    trial = fitted.study.trial
    if not (trial.script or trial.module or trial.command):
        yield Finding("refused", "trial", "nothing to run: set script, module or command")
    if trial.source and "://" in (trial.source.get("local") or trial.source.get("*", "")):
        yield Finding("refused", "trial.source", "not a folder on this machine")
    for key in ("module", "command"):
        if reason := data.get("no_program" if key == "command" else "no_module"):
            yield Finding("refused", f"trial.{key}", reason)
    if data["python"] is None:
        yield Finding("refused", "trial.python", f"{trial.python} not found")
    elif trial.script or trial.module:
        yield Note("trial.python", f"trials run with {data['python']}")
    if trial.requirements:
        yield Note("trial.requirements", "not installed locally: the trials' Python must have them")


def _python(facts: Facts) -> Iterator[Finding]:
    version = facts.data.get("version", "")
    if version and (misfit := python_misfit(facts, version)):
        reason = (
            f"{facts.data['python']} is Python {version}, and {misfit}: set trial.python to such a "
            "Python, or correct requires-python"
        )
        yield Finding("refused", "trial.python", reason)


def _copies(fitted: FittedStudy, size: int) -> Iterator[Note]:
    trials = fitted.study.limits.max_trials
    if size > MAX_KEPT_BYTES or size * max(trials or 0, _MIN_COPIES) <= _NOTABLE_BYTES:
        return
    total = f", {format_bytes(size * trials)} for {trials} trials" if trials else ""
    yield Note(
        "trial.source",
        f"each trial keeps its own copy of the source, {format_bytes(size)}{total}; list files "
        f"that trials do not need in {IGNORE_FILE}, and move large data to trial.inputs",
        "warning",
    )


def _inputs(fitted: FittedStudy, addresses: Mapping[str, str | None]) -> Iterator[Finding]:
    for name, by_provider in fitted.study.trial.inputs.items():
        if {"*", "local"} & by_provider.keys() and addresses[name] is None:
            yield Finding("refused", f"trial.inputs.{name}", "not a path on this machine")


def _resources(fitted: FittedStudy, data: Any) -> Iterator[Finding | Note]:
    resources = largest_resources(fitted.study)
    parallel = fitted.study.limits.parallel_trials or 1
    available = len(data["gpus"])
    if resources.gpus and resources.gpus * parallel > available:
        needed = format_count(resources.gpus * parallel, "GPU")
        change = "reduce it or limits.parallel_trials" if parallel > 1 else "reduce it"
        reason = f"trials need {needed} at a time, and {available} are available: {change}"
        yield Finding("refused", "trial.resources.gpus", reason)
    threads, cores = resources.cpus or 1, data["cores"]
    if threads * parallel > cores:
        each, shared = format_count(threads, "thread"), format_count(cores, "core")
        text = f"{parallel} trials at a time with {each} each share {shared}"
        yield Note("limits.parallel_trials", text, "warning")
    if largest_resources(fitted.original).memory:
        reason = "local runs neither reserve nor limit memory"
        yield Finding("dropped", "trial.resources.memory", reason)
