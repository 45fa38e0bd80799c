"""Whether the role of the training jobs exists, and SageMaker may assume it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from cloudtune.provider import Check, Json, Plan, is_list
from cloudtune.provider.account import account_error, account_ok, account_warning
from cloudtune_sagemaker.account.ask import ask, unknown
from cloudtune_sagemaker.account.identity import Caller
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import AwsError
from cloudtune_sagemaker.policy import create_role_command, role_name, trust_command
from cloudtune_sagemaker.resources import is_known
from cloudtune_sagemaker.rights import SERVICE

PATH = "providers.sagemaker.role_arn"
_SERVICES = {SERVICE, f"{SERVICE}.cn"}


def check_role(aws: Aws, plan: Plan, caller: Caller) -> Generator[Check, None, bool]:
    """Yield the checks of the role; return whether it is known to exist."""
    arn: str = plan.facts.data["role_arn"]
    if not is_known(arn):
        return False
    account: str = plan.facts.data["account"]
    if account != caller.account and not aws.emulated:
        yield account_error(
            id="role-account",
            path=PATH,
            message=f"the role is in account {account}, and the credentials are of "
            f"{caller.account}; a role can only be passed within its account",
            fix="use a role of the same account, or credentials of the other one",
        )
        return False
    role = yield from ask(
        lambda: _find(aws, arn),
        unknown(
            "role",
            f"whether the role {role_name(arn)} exists and trusts SageMaker",
            f"iam:GetRole on {arn}",
            path=PATH,
            look="see its trust relationships in the IAM console",
        ),
    )
    if role is None:
        return False
    if not role:
        yield account_error(
            id="role",
            path=PATH,
            message=f"account {caller.account} has no role {role_name(arn)}",
            fix="create it, and give it the policy that `cloudtune doctor --policy` prints",
            command=create_role_command(role_name(arn)),
        )
        return False
    if role["Arn"] != arn:
        yield account_error(
            id="role",
            path=PATH,
            message=f"the ARN of the role {role_name(arn)} is {role['Arn']}",
            fix=f"use that instead of {arn}",
        )
        return False
    yield from _check_trust(role)
    return True


def _find(aws: Aws, arn: str) -> Json:
    """Return a role, empty if it does not exist."""
    try:
        role: Json = aws.call("iam", "get_role", RoleName=role_name(arn))["Role"]
    except AwsError as error:
        if error.code in {"NoSuchEntity", "NoSuchEntityException"}:
            return {}
        raise
    return role


def _check_trust(role: Json) -> Iterator[Check]:
    name = role["RoleName"]
    document: Any = role.get("AssumeRolePolicyDocument") or {}
    statements = [each for each in _list(document.get("Statement")) if _is_about_service(each)]
    allowed = [each for each in statements if each.get("Effect") == "Allow"]
    if not allowed or any(each.get("Effect") == "Deny" for each in statements):
        yield account_error(
            id="role-trust",
            path=PATH,
            message=f"SageMaker may not assume the role {name}: its trust policy does not allow "
            f"{SERVICE} to call sts:AssumeRole",
            fix="replace the trust policy, or add this statement to it",
            command=trust_command(name),
        )
    elif all(each.get("Condition") for each in allowed):
        yield account_warning(
            id="role-trust",
            path=PATH,
            message=f"the trust policy of the role {name} allows SageMaker under conditions, which "
            "cannot be checked here",
            fix="make sure that they hold for training jobs of this account",
        )
    else:
        yield account_ok(id="role-trust", message=f"role {name} exists and trusts SageMaker")


def _is_about_service(statement: Json) -> bool:
    principal: Any = statement.get("Principal") or {}
    services = principal if principal == "*" else principal.get("Service", ())
    actions = {str(action).lower() for action in _list(statement.get("Action"))}
    has_service = services == "*" or bool(_SERVICES & set(_list(services)))
    return has_service and bool(actions & {"sts:assumerole", "sts:*", "*"})


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if is_list(value) else [value]
