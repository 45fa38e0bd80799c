"""Stored files: assets with one attachment, as IBM's clients store and find them.

They are model definitions, scripts of deployments, and data assets, such as the results of jobs.

The calls are those of ``model_definition.py`` (``store``, ``download``, ``delete``) and
``wml_resource.py`` (``_get_asset_based_resource``) of ibm_watsonx_ai 1.8.1;
ibm_watson_machine_learning 1.0.370 has the same; those of the others are in ``script.py`` and
``assets.py``. Searches use Lucene's syntax
("cpd-cli asset search" of IBM's documentation); here ``*:*`` and ``FIELD:VALUE``, joined by AND,
for ``asset.name`` and ``asset.tags``, whose whole values are compared. How the service splits
values into words is not established.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cloudtune.emulator_kit import Json, Response, is_map, json_response, operation
from cloudtune_watson.emulator.errors import invalid, not_found, unimplemented, unknown_reference
from cloudtune_watson.emulator.keys import Keys
from cloudtune_watson.emulator.storage import Scope, Volume, scope_in
from cloudtune_watson.emulator.times import format_time
from cloudtune_watson.emulator.wire import (
    ANY,
    FREE,
    TEXT,
    WHOLE,
    Call,
    ListOf,
    Map,
    demand,
    is_whole,
)

KIND = "wml_model_definition"
SCRIPT, DATA = "script", "data_asset"
_KINDS = {KIND: "model definition", SCRIPT: "script", DATA: "data asset"}
"""The types of assets, with what they are."""
_MAX_ROWS = 200
"""Of one response to a search."""
_TERM = re.compile(r'\s*(?P<field>[\w.*]+):(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+))\s*')
_SHAPE = Map(
    {
        "metadata": Map(
            {"name": TEXT, "asset_type": TEXT},
            {
                "description": TEXT,
                "tags": ListOf(TEXT),
                "origin_country": TEXT,
                "rov": FREE,
                "asset_category": TEXT,
                "asset_attributes": ListOf(TEXT),
            },
        )
    },
    {"entity": FREE, "attachments": ListOf(FREE)},
)
_ASSET = "/v2/assets/{id}"
_ATTACHMENT = f"{_ASSET}/attachments/{{attachment}}"


@dataclass
class Attachment:
    """The content of an asset."""

    id: str
    name: str
    path: str
    """Its path in its space."""
    complete: bool = False


@dataclass
class Asset:
    """An asset. Changed only under the emulator's lock."""

    id: str
    scope: Scope
    metadata: Json
    """As in the request."""
    entity: Json
    created: float = field(default_factory=time.time)
    attachments: list[Attachment] = field(default_factory=list[Attachment])

    @property
    def kind(self) -> str:
        """Its type."""
        kind: str = self.metadata["asset_type"]
        return kind

    @property
    def command(self) -> object:
        """The command of its trainings; of any type, since a client may store anything."""
        definition: object = self.entity.get(KIND)
        return definition.get("command") if is_map(definition) else None

    def field_values(self, name: str) -> list[str]:
        """Return the values of a searchable field."""
        if name == "asset.name":
            return [self.metadata["name"]]
        return list(self.metadata.get("tags", ()))


