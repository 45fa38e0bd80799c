"""The smallest policies for the caller and for the role of the training jobs, as text."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence

from cloudtune.provider import Json, Plan
from cloudtune.provider.account import Policy, Right
from cloudtune_sagemaker import rights
from cloudtune_sagemaker.resources import Resource, Resources

_NAME = "cloudtune"


def policies(plan: Plan) -> Iterator[Policy]:
    """Yield the policies that a run needs, and the one that only the doctor needs."""
    role = role_name(plan.facts.data["role_arn"])
    caller = rights.policy_document(plan, rights.caller_rights(plan))
    yield Policy(
        f"policy of the caller, for {plan.mode} runs",
        _text(caller),
        [_create_command(f"{_NAME}-caller", caller), _attach_command(plan, f"{_NAME}-caller")],
    )
    yield Policy(
        f"trust policy of the role {role}",
        _text(rights.trust_policy()),
        [trust_command(role)],
    )
    yield Policy(
        f"policy of the role {role}, in addition to what your script needs",
        _text(rights.policy_document(plan, rights.role_rights(plan))),
        [role_command(plan, role)],
    )
    reader = rights.policy_document(plan, _with_resources(plan, rights.DOCTOR))
    yield Policy(
        "policy of the caller for cloudtune doctor, all read-only; optional",
        _text(reader),
        [_create_command(f"{_NAME}-doctor", reader), _attach_command(plan, f"{_NAME}-doctor")],
    )


def role_name(arn: str) -> str:
    """Return the name of a role, without its path."""
    return arn.rpartition("/")[2]


def trust_command(role: str) -> str:
    """Return the command that lets SageMaker assume a role."""
    document = _argument(rights.trust_policy())
    return (
        f"aws iam update-assume-role-policy --role-name {shlex.quote(role)} "
        f"--policy-document {document}"
    )


def create_role_command(role: str) -> str:
    """Return the command that creates a role that SageMaker may assume."""
    return (
        f"aws iam create-role --role-name {shlex.quote(role)} "
        f"--assume-role-policy-document {_argument(rights.trust_policy())}"
    )


def role_command(plan: Plan, role: str) -> str:
    """Return the command that gives a role all rights that a run needs."""
    document = rights.policy_document(plan, rights.role_rights(plan))
    return (
        f"aws iam put-role-policy --role-name {shlex.quote(role)} --policy-name {_NAME} "
        f"--policy-document {_argument(document)}"
    )


def statement_text(plan: Plan, missing: Sequence[Right[Resource]]) -> str:
    """Return the smallest policy with some rights."""
    return _text(rights.policy_document(plan, missing))


def _with_resources(plan: Plan, table: Sequence[Right[Resource]]) -> list[Right[Resource]]:
    resources = Resources(plan)
    return [each for each in table if resources.concrete(each.on)]


def _create_command(name: str, document: Json) -> str:
    return f"aws iam create-policy --policy-name {name} --policy-document {_argument(document)}"


def _attach_command(plan: Plan, name: str) -> str:
    arn = Resources(plan).policy(name)
    return (
        f"aws iam attach-role-policy --role-name YOUR_ROLE --policy-arn {arn}"
        "    # or: attach-user-policy --user-name YOUR_USER"
    )


def _argument(document: Json) -> str:
    return shlex.quote(json.dumps(document, separators=(",", ":")))


def _text(document: Json) -> str:
    return json.dumps(document, indent=2)
