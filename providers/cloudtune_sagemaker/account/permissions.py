"""The rights of a run that the caller and the role have, by IAM's simulation.

The simulation reads the policies of a user or role, its permissions boundary and the policies of
its organization, not those of resources (botocore 1.44.8, SimulatePrincipalPolicy). So a bucket's
own policy may grant what it denies.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cloudtune.provider import Check, Json, Plan, is_map
from cloudtune.provider.account import Right, account_error, account_ok, account_warning
from cloudtune_sagemaker.account.ask import ask, unknown
from cloudtune_sagemaker.account.identity import Caller
from cloudtune_sagemaker.account.role import PATH
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import AwsError
from cloudtune_sagemaker.policy import role_command, role_name, statement_text
from cloudtune_sagemaker.resources import Resource, Resources, is_known
from cloudtune_sagemaker.rights import PASSED_TO, caller_rights, role_rights

_SIMULATION = "iam:SimulatePrincipalPolicy"
_LOOK = "`cloudtune doctor --policy` prints the rights that a run needs"
_CALLER, _ROLE = "caller-rights", "role-rights"


@dataclass(frozen=True)
class _Missing:
    right: Right[Resource]
    resources: Sequence[str]
    decision: str


def check_caller_rights(aws: Aws, plan: Plan, caller: Caller) -> Iterator[Check]:
    """Yield which rights of a run the caller lacks."""
    if caller.kind == "root":
        return
    question = "whether you have the rights that a run needs"
    principal = caller.arn
    if caller.role:
        right = f"iam:GetRole on the role {caller.role}"
        role = yield from ask(
            lambda: aws.call("iam", "get_role", RoleName=caller.role),
            unknown(_CALLER, question, right, look=_LOOK),
        )
        if role is None:
            return
        principal = role["Role"]["Arn"]
    rights = caller_rights(plan)
    otherwise = unknown(_CALLER, question, f"{_SIMULATION} on {principal}", look=_LOOK)
    missing = yield from _simulate(aws, plan, principal, rights, otherwise)
    if missing is None:
        return
    for lack in missing:
        if lack.right.without:
            yield _optional(plan, lack, "your user or role", _CALLER)
    needed = [lack.right for lack in missing if not lack.right.without]
    if needed:
        yield account_error(
            id=_CALLER,
            message=f"your user or role lacks {_join(needed)}",
            fix="attach this policy to it",
            command=statement_text(plan, needed),
        )
    elif not missing:
        yield account_ok(id=_CALLER, message=f"all {len(rights)} rights of the caller")


def check_role_rights(aws: Aws, plan: Plan) -> Iterator[Check]:
    """Yield which rights of a run the role lacks."""
    arn: str = plan.facts.data["role_arn"]
    name = role_name(arn)
    rights = role_rights(plan)
    question = f"whether the role {name} has the rights that training jobs need"
    otherwise = unknown(_ROLE, question, f"{_SIMULATION} on {arn}", path=PATH, look=_LOOK)
    missing = yield from _simulate(aws, plan, arn, rights, otherwise)
    if missing is None:
        return
    for lack in missing:
        if lack.right.without:
            yield _optional(plan, lack, f"the role {name}", _ROLE, PATH)
    needed = [lack for lack in missing if not lack.right.without]
    if not needed:
        if not missing:
            yield account_ok(id=_ROLE, message=f"all {len(rights)} rights of the role")
        return
    message = f"the role {name} lacks {_join([lack.right for lack in needed])}"
    report = account_error
    if _may_be_granted(aws, needed, arn):
        report = account_warning
        message += "; the bucket's own policy may grant it, which cannot be checked"
    yield report(
        id=_ROLE,
        path=PATH,
        message=message,
        fix="give it all rights that a run needs",
        command=role_command(plan, name),
    )


def _optional(plan: Plan, lack: _Missing, who: str, id_: str, path: str = "") -> Check:
    resources = Resources(plan).patterns(lack.right.on)
    return account_warning(
        id=id_,
        path=path,
        message=f"{who} lacks {lack.right.action}: without it, {lack.right.without}",
        fix=f"allow it on {' and '.join(resources)}",
    )


def _simulate(
    aws: Aws, plan: Plan, principal: str, rights: Sequence[Right[Resource]], otherwise: Check
) -> Generator[Check, None, list[_Missing] | None]:
    """Return the rights that a principal lacks; None if that cannot be asked."""
    by_resource: dict[Resource, list[Right[Resource]]] = {}
    for right in rights:
        by_resource.setdefault(right.on, []).append(right)
    resources = Resources(plan)
    missing: list[_Missing] = []
    for resource, group in by_resource.items():
        arns = [arn for arn in resources.concrete(resource) if is_known(arn)]
        if not arns:
            continue
        decisions = yield from ask(partial(_decisions, aws, principal, group, arns), otherwise)
        if decisions is None:
            return None
        missing += [
            _Missing(right, arns, decisions[right.action])
            for right in group
            if decisions.get(right.action, "allowed") != "allowed"
        ]
    return missing


def _decisions(
    aws: Aws, principal: str, rights: Sequence[Right[Resource]], arns: Sequence[str]
) -> dict[str, str]:
    """Return the decision for each action, on the first resource that is denied if any is."""
    context: list[Json] = [
        {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
        for key, value in PASSED_TO.items()
    ]
    decisions: dict[str, str] = {}
    for arn in arns:
        pages = aws.pages(
            "iam",
            "simulate_principal_policy",
            ("Marker", "Marker"),
            PolicySourceArn=principal,
            ActionNames=[right.action for right in rights],
            ResourceArns=[arn],
            ContextEntries=context,
        )
        for page in pages:
            for result in page["EvaluationResults"]:
                action, decision = result["EvalActionName"], result["EvalDecision"]
                if decisions.get(action, "allowed") == "allowed":
                    decisions[action] = decision
    return decisions


def _buckets(missing: Sequence[_Missing]) -> list[str]:
    arns = [arn for lack in missing for arn in lack.resources]
    return list(dict.fromkeys(arn.rpartition(":")[2].partition("/")[0] for arn in arns))


def _may_be_granted(aws: Aws, missing: Sequence[_Missing], role: str) -> bool:
    """Return whether all rights may be granted to a role by the policies of buckets."""
    if not all(lack.right.action.startswith("s3:") for lack in missing):
        return False
    if any(lack.decision != "implicitDeny" for lack in missing):
        return False
    return all(_may_grant(aws, bucket, role) for bucket in _buckets(missing))


def _may_grant(aws: Aws, bucket: str, role: str) -> bool:
    """Return whether a bucket may have a policy that grants a role something."""
    try:
        text: str = aws.call("s3", "get_bucket_policy", Bucket=bucket)["Policy"]
        document: Any = json.loads(text)
    except AwsError as error:
        return error.code not in {"NoSuchBucketPolicy", "NoSuchBucket"}
    except ValueError:
        return True
    account = role.split(":")[4]
    statements: list[Any] = list(document.get("Statement", ()))
    allowing = [each for each in statements if is_map(each) and each.get("Effect") == "Allow"]
    principals = json.dumps([each.get("Principal") for each in allowing])
    return any(each in principals for each in (role, f"::{account}:root", f'"{account}"', '"*"'))


def _join(rights: Sequence[Right[Resource]]) -> str:
    return ", ".join(right.action for right in rights)
