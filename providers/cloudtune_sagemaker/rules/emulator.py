"""What the emulator cannot run, though SageMaker could: told before anything is started."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.diagnostics import Finding
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import has_code
from cloudtune.study.study import Study
from cloudtune_sagemaker.rules.settings import HERE
from cloudtune_sagemaker.settings import SageMakerSettings


def emulated_rules(study: Study, settings: SageMakerSettings, facts: Facts) -> Iterator[Finding]:
    """Yield what each trial would fail for on the emulator."""
    code: str | None = facts.own["code"]
    if not has_code(study):
        reason = "the emulator runs no images, only code: give a script, module or command"
        yield Finding("refused", "trial", reason)
    elif code is not None:
        reason = f"{code} is not on the emulator: give a folder, as trial.source.sagemaker=."
        yield Finding("refused", "trial.source", reason)
    inputs: dict[str, str | None] = facts.own["inputs"]
    for name, uri in inputs.items():
        if uri and name not in facts.own["uploads"]:
            reason = f"{uri} is not on the emulator: give the input a local address, too"
            yield Finding("refused", f"trial.inputs.{name}", reason)
    if inputs and settings.input_mode == "Pipe":
        reason = "the emulator has no pipes: use File or FastFile there"
        yield Finding("refused", f"{HERE}.input_mode", reason)
