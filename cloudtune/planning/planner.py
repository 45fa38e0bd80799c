"""Planning: from a study to what would be sent to one provider.

This module defines the order of the steps: lookup, fit, rules, request. Each step is a function of
the previous ones, and none of them sends anything.
"""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.bundle.credentials import find_named_credentials
from cloudtune.diagnostics import Finding, Note, Problem
from cloudtune.emulation.environment import find_emulator
from cloudtune.errors import CloudtuneError, StudyError, UsageError
from cloudtune.fitting.fit import FittedStudy, fit, identity_fit
from cloudtune.ledger.run_ids import new_run_id
from cloudtune.planning.bool_options import check_bool_options, read_bool_options
from cloudtune.planning.bundle import Bundle, lock_packages, read_bundle, read_pins
from cloudtune.planning.expressions import check_expressions, read_reader
from cloudtune.planning.preflight import (
    check_completeness,
    check_confirm,
    check_cost_metric,
    check_engine,
    check_lookup,
    check_maps,
    check_rehearsal,
    check_secrets,
    check_source,
    check_warm_start,
    emulator_notes,
    engine_notes,
)
from cloudtune.planning.remote_code import check_switches, read_switches
from cloudtune.planning.unknown_options import check_unknown_options, read_unknown_options
from cloudtune.planning.warm_start import read_parents
from cloudtune.provider import registry
from cloudtune.provider.cost import check_budget, estimate
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import has_code
from cloudtune.provider.plan import Plan
from cloudtune.provider.read_settings import read_settings
from cloudtune.provider.settings import CloudSettings, ProviderSettings
from cloudtune.search.rungs import max_starts
from cloudtune.study.expected_trials import expected_trials

if TYPE_CHECKING:
    from cloudtune.provider.base import BaseProvider
    from cloudtune.study.confirmation import Confirmation
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
    bundles: dict[Path, Bundle] | None = None,
    confirmation: Confirmation | None = None,
) -> Plan:
    """Return what would be sent to a provider for a study.

    Args:
        study: The study to run.
        on: The provider's name.
        base: The folder to which the study's relative paths refer. The default is the folder of the
            study file, or the working folder if there is no file.
        run_id: The id of the run that the plan belongs to; a new one by default.
        seed: The seed if the study gives none; random by default.
        without: Files in the source folder that do not belong to it, such as the saved plan.
        emulated: Plan for the emulator if the provider reaches a service. Settings of the service
            that the study does not give, such as account and image, get stand-ins. A study whose
            calls would reach an emulator, because the environment leads there, is always emulated.
        bundles: The bundles of source folders that were read for other providers; a new one is
            added.
        confirmation: What the run repeats of an earlier one.

    Raises:
        UsageError: If there is no such provider, or the service has no emulator.
        StudyError: If the provider's settings in the study are invalid, or its warm start names no
            run.
    """
    provider = registry.get(on)
    emulated = emulated and issubclass(provider.settings, CloudSettings)
    if emulated and provider.emulator is None:
        raise UsageError(f"{on} has no emulator; omit --emulate")
    settings = read_settings(study, on, provider)
    emulator = None if emulated else find_emulator(on, provider, settings)
    folder = base.absolute() if base else _study_folder(study)
    run = run_id or new_run_id()
    if study.strategy.seed is not None:
        seed = study.strategy.seed
    source = source_folder(study, on, folder)
    bundles = {} if bundles is None else bundles
    if source and source not in bundles:
        bundles[source] = read_bundle(source, without, study.file)
    if source and on != "local":  # which installs nothing
        bundles[source] = lock_packages(bundles[source], study, source)
    parents, parent_jobs, parent_remarks = read_parents(study, on, folder)
    facts = Facts(
        run_id=run,
        job_name=job_name(study.name, run),
        seed=secrets.randbelow(2**31) if seed is None else seed,
        base=folder,
        source=source,
        parents=parents,
        parent_jobs=parent_jobs,
        parent_remarks=tuple(parent_remarks),
        emulated=emulated or emulator is not None,
        emulator=emulator.location if emulator else None,
        files=(),
        confirmation=confirmation,
    )
    if source:
        facts = replace(facts, **vars(bundles[source]))
    facts = replace(facts, **read_pins(study, source, facts.locked))
    if facts.emulated:
        settings = provider.stand_ins(settings)
    lookup = provider.lookup(study, settings, facts)
    if lookup.code_address is not None:
        lookup = replace(lookup, data={**lookup.data, **read_switches(study, folder)})
    elif source:
        code = read_bool_options(study, source) | read_reader(study, source)
        code |= read_unknown_options(study, source)
        lookup = replace(lookup, data={**lookup.data, **code})
    in_inputs = {
        name: first
        for name, path in lookup.inputs.uploads.items()
        if (first := next(find_named_credentials(path), None))
    }
    facts = replace(facts, lookup=lookup, input_credentials=in_inputs)
    return plan_from_facts(study, on, facts)


