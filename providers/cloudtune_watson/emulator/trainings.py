"""Training jobs of ``/ml/v4/trainings``, as IBM's clients make, read and cancel them.

The calls are those of ``training.py`` of ibm_watsonx_ai 1.8.1 (``run``, ``get_details``,
``get_status``, ``get_metrics``, ``cancel``) and of ibm_watson_machine_learning 1.0.370. The request
is that of the notebooks "Use Keras and HPO to recognize hand-written digits" of
IBM/watsonx-ai-samples.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudtune.emulation.faults import FaultPlan
from cloudtune.study.schema import Json
from cloudtune_watson.contract import BadSpec, Container, Written, training
from cloudtune_watson.emulator.assets import Assets
from cloudtune_watson.emulator.errors import ServiceError, invalid, not_found, not_here
from cloudtune_watson.emulator.script import contain, unzip
from cloudtune_watson.emulator.script_jobs import Jobs
from cloudtune_watson.emulator.shapes import ANY, FREE, TEXT, WHOLE, ListOf, Map, demand
from cloudtune_watson.emulator.state import Job, Prepared, State
from cloudtune_watson.emulator.storage import Scope, Volume, scope_in, scope_of
from cloudtune_watson.emulator.times import instant
from cloudtune_watson.emulator.wire import Answer, Call, said

_MOST = 200
"""Rows of a list ("Limit cannot be larger than 200", ``wml_resource.py`` of ibm_watsonx_ai)."""
_USUAL = 100
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_OTHERS = ("pipeline", "experiment", "federated_learning", "prompt_tuning", "parameters")
"""What else a training may be, which is not here."""
_REFERENCE = Map(
    {"type": TEXT, "location": FREE},
    {"id": TEXT, "name": TEXT, "connection": FREE, "schema": FREE},
)
_SPEC = Map({}, {"id": TEXT, "name": TEXT, "rev": TEXT, "href": TEXT})
SHAPE = Map(
    {"training_data_references": ListOf(_REFERENCE), "results_reference": _REFERENCE},
    {
        "name": TEXT,
        "description": TEXT,
        "tags": ListOf(TEXT),
        "space_id": TEXT,
        "project_id": TEXT,
        "custom": FREE,
        "type": TEXT,
        "test_data_references": ListOf(_REFERENCE),
        "test_output_data": FREE,
        **dict.fromkeys((*_OTHERS, "auto_update_model"), ANY),
        "model_definition": Map(
            {"id": TEXT},
            {
                "command": TEXT,
                "model_type": TEXT,
                "parameters": FREE,
                "rev": TEXT,
                "hardware_spec": Map({}, {**_SPEC.optional, "nodes": WHOLE, "num_nodes": WHOLE}),
                "software_spec": _SPEC,
            },
        ),
    },
)
"""Of a request."""
_WORDS: Mapping[State, str] = {
    "waiting": "pending",
    "running": "running",
    "storing": "storing",
    "completed": "completed",
    "failed": "failed",
    "stopped": "canceled",
}


@dataclass
class Training:
    """One training job."""

    scope: Scope
    request: Json
    job: Job


class Trainings:
    """The training jobs of all spaces and projects."""

    def __init__(
        self, folder: Path, volume: Volume, assets: Assets, jobs: Jobs, faults: FaultPlan
    ) -> None:
        self._folder = folder
        self._volume = volume
        self._assets = assets
        self._jobs = jobs
        self._faults = faults
        self._trainings: dict[str, Training] = {}

    def create(self, call: Call) -> Answer:
        """POST /ml/v4/trainings."""
        _demand_version(call)
        request = call.json()
        demand(request, SHAPE)
        scope = scope_of(request.get("space_id"), request.get("project_id"))
        _demand_here(request)
        new = str(uuid.uuid4())
        results = self._home(request, new)
        job = Job(
            id=new,
            log=results / "logs" / "learner-1" / "training-log.txt",
            prepare=self._preparation(scope, request, new),
            live=True,
            fault=self._faults.of_trial(),
        )
        made = self._trainings[new] = Training(scope, request, job)
        self._jobs.launch(job)
        return said(_told(made), 201)

    def get(self, call: Call) -> Answer:
        """GET /ml/v4/trainings/{id}."""
        _demand_version(call)
        return said(_told(self._training(call)))

    def list(self, call: Call) -> Answer:
        """GET /ml/v4/trainings: the newest first; with several tags those that have all of them.

        That order, and what several tags mean, are chosen.
        """
        _demand_version(call)
        scope = scope_in(call)
        most, start = _page(call)
        found = [each for each in reversed(self._trainings.values()) if each.scope == scope]
        found = [each for each in found if _is_wanted(each, call)]
        answer: Json = {
            "limit": most,
            "first": {"href": _href(call, most)},
            "total_count": len(found),
            "resources": [_told(each) for each in found[start : start + most]],
        }
        if start + most < len(found):
            answer["next"] = {"href": _href(call, most, start + most)}
        return said(answer)

    def delete(self, call: Call) -> Answer:
        """DELETE /ml/v4/trainings/{id}: cancels it; with ``hard_delete`` forgets it too.

        "Job already completed with state" is what both clients look for (``training.py``,
        ``cancel``).
        """
        _demand_version(call)
        found = self._training(call)
        if call.one("hard_delete") == "true":
            self._jobs.stop(found.job)
            del self._trainings[found.job.id]
        elif found.job.over:
            raise invalid(f"Job already completed with state {_WORDS[found.job.state]}.")
        else:
            self._jobs.stop(found.job)
        return Answer(204)

    def _training(self, call: Call) -> Training:
        scope = scope_in(call)
        found = self._trainings.get(call.named["id"])
        if found is None or found.scope != scope:
            raise not_found(f"The training {call.named['id']!r} does not exist.")
        return found

    def _home(self, request: Json, training_id: str) -> Path:
        """Return where the results of a training lie; the folder with its id is chosen."""
        return self._volume.at(f"{request['results_reference']['location']['path']}/{training_id}")

    def _preparation(self, scope: Scope, request: Json, new: str) -> Callable[[], Prepared]:
        """Return what makes a job's folders, once all that it names is known to be there."""
        asked = request["model_definition"]
        asset, archive = self._assets.find(scope, asked["id"])
        command = asked.get("command") or asset.command
        if not isinstance(command, str):
            raise invalid("Neither the training nor its model definition has a command.")
        home = self._home(request, new)
        own = self._folder / new
        inputs = [
            self._volume.at(each["location"]["path"])
            for each in request["training_data_references"]
        ]
        data = inputs[0] if inputs else own / "data"
        container = Container(own, data, home, home / "logs" / "learner-1")

        def prepare() -> Prepared:
            if inputs and not data.exists():
                raise BadSpec(f"the data are not on the volume: {data.name}")
            python = contain(container, unzip(archive))
            if not inputs:
                data.mkdir()
            return Prepared(
                training(command, container, new, python),
                Written(container.result, container.logs),
            )

        return prepare


