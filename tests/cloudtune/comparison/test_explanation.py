"""What a search believes, against functions whose truth is known."""

from __future__ import annotations

import dataclasses
import json
import math
import re
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
from cloudtune.comparison.explanation import Explanation, Fit, explain, explain_trial
from cloudtune.comparison.left import what_is_left
from cloudtune.confirmation.analysis import ConfirmationResult, ConfirmedCandidate
from cloudtune.errors import UsageError
from cloudtune.reporting.documents.render import render_report
from cloudtune.reporting.explanation import describe_explanation
from cloudtune.results.events import TrialState
from cloudtune.results.model import Cost, StudyResult, Trial
from cloudtune.search.axes import build_axes
from cloudtune.search.encoding import Encoding
from cloudtune.search.gaussian_process import Posterior
from cloudtune.search.surrogate import Checked
from cloudtune.study.confirmation import Confirmation
from cloudtune.study.search_space import Space, Value
from cloudtune.study.study import Study
from cloudtune.study.validation.proposal import check_proposal
from tests.waiting import wait_until

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
    seed: int = 7,
    goal: str = "minimize",
    noise: float = 0.0,
    of: Callable[[Mapping[str, Any]], float] = truth,
    **blocks: Any,
) -> StudyResult:
    """Return a job of random trials, one a second."""
    rng = Random(seed)
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
    )[:3]


def test_intervals_cover_noisy_measurements() -> None:
    found = explain(job(100, noise=0.5))
    assert found.fit is not None
    assert 0.85 <= found.fit.within_interval <= 1
    assert len(found.checked) == 100


def test_pure_noise_is_not_trusted() -> None:
    found = explain(job(60, noise=1.0, of=lambda _: 0.0))
    assert found.fit is not None
    assert not found.fit.reliable
    assert found.predicted_best is None
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


