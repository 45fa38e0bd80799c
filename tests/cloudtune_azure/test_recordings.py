"""Recorded calls of Azure: the emulator answers them likewise, and the clients read them.

Sequences that create sweeps, command jobs, code or environments are replayed. Pipelines and what
cloudtune does not call are listed in ``accepted.json``.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pytest
from werkzeug.test import Client

from cloudtune.emulation.faults import FaultPlan
from cloudtune.study.yaml_reader import is_map
from cloudtune_azure import response
from cloudtune_azure.emulator.app import AzureApp
from cloudtune_azure.emulator.blobs import ACCOUNT
from cloudtune_azure.emulator.errors import throttled
from cloudtune_azure.errors import service_error
from tests import recorded
from tests.cloudtune_azure import recorded_kinds
from tests.recorded import reason_to_skip, unaccepted
from tests.recorded_differences import differences
from tests.recorded_steps import Steps

FILES = recorded.files("azure")
URL = "http://127.0.0.1:9"
OTHER_COMPUTE = {"local", "adf"}
"""Kinds of compute that the emulator does not have: the user's machine, and data factories."""
STATES = ("Starting", "Queued", "Running", "CancelRequested")
"""The states of a job that has not ended, in their order."""
UNKNOWN = {"Unknown", "Scheduled"}
"""States of which the client knows no meaning."""
ENDED = {"Completed", "Failed", "Canceled"}
QUEUED = "_aml_system_ComputeTargetStatus"
"""A tag of jobs that have been queued."""
STARTED = {"StartTimeUtc", "ProcessInfoFile"}
"""Properties of jobs that have run."""
SENT = frozenset(
    [
        *("jobType", "displayName", "experimentName", "computeId", "description", "isArchived"),
        *("inputs", "outputs", "tags", "limits", "objective", "samplingAlgorithm", "searchSpace"),
        *("trial", "earlyTermination", "command", "codeId", "environmentId", "resources"),
        *("environmentVariables", "distribution", "identity", "queueSettings"),
    ]
)
"""The properties of jobs that a request has, not the service adds."""
_OWN_HEADERS = ("location", "x-ms-response-type", "x-ms-error-code", "x-ms-async-operation-timeout")


class Emulator:
    """An emulator in this process, whose delays pass step by step."""

    def __init__(self, folder: Path) -> None:
        self.steps = Steps()
        self.go = folder / "go"
        """Jobs that complete end once it exists."""
        self.app = AzureApp(folder, self.steps, FaultPlan(), URL, "key")
        self._client = Client(self.app)

    def ask(self, method: str, url: str, body: Any = None) -> Any:
        headers = {"Authorization": "Bearer key"}
        if isinstance(body, bytes):
            return self._client.open(url, method=method, headers=headers, data=body)
        return self._client.open(url, method=method, headers=headers, json=body)