class Assets:
    """The assets of all spaces and projects."""

    def __init__(self, volume: Volume, keys: Keys) -> None:
        self._volume = volume
        self._keys = keys
        self._assets: dict[str, Asset] = {}

    def find(self, scope: Scope, asset_id: str, kind: str = KIND) -> tuple[Asset, Path]:
        """Return an asset that a job uses, and the path of its content.

        Raises:
            ServiceError: If it does not exist, or has no content.
        """
        asset = self._assets.get(asset_id)
        name = _KINDS[kind]
        if asset is None or asset.scope != scope or asset.kind != kind:
            raise unknown_reference(f"The {name} {asset_id!r} is not in the {scope[0][:-3]}.")
        complete = [each for each in asset.attachments if each.complete]
        if not complete:
            raise unknown_reference(f"The {name} {asset_id!r} has no content.")
        return asset, self._volume.file(scope, complete[-1].path)

    def add(self, scope: Scope, name: str, store: Callable[[Path], None]) -> str:
        """Create a data asset with content of the service itself, and return its id.

        Raises:
            OSError: If the content cannot be stored.
        """
        about = {"name": name, "asset_type": DATA, "asset_category": "USER"}
        asset = Asset(str(uuid.uuid4()), scope, about, {DATA: {"mime_type": "application/zip"}})
        attachment = _new_attachment(asset, name)
        path = self._volume.file(scope, attachment.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        store(path)
        attachment.complete = True
        self._assets[asset.id] = asset
        return asset.id

    @operation("POST", "/v2/assets", name="CreateAsset")
    def create(self, call: Call) -> Response:
        """POST /v2/assets."""
        scope = scope_in(call)
        document = call.json()
        demand(document, _SHAPE)
        metadata: Json = document["metadata"]
        if metadata["asset_type"] not in _KINDS:
            raise unimplemented(f"This emulator has assets of the types {', '.join(_KINDS)} only.")
        if not metadata["name"].strip():
            raise invalid("'metadata.name' must not be empty.")
        asset = Asset(str(uuid.uuid4()), scope, metadata, document.get("entity", {}))
        self._assets[asset.id] = asset
        return json_response(self._view(asset), 201)

    @operation("GET", _ASSET, name="GetAsset")
    def get(self, call: Call) -> Response:
        """GET /v2/assets/{id}."""
        return json_response(self._view(self._asset(call)))

    @operation("DELETE", _ASSET, name="DeleteAsset")
    def delete(self, call: Call) -> Response:
        """DELETE /v2/assets/{id}."""
        asset = self._asset(call)
        for each in asset.attachments:
            self._volume.file(asset.scope, each.path).unlink(missing_ok=True)
        del self._assets[asset.id]
        return Response(204)

    @operation("POST", "/v2/asset_types/{type}/search", name="SearchAssets")
    def search(self, call: Call) -> Response:
        """POST /v2/asset_types/{type}/search: newest first; entities only on request."""
        scope = scope_in(call)
        kind = call.names["type"]
        if kind not in (*_KINDS, "asset"):
            raise unimplemented(f"This emulator has assets of the types {', '.join(_KINDS)} only.")
        document = call.json()
        optional = {"limit": WHOLE, "sort": TEXT, "include": TEXT, "bookmark": ANY, "skip": ANY}
        demand(document, Map({"query": TEXT}, {**optional, "next": ANY}))
        terms = _terms(document["query"])
        matches = [
            asset
            for asset in reversed(self._assets.values())
            if asset.scope == scope
            and kind in (asset.kind, "asset")
            and all(value in asset.field_values(name) for name, value in terms)
        ]
        start: object = document.get("bookmark", 0)
        limit: int = document.get("limit", _MAX_ROWS)
        if not (
            is_whole(start) and isinstance(start, int) and start >= 0 and 1 <= limit <= _MAX_ROWS
        ):
            raise invalid(f"limit must be between 1 and {_MAX_ROWS}, and bookmark from a response.")
        rows = [self._view(asset) for asset in matches[start : start + limit]]
        if "entity" not in document.get("include", ""):
            rows = [{"metadata": row["metadata"]} for row in rows]
        page: Json = {"total_rows": len(matches), "results": rows}
        if start + limit < len(matches):
            page["next"] = {**document, "bookmark": start + limit}
        return json_response(page)

    @operation("POST", f"{_ASSET}/attachments", name="CreateAttachment")
    def attach(self, call: Call) -> Response:
        """POST /v2/assets/{id}/attachments: the URL for its content."""
        asset = self._asset(call)
        document = call.json()
        optional = {"name": TEXT, "mime": TEXT, "description": TEXT, "data_partitions": WHOLE}
        demand(document, Map({"asset_type": TEXT}, {**optional, "private_url": ANY}))
        attachment = _new_attachment(asset, document.get("name", "attachment"))
        url = self._keys.signed_url(attachment.path, asset.scope)
        return json_response(_attachment_view(asset, attachment) | {"url1": url}, 201)

    @operation("GET", _ATTACHMENT)
    def get_attachment(self, call: Call) -> Response:
        """GET /v2/assets/{id}/attachments/{attachment}: the URL of its content."""
        asset = self._asset(call)
        attachment = _attachment(asset, call)
        url = self._keys.signed_url(attachment.path, asset.scope)
        return json_response(_attachment_view(asset, attachment) | {"url": url})

    @operation("POST", f"{_ATTACHMENT}/complete", name="CompleteAttachment")
    def complete(self, call: Call) -> Response:
        """POST /v2/assets/{id}/attachments/{attachment}/complete."""
        asset = self._asset(call)
        attachment = _attachment(asset, call)
        if not self._volume.file(asset.scope, attachment.path).is_file():
            raise invalid("The attachment has no content.")
        attachment.complete = True
        return json_response(_attachment_view(asset, attachment))

    def _asset(self, call: Call) -> Asset:
        scope = scope_in(call)
        asset = self._assets.get(call.names["id"])
        if asset is None or asset.scope != scope:
            raise not_found(f"The asset {call.names['id']!r} cannot be found.")
        return asset

    def _view(self, asset: Asset) -> Json:
        paths = [self._volume.file(asset.scope, each.path) for each in asset.attachments]
        return _view(asset, sum(path.stat().st_size for path in paths if path.is_file()))


def _new_attachment(asset: Asset, name: str) -> Attachment:
    id_ = str(uuid.uuid4())
    attachment = Attachment(id_, name, f"{asset.kind}/{asset.id}/{id_}")
    asset.attachments.append(attachment)
    return attachment


def _attachment(asset: Asset, call: Call) -> Attachment:
    name = call.names["attachment"]
    attachment = next((each for each in asset.attachments if each.id == name), None)
    if attachment is None:
        raise not_found(f"The attachment {name!r} cannot be found.")
    return attachment


def _terms(query: str) -> list[tuple[str, str]]:
    terms: list[tuple[str, str]] = []
    for part in re.split(r"\sAND\s", query):
        match = _TERM.fullmatch(part)
        if match is None or match["field"] not in ("*", "asset.name", "asset.tags"):
            raise unimplemented(
                "This emulator finds assets by *:*, and by asset.name:VALUE and asset.tags:VALUE, "
                "joined by AND."
            )
        if match["field"] != "*":
            value = match["quoted"] if match["quoted"] is not None else match["plain"]
            terms.append((match["field"], value.replace("\\", "")))
    return terms


def _view(asset: Asset, size: int) -> Json:
    """Return an asset in the service's form.

    For the required elements see ``_get_required_element_from_response`` in both clients'
    ``model_definition.py``, and in ``script.py`` and ``assets.py`` of the newer one, which lists
    the size, too; that it counts the attachments is chosen.
    """
    created = format_time(asset.created)
    return {
        "metadata": {
            "rov": {"mode": 0},
            "tags": [],
            "description": "",
            **asset.metadata,
            "asset_id": asset.id,
            asset.scope[0]: asset.scope[1],
            "created_at": created,
            "usage": {"last_updated_at": created, "access_count": 0},
            "asset_state": "available",
            "size": size,
        },
        "href": f"/v2/assets/{asset.id}?{asset.scope[0]}={asset.scope[1]}",
        "entity": asset.entity,
        "attachments": [_attachment_view(asset, each) for each in asset.attachments],
    }


def _attachment_view(asset: Asset, attachment: Attachment) -> Json:
    return {
        "attachment_id": attachment.id,
        "id": attachment.id,
        "asset_type": asset.kind,
        "name": attachment.name,
        "transfer_complete": attachment.complete,
    }
