"""Translation of Vertex AI's responses, in the form of Google's documentation."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.fitting.capabilities import DRIVEN, Capabilities
from cloudtune.fitting.fit import fit, restore
from cloudtune.provider.models import RawTrial
from cloudtune.study.study import Study
from cloudtune_vertex import response
from cloudtune_vertex.google_sdk import import_google
from cloudtune_vertex.metrics import Curve

JOB: dict[str, Any] = {
    "name": "projects/12345/locations/us-central1/hyperparameterTuningJobs/6789",
    "displayName": "mine",
    "studySpec": {"metrics": [{"metricId": "loss", "goal": "MINIMIZE"}]},
    "trialJobSpec": {"workerPoolSpecs": [{"machineSpec": {"machineType": "n1-standard-4"}}]},
    "state": "JOB_STATE_SUCCEEDED",
    "createTime": "2026-09-09T23:22:31.777386Z",
    "endTime": "2026-09-10T01:31:24.271307Z",
}
"""As GetHyperparameterTuningJob answers, without its trials."""
TRIAL: dict[str, Any] = {
    "id": "2",
    "state": "SUCCEEDED",
    "parameters": [
        {"parameterId": "rate", "value": 0.7142687472556457},
        {"parameterId": "layers", "value": 4.0},
        {"parameterId": "on", "value": "True"},
    ],
    "finalMeasurement": {"stepCount": "2", "metrics": [{"metricId": "loss", "value": 0.25}]},
    "startTime": "2026-09-09T23:39:15.549112551Z",
    "endTime": "2026-09-09T23:47:08Z",
}
STUDY = Study.model_validate(
    {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {
            "rate": {"type": "float", "min": 0, "max": 1},
            "layers": {"type": "int", "min": 1, "max": 8},
            "on": {"type": "bool"},
        },
    }
)


def told(*, job: dict[str, Any] = JOB, study: Study = STUDY, **trial: Any) -> RawTrial:
    return response.to_trial(response.TrialData({**TRIAL, **trial}, Curve()), job, study, log=None)


def test_a_trial_from_the_documentation() -> None:
    trial = told()
    assert (trial.number, trial.id, trial.state, trial.word) == (2, "2", "completed", "SUCCEEDED")
    assert (trial.created, trial.ended) == (1788997155.549112, 1788997628.0)
    assert trial.started is None  # not said
    assert [(m.step, m.metrics, m.time) for m in trial.measurements] == [
        (2, {"loss": 0.25}, 1788997628.0)
    ]
    assert (trial.machine, trial.artifacts) == ("n1-standard-4", None)
    assert trial.billed_seconds == pytest.approx(472.450888)  # nothing shows that it waited
    assert trial.billed_at_least == 0
    fitted = fit(STUDY, Capabilities("vertex", "x", "x", DRIVEN, DRIVEN), "managed")
    values = restore(fitted, trial.parameters)
    assert values == {"rate": 0.7142687472556457, "layers": 4, "on": True}
    assert [type(value) for value in values.values()] == [float, int, bool]


@pytest.mark.parametrize(
    ("word", "state"),
    [("ACTIVE", "running"), ("STOPPING", "running"), ("REQUESTED", "waiting"), ("NEW", "unknown")],
)
def test_a_running_trial(word: str, state: str) -> None:
    trial = told(state=word)
    assert (trial.state, trial.word, trial.over) == (state, word, False)
    assert (trial.ended, trial.measurements) == (None, [])


def test_nan_is_not_an_objective() -> None:
    metrics = [{"metricId": "loss", "value": "NaN"}]
    trial = told(finalMeasurement={"metrics": metrics})
    assert (trial.state, trial.reason) == ("failed", "loss was nan at step 1")


def test_a_missing_objective_is_named() -> None:
    both = [{"metric": name, "goal": "minimize"} for name in ("loss", "size")]
    study = Study.model_validate({**STUDY.to_json(), "objective": both})
    trial = told(study=study)
    assert (trial.state, trial.reason) == ("failed", "it ended, and Vertex AI reports no size")


def test_a_job_without_a_reason() -> None:
    assert response.failure_reason({"state": "JOB_STATE_FAILED"}) == (
        "Vertex AI gives no reason; see the job's log"
    )
    assert response.failure_reason({"state": "JOB_STATE_SUCCEEDED"}) == ""
    assert response.service_state({}) == "STATE_UNSPECIFIED"


def test_every_state_of_googles_types_is_known() -> None:
    types: Any = import_google("google.cloud.aiplatform_v1.types")
    jobs = {each.name for each in types.JobState} - {"JOB_STATE_UNSPECIFIED"}
    trials = {each.name for each in types.Trial.State} - {"STATE_UNSPECIFIED"}
    assert jobs == set(response.JOB_STATES)
    assert trials == set(response.TRIAL_STATES)
