"""Stored model definitions: assets with one attachment, as IBM's clients store and find them.

The calls are those of ``model_definition.py`` (``store``, ``download``, ``delete``) and
``wml_resource.py`` (``_get_asset_based_resource``) of ibm_watsonx_ai 1.8.1;
ibm_watson_machine_learning 1.0.370 makes the same. Searches are written in Lucene's syntax
("cpd-cli asset search" of IBM's documentation); here ``*:*`` and ``FIELD:VALUE``, joined by AND,
for ``asset.name`` and ``asset.tags``, whose whole values are compared. How the service splits
values into words is not established.
"""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from cloudtune.study.schema import Json
from cloudtune.study.yaml_reader import is_map
from cloudtune_watson.emulator.errors import invalid, not_found, not_here, unknown_reference
from cloudtune_watson.emulator.keys import Keys
from cloudtune_watson.emulator.shapes import ANY, FREE, TEXT, WHOLE, ListOf, Map, demand, is_whole
from cloudtune_watson.emulator.storage import Scope, Volume, scope_in
from cloudtune_watson.emulator.times import instant
from cloudtune_watson.emulator.wire import Answer, Call, said

KIND = "wml_model_definition"
_MOST = 200
"""Rows of one answer to a search."""
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


@dataclass
class Attachment:
    """The content of an asset."""

    id: str
    name: str
    path: str
    """Where it lies in its space."""
    complete: bool = False


@dataclass
class Asset:
    """A model definition. Changed under the lock of the emulator alone."""

    id: str
    scope: Scope
    metadata: Json
    """As it was given."""
    entity: Json
    created: float = field(default_factory=time.time)
    attachments: list[Attachment] = field(default_factory=list[Attachment])

    @property
    def command(self) -> object:
        """What it says that a training runs; anything, if it is no definition as IBM's are."""
        own: object = self.entity.get(KIND)
        return own.get("command") if is_map(own) else None

    def tells(self, name: str) -> list[str]:
        """Return what a field that is searched has."""
        if name == "asset.name":
            return [self.metadata["name"]]
        return list(self.metadata.get("tags", ()))


