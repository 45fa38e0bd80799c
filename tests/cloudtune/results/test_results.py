"""What a job found, folded from what the ledger holds of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_job
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.planning.planner import plan
from cloudtune.results.events import Started
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


def test_the_page_of_a_known_job_is_its_own(tmp_path: Path) -> None:
    study = Study.model_validate({"parameters": {"x": {"type": "bool"}}, "strategy": "grid"})
    made = plan(study)
    pages = {"driven": f"{LINK}/{{job}}?in=here"}
    own = {**made.facts.own, "links": {"driven": LINK}, "job_links": pages}
    told = replace(made, facts=replace(made.facts, own=own)).to_json()
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
    made = plan(STUDY)
    own = {**made.facts.own, "links": {"driven": LINK}}
    told = replace(made, facts=replace(made.facts, own=own)).to_json()
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
def test_the_time_in_which_nobody_ran_a_job_is_known(
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
