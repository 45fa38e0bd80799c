"""The strategy of a run tells who or what chose each trial, and `explain` repeats it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cloudtune import api
from cloudtune.comparison.explanation import TrialExplanation
from cloudtune.errors import RunFailedError

SEARCHES: dict[str, tuple[dict[str, Any], dict[int, str]]] = {
    "bayesian": (
        {"strategy": {"name": "bayesian", "seed": 1}, "limits": {"max_trials": 13}},
        {8: "a sample of the space", 9: "a Gaussian process", 13: "Parzen"},
    ),
    "failures": (
        {
            "strategy": {"name": "bayesian", "seed": 1},
            "initial_trials": [{"x": 0.9}] * 4,
            "limits": {"max_trials": 13, "max_failed_trials": 13},
        },
        {4: "an initial trial", 5: "a sample", 9: "a Gaussian process", 13: "a Gaussian process"},
    ),
    "several objectives": (
        {
            "objective": [{"metric": each, "goal": "minimize"} for each in "mn"],
            "strategy": {"name": "bayesian", "seed": 1},
            "limits": {"max_trials": 10},
        },
        {8: "a sample of the space", 9: "Gaussian processes", 10: "Gaussian processes"},
    ),
    "constraints": (
        {
            "strategy": {"name": "bayesian", "seed": 1},
            "constraints": ["n <= 5"],
            "limits": {"max_trials": 9},
        },
        {9: "weighed with the probability"},
    ),
    "constraints that none keeps": (
        {
            "strategy": {"name": "bayesian", "seed": 1},
            "constraints": ["n <= -5"],
            "limits": {"max_trials": 9},
        },
        {9: "the most likely to keep the constraints"},
    ),
    "genetic": (
        {"strategy": {"name": "genetic", "seed": 1}, "limits": {"max_trials": 11}},
        {10: "cover the space evenly", 11: "a child"},
    ),
    "random": ({"strategy": "random", "limits": {"max_trials": 2}}, {2: "a random one"}),
    "grid": (
        {
            "strategy": "grid",
            "parameters": {"x": {"type": "discrete", "values": [0.1, 0.2]}},
            "initial_trials": [{"x": 0.2}],
            "limits": {"max_trials": 2},
        },
        {1: "an initial trial", 2: "the next one of the grid"},
    ),
    "a warm start": (
        {
            "strategy": {"name": "bayesian", "seed": 1},
            "limits": {"max_trials": 1},
            "warm_start": {"from": ""},
        },
        {1: "Gaussian processes of this and of earlier runs"},
    ),
    "a warm start after a change": (
        {
            "strategy": {"name": "random", "seed": 1},
            "limits": {"max_trials": 6},
            "warm_start": {"from": "", "kind": "transfer"},
        },
        {5: "one of the best trials of an earlier run", 6: "a random one"},
    ),
}


@pytest.mark.parametrize("case", SEARCHES)
def test_the_strategy_tells_who_chose_a_trial(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    blocks, expected = SEARCHES[case]
    limit = 0.88 if case == "failures" else 1
    Path("t.py").write_text(
        "from cloudtune.trial import params, report\n"
        f"x = params()['x']\nassert x <= {limit}\nreport(m=x, n=9 * (1 - x))\n",
        "utf-8",
    )
    study = {
        "objective": {"metric": "m", "goal": "minimize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
        "trial": {"script": "t.py"},
    }
    if "warm_start" in blocks:
        limits = {"limits": {"max_trials": 9}}
        first = api.run({**study, **limits, "strategy": {"name": "random", "seed": 2}}, show=False)
        blocks = {**blocks, "warm_start": {**blocks["warm_start"], "from": first.id}}
    with suppress(RunFailedError):  # that no trial keeps the constraints
        api.run({**study, **blocks}, show=False)
    run = api.find_run()
    for number, text in expected.items():
        found = run.explain(number)
        assert isinstance(found, TrialExplanation)
        assert text in found.origin
