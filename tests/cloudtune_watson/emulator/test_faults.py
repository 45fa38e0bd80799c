"""What goes wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cloudtune.emulation.process import read_fault_plans
from cloudtune.emulator_kit.app import ConnectionLost
from cloudtune.errors import StudyError
from cloudtune.study.schema import Mode

if TYPE_CHECKING:
    from tests.cloudtune_watson.emulator.conftest import Cluster

Start = Callable[..., "Cluster"]
VERSION = {"version": "2024-01-01"}
LISTED = VERSION | {"space_id": "space-1"}
MEASURES = """
    print("again" if os.path.exists(os.environ["RESULT_DIR"] + "/seen") else "first")
    open(os.environ["RESULT_DIR"] + "/seen", "w").close()
    listed([{"steps": 1, "loss": 0.5}])
    log(1, loss=0.5)
"""


@pytest.mark.parametrize(
    ("effect", "status", "code", "created"),
    [
        ("throttle", 429, "rate_limit_reached_requests", 0),
        ("quota", 403, "quota_exceeded", 0),
        ("error", 503, "service_unavailable", 0),
        ("late_error", 504, "gateway_timeout", 1),
    ],
)
def test_a_call_goes_wrong(
    start_cluster: Start, effect: str, status: int, code: str, created: int
) -> None:
    cluster = start_cluster(
        f"faults:\n- {{operation: CreateTraining, call: 1, effect: {effect}}}\n"
    )
    request = cluster.training(cluster.definition("pass"))
    found, body = cluster.ask("POST", "/ml/v4/trainings", VERSION, json=request)
    assert (found, body["status_code"], body["errors"][0]["code"]) == (status, status, code)
    _, listed = cluster.ask("GET", "/ml/v4/trainings", LISTED)
    assert len(listed["resources"]) == created
    assert cluster.ask("POST", "/ml/v4/trainings", VERSION, json=request)[0] == 201


def test_an_answer_is_lost_after_a_create(start_cluster: Start) -> None:
    cluster = start_cluster(
        "faults:\n"
        "- {operation: CreateTraining, call: 1, effect: lose_response}\n"
        "- {operation: StartSearch, call: 1, effect: lose_response}\n"
    )
    request = cluster.training(cluster.definition("pass"), tags=["mine"])
    with pytest.raises(ConnectionLost):
        cluster.ask("POST", "/ml/v4/trainings", VERSION, json=request)
    _, listed = cluster.ask("GET", "/ml/v4/trainings", LISTED | {"tag.value": "mine"})
    assert len(listed["resources"]) == 1
    with pytest.raises(ConnectionLost):
        cluster.submit(cluster.search(hpoName="mine", maxJobNum=1))
    assert cluster.get_search("mine")["hpoName"] == "mine"


def test_trainings_go_wrong(start_cluster: Start) -> None:
    cluster = start_cluster(
        "faults:\n"
        "- {operation: trial, call: 1, effect: fail}\n"
        "- {operation: trial, call: 2, effect: no_metric}\n"
        "- {operation: trial, call: 3, effect: files_only}\n"
        "- {operation: trial, call: 4, effect: interrupt}\n"
        "- {operation: trial, call: 5, effect: slow_start, seconds: 60}\n"
    )
    definition = cluster.definition(MEASURES)
    created = [cluster.create(cluster.training(definition)) for _ in range(5)]
    failed, silent, quiet, interrupted, slow = (cluster.ended(each) for each in created)
    assert failed["status"]["state"] == "failed"
    assert "internal error" in failed["status"]["failure"]["errors"][0]["message"]

    def listed(training: str) -> int:
        path = f"/v2/asset_files/results/{training}/val_dict_list.json"
        return cluster.ask("GET", path)[0]

    assert (silent["status"]["state"], listed(created[1])) == ("completed", 404)
    assert "metrics" not in silent["status"]
    assert (quiet["status"]["state"], listed(created[2])) == ("completed", 200)
    assert "metrics" not in quiet["status"]
    assert interrupted["status"]["state"] == "completed"
    assert cluster.log(interrupted) == "first\nagain\n"
    assert slow["status"]["metrics"][0]["ml_metrics"] == {"loss": 0.5}


def test_trials_of_a_search_go_wrong(start_cluster: Start) -> None:
    cluster = start_cluster(
        "faults:\n"
        "- {operation: trial, call: 1, effect: fail}\n"
        "- {operation: trial, call: 2, effect: no_metric}\n"
        "- {operation: trial, call: 3, effect: interrupt}\n"
    )
    body = cluster.searched(cluster.search(maxJobNum=4, maxParalleJobNum=1), MEASURES)
    assert [each["state"] for each in body["experiments"]] == [
        "FAILED",
        "FINISHED",
        "FINISHED",
        "FINISHED",
    ]
    assert ["metricVal" in each for each in body["experiments"]] == [False, False, True, True]
    assert cluster.printed(body["experiments"][2]) == "first\nagain\n"
    assert (body["state"], body["complete"], body["failed"]) == ("FINISHED", 4, 1)


def test_a_trial_is_stopped_early(start_cluster: Start) -> None:
    cluster = start_cluster("faults:\n- {operation: trial, call: 1, effect: stop_early}\n")
    code = MEASURES + "    import time; time.sleep(600 if os.environ['SUBID'] == '0' else 0)\n"
    body = cluster.searched(cluster.search(maxJobNum=2), code)
    assert [each["state"] for each in body["experiments"]] == ["KILLED", "FINISHED"]
    assert "metricVal" not in body["experiments"][0]


@pytest.mark.parametrize(
    ("effect", "mode", "other"),
    [("stop_early", "driven", "managed"), ("files_only", "managed", "driven")],
)
def test_what_cannot_happen_is_refused(
    tmp_path: Path, effect: str, mode: Mode, other: Mode
) -> None:
    plan = tmp_path / "faults.yaml"
    plan.write_text(f"faults:\n- {{operation: trial, call: 1, effect: {effect}}}\n")
    read_fault_plans(plan, {"watson": None})
    read_fault_plans(plan, {"watson": other})
    with pytest.raises(StudyError, match=f"{effect} cannot happen here"):
        read_fault_plans(plan, {"watson": mode})
