"""Requests and responses as Google's own types define them, in the JSON of the REST API.

Inside the emulator a message is plain data in protobuf's JSON: camelCase, names of enum values,
64-bit integers as strings, no fields with default values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from cloudtune.emulator_kit import Json, MissingExtraError
from cloudtune_vertex.emulator.errors import invalid
from cloudtune_vertex.google_sdk import import_google

OUTPUT_ONLY = frozenset(
    [
        *("name", "trials", "state", "createTime", "startTime", "endTime", "updateTime", "error"),
        *("satisfiesPzs", "satisfiesPzi", "webAccessUris", "trainingTaskMetadata"),
    ]
)
"""Fields of jobs that only the service sets (types of google-cloud-aiplatform 2.7.0)."""


class Messages:
    """Reads and writes messages of google.cloud.aiplatform.v1."""

    def __init__(self) -> None:
        """Load Google's types.

        Raises:
            MissingExtraError: If google-cloud-aiplatform is not installed.
        """
        try:
            self._types: Any = import_google("google.cloud.aiplatform_v1.types")
            self._format: Any = import_module("google.protobuf.json_format")
        except ImportError as error:
            raise MissingExtraError("the Vertex AI emulator", "emulators") from error

    def read(self, kind: str, body: bytes) -> Json:
        """Return a job that a client sends, without fields that only the service sets.

        Raises:
            ServiceError: If it is not such a message, or has an unknown enum value.
        """
        if body.strip()[:1] not in (b"", b"{"):  # protobuf 7.36 takes a list for an empty message
            raise invalid("Invalid JSON payload received. The root must be an object.")
        try:
            message = self._format.Parse(body or b"{}", self._class(kind)())
        except (self._format.ParseError, UnicodeDecodeError) as error:
            raise invalid(f"Invalid JSON payload received. {error}") from error
        unknown = list(_unknown(message, ""))
        if unknown:
            raise invalid(f"Invalid value at {', '.join(unknown)}: unknown enum value.")
        job: Json = self._format.MessageToDict(message)
        return {key: value for key, value in job.items() if key not in OUTPUT_ONLY}

    def write(self, kind: str, data: Json, query: Mapping[str, str]) -> bytes:
        """Return a message as JSON, with numbers for enum values if the client asks for them."""
        message = self._format.ParseDict(data, self._class(kind)())
        numbers = "enum-encoding=int" in query.get("$alt", "")
        text: str = self._format.MessageToJson(message, use_integers_for_enums=numbers)
        return text.encode()

    def masked(self, kind: str, job: Json, mask: str) -> Json:
        """Return the fields of a message that are in a read mask.

        Raises:
            ServiceError: If the mask has an unknown field.
        """
        field_mask: Any = import_module("google.protobuf.field_mask_pb2").FieldMask()
        message = self._format.ParseDict(job, self._class(kind)())
        masked = self._class(kind)()
        try:
            field_mask.FromJsonString(mask)
        except ValueError as error:
            raise invalid(f"Invalid read_mask. {error}") from error
        if not field_mask.IsValidForDescriptor(message.DESCRIPTOR):
            raise invalid(f"Invalid read_mask. {kind} does not have {', '.join(field_mask.paths)}.")
        field_mask.MergeMessage(message, masked)
        fields: Json = self._format.MessageToDict(masked)
        return fields

    def _class(self, kind: str) -> Any:
        return getattr(self._types, kind).pb()


def _unknown(message: Any, path: str) -> Iterator[str]:
    """Yield the path and number of each unknown enum value."""
    for field, value in message.ListFields():
        if field.message_type and field.message_type.full_name.startswith("google.protobuf."):
            continue  # any JSON, times and the like
        field_path = f"{path}{field.name}"
        repeated = hasattr(value, "extend")
        items: list[Any] = list(value) if repeated else [value]
        for index, item in enumerate(items):
            at = f"{field_path}[{index}]" if repeated else field_path
            if field.enum_type is not None and item not in field.enum_type.values_by_number:
                yield f"{at} ({item})"
            elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
                yield from _unknown(item, f"{at}.")
