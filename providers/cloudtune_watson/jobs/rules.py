"""Rules of the back end ``jobs``, which runs one deployment job for each start of a trial.

Sources: ``SOURCES.md`` in this folder, with the pages and their dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, FittedStudy, Note, Study
from cloudtune.provider.secrets import check_visible_secrets, secret_variables
from cloudtune_watson.jobs.native_rules import native_rules
from cloudtune_watson.settings import NAME, SETTINGS, WatsonSettings
from cloudtune_watson.versions import WML_FIRST, WML_LAST, parse_version, short_version

PARALLEL_JOBS = 2
"""Running jobs of one deployment, which the page for Cloud Pak for Data 3.5 documents; later pages
that were read do not mention it."""
CODE_BYTES = 5_000_000
"""Bytes of code above which there is a note. Chosen: IBM documents no size of a script, which has
the code as text."""
_SET_BY_IBM = frozenset({"BATCH_INPUT_DIR", "BATCH_OUTPUT_DIR", "JOBS_PAYLOAD_FILE"})
"""Variables whose values IBM overwrites (page on the input of Python scripts)."""
_ASSET_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


def deployment_job_rules(
    fitted: FittedStudy, settings: WatsonSettings, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield how a deployment job differs from a local trial."""
    study = fitted.study
    yield from _stopping(study)
    yield from _secrets(study, settings)
    limits = study.limits_for(NAME)
    parallel = limits.parallel_trials or 1
    if parallel > PARALLEL_JOBS:
        text = (
            f"IBM documented {PARALLEL_JOBS} running jobs per deployment, for Cloud Pak for Data "
            "3.5, and nothing since; others wait in its queue"
        )
        yield Note("limits.parallel_trials", text)
    size = facts.lookup.source.size
    if size > CODE_BYTES:
        text = (
            f"the code has {size / 1e6:.0f} MB and is sent as one script, whose largest size IBM "
            "does not document: list what is not needed in .cloudtuneignore"
        )
        yield Note("trial.source", text)
    if facts.data["is_cloud"] and not facts.emulated:
        text = (
            "deployment jobs on IBM Cloud need task credentials of your user, which are usable 15 "
            "to 20 minutes after their creation; cloudtune doctor looks for them"
        )
        yield Note(SETTINGS, text)
    yield from native_rules(settings.native)


def _stopping(study: Study) -> Iterator[Finding | Note]:
    reason = "the metrics of a deployment job can be read only after its end"
    strategy = study.strategy
    if study.early_stopping:
        yield Finding("dropped", "early_stopping", f"{reason}, so each trial runs to its end")
    if strategy.name == "hyperband" and strategy.resource:
        text = (
            "each rung trains from scratch: a deployment job has no folder that a later one can "
            "read"
        )
        yield Finding("approximated", "strategy.resource", text)
    elif strategy.name == "hyperband":
        text = (
            f"{reason}, so no trial can be stopped at a rung: name a resource, as in resource: "
            "epochs"
        )
        yield Finding("refused", "strategy.resource", text)
    if study.limits_for(NAME).trial_timeout is not None:
        text = f"{reason}; a trial that is stopped at its limit leaves none"
        yield Note("limits.trial_timeout", text)


def _secrets(study: Study, settings: WatsonSettings) -> Iterator[Finding | Note]:
    yield from check_visible_secrets(
        study,
        NAME,
        readers="everyone who may read the jobs of the space can read their variables (GET "
        "/ml/v4/deployment_jobs)",
        advice="let the script fetch the secret instead",
        accepted=settings.visible_secrets,
    )
    for name in sorted(_SET_BY_IBM & secret_variables(study).keys()):
        yield Finding("refused", f"trial.env.{name}", "IBM sets this variable: rename it")


def asset_problem(name: str, address: str, facts: Facts) -> str:
    """Return why an address is no data asset of the space; empty if it is one."""
    local = facts.data["local_inputs"]
    if name in local and facts.emulated:
        return (
            f"cloudtune does not upload {local[name]} to the emulator as a data asset: rehearse a "
            "study with inputs with backend: wml"
        )
    if name in local:
        return (
            f"cloudtune does not upload {local[name]} to a space: create a data asset there and "
            f"set its id as trial.inputs.{name}.{NAME}"
        )
    if not _ASSET_ID.fullmatch(address):
        return (
            "must be the id of a data asset of the space, which IBM copies to the trial; let the "
            "script read other sources itself"
        )
    return ""


def version_rules(_settings: WatsonSettings, version: str) -> Iterator[Finding | Note]:
    """Yield whether IBM documents deployment jobs for a version."""
    path, version = f"{SETTINGS}.version", short_version(version)
    numbers = parse_version(version)
    if numbers is None or len(numbers) < 2:
        reason = "must be the version of Cloud Pak for Data or Software Hub, such as '5.4'"
        yield Finding("refused", path, reason)
    elif numbers[:2] < WML_FIRST:
        yield Finding("refused", path, "IBM documents deployment jobs of scripts from 4.0 on")
    elif numbers[:2] > WML_LAST:
        text = f"IBM documents deployment jobs of scripts up to 5.4; {version} was not checked"
        yield Note(path, text)
