"""Values that must never be the best: not finite, cut or left out. Alike wherever it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.comparison.comparison import compare
from cloudtune.planning import planner
from cloudtune.reporting.console.status_page import format_status
from cloudtune.reporting.console.summary import format_summary
from cloudtune.results.model import StudyResult
from cloudtune.runs import lifecycle
from cloudtune.study.study import Study
from cloudtune.testing.provider_contract import stop_emulators
from tests.providers import EMULATED, TUNERS

SCRIPT = """\
from cloudtune.trial import params, report
x = params()["x"]
if x in ("reported", "between", "whole"):
    odd = {"reported": 3, "between": 2}.get(x)
    for step in (1, 2, 3):
        loss = float("nan") if step == odd else 1 / step - (0 if x == "whole" else 0.2)
        report(loss=loss, step=step)
else:
    last = {"printed": "loss: -inf", "cut": "loss: 1.296e-06", "missed": "loss: -.5"}
    last.update({"percent": "rate=1.5%", "nothing": "rate=None"})
    for text in ("loss: 0.5", "loss: 0.05", last[x]):
        print(f"{text}, done 12%")
"""
STUDY: dict[str, Any] = {
    "name": "values",
    "objective": {"metric": "loss", "goal": "minimize"},
    "parameters": {
        "x": {
            "type": "categorical",
            "values": [
                *("whole", "reported", "between", "printed", "cut", "missed", "percent", "nothing")
            ],
        }
    },
    "strategy": "grid",
    "limits": {"max_failed_trials": 8},
    "trial": {"script": "train.py", "metrics": {"loss": ["loss: ([0-9.]+)", r"rate=(\S+)"]}},
}
WAYS: list[tuple[str, dict[str, str]]] = [
    *(("watson", {"backend": backend}) for backend in ("wmla", "wml", "jobs")),
    *((on, {"mode": mode}) for on in TUNERS if on != "watson" for mode in ("managed", "driven")),
    *((on, {}) for on in EMULATED if on not in TUNERS),
]


WARNED_SCRIPT = """\
from cloudtune.trial import params
x = params()["x"]
texts = {"two": "loss: 2\\nval_loss: 1", "words": "final loss: 2\\ntest loss: 1"}
print({**texts, "padded": "loss: 10.5\\nloss:  9.5"}.get(x, "loss: 1"))
if x == "wrapped":
    print("loss:\\n0.5")
