"""Checks ``native`` against the fields of a deployment job that IBM describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudtune.provider import Finding, Note
from cloudtune_watson.rules.native import (
    DATA_REFERENCE,
    NATIVE,
    PROTECTED,
    Fields,
    check_fields,
    unknown_field,
)

DEPLOYMENT_JOB: Fields = {
    "description": None,
    "custom": None,
    "hardware_spec": {"id": None, "name": None, "rev": None},
    "scoring": {
        "environment_variables": None,
        "input_data_references": [DATA_REFERENCE],
        "output_data_reference": DATA_REFERENCE,
    },
}
"""The fields of a deployment job of a script: IBM/abap-sdk-nwas-x at 9cb5754, types of API v4, and
``ScoringMetaNames`` of ibm-watsonx-ai 1.8.1; read 2026-11-27."""


def native_rules(native: Mapping[str, Any]) -> Iterator[Finding | Note]:
    """Yield the findings on fields that IBM does not describe."""
    for key, value in native.items():
        path = f"{NATIVE}.{key}"
        if key in DEPLOYMENT_JOB:
            yield from check_fields(value, DEPLOYMENT_JOB[key], path)
        elif key not in PROTECTED:
            yield unknown_field(key, DEPLOYMENT_JOB, path)
