"""Plan: what would be sent to one provider. The only place with the order of the steps.

lookup, fit, rules, request: each a function of what came before, none of them sends anything.
"""

from __future__ import annotations

import json
import re
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cloudtune.bundle import files
from cloudtune.diagnostics import Finding, Note, Problem
from cloudtune.errors import CloudtuneError, ProviderError, StudyError, UsageError
from cloudtune.fitting.fit import fit, identity_fit
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.records import new_run_id
from cloudtune.planning import native
from cloudtune.planning.preflight import (
    check_completeness,
    check_engine,
    check_lookup,
    check_warm_start,
    engine_notes,
    model_notes,
)
from cloudtune.planning.serialization import parse_stored_plan
from cloudtune.planning.warm_start import parent_jobs, parents
from cloudtune.provider import registry
from cloudtune.provider.cost import check_budget, estimate
from cloudtune.provider.crash_report import write_crash_report
from cloudtune.provider.facts import Facts
from cloudtune.provider.models import CloudSettings, ProviderSettings
from cloudtune.provider.plan import Plan
from cloudtune.provider.protocols import Provider
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study


def plan(
    study: Study,
    on: str = "local",
    *,
    base: Path | None = None,
    run_id: str | None = None,
    seed: int | None = None,
    without: Sequence[Path] = (),
    emulated: bool = False,
) -> Plan:
    """Return what would be sent to a provider for a study.

    Args:
        study: What to run.
        on: The provider's name.
        base: The folder of the study's relative paths; the study file's own, or the working folder.
        run_id: The id of the run that this belongs to; a new one when left out.
        seed: Used where the study names none; a random one when left out.
        without: Files in the source folder that do not belong to it, such as this plan once saved.
        emulated: Plan for the emulator, where the provider reaches a service. What the study does
            not say of the service (account, image) has a stand-in then.

    Raises:
        UsageError: If there is no such provider, or it is a service without an emulator.
        StudyError: If the provider's settings in the study are wrong.
    """
    provider = registry.get(on)
    emulated = emulated and issubclass(provider.settings, CloudSettings)
    if emulated and provider.emulator is None:
        raise UsageError(f"there is no emulator of {on}; leave --emulate out")
    settings = read_settings(study, on, provider)
    folder = (base or (Path(study.file).parent if study.file else Path.cwd())).absolute()
    run = run_id or new_run_id()
    if study.strategy.seed is not None:
        seed = study.strategy.seed
    source = source_folder(study, on, folder)
    facts = Facts(
        run_id=run,
        job_name=job_name(study.name, run),
        seed=secrets.randbelow(2**31) if seed is None else seed,
        base=folder,
        source=source,
        source_hash=_fingerprint(source, without) if source else None,
        parents=parents(study),
        parent_jobs=parent_jobs(study, on),
        emulated=emulated,
    )
    facts = replace(facts, own=provider.lookup(study, settings, facts))
    return _plan(study, on, provider, settings, facts)


