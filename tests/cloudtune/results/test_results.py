"""What a job found, folded from what the ledger holds of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from cloudtune.errors import StudyError, UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_job
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.planning.planner import plan
from cloudtune.results.aggregate import best_of_jobs
from cloudtune.results.events import (
    FINAL_JOB_STATES,
    OPEN_JOB_STATES,
    JobState,
    Measured,
    Started,
)
from cloudtune.results.model import StudyResult, Trial
from cloudtune.results.trials import Trials
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study

LINK = "https://console.example.com/jobs"
STUDY = Study.model_validate(
    {
        "objective": {"metric": "score", "goal": "maximize"},
        "parameters": {"x": {"type": "bool"}},
        "strategy": "grid",
    }
)
TRIAL = Started(1, 1.0, {"x": True})


def test_a_job_has_ended_or_not() -> None:
    assert {*get_args(JobState)} == OPEN_JOB_STATES ^ FINAL_JOB_STATES ^ {"unknown"}


def test_the_page_of_a_known_job_is_its_own(tmp_path: Path) -> None:
    study = Study.model_validate({"parameters": {"x": {"type": "bool"}}, "strategy": "grid"})
    created = plan(study)
    pages: dict[Mode, str] = {"driven": f"{LINK}/{{job}}?in=here"}
    lookup = replace(created.facts.lookup, links={"driven": LINK}, job_links=pages)
    told = replace(created, facts=replace(created.facts, lookup=lookup)).to_json()
    links: list[str | None] = []
    for job in ("all/jobs/7", None):
        record = JobRecord("r", "odd", told, "failed", "", job, emulated=False)
        run = RunRecord("r", 1.0, "", study.to_json(), None, ".", (record,))
        with Ledger(tmp_path / str(job), create=True) as ledger:
            ledger.create_run(run)
            ledger.append("r", "odd", TRIAL)
            links.append(read_job(ledger, run, record)[0].link)
    assert links == [f"{LINK}/7?in=here", LINK]


@pytest.mark.parametrize(
    ("job", "events", "emulated", "link"),
    [
        (None, [], False, None),
        ("job-1", [], False, LINK),
        (None, [TRIAL], False, LINK),
        ("job-1", [TRIAL], True, None),
    ],
    ids=["none was made", "managed", "driven", "emulated"],
)
def test_the_service_is_linked_once_it_has_a_job(
    tmp_path: Path, job: str | None, events: Sequence[Started], *, emulated: bool, link: str | None
) -> None:
    created = plan(STUDY)
    lookup = replace(created.facts.lookup, links={"driven": LINK})
    told = replace(created, facts=replace(created.facts, lookup=lookup)).to_json()
    record = JobRecord("r", "odd", told, "failed", "", job, emulated)
    run = RunRecord("r", 1.0, "", STUDY.to_json(), None, ".", (record,))
    with Ledger(tmp_path, create=True) as ledger:
        ledger.create_run(run)
        ledger.append("r", "odd", *events)
        assert read_job(ledger, run, record)[0].link == link


@pytest.mark.parametrize(
    ("begun", "spent", "ended", "idle"),
    [
        (100.0, 0.0, 160.0, 0.0),
        (3700.0, 60.0, 3760.0, 3540.0),
        (3700.0, 60.0, None, 3540.0),
        (9000.0, 60.0, 160.0, 0.0),
    ],
    ids=["at one go", "resumed", "resumed and running", "resumed when nothing was left"],
)
def test_the_idle_time_of_a_job(
    tmp_path: Path, begun: float, spent: float, ended: float | None, idle: float
) -> None:
    record = JobRecord(
        *("r", "local", plan(STUDY).to_json(), "running", "", None, False),
        started=100.0,
        process_started=begun,
        earlier_seconds=spent,
        ended=ended,
    )
    run = RunRecord("r", 1.0, "", STUDY.to_json(), None, ".", (record,))
    with Ledger(tmp_path, create=True) as ledger:
        ledger.create_run(run)
        assert read_job(ledger, run, record)[0].idle == idle


def study_result(provider: str, values: Sequence[float], *, emulated: bool = False) -> StudyResult:
    trials = tuple(
        Trial(f"{provider}-{n}", n, "completed", {"x": True}, objective=(value,))
        for n, value in enumerate(values, start=1)
    )
    return StudyResult(
        run="r",
        provider=provider,
        mode="driven",
        emulated=emulated,
        state="completed",
        reason="",
        study=STUDY,
        study_hash=STUDY.fingerprint(),
        seed=1,
        findings=(),
        trials=trials,
    )


def best_value(*jobs: StudyResult) -> list[tuple[str, float]]:
    winners = best_of_jobs((job, job.trials) for job in jobs)
    return [(job.provider, (trial.objective or (0.0,))[0]) for job, trial in winners]


def test_emulated_jobs_are_never_ranked_against_real_ones() -> None:
    real = [study_result("local", [0.1, 0.4]), study_result("vertex", [0.3])]
    emulated = [
        study_result("sagemaker", [0.9], emulated=True),
        study_result("watson", [0.8], emulated=True),
    ]
    assert best_value(*real, *emulated) == [("local", 0.4)]
    assert best_value(*emulated) == [("sagemaker", 0.9)]
    assert best_value(study_result("local", []), *emulated) == []
    assert best_value() == []


def test_jobs_with_different_objectives_have_no_common_best() -> None:
    other = Study.model_validate(
        {**STUDY.to_json(), "objective": {"metric": "loss", "goal": "minimize"}}
    )
    jobs = [study_result("local", [0.1]), replace(study_result("vertex", [0.2]), study=other)]
    with pytest.raises(UsageError, match="different objectives"):
        best_value(*jobs)


def test_a_result_is_read_back_even_if_its_study_is_no_longer_valid() -> None:
    result = study_result("local", [0.1, float("inf")])
    assert StudyResult.from_json(result.to_json()) == result
    document = json.loads(result.to_json())
    document["study"]["initial_trials"] = [{"y": 1}]
    with pytest.raises(StudyError):
        Study.model_validate(document["study"])
    assert StudyResult.from_json(json.dumps(document)).study.initial_trials == [{"y": 1}]


def test_a_metric_has_the_value_that_the_study_selects() -> None:
    select = {"low": "min", "high": "max", "end": "last"}
    trials = Trials(Study.model_validate({**STUDY.to_json(), "trial": {"select": select}}), "r")
    trials.tell(TRIAL)
    for step, value in enumerate([float("nan"), 3.0, 1.0, 2.0, float("inf")], start=1):
        names = ("low", "high", "end", "other", "score")
        trials.tell(Measured(1, float(step), step, dict.fromkeys(names, value)))
    metrics = trials.get(1).metrics
    assert (metrics["low"], metrics["high"]) == (1.0, 3.0)
    assert metrics["end"] == metrics["other"] == float("inf")
    with pytest.raises(StudyError, match=r"set objective\.select to last or best"):
        Study.model_validate({**STUDY.to_json(), "trial": {"select": {"score": "max"}}})
