"""Checks the body of ``POST /api/jobs/`` (dashboard/modules/job/common.py, JobSubmitRequest)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cloudtune.emulator_kit import Json, is_map
from cloudtune_ray.emulator.errors import ServiceError, bad_request

MAX_PACKAGE = 512 * 1024 * 1024
"""GRPC_CPP_MAX_MESSAGE_SIZE, the default of GCS_STORAGE_MAX_SIZE (packaging.py)."""
_NUMBER = (int, float)
_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "entrypoint": str,
    "submission_id": str,
    "job_id": str,
    "runtime_env": dict,
    "metadata": dict,
    "entrypoint_num_cpus": _NUMBER,
    "entrypoint_num_gpus": _NUMBER,
    "entrypoint_memory": int,
    "entrypoint_resources": dict,
    "entrypoint_label_selector": dict,
}
_VALUES: Mapping[str, type | tuple[type, ...]] = {
    "metadata": str,
    "entrypoint_resources": _NUMBER,
    "entrypoint_label_selector": str,
}


def read_request(body: bytes) -> Json:
    """Return a request without the fields that are null.

    Raises:
        ServiceError: If Ray would refuse it.
    """
    try:
        document: Any = json.loads(body)
    except ValueError as error:
        raise ServiceError(500, "500 Internal Server Error") from error
    if not is_map(document):
        raise _wrong("argument after ** must be a mapping")
    request = {name: value for name, value in document.items() if value is not None}
    for name in request.keys() - _FIELDS.keys():
        raise _wrong(f"JobSubmitRequest.__init__() got an unexpected keyword argument '{name}'")
    if "entrypoint" not in request:
        raise _wrong(
            "JobSubmitRequest.__init__() missing 1 required positional argument: 'entrypoint'"
        )
    for name, value in request.items():
        if not isinstance(value, _FIELDS[name]):
            raise _wrong(f"{name} must be a {_FIELDS[name]}, got {type(value)}")
        for inner in value.values() if name in _VALUES and is_map(value) else ():
            if not isinstance(inner, _VALUES[name]):
                raise _wrong(f"{name} values must be {_VALUES[name]}, got {type(inner)}")
    return request


def _wrong(text: str) -> ServiceError:
    return bad_request(f"Traceback (most recent call last):\nTypeError: {text}\n")
