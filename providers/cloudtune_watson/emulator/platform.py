"""Signing in, versions, spaces and projects, as far as IBM's clients ask for them.

Which calls these are is in `keys` and here: ``Set.py:62`` and ``:146`` of ibm_watsonx_ai 1.8.1 read
a space or a project, ``platform_spaces.py`` of ibm_watson_machine_learning 1.0.370 lists spaces
when a client is made.
"""

from __future__ import annotations

import os
import time

from cloudtune.study.schema import Json
from cloudtune_watson.emulator.keys import Keys
from cloudtune_watson.emulator.shapes import ANY, TEXT, Map, demand
from cloudtune_watson.emulator.storage import Scope, scope_of
from cloudtune_watson.emulator.times import instant
from cloudtune_watson.emulator.wire import Answer, Call, said

VERSION = "CLOUDTUNE_WATSON_VERSION"
"""The variable with the version of Cloud Pak for Data, or ``standalone`` for WML Accelerator."""
STANDALONE = "standalone"
_USUAL = "5.0"
"""The one version that both of IBM's clients know."""


def version() -> str:
    """Return the version that is emulated."""
    return os.environ.get(VERSION) or _USUAL


class Platform:
    """What Cloud Pak for Data itself has."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._begun = time.time()
        self._seen: dict[Scope, None] = {("space_id", "emulated-space"): None}

    def authorize(self, call: Call) -> Answer:
        """POST /icp4d-api/v1/authorize."""
        document = call.json()
        demand(
            document,
            Map({"username": TEXT}, {"api_key": TEXT, "password": TEXT, "account_id": ANY}),
        )
        token = self._keys.token(document["username"])
        return said({"_messageCode_": "success", "message": "success", "token": token})

    def logon(self, _call: Call) -> Answer:
        """GET /auth/v1/logon, of WML Accelerator; the password came with it."""
        return said({"accessToken": self._keys.token("Admin")})

    def version(self, _call: Call) -> Answer:
        """GET /ml/wml_services/version and /ml/wml_services/v2/version."""
        number = _USUAL if version() == STANDALONE else version()
        return said({"version": f"{number}.0" if number.count(".") == 1 else number})

    def list_spaces(self, call: Call) -> Answer:
        """GET /v2/spaces: those that were used, and one."""
        rows = [self._row(scope) for scope in self._seen if scope[0] == "space_id"]
        limit = call.one("limit", "100") or "100"
        most = int(limit) if limit.isdecimal() and len(limit) < 6 else 100
        return said({"limit": most, "resources": rows[:most], "total_count": len(rows)})

    def get_space(self, call: Call) -> Answer:
        """GET /v2/spaces/{id}."""
        return said(self._row(self._noted(scope_of(call.named["id"], None))))

    def get_project(self, call: Call) -> Answer:
        """GET /v2/projects/{id}."""
        return said(self._row(self._noted(scope_of(None, call.named["id"]))))

    def _noted(self, scope: Scope) -> Scope:
        self._seen[scope] = None
        return scope

    def _row(self, scope: Scope) -> Json:
        kind, name = scope
        entity: Json = {"name": name, "description": "", "scope": {"bss_account_id": "999"}}
        if kind == "space_id":
            entity["status"] = {"state": "active"}
            entity["type"] = "wx"
        else:
            entity["storage"] = {"type": "assetfiles", "guid": name}
        about = {"created_at": instant(self._begun), "updated_at": instant(self._begun)}
        key = "id" if kind == "space_id" else "guid"
        return {
            "metadata": {key: name, "url": f"/v2/{kind[:-3]}s/{name}", **about},
            "entity": entity,
        }
