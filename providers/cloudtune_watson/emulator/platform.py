"""Signing in, versions, spaces and projects, as far as needed by IBM's clients.

For these calls see `keys`, ``Set.py:62`` and ``:146`` of ibm_watsonx_ai 1.8.1, which read a space
or a project, and ``platform_spaces.py`` of ibm_watson_machine_learning 1.0.370, which lists spaces
when a client is created.
"""

from __future__ import annotations

import os
import time
from urllib.parse import parse_qsl

from cloudtune.emulator_kit import Json, Response, is_map, json_response, operation
from cloudtune_watson.emulator.errors import invalid, not_found
from cloudtune_watson.emulator.keys import TOKEN_SECONDS, Keys
from cloudtune_watson.emulator.lists import demand_version
from cloudtune_watson.emulator.storage import Scope, scope_of
from cloudtune_watson.emulator.times import format_time
from cloudtune_watson.emulator.wire import ANY, TEXT, Call, Map, demand

VERSION = "CLOUDTUNE_WATSON_VERSION"
"""The variable with the version of Cloud Pak for Data, or ``standalone`` for WML Accelerator."""
STANDALONE = "standalone"
_DEFAULT_VERSION = "5.0"
"""The only version that both of IBM's clients know."""
_INSTANCE = "00000000-0000-4000-8000-00000000aaaa"
"""The instance of watsonx.ai Runtime of every space."""
_SPECIFICATIONS = "/v2/(?P<kind>hardware|software)_specifications"


def version() -> str:
    """Return the emulated version."""
    return os.environ.get(VERSION) or _DEFAULT_VERSION


