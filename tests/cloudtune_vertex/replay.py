"""Replays recorded calls of Vertex AI against its emulator, and yields where its answers differ."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import unquote

from werkzeug.test import Client

from cloudtune.emulation.faults import FaultPlan, Rule
from cloudtune_vertex import response
from cloudtune_vertex.emulator.app import VertexApp
from cloudtune_vertex.emulator.errors import exhausted
from cloudtune_vertex.emulator.operations import DISK, OPERATIONS
from cloudtune_vertex.emulator.state import CustomJob
from cloudtune_vertex.emulator.wire import OUTPUT_ONLY
from tests import recorded
from tests.recorded import MALFORMED, Steps, differences, reason_to_skip, unaccepted, unlisted
from tests.recorded_names import Names

COLLECTIONS = ("customJobs", "hyperparameterTuningJobs")
METHODS = {"Create": "POST", "Get": "GET", "List": "GET", "Cancel": "POST", "Delete": "DELETE"}
FAILING = "raise SystemExit(1)"
ENDLESS = "import time; time.sleep(600)"
REPORTING = """
import json, os, time
file = os.environ.get("CLOUD_ML_HP_METRIC_FILE")
if file:
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "a") as opened:
        report = {"timestamp": time.time(), "trial": "0", "global_step": "1"}
        opened.write(json.dumps(report | {name: "0.5" for name in METRICS}) + chr(10))
"""
_METRIC = re.compile(r"custom_model_training_\w+")
_OF_JOBS = re.compile(rf"({'|'.join(METHODS)})(CustomJob|HyperparameterTuningJob)s?")
_PATH = re.compile(r"/v1(?:beta1)?/(projects/[^/]+/locations/[^/]+/(\w+)/[^/:?]+)")


class Emulator:
    """An emulator in this process, whose delays pass step by step."""

    def __init__(self, folder: Path, seed: int = 0, rules: Sequence[Rule] = ()) -> None:
        self.steps = Steps()
        plan = FaultPlan(rules, seed)
        self.app = VertexApp(folder, self.steps, plan, "http://127.0.0.1:9", "key")
        operations: Any = self.app._operations  # pyright: ignore[reportPrivateUsage]
        self._store = operations.store
        self.steps.common.add(operations.context.jobs.closing)
        self.client = Client(self.app)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the answer of a call."""
        headers = {"Authorization": "Bearer key"}
        answer = self.client.open(path, method=method, headers=headers, json=body)
        return answer.status_code, json.loads(answer.get_data() or b"{}")

    def stop_of(self, name: str) -> Event:
        """Return the event that stops a custom job."""
        stop: Event = self._store.get(CustomJob, name).stop_requested
        return stop

    def fault(self, operation: str, status: int) -> Any:
        """Return the refusal with which any call can fail, by its status; None if there is none."""
        faults = [make() for name, make in self.app.FAULTS.items() if name != "quota"]
        for each in [*faults, self.app.denied(operation)]:
            response = each.response()
            if response.status == status:
                return json.loads(response.body)
        return None


def is_served(item: dict[str, Any]) -> bool:
    return reason_to_skip("vertex", item["operation"]) is None


def rows_of(answer: Any) -> list[Any]:
    """Return the rows of a list of jobs."""
    return [row for name in COLLECTIONS for row in answer.get(name) or ()]


def state_in(answer: Any) -> Any:
    """Return the state of the job in an answer, or of the first in a list."""
    return (rows_of(answer) or [answer])[0].get("state")


