"""What only custom jobs of Vertex AI have; tests/test_training_jobs.py has what all clouds do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.planning.planner import plan
from cloudtune.provider import JobContext, Json
from cloudtune.results.events import Running, Started
from cloudtune_vertex import training_client
from cloudtune_vertex.client import Google
from cloudtune_vertex.emulator.errors import INTERNAL, UNAVAILABLE
from cloudtune_vertex.emulator.state import Status
from cloudtune_vertex.tuning_client import TuningClient
from tests.cloudtune_vertex import support
from tests.cloudtune_vertex.played import Played
from tests.played_service import HYPERBAND, starting

Play = Callable[..., Played]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    with starting(Played, tmp_path, monkeypatch) as start:
        yield start


@pytest.fixture
def service(play: Play) -> Played:
    return play()


def test_the_custom_job_of_a_trial(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "$(HOME) or $x")
    env = {"MORE": "{{number}}", "TOKEN": {"from_env": "SECRET"}}
    service = play({"trial": {"script": "train.py", "env": env}})
    service.start(7)
    service.wait_for("7")
    (job,) = service.requests()
    name = f"{service.job}-7"
    assert (job["displayName"], job["labels"]["cloudtune-job"]) == (name, name)
    assert job["labels"]["cloudtune-run"] == service.plan.facts.run_id
    spec = job["jobSpec"]
    base = spec["baseOutputDirectory"]["outputUriPrefix"]
    assert base.endswith(f"/{service.job}/trials/7")
    task = spec["workerPoolSpecs"][0]["pythonPackageSpec"]
    assert task["args"] == ["--lr=0.25", "--kind=it's $HOME"]
    variables = {each["name"]: each["value"] for each in task["env"]}
    assert variables["CLOUDTUNE_JOB"] == name
    assert (variables["MORE"], variables["TOKEN"]) == ("{{number}}", "$$(HOME) or $x")
    service.finish("7")
    end = service.ended()
    assert (end.billed_at_least, end.machine) == (0.0, "n1-standard-4")
    assert end.artifacts == f"{base}/model"
    assert f"/{service.jobs()['7'].id}" in str(end.log)


def test_filters_quote_the_labels_of_jobs(tmp_path: Path) -> None:
    filters: list[str] = []

    class Jobs(Google):
        emulated = False

        def __init__(self) -> None: ...

        def list_custom_jobs(self, filter_: str) -> list[Json]:
            filters.append(filter_)
            return []

        list_tuning_jobs = list_custom_jobs

    run = "3f6k2m9qxt"
    (tmp_path / "train.py").write_text("print(1)\n")
    planned = plan(support.study_of(), "vertex", base=tmp_path, run_id=run)
    context = JobContext(tmp_path)
    jobs = training_client.VertexJobs(Jobs(), planned, context, lambda: None)
    jobs.poll([Started(1, 5.0, {"lr": 0.01}, id=f"s-{run}-1")])
    TuningClient(Jobs(), planned, context).find(f"s-{run}")
    assert filters == [
        f'labels.cloudtune-run="{run}" AND labels.cloudtune-job="s-{run}-1"',
        f'labels.cloudtune-run="{run}"',
    ]


def test_a_job_that_is_not_listed_yet_is_not_created_again(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = play()
    monkeypatch.setattr(training_client, "HIDDEN_SECONDS_EMULATED", 20.0)
    service.runner = service.another()
    visible = service.store.jobs
    service.hide("1")
    service.faults.next["CreateCustomJob"] = ["lose_response"]
    service.start(1)
    service.wait_for("1")
    service.until(lambda: service.count("list") > 3)
    monkeypatch.setattr(service.store, "jobs", visible)
    service.finish("1")
    assert service.ended().state == "completed"
    assert service.count("create") == 1


def test_of_two_jobs_with_one_name_the_first_is_polled(service: Played) -> None:
    jobs = service.training_jobs()
    jobs.create(service.started(1))
    (first,) = service.jobs().values()
    jobs.create(service.started(1))
    assert service.runner.recover([service.left(1)]).running == {1}
    service.scripts.end(first, "completed")
    assert service.ended().state == "completed"


@pytest.mark.parametrize(
    ("state", "ends", "reason"),
    [("EXPIRED", "failed", "expire"), ("PARTIALLY_SUCCEEDED", "completed", "")],
)
def test_how_a_trial_ends(service: Played, state: str, ends: str, reason: str) -> None:
    service.start(1)
    service.wait_for("1")
    service.jobs()["1"].enter(f"JOB_STATE_{state}")
    end = service.ended()
    assert (end.state, end.word) == (ends, f"JOB_STATE_{state}")
    assert reason in end.reason
    assert bool(reason) == bool(end.reason)


@pytest.mark.parametrize(("most", "reason"), [("7998.5s", "trial_timeout"), ("8000s", "not by")])
def test_a_timed_out_job_has_failed(service: Played, most: str, reason: str) -> None:
    service.start(1)
    service.wait_for("1")
    job = service.jobs()["1"]
    job.spec["scheduling"] = {"timeout": most}
    service.until(lambda: any(isinstance(each, Running) for each in service.machine_events))
    with service.store.lock:
        job.enter("JOB_STATE_CANCELLED")
        job.ended = job.start_time + 7_999
    end = service.ended()
    assert end.state == "failed"
    assert reason in end.reason


def test_an_unknown_state_is_kept_and_polled_again(service: Played) -> None:
    service.start(1)
    service.wait_for("1")
    for state in ("PAUSED", "UPDATING"):
        service.jobs()["1"].enter(f"JOB_STATE_{state}")
        service.faults.calls.clear()
        service.until(lambda: service.count("get") > 1)
    assert service.silent()
    service.finish("1")
    assert service.ended().state == "completed"


def test_the_launcher_saves_why_a_script_failed(service: Played) -> None:
    service.start(1)
    service.wait_for("1")
    service.save("1", {"failure": "exit code 3\nValueError: bad data"})
    service.end("1", "failed", "non-zero status")
    assert service.ended().reason == "exit code 3\nValueError: bad data"


@pytest.mark.parametrize(
    ("code", "message", "lost"),
    [
        (UNAVAILABLE, "The machine of the job was taken away.", True),
        (INTERNAL, "The replica exited with a non-zero status of 1.", False),
    ],
)
def test_a_job_that_google_failed_to_run_is_lost(
    service: Played, code: int, message: str, lost: bool
) -> None:
    service.start(1)
    service.wait_for("1")
    service.scripts.end(service.jobs()["1"], "failed", Status(code, message))
    assert service.ended().lost == lost


def test_steps_of_the_script_itself_are_kept(play: Play) -> None:
    service = play(HYPERBAND)
    service.start(1, resource=9, start=2, after_step=3)
    service.wait_for("1-2")
    lines: list[dict[str, Any]] = [{}, {"step": 7}, {}]
    for line in lines:
        service.save("1-2", {"metrics": {"accuracy": 0.4}, **line})
    assert [service.measured().step for _ in range(3)] == [4, 7, 8]


def test_jobs_of_another_run_are_ignored(service: Played) -> None:
    service.training_jobs().create(service.started(1))
    service.requests()[0]["labels"]["cloudtune-run"] = "other"
    assert service.runner.recover([service.left(1)]).running == set()
