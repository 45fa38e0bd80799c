"""A diagnosis: the checks of a study at several providers, one area after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.diagnostics import Check
from cloudtune.doctor.account import check_account
from cloudtune.doctor.bundle import check_bundle
from cloudtune.doctor.script import check_script
from cloudtune.planning.planner import plan_run
from cloudtune.provider.plan import Plan
from cloudtune.study.loader import load
from cloudtune.study.study import Study

if TYPE_CHECKING:
    StudySource = Study | str | Path | Mapping[str, Any]


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor saw."""

    checks: tuple[Check, ...]
    """By provider, in the order study, script, account, bundle."""

    @property
    def has_errors(self) -> bool:
        """Whether a run would fail, or give wrong results."""
        return any(check.severity == "error" for check in self.checks)


def diagnose(
    study: StudySource | None = None,
    on: str | Sequence[str] = "local",
    *,
    seconds: float = 60.0,
    emulate: bool = False,
) -> Diagnosis:
    """Return what would make the first run of a study fail: in its script, account and bundle.

    The script runs on this machine; calls to a service are read-only.

    Args:
        study: The study, its file, or a map; None to check only accounts.
        on: One provider or several.
        seconds: How long each start of the script may run.
        emulate: Check the accounts of emulators instead of those of the services.

    Raises:
        UsageError: If there is no such provider.
        StudyError: If the study, or the settings of a provider in it, are wrong.
    """
    has_study = study is not None
    if not isinstance(study, Study):
        study = load({} if study is None else study)
    plans = plan_run(study, [on] if isinstance(on, str) else on, emulated=emulate)
    checks: list[Check] = []
    with _scratch_folder() as folder:
        for plan in plans:
            own = _check_plan(plan, folder / plan.provider, seconds, has_study=has_study)
            checks += [_located(replace(each, provider=plan.provider), study) for each in own]
    return Diagnosis(tuple(checks))


@contextmanager
def _scratch_folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="cloudtune-doctor-") as folder:
        yield Path(folder).resolve()


def _check_plan(plan: Plan, folder: Path, seconds: float, *, has_study: bool) -> Iterator[Check]:
    if plan.broken:
        message = f"{plan.provider} cannot plan this study: {plan.broken}"
        yield Check(severity="error", area="study", id="plan-broken", message=message)
        return
    yield from _check_findings(plan, has_study=has_study)
    if has_study:
        yield from check_script(plan, folder / "script", seconds)
    yield from check_account(plan, folder / "account")
    if has_study:
        yield from check_bundle(plan)


def _check_findings(plan: Plan, *, has_study: bool) -> Iterable[Check]:
    """Yield why a provider cannot run the study; without one, only what its settings lack."""
    for finding in plan.refused:
        if has_study or finding.path.startswith("providers."):
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
