"""The overview of a single group: gains, progress, bounds, defaults, and what to run next."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.comparison.bounds import wider
from cloudtune.comparison.comparison import compare
from cloudtune.comparison.groups import group_jobs
from cloudtune.comparison.overview import Overview
from cloudtune.comparison.rerun_command import run_command
from cloudtune.diagnostics import Finding
from cloudtune.results.model import StudyResult, Trial
from cloudtune.study.schema import FloatParameter, IntParameter
from cloudtune.study.script_defaults import script_defaults
from tests.cloudtune.comparison.factories import job, make_study, trial

LIMITS = {"limits": {"max_trials": 12}}


def overview(*jobs: StudyResult, folders: dict[str, Path] | None = None) -> Overview:
    verdict = compare(jobs, {"r1": ["study.yaml"]}, folders).verdicts[0]
    assert verdict.overview is not None
    return verdict.overview


def trials(*pairs: tuple[float, float]) -> list[Trial]:
    """Return trials from pairs of lr and objective value."""
    return [
        trial(number, value, parameters={"lr": lr, "kernel": "rbf"})
        for number, (lr, value) in enumerate(pairs, start=1)
    ]


def test_the_best_trial_and_what_it_gained() -> None:
    found = overview(job("p", [0.5, 0.7, None, 0.9, 0.6]))
    (only,) = found.objectives
    assert (only.best, only.best_trial, only.first) == (0.9, 4, 0.5)
    assert only.median == pytest.approx(0.65)
    assert [each.number for each in found.top] == [4, 2, 5, 1]
    assert (found.trials, found.eligible) == (5, 4)


def test_without_times_trials_count_in_the_order_of_their_numbers() -> None:
    found = job("p", [0.5, 0.7, None, 0.9, 0.6])
    (only,) = overview(
        replace(found, trials=tuple(replace(each, ended=None) for each in found.trials))
    ).objectives
    assert (only.trials, only.last_improvement) == (5, 4)


def test_the_first_trial_counts_also_if_it_breaks_a_constraint() -> None:
    found = job("p", [0.5, 0.7, 0.9])
    first, *others = found.trials
    (only,) = overview(
        replace(found, trials=(replace(first, broken=("m < 1",)), *others))
    ).objectives
    assert (only.first, only.first_trial, only.first_breaks) == (0.5, 1, True)
    assert (only.best, only.best_trial) == (0.9, 3)


def test_groups_that_are_compared_have_no_overview() -> None:
    (verdict,) = compare([job("p", [0.5]), job("q", [0.6])], {}).verdicts
    assert verdict.overview is None


def test_a_real_and_an_emulated_group_have_one_each() -> None:
    jobs = [job("p", [0.5]), job("q", [0.6], emulated=True)]
    assert [each.overview is not None for each in compare(jobs, {}).verdicts] == [True, True]


@pytest.mark.parametrize(
    ("values", "improving"),
    [
        ([0.1, 0.9, *[0.5] * 18], False),
        ([0.1, *[0.5] * 18, 0.9], True),
        ([0.1, 0.9, *[0.5] * 17, 0.9001], False),
        ([0.1, 0.9], None),
    ],
)
def test_whether_the_search_was_still_improving(
    values: list[float], improving: bool | None
) -> None:
    assert overview(job("p", values)).objectives[0].improving is improving


def test_a_parameter_at_its_bound_is_named_with_a_wider_bound() -> None:
    (hit,) = overview(job("p", trials((1, 0.1), (90, 0.8), (99, 0.9), (80, 0.7)))).bounds
    assert (hit.path, hit.side, hit.bound, hit.wider) == ("parameters.lr", "max", 100, 10_000)


def test_a_single_good_trial_at_a_bound_among_others_is_chance() -> None:
    assert overview(job("p", trials((1, 0.8), (2, 0.85), (99, 0.9), (3, 0.7)))).bounds == ()


def test_a_definition_with_a_condition_has_the_path_of_its_own() -> None:
    study = make_study(
        parameters={
            "kernel": {"type": "categorical", "values": ["a", "b"]},
            "lr": [
                {"type": "float", "min": 1, "max": 2, "when": {"kernel": "a"}},
                {"type": "float", "min": 4, "max": 8, "when": {"kernel": "b"}},
            ],
        }
    )
    best = trial(1, 0.5, parameters={"kernel": "b", "lr": 8.0})
    (hit,) = overview(job("p", [best], study=study)).bounds
    assert (hit.path, hit.wider) == ("parameters.lr.1", 10)


@pytest.mark.parametrize(
    ("definition", "side", "bound"),
    [
        ({"min": 0.003, "max": 0.3, "scale": "log"}, "max", 3.0),
        ({"min": 0.003, "max": 0.3, "scale": "log"}, "min", 0.0003),
        ({"min": 0.0, "max": 1.0}, "max", None),
        ({"min": 0.0, "max": 1.0}, "min", None),
        ({"min": 0.8, "max": 0.999, "scale": "reverse_log"}, "max", None),
        ({"min": 1.0, "max": 10.0}, "min", 0.1),
        ({"min": 0.0, "max": 10.0, "step": 0.5}, "max", 15.0),
    ],
)
def test_wider_bounds_of_floats(definition: dict[str, Any], side: Any, bound: float | None) -> None:
    assert wider(FloatParameter(type="float", **definition), side) == bound


@pytest.mark.parametrize(
    ("definition", "side", "bound"),
    [
        ({"min": 2, "max": 5}, "max", 6),
        ({"min": 1, "max": 5}, "min", None),
        ({"min": 4, "max": 16, "scale": "log"}, "max", 32),
        ({"min": 4, "max": 16, "scale": "log"}, "min", 2),
        ({"min": 8, "max": 64, "step": 8}, "max", 96),
    ],
)
def test_wider_bounds_of_ints(definition: dict[str, Any], side: Any, bound: int | None) -> None:
    assert wider(IntParameter(type="int", **definition), side) == bound


@given(
    st.floats(-1e300, 1e300, allow_subnormal=False),
    st.floats(1e-300, 1e300),
    st.sampled_from(["linear", "log", "reverse_log", "auto"]),
    st.sampled_from(["min", "max"]),
)
def test_a_wider_bound_is_further_out(low: float, span: float, scale: Any, side: Any) -> None:
    if scale == "log":
        low = abs(low) or 1.0
    high = low + span
    if high > low:
        found = wider(FloatParameter(type="float", min=low, max=high, scale=scale), side)
        assert found is None or (found < low if side == "min" else found > high)


def commands(found: Overview) -> list[list[str]]:
    lines = (step.command for step in found.next_steps)
    return [shlex.split(line.partition("; do ")[2] or line) for line in lines]


def test_what_to_run_after_a_search_that_ended_at_a_bound() -> None:
    found = overview(job("local", trials((1, 0.1), (90, 0.8), (99, 0.9), (80, 0.7))))
    first, *_ = commands(found)
    assert first[:5] == ["cloudtune", "run", "study.yaml", "--on", "local"]
    assert "parameters.lr.max=10000" in first
    assert "warm_start.from=r1" in first


@pytest.mark.parametrize(
    ("provider", "mode", "emulated", "learns"),
    [
        ("sagemaker", "managed", False, True),
        ("sagemaker", "managed", True, False),
        ("sagemaker", "driven", True, True),
        ("vertex", "managed", False, False),
        ("unknown", "driven", False, False),
    ],
)
def test_a_new_run_learns_from_this_one_where_that_is_possible(
    provider: str, mode: Any, emulated: bool, learns: bool
) -> None:
    best = trials((1, 0.1), (90, 0.8), (99, 0.9))
    words = commands(overview(job(provider, best, mode=mode, emulated=emulated)))[0]
    assert "parameters.lr.max=10000" in words
    assert ("warm_start.from=r1" in words) == learns


@pytest.mark.parametrize(
    ("provider", "mode", "has_seeds"),
    [
        ("local", "driven", True),
        ("sagemaker", "managed", True),
        ("sagemaker", "driven", True),
        ("vertex", "managed", False),
        ("vertex", "driven", True),
        ("watson", "managed", True),
        ("watson", "driven", True),
        ("unknown", "managed", True),
    ],
)
def test_seeds_are_advised_where_they_have_an_effect(
    provider: str, mode: Any, has_seeds: bool
) -> None:
    best = trials((1, 0.1), (90, 0.8), (99, 0.9))
    step = overview(job(provider, best, mode=mode)).next_steps[-1]
    assert step.reason.startswith("to see how much of the result is chance")
    assert ("seeds" in step.reason) == has_seeds
    assert ("strategy.seed=$seed" in step.command) == has_seeds
    loop = "for seed in 2 3 4 5" if has_seeds else "for repetition in 1 2 3 4"
    assert step.command.startswith(f"{loop}; do cloudtune run study.yaml")
    assert step.command.endswith("; done")


@pytest.mark.parametrize(
    ("mode", "words"), [("managed", ["providers.vertex.mode=driven"]), ("driven", [])]
)
def test_the_best_parameters_run_again_in_a_mode_that_runs_lists(
    mode: Any, words: list[str]
) -> None:
    study = make_study(providers={"vertex": {"mode": "managed"}})
    found = overview(job("vertex", trials((1, 0.1)), mode=mode, study=study))
    again = next(step for step in found.next_steps if "strategy=list" in step.command)
    assert [word for word in shlex.split(again.command) if ".mode=" in word] == words


def test_what_to_run_after_a_search_that_was_short_or_improving() -> None:
    study = make_study(**LIMITS)
    for values in ([*[0.5] * 11, 0.9], [0.1, 0.2]):
        short = make_study(limits={"max_trials": len(values)})
        found = overview(job("local", values, study=short))
        more = f"limits.max_trials={2 * len(values)}"
        assert commands(found)[0] == ["cloudtune", "resume", "r1", "--set", more]
    done = overview(job("local", [0.9, *[0.5] * 11], study=study))
    assert not any("resume" in words for words in commands(done))


def test_a_grid_that_was_tried_completely_is_not_continued() -> None:
    study = make_study(
        parameters={"n": {"type": "int", "min": 1, "max": 2}}, limits={"max_trials": 2}
    )
    best = [trial(n, n / 2, parameters={"n": n}) for n in (1, 2)]
    assert not any("resume" in each for each in commands(overview(job("p", best, study=study))))


def test_what_to_run_after_an_interruption_and_after_failures() -> None:
    assert commands(overview(job("p", [0.5], state="cancelled")))[0] == [
        "cloudtune",
        "resume",
        "r1",
    ]
    refused = job("p", [], state="failed", findings=[Finding("refused", "x", "no")])
    assert commands(overview(refused)) == [["cloudtune", "plan", "study.yaml", "--on", "p"]]
    failed = [trial(1, 0.5, state="failed"), trial(2, None)]
    ended = replace(job("p", failed, state="failed"), reason="2 failed alike; max_failed_trials")
    assert commands(overview(ended)) == [
        ["cloudtune", "logs", "r1", "1", "--on", "p"],
        ["cloudtune", "resume", "r1", "--set", "limits.max_failed_trials=10"],
    ]
    found = commands(overview(job("p", [None, None])))
    assert found == [["cloudtune", "logs", "r1", "1", "--on", "p"]]


def test_the_script_with_its_best_parameters(tmp_path: Path) -> None:
    study = make_study(trial={"script": "train.py"}, constants={"epochs": 3})
    found = overview(job("p", [0.5, 0.7], study=study))
    line = "python train.py --epochs 3 --lr 1.0 --kernel rbf"
    assert line in [step.command for step in found.next_steps]


def test_the_best_parameters_come_with_the_resource_of_their_trial() -> None:
    hyperband = {"name": "hyperband", "resource": "epochs", "min": 1, "max": 9}
    best = [trial(1, 0.5, resource=9)]
    study = make_study(trial={"script": "train.py"}, strategy=hyperband)
    lines = [step.command for step in overview(job("p", best, study=study)).next_steps]
    assert "python train.py --epochs 9 --lr 1.0 --kernel rbf" in lines
    study = make_study(trial={"command": ["train"], "arguments": "none"}, strategy=hyperband)
    assert "constants.epochs=9" in shlex.split(
        overview(job("p", best, study=study)).next_steps[0].command
    )


def test_a_list_is_not_searched_beyond_its_bounds() -> None:
    study = make_study(strategy={"name": "list"}, initial_trials=[{"lr": 99, "kernel": "rbf"}])
    found = overview(job("local", trials((99, 0.9)), study=study))
    assert found.bounds
    assert not any("parameters.lr.max" in line for words in commands(found) for line in words)


def test_an_override_replaces_an_earlier_one() -> None:
    earlier = ["s.yaml", "--set", "strategy.name=random", "--set", "limits.max_trials=3"]
    groups = group_jobs([job("p", [0.5])])
    command = run_command(groups, earlier, ["strategy=list", "limits.max_trials=1"])
    assert command == ("cloudtune run s.yaml --on p --set strategy=list --set limits.max_trials=1")


def test_a_script_that_reads_its_parameters_from_cloudtune_is_run_by_cloudtune(
    tmp_path: Path,
) -> None:
    source = tmp_path / "p" / "source"
    source.mkdir(parents=True)
    (source / "train.py").write_text("from cloudtune.trial import params\nprint(params())\n")
    study = make_study(trial={"script": "train.py"})
    found = overview(job("p", [0.5, 0.7], study=study), folders={"r1": tmp_path})
    assert not any(words[0] == "python" for words in commands(found))
    assert any("strategy=list" in words for words in commands(found))


CODE = """
parser.add_argument("-l", "--lr", type=float, default=1)
parser.add_argument("--kernel", default="rbf")
parser.add_argument("--depth", default=compute())
"""


def test_the_gain_over_the_scripts_defaults(tmp_path: Path) -> None:
    source = tmp_path / "p" / "source"
    source.mkdir(parents=True)
    (source / "train.py").write_text(CODE)
    study = make_study(trial={"script": "train.py"})
    assert script_defaults(study, source) == {"lr": 1.0, "kernel": "rbf"}
    found = overview(
        job("p", trials((2, 0.4), (1, 0.5), (3, 0.9)), study=study), folders={"r1": tmp_path}
    )
    (only,) = found.objectives
    assert (only.default, only.default_trial) == (0.5, 2)


@pytest.mark.parametrize(
    ("code", "default"),
    [
        ("@click.option('--lr', default=0.5)\ndef f(lr): ...", 0.5),
        ("p = {'lr': 2, **params()}", 2.0),
        ("p = {'lr': 2, **other()}", None),
        ("parser.add_argument('--lr', default=-1e9)", -1e9),
        ("parser.add_argument('--lr', default='fast')", "fast"),
        ("parser.add_argument(", None),
        ("parser.add_argument('--lr', default=[1])", None),
        ("\0", None),
    ],
)
def test_defaults_in_code(tmp_path: Path, code: str, default: object) -> None:
    (tmp_path / "train.py").write_text(code)
    study = make_study(trial={"script": "train.py"})
    assert script_defaults(study, tmp_path).get("lr") == default


@pytest.mark.parametrize(
    ("code", "default"),
    [
        ("p = {'opt': {'lr': 1, 'name': 'b'}, **params()}", "b,lr=1"),
        ("p = {'opt': {'name': 'b'}, **params()}", None),
        (
            "add_argument('--opt.name', default='b')\nadd_argument('--opt.lr', default=1.0)",
            "b,lr=1",
        ),
        ("add_argument('--opt.name', default='a')\nadd_argument('--opt.lr', default=1)", "a"),
        ("add_argument('--opt.name', default='b')", None),
    ],
)
def test_the_default_of_a_map(tmp_path: Path, code: str, default: object) -> None:
    (tmp_path / "train.py").write_text(code)
    maps = {"type": "categorical", "values": [{"name": "a"}, {"name": "b", "lr": 1}]}
    study = make_study(trial={"script": "train.py"}, parameters={"opt": maps})
    assert script_defaults(study, tmp_path).get("opt") == default


def test_several_objectives_have_the_front_and_no_single_best() -> None:
    both = [{"metric": "accuracy", "goal": "maximize"}, {"metric": "size", "goal": "minimize"}]
    values = [(0.9, 9.0), (0.5, 5.0), (0.4, 7.0)]
    front = [trial(number, each) for number, each in enumerate(values, start=1)]
    found = overview(job("p", front, study=make_study(objective=both)))
    assert [each.number for each in found.top] == [1, 2]
    assert [(each.metric, each.best) for each in found.objectives] == [
        ("accuracy", 0.9),
        ("size", 5),
    ]
    assert found.front == 2
