"""Calls and their answers in JSON, and the types of the fields that the emulator reads.

Azure refuses other types, too.
"""

from __future__ import annotations

import json
from typing import Any, cast

from cloudtune.emulator_kit import Fields, Json, Response, is_map, json_response, problem, rest
from cloudtune_azure.emulator.errors import bad_argument

WORKSPACE_ID = (
    "/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
)
"""The id of a workspace, which begins its paths."""
JOB: Fields = {
    "tags?": dict,
    "properties?": dict,
    "displayName?": str,
    "experimentName?": str,
    "computeId?": str,
}
COMMAND: Fields = {
    "command": str,
    "codeId?": str,
    "environmentVariables?": dict,
    "resources?": dict,
    "limits?": dict,
    "queueSettings?": dict,
}
SWEEP: Fields = {
    "trial.command": str,
    "trial.codeId?": str,
    "trial.environmentVariables?": dict,
    "trial.resources?": dict,
    "searchSpace": dict,
    "samplingAlgorithm.samplingAlgorithmType": str,
    "samplingAlgorithm.seed?": int,
    "objective.goal": str,
    "objective.primaryMetric": str,
    "earlyTermination?.policyType": str,
    "earlyTermination?.delayEvaluation?": int,
    "earlyTermination?.evaluationInterval?": int,
    "earlyTermination?.truncationPercentage?": int,
    "earlyTermination?.slackFactor?": (int, float),
    "earlyTermination?.slackAmount?": (int, float),
    "limits?.maxTotalTrials?": int,
    "limits?.maxConcurrentTrials?": int,
    "limits?.timeout?": str,
    "limits?.trialTimeout?": str,
}


class Call(rest.Call):
    """A call of an operation."""

    @property
    def content(self) -> Json:
        """The body as a JSON object.

        Raises:
            ServiceError: If it is none.
        """
        try:
            content: Any = json.loads(self.body or b"{}")
        except ValueError:
            content = None
        if not is_map(content):
            raise bad_argument("The request body is invalid.")
        return content

    def properties(self, fields: Fields) -> Json:
        """Return the properties of the resource in the body, which have these fields.

        Raises:
            ServiceError: If one is missing or has another type.
        """
        given: Any = self.content.get("properties") or {}
        check_fields(given, fields)
        return cast("Json", given)

    @property
    def version(self) -> str:
        """The version of the API."""
        return self.query.get("api-version", "")

    @property
    def workspace(self) -> str:
        """The id of the workspace in the path."""
        return WORKSPACE_ID.format(**self.names)


def answer(content: Any, status: int = 200, *headers: tuple[str, str]) -> Response:
    """Return the response with some content, with the headers that each has."""
    more = [("x-ms-response-type", "standard"), *headers]
    return json_response(content, status, "application/json; charset=utf-8", more)


def check_fields(given: Any, fields: Fields) -> None:
    """Check what a request has.

    Raises:
        ServiceError: If a field is missing or has another type.
    """
    if wrong := problem(given, fields, "the request"):
        raise bad_argument(f"The request is invalid: {wrong}.")


def check_job(given: Json) -> None:
    """Check the properties of a job.

    Raises:
        ServiceError: If a field is missing or has another type.
    """
    check_fields(given, COMMAND if given["jobType"] == "Command" else SWEEP)
    for name in ("inputs", "outputs"):
        entries: Any = given.get(name) or {}
        if not is_map(entries) or not all(map(is_map, entries.values())):
            raise bad_argument(f"The {name} of the job are invalid.")
