"""Rules of the emulator: what SageMaker could run, and its emulator cannot."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, Study, has_code
from cloudtune_sagemaker.rules.settings import refuse
from cloudtune_sagemaker.settings import SageMakerSettings


def emulator_rules(study: Study, settings: SageMakerSettings, facts: Facts) -> Iterator[Finding]:
    """Yield why trials cannot run on the emulator."""
    code = facts.lookup.code_address
    if not has_code(study):
        reason = "the emulator runs only code, no images: set script, module or command"
        yield Finding("refused", "trial", reason)
    elif code is not None:
        reason = f"{code} is not on the emulator: use a folder, such as trial.source.sagemaker=."
        yield Finding("refused", "trial.source", reason)
    inputs = facts.lookup.inputs
    for name, uri in inputs.addresses.items():
        if uri and name not in inputs.uploads:
            reason = f"{uri} is not on the emulator: add a local address for the input"
            yield Finding("refused", f"trial.inputs.{name}", reason)
    if inputs.addresses and settings.input_mode == "Pipe":
        yield refuse("input_mode", "the emulator does not support Pipe: use File or FastFile")
