"""What only this machine refuses or does otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloudtune.bundle.files import IGNORE_FILE
from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.fit import FittedStudy
from cloudtune.provider.facts import Facts
from cloudtune.study.quantities import format_count

_MANY = 100
"""Trials with which a source counts that is to be run by fewer, or by an unknown number."""
_MUCH = 10e9
"""Bytes of all copies of the source that are worth a note."""


def rules(fitted: FittedStudy, facts: Facts) -> list[Finding | Note]:
    """Return the findings and notes of a study on this machine."""
    return [
        *_system(facts.own),
        *_code(fitted, facts.own),
        *_copies(fitted, facts.own["files"]["bytes"]),
        *_inputs(fitted, facts.own),
        *_resources(fitted, facts.own),
    ]


def _system(own: Any) -> Iterator[Finding]:
    if own["system"] != "posix":
        yield Finding(
            "refused",
            "trial",
            "local runs need Linux or macOS for now; on Windows, check and plan work",
        )


def _code(fitted: FittedStudy, own: Any) -> Iterator[Finding | Note]:
    trial = fitted.study.trial
    if not (trial.script or trial.module or trial.command):
        yield Finding(
            "refused", "trial", "there is nothing to run here: give a script, module or command"
        )
    if trial.source and "://" in (trial.source.get("local") or trial.source.get("*", "")):
        yield Finding("refused", "trial.source", "the source is no folder on this machine")
    if own["python"] is None:
        yield Finding("refused", "trial.python", f"there is no Python {trial.python}")
    elif trial.script or trial.module:
        yield Note("trial.python", f"trials run with {own['python']}")
    if trial.requirements:
        yield Note("trial.requirements", "not installed here: the trials' Python must have them")


def _copies(fitted: FittedStudy, size: int) -> Iterator[Note]:
    trials = fitted.study.limits.max_trials
    if size * max(trials or 0, _MANY) <= _MUCH:
        return
    together = f", {_bytes(size * trials)} for {trials} trials" if trials else ""
    yield Note(
        "trial.source",
        f"each trial keeps its own copy of the source, {_bytes(size)}{together}; files that "
        f"trials do not need can be named in {IGNORE_FILE}, large data belongs in trial.inputs",
    )


def _bytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def _inputs(fitted: FittedStudy, own: Any) -> Iterator[Finding]:
    for name, by_provider in fitted.study.trial.inputs.items():
        if {"*", "local"} & by_provider.keys() and own["inputs"][name] is None:
            reason = "the address is no path on this machine"
            yield Finding("refused", f"trial.inputs.{name}", reason)


def _resources(fitted: FittedStudy, own: Any) -> Iterator[Finding | Note]:
    wanted = fitted.study.trial.resources
    parallel = fitted.study.limits.parallel_trials or 1
    have = len(own["gpus"])
    if wanted.gpus and wanted.gpus * parallel > have:
        yield Finding(
            "refused",
            "trial.resources.gpus",
            f"trials need {format_count(wanted.gpus * parallel, 'GPU')} at a time, and {have} are "
            "here",
        )
    if (wanted.cpus or 1) * parallel > own["cores"]:
        yield Note(
            "limits.parallel_trials",
            f"{parallel} trials at a time with {wanted.cpus or 1} threads each share "
            f"{own['cores']} cores",
        )
    if wanted.memory:
        yield Finding(
            "dropped", "trial.resources.memory", "memory is neither reserved nor limited here"
        )