"""
WARNINGS = {
    "plain": "",
    "two": "reads loss and val_loss as one metric; make it match only one",
    "words": "reads final loss and test loss as one metric; make it match only one",
    "padded": "misses numbers after more spaces; allow any number of them",
    "wrapped": "a line ends after 'loss:': if the number of loss is on the next one, it is not",
}

STREAMS_SCRIPT = """\
import sys
from cloudtune.trial import params
print("acc=0.5\\nacc=n/a")
sys.stderr.write("\\r 10%|#| 1/10 loss=9.9")
sys.stderr.flush()
print("loss=%.6f" % params()["x"])
"""


def run(
    on: str, settings: Mapping[str, Any], folder: Path, script: str = SCRIPT, **blocks: Any
) -> StudyResult:
    (folder / "train.py").write_text(script)
    study = Study.model_validate({**STUDY, **blocks, "providers": {on: settings}})
    plan = planner.plan(study, on, base=folder, emulated=on != "local")
    started = lifecycle.create([plan]).id
    lifecycle.execute(started)
    stop_emulators(folder / "state")
    return lifecycle.results(started)[0]


def check(result: StudyResult) -> None:
    trials = {str(trial.parameters["x"]): trial for trial in result.trials}
    assert {x: trial.state for x, trial in trials.items()} == {
        "whole": "completed",
        "reported": "failed",
        "between": "completed",
        "printed": "failed",
        "cut": "failed",
        "missed": "failed",
        "percent": "failed",
        "nothing": "failed",
    }, {x: trial.reason for x, trial in trials.items()}
    assert not any("[cloudtune]" in trial.reason for trial in result.trials)
    assert "loss was nan at step 3" in trials["reported"].reason
    assert "loss was -inf at step 3" in trials["printed"].reason
    assert "reads only '1.296' of 1.296e-06" in trials["cut"].reason
    assert "does not match -.5 in: loss: -.5, done 12%" in trials["missed"].reason
    assert "reads '1.5%,', which is not a number," in trials["percent"].reason
    assert "last matched 'None,', which is not a number" in trials["nothing"].reason
    assert result.best is not None
    assert result.best.parameters == {"x": "between"}
    assert result.best.objective == pytest.approx((1 / 3 - 0.2,))


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("select", ["last", "best"])
def test_here(tmp_path: Path, select: str) -> None:
    objective = {**STUDY["objective"], "select": select}
    result = run("local", {}, tmp_path, objective=objective)
    if select == "last":
        check(result)
    states = {str(trial.parameters["x"]): trial.state for trial in result.trials}
    assert [x for x, state in states.items() if state == "completed"] == ["whole", "between"]
    measured = next(t for t in result.trials if t.parameters["x"] == "reported").measurements
    assert [m.metrics["loss"] for m in measured[:2]] == pytest.approx([0.8, 0.3])
    assert math.isnan(measured[2].metrics["loss"])


@pytest.mark.slow
@pytest.mark.parametrize(("on", "settings"), WAYS)
def test_at_a_service(tmp_path: Path, on: str, settings: Mapping[str, Any]) -> None:
    if on == "ray":
        settings = {**settings, "storage": str(tmp_path / "shared")}
    check(run(on, settings, tmp_path))


def check_warnings(on: str, settings: Mapping[str, Any], folder: Path) -> None:
    values = list(WARNINGS) if on != "sagemaker" else ["two", "plain"]  # which reads one log
    result = run(
        on,
        settings,
        folder,
        WARNED_SCRIPT,
        parameters={"x": {"type": "categorical", "values": values}},
        trial={"script": "train.py", "metrics": {"loss": [r"loss: (\S+)"]}},
    )
    trials = {str(trial.parameters["x"]): trial for trial in result.trials}
    assert {trial.state for trial in trials.values()} == {"completed"}
    for x in values:
        assert WARNINGS[x] in trials[x].reason
        assert bool(WARNINGS[x]) == bool(trials[x].reason)
    shown = [f"trial {trials[x].number}: " for x in values if WARNINGS[x]]
    lines = [*format_summary(result, ""), *format_status("completed", result)]
    assert [sum(f"warning: {each}" in line for line in lines) for each in shown] == [2] * len(shown)
    caveats = [each.text for each in compare([result], {}).verdicts[0].caveats]
    assert all(any(each in text for text in caveats) for each in shown)


def test_warnings_here(tmp_path: Path) -> None:
    check_warnings("local", {}, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("on", "settings"), WAYS)
def test_warnings_at_a_service(tmp_path: Path, on: str, settings: Mapping[str, Any]) -> None:
    check_warnings(on, settings, tmp_path)


def check_streams(on: str, settings: Mapping[str, Any], folder: Path) -> None:
    """Check that a progress bar does not count after the line that follows it."""
    result = run(
        on,
        settings,
        folder,
        STREAMS_SCRIPT,
        parameters={"x": {"type": "categorical", "values": [1, 2, 3]}},
        trial={"script": "train.py", "metrics": {"loss": r"loss=(\S+)", "acc": r"acc=(\S+)"}},
    )
    losses = [
        [m.metrics["loss"] for m in t.measurements if "loss" in m.metrics] for t in result.trials
    ]
    assert [values[-1] for values in losses] == [trial.parameters["x"] for trial in result.trials]
    assert result.best is not None
    assert result.best.objective == (1,)
    remark = "the regular expression of acc last matched 'n/a', which is not a number"
    warned = [remark in trial.reason for trial in result.trials]
    assert any(warned) if on == "sagemaker" else all(warned)  # which reads one log


def test_streams_here(tmp_path: Path) -> None:
    check_streams("local", {}, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("on", "settings"), WAYS)
def test_streams_at_a_service(tmp_path: Path, on: str, settings: Mapping[str, Any]) -> None:
    if on == "ray":
        settings = {**settings, "storage": str(tmp_path / "shared")}
    check_streams(on, settings, tmp_path)