def _demand_version(call: Call) -> None:
    """Refuse a call without the version of the API, which every one of IBM's clients sends."""
    if not _DATE.fullmatch(call.one("version") or ""):
        raise invalid("The parameter 'version' is required, as YYYY-MM-DD.")


def _demand_here(request: Json) -> None:
    """Refuse what this emulator cannot run, and what is no place on its volume."""
    others = [name for name in _OTHERS if name in request]
    if others or "model_definition" not in request:
        raise not_here(
            "This emulator runs trainings with a model_definition alone"
            + (f", not with {' and '.join(others)}." if others else ".")
        )
    references = [*request["training_data_references"], request["results_reference"]]
    for reference in references:
        if reference["type"] != "fs":
            raise not_here(f"This emulator has references of the type fs, not {reference['type']}.")
        if not isinstance(reference["location"].get("path"), str):
            raise invalid("A reference of the type fs needs 'location.path'.")
    nodes = request["model_definition"].get("hardware_spec", {})
    if nodes.get("nodes", nodes.get("num_nodes", 1)) < 1:
        raise invalid("'model_definition.hardware_spec.nodes' must be at least 1.")


def _is_wanted(training: Training, call: Call) -> bool:
    """Tell whether a training passes the filters of a list."""
    tags = set(training.request.get("tags", ()))
    state, definition = call.one("state"), call.one("training_definition_id")
    return (
        all(tag in tags for tag in call.query.get("tag.value", ()))
        and state in (None, _WORDS[training.job.state])
        and definition in (None, training.request["model_definition"]["id"])
        and call.one("type") is None
    )


