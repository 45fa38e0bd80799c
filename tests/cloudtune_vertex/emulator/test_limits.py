"""When jobs end that would go on: failed trials, the time over restarts, rules of no effect."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from cloudtune_vertex.emulator.limits import failure_reason
from cloudtune_vertex.emulator.search_space import study_of
from cloudtune_vertex.emulator.state import Parent, TuningJob


def tuning_job(*metrics: str, **request: Any) -> TuningJob:
    study: dict[str, Any] = {
        "metrics": [{"metricId": name, "goal": "MINIMIZE"} for name in metrics],
        "parameters": [{"parameterId": "x", "doubleValueSpec": {"minValue": 0.0, "maxValue": 1.0}}],
        "medianAutomatedStoppingSpec": {},
    }
    request = {"maxTrialCount": 9, "parallelTrialCount": 1, "studySpec": study, **request}
    name = "projects/1/locations/us-central1/hyperparameterTuningJobs/2"
    return TuningJob(name, Parent("1", "us-central1"), request)


@pytest.mark.parametrize(
    ("most", "failed", "ended", "over"),
    [
        (0, 0, 1, False),
        (0, 1, 1, True),  # the first one
        (0, 1, 2, False),
        (0, 2, 2, False),
        (0, 2, 3, False),
        (0, 3, 5, True),
        (0, 3, 6, False),  # as many as have succeeded
        (0, 4, 8, False),
        (0, 5, 9, True),
        (1, 0, 1, False),
        (1, 1, 1, True),
        (2, 1, 1, False),
        (2, 2, 9, True),
    ],
)
def test_how_many_failed_trials_end_a_job(
    most: int, failed: int, ended: int, *, over: bool
) -> None:
    assert bool(failure_reason(tuning_job("loss", maxFailedTrialCount=most), failed, ended)) is over


def test_no_number_of_failed_trials_is_the_same_as_zero() -> None:
    assert failure_reason(tuning_job("loss"), 1, 1)
    assert not failure_reason(tuning_job("loss"), 2, 3)


@pytest.mark.parametrize(("metrics", "stops"), [(["loss"], True), (["loss", "size"], False)])
def test_the_median_rule_acts_where_there_is_one_metric(metrics: list[str], *, stops: bool) -> None:
    stopping = study_of(tuning_job(*metrics)).early_stopping
    assert (stopping is not None and stopping.rule == "median") is stops


@pytest.mark.slow
def test_the_time_of_a_job_counts_over_its_restarts(start_emulator: Callable[..., Any]) -> None:
    created = start_emulator(
        faults="faults: [{operation: trial, call: 1, effect: interrupt, after: 1}]"
    )
    code = textwrap.dedent("""
        import json, os, pathlib, time
        print("started", flush=True)
        time.sleep(11)
        file = pathlib.Path(os.environ["CLOUD_ML_HP_METRIC_FILE"])
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"global_step": "1", "loss": "1"}) + "\\n")
        time.sleep(600)  # it is interrupted, and then cancelled
    """)
    request = created.tuning(
        code,
        spec={"scheduling": {"timeout": "20s"}},
        maxTrialCount=1,
        parallelTrialCount=1,
        maxFailedTrialCount=1,
    )
    (trial,) = created.run(request).trials
    custom = created.get(trial.custom_job)
    assert created.log(custom.name).count("started") == 2
    assert custom.state.name == "JOB_STATE_CANCELLED"
    assert "timeout" in custom.error.message
