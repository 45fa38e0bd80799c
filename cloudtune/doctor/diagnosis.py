"""A diagnosis: the checks of a study at several providers, one area after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.diagnostics import Check
from cloudtune.doctor.account import check_account
from cloudtune.doctor.bundle import check_bundle
from cloudtune.doctor.model import Diagnosis
from cloudtune.doctor.script import check_script
from cloudtune.planning.planner import plan_run
from cloudtune.provider.plan import Plan
from cloudtune.study.loader import load
from cloudtune.study.study import Study

if TYPE_CHECKING:
    StudySource = Study | str | Path | Mapping[str, Any]


def diagnose(
    study: StudySource | None = None,
    on: str | Sequence[str] = "local",
    *,
    seconds: float = 60.0,
    emulate: bool = False,
    notify: Callable[[str], None] = lambda _text: None,
) -> Diagnosis:
    """Return what would make the first run of a study fail: in its script, account and bundle.

    The script runs on this machine; calls to a service are read-only.

    Args:
        study: The study, its file, or a map. None, or a study with nothing but settings of
            providers, to check only accounts.
        on: One provider or several.
        seconds: How long each start of the script may run.
        emulate: Check the accounts of emulators instead of those of the services.
        notify: Receives what is being checked.

    Raises:
        UsageError: If there is no such provider.
        StudyError: If the study, or the settings of a provider in it, are wrong.
    """
    if not isinstance(study, Study):
        study = load_settings() if study is None else load(study)
    has_study = study.model_fields_set - {"version", "providers"} != set()
    plans = plan_run(study, [on] if isinstance(on, str) else on, emulated=emulate)
    checks: list[Check] = []
    with _scratch_folder() as folder:
        for plan in plans:
            options = _Options(folder / plan.provider, seconds, has_study, notify)
            own = _check_plan(plan, options)
            checks += [_located(replace(each, provider=plan.provider), study) for each in own]
    return Diagnosis(tuple(checks))


def load_settings(overrides: Sequence[str] = ()) -> Study:
    """Return a study with nothing but the settings of providers for the working folder.

    Args:
        overrides: As for `load`.

    Raises:
        StudyError: If the settings are wrong.
    """
    return load({}, overrides=overrides, folder=Path.cwd())


@dataclass(frozen=True)
class _Options:
    folder: Path
    """For files of this diagnosis."""
    seconds: float
    has_study: bool
    notify: Callable[[str], None]


@contextmanager
def _scratch_folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="cloudtune-doctor-") as folder:
        yield Path(folder).resolve()


def _check_plan(plan: Plan, options: _Options) -> Iterator[Check]:
    if plan.broken:
        message = f"{plan.provider} cannot plan this study: {plan.broken}"
        yield Check(severity="error", area="study", id="plan-broken", message=message)
        return
    yield from _check_findings(plan, has_study=options.has_study)
    if options.has_study:
        yield from check_script(plan, options.folder / "script", options.seconds, options.notify)
    options.notify(f"{plan.provider}: the account")
    yield from check_account(plan, options.folder / "account")
    if options.has_study:
        yield from check_bundle(plan)


def _check_findings(plan: Plan, *, has_study: bool) -> Iterable[Check]:
    """Yield why a provider cannot run the study; without one, only what its settings lack."""
    for finding in plan.refused:
        is_setting = finding.path.startswith("providers.")
        needs_code = plan.facts.emulated and finding.path.endswith(".image")
        if has_study or (is_setting and not needs_code):
            yield Check(
                severity="error",
                area="study",
                id="refused",
                path=finding.path,
                message=finding.reason,
            )


def _located(check: Check, study: Study) -> Check:
    """Return a check with the line of its field."""
    if check.file or not check.path:
        return check
    file, line = study.location(check.path)
    return replace(check, file=file, line=line)
