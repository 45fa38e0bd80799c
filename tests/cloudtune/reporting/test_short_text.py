"""What ``print`` and a prompt show of the public objects: a few lines that say what there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloudtune.api import report
from cloudtune.diagnostics import Finding
from cloudtune.planning.planner import plan
from cloudtune.results.model import StudyResult, Trial
from cloudtune.runs.run_results import Results
from cloudtune.study.study import Study


def study_of(parameters: int = 2, **parts: Any) -> Study:
    names = [f"x{n}" for n in range(parameters)]
    content: dict[str, Any] = {
        "name": "tune",
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {name: {"type": "float", "min": 1e-5, "max": 0.4} for name in names},
        "strategy": {"name": "random", "seed": 7},
        "limits": {"max_trials": 9},
    }
    return Study.model_validate(content | parts)


def result_of(study: Study, **fields: Any) -> StudyResult:
    names = [*study.parameters]
    objectives = len(study.objectives)
    trials = [
        Trial(
            f"k7-{n}",
            n,
            "completed",
            dict.fromkeys(names, n / 16),
            {"loss": 0.5 / n},
            (0.5 / n,) * objectives,
            log_tail="line\n" * 40,
        )
        for n in range(1, 201)
    ]
    trials.append(Trial("k7-201", 201, "failed", {"x0": 0.5}, reason="exited with code 1: " * 30))
    result = StudyResult(
        *("k7f2", "local", "driven", False, "completed", "", study, "hash", 1, ()),
        trials=tuple(trials),
    )
    return replace(result, **fields)


def test_results_and_their_parts_are_short() -> None:
    result = result_of(study_of())
    results = Results((result, replace(result, provider="vertex", emulated=True)))
    best = "best loss 0.0025 in trial 200: x0=12.5 x1=12.5"
    first = "tune, run k7f2\n  local: completed, 201 trials (1 failed); " + best
    assert repr(result) == str(result) == first
    second = "\n  vertex, emulated: completed, 201 trials (1 failed); " + best
    assert repr(results) == str(results) == first + second
    assert repr(result.best) == str(result.best)
    assert repr(result.best) == (
        "Trial(number=200, state='completed', objective=(0.0025,), "
        "parameters={'x0': 12.5, 'x1': 12.5})"
    )
    failed = repr(result.trials[-1])
    assert failed.startswith("Trial(number=201, state='failed', reason='exited with code 1: exited")
    assert len(failed) < 160
    assert repr(Results(())) == "no jobs"


def test_the_reason_or_the_front_replaces_a_single_best_trial() -> None:
    none = result_of(study_of(), state="failed", reason="three trials failed alike", trials=())
    assert repr(none).endswith("local: failed, 0 trials; three trials failed alike")
    goals = [{"metric": name, "goal": "minimize"} for name in ("loss", "size")]
    assert repr(result_of(study_of(objective=goals))).endswith("; Pareto front of 1 trial")


def test_studies_and_plans_are_short() -> None:
    study = study_of()
    assert repr(study) == str(study)
    assert repr(study).splitlines() == [
        "tune: 2 parameters; minimize loss.",
        "  x0: float 1e-05 to 0.4, scale linear",
        "  x1: float 1e-05 to 0.4, scale linear",
        "  strategy: random, seed 7",
        "  limits: max_trials 9",
    ]
    planned = plan(study, "local")
    refusal = Finding("refused", "objective", "no such metric")
    planned = replace(planned, findings=(refusal,), notes=())
    assert repr(planned) == str(planned)
    assert repr(planned).splitlines() == [
        "local: cannot run this study: 1 refused",
        "  mode: driven",
        "  limits: max_trials 9",
        "  cost: none",
        "  refused objective: no such metric",
    ]


@pytest.mark.parametrize("count", [30, 500])
def test_the_number_of_parameters_does_not_matter(count: int) -> None:
    result = result_of(study_of(count))
    assert repr(result.study).splitlines()[9] == f"  and {count - 8} more"
    planned = plan(result.study, "vertex")
    for shown in (result.study, planned, result, Results((result,)), result.best):
        lines = str(shown).splitlines()
        assert len(lines) <= 13
        assert max(map(len, lines)) <= 250


def test_a_prompt_shows_a_report_unless_it_is_for_programs() -> None:
    results = Results((result_of(study_of()),))
    text = report(results)
    assert repr(text) == str(text)
    assert text.startswith("tune: minimize loss\n")
    for form in ("json", "html"):
        page = report(results, form=form)
        assert repr(page) == f"a report as {form}, {len(page):,} characters"
        assert len(str(page)) == len(page)


def test_text_cannot_control_the_terminal() -> None:
    evil = "\x1b]0;title\x07\n\u202e"
    result = result_of(study_of(name=evil), reason=evil, provider=evil)
    for shown in (result.study, result, plan(result.study, "local")):
        assert not {"\x1b", "\x07", "\u202e"} & {*repr(shown)}