class Replay:
    """Replays one recording; a script that does nothing runs in place of the user's."""

    def __init__(self, emulator: Emulator, recording: Mapping[str, Any]) -> None:
        self._emulator = emulator
        self._calls: list[dict[str, Any]] = recording["sequence"]
        self._last_state = [
            each["answer"]["properties"]["status"]
            for each in self._calls
            if "status" in (each["answer"].get("properties") or {})
        ][-1:]
        self._container = ""
        """That of the emulator for the one that was recorded."""
        self._result = ""
        self._made: set[str] = set()
        self._cancelled = {
            resource_of(each) for each in self._calls if each["operation"].endswith("/cancel")
        }
        """The jobs that were cancelled."""
        self._described: dict[str, dict[str, Any]] = {}
        """The first answers about each job and each code."""
        self.uncompared: dict[str, dict[str, None]] = {}
        """The operations that were not compared, by the reason."""

    def differences(self) -> Iterator[str]:
        for item in self._calls:
            if item["status"] < 300 and is_described(item):
                self._described.setdefault(resource_of(item), item["answer"])
        for item in self._calls:
            yield from recorded.at_call(item, self._replay(item))

    def _replay(self, item: dict[str, Any]) -> Iterator[str]:
        """Yield where the emulator's answer to a call differs, if it is replayed."""
        operation = kind_of(item)
        if item["status"] == 429:
            yield from self._compare(item, throttled().response())
        elif reason := reason_to_skip("azure", operation) or self._reason_to_skip(item):
            self.uncompared.setdefault(reason, {})[operation] = None
        elif self._is_of_no_kind(item):
            yield f"{operation} .properties.jobType: added"
        elif refusal := self._make(item):
            yield f"{operation}: the emulator refuses to create what it is about: {refusal}"
        else:
            yield from self._compare(item, self._send(item))
            yield from (f"{operation} {each}" for each in misnamed(item))
            yield from (f"{operation} {each}" for each in recorded_kinds.odd(item))

    def _computes(self, item: Mapping[str, Any]) -> Iterator[str]:
        """Yield the kind of compute of each job in a sequence that an answer names."""
        for each in self._calls if "jobs/{id}" in item["operation"] else ():
            answered: dict[str, Any] = each["answer"].get("properties") or {}
            properties: dict[str, Any] = answered.get("properties") or {}
            yield properties.get("_azureml.ComputeTargetType", "")

    def _is_of_no_kind(self, item: Mapping[str, Any]) -> bool:
        """Return whether no answer says of which kind a job is that an answer describes."""
        name = resource_of(item)
        is_job = "status" in (item["answer"].get("properties") or {})
        return is_job and is_owned(item) and name not in {*self._made, *self._described}

    def _reason_to_skip(self, item: Mapping[str, Any]) -> str:
        """Return why a call is not replayed; nothing if it is."""
        operation = item["operation"]
        if item["status"] != 404 and OTHER_COMPUTE & {*self._computes(item)}:
            return "a kind of compute that the emulator does not have"
        if operation.startswith("Blob"):
            return "" if self._container else "the start of its upload was not recorded"
        if operation == "OperationResult GET":
            return "" if self._result else "the call that it is the result of was not recorded"
        name = resource_of(item)
        is_known = name in self._made or name in self._described or not is_owned(item)
        is_known = is_known or self._is_of_no_kind(item)
        return "" if is_known else "the recording describes nothing of this name"

    def _make(self, item: Mapping[str, Any]) -> Any:
        """Create what a call is about if the recording does not; return a refusal."""
        name = resource_of(item)
        if name in self._made or name not in self._described or not is_owned(item):
            if item["request"]["method"] == "PUT":
                self._made.add(name)
            return None
        self._made.add(name)
        parts = urlsplit(str(item["request"]["url"]))
        url = f"{parts.path.removesuffix('/cancel')}?{parts.query}"
        body = {"properties": asked(self._described[name]["properties"])}
        is_job = name.startswith("jobs/")
        body = self._runnable(body) if is_job else self._stored(body)
        answer = self._emulator.ask("PUT", url, body)
        return None if answer.status_code < 300 else answer.get_json()

    def _send(self, item: Mapping[str, Any]) -> Any:
        parts = urlsplit(str(item["request"]["url"]))
        url, body = f"{parts.path}?{parts.query}", item["request"].get("body")
        if item["operation"].startswith("Blob"):
            blob = parts.path.split("/", 2)[2]
            url = f"/{ACCOUNT}/{self._container}/{blob}?{parts.query}"
            body = b"content" if item["request"]["method"] == "PUT" else None
        elif item["operation"] == "OperationResult GET":
            return self._ask_result(item)
        elif item["operation"] == "PUT codes/{id}/versions/{id}":
            body = self._stored(body)
            if item["status"] == 200:  # it was there before
                self._emulator.ask("PUT", url, body)
        elif item["operation"] == "PUT jobs/{id}":
            body = self._runnable(body)
        ask = self._emulator.ask
        answered: dict[str, Any] = item["answer"].get("properties") or {}
        wanted = answered.get("status")
        if wanted in ("Completed", "Failed"):
            self._emulator.go.touch()
        is_state = bool(wanted) and state_for(answered) in ENDED.union(STATES)
        if item["operation"] != "GET jobs/{id}" or not is_state:
            answer = ask(item["request"]["method"], url, body)
        else:
            if wanted in ("CancelRequested", "Canceled"):
                self._cancel(resource_of(item), parts, answered)
            answer = self._until(url, answered, state_for(answered))
        if item["operation"].endswith("startPendingUpload"):
            self._container = answer.get_json()["blobReferenceForConsumption"][
                "blobUri"
            ].rpartition("/")[2]
        if item["operation"].endswith("/cancel"):
            self._result = answer.headers["Location"].removeprefix(URL)
        return answer

    def _until(self, url: str, answered: Mapping[str, Any], state: str) -> Any:
        """Return the answer about a job once it is in a state, with the recorded tags."""
        wanted = {**answered, "status": state}
        return self._emulator.steps.until(
            lambda: self._emulator.ask("GET", url),
            lambda found: found.status_code >= 300 or is_reached(properties_of(found), wanted),
            is_past=lambda found: age(state) < age(properties_of(found)["status"]),
        )

    def _cancel(self, name: str, parts: SplitResult, answered: Mapping[str, Any]) -> None:
        """Cancel a job whose cancellation was not recorded, once it is as far as it came."""
        if name in self._cancelled:
            return
        self._cancelled.add(name)
        has_run = STARTED & (answered.get("properties") or {}).keys()
        self._until(f"{parts.path}?{parts.query}", {}, "Running" if has_run else queued(answered))
        self._emulator.ask("POST", f"{parts.path}/cancel?{parts.query}")

    def _stored(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request of a code with an address at the emulator."""
        address = f"{URL}/{ACCOUNT}/{self._container or 'c'}/code"
        return {"properties": {**body["properties"], "codeUri": address}}

    def _runnable(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request of a job with a script that ends as the job was last seen."""
        go = shlex.quote(str(self._emulator.go))
        wait = f"until [ -e {go} ]; do sleep .02; done"
        words = {"Completed": wait, "Failed": f"{wait}; exit 1"}
        word = words.get("".join(self._last_state), "exec sleep 600")
        given = body["properties"]
        run: dict[str, Any] = {"command": word, "codeId": None}
        if given["jobType"] == "Sweep":
            trial = given["trial"]
            run = {"trial": {**trial, **run, "codeId": trial.get("codeId")}}
        else:
            run["codeId"] = given.get("codeId")
        return {"properties": {**given, **run}}

    def _ask_result(self, item: Mapping[str, Any]) -> Any:
        if item["status"] == 202:
            return self._emulator.ask("GET", self._result)
        return self._emulator.steps.until(
            lambda: self._emulator.ask("GET", self._result), lambda found: found.status_code == 200
        )

    def _compare(self, item: Mapping[str, Any], answer: Any) -> Iterator[str]:
        operation = kind_of(item)
        status = getattr(answer, "status_code", None) or answer.status
        if status != item["status"]:
            refusal: Any = answer.get_json(silent=True) if hasattr(answer, "get_json") else {}
            reason = str(refusal["error"]["message"]) if "error" in (refusal or ()) else ""
            yield f"{operation}: status {status}, not {item['status']} {reason}".rstrip()
            return
        headers = {name.lower() for name, _ in answer.headers}
        for name in _OWN_HEADERS:
            if (name in (item.get("headers") or {})) != (name in headers):
                yield f"{operation}: header {name}"
        if item["is_compared"] and item["answer"]:
            content = answer.get_json() if hasattr(answer, "get_json") else json.loads(answer.body)
            yield from unaccepted("azure", operation, differences(item["answer"], content))


def is_reached(answered: Mapping[str, Any], recorded_: Mapping[str, Any]) -> bool:
    """Return whether a job has the recorded state, and a sweep as many tags, also of trials."""
    tags: dict[str, Any] = recorded_.get("tags") or {}
    if recorded_.get("jobType") == "Sweep" and len(answered["tags"]) < len(tags):
        return False
    return bool(answered["status"] == recorded_["status"])


def state_for(answered: Mapping[str, Any]) -> str:
    """Return the state of the emulator with which a recorded job is compared."""
    state = str(answered["status"])
    if state in ENDED.union(STATES):
        return state
    is_running = state in {"Finalizing", "NotResponding"} or answered["jobType"] == "Sweep"
    return "Running" if is_running else queued(answered)


def properties_of(found: Any) -> dict[str, Any]:
    """Return the properties in an answer of the emulator."""
    return dict(found.get_json()["properties"])


def queued(answered: Mapping[str, Any]) -> str:
    """Return the state of a recorded job before it ran."""
    return "Queued" if QUEUED in (answered.get("tags") or {}) else "Starting"


def age(state: str) -> int:
    """Return how far a job in a state is."""
    return STATES.index(state) if state in STATES else len(STATES)


def misnamed(item: Mapping[str, Any]) -> Iterator[str]:
    """Yield which name in an answer is not that of the call."""
    name = urlsplit(str(item["request"]["url"])).path.rpartition("/")[2]
    answer, kind = item["answer"], item["operation"].partition(" ")[2]
    if item["status"] >= 300 or kind not in ("jobs/{id}", "codes/{id}/versions/{id}"):
        return
    for key in ("name", "id"):
        if key in answer and str(answer[key]).rpartition("/")[2] != name:
            yield f".{key}: {answer[key]!r}, and the call is about {name!r}"


def is_owned(item: Mapping[str, Any]) -> bool:
    """Return whether a call needs a job or a code that was created before."""
    operation = item["operation"]
    is_other = operation.startswith("PUT") or operation.endswith("startPendingUpload")
    kind = operation.partition(" ")[2]
    return kind.startswith(("codes", "jobs")) and not is_other and item["status"] != 404


def is_described(item: Mapping[str, Any]) -> bool:
    """Return whether an answer has what is needed to create its job or its code."""
    properties: dict[str, Any] = item["answer"].get("properties") or {}
    return "codeUri" in properties or properties.get("jobType") in ("Command", "Sweep")


def asked(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of a job or a code without what the service adds to them."""
    if "codeUri" in properties:
        return {name: value for name, value in properties.items() if name != "provisioningState"}
    sent = {k: value for k, value in properties.items() if k in SENT and value is not None}
    for field in ("tags", "outputs"):
        own: dict[str, Any] = sent.get(field) or {}
        sent[field] = {k: v for k, v in own.items() if not k.startswith(("_aml_", "default"))}
    return {**sent, "properties": {}}


def resource_of(item: Mapping[str, Any]) -> str:
    """Return the kind and the name of the resource in the path of a call."""
    path = urlsplit(str(item["request"]["url"])).path.partition("/workspaces/")[2]
    return "/".join(path.split("/")[1:3])


def kind_of(item: Mapping[str, Any]) -> str:
    """Return the operation, and for a job its type."""
    body: Any = item["request"].get("body")
    asked: Mapping[str, Any] = body if is_map(body) else {}
    answered: dict[str, Any] = item["answer"].get("properties") or {}
    kind = answered.get("jobType") or asked.get("properties", {}).get("jobType")
    return f"{item['operation']} {kind}" if kind else item["operation"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_emulator_answers_as_recorded(
    tmp_path: Path, file: Path, record_property: recorded.Record
) -> None:
    emulator = Emulator(tmp_path)
    replay = Replay(emulator, recorded.read(file))
    try:
        found = list(replay.differences())
    except recorded.MALFORMED as error:
        pytest.fail(f"{file.stem}: malformed: {error!r}")
    finally:
        emulator.app.close()
    for reason, operations in replay.uncompared.items():
        record_property(recorded.NOT_COMPARED, f"{file.stem}: {', '.join(operations)}: {reason}")
    recorded.fail_if(found, file)


def answers(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield all jobs and all errors in all answers."""
    for number, item in enumerate(recorded.read(file)["sequence"]):
        answer = item["answer"]
        is_job = "jobs/{id}" in item["operation"] and "status" in (answer.get("properties") or {})
        if is_job or (item["status"] >= 400 and "error" in answer):
            yield f"{file.stem}-{number}", (item["operation"], item["status"], answer)


@pytest.mark.parametrize("item", recorded.cases("azure", answers))
def test_the_client_reads_recorded_jobs_and_errors(item: tuple[str, int, dict[str, Any]]) -> None:
    operation, status, answer = item
    if status >= 400:
        error = service_error(operation, status, json.dumps(answer))
        recorded.agree(
            message=(error.text, answer["error"]["message"]),
            retryable=(error.retryable, status == 429),
            affects_all_calls=(error.affects_all_calls, False),
        )
        return
    word = response.status(answer)
    is_known = response.trial_state(answer) != "unknown"
    recorded.agree(
        status=(word if is_known else "unknown", "unknown" if word in UNKNOWN else word),
        ended=(response.has_ended(answer), word in ENDED),
    )


def test_the_reason_of_a_recorded_failure_is_read() -> None:
    found = [
        response.failure(item["answer"].get("runMetadata") or item["answer"])
        for file in FILES
        for item in recorded.read(file)["sequence"]
        if "import_job_download" in file.stem and item["operation"].startswith("RunHistory")
    ]
    assert found or recorded.FOLDER != recorded.OWN
    for reason, is_of_service in found:
        assert re.search("can't be found in this workspace", reason)
        assert not is_of_service
