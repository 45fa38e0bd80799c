"""What the fault plan makes go wrong, as clients and trials meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Start = Callable[..., Any]
PARENT = "projects/team/locations/us-central1"


def exceptions() -> Any:
    return pytest.importorskip("google.api_core.exceptions")


def named(made: Any, name: str) -> list[Any]:
    request = {"parent": PARENT, "filter": f'display_name="{name}"'}
    return list(made.jobs.list_hyperparameter_tuning_jobs(request=request))


def test_calls_are_refused_and_fail(start_emulator: Start) -> None:
    made = start_emulator(
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
            made.jobs.list_custom_jobs(parent=PARENT)
    assert list(made.jobs.list_custom_jobs(parent=PARENT)) == []


def test_a_job_is_there_though_its_answer_was_lost_or_late(start_emulator: Start) -> None:
    made = start_emulator(
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
        job = made.tuning()
        with pytest.raises(error):
            made.create(job)
        assert len(named(made, job["displayName"])) == count


def test_a_machine_that_is_taken_away_starts_the_trial_again_with_its_folder(
    start_emulator: Start,
) -> None:
    made = start_emulator(
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
            time.sleep(0.5)
    """
    job = made.run(made.tuning(code, maxTrialCount=1, maxFailedTrialCount=1))
    (trial,) = job.trials
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    said = made.log(trial.custom_job).splitlines()
    assert said[0] == "begin at 0, alone: True"
    assert said[1] in {f"begin at {step}, alone: True" for step in (2, 3, 4)}
    assert trial.final_measurement.metrics[0].value == 4.0

    request = made.tuning(code, maxTrialCount=2, maxFailedTrialCount=2, parallelTrialCount=1)
    request["trialJobSpec"]["scheduling"] = {"disableRetries": True}
    job = made.run(request)
    states = {trial.id: trial.state.name for trial in job.trials}
    assert states == {"1": "SUCCEEDED", "2": "INFEASIBLE"}
    lost = next(trial for trial in job.trials if trial.id == "2")
    custom = made.get(lost.custom_job)
    assert (custom.state.name, custom.error.code) == ("JOB_STATE_FAILED", 14)


def test_trials_fail_are_infeasible_and_are_stopped_early(start_emulator: Start) -> None:
    made = start_emulator(
        faults="""
        faults:
        - {operation: trial, call: 1, effect: fail}
        - {operation: trial, call: 2, effect: no_metric}
        - {operation: trial, call: 3, effect: stop_early, after: 3}
        """
    )
    job = made.run(made.tuning(maxTrialCount=4, parallelTrialCount=1, maxFailedTrialCount=4))
    trials = {trial.id: trial for trial in job.trials}
    states = {number: trial.state.name for number, trial in trials.items()}
    assert states == {"1": "INFEASIBLE", "2": "INFEASIBLE", "3": "SUCCEEDED", "4": "SUCCEEDED"}
    failed, silent = (made.get(trials[number].custom_job) for number in ("1", "2"))
    assert (failed.state.name, failed.error.code) == ("JOB_STATE_FAILED", 13)
    assert silent.state.name == "JOB_STATE_SUCCEEDED"
    assert trials["3"].final_measurement.step_count == 3


def test_a_job_that_waits_too_long_for_a_machine_expires(start_emulator: Start) -> None:
    made = start_emulator(
        faults="faults: [{operation: trial, call: [1, 2], effect: slow_start, seconds: 3000}]"
    )
    flex = {"scheduling": {"strategy": "FLEX_START", "maxWaitDuration": "60s"}}
    job = made.ended(made.create_custom(made.container(""), spec=flex).name)
    assert job.state.name == "JOB_STATE_EXPIRED"
    job = made.ended(made.create_custom(made.container("")).name)
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert not job.error.message
