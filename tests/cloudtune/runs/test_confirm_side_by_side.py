"""A confirmation of one of several jobs decides for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune import api
from cloudtune.cli import main
from cloudtune.planning.planner import plan_run
from cloudtune.provider import registry
from cloudtune.runs import lifecycle
from cloudtune.study.study import Study
from cloudtune_local import LocalProvider
from cloudtune_local.capabilities import CAPABILITIES

LUCKY = """\
import os, random
from cloudtune.trial import output_dir, params, report
x, seed = params()["x"], os.environ["CLOUDTUNE_SEED"]
open(os.path.join(output_dir(), "model"), "w").write(str(x))
is_search = os.environ.get("CLOUDTUNE_CONFIRM") != "1"
report(loss=LOSS if is_search else abs(x - 2) + random.Random(f"{seed} {x}").gauss(0, 0.02))
"""


class Second(LocalProvider):
    """This machine under another name."""

    capabilities = replace(CAPABILITIES, provider="second")


@pytest.fixture(autouse=True)
def _context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    with registry.temporary_provider("second", Second):
        yield


def search(loss: str, trials: int = 6) -> str:
    """Run the first of the values 0 to 5 in two jobs."""
    Path("train.py").write_text(LUCKY.replace("LOSS", loss), "utf-8")
    data: dict[str, Any] = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"x": {"type": "discrete", "values": [0, 1, 2, 3, 4, 5]}},
        "strategy": "grid",
        "limits": {"max_trials": trials},
        "trial": {"script": "train.py"},
    }
    run = lifecycle.create(plan_run(Study.model_validate(data), ["local", "second"])).id
    lifecycle.execute(run)
    return run


def call(*words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words])
    assert ended.value.code == 0, words


def best(run: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, Sequence[str], str]:
    """Return the best x, the note, the providers of the best trials, and the fetched x."""
    capsys.readouterr()
    call("results", run, "--best", "--as", "json")
    printed = capsys.readouterr()
    call("results", run, "--best", "--format", "jsonl")
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    found = [line["provider"] for line in lines]
    call("fetch", run, "--best", "-o", "best")
    fetched = next(Path("best").rglob("model")).read_text("utf-8")
    capsys.readouterr()
    return json.loads(printed.out)["x"], printed.err, found, fetched


def test_a_refuted_setting_of_another_job_is_not_the_best(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search("0.1 * x")
    call("confirm", run, "--top", "4", "--seeds", "2", "--fixed")
    x, note, found, fetched = best(run, capsys)
    assert (x, found, fetched) == (2, ["local"], "2")
    assert "trial 3 is the best of them" in note
    assert "; this decides for the job on second, too" in note
    call("report", run, "--as", "markdown")
    printed = capsys.readouterr().out
    assert (
        f"local, run {run}: run {run}-confirm repeated the best trials, and trial 3 is the best of "
        "them"
    ) in printed
    assert "of all jobs, the one to take is on local" not in printed
    assert "local found the best loss: 0.2" in printed
    assert f"| trial | 3 of run {run} | 3 of run {run} |" in printed


def test_a_trial_of_another_job_that_was_not_repeated_does_not_outrank_the_one_to_take(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search("[0, 0.1, 0.2, 0.3, 0.15][x]", trials=4)
    call("confirm", run, "--top", "4", "--seeds", "2", "--fixed")
    call("resume", run, "--on", "second", "--set", "limits.max_trials=5")
    x, _, found, _ = best(run, capsys)
    assert (x, found) == (2, ["local"])
    call("report", run, "--json")
    verdict = json.loads(capsys.readouterr().out)["verdicts"][0]
    assert verdict["best"]["leaders"] == ["local"]
    assert verdict["near"] >= 0.2
    means = {each["label"]: each["mean"] for each in verdict["best"]["standings"]}
    assert means == {"local": pytest.approx(0.2), "second": pytest.approx(0.15)}


def test_each_command_has_the_best_trial_of_the_confirmation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search("0.1 * x")
    call("confirm", run, "--top", "4", "--seeds", "2", "--fixed")
    results = api.find_run(run).results()
    assert results.best is not None
    assert results.best.parameters == {"x": 2}
    assert [job.best and job.best.number for job in results] == [3, 3]
    assert api.find_run().id == f"{run}-confirm"
    assert api.find_run().results().best == results.best
    assert api.find_run(f"{run}-confirm").results().jobs[0].best is None
    capsys.readouterr()
    call("status", "--json")
    row = next(each for each in json.loads(capsys.readouterr().out) if each["run"] == run)
    assert row["best"] == pytest.approx(0.2)
    assert [job["best"] for job in row["jobs"]] == [pytest.approx([0.2])] * 2
    assert all("trial 3 is the best of them" in job["decision"] for job in row["jobs"])
    for words in (["status", run], ["watch", run]):
        call(*words)
        printed = capsys.readouterr().out
        assert "best: loss 0.2 in trial 3" in printed
        assert "note: of all jobs, the one to take is on local: run" in printed
    for on in ("local", "second"):
        call("fetch", run, "--best", "--on", on, "-o", on)
        assert next(Path(on).rglob("model")).read_text("utf-8") == "2"
        assert "trial 3 is the best of them" in capsys.readouterr().err
    call("explain", run, "--on", "second")
    assert "the one to take is on local" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_a_better_trial_that_another_job_has_found_since_is_the_best(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search("-0.1 * x", trials=4)
    call("confirm", run, "--seeds", "2", "--fixed")
    assert best(run, capsys)[0] == 2
    Path("best").rename("earlier")
    call("resume", run, "--on", "second", "--set", "limits.max_trials=6")
    x, note, found, fetched = best(run, capsys)
    assert (x, found, fetched) == (5, ["second"], "5")
    assert "trial 6 on second was not repeated" in note
    call("confirm", run, "--seeds", "2", "--fixed")
    Path("best").rename("middle")
    assert best(run, capsys)[0] == 2


@pytest.mark.slow
def test_the_next_confirmation_repeats_what_one_of_another_job_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search("-0.1 * x", trials=4)
    call("confirm", run, "--top", "4", "--seeds", "4", "--fixed")
    call("resume", run, "--on", "second", "--set", "limits.max_trials=6")
    call("confirm", run, "--top", "2", "--seeds", "2", "--fixed")
    assert best(run, capsys)[0] == 2
    call("confirm", run, "--ablate", "--seeds", "2")
    assert "worse than the winner" in capsys.readouterr().out
    winner = api.find_run(f"{run}-ablate").results().jobs[0].confirmation
    assert winner is not None
    assert winner.candidates[0].parameters == {"x": 2}
