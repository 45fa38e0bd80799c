"""Training jobs of ``/ml/v4/trainings``, which IBM's clients create, read and cancel.

The calls are those of ``training.py`` of ibm_watsonx_ai 1.8.1 (``run``, ``get_details``,
``get_status``, ``get_metrics``, ``cancel``) and of ibm_watson_machine_learning 1.0.370. The request
is that of the notebooks "Use Keras and HPO to recognize hand-written digits" of
IBM/watsonx-ai-samples.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

from cloudtune.emulator_kit import Context, Json, Response, is_map, json_response, operation
from cloudtune_watson.contract import Container, InvalidSpecError, MetricFiles, training_start
from cloudtune_watson.emulator import views
from cloudtune_watson.emulator.assets import Assets
from cloudtune_watson.emulator.errors import invalid, not_found, unimplemented
from cloudtune_watson.emulator.lists import demand_version, page_of
from cloudtune_watson.emulator.models import write_request
from cloudtune_watson.emulator.script import create_container, unzip
from cloudtune_watson.emulator.script_jobs import Jobs
from cloudtune_watson.emulator.state import Job, Script, Training
from cloudtune_watson.emulator.storage import Scope, Volume, scope_in, scope_of
from cloudtune_watson.emulator.wire import (
    ANY,
    FREE,
    TEXT,
    WHOLE,
    Call,
    ListOf,
    Map,
    demand,
)

_OTHERS = ("pipeline", "experiment", "federated_learning", "prompt_tuning", "parameters")
"""The kinds of trainings that this emulator does not have."""
_REFERENCE = Map(
    {"type": TEXT, "location": FREE},
    {"id": TEXT, "name": TEXT, "connection": FREE, "schema": FREE},
)
_SPEC = Map({}, {"id": TEXT, "name": TEXT, "rev": TEXT, "href": TEXT})
REQUEST = Map(
    {"training_data_references": ListOf(_REFERENCE), "results_reference": _REFERENCE},
    {
        "name": TEXT,
        "description": TEXT,
        "tags": ListOf(ANY),
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
PATH = "/ml/v4/trainings"


class Trainings:
    """The training jobs of all spaces and projects."""

    def __init__(self, volume: Volume, assets: Assets, context: Context[Jobs]) -> None:
        self._volume = volume
        self._assets = assets
        self._context = context
        self._jobs = context.jobs
        self._trainings: dict[str, Training] = {}

    @operation("POST", PATH, name="CreateTraining")
    def create(self, call: Call) -> Response:
        """POST /ml/v4/trainings."""
        demand_version(call)
        request = call.json()
        demand(request, REQUEST)
        scope = scope_of(request.get("space_id"), request.get("project_id"))
        _demand_supported(request)
        _tags(request)
        training_id = str(uuid.uuid4())
        log = self._results(request, training_id) / "logs"
        job = Job(
            id=training_id,
            log=log / "learner-1" / "training-log.txt",
            prepare=self._preparation(scope, request, training_id),
            live=True,
            keep=lambda: write_request(self._volume, created),
            fault=self._context.faults.next_trial(),
        )
        created = self._trainings[training_id] = Training(scope, request, job)
        self._jobs.launch(job)
        return json_response(views.training(created), 201)

    @operation("GET", f"{PATH}/{{id}}", name="GetTraining")
    def get(self, call: Call) -> Response:
        """GET /ml/v4/trainings/{id}."""
        demand_version(call)
        return json_response(views.training(self._training(call)))

    @operation("GET", PATH, name="ListTrainings")
    def list(self, call: Call) -> Response:
        """GET /ml/v4/trainings: newest first; several tags must all match. Both are chosen."""
        demand_version(call)
        scope = scope_in(call)
        matches = [
            each
            for each in reversed(self._trainings.values())
            if each.scope == scope and _matches(each, call)
        ]
        rows = [views.training(each) for each in matches]
        return json_response(page_of(call, PATH, rows))

    @operation("DELETE", f"{PATH}/{{id}}", name="DeleteTraining")
    def delete(self, call: Call) -> Response:
        """DELETE /ml/v4/trainings/{id}: cancel it; with ``hard_delete`` also delete it.

        Both clients look for "Job already completed with state" (``training.py``,
        ``cancel``).
        """
        demand_version(call)
        training = self._training(call)
        if call.one("hard_delete") == "true":
            self._jobs.stop(training.job)
            del self._trainings[training.job.id]
        elif training.job.is_over:
            state = views.TRAINING_STATES[training.job.state]
            raise invalid(f"Job already completed with state {state}.")
        else:
            self._jobs.stop(training.job)
        return Response(204)

    def _training(self, call: Call) -> Training:
        scope = scope_in(call)
        training = self._trainings.get(call.names["id"])
        if training is None or training.scope != scope:
            raise not_found(f"The training {call.names['id']!r} does not exist.")
        return training

    def _results(self, request: Json, training_id: str) -> Path:
        """Return the folder of a training's results; that its name is the id is chosen."""
        return self._volume.at(f"{request['results_reference']['location']['path']}/{training_id}")

    def _preparation(self, scope: Scope, request: Json, training_id: str) -> Callable[[], Script]:
        """Check that what a request names exists; return what creates the job's container."""
        definition = request["model_definition"]
        asset, archive = self._assets.find(scope, definition["id"])
        command = definition.get("command") or asset.command
        if not isinstance(command, str):
            raise invalid("Neither the training nor its model definition has a command.")
        results = self._results(request, training_id)
        folder = self._context.folder / "jobs" / training_id
        inputs = [
            self._volume.at(each["location"]["path"])
            for each in request["training_data_references"]
        ]
        data = inputs[0] if inputs else folder / "data"
        container = Container(folder, data, results, results / "logs" / "learner-1")

        def prepare() -> Script:
            if inputs and not data.exists():
                raise InvalidSpecError(f"the data are not on the volume: {data.name}")
            python = create_container(container, unzip(archive))
            if not inputs:
                data.mkdir()
            return Script(
                training_start(command, container, training_id, python),
                MetricFiles(container.result, container.logs),
            )

        return prepare