class Platform:
    """Cloud Pak for Data itself."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._created = time.time()
        self._specifications: dict[str, set[str]] = {"hardware": set(), "software": set()}
        """The names of those that clients have created, by kind."""
        self._seen: dict[Scope, None] = {("space_id", "emulated-space"): None}

    @operation("POST", "/icp4d-api/v1/authorize")
    def authorize(self, call: Call) -> Response:
        """POST /icp4d-api/v1/authorize."""
        document = call.json()
        demand(
            document,
            Map({"username": TEXT}, {"api_key": TEXT, "password": TEXT, "account_id": ANY}),
        )
        token = self._keys.token(document["username"])
        self._keys.is_cloud = False
        return json_response({"_messageCode_": "success", "message": "success", "token": token})

    @operation("POST", "/identity/token", name="GetToken")
    def exchange_key(self, call: Call) -> Response:
        """POST /identity/token, of IBM Cloud's IAM, whose form has the key."""
        form = dict(parse_qsl(call.body.decode("utf-8", "replace")))
        if form.get("grant_type") != "urn:ibm:params:oauth:grant-type:apikey":
            raise invalid("The property 'grant_type' is missing or is not supported.")
        self._keys.is_cloud = True
        now = int(time.time())
        return json_response(
            {
                "access_token": self._keys.token("IBMid-emulated"),
                "refresh_token": "not_supported",
                "token_type": "Bearer",
                "expires_in": TOKEN_SECONDS,
                "expiration": now + TOKEN_SECONDS,
                "scope": "ibm openid",
            }
        )

    @operation("GET", "/auth/v1/logon")
    def logon(self, _call: Call) -> Response:
        """GET /auth/v1/logon, of WML Accelerator, with a password."""
        return json_response({"accessToken": self._keys.token("Admin")})

    @operation("GET", "/ml/wml_services(?:/v2)?/version", name="GetVersion")
    def version(self, _call: Call) -> Response:
        """GET /ml/wml_services/version and /ml/wml_services/v2/version."""
        number = _DEFAULT_VERSION if version() == STANDALONE else version()
        return json_response({"version": f"{number}.0" if number.count(".") == 1 else number})

    @operation("GET", "/v2/spaces")
    def list_spaces(self, call: Call) -> Response:
        """GET /v2/spaces: the default space and those that were used."""
        rows = [self._row(scope) for scope in self._seen if scope[0] == "space_id"]
        limit = call.one("limit", "100") or "100"
        count = int(limit) if limit.isdecimal() and len(limit) < 6 else 100
        return json_response({"limit": count, "resources": rows[:count], "total_count": len(rows)})

    @operation("GET", "/v2/spaces/{id}")
    def get_space(self, call: Call) -> Response:
        """GET /v2/spaces/{id}."""
        return json_response(self._row(self._record(scope_of(call.names["id"], None))))

    @operation("GET", "/v2/projects/{id}")
    def get_project(self, call: Call) -> Response:
        """GET /v2/projects/{id}."""
        return json_response(self._row(self._record(scope_of(None, call.names["id"]))))

    @operation("GET", _SPECIFICATIONS)
    def list_specifications(self, call: Call) -> Response:
        """GET /v2/hardware_specifications and /v2/software_specifications, by name.

        Every name exists, as for trainings, until a client has created one of the kind. The form is
        what ``hw_spec.py`` of ibm_watsonx_ai 1.8.1 reads.
        """
        kind, name = call.names["kind"], call.one("name")
        names = self._specifications[kind] or ({name} if name else set())
        rows = [_specification(kind, each) for each in sorted(names) if name in (None, each)]
        return json_response({"total_results": len(rows), "resources": rows})

    @operation("POST", _SPECIFICATIONS)
    def create_specification(self, call: Call) -> Response:
        """POST /v2/hardware_specifications and /v2/software_specifications."""
        kind, document = call.names["kind"], call.json()
        if not is_map(document):
            raise invalid("The document is not an object.")
        name = str(document.get("name", ""))
        self._specifications[kind].add(name)
        return json_response(_specification(kind, name))

    @operation("GET", f"{_SPECIFICATIONS}/{{id}}")
    def get_specification(self, call: Call) -> Response:
        """GET /v2/hardware_specifications/{id} and /v2/software_specifications/{id}."""
        kind, id_ = call.names["kind"], call.names["id"]
        if not id_.startswith(f"{kind}-"):
            raise not_found(f"The {kind} specification {id_!r} does not exist.")
        return json_response(_specification(kind, id_.removeprefix(f"{kind}-")))

    @operation("GET", "/v1/task_credentials")
    def list_task_credentials(self, _call: Call) -> Response:
        """GET /v1/task_credentials: one, with what ``task_credentials.py`` of 1.8.1 reads."""
        row: Json = {
            "id": "task-credentials-emulated",
            "name": "emulated",
            "type": "iam_api_key",
            "scope": {"type": "account", "id": "999"},
        }
        return json_response({"credentials": [row]})

    @operation("GET", "/ml/v4/instances/{id}")
    def get_instance(self, call: Call) -> Response:
        """GET /ml/v4/instances/{id}: what is used (types of API v4)."""
        demand_version(call)
        consumption = {
            "capacity_unit_hours": {"current": 0, "limit": 20},
            "deployment_job_count": {"current": 0, "limit": 100},
        }
        return json_response(
            {"metadata": {"id": call.names["id"]}, "entity": {"consumption": consumption}}
        )

    def _record(self, scope: Scope) -> Scope:
        self._seen[scope] = None
        return scope

    def _row(self, scope: Scope) -> Json:
        kind, name = scope
        entity: Json = {"name": name, "description": "", "scope": {"bss_account_id": "999"}}
        if kind == "space_id":
            entity["status"] = {"state": "active"}
            entity["type"] = "wx"
            # As IBM's client reads it on IBM Cloud (``Set.py``).
            compute = {"crn": f"crn:v1:emulated:{name}", "guid": _INSTANCE}
            entity["compute"] = [{**compute, "name": "emulated", "type": "machine_learning"}]
        else:
            entity["storage"] = {"type": "assetfiles", "guid": name}
        about = {"created_at": format_time(self._created), "updated_at": format_time(self._created)}
        key = "id" if kind == "space_id" else "guid"
        return {
            "metadata": {key: name, "url": f"/v2/{kind[:-3]}s/{name}", **about},
            "entity": entity,
        }


def _specification(kind: str, name: str) -> Json:
    """Return a specification with what ``sw_spec.py`` of ibm_watsonx_ai 1.8.1 reads."""
    id_ = f"{kind}-{name}"
    about = {"asset_id": id_, "name": name, "asset_type": f"{kind}_specification"}
    about |= {"href": f"/v2/{kind}_specifications/{id_}", "created_at": format_time(0)}
    if kind == "hardware":
        return {"metadata": about, "entity": {}}
    software = {"type": "base", "software_configuration": {"platform": {"name": "python"}}}
    return {"metadata": about, "entity": {"software_specification": software}}
