"""Scripts with one known fault each, of which the doctor finds it, and healthy scripts."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any, cast

import pytest
from ruamel.yaml import YAML

from cloudtune.diagnostics import Check
from cloudtune.doctor import metrics, trials
from cloudtune.doctor.diagnosis import diagnose
from cloudtune.doctor.lifecycle import check_stop
from cloudtune.doctor.metrics import check_metrics
from cloudtune.doctor.probe import Start
from cloudtune.doctor.trials import Trials
from cloudtune.results.events import Ended, Measured
from cloudtune.study.loader import load
from cloudtune.study.study import Study

SCRIPTS = Path(__file__).parent / "scripts"
FAULTY = sorted((SCRIPTS / "faulty").glob("*.*"))
HEALTHY = sorted(
    [*(SCRIPTS / "healthy").glob("*.*"), SCRIPTS / "healthy" / "package" / "module.py"]
)
SLOW = {"buffered", "slow_imports"}
"""Scripts that run for seconds: on a busy machine, others do so, too."""
READER: Any = YAML(typ="safe")
DEFAULTS: dict[str, Any] = {
    "objective": {"metric": "loss", "goal": "minimize"},
    "parameters": {"lr": {"type": "float", "min": 0.001, "max": 0.9, "scale": "log"}},
    "limits": {"max_trials": 4},
}


def merged(base: Any, more: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(more, dict)):
        return more
    left, right = cast("dict[str, Any]", base), cast("dict[str, Any]", more)
    return {**left, **{key: merged(left.get(key), value) for key, value in right.items()}}


def header(script: Path, name: str) -> str:
    match = re.search(rf"^# {name}: (.*)$", script.read_text("utf-8"), re.MULTILINE)
    return match[1] if match else ""


def diagnosis(script: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """Return what the doctor says of a script in a folder, with the study in its header."""
    if script.parent.name == "package":
        shutil.copytree(script.parent, folder / "package")
    else:
        text = re.sub(
            r"^# (finds|at|study|seconds): .*$", "", script.read_text("utf-8"), flags=re.M
        )
        (folder / script.name).write_text(text, "utf-8")
    more = READER.load(header(script, "study").replace("SCRIPT", script.name) or "{}")
    study = merged(DEFAULTS, more)
    trial = study.setdefault("trial", {})
    if not {"command", "module"} & trial.keys():
        trial["script"] = script.name
    file = folder / "study.yaml"
    file.write_text(json.dumps(study), "utf-8")
    if script.stem not in SLOW:
        monkeypatch.setattr(metrics, "_MIN_SECONDS", math.inf)
    if script.stem == "never_stops":
        monkeypatch.setattr(trials, "GRACE", 2.0)
    seconds = float(header(script, "seconds") or 100)
    return list(diagnose(load(file), seconds=seconds).checks)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    (tmp_path / "code").mkdir()
    monkeypatch.chdir(tmp_path / "code")


@pytest.mark.parametrize("script", FAULTY, ids=lambda script: script.stem)
def test_a_fault_is_named(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = diagnosis(script, tmp_path / "code", monkeypatch)
    wrong = [check for check in checks if check.severity != "ok"]
    shown = "\n".join(f"{check.severity} {check.id} {check}" for check in checks)
    assert [check.id for check in wrong] == [header(script, "finds")], shown
    (check,) = wrong
    place = header(script, "at")
    if place.startswith("line"):
        assert (Path(check.file or "").name, check.line) == (script.name, int(place.split()[1]))
    else:
        assert check.path == place, shown
    assert check.message
    assert check.fix


@pytest.mark.parametrize("script", HEALTHY, ids=lambda script: script.stem)
def test_a_healthy_script_has_no_finding(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = diagnosis(script, tmp_path / "code", monkeypatch)
    assert [f"{each.id}: {each}" for each in checks if each.severity != "ok"] == []
    assert {"ran", "metric"} <= {check.id for check in checks}


@pytest.mark.parametrize(
    ("arrivals", "is_buffered"),
    [
        ([[2.9, 2.95, 3.0], [2.8, 2.85, 2.9]], True),
        ([[2.9, 2.95, 3.0], [0.7, 0.75, 0.8]], True),
        ([[2.9, 2.95, 3.0], [2.6, 2.8, 2.9]], False),
        ([[2.9, 2.95, 3.0], [0.3, 0.5, 0.8]], False),
        ([[0.7, 0.75, 0.8], [0.7, 0.75, 0.8]], False),
    ],
)
def test_a_start_that_measures_while_it_runs_shows_that_nothing_is_buffered(
    arrivals: list[list[float]], is_buffered: bool
) -> None:
    first, second = (
        Start(
            number, {"lr": number}, begun=0.0, arrivals=times, over=times[-1] + 0.01,
            measured=[Measured(number, t, n, {"loss": n + t}) for n, t in enumerate(times)],
        )
        for number, times in enumerate(arrivals, start=1)
    )  # fmt: skip
    study = Study.model_validate({**DEFAULTS, "trial": {"script": "train.py"}})
    checks = check_metrics(study, Trials(first, second), ["lr"], is_local=True)
    assert ("metric-buffered" in {check.id for check in checks}) == is_buffered


@pytest.mark.parametrize(("imports", "over"), [(0.1, 2.6), (9.0, 11.5)])
def test_a_script_that_runs_on_after_a_stop_ignores_it_however_long_its_imports_take(
    imports: float, over: float
) -> None:
    arrivals = [imports + n / 2 for n in range(5)]
    measured = [Measured(1, each, n, {"loss": each}) for n, each in enumerate(arrivals)]
    end = Ended(1, over, "completed")
    first = Start(1, {}, 0.0, measured, arrivals, end, over)
    stopped = Start(2, {}, 0.0, measured, arrivals, end, over, stopped=arrivals[1])
    (check,) = check_stop(Trials(first, stopped=stopped), is_local=True)
    assert check.id == "stop-ignored"


def test_the_docs_explain_each_finding() -> None:
    docs = (Path(__file__).parents[3] / "docs" / "troubleshooting.md").read_text("utf-8")
    known = set(re.findall(r"<code>([a-z-]+)</code>", docs))
    assert {header(script, "finds") for script in FAULTY} <= known


def test_a_file_that_is_not_sent_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    (folder / "train.py").write_text("print(open('weights.txt').read())\n")
    (folder / "weights.txt").write_text("1")
    (folder / ".cloudtuneignore").write_text("weights.txt\n")
    study = {**DEFAULTS, "trial": {"script": "train.py"}}
    (check,) = [each for each in diagnose(study).checks if each.severity != "ok"]
    assert (check.id, check.path) == ("file-missing", "trial.inputs")
    assert "weights.txt is in" in check.fix
    assert "give it as an input" in check.fix
