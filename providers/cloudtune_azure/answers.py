"""Checks that an answer of Azure has the fields that its readers need."""

from __future__ import annotations

import math
from typing import Any

from cloudtune.provider import Json
from cloudtune.provider.answers import Fields, problem
from cloudtune_azure.errors import AzureError

JOB: Fields = {
    "name": str,
    "properties": dict,
    "properties.jobType": str,
    "properties.status?": str,
    "properties.limits?": dict,
    "properties.properties?": dict,
    "properties.tags?": dict,
    "properties.services?.Tracking?.endpoint?": str,
    "properties.services?.Studio?.endpoint?": str,
    "systemData?": dict,
}
WORKSPACE: Fields = {"location?": str, "properties?.mlFlowTrackingUri?": str}
CHILDREN: Fields = {"value[]?.runId": str, "nextLink?": str}
IDS: Fields = {"value[]?.id": str}
JOBS: Fields = {"value[]?": dict, "nextLink?": str}
SIZES: Fields = {
    "value[]?.name": str,
    "value[]?.vCPUs": int,
    "value[]?.estimatedVMPrices?": dict,
    "value[]?.estimatedVMPrices?.values[]?": dict,
    "nextLink?": str,
}
USAGES: Fields = {
    "value[]?.name.value": str,
    "value[]?.limit": int,
    "value[]?.currentValue": int,
    "nextLink?": str,
}
DATASTORE: Fields = {"properties": dict}
UPLOAD: Fields = {
    "blobReferenceForConsumption.blobUri": str,
    "blobReferenceForConsumption.credential.sasUri": str,
}
RUN: Fields = {
    "run.data?.tags[]?.key": str,
    "run.data?.params[]?.key": str,
    "run.data?.params[]?.value?": (str, int, float),
    "run.data?": dict,
    "run.data?.metrics[]?.key": str,
}
HISTORY: Fields = {
    "metrics[]?.key": str,
    "next_page_token?": str,
}
DETAILS: Fields = {"logFiles?": dict}


def checked(operation: str, answer: Any, fields: Fields) -> Json:
    """Return an answer that has the fields that its readers need.

    Raises:
        AzureError: If it lacks one.
    """
    if wrong := problem(answer, fields):
        raise AzureError(f"{operation}: {wrong}")
    found: Json = answer
    return found


def integer(metric: Json, name: str) -> int:
    """Return a whole number of a metric; 0 if it has none.

    Raises:
        AzureError: If it is no number.
    """
    try:
        return int(metric.get(name) or 0)
    except (TypeError, ValueError, OverflowError) as error:
        raise AzureError(f"a metric has the {name} {metric[name]!r:.80}") from error


def number(metric: Json) -> float:
    """Return the value of a metric; NaN for what is no number, such as null."""
    try:
        return float(metric["value"])
    except (KeyError, TypeError, ValueError):
        return math.nan