def plan_run(
    study: Study, on: Sequence[str], *, without: Sequence[Path] = (), emulated: bool = False
) -> list[Plan]:
    """Return the plans of one run, one per provider, all with the same seed.

    A mistake in the code of one provider sets `Plan.broken` and does not affect the other plans.

    Duplicate names of providers are ignored.

    Raises:
        UsageError: If no provider is given, or there is no such provider.
        StudyError: If a provider's settings in the study are invalid.
    """
    if not on:
        raise UsageError("give at least one provider")
    run = new_run_id()
    seed = secrets.randbelow(2**31) if study.strategy.seed is None else study.strategy.seed
    plans: list[Plan] = []
    bundles: dict[Path, Bundle] = {}
    create = partial(
        plan, study, run_id=run, seed=seed, without=without, emulated=emulated, bundles=bundles
    )
    for name in dict.fromkeys(on):
        try:
            plans.append(create(name))
        except (CloudtuneError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - a mistake in the code of one provider
            from cloudtune.provider.crash_report import write_crash_report

            file = Path(tempfile.gettempdir()) / f"cloudtune-{run}-{name}.txt"
            plans.append(_broken_plan(study, name, run, seed, write_crash_report(error, file)))
    return plans


def _broken_plan(study: Study, on: str, run: str, seed: int, reason: str) -> Plan:
    return Plan(
        provider=on,
        mode="driven",
        fitted=identity_fit(study),
        settings=ProviderSettings.model_validate({}),
        facts=Facts(run, job_name(study.name, run), seed, _study_folder(study)),
        request={},
        findings=(),
        notes=(),
        unattended=False,
        broken=reason,
    )


def plan_from_facts(study: Study, on: str, facts: Facts) -> Plan:
    """Return the plan of a study with facts that were collected before.

    The mode is that of the settings; ``auto`` is managed unless that is refused. A job that was
    started elsewhere has its own, and nothing is sent.

    Raises:
        UsageError: If there is no such provider.
        StudyError: If the provider's settings in the study are invalid.
    """
    if facts.attached:
        from cloudtune.planning.attached_plan import attached_plan

        return attached_plan(study, on, facts)
    provider = registry.get(on)
    settings = read_settings(study, on, provider)
    if facts.emulated:
        settings = provider.stand_ins(settings)
    modes = _modes(provider)
    if not modes:
        raise UsageError(f"{on} has neither a managed nor a driven mode")
    if settings.mode != "auto":
        if settings.mode not in modes:
            raise UsageError(f"{on} has no {settings.mode} mode; it has {', '.join(modes)}")
        return _plan_mode(study, on, provider, settings, facts, mode=settings.mode)
    first = _plan_mode(study, on, provider, settings, facts, mode=modes[0])
    if first.refused and len(modes) > 1:
        second = _plan_mode(study, on, provider, settings, facts, mode=modes[1])
        return first if second.refused else second
    return first


def other_mode_findings(plan: Plan) -> dict[Mode, tuple[Finding, ...]]:
    """Return the findings of the provider's mode that the plan does not use, if it has one."""
    if plan.broken:
        return {}
    on, provider = plan.provider, registry.get(plan.provider)
    return {
        mode: _plan_mode(plan.study, on, provider, plan.settings, plan.facts, mode=mode).findings
        for mode in _modes(provider)
        if mode != plan.mode
    }


def source_folder(study: Study, on: str, base: Path) -> Path | None:
    """Return the folder that is bundled for a provider, or None if no code is sent.

    If the study locates its code, but for other providers only, there is none.

    Raises:
        StudyError: If the folder does not exist.
    """
    trial = study.trial
    sources = trial.source or {}
    address = (
        sources.get(on) or sources.get("*") or (None if sources or not has_code(study) else ".")
    )
    if address is None or "://" in address:
        return None
    folder = (base / Path(address).expanduser()).resolve()
    if not folder.is_dir():
        path = "trial.source"
        raise StudyError([Problem(path, f"{folder} is not a folder", "", *study.location(path))])
    return folder


def job_name(label: str | None, run_id: str) -> str:
    """Return a name that every service accepts: at most 32 lower-case letters, digits, hyphens."""
    words = re.sub(r"[^a-z0-9]+", "-", (label or "study").lower()).strip("-")
    words = words if words[:1].isalpha() else f"s-{words}"
    return f"{words[: 31 - len(run_id)].strip('-')}-{run_id}"


def _study_folder(study: Study) -> Path:
    return (Path(study.file).parent if study.file else Path.cwd()).absolute()


def _modes(provider: BaseProvider[Any]) -> list[Mode]:
    every: tuple[Mode, ...] = ("managed", "driven")
    return [mode for mode in every if provider.capabilities.for_mode(mode) is not None]


def _plan_mode(
    study: Study,
    on: str,
    provider: BaseProvider[Any],
    settings: ProviderSettings,
    facts: Facts,
    *,
    mode: Mode,
) -> Plan:
    capabilities = provider.capabilities.for_mode(mode)
    driven = mode == "driven"
    fitted = fit(study, provider.capabilities, mode)
    checks = [
        *check_lookup(fitted.study, on, facts),
        *(check_secrets(study, facts) if isinstance(settings, CloudSettings) else ()),
        *(check_maps(study, facts) if isinstance(settings, CloudSettings) else ()),
        *check_rehearsal(on, settings, facts, emulates_images=provider.emulates_images),
        *check_switches(study, on, facts),
        *check_bool_options(facts),
        *check_unknown_options(facts),
        *check_expressions(study, facts),
        *check_source(facts, leaves_machine=isinstance(settings, CloudSettings)),
        *check_cost_metric(study, on, settings, facts),
        *check_confirm(study),
        *check_budget(fitted.study.limits, on, mode, facts),
        *provider.rules(fitted, mode, settings, facts),
    ]
    fitted = _without_dropped(fitted, checks)
    request = provider.request(fitted, mode, settings, facts)
    native_items: list[Finding | Note] = []
    if isinstance(settings, CloudSettings) and settings.native:
        from cloudtune.planning import native

        request, native_items = native.merge(
            request,
            settings.native,
            provider=on,
            protected_paths=provider.protected_paths,
            study_fields=provider.study_fields,
            study=study,
        )
    checks += native_items
    limits = fitted.study.limits.model_copy(update={"max_trials": expected_trials(fitted.study)})
    starts = max_starts(fitted.study) if driven and isinstance(settings, CloudSettings) else 1
    return Plan(
        provider=on,
        mode=mode,
        fitted=fitted,
        settings=settings,
        facts=facts,
        request=request,
        findings=(
            *check_completeness(study, fitted.study.limits),
            *(check_engine(fitted.study) if driven else ()),
            *check_warm_start(fitted.study, on, mode, facts.parents),
            *fitted.findings,
            *(item for item in checks if isinstance(item, Finding)),
        ),
        notes=(
            *study.notes,
            *registry.unknown_provider_notes(study),
            *emulator_notes(on, facts),
            *(engine_notes(fitted.study, facts) if driven else ()),
            *fitted.notes,
            *(item for item in checks if isinstance(item, Note)),
        ),
        unattended=capabilities.unattended if capabilities else False,
        seed=facts.seed if capabilities and capabilities.seeds else None,
        estimate=None if facts.emulated else estimate(limits, mode, facts, starts=starts),
    )


def _without_dropped(fitted: FittedStudy, findings: Iterable[Finding | Note]) -> FittedStudy:
    """Return a fitted study without the early stopping that a rule of the provider drops."""
    paths = {each.path for each in findings if isinstance(each, Finding) and each.kind == "dropped"}
    if "early_stopping" not in paths:
        return fitted
    return replace(fitted, study=fitted.study.model_copy(update={"early_stopping": None}))
