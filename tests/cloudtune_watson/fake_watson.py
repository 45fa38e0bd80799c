"""Watson Machine Learning and WML Accelerator in memory: the test sets what happens."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from cloudtune.fitting.fit import fit
from cloudtune.provider.facts import Facts
from cloudtune.provider.plan import Plan
from cloudtune.study.schema import Json, Mode
from cloudtune.study.study import Study
from cloudtune_watson import WatsonProvider
from cloudtune_watson.capabilities import CAPABILITIES
from cloudtune_watson.errors import WatsonError, service_error
from cloudtune_watson.lookup import lookup
from cloudtune_watson.settings import WatsonSettings
from cloudtune_watson.wml.client import WmlClient
from cloudtune_watson.wmla.client import WmlaClient

T = TypeVar("T")

RUN = "3f6k2m9qxt"
JOB = f"fake-{RUN}"
STUDY: Mapping[str, Any] = {
    "name": "fake",
    "objective": {"metric": "accuracy", "goal": "maximize"},
    "parameters": {
        "lr": {"type": "float", "min": 0.0, "max": 1.0},
        "kind": {"type": "categorical", "values": ["true", "1e3", "it's $HOME"]},
    },
    "strategy": {"name": "random", "seed": 1},
    "limits": {"max_trials": 200, "parallel_trials": 4},
    "trial": {"script": "train.py"},
}
SETTINGS: Mapping[Mode, Mapping[str, Any]] = {
    "driven": {
        "backend": "wml",
        "url": "https://cpd.example.com",
        "version": "5.1",
        "username": "me",
        "space_id": "space-1",
        "hardware_spec": "M",
        "software_spec": "tensorflow_rt24.1-py3.11",
    },
    "managed": {
        "backend": "wmla",
        "url": "https://wmla.example.com",
        "version": "4.8",
        "username": "me",
        "exec_start": "PyTorch",
    },
}


def planned(mode: Mode, over: Mapping[str, Any] = {}, **settings: Any) -> Plan:
    """Return a plan as the provider makes it, of `STUDY` with something put over it."""
    own = {**SETTINGS[mode], **settings}
    study = Study.model_validate({**STUDY, **over, "providers": {"watson": own}})
    model = WatsonSettings.model_validate(own)
    facts = Facts(run_id=RUN, job_name=JOB, seed=1, base=Path())
    facts = replace(facts, lookup=lookup(study, model, facts))
    fitted = fit(study, CAPABILITIES, mode)
    return Plan(
        "watson",
        mode,
        fitted,
        model,
        facts,
        WatsonProvider().request(fitted, mode, model, facts),
        (),
        (),
        unattended=mode == "managed",
    )


def error(code: int, message: str = "no") -> WatsonError:
    """Return an error as the service's answer becomes one."""
    return service_error("GET /there", code, json.dumps({"errors": [{"message": message}]}))


