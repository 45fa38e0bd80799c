"""What is told to people cannot disturb their terminal, whatever a script or a file says."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import cloudtune
from cloudtune.cli.main_group import cloudtune as command
from cloudtune.reporting import phrases as words
from cloudtune.reporting import sanitize
from cloudtune.reporting.console import summary
from cloudtune.reporting.console.plan_page import format_plan
from cloudtune.reporting.console.status_page import format_status
from cloudtune.reporting.console.tables import print_table, render_table
from cloudtune.reporting.console.trial_page import format_failures
from cloudtune.results.events import TrialState
from cloudtune.results.model import StudyResult, Trial
from cloudtune.runs import lifecycle
from tests.cloudtune.comparison.factories import job

EVIL = "a\x1b]0;owned\x07\x1b[2J\x9b31m\u202eb\u200b\u2028c\r\nforged: line\td\x7f\u3164"
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def assert_clean(lines: list[str]) -> None:
    assert lines
    for line in lines:
        assert [c for c in line if unicodedata.category(c) in UNSEEN] == [], line
        assert "\u3164" not in line


@given(st.text())
def test_a_sanitized_line_is_printable_and_stays_the_same(text: str) -> None:
    shown = sanitize.sanitize_line(text)
    assert shown == "" or shown.isprintable()
    assert len(shown) == len(text)
    assert sanitize.sanitize_line(shown) == shown


def test_replaced_characters() -> None:
    assert sanitize.sanitize_line("ä 日本 ✓ é") == "ä 日本 ✓ é"
    assert sanitize.sanitize_line("a\tb\nc\u00a0d") == "a b c d"
    assert sanitize.sanitize_line("\x1b[1m\u202e\u200d\ufeff") == "\ufffd[1m\ufffd\ufffd\ufffd"
    assert sanitize.sanitize_lines("a\x07\nb\tc") == "a\ufffd\nb c"


@pytest.mark.slow
@given(st.recursive(st.text() | st.booleans(), lambda inner: st.dictionaries(st.text(), inner)))
def test_formatted_json_is_printable_and_complete(data: Any) -> None:
    for indent in (None, 2):
        shown = sanitize.format_json(data, indent)
        assert all(line.isprintable() for line in shown.split("\n"))
        assert json.loads(shown) == data


def evil_study() -> cloudtune.Study:
    return cloudtune.Study.model_validate(
        {
            "name": EVIL,
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"type": "categorical", "values": [EVIL, EVIL + "2"]}},
            "strategy": "grid",
            "constants": {"c": EVIL},
            "trial": {"script": "train.py"},
        }
    )


def result(study: Any, **over: Any) -> StudyResult:
    trial = Trial("t", 1, "completed", {"x": EVIL}, {EVIL: 1.0}, (1.0,), reason=EVIL)
    failed = Trial("f", 2, "failed", {"x": EVIL}, reason=EVIL, log_tail=EVIL)
    told: dict[str, Any] = {
        "run": "r",
        "provider": "local",
        "mode": "driven",
        "emulated": False,
        "state": "completed",
        "reason": EVIL,
        "study": study,
        "study_hash": "",
        "seed": 1,
        "findings": (),
        "trials": (trial, failed),
    }
    return StudyResult(**{**told, **over})


@pytest.fixture
def _script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(
        "from cloudtune.trial import params, report\nreport(score=1)\n", "utf-8"
    )


@pytest.mark.usefixtures("_script")
def test_hostile_text_in_summaries_is_sanitized() -> None:
    study = evil_study()
    found = result(study)
    best, _failed = found.trials
    created = cloudtune.plan(study)
    assert_clean(format_plan(created, brief=False))
    assert_clean(format_plan(created, brief=True))
    assert_clean(summary.format_summary(found, EVIL))
    assert_clean(format_failures(found))
    assert_clean(summary.format_reuse(study, best, "source"))
    assert_clean([words.describe_space(study), words.format_parameters(best.parameters)])
    assert_clean([words.format_short(EVIL), words.format_objectives(study, best)])
    renamed = study.model_copy(
        update={"objectives": [o.model_copy(update={"metric": EVIL}) for o in study.objectives]}
    )
    assert_clean([words.describe_space(renamed), words.format_objectives(renamed, best)])


def test_arguments_are_exact_or_omitted() -> None:
    best = result(evil_study()).trials[0]
    (line,) = summary.format_reuse(evil_study(), best, "source")
    assert json.loads(line.partition(": ")[2]) == {"x": EVIL}
    plain = Trial("t", 1, "completed", {"x": "it's fine"})
    harmless = evil_study().model_copy(update={"constants": {}})
    assert len(summary.format_reuse(harmless, plain, "source")) == 2


def test_hostile_text_in_tables_is_sanitized(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{EVIL: EVIL, "b": 1}])
    assert_clean(capsys.readouterr().out.splitlines())


# --- the table of results -----------------------------------------------------------------------


def shown(*words: str) -> list[str]:
    done: Result = CliRunner().invoke(command, ["results", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def run(parameters: dict[str, Any]) -> str:
    study = {
        "objective": {"metric": "score", "goal": "maximize"},
        "parameters": {
            name: {"type": "categorical", "values": [v]} for name, v in parameters.items()
        },
        "strategy": "grid",
        "trial": {
            "command": ["echo", "score=1"],
            "arguments": "none",
            "metrics": {"score": "score=(.*)"},
        },
    }
    plan = cloudtune.plan(cloudtune.Study.model_validate(study))
    created = lifecycle.create([plan]).id
    lifecycle.execute(created)
    return created


@pytest.mark.usefixtures("_script")
def test_a_parameter_takes_no_column_from_another() -> None:
    run({"trial": "A", "state": "B", "seconds": "C", "score": "D", "lr": "E", "parameters.lr": "F"})
    head, _, row = shown()
    columns = ["trial", "state", "objective.score", "parameters.trial", "parameters.state"]
    columns += ["parameters.seconds", "parameters.score", "lr", "parameters.parameters.lr"]
    assert head.split() == [*columns, "seconds"]
    assert row.split()[:-1] == ["1", "completed", "1", "A", "B", "C", "D", "E", "F"]


@pytest.mark.usefixtures("_script")
def test_several_runs_are_told_apart() -> None:
    first, second = run({"x": "A"}), run({"x": "B"})
    head, _, *rows = shown(first, second)
    assert head.split()[:2] == ["run", "trial"]
    assert [row.split()[0] for row in rows] == [first, second]
    assert shown(first)[0].split()[0] == "trial"


@pytest.mark.parametrize(
    ("provider", "more"),
    [
        ("sagemaker", "; to build on it in a new run, set warm_start: {from: 3f6k2m9qxt}"),
        ("watson", ""),
    ],
)
def test_a_warm_start_is_suggested_if_the_provider_has_it(provider: str, more: str) -> None:
    over = {"provider": provider, "mode": "managed", "state": "cancelled", "run": "3f6k2m9qxt"}
    stopped = result(evil_study(), **over, job="t-1")
    said = f"{provider} stopped its job, which cannot be resumed{more}"
    assert summary.resume_hints([stopped]) == [said]


def test_a_job_that_was_never_created_can_be_resumed() -> None:
    over = {"provider": "vertex", "mode": "managed", "state": "cancelled", "run": "3f6k2m9qxt"}
    hints = summary.resume_hints([result(evil_study(), **over, job=None)])
    assert hints == ["interrupted; resume with: cloudtune resume 3f6k2m9qxt"]


def test_stopping_several_jobs_prints_how_to_resume_each() -> None:
    jobs = [
        result(evil_study(), provider=name, mode=mode, run="k7f2")
        for name, mode in (("local", "driven"), ("sagemaker", "managed"), ("vertex", "managed"))
    ]
    build = (
        "the job on sagemaker cannot be resumed; to build on it in a new run, set "
        "warm_start: {from: k7f2}"
    )
    vertex = "the job on vertex cannot be resumed"
    assert summary.stop_messages("run k7f2", jobs) == [
        *("asked run k7f2 to stop; resume with: cloudtune resume k7f2", build, vertex)
    ]
    assert summary.stop_messages("it", jobs[2:]) == ["asked it to stop", vertex]


def test_the_summary_of_a_job_that_never_ran() -> None:
    never = replace(result(evil_study(), provider="vertex", emulated=True), trials=(), started=None)
    assert summary.format_summary(never, "runs/r")[0] == "0 trials on vertex, emulated: none"


@pytest.mark.parametrize("state", ["completed", "stopped_early"])
def test_a_best_trial_that_was_stopped_early_is_named_so(state: TrialState) -> None:
    study = cloudtune.Study.model_validate(
        {
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"type": "bool"}},
        }
    )
    trials = (Trial("t", 7, state, {"x": True}, objective=(0.5,)),)
    best = "score 0.5 in trial 7" + ", which was stopped early" * (state == "stopped_early")
    found = result(study, trials=trials, reason="")
    assert f"best: {best}" in summary.format_summary(found, "runs/r")
    assert f"best: {best}  x=True" in format_status("completed", found)
    assert f"best {best}: x=True" in repr(found)


_ROW = {
    "provider": "sagemaker",
    "state": "completed",
    "trials": 30,
    "best": 0.974874,
    "took": "22 min 10 s",
    "emulated": "yes",
}
_WHY = "the emulator has ended, and its jobs with it, so that it cannot be asked any more"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_a_table_breaks_no_word_however_narrow_the_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    print_table([_ROW, {**_ROW, "provider": "vertex", "why": _WHY}])
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(len(line) for line in shown.splitlines()) <= width
    wanted = f"{' '.join(str(value) for value in _ROW.values())} vertex {_WHY}".split()
    assert set(wanted) <= set(shown.split())
    one_line_each = " ".join(shown.split()).startswith(" ".join([*_ROW, "why"]))
    assert one_line_each == (width >= 80)


@pytest.mark.parametrize(("width", "gap"), [(25, 3), (23, 2), (21, 1)])
def test_columns_move_together_before_rows_become_blocks(width: int, gap: int) -> None:
    columns: dict[str, list[Any]] = {"trial": [1], "kernel": ["linear"], "accuracy": [0.974874]}
    title, line, row = render_table(columns, width)
    assert title == (" " * gap).join(["trial", "kernel", "accuracy"])
    assert line == "\N{BOX DRAWINGS LIGHT HORIZONTAL}" * (19 + 2 * gap)
    assert row == (" " * gap).join(["    1", "linear", "0.974874"])


def test_the_columns_of_jobs_do_not_depend_on_the_first_job() -> None:
    bare = job("local", [None])
    full = job("vertex", [0.5], emulated=True)
    columns = {
        tuple(row) for jobs in ([bare, full], [full, bare]) for row in summary.job_rows(jobs)
    }
    assert columns == {
        ("provider", "emulated", "state", "trials", "failed", "best", "trial", "duration")
    }