class Replay:
    """Replays one recording; a job whose creation was not recorded is created by its description.

    Jobs that ran run a script in place of their container, with which they end as they did.
    """

    def __init__(self, emulator: Emulator, recording: dict[str, Any]) -> None:
        self._emulator = emulator
        sequence = [each for each in recording["sequence"] if "situation" not in each["request"]]
        self._calls = [each for each in sequence if is_served(each)]
        self._names: dict[str, str] = {}
        self._same = Names()
        self._created: set[str] = set()
        self._stops: dict[str, Event] = {}
        """What stops each custom job of the recording, by its recorded name."""
        self._last: dict[str, dict[str, Any]] = {}
        self._pages: dict[str, str] = {}
        """The emulator's tokens of pages, by the recorded ones."""
        self.uncompared: dict[str, dict[str, None]] = {}
        """The operations that were not compared, by the reason."""

    def _read(self) -> None:
        """Read the last answer about each job, and the paths of all calls."""
        for item in self._calls:
            for job in (*rows_of(item["answer"]), item["answer"]):
                if "state" in job and job.get("name"):
                    self._last[job["name"]] = job
        self._calls = [self._addressed(each) for each in self._calls]

    def _addressed(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return a call with a path; one that was not recorded follows from names in answers."""
        operation, _, part = item["operation"].partition(" (")
        match, answer = _OF_JOBS.fullmatch(operation), item["answer"]
        if "path" in item["request"] or not match or (part and "trials" not in answer):
            return item
        collection = f"{match[2][0].lower()}{match[2][1:]}s"
        known = [name for name in self._last if f"/{collection}/" in name]
        named = [str(each.get("name")) for each in (answer, *rows_of(answer))]
        named = [name for name in named if f"/{collection}/" in name] or known
        if not named or (named is known and len(known) > 1):
            return item
        path = f"/v1/projects/PROJECT/{'/'.join(named[0].split('/')[2:5])}"
        if match[1] not in ("Create", "List"):
            path = f"/v1/{named[0]}{':cancel' if match[1] == 'Cancel' else ''}"
        request = {**item["request"], "method": METHODS[match[1]], "path": path}
        return {**item, "operation": operation, "request": request, "is_part": bool(part)}

    def differences(self) -> Iterator[str]:
        """Yield where the emulator answers otherwise; the last is a job that it does not create."""
        try:
            self._read()
        except MALFORMED as error:
            yield f"its answers are malformed: {error!r}"
            return
        for item in self._calls:
            path = item["request"].get("path", "")
            operation, _, part = item["operation"].partition(" (")
            if operation not in OPERATIONS:
                yield f"{operation}: the emulator has no such operation"
            elif not path:
                trials: list[Any] = item["answer"].get("trials", [item["answer"]]) if part else []
                if not trials or any("finalMeasurement" not in each for each in trials):
                    why = "neither its path nor the name of its job was recorded"
                    self.uncompared.setdefault(why, {})[item["operation"]] = None
            else:
                try:
                    yield from self._compare(item, path)
                except NotCreatedError as error:
                    yield f"{item['operation']}: {error}"
                    return
                except MALFORMED as error:
                    yield f"{item['operation']}: malformed: {error!r}"
                    return

    def _compare(self, item: dict[str, Any], path: str) -> Iterator[str]:
        operation, method = item["operation"], item["request"].get("method", "GET")
        is_creation = operation.startswith("Create") and item["status"] == 200
        if operation.startswith("Create") and not is_creation:
            yield from self._refused(item, path)
            return
        answer = item["answer"]
        name = answer.get("name", "")
        if refusal := self._emulator.fault(operation, item["status"]):
            yield from self._judge(operation, answer, refusal)
            return
        if is_creation and any(f"/{each}/" in name for each in COLLECTIONS):
            status, shown = self._create(
                name, path, item["request"].get("body_rebuilt_from_answer")
            )
        else:
            self._create_missing(item, path)
            self._make_up_operation(item, path)
            status, shown = self._ask(method, self._page(path), item)
            self._pages[str(answer.get("nextPageToken"))] = shown.get("nextPageToken", "")
        if status != item["status"]:
            yield f"{operation}: {item['status']} was recorded, not {status}: {shown}"
            return
        if not item["is_compared"]:
            return
        if item.get("is_part"):
            shown = {key: value for key, value in shown.items() if key in answer}
        yield from self._judge(operation, answer, shown)
        if operation.startswith("Delete"):
            self._names |= paired(answer.get("name", ""), shown.get("name", ""))

    def _refused(self, item: dict[str, Any], path: str) -> Iterator[str]:
        """Yield how the refusal of a request differs, if it was recorded, and not for a quota."""
        operation, body = item["operation"], item["request"].get("body_rebuilt_from_answer")
        if item["status"] == 429 and "quota" in str(item["answer"]):
            shown = json.loads(exhausted().response().body)
            item = {**item, "answer": json.loads(_METRIC.sub("#", json.dumps(item["answer"])))}
        elif body is None:
            yield f"{operation}: no request is known here that is refused so: {item['answer']}"
            return
        else:
            sent_path = recorded.renamed(path, {**self._names, "PROJECT": "team"})
            status, shown = self._emulator.ask("POST", sent_path, body)
            if status != item["status"]:
                yield f"{operation}: {item['status']} was recorded, not {status}: {shown}"
                return
        yield from self._judge(operation, item["answer"], shown)

    def _judge(self, operation: str, known: Any, shown: Any) -> Iterator[str]:
        """Yield how an answer differs from a recorded one."""
        found = chain(differences(alike(known), shown), self._same.differences(known, shown))
        yield from unaccepted("vertex", operation, found)
        yield from (
            f"{operation} {each}: not listed" for each in unlisted("vertex", operation, shown)
        )

    def _page(self, path: str) -> str:
        """Return a path with the emulator's token; without one if it has fewer jobs."""
        begin, mark, token = path.partition("pageToken=")
        token, more, rest = token.partition("&")
        page = self._pages.get(unquote(token), "") if mark else ""
        return f"{begin}pageToken={page}{more}{rest}" if page else f"{begin}{rest}".rstrip("?&")

    def _make_up_operation(self, item: dict[str, Any], path: str) -> None:
        """Delete a job if a recorded operation began before the recording."""
        id_ = path.partition("/operations/")[2].partition(":")[0]
        if item["status"] != 200 or not id_ or id_ in self._names:
            return
        parent = f"{path.partition('/locations/')[0]}/locations/us-central1"
        jobs = recorded.renamed(f"{parent}/{COLLECTIONS[0]}", {**self._names, "PROJECT": "team"})
        created = self._emulator.ask("POST", jobs, small_job(COLLECTIONS[0]))[1]
        deleted = self._emulator.ask("DELETE", f"/v1/{created['name']}")[1]
        self._names[id_] = deleted["name"].rpartition("/")[2]

    def _fits(self, known: Any, shown: Any) -> bool:
        """Return whether an answer is of the time of a recorded one, if it has a known state."""
        if state_in(known) not in response.JOB_STATES:
            return True
        starts = ["startTime" in (rows_of(each) or [each])[0] for each in (known, shown)]
        return state_in(known) == state_in(shown) and starts[0] == starts[1]

    def _ask(self, method: str, path: str, item: dict[str, Any]) -> tuple[int, Any]:
        path = recorded.renamed(path, {**self._names, "PROJECT": "team"})

        def call() -> tuple[int, Any]:
            status, shown = self._emulator.ask(method, path)
            return status, self._without_others(item["answer"], shown)

        if method != "GET":
            return call()
        return self._emulator.steps.until(
            call,
            lambda got: got[0] == item["status"] and self._fits(item["answer"], got[1]),
            self._emulator.app.busy,
            self._others(path, item["answer"]),
        )

    def _without_others(self, known: Any, shown: Any) -> Any:
        """Return a list without the jobs that the recorded one does not have, if it has others."""
        names = [recorded.renamed(str(each.get("name")), self._names) for each in rows_of(known)]
        own = [each for each in rows_of(shown) if each["name"] in names]
        return {**shown, **{each: own for each in COLLECTIONS if own and each in shown}}

    def _others(self, path: str, answer: Any) -> list[Event]:
        """Return what stops the custom jobs that a call is not about: they wait meanwhile.

        Of a list, only the first job is compared in its state.
        """
        name = next((str(each.get("name")) for each in rows_of(answer)), path.partition("?")[0])
        known = {recorded.renamed(each, self._names): stop for each, stop in self._stops.items()}
        ids = {each.rpartition("/")[2]: stop for each, stop in known.items()}
        id_ = recorded.renamed(name, self._names).rpartition("/")[2]
        return [stop for each, stop in ids.items() if id_ in ids and each != id_]

    def _create(self, name: str, path: str, body: Any) -> tuple[int, Any]:
        """Create a job as it was recorded; return the status and the answer."""
        last = self._last.get(name, {})
        body = body or {key: value for key, value in last.items() if key not in OUTPUT_ONLY}
        body = self._runnable(sent(body), last)
        path = recorded.renamed(path, {**self._names, "PROJECT": "team"})
        status, answer = self._emulator.ask("POST", path, body)
        if status != 200:
            raise NotCreatedError(f"the emulator refuses to create such a job: {answer}")
        self._created.add(name)
        self._names |= paired(name, answer["name"])
        if "/customJobs/" in name:
            self._stops[name] = self._emulator.stop_of(answer["name"])
        return status, answer

    def _runnable(self, body: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
        return runnable(body, last)

    def _create_missing(self, item: dict[str, Any], path: str) -> None:
        """Create the jobs of an answer that the recording does not create, before they ended."""
        names = [job["name"] for job in rows_of(item["answer"]) if "name" in job]
        match = _PATH.match(path)
        if match and match[2] in COLLECTIONS and item["status"] == 200:
            id_ = match[1].rpartition("/")[2]
            names += [next((each for each in self._last if each.endswith(f"/{id_}")), match[1])]
        for name in names:
            if name in self._created or any(name.endswith(old) for old in self._names):
                continue
            parent = "/".join(name.split("/")[2:5])
            body = None if name in self._last else small_job(parent.rpartition("/")[2])
            self._create(name, f"/v1/projects/PROJECT/{parent}", body)
        for name in names:
            self._cancel(name, item)

    def _cancel(self, name: str, item: dict[str, Any]) -> None:
        """Cancel a job whose cancellation was not recorded."""
        is_cancelled = str(state_in(item["answer"])).startswith("JOB_STATE_CANCEL")
        calls = [each["operation"] for each in self._calls]
        if is_cancelled and not any(each.startswith("Cancel") for each in calls):
            path = recorded.renamed(f"/v1/{name}", self._names)
            self._emulator.steps.until(
                lambda: self._emulator.ask("GET", path)[1],
                lambda job: "startTime" in job or "startTime" not in item["answer"],
            )
            self._emulator.ask("POST", f"{path}:cancel")


class NotCreatedError(Exception):
    """A recorded job that the emulator does not create."""


def paired(old: str, new: str) -> dict[str, str]:
    """Return the parts of a recorded name that differ from the emulator's."""
    both = zip(old.split("/"), new.split("/"), strict=False)
    return {was: now for was, now in both if was != now and was}


def alike(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a list with the jobs only that have the state of the first one."""
    for name in [each for each in COLLECTIONS if answer.get(each)]:
        rows = answer[name]
        answer = {**answer, name: [row for row in rows if state_in(row) == state_in(rows[0])]}
    return answer


def specs_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the worker pools of a job."""
    specs: list[dict[str, Any]] = [job.get("jobSpec", {}), job.get("trialJobSpec", {})]
    return [pool for spec in specs for pool in spec.get("workerPoolSpecs", ())]


def sent(body: dict[str, Any]) -> dict[str, Any]:
    """Return a request without what the service has added to it."""
    body = copy.deepcopy(body)
    for pool in specs_of(body):
        if pool.get("diskSpec") == DISK:
            del pool["diskSpec"]
    return body


def runnable(body: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    """Return a request with a script that ends as the job was last seen, if it ran at all."""
    metrics = [each.get("metricId") for each in body.get("studySpec", {}).get("metrics", ())]
    scripts = {
        "JOB_STATE_RUNNING": ENDLESS,
        "JOB_STATE_FAILED": FAILING,
        "JOB_STATE_SUCCEEDED": f"METRICS = {metrics!r}\n{REPORTING}",
    }
    script = scripts.get(last.get("state", ""))
    for pool in specs_of(body) if script else ():
        pool.pop("pythonPackageSpec", None)
        container = pool.setdefault("containerSpec", {})
        container |= {"imageUri": "gcr.io/team/x", "command": ["python3", "-c", script]}
    return body


def small_job(collection: str) -> dict[str, Any]:
    """Return a job of which nothing is known."""
    container = {"imageUri": "gcr.io/team/x", "command": ["python3", "-c", ENDLESS]}
    machine = {"machineType": "n1-standard-4"}
    pools = [{"machineSpec": machine, "replicaCount": "1", "containerSpec": container}]
    if collection == "customJobs":
        return {"displayName": "job", "jobSpec": {"workerPoolSpecs": pools}}
    return {
        "displayName": "job",
        "studySpec": {
            "metrics": [{"metricId": "val_loss", "goal": "MINIMIZE"}],
            "parameters": [
                {"parameterId": "units", "integerValueSpec": {"minValue": "8", "maxValue": "9"}}
            ],
        },
        "maxTrialCount": 1,
        "parallelTrialCount": 1,
        "trialJobSpec": {"workerPoolSpecs": pools},
    }
