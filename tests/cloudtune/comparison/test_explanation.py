"""What a search believes, against functions whose truth is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from cloudtune import api
from cloudtune.cli import main
from cloudtune.comparison.comparison import compare
from cloudtune.comparison.explanation import explain, explain_trial
from cloudtune.errors import UsageError
from cloudtune.reporting.documents.render import render_report
from cloudtune.reporting.explanation import describe_explanation
from cloudtune.results.model import StudyResult, Trial
from cloudtune.search.gaussian_process import Posterior
from cloudtune.study.study import Study

SPACE: dict[str, Any] = {
    "x": {"type": "float", "min": 0, "max": 10},
    "n": {"type": "int", "min": 1, "max": 64, "scale": "log"},
    "kind": {"type": "categorical", "values": ["a", "b"]},
    "depth": {"type": "int", "min": 1, "max": 5, "when": {"kind": "b"}},
}


def truth(values: Mapping[str, Any]) -> float:
    """Return a value that is least, 1, at x=4 and n=8 of kind a."""
    far = (values["x"] - 4) ** 2 / 10 + (math.log2(values["n"]) - 3) ** 2 / 4
    return float(1 + far + 0.3 * values.get("depth", 0))


def job(
    count: int = 40,
    *,
    goal: str = "minimize",
    noise: float = 0.0,
    of: Callable[[Mapping[str, Any]], float] = truth,
    **blocks: Any,
) -> StudyResult:
    """Return a job of random trials, one a second."""
    rng = Random(7)
    sign = -1 if goal == "maximize" else 1
    trials: list[Trial] = []
    for number in range(1, count + 1):
        kind = rng.choice("ab")
        values: dict[str, Any] = {
            "x": round(rng.uniform(0, 10), 3),
            "n": round(2 ** rng.uniform(0, 6)),
            "kind": kind,
        }
        if kind == "b":
            values["depth"] = rng.randint(1, 5)
        value = sign * of(values) + rng.gauss(0, noise)
        times = {"created": float(number), "started": float(number), "ended": number + 0.5}
        trials.append(
            Trial(f"t{number}", number, "completed", values, objective=(value,), **times)  # type: ignore[arg-type]
        )
    study = Study.model_validate(
        {
            "objective": {"metric": "loss", "goal": goal},
            "parameters": SPACE,
            "strategy": {"name": "random"},
            "limits": {"max_trials": 100},
            "trial": {"script": "train.py"},
            **blocks,
        }
    )
    return StudyResult(
        run="r",
        provider="local",
        mode="driven",
        emulated=False,
        state="completed",
        reason="",
        study=study,
        study_hash="",
        seed=1,
        findings=(),
        trials=tuple(trials),
    )


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_the_predicted_best_is_near_the_truth(goal: str) -> None:
    found = explain(job(60, goal=goal))
    sign = -1 if goal == "maximize" else 1
    assert found.fit is not None
    assert found.fit.rank_correlation > 0.9
    best = found.predicted_best
    assert best is not None
    assert best.parameters["kind"] == "a"
    assert sign * best.mean == pytest.approx(1, abs=0.4)
    assert truth(best.parameters) < 1.5
    assert best.low <= best.mean <= best.high
    assert [each.value for each in found.best] == sorted(
        (t.objective[0] for t in job(60, goal=goal).trials if t.objective), key=lambda v: sign * v
    )[:5]


def test_intervals_cover_noisy_measurements() -> None:
    found = explain(job(100, noise=0.5))
    assert found.fit is not None
    assert 0.85 <= found.fit.within_interval <= 1
    assert len(found.checked) == 100


def test_pure_noise_is_not_trusted() -> None:
    found = explain(job(60, noise=1.0, of=lambda _: 0.0))
    assert found.fit is not None
    assert found.fit.rank_correlation < 0.3
    assert "knows too little to be trusted" in dict(describe_explanation(found))["Model"]


def test_leaving_one_out_is_what_a_model_of_the_others_predicts() -> None:
    rng = np.random.default_rng(1)
    rows, values = rng.random((12, 2)), rng.normal(size=12)
    theta = np.array([1.0, 0.5, 0.2, -2.0])
    mean, deviation = Posterior([0, 0], theta, rows, values).leave_one_out()
    for index in range(12):
        others = np.arange(12) != index
        model = Posterior([0, 0], theta, rows[others], values[others])
        expected, spread = model.predict(rows[[index]])
        noise = math.exp(theta[-1])
        # Each model has a constant mean of its own, so they agree only roughly.
        assert mean[index] == pytest.approx(expected[0], abs=0.5 * deviation[index])
        assert deviation[index] == pytest.approx(math.sqrt(spread[0] ** 2 + noise), rel=0.05)


def test_json_is_short_enough_for_an_assistant() -> None:
    wide = {f"parameter_{i}": {"type": "float", "min": 0, "max": 1} for i in range(12)}
    rng = Random(1)
    base = job(100, parameters=wide)
    trials: list[Trial] = []
    for each in base.trials:
        values = {name: rng.random() for name in wide}
        failed = each.number % 9 == 0
        trials.append(
            Trial(
                each.id,
                each.number,
                "failed" if failed else "completed",
                values,
                objective=None if failed else (sum(values.values()),),
                reason=f"ValueError: case {'abcdefgh'[each.number % 8]}: {'x' * 60}"
                if failed
                else "",
                created=each.created,
                ended=each.ended,
            )
        )
    text = explain(replace(base, trials=tuple(trials))).to_json()
    assert len(text) < 6_000, "about 2,000 tokens at three characters each"
    assert json.loads(text)["format"] == "cloudtune.explanation/v1"
    assert len(json.loads(text)["failures"]) == 5


NO_MODEL: dict[str, Callable[[], StudyResult]] = {
    "few trials": lambda: job(7),
    "equal values": lambda: job(30, of=lambda _: 1.0),
    "no trials": lambda: job(0),
}


@pytest.mark.parametrize("case", NO_MODEL)
def test_without_a_model_nothing_is_predicted(case: str) -> None:
    found = explain(NO_MODEL[case]())
    assert (found.fit, found.predicted_best, found.checked) == (None, None, ())
    assert dict(describe_explanation(found))["Model"].startswith("None")


def test_predictions_keep_constraints() -> None:
    found = explain(job(60, constraints=["x + n >= 40"]))
    for each in (found.predicted_best, found.least_certain):
        assert each is not None
        assert float(each.parameters["x"]) + float(each.parameters["n"]) >= 40


def test_a_trial_is_explained_by_what_was_known_before_it() -> None:
    result = job(30)
    late, early = explain_trial(result, 30), explain_trial(result, 3)
    assert (late.learned_from, early.learned_from) == (29, 2)
    assert early.expected is None
    assert late.expected is not None
    assert (late.value,) == result.trials[29].objective
    best = min((t.objective or (0.0,))[0] for t in result.trials[:29])
    assert late.best_before == best
    with pytest.raises(UsageError, match="there is no trial 31"):
        explain_trial(result, 31)


ORIGINS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "proposed": ({}, {"proposal": "p", "why": "an idea"}, "proposed from outside: an idea"),
    "repeated": ({}, {"replaces": 3}, "repeats trial 3"),
    "initial": ({"initial_trials": [{"x": 1}] * 40}, {}, "initial trial"),
    "random": ({}, {}, "a random one"),
    "gp": ({"strategy": {"name": "bayesian", "method": "gp"}}, {}, "largest expected improvement"),
    "tpe": ({"strategy": {"name": "bayesian", "method": "tpe"}}, {}, "method tpe suggested it"),
    "genetic": ({"strategy": {"name": "genetic"}}, {}, "child of two"),
}


@pytest.mark.parametrize("case", ORIGINS)
def test_who_chose_a_trial(case: str) -> None:
    blocks, fields, expected = ORIGINS[case]
    result = job(30, **blocks)
    trials = (*result.trials[:-1], replace(result.trials[-1], **fields))
    assert expected in explain_trial(replace(result, trials=trials), 30).origin


def test_a_report_of_one_run_has_what_its_search_believes() -> None:
    comparison = compare([job(40)], {})
    for form in ("text", "markdown", "json"):
        text = render_report(comparison, form)
        assert ("What the search believes" if form != "json" else '"explanation"') in text
    assert "checked" not in json.loads(render_report(comparison, "json"))["explanation"]
    other = replace(job(40), run="s", provider="ray")
    assert compare([job(40), other], {}).explanation is None, "two groups are compared"


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    script = "from cloudtune.trial import params, report\nreport(m=params()['x'])\n"
    Path("t.py").write_text(script, "utf-8")
    study = {
        "objective": {"metric": "m", "goal": "minimize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
        "strategy": {"name": "bayesian", "seed": 1},
        "limits": {"max_trials": 12},
        "trial": {"script": "t.py"},
    }
    run = api.run(study, show=False)
    capsys.readouterr()
    for words, expected in {
        (): "Predicted best",
        ("2",): "one of the first 8",
        (run.id, "12"): "Expected",
    }.items():
        with pytest.raises(SystemExit) as ended:
            main(["explain", *words])
        assert ended.value.code == 0
        assert expected in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["explain", "--json"])
    assert json.loads(capsys.readouterr().out)["left"] == {"trials": 0}
