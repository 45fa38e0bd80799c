"""Replays recorded calls of Vertex AI against its emulator, and yields where its answers differ."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import chain
from threading import Event
from typing import Any
from urllib.parse import unquote

from cloudtune_vertex import response
from cloudtune_vertex.emulator.errors import exhausted
from cloudtune_vertex.emulator.operations import OPERATIONS
from cloudtune_vertex.emulator.wire import OUTPUT_ONLY
from tests import recorded
from tests.cloudtune_vertex.replayed_cancellations import Cancellations
from tests.cloudtune_vertex.replayed_jobs import (
    COLLECTIONS,
    ORDER,
    Emulator,
    age,
    paired,
    rows_of,
    runnable,
    sent,
    small_job,
    state_in,
)
from tests.recorded import MALFORMED, reason_to_skip, unaccepted, unlisted
from tests.recorded_differences import differences
from tests.recorded_names import Names

METHODS = {"Create": "POST", "Get": "GET", "List": "GET", "Cancel": "POST", "Delete": "DELETE"}
_METRIC = re.compile(r"custom_model_training_\w+")
_OF_JOBS = re.compile(rf"({'|'.join(METHODS)})(CustomJob|HyperparameterTuningJob)s?")
_PATH = re.compile(r"/v1(?:beta1)?/(projects/[^/]+/locations/[^/]+/(\w+)/[^/:?]+)")
_PAGING = re.compile(r"page(Token|Size)=[^&]*&?")
_MAY_LACK_TRIALS = {"JOB_STATE_RUNNING", "JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED"}
"""The states of a tuning job that may have no trial yet; the emulator's has one at once."""


