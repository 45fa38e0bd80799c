"""Recorded answers of IBM's services: the emulator's have their form, and the clients read them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cloudtune_watson import response
from cloudtune_watson.documents import part
from cloudtune_watson.emulator import delays
from cloudtune_watson.emulator.deployment_jobs import STATES
from cloudtune_watson.emulator.keys import IAM
from cloudtune_watson.emulator.operations import OPERATIONS
from cloudtune_watson.errors import service_error
from tests import recorded
from tests.cloudtune_watson.emulator import sequences
from tests.cloudtune_watson.emulator.conftest import VERSION
from tests.cloudtune_watson.emulator.test_deployments import DEPLOYMENTS, JOBS, asset
from tests.recorded import reason_to_skip, unaccepted, unlisted
from tests.recorded_differences import differences

if TYPE_CHECKING:
    from tests.cloudtune_watson.emulator.conftest import Cluster

FILES = recorded.files("ibm")
SCRIPT = """
import os
with open(os.path.join(os.environ["BATCH_OUTPUT_DIR"], "out.txt"), "w") as file:
    file.write("done")
"""


_DESCRIBED = re.compile(r"(?:Get|List|Create)(DeploymentJob|Deployment|Training)s?")
ENDLESS = "import time; time.sleep(600)"
SCRIPTS = {"running": ENDLESS, "canceled": ENDLESS, "failed": "raise SystemExit(1)"}
"""The scripts whose jobs reach a state; any other state is passed or reached by `SCRIPT`."""


def is_described(item: dict[str, Any]) -> bool:
    """Return whether an answer describes jobs: it is no refusal, and not empty."""
    is_answer = item["is_compared"] and item["answer"] and item["status"] < 400
    return bool(is_answer and not item["request"].get("situation"))


def jobs_in(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the jobs in an answer: its own, those of a list, or one of which it has the status."""
    answer = item["answer"]
    if "state" in answer and "entity" not in answer:
        is_training = "train" in item["operation"] or "run" in item["operation"]
        entity = {"status": answer} if is_training else {"scoring": {"status": answer}}
        return [{"entity": entity}]
    return sequences.jobs_of(answer)


def operation_of(item: dict[str, Any], answer: dict[str, Any]) -> str:
    """Return the operation that describes a job: that of its call, or the one of its form."""
    if named := _DESCRIBED.fullmatch(item["operation"]):
        return f"Get{named[1]}"
    entity: Any = answer.get("entity") or {}
    if "document_reference" in entity:
        return "GetTextExtraction"
    if "state" in part(answer, "entity", "scoring", "status"):
        return "GetDeploymentJob"
    is_deployment = "deployed_asset_type" in entity or "asset" in entity
    if "state" in entity.get("status", ()):
        return "GetDeployment" if is_deployment else "GetTraining"
    return f"an answer with {', '.join(sorted(entity or answer))}"


def state_of(answer: dict[str, Any]) -> str:
    """Return the state in an answer; nothing if it has none."""
    return str(sequences.status_of(answer).get("state", ""))


def answers(operation: str) -> list[Any]:
    """Return the recorded answers of an operation, each with its year."""

    def extract(file: Path) -> list[tuple[str, Any]]:
        recording = recorded.read(file)
        return [
            (f"{number}", (job, str(recording["date"])[:4]))
            for number, item in enumerate(recording["sequence"])
            if is_described(item)
            for job in jobs_in(item)
            if operation_of(item, job) == operation
        ]

    return recorded.cases("ibm", extract)


def texts(file: Path) -> list[tuple[str, Any]]:
    """Return the messages that were recorded without their calls."""
    return [
        (item["request"]["situation"], item)
        for item in recorded.read(file)["sequence"]
        if item["request"].get("situation")
    ]


@pytest.mark.parametrize("item", recorded.cases("ibm", texts))
def test_a_wrong_key_is_refused_as_recorded(cluster: Cluster, item: dict[str, Any]) -> None:
    assert item["operation"] == "GetToken", f"no request is known here that is refused so: {item}"
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


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_answer_is_compared_or_has_a_reason(file: Path) -> None:
    found = {
        item["operation"] if item["operation"] in OPERATIONS else operation_of(item, job)
        for item in recorded.read(file)["sequence"]
        if is_described(item)
        for job in jobs_in(item)
    } - OPERATIONS.keys()
    assert not [each for each in found if not reason_to_skip("ibm", each)]


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> sequences.Served:
    return sequences.served(cluster)


def test_the_page_has_every_field_of_an_answer(served: sequences.Served) -> None:
    found = {
        operation: unlisted("ibm", operation, answer)
        for operation, answers in served.items()
        for answer in answers.values()
    }
    assert {operation: paths for operation, paths in found.items() if paths} == {}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_sequence_of_calls_is_possible(
    served: sequences.Served, file: Path, record_property: recorded.Record
) -> None:
    sequence = recorded.read(file)["sequence"]
    for operation in sequences.uncompared(sequence, served):
        why = "the emulator has the operation; its answers are not compared"
        record_property(recorded.NOT_COMPARED, f"{file.stem}: {operation}: {why}")
    for item in sequence:
        if item["status"] >= 400 and not item["request"].get("situation"):
            text = f"{file.stem}: {item['operation']} {item['status']}: {item['answer']}"
            why = "the words of a refusal depend on its request; its form is compared"
            record_property(recorded.NOT_COMPARED, f"{text}: {why}")
    recorded.fail_if(sequences.impossible(sequence, served), file)


