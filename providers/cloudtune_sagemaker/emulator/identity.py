"""The caller's identity, the simulation of policies and the quotas of the account.

Requests and responses: botocore 1.44.8, service models of sts, iam and service-quotas. The caller
is a user of the emulator's account who may do everything, except what the fault plan denies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from cloudtune.emulator_kit import FaultPlan, Response
from cloudtune_sagemaker.emulator import wire
from cloudtune_sagemaker.emulator.errors import JSON, USER, ServiceError, request_id
from cloudtune_sagemaker.emulator.policies import decide, principal_policies
from cloudtune_sagemaker.emulator.rights import OtherCall
from cloudtune_sagemaker.emulator.state import ACCOUNT

INSTANCE_QUOTA = 20
"""The emulator's own number: AWS publishes no defaults, and each account has its own."""
_XML = "text/xml"
_PAGE_SIZE = 100
_TOTALS = (
    ("Number of instances across all training jobs", "L-00C91CB5"),
    (
        "Number of instances across all spot training jobs",
        "L-EMULATED",
    ),
)
"""The quotas over all instance types. The first code was seen in a list of an account's quotas."""


class QueryError(Exception):
    """An error of a service with the query protocol, such as IAM."""

    def __init__(self, code: str, message: str, status: int) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(f"{code}: {message}")

    def response(self) -> Response:
        """Return the response that tells the client."""
        error = f"<Error><Code>{self.code}</Code><Message>{escape(self.message)}</Message></Error>"
        body = f"<ErrorResponse>{error}</ErrorResponse>".encode()
        return Response(self.status, body, _XML, [request_id()])


class Identity:
    """Responds to what moto does not have, or has otherwise."""

    def __init__(self, faults: FaultPlan) -> None:
        self._faults = faults
        self._operations: Mapping[tuple[str, str], Callable[[Mapping[str, Any]], Response]] = {
            ("sts", "GetCallerIdentity"): self._caller,
            ("iam", "SimulatePrincipalPolicy"): self._simulate,
            ("servicequotas", "ListServiceQuotas"): self._quotas,
            ("servicequotas", "ListAWSDefaultServiceQuotas"): self._quotas,
        }

    def has(self, call: OtherCall) -> bool:
        """Return whether it responds to a call."""
        return (call.service, call.operation) in self._operations

    def respond(self, call: OtherCall, *, used_up: bool) -> Response:
        """Return the response to a call.

        Args:
            call: A call that it `has`.
            used_up: Whether the account's quotas are used up.
        """
        if call.service == "servicequotas" and used_up:
            return self._quotas(call.members, value=0)
        try:
            return self._operations[call.service, call.operation](call.members)
        except QueryError as error:
            return error.response()

    def _caller(self, _members: Mapping[str, Any]) -> Response:
        result = f"<Arn>{USER}</Arn><UserId>AIDAEMULATED</UserId><Account>{ACCOUNT}</Account>"
        return _query_response("GetCallerIdentity", result)

    def _simulate(self, members: Mapping[str, Any]) -> Response:
        """Decide for each action and resource; a principal must be known here."""
        principal = members.get("PolicySourceArn", "")
        policies = None if principal == USER else principal_policies(principal)
        if principal != USER and policies is None:
            raise QueryError(
                "NoSuchEntity", f"The entity {principal} does not exist in this emulator.", 404
            )
        actions = _members(members, "ActionNames.member.{}")
        resources = _members(members, "ResourceArns.member.{}") or ["*"]
        keys = _members(members, "ContextEntries.member.{}.ContextKeyName")
        values = _members(members, "ContextEntries.member.{}.ContextKeyValues.member.1")
        context = dict(zip(keys, values, strict=False))
        results: list[str] = []
        for action in actions:
            for resource in resources:
                if policies is not None:
                    decision = decide(policies, action, resource, context)
                else:
                    denied = self._faults.denies(action.partition(":")[2])
                    decision = "implicitDeny" if denied else "allowed"
                results.append(
                    f"<member><EvalActionName>{escape(action)}</EvalActionName>"
                    f"<EvalResourceName>{escape(resource)}</EvalResourceName>"
                    f"<EvalDecision>{decision}</EvalDecision></member>"
                )
        body = f"<IsTruncated>false</IsTruncated><EvaluationResults>{''.join(results)}"
        return _query_response("SimulatePrincipalPolicy", f"{body}</EvaluationResults>")

    def _quotas(self, members: Mapping[str, Any], value: int = INSTANCE_QUOTA) -> Response:
        """Return a page of the quotas of instances of training jobs."""
        if members.get("ServiceCode") != "sagemaker":
            error = ServiceError("NoSuchResourceException", "The emulator has quotas of sagemaker.")
            return error.response()
        start = int(members.get("NextToken") or 0)
        size = min(int(members.get("MaxResults") or _PAGE_SIZE), _PAGE_SIZE)
        quotas = [
            {
                "ServiceCode": "sagemaker",
                "ServiceName": "Amazon SageMaker",
                "QuotaName": name,
                "QuotaCode": code,
                "Value": float(value),
                "Unit": "None",
                "Adjustable": True,
                "GlobalQuota": False,
            }
            for name, code in _quota_names()
        ]
        page: dict[str, Any] = {"Quotas": quotas[start : start + size]}
        if start + size < len(quotas):
            page["NextToken"] = str(start + size)
        return Response(200, json.dumps(page).encode(), JSON, [request_id()])


def _quota_names() -> list[tuple[str, str]]:
    """Return names and codes. The codes of instance types are the emulator's own."""
    shapes = wire.service("sagemaker")
    types: list[str] = shapes.shape_for("TrainingInstanceType").metadata["enum"]
    uses = ("training job usage", "spot training job usage", "training warm pool usage")
    names = [f"{each} for {use}" for each in types for use in uses]
    return [*_TOTALS, *((name, f"L-{n:08X}") for n, name in enumerate(names, start=1))]


def _members(members: Mapping[str, Any], pattern: str) -> list[str]:
    """Return a list in the query protocol, whose members have numbers in their names."""
    values: list[str] = []
    while (name := pattern.format(len(values) + 1)) in members:
        values.append(str(members[name]))
    return values


def _query_response(operation: str, result: str) -> Response:
    name, number = request_id()
    body = (
        f"<{operation}Response><{operation}Result>{result}</{operation}Result>"
        f"<ResponseMetadata><RequestId>{number}</RequestId></ResponseMetadata>"
        f"</{operation}Response>"
    )
    return Response(200, body.encode(), _XML, [(name, number)])
