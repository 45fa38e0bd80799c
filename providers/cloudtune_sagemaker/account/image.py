"""Whether the image is in its registry, or the algorithm exists."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Check, Json, Plan
from cloudtune.provider.account import account_error, account_ok, account_unknown
from cloudtune_sagemaker.account.ask import ask, unknown
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import AwsError
from cloudtune_sagemaker.lookup import EMULATED
from cloudtune_sagemaker.resources import ECR_ADDRESS

PATH = "providers.sagemaker.image"
_MISSING = {"RepositoryNotFoundException", "ImageNotFoundException"}


def check_image(aws: Aws, plan: Plan) -> Iterator[Check]:
    """Yield whether the image of the jobs exists, where its registry can be asked."""
    image: str | None = plan.facts.data["image"]
    match = ECR_ADDRESS.fullmatch(image or "")
    if match is None or (aws.emulated and image == EMULATED["image"]):
        return
    region: str = plan.facts.data["region"]
    if match["region"] != region:
        return  # the rules refuse it
    tag, digest = match["tag"] or "latest", match["digest"]
    identifier = {"imageDigest": digest} if digest else {"imageTag": tag}
    name, account = match["name"], match["account"]
    is_foreign = account != plan.facts.data["account"]

    def describe() -> Json:
        try:
            return aws.call(
                "ecr",
                "describe_images",
                registryId=account,
                repositoryName=name,
                imageIds=[identifier],
            )
        except AwsError as error:
            if error.code in _MISSING:
                return {"missing": error.code}
            raise

    owner = f"; it belongs to account {account}, whose policy decides" if is_foreign else ""
    right = f"ecr:DescribeImages on the repository {name}{owner}"
    answer = yield from ask(
        describe, unknown("image", f"whether the image {name}:{tag} exists", right, path=PATH)
    )
    if answer is None:
        return
    if missing := answer.get("missing"):
        yield _absent(missing, account, region, name, digest or tag, is_foreign=is_foreign)
    elif not answer.get("imageDetails"):
        yield account_unknown(
            id="image", path=PATH, message=f"ECR does not describe the image {name}:{tag}"
        )
    else:
        yield account_ok(id="image", message=f"image {name}:{digest or tag} exists")


def _absent(
    code: str, account: str, region: str, name: str, version: str, *, is_foreign: bool
) -> Check:
    lists = (
        f"aws ecr list-images --registry-id {account} --repository-name {name} --region {region}"
    )
    if code == "RepositoryNotFoundException":
        message = f"account {account} has no repository {name} in {region}"
        fix = "check the address of the image"
        if not is_foreign:
            fix = "create the repository and push the image"
            lists = f"aws ecr create-repository --repository-name {name} --region {region}"
    else:
        message = f"the repository {name} has no image {version}"
        fix = "push the image, or choose one that exists; this lists them"
    return account_error(id="image", path=PATH, message=message, fix=fix, command=lists)
