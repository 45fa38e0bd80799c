"""Attaches jobs that were started elsewhere to the ledger, as runs that follow them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.attachments.finished_runs import run_record
from cloudtune.conversion.importer import Imported, read_description
from cloudtune.diagnostics import Finding, Note
from cloudtune.emulation.environment import find_emulator, reconnect
from cloudtune.errors import ConversionError, LedgerError, MissingExtraError, UsageError
from cloudtune.fitting.fit import fit
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.records import JobRecord
from cloudtune.ledger.run_ids import new_run_id
from cloudtune.planning.attached_plan import attached_plan
from cloudtune.provider import registry
from cloudtune.provider.facts import Facts
from cloudtune.provider.models import JobContext, JobDescription
from cloudtune.provider.plan import Plan
from cloudtune.provider.read_settings import read_settings
from cloudtune.runs.creation import creation_lock
from cloudtune.runs.differences import Difference, find_differences
from cloudtune.study.loader import load
from cloudtune.study.schema import Json, TrialSpec
from cloudtune.study.yaml_reader import is_map

if TYPE_CHECKING:
    from cloudtune.provider.base import BaseProvider
    from cloudtune.study.study import Study

_COMPARED = ("objective", "strategy", "limits", "early_stopping")
"""The blocks whose differences are only listed, as far as the given study has their fields."""


@dataclass(frozen=True)
class AttachedJob:
    """The run that follows a job."""

    run: str
    plans: tuple[Plan, ...] = ()
    """The plan of a new run; empty if the ledger had the job already."""
    findings: tuple[Finding | Note, ...] = ()
    """The parts of the job that the study does not hold, or the differences from a given study."""

    @property
    def is_new(self) -> bool:
        """Whether the ledger did not have the job before."""
        return bool(self.plans)


def attach_job(
    on: str, job: str, *, study: Study | None = None, overrides: Sequence[str] = ()
) -> AttachedJob:
    """Write a run that follows a job of a service to the ledger; the job is only read.

    If the ledger already has the job, sent or attached, its run is returned.

    Args:
        on: The provider.
        job: The service's name or address of the job.
        study: The study of the job; by default it is rebuilt from what the service returns.
        overrides: Overrides of the settings, as `load` accepts them; only without a study.

    Raises:
        UsageError: If the provider or the job cannot be attached, or a setting is missing.
        StudyError: If the settings are invalid, or the description has mistakes.
        ConversionError: If a study cannot hold the search of the job, or the given study has other
            parameters.
        ProviderError: If there is no such job, or the service refuses or cannot be reached.
        MissingExtraError: If a package that reaches the service is not installed.
    """
    provider = registry.get(on)
    if provider.capabilities.managed is None:
        raise UsageError(f"{on} has no tuning jobs of its own that can be attached")
    base_study = study or load({"providers": {on: {}}}, overrides=overrides, folder=Path.cwd())
    settings = provider.job_settings(job, base_study.providers.get(on, {}))
    base_study = _with_settings(base_study, on, settings)
    probe = _probe(base_study, on, provider, job)
    description = provider.describe_job(job, probe, _context(probe, provider))
    with Ledger(create=True) as ledger:
        if existing := _existing_run(ledger, on, description):
            return AttachedJob(existing, findings=_unused(study, existing))
        imported = _read(description, on)
        findings: list[Finding | Note]
        if study is not None:
            findings = _compare(base_study, imported, probe, description)
        elif imported is not None:
            findings = [each for each in imported.findings if isinstance(each, Finding)]
            if description.run:
                text = (
                    f"run {description.run} of cloudtune sent this job: attach it with --study "
                    "FILE to keep its own types and conditions"
                )
                findings.append(Note("", text, "warning"))
            base_study = _rebuilt_study(imported, base_study, on, provider, description.address)
        else:
            raise UsageError(
                f"{on} does not return the search space of {job}, so no study can be rebuilt; add "
                "--study FILE"
            )
        plan = _plan(base_study, probe, description, _own_settings(imported, on))
        plan = replace(plan, findings=tuple(each for each in findings if isinstance(each, Finding)))
        run = plan.facts.run_id
        with creation_lock(ledger, run):
            record = JobRecord(
                run,
                on,
                plan.to_json(),
                state="running",
                job=description.ref.id,
                emulated=plan.facts.emulated,
                started=description.created,
            )
            ledger.create_run(run_record(plan.study, plan.facts, record))
        return AttachedJob(run, (plan,), tuple(findings))


def _unused(study: Study | None, run: str) -> tuple[Note, ...]:
    if study is None:
        return ()
    text = (
        f"{study.file or 'the given study'} is not used: run {run} has the job, with its own "
        f"study; to attach the job anew, first delete the run with `cloudtune clean {run}`"
    )
    return (Note("", text, "warning"),)


def _read(description: JobDescription, on: str) -> Imported | None:
    if description.document is None:
        return None
    return read_description(description.document, on, description.address)


def _with_settings(study: Study, on: str, settings: Json) -> Study:
    if not settings:
        return study
    own = {**study.providers.get(on, {}), **settings}
    return study.model_copy(update={"providers": {**study.providers, on: own}})


def _probe(study: Study, on: str, provider: BaseProvider[Any], job: str) -> Plan:
    """Return a plan with which a job can be found, without its study."""
    settings = read_settings(study, on, provider)
    emulator = find_emulator(on, provider, settings)
    facts = Facts(
        run_id=new_run_id(),
        job_name=job,
        seed=study.strategy.seed or 0,
        base=Path(study.file).absolute().parent if study.file else Path.cwd(),
        emulated=emulator is not None,
        emulator=emulator.location if emulator else None,
        attached=f"{on}:{job}",
    )
    plan = attached_plan(study, on, facts)
    lookup = provider.lookup(_without_code(study), settings, facts)
    if not facts.emulated:
        missing = lookup.missing_settings
        unset = [name for name in provider.connection_settings if name in missing]
        if unset:
            lines = [f"  --set providers.{on}.{name}=...: {missing[name]}" for name in unset]
            raise UsageError(f"settings are missing to find {on}:{job}:\n" + "\n".join(lines))
    extra = registry.missing_extra(provider, emulated=facts.emulated)
    if extra:
        raise MissingExtraError(f"attaching a job of {on}", extra)
    return replace(plan, facts=replace(facts, lookup=lookup))


def _context(plan: Plan, provider: BaseProvider[Any]) -> JobContext:
    facts = plan.facts
    emulator = (
        reconnect(plan.provider, provider, plan.settings, facts.emulator)
        if facts.emulator
        else None
    )
    return JobContext(facts.base, emulator)


def _existing_run(ledger: Ledger, on: str, description: JobDescription) -> str | None:
    """Return the run that already follows the job, or the one that sent it."""
    for run in ledger.run_ids():
        with suppress(LedgerError):  # another run may be damaged
            if any(_is_same(job, on, description) for job in ledger.run(run).jobs):
                return run
    return None


def _is_same(job: JobRecord, on: str, description: JobDescription) -> bool:
    if job.attached:  # an emulator may use a name again
        return job.attached == description.address and description.created in {None, job.started}
    is_own = description.run in {None, job.run}
    return is_own and (job.provider, job.job) == (on, description.ref.id)


def _rebuilt_study(
    imported: Imported, base_study: Study, on: str, provider: BaseProvider[Any], address: str
) -> Study:
    """Return the study of a job, with the settings that lead to it.

    Raises:
        ConversionError: If the job has definitions that are not one study.
    """
    _require_one(imported)
    data = imported.studies[0].data
    settings = base_study.providers.get(on, {})
    connection = {name: settings[name] for name in provider.connection_settings if name in settings}
    providers = data.get("providers", {})
    own = {**providers.get(on, {}), **connection}
    marked = {"description": f"Rebuilt from {address}, which was started elsewhere.", **data}
    return load({**marked, "providers": {**providers, on: own}})


def _require_one(imported: Imported) -> None:
    if len(imported.studies) > 1:
        names = ", ".join(each.name for each in imported.studies)
        reason = f"the definitions {names} differ in more than ranges and static values"
        raise ConversionError(
            f"{imported.file}: a run has one study", [Finding("refused", "parameters", reason)]
        )


def _own_settings(imported: Imported | None, on: str) -> Json:
    """Return the settings that the job itself has, such as its machine."""
    if imported is None:
        return {}
    own: Json = imported.studies[0].data.get("providers", {}).get(on, {})
    return own


def _plan(study: Study, probe: Plan, description: JobDescription, own: Json) -> Plan:
    """Return the plan of the run that follows a job with settings of its own.

    They determine the price of a trial, not the machine of a study from the user.
    """
    provider, facts = registry.get(probe.provider), probe.facts
    as_job = _with_settings(_without_code(study), probe.provider, own)
    settings = read_settings(as_job, probe.provider, provider)
    facts = replace(
        facts,
        job_name=description.job_name,
        seed=study.strategy.seed or 0,
        attached=description.address,
    )
    lookup = provider.lookup(as_job, settings, facts)
    lookup = replace(lookup, data={**lookup.data, **description.data})
    return attached_plan(study, probe.provider, replace(facts, lookup=lookup))


def _without_code(study: Study) -> Study:
    """Return the study without its code, which is at the service already."""
    return study.model_copy(update={"trial": TrialSpec()})


def _compare(
    study: Study, imported: Imported | None, probe: Plan, description: JobDescription
) -> list[Finding | Note]:
    """Return the differences between a study and the job that it should describe.

    Both are compared in the service's form: the study is translated into a request and read back.

    Raises:
        ConversionError: If their parameters differ.
    """
    if imported is None:
        unchecked = "not checked: the service does not return the search space of the job"
        return [Note("parameters", unchecked, "warning")]
    _require_one(imported)
    on = probe.provider
    provider = registry.get(on)
    fitted = fit(_without_code(study), provider.capabilities, "managed")
    plan = _plan(_without_code(study), probe, description, {})
    request = provider.request(fitted, "managed", plan.settings, plan.facts)
    sent = read_description(request, on, study.file or "the study")
    _require_one(sent)
    file = study.file or "the study"
    ours, theirs = sent.studies[0].data, imported.studies[0].data

    def text(difference: Difference) -> str:
        left, right = (each.replace("null", "absent") for each in difference[1:])
        return f"{left} in {file}, {right} in the job"

    differences = [
        each
        for block in ("parameters", *_COMPARED)
        for each in find_differences(ours.get(block), theirs.get(block), block)
    ]
    # Any value of a trial is possible with any scale.
    refused = [
        Finding("refused", each.path, text(each))
        for each in differences
        if each.path.startswith("parameters") and not each.path.endswith(".scale")
    ]
    if refused:
        raise ConversionError(f"{file} does not describe {description.address}", refused)
    written = study.to_json()
    return [
        Note(each.path, f"differs: {text(each)}", "warning")
        for each in differences
        if each.path.startswith("parameters") or _has(written, each.path)
    ]


def _has(data: Any, path: str) -> bool:
    for key in path.split("."):
        data = data.get(key) if is_map(data) else None
    return data is not None
