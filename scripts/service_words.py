"""Writes the words of the services that a recording of `cloudtune verify` keeps.

They are those of the recordings in tests/recordings, of the fields in docs/evidence.json, and of
the services' own models of the calls that cloudtune makes. Run it in the repository:

    python scripts/service_words.py
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloudtune.provider import registry
from cloudtune.study.yaml_reader import is_list, is_map
from cloudtune.verification.masking import (
    HIDDEN,
    MESSAGES,
    PLAIN,
    USER_NAMED,
    WORDS_FILE,
    has_words,
)
from cloudtune.verification.recording import service_name
from cloudtune_watson.response import TRAINING_STATES

ROOT = Path(__file__).parent.parent
RECORDINGS = ROOT / "tests" / "recordings"
EVIDENCE: dict[str, Any] = json.loads((ROOT / "docs" / "evidence.json").read_text("utf-8"))
VERIFIED = [
    service_name(name)
    for name in registry.names()
    if service_name(name) in EVIDENCE and not registry.get(name).not_verifiable
]
"""The services that `cloudtune verify` records."""
SENTENCES = (
    "The replica workerpool0-0 exited with a non-zero status of 1. Termination reason: Error.",
    "To find out more about why your job exited please check the logs of the job",
    "Hyperparameter Tuning Trial failed. total hyperparameter trial failures were seen, out of "
    "trials attempted which reaches the user-specified limit. The trial's error message was",
    "The trial has no final measurement. Internal error occurred for the current attempt.",
    "AlgorithmError CapacityError ClientError InternalServerError exit code",
    "Unable to provision requested ML compute capacity. Resources are insufficient in region",
    "Training job runtime exceeded MaxRuntimeInSeconds provided. Training job interrupted.",
    "The job ran longer than its timeout and was cancelled.",
    "Permission denied on resource. You do not have permission to access it. Access denied.",
    "The training script exited with the status. was not found, does not exist, already exists.",
    "non zero, account level, workerpool",
)
"""Messages of the services without recordings, from the sources that the emulators cite."""

VALUES = (
    *("GET", "POST", "PUT", "PATCH", "DELETE", "pd-ssd", "pd-standard", "pd-balanced"),
    *("ThrottlingException", "AccessDeniedException", "ValidationException", "InternalFailure"),
    *("CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "ALREADY_EXISTS", "PERMISSION_DENIED"),
    *("FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE"),
    *("UNAUTHENTICATED", "initializing", "updating", "ready", "failed", "info", "warning", "error"),
    *("LastModifiedTime", *TRAINING_STATES),
)
"""Words of values that no model has."""
FIELDS = (
    *("repeated", "last_seconds_after_first", "body_rebuilt_from_answer", "emulated"),
    *("limit", "first", "next", "total_count", "resources", "asset", "batch", "owner", "rev"),
    *("deployed_asset_type", "num_nodes", "nodes", "software_spec", "trace", "errors", "level"),
    *("text", "target", "more_info", "timestamp", "iteration", "ml_metrics"),
    *("method", "path", "query", "body", "version", "space_id", "deployment_id", "hard_delete"),
)
"""Fields of the recordings themselves, and of IBM's requests, lists, errors and metrics."""


def main() -> None:
    """Write the file."""
    lines = {kind: " ".join(sorted(each)) for kind, each in words().items()}
    WORDS_FILE.write_text(json.dumps(lines, indent=1) + "\n", "utf-8")


def words() -> dict[str, set[str]]:
    """Return the names of fields, the words of values, and those of messages."""
    found = recorded_words()
    for name in ("sagemaker", "sagemaker-metrics"):
        _read_aws(name, EVIDENCE["sagemaker"]["operations"], found)
    _read_google(found)
    return found


def recorded_words() -> dict[str, set[str]]:
    """Return the words of recordings and of this repository's tables."""
    messages = {word for text in SENTENCES for word in _plain(text)}
    found = {"fields": {*FIELDS}, "values": {*VALUES}, "messages": messages}
    for service in VERIFIED:
        about = EVIDENCE[service]
        found["values"].update(about["operations"])
        for operation in about["operations"].values():
            for paths in operation.get("fields", {}).values():
                found["fields"].update(re.findall(r"[\w@]+", " ".join(paths)))
        for file in sorted((RECORDINGS / service).glob("*.json")):
            recording = json.loads(file.read_text("utf-8"))
            if not recording.get("emulated"):
                for item in recording["sequence"]:
                    _read(item, "", found)
    return found


def _read(value: Any, field: str, found: dict[str, set[str]]) -> None:
    """Add the words of a recorded value."""
    if is_map(value):
        for key, each in value.items():
            if field not in USER_NAMED:
                found["fields"].add(key)
                _read(each, key, found)
    elif is_list(value):
        for each in value:
            _read(each, field, found)
    elif isinstance(value, str) and field in MESSAGES:
        found["messages"].update(_plain(value))
    elif isinstance(value, str) and has_words(field):
        found["values"].update([value] if len(value) > 1 and " " not in value else [])


def _plain(text: str) -> Iterator[str]:
    """Yield the words of a message that are plain text, and no part of a name or an address."""
    shown = HIDDEN.sub(" ", text.partition("\n")[0])
    return (word.lower() for word in PLAIN.findall(shown))


def _read_aws(name: str, operations: Any, found: dict[str, set[str]]) -> None:
    """Add the members and the enumerated values of the shapes of operations."""
    session: Any = importlib.import_module("botocore.session")
    model = session.get_session().get_service_model(name)
    todo: list[Any] = []
    for each in set(model.operation_names) & {*operations}:
        operation = model.operation_model(each)
        todo += [operation.input_shape, operation.output_shape]
        found["values"].update(shape.error_code for shape in operation.error_shapes)
    seen: set[str] = set()
    while todo:
        shape = todo.pop()
        if shape is None or shape.name in seen:
            continue
        seen.add(shape.name)
        if shape.type_name == "structure":
            members = shape.members
            if shape.name == "SearchRecord":
                members = {"TrainingJob": members["TrainingJob"]}
            found["fields"].update(members)
            todo += members.values()
        elif shape.type_name == "list":
            todo.append(shape.member)
        elif shape.type_name == "string" and "ml." not in str(shape.enum):
            found["values"].update(shape.enum)


def _read_google(found: dict[str, set[str]]) -> None:
    """Add the fields and the enumerated values of the types of jobs."""
    types = importlib.import_module("google.cloud.aiplatform_v1.types")
    operations = importlib.import_module("google.longrunning.operations_pb2")
    names = ("HyperparameterTuningJob", "CustomJob", "DeleteOperationMetadata")
    todo: list[Any] = [getattr(types, each).pb().DESCRIPTOR for each in names]
    todo += [operations.Operation.DESCRIPTOR]
    seen: set[str] = set()
    while todo:
        message = todo.pop()
        if message.full_name in seen:
            continue
        seen.add(message.full_name)
        for field in message.fields:
            found["fields"].add(field.json_name)
            if field.message_type is not None:
                todo.append(field.message_type)
            if field.enum_type is not None:
                found["values"].update(each.name for each in field.enum_type.values)
    found["values"].update(f"type.googleapis.com/{each}" for each in seen if "Operation" in each)
    found["values"].add("type.googleapis.com/google.protobuf.Empty")


if __name__ == "__main__":
    main()
