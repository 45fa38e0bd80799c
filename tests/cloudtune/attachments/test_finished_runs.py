"""Finished runs of other tools are in the ledger like those that cloudtune ran."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtune import api
from cloudtune.attachments.finished_runs import record_finished
from cloudtune.diagnostics import Finding
from cloudtune.formats import run_readers
from cloudtune.formats.run_reader import FinishedRun, RunChoice, RunReader
from cloudtune.results.model import Measurement, Trial
from cloudtune.study.loader import load

STUDY = {
    "name": "demo",
    "objective": {"metric": "acc", "goal": "maximize"},
    "parameters": {
        "x": {"type": "float", "min": 0, "max": 1},
        "kind": {"type": "categorical", "values": ["007", "true"]},
    },
}
TRIALS = (
    Trial(
        id="a",
        number=1,
        state="completed",
        parameters={"x": 0.5, "kind": "007"},
        measurements=(Measurement(1, {"acc": 0.6}, 1e9 + 1), Measurement(2, {"acc": 0.7})),
        started=1e9,
        ended=1e9 + 20,
        billed_seconds=12.0,
        machine="m5",
        log="file:///log",
    ),
    Trial(id="b", number=2, state="failed", parameters={"x": 0.7, "kind": "true"}, reason="boom"),
    Trial(id="c", number=5, state="running", parameters={"x": 0.9, "kind": "true"}),
    Trial(id="d", number=7, state="completed", parameters={}, metrics={"acc": 0.1}, seconds=3.0),
)


def finished() -> FinishedRun:
    return FinishedRun(
        study=load(STUDY),
        trials=TRIALS,
        job="my-study",
        address="demo:/somewhere",
        findings=[Finding("dropped", "trials.9", "no values")],
        link="https://example.com/my-study",
        started=1e9,
        ended=1e9 + 30,
    )


class DemoReader(RunReader):
    name, title, source = "demo", "a demo", "none"

    def matches(self, path: Path) -> bool:
        return path.suffix == ".demo"

    def read(self, location: str, choice: RunChoice) -> FinishedRun:
        return finished()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / ".cloudtune"))


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = run_readers._MODULES  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setitem(modules, "demo", f"{__name__}:DemoReader")


def test_all_that_is_known_of_a_trial_is_in_the_results_and_nothing_else() -> None:
    result = api.find_run(record_finished(finished(), "demo")).results()["demo"]
    assert result.seed is None
    expected = [
        replace(
            TRIALS[0],
            metrics={"acc": 0.7},
            objective=(0.7,),
            created=1e9,
            seconds=20.0,
        ),
        TRIALS[1],
        TRIALS[2],
        replace(TRIALS[3], objective=(0.1,), measurements=(Measurement(1, {"acc": 0.1}),)),
    ]
    assert list(result.trials) == expected
    assert (result.state, result.job, result.attached) == (
        "completed",
        "my-study",
        "demo:/somewhere",
    )
    assert result.findings == (Finding("dropped", "trials.9", "no values"),)
    assert (result.started, result.ended, result.link) == (
        1e9,
        1e9 + 30,
        "https://example.com/my-study",
    )


def test_the_same_run_is_recorded_once_and_again_when_it_has_more_trials() -> None:
    first = record_finished(finished(), "demo")
    assert record_finished(finished(), "demo") == first
    more = replace(finished(), trials=TRIALS[:3])
    assert record_finished(more, "demo") != first


def test_a_path_or_a_name_finds_the_reader(
    typed: Callable[..., subprocess.CompletedProcess[str]], demo: None, tmp_path: Path
) -> None:
    (tmp_path / "x.demo").touch()
    by_path = typed("attach", "x.demo")
    assert "dropped trials.9: no values" in by_path.stderr
    assert "best: acc 0.7 in trial 1" in by_path.stdout
    run = by_path.stdout.rpartition("/")[2].strip()
    assert f"run {run};" in typed("attach", "demo:x").stdout
    unknown = typed("attach", "dem:x", code=1)
    assert "did you mean demo" in unknown.stderr
    (tmp_path / "y").touch()
    assert (
        "unknown kind of run. cloudtune reads those of demo" in typed("attach", "y", code=1).stderr
    )


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("results",), 0, "boom"),
        (("report",), 0, "acc 0.7"),
        (("status",), 0, "completed"),
        (("watch",), 0, "best: acc 0.7"),
        (("resume",), 0, "cannot be resumed; to build on it in a new run"),
        (("stop",), 1, "is not running"),
        (("logs",), 1, "has no log"),
    ],
)
def test_every_command_reads_it(
    typed: Callable[..., subprocess.CompletedProcess[str]],
    words: tuple[str, ...],
    code: int,
    text: str,
) -> None:
    record_finished(finished(), "demo")
    done = typed(*words, code=code)
    assert text in done.stdout + done.stderr


def test_it_can_be_removed(typed: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    run = record_finished(finished(), "demo")
    typed("clean", run, "--remote", "--yes")
    assert "no runs" in typed("results", code=1).stderr
