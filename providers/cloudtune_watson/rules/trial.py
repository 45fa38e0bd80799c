"""Rules of a trial on every back end: its code, inputs, variables and resources."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, Note, Study, largest_resources
from cloudtune.provider.lookup import input_address
from cloudtune.provider.secrets import secret_variables
from cloudtune.provider.trial_checks import check_code
from cloudtune_watson.backend import Backend
from cloudtune_watson.settings import NAME


def trial_rules(study: Study, backend: Backend, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the findings and notes on the block ``trial``."""
    without = "IBM Watson has no image or algorithm that replaces the code: add a script"
    yield from check_code(study, facts, without)
    yield from _inputs(study, backend, facts)
    yield from _secrets(study, backend)
    for name in ("cpus", "gpus", "memory"):
        if getattr(largest_resources(study), name):
            yield Finding("dropped", f"trial.resources.{name}", backend.resources[name])


def _inputs(study: Study, backend: Backend, facts: Facts) -> Iterator[Finding]:
    for index, name in enumerate(study.trial.inputs):
        path = f"trial.inputs.{name}"
        if index:
            reason = "a trial has one data folder: add the files to the first input"
            yield Finding("refused", path, reason)
        elif reason := _input_problem(name, backend, facts):
            yield Finding("refused", path, reason)
        source = input_address(study, NAME, name, emulated=facts.emulated)
        if source and source.content_type:
            reason = "IBM Watson has no content types: files are passed unchanged"
            yield Finding("dropped", path, reason)


def _input_problem(name: str, backend: Backend, facts: Facts) -> str:
    """Return why an input cannot be used; empty if it can, or if the core reports the reason."""
    inputs = facts.lookup.inputs
    address = inputs.addresses[name]
    if address is None or name in inputs.absent or name in inputs.uploads:
        return ""
    return backend.input_problem(name, address, facts)


def _secrets(study: Study, backend: Backend) -> Iterator[Finding]:
    if not backend.secrets_problem:
        return
    reason = (
        f"{backend.secrets_problem}, and literal values are sent with the code: let the script "
        "fetch secrets"
    )
    for name in secret_variables(study):
        yield Finding("refused", f"trial.env.{name}", reason)
