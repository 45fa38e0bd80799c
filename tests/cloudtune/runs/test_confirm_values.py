"""Which values and repetitions of a setting a confirmation compares."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cloudtune import api
from cloudtune.comparison.explanation import Explanation
from cloudtune.confirmation.analysis import ConfirmationResult
from cloudtune.runs.confirm import ConfirmOptions, plan_confirmation
from cloudtune.runs.confirmations import confirmations_of

START = """\
import os, random
from cloudtune.trial import params, report
x, seed = params()["x"], int(os.environ["CLOUDTUNE_SEED"])
noise = random.Random(f"{x} {seed}").gauss(0, 0.1)
"""


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def confirm(script: str, values: list[Any], select: str, **options: Any) -> ConfirmationResult:
    """Search values of x in a grid, repeat the best ones, and return what that found."""
    Path("train.py").write_text(START + script, "utf-8")
    study = {
        "objective": {"metric": "m", "goal": "maximize", "select": select},
        "parameters": {"x": {"type": "categorical", "values": values}},
        "strategy": {"name": "grid", "seed": 0},
        "limits": {"parallel_trials": 2},
        "trial": {"script": "train.py"},
    }
    run = api.run(study, show=False).id
    api.run(plan_confirmation(run, ConfirmOptions(**options))[0], show=False)
    return confirmations_of([run])[-1]


def test_luck_and_lead_are_those_of_the_best_values_where_these_count() -> None:
    script = "report(m=10 * x + noise, epoch=1)\nreport(m=-30 * x, epoch=2)\n"
    found = confirm(script, [1, 2], "best", seeds=3)
    winner = found.winner
    assert winner.confirmed is not None
    assert winner.value is not None
    assert found.luck == pytest.approx(winner.value - winner.confirmed.mean)
    assert found.confirmed_lead is not None
    assert found.confirmed_lead.mean == pytest.approx(10, abs=1)


@pytest.mark.parametrize(("metric", "taken", "bounds"), [("t", 29, 0), ("m", 30, 1)])
def test_the_best_trials_of_a_report_are_those_of_the_search(
    metric: str, taken: int, bounds: int
) -> None:
    Path("train.py").write_text(f"{START}report(m=x, t=-abs(x - 29) + noise)\n", "utf-8")
    study = {
        "objective": {"metric": "m", "goal": "maximize"},
        "parameters": {"x": {"type": "int", "min": 1, "max": 30, "scale": "log"}},
        **({"confirm": {"metric": metric}} if metric != "m" else {}),
        "strategy": {"name": "grid", "seed": 0},
        "limits": {"parallel_trials": 2},
        "trial": {"script": "train.py"},
    }
    run = api.run(study, show=False)
    api.run(plan_confirmation(run.id, ConfirmOptions(top=3, seeds=2))[0], show=False)
    found = json.loads(api.report(run.results(), form="json"))["verdicts"][0]["overview"]
    values = [each["parameters"]["x"] for each in found["top"]]
    assert values == [*range(30, 20, -1)]
    assert found["take"]["parameters"]["x"] == taken
    assert len(found["bounds"]) == bounds
    explained = run.explain()
    assert isinstance(explained, Explanation)
    assert len(explained.at_bounds) == bounds
    text = api.report(run.results(), form="text")
    assert "The ten best trials of the search" in text
    assert re.findall(r"(\d+) \*  ", text)[0] == f"{found['take']['number']}"
    assert "A star marks the trial to take by its repetitions." in text


def test_one_and_true_are_two_settings() -> None:
    script = "report(m=(5 if x is True else 1) + noise)\n"
    found = confirm(script, [1, True, 0, False], "last", top=4, seeds=2, baseline=True)
    assert [each.seeds for each in found.candidates] == [2, 2, 2, 2]
    assert found.taken is not None
    assert found.taken.parameters["x"] is True
    means = [each.confirmed.mean for each in found.candidates if each.confirmed]
    assert means == pytest.approx([5, 1, 1, 1], abs=0.5)
