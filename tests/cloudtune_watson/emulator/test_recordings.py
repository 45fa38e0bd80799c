"""Recorded answers of IBM's services: the emulator's have their form, and the clients read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cloudtune_watson import response
from cloudtune_watson.emulator.keys import IAM
from cloudtune_watson.errors import service_error
from tests import recorded
from tests.cloudtune_watson.emulator.conftest import VERSION
from tests.cloudtune_watson.emulator.test_deployments import DEPLOYMENTS, JOBS, asset
from tests.recorded import differences, reason_to_skip, unaccepted, unlisted

if TYPE_CHECKING:
    from tests.cloudtune_watson.emulator.conftest import Cluster

FILES = recorded.files("ibm")
SCRIPT = """
import os
with open(os.path.join(os.environ["BATCH_OUTPUT_DIR"], "out.txt"), "w") as file:
    file.write("done")
"""


ENDLESS = "import time; time.sleep(600)"
SCRIPTS = {"running": ENDLESS, "canceled": ENDLESS, "failed": "raise SystemExit(1)"}
"""The scripts whose jobs reach a state; any other state is passed or reached by `SCRIPT`."""


def operation_of(answer: dict[str, Any]) -> str:
    """Return the operation of an answer by its form, since notebooks only print answers."""
    entity = answer.get("entity", {})
    for part, operation in (
        ("scoring", "GetDeploymentJob"),
        ("results_reference", "GetTraining"),
    ):
        if part in entity and "document_reference" not in entity:
            return operation
    return "GetTextExtraction"


def answers(operation: str) -> list[Any]:
    """Return the recorded answers of an operation."""
    return [
        pytest.param(item["answer"], str(recorded.read(file)["date"])[:4], id=f"{file.stem}-{n}")
        for file in FILES
        for n, item in enumerate(recorded.read(file)["sequence"])
        if operation_of(item["answer"]) == operation
    ]


def texts() -> list[Any]:
    """Return the messages that were recorded without their calls."""
    return [
        pytest.param(item, id=item["request"]["situation"])
        for file in FILES
        for item in recorded.read(file)["sequence"]
        if item["request"].get("situation")
    ]


@pytest.mark.parametrize("item", texts())
def test_a_wrong_key_is_refused_as_recorded(cluster: Cluster, item: dict[str, Any]) -> None:
    refusal = cluster.watson.refuse({"PATH_INFO": IAM}, "wrong key")
    status, answer = refusal.status, json.loads(refusal.body)
    assert status == item["status"]
    assert not unaccepted("ibm", item["operation"], differences(item["answer"], answer))
    assert not unlisted("ibm", item["operation"], answer)
    for each in (item["answer"], answer):
        error = service_error(f"POST {IAM}", status, json.dumps(each))
        assert error.affects_all_calls
        assert not error.retryable
        assert "Provided API key could not be found. " in str(error)
        assert "providers.watson.key_variable" in str(error)


def test_every_recording_is_replayed_or_has_a_reason() -> None:
    others = {
        operation_of(item["answer"])
        for file in FILES
        for item in recorded.read(file)["sequence"]
        if not item["request"].get("situation")
        and operation_of(item["answer"]) not in ("GetDeploymentJob", "GetTraining")
    }
    assert all(reason_to_skip("ibm", each) for each in others)


@pytest.mark.parametrize(("answer", "year"), answers("GetDeploymentJob"))
def test_a_deployment_job_has_the_recorded_form(
    cluster: Cluster, answer: dict[str, Any], year: str
) -> None:
    state = answer["entity"]["scoring"]["status"]["state"]
    script = asset(cluster, "script", SCRIPTS.get(state, SCRIPT).encode())
    request = {"name": "d", "space_id": cluster.space, "asset": {"id": script}, "batch": {}}
    query = {"version": VERSION}
    _, deployment = cluster.ask("POST", DEPLOYMENTS, query, json=request)
    path = f"{DEPLOYMENTS}/{deployment['metadata']['id']}"
    cluster.until(
        lambda: cluster.ask("GET", path)[1], lambda d: d["entity"]["status"]["state"] == "ready"
    )
    scoring: dict[str, Any] = {}
    known = answer["entity"]["scoring"]
    if "input_data" in known:
        scoring["input_data"] = [{"values": [[1]]}]
    if "environment_variables" in known:
        scoring["environment_variables"] = known["environment_variables"]
    if "output_data_reference" in known:
        location = {"name": "out"}
        scoring["output_data_reference"] = {
            "type": "data_asset",
            "connection": {},
            "location": location,
        }
    if "input_data_references" in known:
        href = f"/v2/assets/{asset(cluster, 'data_asset', b'1')}"
        reference = {"type": "data_asset", "connection": {}, "location": {"href": href}}
        scoring["input_data_references"] = [{**reference, "id": "one"}]
    about = {**answer["metadata"], **answer["entity"]}
    sent = ("name", "description", "tags", "custom", "hardware_spec")
    job = {
        **{name: about[name] for name in sent if name in about},
        "space_id": cluster.space,
        "deployment": {"id": deployment["metadata"]["id"]},
        "scoring": scoring,
    }
    _, found = cluster.ask("POST", JOBS, query, json=job)
    if state != "queued":  # as it is when it is created
        path = f"{JOBS}/{found['metadata']['id']}"
        if state == "canceled":
            cluster.ask("DELETE", path)
        found = cluster.until(
            lambda: cluster.ask("GET", path)[1],
            lambda job: job["entity"]["scoring"]["status"]["state"] == state,
        )
    assert not unaccepted("ibm", f"GetDeploymentJob {year}", differences(answer, found))
    assert not unlisted("ibm", "GetDeploymentJob", found)
    shown = found["entity"]["scoring"]["status"]
    times = [found["metadata"]["created_at"], shown["running_at"], shown["completed_at"]]
    seen = [time for time in [*times, found["metadata"].get("modified_at")] if time]
    assert seen == sorted(seen)
    assert all(time.endswith(".000Z") for time in times[1:] if time)


@pytest.mark.parametrize(("answer", "year"), answers("GetTraining"))
def test_a_training_has_the_recorded_form(
    cluster: Cluster, answer: dict[str, Any], year: str
) -> None:
    state = answer["entity"]["status"]["state"]
    code = SCRIPTS.get(state, "pass")
    training = cluster.create(cluster.training(cluster.definition(code)))
    if state == "canceled":
        cluster.ask("DELETE", f"/ml/v4/trainings/{training}")
    found = cluster.until(
        lambda: cluster.get(training),
        lambda found: found["entity"]["status"]["state"] in (state, "completed"),
    )
    assert not unaccepted("ibm", f"GetTraining {year}", differences(answer, found))
    assert not unlisted("ibm", "GetTraining", found)


@pytest.mark.parametrize(("answer", "year"), answers("GetDeploymentJob") + answers("GetTraining"))
def test_the_client_reads_a_recorded_job(answer: dict[str, Any], year: str) -> None:
    status = answer["entity"].get("scoring", answer["entity"])["status"]
    waiting = dict.fromkeys(("queued", "pending", "deploying", "initializing"), "waiting")
    names = {**waiting, "canceled": "cancelled"}
    state = names.get(status["state"], status["state"])
    assert response.training_state(answer) == state
    assert response.has_ended(answer) == (state in {"completed", "failed", "cancelled"})
    created = response.to_seconds(answer["metadata"]["created_at"])
    running, completed = (
        response.to_seconds(status.get(name)) for name in ("running_at", "completed_at")
    )
    assert created is not None
    if state == "completed":
        assert completed is not None
        assert created < (running or completed) <= completed
    elif state in {"waiting", "running"}:
        assert running is None or state == "running"
        assert completed is None
