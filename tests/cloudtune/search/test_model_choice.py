"""The trial that the model would take, where the best ones are known to be lucky."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from cloudtune.comparison.comparison import compare
from cloudtune.comparison.explanation import explain
from cloudtune.reporting.console.status_page import format_status
from cloudtune.reporting.console.summary import format_summary
from cloudtune.reporting.documents.render import render_report
from cloudtune.results.model import Decision, StudyResult, Trial
from cloudtune.search.model_choice import ModelChoice, model_choice
from cloudtune.study.study import Study

LUCKY = range(48, 61, 3)
"""Settings that measured the best values, among bad ones."""
SAID = "would take trial 13 (loss -0.286111)"


def loss(x: int) -> float:
    """Return a noisy parabola that is least at 15, with five lucky values far from there."""
    if x in LUCKY:
        return -0.34 - 0.0002 * x
    return (x - 15) ** 2 / 288 + 0.6 * (x * 7919 % 13 / 13 - 0.5)


def job(strategy: str = "bayesian", sign: int = 1, **more: Any) -> StudyResult:
    study = Study.model_validate(
        {
            "objective": {"metric": "loss", "goal": "maximize" if sign < 0 else "minimize"},
            "parameters": {"x": {"type": "int", "min": 1, "max": 60}},
            "strategy": strategy,
            "limits": {"max_trials": 60},
            "trial": {"script": "train.py"},
        }
    )
    trials = tuple(
        Trial(f"t{x}", x, "completed", {"x": x}, objective=(sign * loss(x),), ended=float(x))
        for x in range(1, 61)
    )
    result = StudyResult(
        *("r", "local", "driven", False, "completed", "", study, "", 1, ()), trials=trials
    )
    return replace(result, **more)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_model_takes_a_trial_among_good_ones_and_the_best_stays_the_best(sign: int) -> None:
    found = job(sign=sign)
    choice = model_choice(found.study, found.trials)
    assert choice is not None
    assert (choice.number, choice.value) == (13, sign * loss(13))
    assert found.best is not None
    assert found.best.number == 60
    assert explain(found).model_choice == choice
    assert explain(found).best[0].number == 60


def test_it_is_shown_beside_the_best() -> None:
    found = job()
    for lines in (format_summary(found, "runs/r"), format_status("completed", found)):
        best = next(index for index, line in enumerate(lines) if line.startswith("best: "))
        said = [index for index, line in enumerate(lines) if SAID in line]
        assert len(said) == 1
        assert said[0] > best
        assert lines[said[0]].endswith("; to repeat both: cloudtune confirm r")
    for form in ("text", "markdown"):
        text = " ".join(render_report(compare([found], {}), form).split())
        assert text.count("would take trial 13") == 1
    assert SAID not in "\n".join(format_status("running", found))
    elsewhere = "\n".join(format_summary(replace(found, attached="tool:1"), "runs/r"))
    assert SAID in elsewhere
    assert "cloudtune confirm" not in elsewhere


def _without(numbers: Sequence[int]) -> StudyResult:
    return job(trials=tuple(t for t in job().trials if t.number not in numbers))


SILENT: dict[str, Callable[[], StudyResult]] = {
    "the model knows too little": lambda: _without(range(24, 43)),
    "the best trial itself": lambda: _without(LUCKY),
    "its trials broke a constraint": lambda: job(
        trials=tuple(
            replace(t, broken=("size < 1",)) if t.number not in LUCKY else t for t in job().trials
        )
    ),
    "trials that were stopped early": lambda: job(
        trials=tuple(replace(t, state="stopped_early") for t in job().trials)
    ),
    "trials with less of the resource": lambda: job(
        trials=tuple(replace(t, resource=9 if t.number in LUCKY else 3) for t in job().trials)
    ),
}


@pytest.mark.parametrize("case", SILENT)
def test_nothing_is_said_without_another_choice(case: str) -> None:
    found = SILENT[case]()
    assert model_choice(found.study, found.trials) is None


@pytest.mark.parametrize("count", [19, 20])
def test_it_needs_twenty_trials(count: int) -> None:
    found = job()
    trials = [
        replace(t, objective=(-0.01 if t.number == 15 else (t.number - 8) ** 2 / 100 + 0.01,))
        for t in found.trials[:count]
    ]
    choice = model_choice(found.study, trials)
    assert (choice and choice.number) == (8 if count == 20 else None)


def test_several_objectives_have_no_choice() -> None:
    two = [{"metric": name, "goal": "minimize"} for name in ("loss", "size")]
    study = Study.model_validate({**job().study.to_json(), "objective": two})
    trials = [replace(t, objective=(*(t.objective or ()), 1.0)) for t in job().trials]
    assert model_choice(study, trials) is None


def test_a_confirmation_or_a_strategy_without_a_model_needs_none() -> None:
    decided = job(decision=Decision(60, elsewhere=False, reason="repeated"))
    for found in (decided, job("random"), job("grid")):
        assert SAID not in "\n".join(format_summary(found, "runs/r"))
    assert explain(decided).model_choice is None
    assert isinstance(explain(job("random")).model_choice, ModelChoice)


def test_of_many_trials_the_best_is_known_to_the_model() -> None:
    parameters = {"x": {"type": "float", "min": 0, "max": 40}}
    study = Study.model_validate({**job().study.to_json(), "parameters": parameters})
    trials = [
        Trial(f"t{number}", number, "completed", {"x": number / 20}, objective=(value,))
        for number in range(1, 801)
        for value in [
            -0.5 if number == 780 else (number / 20 - 10) ** 2 / 128 + number * 7 % 13 / 20
        ]
    ]
    choice = model_choice(study, trials)
    assert choice is not None
    assert 120 < choice.number < 280
