"""What is shown of a job while it runs."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from cloudtune.planning.planner import plan
from cloudtune.provider.facts import Lookup, Price
from cloudtune.provider.plan import Plan
from cloudtune.reporting.console.job_progress import JobProgress, format_trial_end
from cloudtune.reporting.console.live import LiveProgress
from cloudtune.reporting.console.plain import PlainProgress
from cloudtune.results.events import Ended, Measured, Outcome, Started, TrialState
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study


@pytest.mark.parametrize(("mode", "count"), [("driven", "[1/2]"), ("managed", "[2/2]")])
def test_a_cancelled_trial_counts_where_it_is_not_asked_again(mode: Mode, count: str) -> None:
    study = Study.model_validate(
        {
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"type": "bool"}},
            "limits": {"max_trials": 2},
        }
    )
    view = JobProgress(replace(plan(study), mode=mode), [])
    states: tuple[TrialState, ...] = ("completed", "cancelled")
    for number, state in enumerate(states, start=1):
        view.tell(Started(number, 1.0, {"x": True}))
        view.tell(Ended(number, 2.0, state))
    assert format_trial_end(view, 2, is_best=False).startswith(count)


NAMES = ("local", "sagemaker", "vertex")


def study_of(**over: Any) -> Study:
    return Study.model_validate(
        {
            "name": "demo",
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"type": "bool"}},
            "limits": {"max_trials": 4},
            **over,
        }
    )


def planned(on: str, price: Price | str = "") -> Plan:
    created = plan(study_of(), "local")
    created = replace(created, provider=on, findings=())
    return replace(created, facts=replace(created.facts, run_id="k7f2", lookup=Lookup(price=price)))


def play(shown: PlainProgress | LiveProgress) -> None:
    """Show a job that goes on, one that is done and one that failed at once."""
    shown.begin(planned("local"), [])
    shown.begin(planned("sagemaker", Price(0.5, "USD", "")), [])
    shown.begin(planned("vertex"), [])
    for on in ("local", "sagemaker"):
        shown.events(on, [Started(1, 1.0, {"x": True})])
        shown.events(on, [Measured(1, 2.0, 1, {"score": 0.25})])
        shown.events(on, [Ended(1, 3.0, "completed")])
    shown.events("local", [Started(2, 1.0, {"x": True})])
    shown.events("sagemaker", [Started(2, 1.0, {"x": False})])
    shown.events("sagemaker", [Ended(2, 3.0, "failed", "the disk was full")])
    shown.end("sagemaker", Outcome("completed", ""))
    shown.end("vertex", Outcome("failed", "no credentials were found"))


def live(width: int, **how: Any) -> tuple[LiveProgress, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, height=30, **how)
    return LiveProgress(console, NAMES), file


def table(width: int, **how: Any) -> str:
    """Return the last picture that was drawn."""
    shown, file = live(width, **how)
    play(shown)
    file.seek(file.truncate(0))
    shown._live.refresh()  # pyright: ignore[reportPrivateUsage]
    shown.close()
    return file.getvalue()


def rows_of(picture: str) -> list[list[str]]:
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", picture).split("\n")
    start = next(n for n, line in enumerate(lines) if line.startswith("provider"))
    return [line.split() for line in lines[start : start + 4]]


def test_each_provider_has_a_row() -> None:
    title, *rows = rows_of(table(120))
    assert " ".join(title) == ("provider state trials running failed best so far elapsed cost")
    without_bar = [[word for word in row if word[0] not in "━╸╺"] for row in rows]
    assert [row[:5] for row in without_bar] == [
        ["local", "running", "1/4", "1", "0"],
        ["sagemaker", "completed", "2/4", "0", "1"],
        ["vertex", "failed", "0/4", "0", "0"],
    ]
    assert without_bar[1][-2:] == ["2.00", "USD"]
    assert "0.25" in without_bar[0]


@pytest.mark.parametrize("width", [100, 70, 50, 40])
def test_a_narrow_terminal_shows_whole_lines_of_what_matters_most(width: int) -> None:
    picture = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", table(width))
    rows = [line.rstrip() for line in re.split(r"[\r\n]", picture)]
    assert max(map(len, rows)) <= width
    assert "…" not in "".join(rows[-5:])
    assert "best so far" in picture
    assert "1/4" in picture


def test_a_terminal_without_colour_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*[39][0-7]")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert colour.search(table(120, color_system="truecolor"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour.search(table(120, color_system="truecolor"))


def test_lines_of_several_jobs_are_above_the_table() -> None:
    shown, file = live(120)
    play(shown)
    shown.close()
    assert "vertex: failed after" in file.getvalue()
    assert "no credentials were found" in file.getvalue()
    assert "sagemaker: [2/4] trial 2 failed" in file.getvalue()


def test_lines_of_several_providers_can_be_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    play(PlainProgress(NAMES))
    said = capsys.readouterr().err.splitlines()
    assert {line.split()[0] for line in said} == set(NAMES)
    assert "sagemaker  [2/4] trial 2 failed in 2.0 s: the disk was full  x=False" in said
    assert said[-2].startswith("sagemaker  completed after")
    assert "2 trials done, 1 of them failed; best score 0.25 in trial 1; cost 2.00 USD" in said[-2]
    assert said[-1].startswith("vertex     failed after")
    assert said[-1].endswith("no credentials were found")


@pytest.mark.parametrize("together", [True, False])
def test_events_are_printed_in_order(capsys: pytest.CaptureFixture[str], *, together: bool) -> None:
    events = [
        event
        for number, value in enumerate([1.0, 0.5, 2.0], start=1)
        for event in (
            Started(number, 1.0, {"x": True}),
            Measured(number, 1.5, 1, {"score": value}),
            Ended(number, 2.0, "completed"),
        )
    ]
    batches = [events] if together else [[event] for event in events]
    lines = PlainProgress(["local"])
    picture, file = live(120)
    for shown in (lines, picture):
        shown.begin(planned("local"), [])
        for batch in batches:
            shown.events("local", batch)
        shown.close()
    wanted = ["[1/4] trial 1", "[2/4] trial 2", "[3/4] trial 3"]
    told = re.findall(r"^\[./4\] trial .", capsys.readouterr().err, re.MULTILINE)
    assert told == wanted
    above = re.findall(r"\[./4\] trial .(?=.*best so far)", file.getvalue())
    assert above == [wanted[0], wanted[2]]


def test_lines_of_one_provider_need_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    shown = PlainProgress(["local"])
    shown.begin(planned("local"), [])
    shown.events("local", [Started(1, 1.0, {"x": True})])
    shown.events("local", [Ended(1, 2.0, "failed", "no luck")])
    shown.end("local", Outcome("completed", ""))
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == ["demo", "[1/4]"]
