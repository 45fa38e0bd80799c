"""What a notebook shows says what there is, and markup in it stays text."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from cloudtune.diagnostics import Finding
from cloudtune.errors import MissingExtraError
from cloudtune.planning.planner import plan
from cloudtune.reporting.notebook import ReportText
from cloudtune.results.model import Decision, StudyResult, Trial
from cloudtune.runs.run_results import Results
from cloudtune.study.study import Study

NAME = "<b>x&"
EVIL = "<script>alert(1)</script>&\u202e"
KNOWN = {
    *("h3", "h4", "div", "table", "thead", "tbody", "tr", "th", "td"),
    *("details", "summary", "pre"),
}


class Reader(HTMLParser):
    """Reads tags and text, and sees that every tag that is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


@pytest.fixture
def study() -> Study:
    return Study.model_validate(
        {
            "name": EVIL,
            "objective": {"metric": EVIL, "goal": "maximize"},
            "parameters": {
                NAME: {"type": "categorical", "values": [EVIL, "b"]},
                "C": {"type": "float", "min": 0.1, "max": 9, "scale": "log", "when": {NAME: "b"}},
            },
            "limits": {"max_trials": 3},
        }
    )


def result(study: Study) -> StudyResult:
    trials = [
        Trial(f"k7-{n}", n, "completed", {NAME: "b", "C": n / 10}, objective=(float(n),))
        for n in range(1, 31)
    ]
    trials.append(Trial("k7-31", 31, "failed", {NAME: EVIL}, reason=EVIL))
    return StudyResult(
        *("k7f2", "local", "driven", False, "failed", EVIL, study, "hash", 1, ()),
        trials=tuple(trials),
    )


def shown(held: Any) -> Reader:
    html = html_of(held)
    found = Reader(html)
    assert found.tags <= KNOWN
    assert "\u202e" not in html.partition("<pre>")[0]
    return found


def test_a_study(study: Study) -> None:
    text = shown(study).text
    assert "<script>alert(1)</script>&" in text
    assert "0.1 to 9, scale log" in text
    assert "max_trials 3" in text


def test_a_plan(study: Study) -> None:
    created = plan(study)
    created = replace(created, findings=(*created.findings, Finding("dropped", EVIL, EVIL)))
    text = shown(created).text
    assert "dropped" in text
    assert "local: cannot run this study" in text


def test_a_plan_with_hyperband_has_a_table_of_its_brackets() -> None:
    study = Study.model_validate(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
            "strategy": {"name": "hyperband", "resource": "epochs", "max": 9},
            "limits": {"max_trials": 20},
            "trial": {"command": ["true"]},
        }
    )
    assert "epochs from 1 3 9 1 10 " in " ".join(shown(plan(study)).text.split())


def test_results_show_the_best_first(study: Study) -> None:
    for held in (result(study), Results((result(study), result(study)))):
        text = shown(held).text
        assert "10 of 31 trials" in text
        assert text.index(" 30 ") < text.index(" 29 ")
        assert " 20 " not in text.partition("10 of 31")[2]


def test_results_show_the_trial_to_take_first_and_why(study: Study) -> None:
    found = result(study)
    trials = (*found.trials[:29], replace(found.trials[29], broken=("size <= 1",)))
    decision = Decision(20, elsewhere=False, reason="a confirmation decides")
    text = shown(replace(found, trials=trials, decision=decision)).text
    assert "a confirmation decides" in text
    rows = text.partition("10 of 30")[2]
    assert rows.index(" 20 ") < rows.index(" 29 ")
    assert " 30 " not in rows


def test_no_results_at_all() -> None:
    assert "no jobs" in shown(Results(())).text


def test_a_trial(study: Study) -> None:
    trial = result(study).trials[-1]
    text = shown(replace(trial, started=1.5, seconds=90, metrics={EVIL: 0.5}, log="/log.txt")).text
    assert "trial 31 failed" in text
    assert text.count("<script>alert(1)</script>&") == 3
    assert "started 1970-01-01 00:00:01 UTC, took 90 s" in text
    assert "log: /log.txt" in text


def html_of(held: Any) -> str:
    html: str = held._repr_html_()
    return html


def test_a_report() -> None:
    report = ReportText("text <b>", "text", lambda: "<h1 title=\"a\">'page'</h1>")
    assert report == "text <b>"
    assert Reader(html_of(report)).tags == {"iframe"}
    assert "&lt;h1 title=&quot;a&quot;&gt;&#x27;page&#x27;" in html_of(report)

    def fail() -> str:
        raise MissingExtraError("a page", "report")

    without = Reader(html_of(ReportText("text <b>", "text", fail)))
    assert without.tags == {"pre", "div"}
    assert "text <b>" in without.text
    assert "pip install 'cloudtune[report]'" in without.text