class Faults:
    """What goes wrong with calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.faults: dict[str, list[WatsonError | None]] = {}
        """What the next calls of an operation raise; None: nothing."""
        self.always: dict[str, Exception] = {}
        """What each call of an operation raises."""
        self.lost: dict[str, int] = {}
        """How many calls of an operation are carried out without an answer."""

    def called(self, operation: str, answer: Callable[[], T]) -> T:
        """Carry out a call."""
        self.calls.append(operation)
        if failure := self.always.get(operation):
            raise failure
        if (faults := self.faults.get(operation)) and (fault := faults.pop(0)):
            raise fault
        answered = answer()
        if self.lost.get(operation, 0) > 0:
            self.lost[operation] -= 1
            raise WatsonError("the connection ended before the answer", retryable=True)
        return answered


class FakeWmlClient(WmlClient):
    """Answers calls from memory."""

    def __init__(self) -> None:
        self.of = Faults()
        self.created: list[Json] = []
        self.trainings: dict[str, Json] = {}
        """By IBM's id."""
        self.files: dict[str, bytes] = {}
        self.stored: dict[str, tuple[str, bytes]] = {}
        """Name and content of definitions, by id."""
        self.unlisted: set[str] = set()
        """Names of trainings that are in no list yet."""

    @property
    def emulated(self) -> bool:
        return True

    def create(self, request: Json) -> str:
        self.created.append(request)
        return self.of.called("create", lambda: self.add(**request))

    def get(self, training: str) -> Json:
        return self.of.called("get", lambda: self._there(training))

    def list_by_tag(self, tag: str) -> list[Json]:
        return self.of.called("tagged", lambda: self._tagged(tag))

    def cancel(self, training: str) -> None:
        self.of.called("cancel", lambda: self._cancel(training))

    def definitions(self, name: str) -> list[str]:
        return self.of.called(
            "definitions", lambda: [i for i, d in self.stored.items() if d[0] == name]
        )

    def has_definition(self, definition: str) -> bool:
        return self.of.called("has", lambda: definition in self.stored)

    def store(self, name: str, path: Path) -> str:
        return self.of.called("store", lambda: self._store(name, path.read_bytes()))

    def delete_definition(self, definition: str) -> None:
        self.of.called("delete", lambda: self.stored.pop(definition, None))

    def download(self, definition: str, path: Path) -> None:
        self.of.called("download", lambda: path.write_bytes(self.stored[definition][1]))

    def read(self, path: str) -> bytes | None:
        return self.of.called("read", lambda: self.files.get(path))

    def add(self, **request: Any) -> str:
        """Put a training there."""
        number = len(self.trainings)
        id_ = f"training-{number}"
        entity = {k: v for k, v in request.items() if k not in {"name", "tags"}}
        self.trainings[id_] = {
            "metadata": {
                "id": id_,
                "name": request["name"],
                "tags": request["tags"],
                "created_at": when(1000 + number),
            },
            "entity": {**entity, "status": {"state": "running", "running_at": when(2000 + number)}},
        }
        return id_

    def named(self, name: str) -> Json:
        """Return the training of a name."""
        return next(t for t in self.trainings.values() if t["metadata"]["name"] == name)

    def change(self, name: str, state: str, **fields: Any) -> None:
        """Let a training go on."""
        status: Json = self.named(name)["entity"]["status"]
        status |= {"state": state, **fields}
        if state in {"completed", "failed", "canceled"}:
            status["completed_at"] = when(9000)

    def write(self, name: str, file: str, content: Any) -> None:
        """Let a script write a result file."""
        path = f"spaces/space-1/assets/cloudtune/{name}/{file}"
        self.files[path] = content if isinstance(content, bytes) else json.dumps(content).encode()

    def _there(self, training: str) -> Json:
        if training not in self.trainings:
            raise error(404, "no such training")
        return deepcopy(self.trainings[training])

    def _tagged(self, tag: str) -> list[Json]:
        return [
            self._there(id_)
            for id_, training in self.trainings.items()
            if tag in training["metadata"]["tags"]
            and training["metadata"]["name"] not in self.unlisted
        ]

    def _cancel(self, training: str) -> None:
        status = self.trainings[training]["entity"]["status"]
        if status["state"] not in {"queued", "pending", "running"}:
            raise error(400, f"Job already completed with state {status['state']}")
        status["state"] = "canceled"

    def _store(self, name: str, data: bytes) -> str:
        id_ = f"definition-{len(self.stored)}"
        self.stored[id_] = (name, data)
        return id_


class FakeWmlaClient(WmlaClient):
    """Answers calls from memory."""

    def __init__(self) -> None:
        self.of = Faults()
        self.submitted: list[tuple[Json, bytes]] = []
        self.searches: dict[str, Json] = {}
        self.logs: dict[str, str] = {}

    @property
    def emulated(self) -> bool:
        return True

    def submit(self, request: Json, code: Path) -> str:
        self.submitted.append((request, code.read_bytes()))
        return self.of.called("submit", lambda: self._add(request["data"]["hpoName"]))

    def get(self, name: str) -> Json:
        return self.of.called("get", lambda: self._there(name))

    def stop(self, name: str) -> None:
        self.of.called("stop", lambda: self._stop(name))

    def log(self, trial: str) -> str:
        return self.of.called("log", lambda: self.logs.get(trial, ""))

    def experiment(self, number: int, state: str, **fields: Any) -> None:
        """Let a trial of the one search be, or go on."""
        (search,) = self.searches.values()
        experiments: list[Json] = search["experiments"]
        search["experiments"] = [each for each in experiments if each["id"] != number]
        search["experiments"].append(
            {
                "id": number,
                "state": state,
                "appId": f"app-{number}",
                "hyperParams": [
                    {"name": "lr", "dataType": "double", "fixedVal": "0.25", "userDefined": False},
                    {"name": "kind", "dataType": "str", "fixedVal": "1e3", "userDefined": False},
                ],
                "startTime": when(2000 + number),
                **({"endTime": when(9000)} if state in {"FINISHED", "FAILED"} else {}),
                **fields,
            }
        )

    def _add(self, name: str) -> str:
        self.searches[name] = {"hpoName": name, "state": "RUNNING", "experiments": []}
        return name

    def _there(self, name: str) -> Json:
        if name not in self.searches:
            raise error(404, "no such task")
        return deepcopy(self.searches[name])

    def _stop(self, name: str) -> None:
        if self.searches[name]["state"] not in {"SUBMITTED", "RUNNING"}:
            raise error(400, "the task is not running")
        self.searches[name]["state"] = "STOPPED"


def when(number: int) -> str:
    """Return a time as IBM writes it."""
    moment = time.gmtime(1_700_000_000 + number)
    return time.strftime("%Y-%m-%dT%H:%M:%S.500Z", moment)