def plan_run(
    study: Study, on: Sequence[str], *, without: Sequence[Path] = (), emulated: bool = False
) -> list[Plan]:
    """Return the plans of one run, one a provider, all with the same seed.

    A mistake in the code of one provider makes its plan `Plan.broken`, and disturbs no other.

    Args:
        study: What to run.
        on: The names of the providers; one that is named twice gets one plan.
        without: Files in the source folder that do not belong to it, such as the saved plans.
        emulated: Plan for the emulators of those that reach a service.

    Raises:
        UsageError: If none is named, or there is no such provider.
        StudyError: If a provider's settings in the study are wrong.
    """
    if not on:
        raise UsageError("name at least one provider")
    run_id = new_run_id()
    seed = secrets.randbelow(2**31) if study.strategy.seed is None else study.strategy.seed
    plans: list[Plan] = []
    for name in dict.fromkeys(on):
        try:
            plans.append(
                plan(study, name, run_id=run_id, seed=seed, without=without, emulated=emulated)
            )
        except (CloudtuneError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - a mistake in the code of one provider
            file = Path(tempfile.gettempdir()) / f"cloudtune-{run_id}-{name}.txt"
            plans.append(_broken(study, name, run_id, seed, write_crash_report(error, file)))
    return plans


def _broken(study: Study, on: str, run: str, seed: int, why: str) -> Plan:
    """Return what stands for a plan that could not be made."""
    base = (Path(study.file).parent if study.file else Path.cwd()).absolute()
    facts = Facts(run, job_name(study.name, run), seed, base)
    own, fitted = ProviderSettings.model_validate({}), identity_fit(study)
    return Plan(
        provider=on,
        mode="driven",
        fitted=fitted,
        settings=own,
        facts=facts,
        request={},
        findings=(),
        notes=(),
        unattended=False,
        other_mode={},
        broken=why,
    )


def replan(before: Plan, study: Study) -> Plan:
    """Return the plan of a changed study with the facts of an earlier one.

    Raises:
        StudyError: If the provider's settings in the study are wrong.
    """
    return plan_from_facts(study, before.provider, before.facts)


def plan_from_facts(study: Study, on: str, facts: Facts) -> Plan:
    """Return the plan of a study with facts that were gathered before.

    Raises:
        UsageError: If there is no such provider.
        StudyError: If the provider's settings in the study are wrong.
    """
    provider = registry.get(on)
    return _plan(study, on, provider, read_settings(study, on, provider), facts)


def restore_plan(data: Any) -> Plan:
    """Return the plan that `Plan.to_json` described, made again from the facts that it holds.

    Raises:
        UsageError: If it is no plan, or if this version of cloudtune would send something else.
        ProviderError: If a mistake in the provider's code kept it from being made.
    """
    held = parse_stored_plan(data)
    if held.broken:
        raise ProviderError(held.provider, held.broken)
    try:
        made = plan_from_facts(held.made_study(), held.provider, held.made_facts())
    except KeyError as error:
        raise UsageError(
            f"this plan lacks the fact {error}, which {held.provider} needs; plan the study again"
        ) from error
    if json.loads(json.dumps(made.request)) != held.request or made.mode != held.mode:
        raise UsageError(
            "this plan was made by another version of cloudtune, which would have sent something "
            "else; plan the study again"
        )
    return made


def source_folder(study: Study, on: str, base: Path) -> Path | None:
    """Return the folder that is bundled for a provider, or None where no code is sent.

    Raises:
        StudyError: If the study names a folder that is not there.
    """
    trial = study.trial
    address = (trial.source or {}).get(on) or (trial.source or {}).get("*")
    if address is None:
        if not (trial.script or trial.module or trial.command):
            return None
        address = "."
    if "://" in address:
        return None
    folder = (base / Path(address).expanduser()).resolve()
    if not folder.is_dir():
        path = "trial.source"
        raise StudyError([Problem(path, f"{folder} is no folder", "", *study.location(path))])
    return folder


def _fingerprint(source: Path, without: Sequence[Path]) -> str:
    return files.fingerprint(source, files.list_files(source, [state_folder(), *without]))


def read_settings(study: Study, on: str, provider: Provider) -> ProviderSettings:
    """Return the provider's settings from the study.

    Raises:
        StudyError: If they are wrong; every problem at once, with the study's lines.
    """
    try:
        return provider.settings.model_validate(study.providers.get(on, {}))
    except ValidationError as error:
        from cloudtune.study.messages import translate_error

        raise StudyError(
            [
                Problem(
                    f"providers.{on}.{problem.path}",
                    problem.message,
                    problem.hint,
                    *study.location(f"providers.{on}.{problem.path}"),
                )
                for problem in translate_error(
                    error, study.providers.get(on, {}), provider.settings
                )
            ]
        ) from error


def job_name(label: str | None, run_id: str) -> str:
    """Return a name that every service takes: lower-case letters, digits, hyphens, at most 32."""
    words = re.sub(r"[^a-z0-9]+", "-", (label or "study").lower()).strip("-")
    words = words if words[:1].isalpha() else f"s-{words}"
    return f"{words[: 31 - len(run_id)].strip('-')}-{run_id}"


def _plan(
    study: Study, on: str, provider: Provider, settings: ProviderSettings, facts: Facts
) -> Plan:
    """Choose the mode, then fit, rules, request."""
    made: dict[Mode, Plan] = {}
    modes: tuple[Mode, ...] = ("managed", "driven")
    for mode in modes:
        if provider.capabilities.for_mode(mode) is not None:
            made[mode] = _plan_mode(study, on, provider, settings, facts, mode=mode)
    if not made:
        raise UsageError(f"{on} has neither a managed nor a driven mode")
    if settings.mode != "auto":
        chosen = made.get(settings.mode)
        if chosen is None:
            raise UsageError(f"{on} has no {settings.mode} mode; it has {', '.join(made)}")
    else:
        chosen = next((p for p in made.values() if not p.refused), next(iter(made.values())))
    others = {mode: p.findings for mode, p in made.items() if p is not chosen}
    return replace(chosen, other_mode=others)


def _plan_mode(
    study: Study,
    on: str,
    provider: Provider,
    settings: ProviderSettings,
    facts: Facts,
    *,
    mode: Mode,
) -> Plan:
    able = provider.capabilities.for_mode(mode)
    fitted = fit(study, provider.capabilities, mode)
    own = [
        *check_lookup(fitted.study, on, facts),
        *check_budget(fitted.study.limits, on, mode, facts),
        *provider.rules(fitted, mode, settings, facts),
    ]
    request = provider.request(fitted, mode, settings, facts)
    over: list[Finding] = []
    if isinstance(settings, CloudSettings) and settings.native:
        request, over = native.merge(
            request, settings.native, provider=on, protected_paths=provider.protected_paths
        )
    return Plan(
        provider=on,
        mode=mode,
        fitted=fitted,
        settings=settings,
        facts=facts,
        request=request,
        findings=(
            *check_completeness(fitted.study),
            *(check_engine(fitted.study) if mode == "driven" else ()),
            *check_warm_start(fitted.study, on, mode),
            *fitted.findings,
            *(item for item in own if isinstance(item, Finding)),
            *over,
        ),
        notes=(
            *study.notes,
            *registry.unknown_provider_notes(study),
            *(engine_notes(fitted.study, facts) if mode == "driven" else ()),
            *(model_notes(fitted.study) if mode == "driven" else ()),
            *fitted.notes,
            *(item for item in own if isinstance(item, Note)),
        ),
        unattended=able.unattended if able else False,
        other_mode={},
        seed=facts.seed if able and able.seeds else None,
        estimate=None if facts.emulated else estimate(fitted.study.limits, mode, facts),
    )
