"""What the emulator's answers have besides what recordings show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune_azure.emulator import sweep_views, views
from cloudtune_azure.emulator.state import COMPLETED, FAILED, RUNNING, Job, Sweep

BEST = ("best_child_run_id", "score", "best_metric_status", "best_data_container_id")
PREVIEW, STABLE, NEWEST = "2023-04-01-preview", "2024-04-01", "2025-12-01"


def sweep_of(goal: str, values: list[list[float]], state: str = COMPLETED) -> dict[str, Any]:
    """Return the answer about a sweep whose trials have logged some values."""
    sweep = Sweep(
        "s",
        "/subscriptions/a/resourceGroups/b/providers/c/workspaces/w",
        {
            "jobType": "Sweep",
            "objective": {"goal": goal, "primaryMetric": "accuracy"},
            "samplingAlgorithm": {"samplingAlgorithmType": "Random"},
            "searchSpace": {"x": ["uniform", [0, 1]]},
            "trial": {"command": "true"},
        },
        state=state,
    )
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


@pytest.mark.parametrize(
    ("values", "state"), [([[], []], COMPLETED), ([[0.5]], RUNNING), ([[0.5]], FAILED)]
)
def test_a_sweep_without_a_best_trial_names_none(values: list[list[float]], state: str) -> None:
    assert not {*BEST} & sweep_of("maximize", values, state)["properties"].keys()


def test_absent_limits_are_null_in_the_tags_of_a_sweep() -> None:
    tags = sweep_of("maximize", [])["tags"]
    names = ("_aml_system_max_total_jobs", "_aml_system_max_concurrent_jobs")
    assert [tags[name] for name in names] == ["null", "null"]


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