def _demand_supported(request: Json) -> None:
    """Refuse what this emulator cannot run."""
    others = [name for name in _OTHERS if name in request]
    if others or "model_definition" not in request:
        raise unimplemented(
            "This emulator only runs trainings with a model_definition"
            + (f", not with {' and '.join(others)}." if others else ".")
        )
    references = [*request["training_data_references"], request["results_reference"]]
    for reference in references:
        if reference["type"] != "fs":
            raise unimplemented(
                f"This emulator has references of the type fs, not {reference['type']}."
            )
        if not isinstance(reference["location"].get("path"), str):
            raise invalid("A reference of the type fs needs 'location.path'.")
    nodes = request["model_definition"].get("hardware_spec", {})
    if nodes.get("nodes", nodes.get("num_nodes", 1)) < 1:
        raise invalid("'model_definition.hardware_spec.nodes' must be at least 1.")


def _tags(request: Json) -> set[str]:
    """Return the tags of a training, each a text or an object with a value.

    Both forms are in IBM's documents: texts in the notebooks, objects in the older API v4.

    Raises:
        ServiceError: If a tag is anything else.
    """
    tags: list[str] = []
    for index, tag in enumerate(request.get("tags", ())):
        text = tag.get("value") if is_map(tag) else tag
        if not isinstance(text, str):
            raise invalid(f"'tags[{index}]' must be a text, or an object with a 'value'.")
        tags.append(text)
    return set(tags)


def _matches(training: Training, call: Call) -> bool:
    """Return whether a training passes the filters of a list."""
    tags = _tags(training.request)
    state, definition = call.one("state"), call.one("training_definition_id")
    return (
        all(tag in tags for tag in call.query.get("tag.value", ()))
        and state in (None, views.TRAINING_STATES[training.job.state])
        and definition in (None, training.request["model_definition"]["id"])
        and call.one("type") is None
    )
