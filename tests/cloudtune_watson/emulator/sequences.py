"""What a recorded sequence of calls of IBM has that the emulator's calls cannot have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cloudtune.study.yaml_reader import is_list, is_map
from cloudtune_watson.documents import part
from cloudtune_watson.emulator.app import WatsonApp
from cloudtune_watson.emulator.operations import OPERATIONS
from tests.cloudtune_watson.emulator.test_deployments import DEPLOYMENTS, JOBS, ready
from tests.recorded import at_call, reason_to_skip, unaccepted
from tests.recorded_differences import differences

if TYPE_CHECKING:
    from tests.cloudtune_watson.emulator.conftest import Cluster

NOT_FOUND = 404
TRAININGS = "/ml/v4/trainings"
_RANKS = {
    **dict.fromkeys(("queued", "pending", "initializing"), 0),
    **dict.fromkeys(("running", "updating", "storing"), 1),
    **dict.fromkeys(("completed", "failed", "canceled", "ready"), 2),
}
"""A state follows those of a lower rank, or itself."""
Served = Mapping[str, Mapping[int, Any]]
"""The emulator's answers, by operation and status."""


def served(cluster: Cluster) -> Served:
    """Return what the emulator answers to each call of deployments, jobs and trainings."""
    found: dict[str, dict[int, Any]] = {}

    def ask(operation: str, path: str, query: Any = (), **more: Any) -> Any:
        status, answer = cluster.ask(OPERATIONS[operation].method, path, query, **more)
        found.setdefault(operation, {})[status] = answer if is_map(answer) else {}
        return answer

    deployment = ready(cluster, "print(1)")
    described = cluster.ask("GET", f"{DEPLOYMENTS}/{deployment}")[1]
    script = {"id": described["entity"]["asset"]["id"]}
    space, version = {"space_id": cluster.space}, {"version": cluster.version}
    request = {"name": "e", **space, "asset": script, "batch": {}}
    job = {"name": "j", **space, "deployment": {"id": deployment}, "scoring": {}}
    training = cluster.training(cluster.definition("pass"))
    for kind, path, sent in (
        ("DeploymentJob", JOBS, job),
        ("Deployment", DEPLOYMENTS, request),
        ("Training", TRAININGS, training),
    ):
        ids = [ask(f"Create{kind}", path, version, json=sent)["metadata"]["id"] for _ in range(2)]
        ask(f"Create{kind}", path, version, json={})
        ask(f"List{kind}s", path, {**version, **space, "limit": "1"})
        ask(f"Get{kind}", f"{path}/{ids[0]}")
        ask(f"Get{kind}", f"{path}/none")
        ask(f"Delete{kind}", f"{path}/{ids[0]}", {**version, **space, "hard_delete": "true"})
        ask(f"Delete{kind}", f"{path}/none")
    return found


def impossible(sequence: Sequence[Mapping[str, Any]], known: Served) -> list[str]:
    """Return what differs from the emulator's calls: each operation, status, form, and order."""
    return [
        *(each for item in sequence for each in at_call(item, _differences_of_call(item, known))),
        *_order(sequence),
    ]


def jobs_of(answer: Any) -> list[Any]:
    """Return the jobs in an answer: its own, or those of a list."""
    rows: Any = answer.get("resources", [answer])
    return [each for each in rows if is_map(each)] if is_list(rows) else []


def _differences_of_call(item: Mapping[str, Any], known: Served) -> Iterator[str]:
    operation, status, answer = item["operation"], item["status"], item["answer"]
    if reason_to_skip("ibm", operation):
        return
    if operation not in OPERATIONS:
        yield f"{operation}: the emulator has no such operation"
        return
    if fault := _fault(status):
        yield from unaccepted("ibm", operation, _of_refusal(status, answer, fault))
        return
    answers = known.get(operation)
    if answers is None:
        return
    if status not in answers:
        yield f"{operation}: status {status}, not {' or '.join(map(str, sorted(answers)))}"
        return
    emulated = answers[status]
    if status >= 400:
        yield from unaccepted("ibm", operation, _of_refusal(status, answer, emulated))
    elif operation.startswith("List"):
        page = {key: value for key, value in emulated.items() if key != "next" or key in answer}
        found = differences(_without_rows(answer), _without_rows(page))
        yield from unaccepted("ibm", operation, found)
    elif bool(answer) != bool(emulated):
        yield f"{operation}: its answer is {'not ' if answer else ''}empty"


def _fault(status: int) -> Any:
    """Return the refusal with which any call can fail, by its status; None if there is none."""
    refusals = (make().response() for make in WatsonApp.FAULTS.values())
    return next((json.loads(each.body) for each in refusals if each.status == status), None)


def uncompared(sequence: Sequence[Mapping[str, Any]], known: Served) -> list[str]:
    """Return the operations that the emulator has, whose answers are not compared."""
    names = dict.fromkeys(str(item["operation"]) for item in sequence if item["is_compared"])
    return [each for each in names if each in OPERATIONS and each not in known]


def _without_rows(page: Mapping[str, Any]) -> dict[str, Any]:
    """Return a page of a list without its rows, which are compared by their states."""
    return {key: is_list(value) if key == "resources" else value for key, value in page.items()}


def _of_refusal(status: int, recorded: Any, emulated: Any) -> Iterator[tuple[str, str]]:
    """Yield where a refusal differs: its words depend on the request, and so may its code.

    What does not exist is refused with one code.
    """
    for path, how in differences(recorded, emulated):
        if how in {"missing", "added"} or (path.endswith(".code") and status == NOT_FOUND):
            yield path, how


def _order(sequence: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield which states and calls cannot follow those before them."""
    last: dict[str, str] = {}
    gone: set[str] = set()
    time = 0
    for number, item in enumerate(sequence, 1):
        call, operation = f"call {number}: ", item["operation"]
        seconds = item.get("seconds_after_first")
        if seconds is not None and seconds < time:
            yield f"{call}{operation}: call {number} is earlier than the call before it"
        time = time if seconds is None else seconds
        if item["status"] >= 400:
            continue
        path, query = str(item["request"].get("path", "")), part(item["request"], "query")
        if operation.startswith("Delete") and (
            operation == "DeleteDeployment" or "hard_delete" in query
        ):
            gone.add(path.rpartition("/")[2])
        for job in jobs_of(item["answer"]):
            id_ = str(part(job, "metadata").get("id", f"call {number}"))
            if operation.startswith("Create") and id_ in last:
                yield f"{call}{operation}: {id_} is created after it was seen"
            if id_ in gone:
                yield f"{call}{operation}: {id_} is seen after its deletion"
            state = str(status_of(job).get("state", ""))
            for each in item.get("states_printed", ()):
                if each not in _RANKS:
                    yield f"{call}{operation}: {id_} is printed as {each}, which is no known state"
            for before, after in pairwise([*item.get("states_printed", ()), state]):
                if not _may_follow(before, after):
                    yield f"{call}{operation}: {id_} is printed as {after} after {before}"
            if not _may_follow(last.setdefault(id_, state), state):
                yield f"{call}{operation}: {id_} is {state} after {last[id_]}"
            last[id_] = state


def status_of(job: Any) -> dict[str, Any]:
    """Return the status of a job, a training or a deployment; empty if it has none."""
    return part(job, "entity", "scoring", "status") or part(job, "entity", "status")


def _may_follow(before: str, state: str) -> bool:
    ranks = _RANKS.get(before, 0), _RANKS.get(state, 2)
    return before == state or ranks[0] < ranks[1] or ranks == (1, 1)
