"""What only training jobs of SageMaker have; tests/test_training_jobs.py has what all clouds do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune_sagemaker.emulator import views
from cloudtune_sagemaker.launcher_contract import CONTINUED
from tests.cloudtune_sagemaker.played import Played
from tests.played_service import HYPERBAND, starting

Play = Callable[..., Played]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    with starting(Played, tmp_path, monkeypatch) as start:
        yield start


@pytest.fixture
def service(play: Play) -> Played:
    return play()


def test_the_request_of_a_trial_has_its_own_parts(play: Play) -> None:
    service = play({"constants": {"depth": 3}})
    service.start(7)
    service.wait_for("7")
    ((request, job),) = zip(service.requests(), service.jobs().values(), strict=True)
    assert request["TrainingJobName"] == f"{service.job}-7"
    values: Mapping[str, Any] = request["HyperParameters"]
    assert (values["depth"], values["lr"], values["kind"]) == ("3", "0.25", "it's $HOME")
    assert (job.tags["cloudtune:trial"], job.tags["cloudtune:run"]) == (
        *("7", service.plan.facts.run_id),
    )
    assert request["CheckpointConfig"]["S3Uri"].endswith("/checkpoints/7/")
    assert "{{" not in str(request)
    service.finish("7")
    end = service.ended()
    billed = views.training(service.jobs()["7"])["BillableTimeInSeconds"]
    assert (end.billed_seconds, end.machine) == (billed, "ml.m5.large")


def test_a_job_of_another_run_is_not_used(service: Played) -> None:
    service.start(1)
    service.wait_for("1")
    service.abandon()
    service.jobs()["1"].tags["cloudtune:run"] = "other"
    service.start(1)
    assert "another run has a training job" in service.lost().reason


def test_without_search_jobs_are_described(service: Played) -> None:
    service.refuse_lists("ValidationException")
    service.start(1, 2)
    service.wait_for("1", "2")
    service.finish("1")
    service.finish("2")
    assert {service.ended().number, service.ended().number} == {1, 2}
    assert service.count("list") == 1


def test_a_trial_that_reached_its_timeout_has_failed(service: Played) -> None:
    service.start(1)
    service.wait_for("1")
    service.time_out("1")
    end = service.ended()
    assert (end.state, "trial_timeout" in end.reason) == ("failed", True)


@pytest.mark.parametrize(("continued", "step"), [(0.0, 1), (1.0, 4)])
def test_a_start_without_a_checkpoint_counts_its_steps_anew(
    play: Play, continued: float, step: int
) -> None:
    service = play(HYPERBAND)
    service.start(1, resource=3)
    service.wait_for("1")
    service.finish("1", 0.1)
    service.ended()
    service.start(1, resource=9, start=2, after_step=3)
    service.wait_for("1-2")
    service.report("1-2", accuracy=0.4, loss=1.0, **{CONTINUED: continued})
    service.end("1-2")
    assert service.measured().step == step


def test_a_trial_that_timed_out_meanwhile_is_recovered(service: Played) -> None:
    service.start(1)
    service.wait_for("1")
    service.abandon()
    service.time_out("1")
    assert service.runner.recover([service.left(1)]).running == {1}
    assert service.ended().number == 1
