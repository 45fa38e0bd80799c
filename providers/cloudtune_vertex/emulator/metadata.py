"""The metadata store of experiments: contexts, executions and artifacts, as they are sent.

The calls are those of ``metadata/`` of google-cloud-aiplatform 2.7.0 when it creates experiments
and logs parameters and metrics. Filters are those of its ``_make_filter_string``; the service's
words for other filters are not verified. There are no tensorboards, which
``aiplatform.init(experiment=...)`` creates unless ``experiment_tensorboard`` is False.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.errors import ServiceError, invalid, not_found, unimplemented
from cloudtune_vertex.emulator.state import parent_of
from cloudtune_vertex.emulator.times import format_time
from cloudtune_vertex.emulator.wire import Messages

PATH = re.compile(
    r"/v1(?:beta1)?/(?P<store>projects/[^/]+/locations/[^/]+/metadataStores/default)"
    r"(?:/(?P<kind>contexts|executions|artifacts)(?:/(?P<id>[^/:]+))?(?::(?P<verb>\w+))?)?"
)
_KINDS = {"contexts": "Context", "executions": "Execution", "artifacts": "Artifact"}
_TITLES = re.compile(r'schema_title="([^"]*)"')
_PARENTS = re.compile(r'parent_contexts:("[^"]*"(?:,"[^"]*")*)')
_IN_CONTEXT = re.compile(r'in_context\("([^"]*)"\)')


class MetadataStore:
    """The default metadata store of each location."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._created = time.time()
        self._resources: dict[str, Json] = {}
        self._members: dict[str, set[str]] = {}
        """The names of the artifacts and executions of a context."""

    def respond(
        self, method: str, match: re.Match[str], query: Mapping[str, str], body: bytes
    ) -> bytes:
        """Return the response to a call.

        Raises:
            ServiceError: If the service would refuse.
        """
        store = _full_name(match["store"])
        kind, id_, verb = match["kind"], match["id"], match["verb"]
        if kind is None:
            if method != "GET":
                raise unimplemented("This emulator has the metadata store that exists by default.")
            created = format_time(self._created)
            view = {"name": store, "createTime": created, "updateTime": created}
            return self._messages.write("MetadataStore", view, query)
        collection = f"{store}/{kind}"
        match method, id_, verb:
            case "POST", None, None:
                created_id = query.get(f"{_KINDS[kind].lower()}Id", "")
                return self._create(f"{collection}/{created_id}", kind, query, body)
            case "GET", None, None:
                return self._list(collection, kind, query)
            case "GET", str(), None:
                return self._write(kind, self._named(f"{collection}/{id_}"), query)
            case "PATCH", str(), None:
                return self._update(f"{collection}/{id_}", kind, query, body)
            case "POST", str(), "addContextChildren":
                return self._add_children(f"{collection}/{id_}", body)
            case "POST", str(), "addContextArtifactsAndExecutions":
                return self._add_members(f"{collection}/{id_}", body)
            case _:
                raise unimplemented(
                    f"This emulator creates, reads, lists and updates {kind}, and adds them to "
                    f"contexts; it does not have {method} {verb or ''}."
                )

    def _create(self, name: str, kind: str, query: Mapping[str, str], body: bytes) -> bytes:
        if name in self._resources:
            raise ServiceError(409, "ALREADY_EXISTS", f"The {_KINDS[kind]} already exists.")
        now = format_time(time.time())
        sent = self._messages.read(_KINDS[kind], body)
        resource = {**sent, "name": name, "createTime": now, "updateTime": now}
        self._resources[name] = resource
        return self._write(kind, resource, query)

    def _update(self, name: str, kind: str, query: Mapping[str, str], body: bytes) -> bytes:
        resource = self._named(name)
        sent = self._messages.read(_KINDS[kind], body)
        resource |= sent | {"updateTime": format_time(time.time())}
        return self._write(kind, resource, query)

    def _list(self, collection: str, kind: str, query: Mapping[str, str]) -> bytes:
        start = f"{collection}/"
        rows = [each for name, each in self._resources.items() if name.startswith(start)]
        if text := query.get("filter", ""):
            rows = [each for each in rows if self._passes(each, text)]
        return self._messages.write(f"List{_KINDS[kind]}sResponse", {kind: rows}, query)

    def _passes(self, resource: Json, text: str) -> bool:
        tests: list[bool] = []
        for part in text.split(" AND "):
            if titles := _TITLES.findall(part):
                tests.append(resource.get("schemaTitle") in titles)
            elif parents := _PARENTS.fullmatch(part):
                names = {_full_name(each.strip('"')) for each in parents[1].split(",")}
                tests.append(names <= set(resource.get("parentContexts", ())))
            elif context := _IN_CONTEXT.fullmatch(part):
                members = self._members.get(_full_name(context[1]), set())
                tests.append(resource["name"] in members)
            else:
                raise invalid(f"Invalid list filter: {text}")
        return all(tests)

    def _add_children(self, name: str, body: bytes) -> bytes:
        self._named(name)
        sent = self._messages.read("AddContextChildrenRequest", body)
        for child in sent.get("childContexts", ()):
            parents: list[str] = self._named(_full_name(child)).setdefault("parentContexts", [])
            if name not in parents:
                parents.append(name)
        return b"{}"

    def _add_members(self, name: str, body: bytes) -> bytes:
        self._named(name)
        sent = self._messages.read("AddContextArtifactsAndExecutionsRequest", body)
        members = self._members.setdefault(name, set())
        for each in (*sent.get("artifacts", ()), *sent.get("executions", ())):
            members.add(self._named(_full_name(each))["name"])
        return b"{}"

    def _named(self, name: str) -> Json:
        resource = self._resources.get(name)
        if resource is None:
            kind = _KINDS[name.split("/")[6]] if name.count("/") == 7 else "resource"
            raise not_found(f"The {kind} does not exist.")
        return resource

    def _write(self, kind: str, resource: Json, query: Mapping[str, str]) -> bytes:
        return self._messages.write(_KINDS[kind], resource, query)


def _full_name(name: str) -> str:
    """Return a name with the number of its project instead of the ID."""
    return "/".join([parent_of(name).name, *name.split("/")[4:]])
