"""Stored models, as IBM's clients create them from trainings.

The client reads the file ``request.json`` of a completed training, and creates a model from it
(``_publish_from_training`` in ``models.py`` of ibm_watsonx_ai 1.8.1). Its path is that of the
recorded trainings of 2023 and 2024 (tests/recordings/ibm, ``model_request_path``): the client
appends it to ``assets_path`` and gets the same. Its ``DataConnection.download_folder`` cannot read
the file: it removes everything up to the first ``/assets/`` twice (``load_file_from_file_system``
in ``utils/autoai/utils.py``). The content of a model is not kept, and what the service itself adds
to a model is chosen.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field

from cloudtune.emulator_kit import Json, Response, json_response, operation
from cloudtune_watson.emulator.errors import not_found
from cloudtune_watson.emulator.lists import demand_version, page_of
from cloudtune_watson.emulator.state import Training
from cloudtune_watson.emulator.storage import Scope, Volume, scope_in, scope_of
from cloudtune_watson.emulator.times import format_time
from cloudtune_watson.emulator.wire import (
    ANY,
    FREE,
    TEXT,
    Call,
    ListOf,
    Map,
    demand,
)

PATH = "/ml/v4/models"
_REQUEST = Map(
    {"name": TEXT, "type": TEXT},
    {
        "space_id": TEXT,
        "project_id": TEXT,
        "description": TEXT,
        "tags": ListOf(TEXT),
        "content_location": FREE,
        "software_spec": FREE,
        **dict.fromkeys(("label_column", "schemas", "custom", "hyper_parameters", "metrics"), ANY),
    },
)


@dataclass(frozen=True)
class Model:
    """A stored model."""

    scope: Scope
    request: Json
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)


class Models:
    """The models of all spaces and projects."""

    def __init__(self) -> None:
        self._models: dict[str, Model] = {}

    @operation("POST", PATH, name="CreateModel")
    def create(self, call: Call) -> Response:
        """POST /ml/v4/models."""
        demand_version(call)
        request = call.json()
        demand(request, _REQUEST)
        model = Model(scope_of(request.get("space_id"), request.get("project_id")), request)
        self._models[model.id] = model
        return json_response(_view(model), 202)

    @operation("GET", f"{PATH}/{{id}}", name="GetModel")
    def get(self, call: Call) -> Response:
        """GET /ml/v4/models/{id}."""
        demand_version(call)
        return json_response(_view(self._named(call)))

    @operation("GET", PATH, name="ListModels")
    def list(self, call: Call) -> Response:
        """GET /ml/v4/models: newest first, which is chosen."""
        demand_version(call)
        scope = scope_in(call)
        rows = [_view(each) for each in reversed(self._models.values()) if each.scope == scope]
        return json_response(page_of(call, PATH, rows))

    @operation("DELETE", f"{PATH}/{{id}}", name="DeleteModel")
    def delete(self, call: Call) -> Response:
        """DELETE /ml/v4/models/{id}."""
        demand_version(call)
        del self._models[self._named(call).id]
        return Response(204)

    def _named(self, call: Call) -> Model:
        model = self._models.get(call.names["id"])
        if model is None or model.scope != scope_in(call):
            raise not_found(f"The model {call.names['id']!r} does not exist.")
        return model


def locations(path: str, training_id: str) -> Json:
    """Return the paths of what a training leaves, below the path of its results."""
    training = f"{path.rstrip('/')}/{training_id}"
    assets = f"{training}/assets"
    return {
        "training": training,
        "training_status": f"{training}/training-status.json",
        "model_request_path": f"{assets}/{training_id}/resources/wml_model/request.json",
        "assets_path": assets,
    }


def write_request(volume: Volume, training: Training) -> None:
    """Write the request that creates the model of a training.

    Raises:
        OSError: If it cannot be written.
    """
    request = training.request
    reference: Json = request["results_reference"]
    paths = locations(reference["location"]["path"], training.job.id)
    definition: Json = request["model_definition"]
    document: Json = {
        "name": request.get("name", training.job.id),
        training.scope[0]: training.scope[1],
        "type": definition.get("model_type", "wml_1.0"),
        "content_location": {
            "type": reference["type"],
            "connection": reference.get("connection", {}),
            "location": {"path": f"{paths['training']}/model"},
            "contents": [],
        },
        "software_spec": definition.get("software_spec", {}),
    }
    file = volume.at(paths["model_request_path"])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document), "utf-8")


def _view(model: Model) -> Json:
    scope = ("space_id", "project_id")
    about = {name: model.request[name] for name in ("description", "tags") if name in model.request}
    created = format_time(model.created)
    entity = {name: part for name, part in model.request.items() if name not in (*scope, *about)}
    return {
        "metadata": {
            "id": model.id,
            "name": model.request["name"],
            model.scope[0]: model.scope[1],
            "created_at": created,
            "modified_at": created,
            **about,
        },
        "entity": {**entity, "content_import_state": "completed"},
    }