NOISE: dict[str, tuple[int, Callable[[float, Random], float], float]] = {
    "additive": (15, lambda value, rng: value + rng.gauss(0, 1), 1.0),
    "additive, more trials": (30, lambda value, rng: value + rng.gauss(0, 1), 1.0),
    "multiplicative": (15, lambda value, rng: value * math.exp(rng.gauss(0, 0.5)), math.exp(0.125)),
    "little": (15, lambda value, rng: value + rng.gauss(0, 0.3), 1.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", NOISE)
def test_the_interval_of_the_predicted_best_covers_the_true_mean(case: str) -> None:
    count, measure, factor = NOISE[case]
    covered: list[bool] = []
    for seed in range(80):
        rng = Random(1000 + seed)

        def noisy(values: Mapping[str, Any], rng: Random = rng) -> float:
            return measure(truth(values), rng)

        found = explain(job(count, seed=seed, of=noisy))
        best = found.predicted_best
        if best:
            covered.append(best.low <= factor * truth(best.parameters) <= best.high)
    assert len(covered) >= 20
    assert sum(covered) / len(covered) >= 0.9


@pytest.mark.slow
def test_the_interval_holds_for_a_search_that_tries_what_is_predicted_best() -> None:
    covered: list[bool] = []
    for seed in range(10, 35):
        rng = Random(1000 + seed)
        result = job(40, seed=seed, noise=1.0)
        for count in range(11, 41, 2):
            found = explain(replace(result, trials=result.trials[: count - 1]))
            chosen = found.predicted_best or found.least_certain
            assert chosen is not None
            value = truth(chosen.parameters) + rng.gauss(0, 1)
            trials = [*result.trials]
            last = trials[count - 1]
            trials[count - 1] = replace(last, parameters=chosen.parameters, objective=(value,))
            result = replace(result, trials=tuple(trials))
        best = explain(result).predicted_best
        if best:
            covered.append(best.low <= truth(best.parameters) <= best.high)
    assert len(covered) >= 20
    assert sum(covered) / len(covered) >= 0.9


def test_noise_alone_rarely_predicts_a_best_one() -> None:
    jobs = [job(15, seed=seed, noise=1.0, of=lambda _: 0.0) for seed in range(25)]
    assert sum(explain(each).predicted_best is not None for each in jobs) <= 2


@pytest.mark.slow
def test_many_trials_are_not_chosen_by_their_luck() -> None:
    errors: list[float] = []
    for seed in range(3):
        best = explain(job(360, seed=seed, noise=1.0)).predicted_best
        assert best is not None
        assert best.low <= truth(best.parameters) <= best.high
        errors.append(truth(best.parameters) - best.mean)
    assert abs(sum(errors) / len(errors)) < 0.25


def test_a_value_within_the_noise_is_as_expected() -> None:
    outside = 0
    for seed in range(20):
        found = explain_trial(job(40, seed=seed, noise=1.0), 40)
        outside += "outside" in dict(describe_explanation(found))["Measured"]
    assert outside <= 3
    result = job(40, noise=1.0)
    odd = replace(result.trials[-1], objective=(40.0,))
    found = explain_trial(replace(result, trials=(*result.trials[:-1], odd)), 40)
    assert "outside" in dict(describe_explanation(found))["Measured"]


TOKEN = re.compile(r"[^\sA-Za-z0-9]?[A-Za-z]{1,5}|[0-9]{1,3}| ?[^\sA-Za-z0-9]{1,3}|\s+")
"""What is about one token: tokenizers split digits in threes, and words where they must."""
WIDE: dict[str, tuple[int, str, int]] = {
    "a dozen": (12, "parameter_{}", 11),
    "thirty": (30, "p{}", 11),
    "a hundred": (100, "a_parameter_{}", 11),
    "thirty with long names": (30, "a_parameter_with_a_name_of_fifty_characters_no_{:03}", 43),
}


@pytest.mark.parametrize("case", WIDE)
def test_json_is_short_enough_for_an_assistant(case: str) -> None:
    width, name, failures = WIDE[case]
    wide = {name.format(i): {"type": "float", "min": 0, "max": 1} for i in range(width)}
    rng = Random(1)
    base = job(100, parameters=wide)
    trials: list[Trial] = []
    for each in base.trials:
        values = {name: rng.random() for name in wide}
        failed = each.number * failures % 100 < failures
        trials.append(
            Trial(
                each.id,
                each.number,
                "failed" if failed else "completed",
                values,
                objective=None if failed else (sum(values.values()),),
                reason=f"ValueError: case {'abcdefgh'[each.number % 8]}: {'x' * 600}"
                if failed
                else "",
                why="because " * 100,
                created=each.created,
                ended=each.ended,
            )
        )
    text = explain(replace(base, trials=tuple(trials))).to_json()
    assert len(TOKEN.findall(text)) <= 2_000
    data = json.loads(text)
    assert data["format"] == "cloudtune.explanation/v1"
    assert len(data["failures"]) == 5
    if width <= 30:
        assert data["predicted_best"]["parameters"].keys() == wide.keys()
    if case in {"a dozen", "thirty"}:
        assert data["best"][0]["parameters"] in [each.parameters for each in trials]


EXACT: dict[str, dict[str, Any]] = {
    "large integers": {"n": {"type": "int", "min": 1_000_000, "max": 99_999_999}},
    "a narrow range": {"x": {"type": "float", "min": 0.123456, "max": 0.123459}},
    "steps": {"x": {"type": "float", "min": 0.000125, "max": 1.000125, "step": 0.03125}},
    "a listed value": {"x": {"type": "discrete", "values": [0.1234567, 0.7654321, 1.23456789]}},
    "a logarithm": {"x": {"type": "float", "min": 1e-9, "max": 1e-3, "scale": "log"}},
    "a category": {"k": {"type": "categorical", "values": ["a", 1.23456789, 123456789]}},
}


@pytest.mark.parametrize("case", EXACT)
def test_assignments_in_json_can_be_proposed(case: str) -> None:
    both = {**EXACT[case], "y": {"type": "float", "min": 0, "max": 1}}
    study = job(0, parameters=both).study
    encoding = Encoding(build_axes(Space.from_study(study)))
    trials: list[Trial] = []
    for index, row in enumerate(encoding.sample(np.random.default_rng(0), 20), 1):
        values = encoding.decode(row)
        objective = (float(values["y"]),)
        trials.append(Trial(f"t{index}", index, "completed", values, objective=objective))
    found = replace(job(0, parameters=both), trials=tuple(trials))
    data = json.loads(explain(found).to_json())
    for each in (*data["best"], data["predicted_best"], data["least_certain"]):
        assert check_proposal(study, each["parameters"]) == each["parameters"]
    last = explain_trial(found, 20)
    assert json.loads(last.to_json())["parameters"] == trials[-1].parameters
    shown = dict(describe_explanation(last))["Parameters"]
    assert shown == " ".join(f"{name}={value}" for name, value in trials[-1].parameters.items())


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


def test_what_fails_is_not_recommended() -> None:
    def run_trial(trial: Trial) -> Trial:
        fails = trial.parameters["x"] < 3  # type: ignore[operator]
        return replace(trial, state="failed", objective=None) if fails else trial

    found = job(24, of=lambda values: values["x"])
    found = replace(found, trials=tuple(map(run_trial, found.trials)))
    failed_later = 0
    for number in range(25, 37, 2):
        explanation = explain(found)
        best, vaguest = explanation.predicted_best, explanation.least_certain
        assert best is not None
        assert vaguest is not None
        failed = [each.parameters for each in found.trials if each.state == "failed"]
        assert best.parameters not in failed
        assert vaguest.parameters not in failed
        assert "probably fails" in dict(describe_explanation(explanation))[""]
        for i, each in enumerate((best, vaguest)):
            value = float(each.parameters["x"])
            trial = replace(found.trials[0], id="", number=number + i, objective=(value,))
            trial = run_trial(replace(trial, state="completed", parameters=each.parameters))
            found = replace(found, trials=(*found.trials, trial))
            failed_later += trial.state == "failed"
    assert failed_later <= 4


def test_predictions_keep_constraints() -> None:
    found = explain(job(60, constraints=["x + n >= 40"]))
    for each in (found.predicted_best, found.least_certain):
        assert each is not None
        assert float(each.parameters["x"]) + float(each.parameters["n"]) >= 40


@pytest.mark.parametrize("bound", [5, -5])
def test_predictions_keep_constraints_on_metrics(bound: int) -> None:
    """The loss falls with x, as memory grows."""
    text = f"memory <= {bound}"
    result = job(60, of=lambda values: 10 - values["x"], constraints=[text])
    trials = [
        replace(
            each,
            metrics={"memory": float(each.parameters["x"])},
            broken=(text,) if float(each.parameters["x"]) > bound else (),
        )
        for each in result.trials
    ]
    broken = [each.number for each in trials if each.broken]
    result = replace(result, trials=tuple(trials))
    found = explain(result)
    items = dict(describe_explanation(found))
    assert f"{len(broken)} of them broke a constraint" in items["Trials"]
    assert found.fit is not None
    assert {each.number for each in found.best}.isdisjoint(broken)
    if bound == 5:
        assert found.predicted_best is not None
        assert found.least_certain is not None
        assert 4 < float(found.predicted_best.parameters["x"]) <= 5
        assert float(found.least_certain.parameters["x"]) <= 5
    else:
        assert items["Best"].startswith("None: no trial")
        assert items["Predicted best"].startswith("None: no assignment")
    late = explain_trial(result, broken[-1])
    assert f"breaks memory <= {bound} (memory " in dict(describe_explanation(late))["Constraints"]
    assert late.learned_from == broken[-1] - 1


def test_an_assignment_that_broke_a_constraint_once_is_not_recommended() -> None:
    text = "memory <= 5"
    result = job(
        40, constraints=[text], parameters={"x": {"type": "discrete", "values": [*range(10)]}}
    )

    def explain_with(broken: int) -> Explanation:
        trials = [
            replace(
                each,
                parameters={"x": each.number % 10},
                objective=(float(each.number % 10),),
                metrics={"memory": 9.0 if each.number == broken else 1.0},
                broken=(text,) if each.number == broken else (),
            )
            for each in result.trials
        ]
        return explain(replace(result, trials=tuple(trials)))

    for broken, expected in ((0, 0), (20, 1)):
        best = explain_with(broken).predicted_best
        assert best is not None
        assert best.parameters == {"x": expected}


ENDS: dict[TrialState, str] = {
    "cancelled": "Cancelled: why.",
    "stopped_early": "Stopped early: why.",
    "waiting": "Waiting: why.",
}


@pytest.mark.parametrize("state", ENDS)
def test_a_trial_says_how_it_ended(state: TrialState) -> None:
    result = job(9)
    trials = (*result.trials[:-1], replace(result.trials[-1], state=state, reason="why"))
    items = dict(describe_explanation(explain_trial(replace(result, trials=trials), 9)))
    assert items["State"] == ENDS[state]
    assert "State" not in dict(describe_explanation(explain_trial(result, 8)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "x is at its min of 0 "), (0.25, "x = 0.25 is near its min of 0 ")],
)
def test_a_value_near_a_bound_is_not_at_it(value: float, expected: str) -> None:
    result = job(9, of=lambda values: values["x"])
    trials = [
        replace(each, parameters={**each.parameters, "x": value + each.number / 100 - 0.01})
        for each in result.trials
    ]
    trials = [replace(each, objective=(float(each.parameters["x"]),)) for each in trials]
    text = dict(describe_explanation(explain(replace(result, trials=tuple(trials)))))["At a bound"]
    assert text.startswith(expected)


def test_a_confirmation_is_explained_by_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("t.py").write_text(
        "import os\nfrom cloudtune.trial import params, report\n"
        "report(m=params()['x'] + int(os.environ.get('CLOUDTUNE_SEED') or 0) % 7 / 10)\n",
        "utf-8",
    )
    study = {
        "objective": {"metric": "m", "goal": "minimize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
        "limits": {"max_trials": 3},
        "trial": {"script": "t.py"},
    }
    run = api.run(study, show=False)
    with pytest.raises(SystemExit) as ended:
        main(["confirm", run.id, "--top", "2", "--seeds", "6", "--fixed"])
    assert ended.value.code == 0
    capsys.readouterr()
    found = api.find_run(f"{run.id}-confirm").explain()
    assert isinstance(found, Explanation)
    items = dict(describe_explanation(found))
    assert "apart by chance" in items["Noise floor"]
    assert f"the confirmation of run {run.id}" in items["Trials"]
    assert found.take is not None
    assert items["Take"].startswith(f"{found.take.label}: m {found.take.mean:.6g} ")
    assert f" of run {run.id}: m " in items["Take"]
    assert " over 6 seeds. x=" in items["Take"]
    odd = Checked(2, 9.0, 1.0, 0.0, 2.0)
    surprised = replace(
        found, fit=Fit(9, 0.5, reliable=True, within_interval=0.9, surprises=(odd,))
    )
    surprise = dict(describe_explanation(surprised))["Surprise"]
    assert surprise.startswith(f"trial 2 of run {run.id}-confirm has 9, ")
    assert "Best" not in items


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
    "a proposal that was repeated": (
        {},
        {"replaces": 3, "proposal": "p", "why": "an idea"},
        "an idea",
    ),
    "of an older run": ({"strategy": "genetic"}, {}, "the strategy genetic chose it"),
}


def test_why_nothing_was_expected() -> None:
    two = [{"metric": name, "goal": "minimize"} for name in ("a", "b")]
    result = job(30)
    study = Study.model_validate(
        {"objective": two, "parameters": SPACE, "trial": {"script": "t.py"}}
    )
    pairs = tuple(replace(each, objective=(1.0, 2.0)) for each in result.trials)
    cases = {
        "has several objectives": explain_trial(replace(result, study=study, trials=pairs), 30),
        "4 trials of this run had ended with a result": explain_trial(result, 5),
        "too few different": explain_trial(job(30, of=lambda _: 1.0), 30),
    }
    for expected, found in cases.items():
        assert expected in dict(describe_explanation(found))["Expected"]


def test_the_number_of_a_trial_is_a_number() -> None:
    text: Any = "3"
    with pytest.raises(UsageError, match="there is no trial '3'"):
        explain_trial(job(3), text)
    assert repr(explain_trial(job(3), True).number) == "1"


def test_a_failed_trial_says_why() -> None:
    result = job(30)
    failed = replace(
        result.trials[-1], state="failed", objective=None, reason="ValueError: \x1b[31mno\nlines"
    )
    found = explain_trial(replace(result, trials=(*result.trials[:-1], failed)), 30)
    assert dict(describe_explanation(found))["Failed"].startswith("ValueError: ")
    assert json.loads(found.to_json())["reason"] == failed.reason


def test_no_line_changes_the_terminal() -> None:
    bad = "\x1b]0;owned\x07\nsecond\u202e"
    result = job(30, of=lambda values: 1 / values["x"])
    trials = [replace(each, why=bad, proposal="p") for each in result.trials]
    trials += [replace(trials[0], number=31, state="failed", objective=None, reason=bad)]
    result = replace(result, trials=tuple(trials))
    for found in (explain(result), explain_trial(result, 30), explain_trial(result, 31)):
        items = describe_explanation(found)
        assert any("owned" in text for _, text in items)
        assert all(text.isprintable() for _, text in items)


LEFT: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "a running job": ({"timeout": "1h"}, {"state": "running"}, {"seconds": 2600.0}),
    "an ended job": ({"timeout": "1h"}, {"ended": 500.0}, {"seconds": 3100.0}),
    "a job that waits": ({"timeout": "1h"}, {"state": "running", "idle": 400.0}, {"seconds": 3000}),
    "the money of all jobs": ({"max_cost": "100 USD"}, {}, {"cost": 60.0, "currency": "USD"}),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_is_left_of_the_limits(case: str) -> None:
    limits, fields, expected = LEFT[case]
    cost = Cost(2.0, "USD", "reported")
    result = replace(job(10, limits=limits), started=0.0, **fields)
    result = replace(result, trials=tuple(replace(each, cost=cost) for each in result.trials))
    other = replace(result, provider="ray")
    found = explain(result, jobs=[result, other], now=1000.0)
    assert json.loads(found.to_json())["left"] == expected


def test_a_confirmation_that_has_decided_needs_no_more_trials() -> None:
    confirmation = Confirmation("k7f2", "local", "loss", "minimize", "minimize", (), (1, 2))
    result = replace(job(10, limits={"max_trials": 12}), confirmation=confirmation)
    assert what_is_left(result, [result], None).trials == 0
    stopped = replace(result, state="cancelled")
    assert what_is_left(stopped, [stopped], None).trials == 2


def test_time_passes_while_a_run_is_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    go = tmp_path / "go"
    Path("t.py").write_text(
        "import pathlib, time\nfrom cloudtune.trial import report\n"
        f"while not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.02)\nreport(m=1)\n",
        "utf-8",
    )
    study = {
        "objective": {"metric": "m", "goal": "minimize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
        "limits": {"max_trials": 1, "timeout": "1h"},
        "trial": {"script": "t.py"},
    }
    run = api.start(study)

    def left() -> float:
        found = run.explain()
        assert isinstance(found, Explanation)
        return found.left.seconds or 0.0

    try:
        first = wait_until(left)
        wait_until(lambda: 0 < left() < first)
    finally:
        go.touch()
        run.wait()
    assert left() == left()


def test_the_noise_floor_is_that_of_the_confirmation_that_decides() -> None:
    result = job(40)

    def floor(*found: ConfirmationResult, of: StudyResult = result) -> str:
        return dict(describe_explanation(explain(of, found)))["Noise floor"]

    nothing: dict[str, Value] = {}

    def confirmed(seeds: int, noise_floor: float | None, **fields: Any) -> ConfirmationResult:
        taken = ConfirmedCandidate(
            *("trial 1", "candidate", 1, nothing, 1.0, seeds, 0, 0, "", False),
            *(None, None, False, None, None),
        )
        values: dict[str, Any] = {
            each.name: None for each in dataclasses.fields(ConfirmationResult)
        }
        values |= {"confirms": "r", "searched_on": "local", "complete": True, "take": 0}
        values |= {"candidates": (taken,), "noise_floor": noise_floor}
        values |= {"metric": result.study.objectives[0].metric, **fields}
        return ConfirmationResult(**values)

    assert "cloudtune confirm r" in floor()
    assert "up to 0.25 apart" in floor(confirmed(10, 0.25), confirmed(2, 0.75))
    assert "up to 0.25 apart" in floor(confirmed(2, 0.25), confirmed(9, 0.75, searched_on="ray"))
    assert "up to 0.25 apart" in floor(confirmed(2, 0.25), confirmed(9, 0.75, metric="other"))
    for text in (floor(confirmed(1, None)), floor(confirmed(9, 0.5, complete=False))):
        assert text == "Unknown: no confirmation has measured it."


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
        ("2",): "sample of the space",
        (run.id, "12"): "Expected",
    }.items():
        with pytest.raises(SystemExit) as ended:
            main(["explain", *words])
        assert ended.value.code == 0
        assert expected in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["explain", "--json"])
    assert json.loads(capsys.readouterr().out)["left"] == {"trials": 0}
