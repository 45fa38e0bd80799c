"""What policies of IAM allow.

The rules are those of "Policy evaluation logic" in IAM's user guide (read 2026-11-27), as far as
policies of one account need them: an explicit Deny wins, then an Allow, otherwise access is denied.
Of the conditions, StringEquals and StringLike are evaluated; a statement with another one that
allows something does not apply here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from cloudtune.emulator_kit import is_list, is_map

Decision = Literal["allowed", "explicitDeny", "implicitDeny"]
"""The words of SimulatePrincipalPolicy (botocore 1.44.8, PolicyEvaluationDecisionType)."""


def decide(
    policies: Iterable[Mapping[str, Any]],
    action: str,
    resource: str,
    context: Mapping[str, str] | None = None,
) -> Decision:
    """Return what policies together decide about an action on a resource.

    Args:
        policies: The policy documents.
        action: Such as ``s3:GetObject``.
        resource: Its ARN, or an asterisk.
        context: The values of condition keys.
    """
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in _list(policy.get("Statement"))
        if _applies(statement, action, resource, context or {})
    }
    if "Deny" in effects:
        return "explicitDeny"
    return "allowed" if "Allow" in effects else "implicitDeny"


def principal_policies(arn: str) -> list[Mapping[str, Any]] | None:
    """Return the policies of a user or role that was created in the emulator; None if none was."""
    from moto.iam.models import iam_backends

    from cloudtune_sagemaker.emulator.state import ACCOUNT

    backend: Any = iam_backends[ACCOUNT]["aws"]
    kind, _, name = arn.rpartition(":")[2].partition("/")
    name = name.rpartition("/")[2]
    if kind == "role":
        principal = next((each for each in backend.roles.values() if each.name == name), None)
    else:
        principal = backend.users.get(name) if kind == "user" else None
    if principal is None:
        return None
    inline = dict(principal.policies).values()
    documents: list[Any] = [*inline, *(p.document for p in principal.managed_policies.values())]
    return [_document(each) for each in documents]


def _document(policy: Any) -> Mapping[str, Any]:
    while is_map(policy) and "Statement" not in policy and "policy_document" in policy:
        policy = policy["policy_document"]
    document: Any = json.loads(policy) if isinstance(policy, str) else policy
    assert is_map(document)
    return document


def _applies(
    statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]
) -> bool:
    if "NotAction" in statement:
        concerns = not _any_matches(statement["NotAction"], action, re.IGNORECASE)
    else:
        concerns = _any_matches(statement.get("Action"), action, re.IGNORECASE)
    if "NotResource" in statement:
        concerns = concerns and not _any_matches(statement["NotResource"], resource)
    else:
        concerns = concerns and _any_matches(statement.get("Resource"), resource)
    return concerns and all(
        _holds(operator, key, _list(values), context)
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _holds(operator: str, key: str, values: list[Any], context: Mapping[str, str]) -> bool:
    value = {name.lower(): each for name, each in context.items()}.get(key.lower())
    if operator not in {"StringEquals", "StringLike"} or value is None:
        return False
    return value in values if operator == "StringEquals" else _any_matches(values, value)


def _any_matches(patterns: Any, text: str, flags: int = 0) -> bool:
    return any(re.fullmatch(_expression(each), text, flags) for each in _list(patterns))


def _expression(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if is_list(value) else [value]