def is_served(item: dict[str, Any]) -> bool:
    return reason_to_skip("vertex", item["operation"]) is None


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
        """What stops each job of the recording, by its recorded name."""
        self._last: dict[str, dict[str, Any]] = {}
        self._pages: dict[str, str] = {}
        """The emulator's tokens of pages, by the recorded ones."""
        self._cancellations = Cancellations([])
        self.uncompared: dict[str, dict[str, None]] = {}
        """The operations that were not compared, by the reason."""

    def _read(self) -> None:
        """Read the last answer about each job, and the paths of all calls."""
        for item in self._calls:
            for job in (*rows_of(item["answer"]), item["answer"]):
                if "state" in job and job.get("name"):
                    self._last[job["name"]] = job
        self._calls = [self._addressed(each) for each in self._calls]
        self._cancellations = Cancellations(self._calls)

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
                yield from recorded.at_call(
                    item, [f"{operation}: the emulator has no such operation"]
                )
            elif not path:
                trials: list[Any] = item["answer"].get("trials", [item["answer"]]) if part else []
                if not trials or any("finalMeasurement" not in each for each in trials):
                    why = "neither its path nor the name of its job was recorded"
                    self.uncompared.setdefault(why, {})[item["operation"]] = None
            else:
                try:
                    for each in self._in_turn(item):
                        found = self._compare(each, each["request"]["path"])
                        yield from recorded.at_call(each, found)
                except NotCreatedError as error:
                    yield from recorded.at_call(item, [f"{item['operation']}: {error}"])
                    return
                except MALFORMED as error:
                    text = f"{item['operation']}: malformed: {error!r}"
                    yield from recorded.at_call(item, [text])
                    return

    def _in_turn(self, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield a call, after the cancellations that are due; one of those only once it is due."""
        match = _PATH.match(item["request"]["path"])
        yield from self._cancellations.due(item, before=True)
        if match and item["operation"].startswith("Cancel") and item["status"] == 200:
            if due := self._cancellations.hold(item, match[1].rpartition("/")[2]):
                yield due
        else:
            yield item
        yield from self._cancellations.due(item, before=False)

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
            if after := item.get("after"):
                self._advance(after, self._may_be_cancelled)
            status, shown = self._ask(method, path, item)
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
        """Yield how an answer differs from a recorded one; of lists, job by job."""
        if "trials" not in known and known.get("state") in _MAY_LACK_TRIALS:
            shown = {key: value for key, value in shown.items() if key != "trials"}
        for each, own in self._parts(known, shown):
            found = chain(differences(each, own), self._same.differences(each, own))
            yield from unaccepted("vertex", operation, found)
        yield from (
            f"{operation} {each}: not listed" for each in unlisted("vertex", operation, shown)
        )

    def _parts(self, known: Any, shown: Any) -> Iterator[tuple[Any, Any]]:
        """Yield an answer and the emulator's; of a list, each job with the same one."""
        lists = [name for name in COLLECTIONS if known.get(name)]
        rest = [{key: each[key] for key in each if key not in lists} for each in (known, shown)]
        yield rest[0], rest[1]
        for name in lists:
            for row in known[name]:
                both = [row], self._counterparts(row, shown)[:1]
                yield {name: both[0]}, {name: both[1]}

    def _counterparts(self, row: Any, shown: Any) -> list[Any]:
        """Return the emulator's job that a recorded one is; all if that has no name."""
        name = recorded.renamed(str(row.get("name", "")), self._names)
        ids = name.rpartition("/")[2]
        return [each for each in rows_of(shown) if each["name"].endswith(f"/{ids}") or not ids]

    def _page(self, path: str) -> str:
        """Return the path of a page with the emulator's token; without one if it has none."""
        begin, mark, token = path.partition("pageToken=")
        token, more, rest = token.partition("&")
        page = self._pages.get(unquote(token), "") if mark else ""
        return f"{begin}pageToken={page}{more}{rest}" if page else f"{begin}{rest}".rstrip("?&")

    def _make_up_operation(self, item: dict[str, Any], path: str) -> None:
        """Delete a job if a recorded operation began before the recording."""
        id_ = path.partition("/operations/")[2].partition(":")[0]
        if item["status"] != 200 or not id_ or id_ in self._names:
            return
        parent = path.partition("/operations/")[0]
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

    def _is_row(self, known: Any, job: Any) -> bool:
        """Return whether a job is of the time of a row of a list, which has no trials."""
        return self._fits(known, {key: value for key, value in job.items() if key != "trials"})

    def _ask(self, method: str, path: str, item: dict[str, Any]) -> tuple[int, Any]:
        known = item["answer"]
        sent_path = recorded.renamed(self._page(path), {**self._names, "PROJECT": "team"})
        for row in rows_of(known):
            self._advance(row, self._is_row)

        def call() -> tuple[int, Any]:
            return self._emulator.ask(method, sent_path)

        if item["operation"].startswith("List"):
            status, shown = call()
            return status, self._with_all(known, shown, path, sent_path)
        if method != "GET":
            return call()
        return self._emulator.steps.until(
            call,
            lambda got: got[0] == item["status"] and self._fits(known, got[1]),
            self._emulator.app.busy,
            self._others(sent_path),
            lambda got: _is_late(known, got[1]),
        )

    def _advance(self, known: Any, has_come: Callable[[Any, Any], bool]) -> None:
        """Let a job come to a recorded answer about it."""
        if known.get("name") not in self._created:
            return
        path = recorded.renamed(f"/v1/{known['name']}", self._names)
        self._emulator.steps.until(
            lambda: self._emulator.ask("GET", path)[1],
            lambda job: has_come(known, job),
            self._emulator.app.busy,
            self._others(path),
            lambda job: _is_late(known, job),
        )

    def _may_be_cancelled(self, known: Any, job: Any) -> bool:
        """Return whether a job is where it must be before the cancellation that an answer shows."""
        if "endTime" not in known and state_in(known) != "JOB_STATE_CANCELLING":
            return self._fits(known, job)
        return (
            len(job.get("trials", ())) >= len(known.get("trials", ()))
            and ("startTime" in job or "startTime" not in known)
            and (state_in(known) == "JOB_STATE_CANCELLED" or age(job) >= ORDER.index("RUNNING"))
        )

    def _with_all(self, known: Any, shown: Any, path: str, sent_path: str) -> Any:
        """Return a page with the recorded page's jobs: the service chooses how many it has.

        The last page may be empty. The emulator has no such one.
        """
        rows = rows_of(known)
        if not rows and "pageToken=" in path:
            return {}
        if all(self._counterparts(row, shown) for row in rows):
            return shown
        whole = self._emulator.ask("GET", _PAGING.sub("", sent_path).rstrip("?&"))[1]
        return {**shown, **{name: whole[name] for name in COLLECTIONS if name in whole}}

    def _others(self, path: str) -> list[Event]:
        """Return what stops the jobs that a call is not about: they wait meanwhile."""
        stops = {recorded.renamed(name, self._names): stop for name, stop in self._stops.items()}
        ids = {name.rpartition("/")[2]: stop for name, stop in stops.items()}
        own = path.partition("?")[0].rpartition("/")[2]
        return [stop for id_, stop in ids.items() if own in ids and id_ != own]

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


def _is_late(known: Any, shown: Any) -> bool:
    """Return whether a job is past a recorded answer, to which it can then not come."""
    words = state_in(known), state_in(shown)
    return all(each in response.JOB_STATES for each in words) and age(known) < age(shown)