@pytest.mark.parametrize("case", answers("GetDeploymentJob"))
def test_a_deployment_job_has_the_recorded_form(cluster: Cluster, case: Any) -> None:
    answer, year = case
    state = state_of(answer)
    assert state in STATES.values(), f"the emulator has no deployment job in state {state!r}"
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
    about = {"name": "job", **answer.get("metadata", {}), **answer["entity"]}
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
            if known["status"].get("running_at"):
                cluster.until(
                    lambda: cluster.ask("GET", path)[1],
                    lambda job: job["entity"]["scoring"]["status"]["running_at"],
                )
            cluster.ask("DELETE", path)
        found = cluster.until(
            lambda: cluster.ask("GET", path)[1],
            lambda job: job["entity"]["scoring"]["status"]["state"] == state,
        )
    if "metadata" not in answer:  # only the status was printed
        part = {"entity": {"scoring": {"status": found["entity"]["scoring"]["status"]}}}
        recorded.fail_if(unaccepted("ibm", f"GetDeploymentJob {year}", differences(answer, part)))
        return
    recorded.fail_if(unaccepted("ibm", f"GetDeploymentJob {year}", differences(answer, found)))
    recorded.fail_if(unlisted("ibm", "GetDeploymentJob", found))
    shown = found["entity"]["scoring"]["status"]
    times = [found["metadata"]["created_at"], shown["running_at"], shown["completed_at"]]
    # Until a job has ended, running_at is rounded, and may be after modified_at.
    changed = found["metadata"].get("modified_at") if shown["completed_at"] else None
    seen = [time for time in [*times, changed] if time]
    assert seen == sorted(seen)
    assert all(time.endswith(".000Z") for time in times[1:] if time)


@pytest.mark.parametrize("case", answers("GetDeployment"))
def test_a_deployment_has_the_recorded_form(
    cluster: Cluster, case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, year = case
    state = state_of(answer)
    assert state, f"a deployment without a state: {answer}"
    waits = state == "initializing"
    monkeypatch.setattr(delays, "DEPLOYING", math.inf if waits else 0.0)
    script = asset(cluster, "script", SCRIPT.encode())
    about = {**answer["metadata"], **answer["entity"]}
    sent = ("name", "description", "tags", "custom", "hardware_spec", "batch")
    request = {name: about[name] for name in sent if about.get(name) is not None}
    request |= {"space_id": cluster.space, "asset": {"id": script}}
    _, created = cluster.ask("POST", DEPLOYMENTS, {"version": VERSION}, json=request)
    _, found = cluster.ask("GET", f"{DEPLOYMENTS}/{created['metadata']['id']}")
    recorded.fail_if(unaccepted("ibm", f"GetDeployment {year}", differences(answer, found)))


@pytest.mark.parametrize("case", answers("GetTraining"))
def test_a_training_has_the_recorded_form(cluster: Cluster, case: Any) -> None:
    answer, year = case
    state = state_of(answer)
    assert state, f"a training without a state: {answer}"
    code = SCRIPTS.get(state, "pass")
    definition = answer["entity"].get("model_definition", {})
    sent = {name: value for name, value in definition.items() if name == "hardware_spec"}
    request = cluster.training(cluster.definition(code), model_definition=sent)
    training = cluster.create(request)
    if state == "canceled":
        cluster.ask("DELETE", f"/ml/v4/trainings/{training}")
    found = cluster.until(
        lambda: cluster.get(training),
        lambda found: found["entity"]["status"]["state"] in (state, "completed"),
    )
    if "metadata" not in answer:  # only the status was printed
        found = {"entity": {"status": found["entity"]["status"]}}
    recorded.fail_if(unaccepted("ibm", f"GetTraining {year}", differences(answer, found)))
    recorded.fail_if(unlisted("ibm", "GetTraining", found))


@pytest.mark.parametrize("case", answers("GetDeploymentJob") + answers("GetTraining"))
def test_the_client_reads_a_recorded_job(case: Any) -> None:
    answer, _ = case
    status = sequences.status_of(answer)
    assert status.get("state"), f"a job without a state: {answer}"
    same = {name: name for name in ("running", "completed", "failed")}
    names = {**same, "queued": "waiting", "pending": "waiting", "canceled": "cancelled"}
    state = names.get(status["state"], "unknown")
    ended = state in {"completed", "failed", "cancelled"}
    recorded.agree(
        state=(response.training_state(answer), state), ended=(response.has_ended(answer), ended)
    )
    created = response.to_seconds(answer.get("metadata", {}).get("created_at", "1970-01-01T00:00Z"))
    running, completed = (
        response.to_seconds(status.get(name)) for name in ("running_at", "completed_at")
    )
    recorded.agree(created_at=(created is not None, True))
    if state == "completed":
        assert completed is not None, f"completed, and no completed_at: {answer}"
        is_ordered = (created or 0) < (running or completed) <= completed
        recorded.agree(completed_at=(is_ordered, True))
    elif state in {"waiting", "running"}:
        recorded.agree(
            running_at=(running is None or state == "running", True), completed_at=(completed, None)
        )
