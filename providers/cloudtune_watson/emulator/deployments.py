"""Batch deployments of scripts, as IBM's client creates, reads and deletes them.

The calls are those of ``deployments.py`` of ibm_watsonx_ai 1.8.1 (``create``, ``get_details``,
``delete``); filters and states are those of IBM/cpdctl at 980be13 and of the types of API v4 in
IBM/abap-sdk-nwas-x at 9cb5754. Chosen: names need not be unique, and the jobs of a deleted
deployment disappear.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from cloudtune.emulator_kit import Context, Json, Response, is_map, json_response, operation
from cloudtune_watson.emulator import delays
from cloudtune_watson.emulator.assets import SCRIPT, Assets
from cloudtune_watson.emulator.errors import invalid, not_found, unimplemented
from cloudtune_watson.emulator.lists import demand_version, page_of
from cloudtune_watson.emulator.script_jobs import Jobs
from cloudtune_watson.emulator.storage import Scope, scope_in, scope_of
from cloudtune_watson.emulator.times import format_time
from cloudtune_watson.emulator.wire import (
    FREE,
    TEXT,
    WHOLE,
    Call,
    ListOf,
    Map,
    demand,
)

HARDWARE = Map({}, {"id": TEXT, "name": TEXT, "rev": TEXT, "num_nodes": WHOLE})
REQUEST = Map(
    {"name": TEXT, "space_id": TEXT},
    {
        "asset": Map({"id": TEXT}, {"rev": TEXT, "href": TEXT}),
        "batch": FREE,
        "online": FREE,
        "r_shiny": FREE,
        "description": TEXT,
        "tags": ListOf(TEXT),
        "custom": FREE,
        "hardware_spec": HARDWARE,
        "hybrid_pipeline_hardware_specs": ListOf(FREE),
        "prompt_template": FREE,
        "base_model_id": TEXT,
    },
)
_KINDS = ("batch", "online", "r_shiny")
PATH = "/ml/v4/deployments"


@dataclass
class Deployment:
    """A deployment. Changed only under the emulator's lock."""

    id: str
    scope: Scope
    request: Json
    ready: float = math.inf
    """When it becomes ready, in epoch seconds; never in the answer to its creation."""
    created: float = field(default_factory=time.time)

    @property
    def script(self) -> str:
        """The id of its script."""
        id_: str = self.request["asset"]["id"]
        return id_

    @property
    def state(self) -> str:
        """The state, in IBM's word."""
        return "ready" if time.time() >= self.ready else "initializing"


class Deployments:
    """The deployments of all spaces."""

    def __init__(
        self, assets: Assets, context: Context[Jobs], delete_jobs: Callable[[str], None]
    ) -> None:
        self._assets = assets
        self._context = context
        self._delete_jobs = delete_jobs
        """Deletes the jobs of a deployment."""
        self._deployments: dict[str, Deployment] = {}

    def find(self, scope: Scope, deployment_id: str) -> Deployment | None:
        """Return a deployment of a space."""
        deployment = self._deployments.get(deployment_id)
        return deployment if deployment is not None and deployment.scope == scope else None

    @operation("POST", PATH, name="CreateDeployment")
    def create(self, call: Call) -> Response:
        """POST /ml/v4/deployments."""
        demand_version(call)
        request = call.json()
        demand(request, REQUEST)
        scope = scope_of(request["space_id"], None)
        kinds = [kind for kind in _KINDS if kind in request]
        if len(kinds) != 1:
            raise invalid(f"Exactly one of {', '.join(_KINDS)} is required.")
        if kinds != ["batch"] or "asset" not in request:
            raise unimplemented("This emulator has batch deployments of scripts only.")
        self._assets.find(scope, request["asset"]["id"], SCRIPT)
        created = Deployment(str(uuid.uuid4()), scope, request)
        answer = _view(created)
        created.ready = time.time() + delays.DEPLOYING / self._context.delays.speed
        self._deployments[created.id] = created
        return json_response(answer, 202)

    @operation("GET", f"{PATH}/{{id}}", name="GetDeployment")
    def get(self, call: Call) -> Response:
        """GET /ml/v4/deployments/{id}."""
        demand_version(call)
        return json_response(_view(self._named(call)))

    @operation("GET", PATH, name="ListDeployments")
    def list(self, call: Call) -> Response:
        """GET /ml/v4/deployments, by name, asset and tags."""
        demand_version(call)
        scope = scope_in(call)
        name, asset, tags = call.one("name"), call.one("asset_id"), call.query.get("tag.value", ())
        rows = [
            _view(each)
            for each in self._deployments.values()
            if each.scope == scope
            and name in (None, each.request["name"])
            and asset in (None, each.script)
            and set(tags) <= set(each.request.get("tags", ()))
        ]
        return json_response(page_of(call, PATH, rows))

    @operation("DELETE", f"{PATH}/{{id}}", name="DeleteDeployment")
    def delete(self, call: Call) -> Response:
        """DELETE /ml/v4/deployments/{id}: scripts and results stay."""
        demand_version(call)
        deployment = self._named(call)
        self._delete_jobs(deployment.id)
        del self._deployments[deployment.id]
        return Response(204)

    def _named(self, call: Call) -> Deployment:
        deployment = self.find(scope_in(call), call.names["id"])
        if deployment is None:
            raise not_found(f"The deployment {call.names['id']!r} does not exist.")
        return deployment


def _view(deployment: Deployment) -> Json:
    """Return a deployment in the form that IBM's notebooks print."""
    request, created = deployment.request, format_time(deployment.created)
    hardware = request.get("hardware_spec", {})
    about = {name: request[name] for name in ("description", "tags") if name in request}
    return {
        "entity": {
            "asset": request["asset"],
            "batch": {},
            "custom": request["custom"] if is_map(request.get("custom")) else {},
            "deployed_asset_type": "py_script",
            "hardware_spec": {"num_nodes": 1, **hardware},
            "name": request["name"],
            "space_id": deployment.scope[1],
            "status": {"state": deployment.state},
        },
        "metadata": {
            "id": deployment.id,
            "name": request["name"],
            "owner": "emulated",
            "created_at": created,
            "modified_at": created,
            "space_id": deployment.scope[1],
            **about,
        },
    }
