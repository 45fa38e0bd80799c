"""Jobs that tests compare, made of a few numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.diagnostics import Finding
from cloudtune.results.events import JobState
from cloudtune.results.model import Cost, Measurement, StudyResult, Trial
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study

PARAMETERS: dict[str, Any] = {
    "lr": {"type": "float", "min": 0.01, "max": 100, "scale": "log"},
    "kernel": {"type": "categorical", "values": ["linear", "rbf", "poly"]},
    "depth": {"type": "int", "min": 1, "max": 5, "when": {"kernel": "poly"}},
}
ONE: dict[str, Any] = {"metric": "accuracy", "goal": "maximize"}


def make_study(**more: Any) -> Study:
    """Return a small study."""
    said = {"name": "made", "objective": ONE, "parameters": PARAMETERS, **more}
    return Study.model_validate(said)


def trial(
    number: int,
    value: float | Sequence[float] | None,
    *,
    began: float | None = None,
    ended: float | None = None,
    parameters: Mapping[str, Any] | None = None,
    cost: float | None = None,
    currency: str = "USD",
    **more: Any,
) -> Trial:
    """Return a trial that takes one second, one after another from second 100 on."""
    values = None if value is None else ((value,) if isinstance(value, float | int) else value)
    begin = 100.0 + number - 1 if began is None else began
    said: dict[str, Any] = {
        "id": f"t{number}",
        "number": number,
        "state": "failed" if value is None else "completed",
        "parameters": {"lr": 1.0, "kernel": "rbf"} if parameters is None else parameters,
        "objective": None if values is None else tuple(map(float, values)),
        "started": begin,
        "ended": begin + 1 if ended is None else ended,
        "cost": None if cost is None else Cost(cost, currency, "estimated"),
        **more,
    }
    return Trial(**said)


def job(
    provider: str,
    trials: Sequence[Trial | float | None],
    *,
    run: str = "r1",
    seed: int = 1,
    mode: Mode = "driven",
    emulated: bool = False,
    state: JobState = "completed",
    findings: Sequence[Finding] = (),
    study: Study | None = None,
    source: str | None = "abc",
) -> StudyResult:
    """Return a job that started at second 100; numbers are the values of its trials."""
    held = tuple(
        each if isinstance(each, Trial) else trial(number, each)
        for number, each in enumerate(trials, start=1)
    )
    study = study or make_study()
    return StudyResult(
        run=run,
        provider=provider,
        mode=mode,
        emulated=emulated,
        state=state,
        reason="",
        study=study,
        study_hash=study.fingerprint(),
        seed=seed,
        findings=tuple(findings),
        trials=held,
        source_hash=source,
        started=100.0,
        ended=max([t.ended or 100.0 for t in held], default=100.0),
    )


def measured(*steps: tuple[int, float, float]) -> tuple[Measurement, ...]:
    """Return measurements of accuracy from steps, values and times."""
    return tuple(Measurement(step, {"accuracy": value}, time) for step, value, time in steps)