def _page(call: Call) -> tuple[int, int]:
    limit, start = call.one("limit", str(_USUAL)) or "", call.one("start", "0") or ""
    if not (limit.isdecimal() and len(limit) < 4 and 1 <= int(limit) <= _MOST):
        raise invalid(f"The parameter 'limit' must be between 1 and {_MOST}.")
    if not (start.isdecimal() and start.isascii() and len(start) < 10):
        raise invalid("The parameter 'start' must be one that a list has told.")
    return int(limit), int(start)


def _href(call: Call, limit: int, start: int | None = None) -> str:
    from urllib.parse import urlencode

    query = [(k, v) for k, vs in call.query.items() if k not in {"limit", "start"} for v in vs]
    query.append(("limit", str(limit)))
    if start is not None:
        query.append(("start", str(start)))
    return f"/ml/v4/trainings?{urlencode(query)}"


def _told(made: Training) -> Json:
    """Return a training as the service tells of it.

    ``metadata.id``, ``metadata.created_at`` and ``entity.status.state`` are what both clients read.
    Metrics are as IBM's watsonx-ai-node-sdk has them (``TrainingMetric``), the failure as its
    ``TrainingStatus``. Where results lie, beside ``path``, is chosen; that there is a file
    ``learner-1/training-log.txt`` below ``logs`` is in ``_COS_logs`` of both clients.
    """
    request, job = made.request, made.job
    path = f"{request['results_reference']['location']['path'].rstrip('/')}/{job.id}"
    location: Json = {
        **request["results_reference"]["location"],
        "training": path,
        "model": f"{path}/model",
        "logs": f"{path}/logs",
        "training_log": f"{path}/logs/learner-1/training-log.txt",
    }
    about = {name: request[name] for name in ("name", "description", "tags") if name in request}
    entity = {
        name: value
        for name, value in request.items()
        if name not in {"name", "description", "tags", "space_id", "project_id"}
    }
    return {
        "metadata": {
            "id": job.id,
            "created_at": instant(job.created),
            "modified_at": instant(job.changed),
            made.scope[0]: made.scope[1],
            **about,
        },
        "entity": {
            **entity,
            **about,
            "results_reference": {**request["results_reference"], "location": location},
            "status": _status(job),
        },
    }


def _status(job: Job) -> Json:
    status: Json = {"state": _WORDS[job.state]}
    if job.started is not None:
        status["running_at"] = instant(job.started)
    if job.ended is not None:
        status["completed_at"] = instant(job.ended)
    if job.measured:
        status["metrics"] = [
            {
                "timestamp": instant(min(max(found.time, 0.0), 4e9)),
                "iteration": found.step,
                "ml_metrics": dict(found.metrics),
            }
            for found in job.measured
        ]
    if job.state == "failed":
        failure = ServiceError(400, "training_failed", job.reason)
        errors = [{"code": code, "message": message} for code, message in failure.wrong]
        status["failure"] = {"trace": job.id, "errors": errors}
        status["message"] = {"level": "error", "text": job.reason.partition("\n")[0]}
    return status
