"""Rules of a trial: its code, inputs, variables, requirements and arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cloudtune.provider import Facts, Finding, Note, Study, is_list, is_map
from cloudtune.provider.pythons import check_python, command_version, image_version
from cloudtune.provider.secrets import check_visible_secrets
from cloudtune.provider.trial_checks import check_arguments, check_code
from cloudtune_ray.rules.settings import SETTINGS
from cloudtune_ray.settings import NAME, RaySettings
from cloudtune_ray.uploads import MAX_PACKAGE, TOO_LARGE


def trial_rules(study: Study, settings: RaySettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the findings and notes on the block ``trial`` and the arguments."""
    yield from check_code(study, facts, "Ray runs code: add a script, module or command")
    if facts.lookup.source.size > MAX_PACKAGE:
        yield Finding("refused", "trial.source", TOO_LARGE)
    yield from _inputs(study, facts)
    yield from _secrets(study, settings)
    yield from _requirements(facts)
    yield from _python(study, settings, facts)
    yield from check_arguments(study)


def _python(study: Study, settings: RaySettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what the code requires of the Python that the settings name, if they do."""
    if facts.emulated or not (study.trial.script or study.trial.module):
        return
    path, name = f"{SETTINGS}.python", f"the nodes' {settings.python}"
    version = command_version(settings.python)
    environment = settings.native.get("runtime_env")
    if not version and is_map(environment):
        container = environment.get("container")
        image = environment.get("image_uri") or (
            container.get("image") if is_map(container) else None
        )
        if image:
            path, name = f"{SETTINGS}.native.runtime_env", f"the Python of {image}"
            version = image_version(str(image))
        if conda := environment.get("conda"):
            path, name = f"{SETTINGS}.native.runtime_env.conda", "the Python of conda"
            version = _conda_version(conda)
    yield from check_python(facts, path, name, version)


def _conda_version(conda: object) -> str:
    """Return the version of Python in an environment of conda, as its file has it."""
    packages: Any = conda.get("dependencies") if is_map(conda) else None
    for each in packages if is_list(packages) else ():
        if match := re.fullmatch(r"python\s*={1,2}\s*(3\.\d+(\.\d+)?)", str(each)):
            return match[1]
    return ""


def _inputs(study: Study, facts: Facts) -> Iterator[Finding | Note]:
    inputs = facts.lookup.inputs
    for name in study.trial.inputs:
        path = f"trial.inputs.{name}"
        address = inputs.addresses[name]
        if address and name in facts.data["local_inputs"] and not facts.emulated:
            text = f"not copied: all nodes must have {address}; else set {path}.{NAME}"
            yield Note(path, text)


def _secrets(study: Study, settings: RaySettings) -> Iterator[Finding | Note]:
    return check_visible_secrets(
        study,
        NAME,
        readers="everyone who reaches the cluster can read the variables of a job (GET /api/jobs/)",
        advice="set it on the nodes instead, where trials inherit it, and leave it out here",
        accepted=settings.visible_secrets,
    )


def _requirements(facts: Facts) -> Iterator[Finding]:
    for line in facts.data["packages"]:
        if line.startswith(("-r", "-c", "-e", "--requirement", "--constraint", "--editable", ".")):
            reason = f"Ray installs packages outside of your code, so {line!r} finds no file"
            yield Finding("refused", "trial.requirements", reason)
