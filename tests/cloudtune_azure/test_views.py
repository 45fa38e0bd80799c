"""What the emulator's answers have besides what recordings show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune_azure.emulator import sweep_views, views
from cloudtune_azure.emulator.state import COMPLETED, FAILED, RUNNING, Job, Sweep
from tests.cloudtune_azure.test_recordings import Emulator

WORKSPACE = (
    "/subscriptions/a/resourceGroups/b/providers/Microsoft.MachineLearningServices/workspaces/w"
)
BEST = ("best_child_run_id", "score", "best_metric_status", "best_data_container_id")
PREVIEW, STABLE, NEWEST = "2023-04-01-preview", "2024-04-01", "2025-12-01"


def sweep_request(goal: str = "maximize") -> dict[str, Any]:
    return {
        "jobType": "Sweep",
        "objective": {"goal": goal, "primaryMetric": "accuracy"},
        "samplingAlgorithm": {"samplingAlgorithmType": "Random"},
        "searchSpace": {"x": ["uniform", [0, 1]]},
        "limits": {"maxTotalTrials": 1},
        "trial": {"command": "true"},
    }


def sweep_of(goal: str, values: list[list[float]], state: str = COMPLETED) -> dict[str, Any]:
    """Return the answer about a sweep whose trials have logged some values."""
    sweep = Sweep("s", WORKSPACE, sweep_request(goal), state=state)
    for number, logged in enumerate(values):
        metrics = [{"key": "accuracy", "value": each} for each in logged]
        path = Path(f"/{number}")
        sweep.trials.append(Job(f"s_{number}", "/w", {}, path, path, metrics=metrics))
    answer: dict[str, Any] = sweep_views.sweep(sweep, "http://x", STABLE)["properties"]
    return answer


@pytest.mark.parametrize(("goal", "best", "score"), [("maximize", 1, 0.9), ("minimize", 0, 0.1)])
def test_a_completed_sweep_names_its_best_trial(goal: str, best: int, score: float) -> None:
    found = sweep_of(goal, [[0.1, 0.3], [0.9, 0.5], []])["properties"]
    values = [f"s_{best}", str(score), "Succeeded", f"dcid.s_{best}"]
    assert [found[name] for name in BEST] == values


NOTHING: list[float] = []


@pytest.mark.parametrize(
    ("values", "state"), [([NOTHING, NOTHING], COMPLETED), ([[0.5]], RUNNING), ([[0.5]], FAILED)]
)
def test_a_sweep_without_a_best_trial_names_none(values: list[list[float]], state: str) -> None:
    assert not {*BEST} & sweep_of("maximize", values, state)["properties"].keys()


def test_absent_limits_are_null_in_the_tags_of_a_sweep() -> None:
    tags = sweep_of("maximize", [])["tags"]
    names = ("_aml_system_max_total_jobs", "_aml_system_max_concurrent_jobs")
    assert [tags[name] for name in names] == ["1", "null"]


@pytest.mark.parametrize(
    ("path", "versions"),
    [
        ("secretsConfiguration", {PREVIEW}),
        ("autologgerSettings", {PREVIEW}),
        ("resources.maxInstanceCount", {PREVIEW}),
        ("resources.dockerArgsList", {NEWEST}),
        ("outputs.default.assetName", {PREVIEW, NEWEST}),
        ("outputs.default.autoDeleteSetting", {PREVIEW}),
        ("queueSettings.priority", {PREVIEW}),
        ("queueSettings.jobTier", {PREVIEW, STABLE, NEWEST}),
        ("notificationSetting", {PREVIEW, STABLE, NEWEST}),
    ],
)
def test_a_job_has_the_fields_of_the_version(path: str, versions: set[str]) -> None:
    found: set[str] = set()
    for version in (PREVIEW, STABLE, NEWEST):
        job = Job("j", "/w", {"queueSettings": {"jobTier": "Spot"}}, Path(), Path())
        part: Any = views.job(job, "http://x", version)["properties"]
        *above, last = path.split(".")
        for name in above:
            part = part[name]
        found |= {version} if last in part else set()
    assert found == versions


MLFLOW = f"/mlflow/v1.0{WORKSPACE}/api/2.0/mlflow"


def test_the_trials_of_a_sweep_and_runs_within_one_are_found_in_mlflow(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    try:
        properties = {**sweep_request(), "experimentName": "tuning"}
        url = f"{WORKSPACE}/jobs/s?api-version={STABLE}"
        assert emulator.ask("PUT", url, {"properties": properties}).status_code == 201

        def search(filter_: str) -> set[str]:
            body = {"experiment_ids": ["tuning"], "filter": filter_}
            found = emulator.ask("POST", f"{MLFLOW}/runs/search", body).get_json()["runs"]
            return {run["info"]["run_id"] for run in found}

        emulator.steps.until(lambda: search("tags.mlflow.parentRunId = 's'"), bool)
        assert search("") == {"s", "s_0"}
        tags = [{"key": "mlflow.parentRunId", "value": "s_0"}]
        made = {"experiment_id": "tuning", "tags": tags}
        inner = emulator.ask("POST", f"{MLFLOW}/runs/create", made).get_json()["run"]["info"]
        value = {"run_id": inner["run_id"], "key": "loss", "value": 2.5, "timestamp": 1, "step": 1}
        emulator.ask("POST", f"{MLFLOW}/runs/log-metric", value)
        end = {"run_id": inner["run_id"], "status": "FINISHED"}
        emulator.ask("POST", f"{MLFLOW}/runs/update", end)
        run = emulator.ask("GET", f"{MLFLOW}/runs/get?run_id={inner['run_id']}").get_json()["run"]
        assert run["info"]["status"] == "FINISHED"
        assert [each["value"] for each in run["data"]["metrics"]] == [2.5]
        assert search('tags.`mlflow.parentRunId` = "s_0"') == {inner["run_id"]}
        assert emulator.ask("GET", f"{MLFLOW}/runs/get?run_id=s").status_code == 200
        refused = emulator.ask("POST", f"{MLFLOW}/runs/search", {"filter": "metrics.loss < 1"})
        assert refused.status_code == 400
        by_name = emulator.ask("GET", f"{MLFLOW}/experiments/get-by-name?experiment_name=tuning")
        assert by_name.get_json()["experiment"]["experiment_id"] == "tuning"
    finally:
        emulator.app.close()
