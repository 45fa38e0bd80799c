"""The script: a few starts of it under a provider's contract, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from cloudtune.bundle.missing_files import explain_missing_file
from cloudtune.bundle.missing_modules import package_of
from cloudtune.diagnostics import Check, Finding
from cloudtune.doctor.failures import check_failure
from cloudtune.doctor.imports import absent_reporting_modules, check_imports
from cloudtune.doctor.lifecycle import check_checkpoints, check_stop
from cloudtune.doctor.metrics import check_metrics
from cloudtune.doctor.probe import Probe
from cloudtune.doctor.source import (
    check_options,
    check_paths,
    defined_options,
    reads_arguments,
    unread_parameters,
)
from cloudtune.doctor.trials import Trials, run_trials
from cloudtune.errors import CloudtuneError, MissingExtraError
from cloudtune.planning.bool_options import stored_bool_options
from cloudtune.planning.planner import plan as create_plan
from cloudtune.provider import registry
from cloudtune.provider.lookup import has_code
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings
from cloudtune.study.loader import apply_overrides

_HERE = "local"
_WHOLE_RUN = ("limits", "objective", "strategy", "early_stopping", "warm_start")
"""The blocks of a study that do not matter to a single trial."""


def check_script(
    plan: Plan, folder: Path, seconds: float, notify: Callable[[str], None]
) -> Iterator[Check]:
    """Yield what a few starts of the script show.

    Args:
        plan: The plan of a run.
        folder: A folder for the trials, which does not exist.
        seconds: How long each start may run.
        notify: Receives what is being checked.
    """
    if not has_code(plan.study):
        if plan.study.trial.source or isinstance(plan.settings, CloudSettings):
            yield _unknown("the image or algorithm of the service is the trial: it cannot run here")
        return
    if plan.facts.lookup.code_address is not None:
        yield _unknown(f"the code is at {plan.facts.lookup.code_address}: it cannot run here")
        return
    yield from check_paths(plan)
    yield from check_options(plan)
    yield from check_imports(plan)
    driven = _driven_plan(plan)
    if isinstance(driven, Check):
        own = create_plan(plan.study, _HERE)
        if _obstacles(own):
            yield _unknown("the script cannot run yet: see above")
            return
        yield driven
        driven = own
    try:
        notify(f"{plan.provider}: preparing to run the script")
        with Probe(driven, folder, lambda text: notify(f"{plan.provider}: {text}")) as probe:
            trials = run_trials(probe, driven.fitted.study, seconds, unread_parameters(plan))
            yield from _check_trials(plan, probe, trials)
    except (CloudtuneError, OSError) as error:
        yield Check(
            severity="error",
            area="script",
            id="script-not-started",
            message=f"the script cannot be started: {error}",
        )


def _driven_plan(plan: Plan) -> Plan | Check:
    """Return a plan with which single trials run here, or why the service's contract is unknown."""
    name, provider = plan.provider, registry.get(plan.provider)
    if not isinstance(plan.settings, CloudSettings):
        return plan if not _obstacles(plan) else _unknown("")
    if provider.emulator is None:
        return _unknown(f"{name} has no emulator; the script ran as on this machine")
    if extra := registry.missing_extra(provider, emulated=True):
        error = MissingExtraError(f"the emulator of {name}", extra)
        return Check(
            severity="unknown",
            area="script",
            id="emulator-missing",
            message=f"how {name} runs the script: {str(error).partition(': pip')[0]}; it ran as on "
            "this machine",
            command=f"pip install 'cloudtune[{extra}]'",
        )
    study = apply_overrides(plan.study, [f"providers.{name}.mode=driven"])
    try:
        driven = create_plan(study, name, emulated=True)
    except CloudtuneError as error:
        return _unknown(f"how {name} runs the script: {error}; it ran as on this machine")
    if first := next(iter(_obstacles(driven)), None):
        reason = "see above" if first in plan.refused else f"{first.path}: {first.reason}"
        check = _unknown(f"how {name} runs the script ({reason}); it ran as on this machine")
        if first in plan.refused or not plan.study.file:
            return check
        command = f"cloudtune run {plan.study.file} --on {name} --emulate"
        return replace(check, fix="rehearse a whole run:", command=command)
    return driven


def _obstacles(plan: Plan) -> list[Finding]:
    """Return the findings that prevent a single trial, not only a whole run."""
    return [each for each in plan.refused if not each.path.startswith(_WHOLE_RUN)]


def _check_trials(plan: Plan, probe: Probe, trials: Trials) -> Iterator[Check]:
    source = plan.facts.source
    failed = [start for start in trials.starts if start.failed]
    checks = [
        check_failure(
            plan,
            start,
            explain_missing_file(start.output, source, probe.folder / "source") if source else "",
        )
        for start in failed
    ]
    if len(checks) > 1 and checks[0].id == checks[1].id:
        checks = checks[:1]
    yield from checks
    if len(failed) == len(trials.starts):
        return
    starts = [start for start in trials.starts if not start.failed][:2]
    times = " and ".join(f"{start.seconds:.1f} s" for start in starts)
    count = "two trials" if len(starts) > 1 else "one trial"
    cut = " until stopped" if any(start.out_of_time for start in starts) else ""
    yield Check(severity="ok", area="script", id="ran", message=f"{count} ran{cut}, {times}")
    options = defined_options(plan)
    misread = {option.path for option in stored_bool_options(plan.facts)}
    for check in check_metrics(
        plan.study,
        trials,
        options,
        is_local=probe.kills,
        reads_arguments=reads_arguments(plan),
    ):
        if check.id == "parameter-ignored" and check.path in misread:
            continue
        if check.id == "metric-missing":
            for module in absent_reporting_modules(plan):
                package = package_of(module)
                cure = f"the script reports by {module}: list {package} in trial.requirements"
                check = replace(check, fix=f"{cure}; or {check.fix}")  # noqa: PLW2901
        yield check
    yield from check_stop(trials, is_local=probe.kills)
    yield from check_checkpoints(plan, probe.folder, trials)


def _unknown(message: str) -> Check:
    return Check(severity="unknown", area="script", id="script-not-run", message=message)
