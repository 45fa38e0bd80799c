"""What a confirmation says about made-up scripts with known truth."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Literal

import pytest

from cloudtune.confirmation.analysis import ConfirmationResult, analyze
from cloudtune.confirmation.noise import noise_floor, student_quantile
from cloudtune.reporting.confirmation import confirmation_columns, describe_confirmation
from cloudtune.results.events import Ended, Measured, SearchEvent, Started
from cloudtune.results.model import StudyResult, encode_json
from cloudtune.results.trials import Trials
from cloudtune.search.confirm_search import ConfirmSearch
from cloudtune.search.protocol import Suggestion
from cloudtune.study.confirmation import Candidate, Confirmation
from cloudtune.study.study import Study

Script = Callable[[int, int], Mapping[str, float]]
"""What a setting reports with a seed."""


def confirm(
    script: Script,
    candidates: int = 3,
    *,
    seeds: int = 10,
    baseline: bool = False,
    metric: str = "m",
    search_metric: str = "m",
    goal: Literal["maximize", "minimize"] = "maximize",
    **more: Any,
) -> ConfirmationResult:
    """Return what a confirmation of settings 0, 1, ... finds; the baseline is the last one."""
    settings = [
        Candidate(f"trial {n}", {"x": n}, "candidate", n, script(n, -1)[search_metric])
        for n in range(candidates)
    ]
    if baseline:
        settings.append(Candidate("script's defaults", {"x": candidates}, "baseline"))
    plan = Confirmation(
        "first", "local", search_metric, goal, goal, tuple(settings), tuple(range(seeds)), **more
    )
    parameters = {"x": {"type": "int", "min": 0, "max": 999}}
    study = Study.model_validate(
        {"objective": {"metric": metric, "goal": goal}, "parameters": parameters}
    )
    search, trials = ConfirmSearch(study, plan), Trials(study, "run")
    number = 0
    while isinstance(suggestion := search.ask(number), Suggestion):
        number += 1
        setting, seed = suggestion.parameters["x"], suggestion.seed
        assert isinstance(setting, int)
        assert seed is not None
        events: list[SearchEvent] = [
            Started(number, 0.0, suggestion.parameters, seed=seed, memory=suggestion.memory),
            Measured(number, 0.0, 1, script(setting, seed)),
            Ended(number, 0.0, "completed"),
        ]
        for event in events:
            search.tell(event)
            trials.tell(event)
    found = analyze(
        StudyResult(
            *("run", "local", "driven", False, "completed", "", study, "", 0, ()),
            trials=trials.all(),
            confirmation=plan,
        )
    )
    assert found is not None
    encode_json(found)
    return found


def noisy(scale: float = 1.0, slope: float = 0.0, name: object = "") -> Script:
    def script(setting: int, seed: int) -> Mapping[str, float]:
        own = Random(f"{name} {setting} {seed}").gauss(0, 1)
        return {"m": scale * (slope * setting + own)}

    return script


def said(found: ConfirmationResult, title: str) -> str:
    return dict(describe_confirmation(found)).get(title, "")


@pytest.mark.slow
@pytest.mark.parametrize("top", [1, 5])
def test_a_gain_that_is_noise_is_not_said_to_be_real(top: int) -> None:
    gains = [said(confirm(noisy(name=number), top, baseline=True), "Gain") for number in range(100)]
    assert all(gains)
    assert sum("exceeds" in gain or "real" in gain for gain in gains) <= 0.05 * len(gains)
    assert sum("more than chance" in gain for gain in gains) <= 0.05 * len(gains)


@pytest.mark.parametrize(
    ("slope", "wanted"),
    [
        (-9.0, r"^[89].* \(.* to .*\) over the script's defaults, which exceeds the noise floor"),
        (-2.0, r"^2.* \(.*which is within the noise floor .*it is real, but a single run"),
        (9.0, r"^None: the script's defaults were better by [89].* \(.*more than chance\.$"),
    ],
)
def test_gains_and_losses_are_named_as_such(slope: float, wanted: str) -> None:
    found = confirm(noisy(slope=slope), 1, baseline=True, seeds=40)
    assert re.search(wanted, said(found, "Gain")), said(found, "Gain")


@pytest.mark.parametrize("common", [0.0, 1.0])
@pytest.mark.parametrize(("candidates", "seeds"), [(2, 3), (2, 6), (5, 3), (5, 10)])
def test_two_runs_are_within_the_noise_floor(common: float, candidates: int, seeds: int) -> None:
    rng, outside, known = Random(f"{common} {candidates} {seeds}"), 0, 0
    for _ in range(1000):
        shared = [common * rng.gauss(0, 1) for _ in range(seeds + 2)]
        values = [{s: shared[s] + rng.gauss(0, 1) for s in range(seeds)} for _ in range(candidates)]
        floor = noise_floor(values)
        if floor is not None:
            new = [shared[-index] + rng.gauss(0, 1) for index in (1, 2)]
            outside += abs(new[0] - new[1]) > floor
            known += 1
    assert known > 100
    assert outside <= 0.07 * known


@pytest.mark.parametrize("degrees", [2, 2.5, 3, 5, 10, 100])
def test_the_quantile_is_students(degrees: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    assert student_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=0.04)


@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1.0, 1e160, 5e306])
def test_values_of_any_magnitude_are_compared(scale: float) -> None:
    found, same = confirm(noisy(scale, 9.0)), confirm(noisy(1.0, 9.0))
    assert (found.take, found.settled) == (same.take, same.settled) == (2, True)
    assert found.candidates[0].worse is not None
    assert same.candidates[0].worse is not None
    assert found.candidates[0].worse.mean == pytest.approx(scale * same.candidates[0].worse.mean)
    assert found.noise_floor == pytest.approx(scale * (same.noise_floor or 0))


def test_values_at_the_end_of_the_range_are_no_error() -> None:
    largest = sys.float_info.max
    found = confirm(lambda setting, seed: {"m": largest if (setting + seed) % 2 else -largest})
    assert found.take is not None


def test_differences_that_are_equal_but_for_rounding_settle_nothing() -> None:
    found = confirm(lambda setting, seed: {"m": (seed % 7 + 3 * setting) / 10})
    assert not found.settled
    assert all(each.worse is None or each.worse.low is None for each in found.candidates)


def test_a_coarse_metric_is_no_proof_that_the_seed_is_not_used() -> None:
    found = confirm(lambda setting, seed: {"m": 0.8, "loss": seed + setting})
    assert not found.deterministic
    assert "too coarse" in said(found, "Seed")
    assert found.trials == 30


@pytest.mark.parametrize(
    ("search", "test", "offset", "spread", "overfitted"),
    [
        (-0.1, 0.1, 0.0, 0.003, True),  # better there, worse here
        (-0.1, 0.0, 0.0, 0.003, True),  # nothing of the gain is left
        (-0.1, -0.09, 0.0, 0.003, False),
        (-0.1, -0.1, -0.2, 0.003, False),  # the same gap for all
        (-0.1, -0.1, -1e-7, 0.0, False),
        (0.0, 0.0, -0.4, 0.01, False),
    ],
)
def test_overfitting_is_a_gain_that_other_data_do_not_show(
    search: float, test: float, offset: float, spread: float, overfitted: bool
) -> None:
    def script(setting: int, seed: int) -> Mapping[str, float]:
        rng = Random(f"{setting} {seed}")
        return {
            "val_acc": 0.9 + search * setting + spread * rng.gauss(0, 1),
            "test_acc": 0.9 + offset + test * setting + spread * rng.gauss(0, 1),
        }

    found = confirm(script, metric="test_acc", search_metric="val_acc")
    assert (found.overfitted is not None) == overfitted
    assert ("has overfitted" in said(found, "Overfitting")) == overfitted


@pytest.mark.parametrize(
    ("slope", "prefers"),
    [(0.0, False), (0.1, True)],  # noise alone; the search's metric rises, the other one falls
)
def test_another_trial_is_preferred_only_where_both_metrics_say_so(
    slope: float, *, prefers: bool
) -> None:
    for name in range(20):

        def script(setting: int, seed: int, name: int = name) -> Mapping[str, float]:
            rng = Random(f"{name} {setting} {seed}")
            val = slope * setting + 0.01 * rng.gauss(0, 1)
            return {"val": val, "test": 0.01 * rng.gauss(0, 1) - slope * setting}

        found = confirm(script, metric="test", search_metric="val")
        assert (found.disagreement is not None) == prefers
        assert bool(said(found, "Overfitting")) == (prefers or found.overfitted is not None)


def test_settings_that_are_exactly_as_good_are_called_that() -> None:
    def script(setting: int, seed: int) -> Mapping[str, float]:
        return {"val": Random(f"{setting} {seed}").gauss(0, 1), "test": 0.5}

    found = confirm(script, metric="test", search_metric="val")
    assert said(found, "Take") == (
        "trial 0: test 0.5 over 10 seeds. trial 1 and trial 2 are exactly as good."
    )
    assert said(found, "Overfitting") == ""


@pytest.mark.parametrize(
    ("level", "scale", "shown"),
    [
        (0.5, 0.1, r"0\.\d{1,4}"),
        (0.98765, 1e-6, r"0\.9876\d{1,3}"),
        (12345.0, 0.01, r"1234[45](\.\d{1,3})?"),
        (2e6, 5e5, r"\d{6,7}"),
    ],
)
def test_numbers_have_the_digits_that_tell_them_apart(
    level: float, scale: float, shown: str
) -> None:
    script = noisy(scale)
    found = confirm(lambda setting, seed: {"m": level + script(setting, seed)["m"]}, fixed=True)
    columns = confirmation_columns(found)
    assert len(set(columns["m"])) == 3
    texts = " ".join([*columns["m"], *columns["95 % interval"]]).replace(" to ", " ").split()
    assert all(re.fullmatch(shown, each) for each in texts), texts
    assert found.taken is not None
    assert f"m {columns['m'][found.take or 0]}, " in said(found, "Take")


def test_settings_that_are_always_equal_are_called_that() -> None:
    found = confirm(lambda setting, _: {"m": 1.0 - setting // 2}, 4)
    assert found.deterministic
    assert said(found, "Take") == "trial 0: m 1 over 2 seeds. trial 1 is exactly as good."
    assert said(found, "Lead").endswith("The winner holds.")
    found = confirm(lambda setting, seed: {"m": 1.0 - setting // 2, "loss": seed}, 4)
    assert said(found, "Take") == (
        "trial 0: m 1 over 10 seeds. trial 1 is exactly as good. It is the best trial on average, "
        "each compared on the seeds that both have, but these do not separate it from trial 2 and "
        "trial 3."
    )


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_one_common_seed_takes_no_setting_that_others_fail(order: tuple[int, int]) -> None:
    measured = [{0: 0.9, 1: 0.9, 2: 0.1}, {2: 0.2, 3: 0.2}]

    def script(setting: int, seed: int) -> Mapping[str, float]:
        value = -setting if seed < 0 else measured[order[setting]].get(seed)
        return {"other": 1.0} if value is None else {"m": value}

    found = confirm(script, 2, seeds=4, fixed=True)
    assert found.taken is not None
    assert found.taken.confirmed is not None
    assert found.taken.confirmed.mean == pytest.approx(1.9 / 3)
    other = f"trial {order.index(1)}"
    note = f"Not taken, since too few of their repetitions have a value: {other}."
    assert note in said(found, "Take")


def test_a_cycle_of_pairwise_means_is_said() -> None:
    measured = {(0, 0): 2.0, (1, 0): 1.0, (1, 1): 2.0, (2, 1): 1.0, (2, 2): 1.5, (0, 2): 1.0}

    def script(setting: int, seed: int) -> Mapping[str, float]:
        key = setting, seed % 3
        return {"m": measured[key]} if key in measured else {"other": 1}

    found = confirm(lambda s, seed: {"m": -s} if seed < 0 else script(s, seed), seeds=6, fixed=True)
    assert found.take == 0
    assert "this one by the least: trial 2 is better by 0.5." in said(found, "Take")
    assert "best" not in said(found, "Take")
    assert said(found, "Lead").endswith("is open: trial 2 is better on common seeds.")


def test_a_loss_of_nothing_is_zero() -> None:
    found = confirm(lambda setting, seed: {"m": 0.0, "seed": seed}, goal="minimize")
    assert "-0" not in " ".join([*dict(describe_confirmation(found)).values(), encode_json(found)])


def test_metrics_on_two_scales_are_compared_by_their_direction() -> None:
    def script(setting: int, seed: int) -> Mapping[str, float]:
        own = Random(f"{setting} {seed}").gauss(0, 0.001)
        return {"acc": -setting + own, "neg_loss": -0.01 * setting + own}

    found = confirm(script, metric="neg_loss", search_metric="acc")
    assert found.overfitted is None


@pytest.mark.parametrize(
    ("measured", "taken"),
    [([0], False), ([9], False), ([0, 5, 7, 9], False), ([0, 1, 2, 5, 9], True)],
)
def test_a_setting_that_mostly_fails_is_not_taken(measured: list[int], *, taken: bool) -> None:
    def script(setting: int, seed: int) -> Mapping[str, float]:
        is_measured = setting < 2 or seed in [-1, *measured]
        own = Random(f"{setting} {seed}").gauss(0, 1)
        return {"m" if is_measured else "other": 9.0 * (setting == 2) + own}

    found = confirm(script, fixed=True)
    assert (found.take == 2) == taken
    note = "Not taken, since too few of their repetitions have a value: trial 2."
    assert (note in said(found, "Take")) != taken
    assert (found.rival is None) == (found.candidates[2].is_barely_measured != taken)