class Assets:
    """The model definitions of all spaces and projects."""

    def __init__(self, volume: Volume, keys: Keys) -> None:
        self._volume = volume
        self._keys = keys
        self._assets: dict[str, Asset] = {}

    def find(self, scope: Scope, asset_id: str) -> tuple[Asset, Path]:
        """Return a definition that a training names, and where its content is.

        Raises:
            ServiceError: If it is not there, or has no content.
        """
        asset = self._assets.get(asset_id)
        if asset is None or asset.scope != scope:
            raise unknown_reference(
                f"The model definition {asset_id!r} is not in the {scope[0][:-3]}."
            )
        whole = [each for each in asset.attachments if each.complete]
        if not whole:
            raise unknown_reference(f"The model definition {asset_id!r} has no content.")
        return asset, self._volume.file(scope, whole[-1].path)

    def create(self, call: Call) -> Answer:
        """POST /v2/assets."""
        scope = scope_in(call)
        document = call.json()
        demand(document, _SHAPE)
        metadata: Json = document["metadata"]
        if metadata["asset_type"] != KIND:
            raise not_here(f"This emulator has assets of the type {KIND} alone.")
        if not metadata["name"].strip():
            raise invalid("'metadata.name' must not be empty.")
        asset = Asset(str(uuid.uuid4()), scope, metadata, document.get("entity", {}))
        self._assets[asset.id] = asset
        return said(_told(asset), 201)

    def get(self, call: Call) -> Answer:
        """GET /v2/assets/{id}."""
        return said(_told(self._asset(call)))

    def delete(self, call: Call) -> Answer:
        """DELETE /v2/assets/{id}."""
        asset = self._asset(call)
        for each in asset.attachments:
            self._volume.file(asset.scope, each.path).unlink(missing_ok=True)
        del self._assets[asset.id]
        return Answer(204)

    def search(self, call: Call) -> Answer:
        """POST /v2/asset_types/{type}/search: the newest first; entities only if wanted."""
        scope = scope_in(call)
        if call.named["type"] not in (KIND, "asset"):
            raise not_here(f"This emulator has assets of the type {KIND} alone.")
        document = call.json()
        optional = {"limit": WHOLE, "sort": TEXT, "include": TEXT, "bookmark": ANY, "skip": ANY}
        demand(document, Map({"query": TEXT}, {**optional, "next": ANY}))
        terms = _terms(document["query"])
        found = [
            asset
            for asset in reversed(self._assets.values())
            if asset.scope == scope and all(value in asset.tells(name) for name, value in terms)
        ]
        start: object = document.get("bookmark", 0)
        most: int = document.get("limit", _MOST)
        if not is_whole(start) or not isinstance(start, int) or start < 0 or not 1 <= most <= _MOST:
            raise invalid(f"limit must be between 1 and {_MOST}, and bookmark one that was told.")
        rows = [_told(asset) for asset in found[start : start + most]]
        if "entity" not in document.get("include", ""):
            rows = [{"metadata": row["metadata"]} for row in rows]
        answer: Json = {"total_rows": len(found), "results": rows}
        if start + most < len(found):
            answer["next"] = {**document, "bookmark": start + most}
        return said(answer)

    def attach(self, call: Call) -> Answer:
        """POST /v2/assets/{id}/attachments: what to put its content to."""
        asset = self._asset(call)
        document = call.json()
        optional = {"name": TEXT, "mime": TEXT, "description": TEXT, "data_partitions": WHOLE}
        demand(document, Map({"asset_type": TEXT}, {**optional, "private_url": ANY}))
        new = str(uuid.uuid4())
        path = f"{KIND}/{asset.id}/{new}"
        attachment = Attachment(new, document.get("name", "attachment"), path)
        asset.attachments.append(attachment)
        told = _attached(attachment) | {"url1": self._keys.signed(path, asset.scope)}
        return said(told, 201)

    def get_attachment(self, call: Call) -> Answer:
        """GET /v2/assets/{id}/attachments/{attachment}: where its content is."""
        asset = self._asset(call)
        attachment = _attachment(asset, call)
        return said(
            _attached(attachment) | {"url": self._keys.signed(attachment.path, asset.scope)}
        )

    def complete(self, call: Call) -> Answer:
        """POST /v2/assets/{id}/attachments/{attachment}/complete."""
        asset = self._asset(call)
        attachment = _attachment(asset, call)
        if not self._volume.file(asset.scope, attachment.path).is_file():
            raise invalid("Nothing was put to the attachment's address.")
        attachment.complete = True
        return said(_attached(attachment))

    def _asset(self, call: Call) -> Asset:
        scope = scope_in(call)
        asset = self._assets.get(call.named["id"])
        if asset is None or asset.scope != scope:
            raise not_found(f"The asset {call.named['id']!r} cannot be found.")
        return asset


def _attachment(asset: Asset, call: Call) -> Attachment:
    wanted = call.named["attachment"]
    found = next((each for each in asset.attachments if each.id == wanted), None)
    if found is None:
        raise not_found(f"The attachment {wanted!r} cannot be found.")
    return found


def _terms(query: str) -> list[tuple[str, str]]:
    terms: list[tuple[str, str]] = []
    for part in re.split(r"\sAND\s", query):
        found = _TERM.fullmatch(part)
        if found is None or found["field"] not in ("*", "asset.name", "asset.tags"):
            raise not_here(
                "This emulator finds assets by *:*, and by asset.name:VALUE and asset.tags:VALUE, "
                "joined by AND."
            )
        if found["field"] != "*":
            value = found["quoted"] if found["quoted"] is not None else found["plain"]
            terms.append((found["field"], value.replace("\\", "")))
    return terms


def _told(asset: Asset) -> Json:
    """Return an asset as the service tells of it.

    What must be there is in ``_get_required_element_from_response`` of both clients'
    ``model_definition.py``.
    """
    when = instant(asset.created)
    return {
        "metadata": {
            "rov": {"mode": 0},
            "tags": [],
            "description": "",
            **asset.metadata,
            "asset_id": asset.id,
            asset.scope[0]: asset.scope[1],
            "created_at": when,
            "usage": {"last_updated_at": when, "access_count": 0},
            "asset_state": "available",
        },
        "entity": asset.entity,
        "attachments": [_attached(each) for each in asset.attachments],
    }


def _attached(attachment: Attachment) -> Json:
    return {
        "attachment_id": attachment.id,
        "id": attachment.id,
        "asset_type": KIND,
        "name": attachment.name,
        "transfer_complete": attachment.complete,
    }
