"""What the fault plan makes go wrong, as clients and trials meet it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudtune.emulation import process
from cloudtune.errors import StudyError
from cloudtune.provider import registry
from cloudtune_vertex import VertexProvider
from cloudtune_vertex.emulator import operations

Start = Callable[..., Any]
PARENT = "projects/team/locations/us-central1"


def exceptions() -> Any:
    return pytest.importorskip("google.api_core.exceptions")


def named(created: Any, name: str) -> list[Any]:
    request = {"parent": PARENT, "filter": f'display_name="{name}"'}
    return list(created.jobs.list_hyperparameter_tuning_jobs(request=request))


def test_calls_are_refused_and_fail(start_emulator: Start) -> None:
    created = start_emulator(
        faults="""
        faults:
        - {operation: ListCustomJobs, call: 1, effect: throttle}
        - {operation: ListCustomJobs, call: 2, effect: quota}
        - {operation: ListCustomJobs, call: 3, effect: error}
        """
    )
    for kind, message in (
        ("TooManyRequests", "per minute"),
        ("TooManyRequests", "exceed quota limits"),
        ("ServiceUnavailable", "unavailable"),
    ):
        with pytest.raises(getattr(exceptions(), kind), match=message):
            created.jobs.list_custom_jobs(parent=PARENT)
    assert list(created.jobs.list_custom_jobs(parent=PARENT)) == []


def test_a_job_is_there_though_its_answer_was_lost_or_late(start_emulator: Start) -> None:
    created = start_emulator(
        faults="""
        faults:
        - {operation: CreateHyperparameterTuningJob, call: 1, effect: lose_response}
        - {operation: CreateHyperparameterTuningJob, call: 2, effect: late_error}
        - {operation: CreateHyperparameterTuningJob, call: 3, effect: error}
        """
    )
    requests: Any = pytest.importorskip("requests")
    errors = (
        requests.ConnectionError,
        exceptions().GatewayTimeout,
        exceptions().ServiceUnavailable,
    )
    for error, count in zip(errors, (1, 1, 0), strict=True):
        job = created.tuning()
        with pytest.raises(error):
            created.create(job)
        assert len(named(created, job["displayName"])) == count


def test_a_machine_that_is_taken_away_starts_the_trial_again_with_its_folder(
    start_emulator: Start,
) -> None:
    created = start_emulator(
        faults="faults: [{operation: trial, call: [1, 3], effect: interrupt, after: 2}]"
    )
    code = """
        import json, os, pathlib, time
        folder = os.environ["AIP_CHECKPOINT_DIR"].replace("gs:/", os.environ["CLOUDTUNE_GCS"])
        saved = pathlib.Path(folder) / "step"
        saved.parent.mkdir(parents=True, exist_ok=True)
        begin = int(saved.read_text()) if saved.exists() else 0
        print(f"begin at {begin}, alone: {not os.path.exists('own')}", flush=True)
        pathlib.Path("own").write_text("lost with the machine")
        file = pathlib.Path(os.environ.get("CLOUD_ML_HP_METRIC_FILE", "metrics/none"))
        file.parent.mkdir(exist_ok=True)
        lines = []
        for step in range(begin + 1, 5):
            saved.write_text(str(step))
            lines.append(json.dumps({"global_step": str(step), "loss": str(step)}) + "\\n")
            file.write_text("".join(lines))
            is_taken = os.environ["CLOUD_ML_TRIAL_ID"] == "TAKEN" and not begin
            time.sleep(600 if is_taken and step == 2 else 0)
    """
    first = code.replace("TAKEN", "1")
    job = created.run(created.tuning(first, maxTrialCount=1, maxFailedTrialCount=1))
    (trial,) = job.trials
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    said = created.log(trial.custom_job).splitlines()
    assert said[0] == "begin at 0, alone: True"
    assert said[1] == "begin at 2, alone: True"
    assert trial.final_measurement.metrics[0].value == 4.0

    second = code.replace("TAKEN", "2")
    request = created.tuning(second, maxTrialCount=2, maxFailedTrialCount=2, parallelTrialCount=1)
    request["trialJobSpec"]["scheduling"] = {"disableRetries": True}
    job = created.run(request)
    states = {trial.id: trial.state.name for trial in job.trials}
    assert states == {"1": "SUCCEEDED", "2": "INFEASIBLE"}
    lost = next(trial for trial in job.trials if trial.id == "2")
    custom = created.get(lost.custom_job)
    assert (custom.state.name, custom.error.code) == ("JOB_STATE_FAILED", 14)


def test_trials_fail_are_infeasible_and_are_stopped_early(start_emulator: Start) -> None:
    created = start_emulator(
        faults="""
        faults:
        - {operation: trial, call: 1, effect: fail}
        - {operation: trial, call: 2, effect: no_metric}
        - {operation: trial, call: 3, effect: stop_early, after: 3}
        """
    )
    job = created.run(created.tuning(maxTrialCount=4, parallelTrialCount=1, maxFailedTrialCount=4))
    trials = {trial.id: trial for trial in job.trials}
    states = {number: trial.state.name for number, trial in trials.items()}
    assert states == {"1": "INFEASIBLE", "2": "INFEASIBLE", "3": "SUCCEEDED", "4": "SUCCEEDED"}
    failed, silent = (created.get(trials[number].custom_job) for number in ("1", "2"))
    assert (failed.state.name, failed.error.code) == ("JOB_STATE_FAILED", 13)
    assert silent.state.name == "JOB_STATE_SUCCEEDED"
    assert trials["3"].final_measurement.step_count == 3


def test_a_job_that_waits_too_long_for_a_machine_expires(start_emulator: Start) -> None:
    created = start_emulator(
        faults="faults: [{operation: trial, call: [1, 2], effect: slow_start, seconds: 3000}]"
    )
    flex = {"scheduling": {"strategy": "FLEX_START", "maxWaitDuration": "60s"}}
    job = created.ended(created.create_custom(created.container(""), spec=flex).name)
    assert job.state.name == "JOB_STATE_EXPIRED"
    job = created.ended(created.create_custom(created.container("")).name)
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert not job.error.message


def test_the_machine_of_a_custom_job_is_taken_away_after_seconds(start_emulator: Start) -> None:
    created = start_emulator(
        faults="faults: [{operation: trial, call: [1, 2], effect: interrupt, after: 5}]"
    )
    code = """
        import os, pathlib, time
        folder = os.environ["AIP_CHECKPOINT_DIR"].replace("gs:/", os.environ["CLOUDTUNE_GCS"])
        saved = pathlib.Path(folder) / "begun"
        again = saved.exists()
        print("again" if again else "first", flush=True)
        saved.parent.mkdir(parents=True, exist_ok=True)
        saved.write_text("yes")
        time.sleep(0 if again else 600)
    """
    base = {"baseOutputDirectory": {"outputUriPrefix": "gs://team-bucket/taken"}}
    job = created.ended(created.create_custom(created.container(code), spec=base).name)
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert created.log(job.name) == "first\nagain\n"
    never = {"scheduling": {"disableRetries": True}}
    code = "import time; time.sleep(600)"
    job = created.ended(created.create_custom(created.container(code), spec=never).name)
    assert (job.state.name, job.error.code) == ("JOB_STATE_FAILED", 14)
    assert (job.end_time - job.start_time).total_seconds() >= 5


def test_the_service_fails_to_run_a_custom_job(start_emulator: Start) -> None:
    created = start_emulator(faults="faults: [{operation: trial, call: 1, effect: fail}]")
    job = created.ended(created.create_custom(created.container("")).name)
    assert (job.state.name, job.error.code) == ("JOB_STATE_FAILED", 13)


@pytest.mark.parametrize("effect", sorted(operations.NOT_DRIVEN))
def test_what_makes_no_sense_for_a_custom_job_is_refused(
    start_emulator: Start, tmp_path: Path, effect: str
) -> None:
    plan = tmp_path / "checked.yaml"
    plan.write_text(f"faults: [{{operation: trial, call: 1, effect: {effect}}}]")
    with registry.temporary_provider("vertex", VertexProvider):
        process.read_fault_plans(plan, {"vertex": None})
        process.read_fault_plans(plan, {"vertex": "managed"})
        why = f"1: faults.0.effect: vertex: {effect} cannot happen here"
        with pytest.raises(StudyError, match=why):
            process.read_fault_plans(plan, {"vertex": "driven"})
    created = start_emulator("--faults", str(plan))
    with pytest.raises(exceptions().MethodNotImplemented, match=f"has {effect} for this job"):
        created.create_custom(created.container(""))
    assert list(created.jobs.list_custom_jobs(parent=PARENT)) == []


def test_a_driven_run_is_told_so_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    (tmp_path / "train.py").write_text("")
    (tmp_path / "faults.yaml").write_text(
        "faults: [{operation: trial, call: 1, effect: no_metric}]"
    )
    (tmp_path / "study.yaml").write_text(
        textwrap.dedent("""
            objective: {metric: accuracy, goal: maximize}
            parameters: {x: {type: float, min: 0, max: 1}}
            limits: {max_trials: 1}
            trial: {script: train.py}
            providers: {vertex: {mode: driven}}
        """)
    )
    words = ["run", "study.yaml", "--on", "vertex", "--emulate", "--faults", "faults.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", "cloudtune", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 1, done.stderr
    assert "faults.yaml:1: faults.0.effect: vertex: no_metric cannot happen here" in done.stderr
    assert not list((tmp_path / "state").glob("runs/*"))
