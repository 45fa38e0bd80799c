"""The caller, this machine's clock, and the region."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass

from cloudtune.provider import Check, Json, Plan
from cloudtune.provider.account import account_error, account_ok, account_warning, check_clock
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import AwsError

TOLERANCE = 300.0
"""Seconds: "requests must reach AWS within five minutes of the time stamp in the request" (IAM user
guide, reference_sigv, read 2026-11-27). S3 allows fifteen."""
_SOURCES: Mapping[str, str] = {
    "env": "the AWS_ variables",
    "shared-credentials-file": "profile {} of the credentials file",
    "config-file": "profile {} of the configuration file",
    "custom-process": "the credential_process of profile {}",
    "assume-role": "the role that profile {} assumes",
    "assume-role-with-web-identity": "a web identity token",
    "sso": "IAM Identity Center, profile {}",
    "login": "aws login, profile {}",
    "container-role": "the role of this container",
    "iam-role": "the role of this machine",
    "ec2-credentials-file": "the file in AWS_CREDENTIAL_FILE",
    "boto-config": "boto's old configuration file",
    "explicit": "the key of the emulator",
}
"""Where botocore 1.44.8 finds credentials (credentials.py), by its name for the place."""
_ARN = re.compile(r"arn:(aws[a-z-]*):(sts|iam)::(\d{12}):(.+)")
_NOT_CHECKED = "; nothing else of the account could be checked"


@dataclass(frozen=True)
class Caller:
    """Who calls."""

    arn: str
    account: str

    @property
    def kind(self) -> str:
        """What the caller is: ``user``, ``assumed-role``, ``root`` or another."""
        match = _ARN.fullmatch(self.arn)
        return match[4].partition("/")[0] if match else ""

    @property
    def role(self) -> str | None:
        """The name of the role that the caller has assumed, if any."""
        return self.arn.split("/")[1] if self.kind == "assumed-role" else None


def check_identity(aws: Aws, plan: Plan) -> Generator[Check, None, Caller | None]:
    """Yield the checks of credentials, clock and region; return the caller if it is known.

    GetCallerIdentity needs no right (botocore 1.44.8, documentation of sts).
    """
    region: str = plan.facts.data["region"]
    try:
        source = aws.credentials_source()
    except AwsError as error:
        yield _no_credentials(str(error))
        return None
    if source is None:
        yield _no_credentials("boto3 finds no credentials")
        return None
    where = _SOURCES.get(source[0], source[0]).format(source[1])
    try:
        identity = aws.call("sts", "get_caller_identity")
    except AwsError as error:
        if not error.code:
            raise
        clock = check_clock(error.date, TOLERANCE)
        if clock and clock.severity == "error":
            yield clock
        yield _refused(error, where, region)
        return None
    yield account_ok(id="credentials", message=f"{identity['Arn']}, from {where}")
    if clock := check_clock(_date(identity), TOLERANCE):
        yield clock
    yield account_ok(id="region", message=f"region {region}")
    caller = Caller(identity["Arn"], identity["Account"])
    if caller.kind == "root":
        yield account_warning(
            id="credentials-root",
            message="the caller is the account's root user, who may do everything",
            fix="use a user or role with the policies that `cloudtune doctor --policy` prints",
        )
    return caller


def _no_credentials(reason: str) -> Check:
    return account_error(
        id="credentials",
        path="providers.sagemaker.profile",
        message=reason.removeprefix("sagemaker: ") + _NOT_CHECKED,
        fix="sign in, set the AWS_ variables, or set the profile",
        command="aws sso login    # or: aws configure",
    )


def _refused(error: AwsError, where: str, region: str) -> Check:
    text = str(error).removeprefix("sagemaker: GetCallerIdentity: ")
    text = text.replace(", then run `cloudtune resume`", "")
    fix, command = "sign in again", "aws sso login    # or: aws configure"
    if error.code in {"InvalidClientTokenId", "UnrecognizedClientException"}:
        fix = (
            f"check the access key; a region that is not enabled for the account, as {region} may "
            "be, causes the same"
        )
        command = f"aws account get-region-opt-status --region-name {region}"
    elif error.code in {"SignatureDoesNotMatch", "InvalidSignatureException"}:
        fix = "check the secret key, and the clock of this machine"
        command = "aws configure"
    return account_error(
        id="credentials",
        path="providers.sagemaker.profile",
        message=f"AWS refuses the credentials from {where}: {text}{_NOT_CHECKED}",
        fix=fix,
        command=command,
    )


def _date(response: Json) -> str:
    return str(response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", ""))
