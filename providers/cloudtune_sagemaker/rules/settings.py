"""Rules of the account, of the network, of keys and of tags."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from cloudtune.diagnostics import Finding, Note
from cloudtune.provider.facts import Facts
from cloudtune.study.schema import Mode
from cloudtune_sagemaker.request import RUN_TAG, TRIAL_TAG
from cloudtune_sagemaker.request.parameters import home
from cloudtune_sagemaker.settings import SageMakerSettings

HERE = "providers.sagemaker"
MOST_TAGS = 50
LONGEST_URI = 1024
_LONGEST_TAIL = len("/checkpoints/1234567890")
_ROLE = re.compile(r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
_REGION = re.compile(r"[a-z0-9-]+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ALGORITHM = re.compile(
    r"(arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:[a-z\-]*\/)?"
    r"([a-zA-Z0-9]([a-zA-Z0-9-]){0,62})(?<!-)"
)
_KEY = re.compile(r"[a-zA-Z0-9:/_-]*")
_NETWORK_ID = re.compile(r"[-0-9a-zA-Z]{1,32}")


def settings_rules(
    mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield what is wrong with where and as whom the jobs run."""
    yield from _forms(settings, facts)
    yield from _network(settings)
    yield from _tags(mode, settings)


def _forms(settings: SageMakerSettings, facts: Facts) -> Iterator[Finding]:
    """Yield the texts that are too long or do not have the form that the service wants."""
    role = settings.role_arn
    if role and not (_ROLE.fullmatch(role) and 20 <= len(role) <= 2048):
        yield Finding("refused", f"{HERE}.role_arn", "a role is arn:aws:iam::ACCOUNT:role/NAME")
    if settings.region and not _REGION.fullmatch(settings.region):
        yield Finding("refused", f"{HERE}.region", "this is no region, as us-east-1 is one")
    if settings.bucket and not _BUCKET.fullmatch(settings.bucket):
        reason = "the name alone, of lower-case letters, digits, dots and hyphens, 3 to 63 of them"
        yield Finding("refused", f"{HERE}.bucket", reason)
    if "\n" in settings.prefix or (
        len(home(facts.own, facts.job_name)) + _LONGEST_TAIL > LONGEST_URI
    ):
        reason = f"addresses in S3 are one line of at most {LONGEST_URI} characters"
        yield Finding("refused", f"{HERE}.prefix", reason)
    image = settings.image
    if image and (len(image) > 255 or re.search(r"\s", image)):
        reason = "an image's address has at most 255 characters and no space"
        yield Finding("refused", f"{HERE}.image", reason)
    if settings.algorithm and not (
        _ALGORITHM.fullmatch(settings.algorithm) and len(settings.algorithm) <= 170
    ):
        reason = "this is neither the name of an algorithm nor its ARN"
        yield Finding("refused", f"{HERE}.algorithm", reason)
    if settings.algorithm and (image or settings.framework):
        reason = "an algorithm has an image of its own: give one of the two"
        yield Finding("refused", f"{HERE}.algorithm", reason)
    elif image and settings.framework:
        yield Finding("dropped", f"{HERE}.framework", "the image that is given is used instead")
    for name in ("kms_key", "volume_kms_key"):
        key: str | None = getattr(settings, name)
        if key and not (_KEY.fullmatch(key) and len(key) <= 2048):
            yield Finding("refused", f"{HERE}.{name}", "this is neither a key's id nor its ARN")


def _network(settings: SageMakerSettings) -> Iterator[Finding]:
    groups = {
        "subnets": settings.subnets or [],
        "security_group_ids": settings.security_group_ids or [],
    }
    for name, ids in groups.items():
        for number, one in enumerate(ids):
            if not _NETWORK_ID.fullmatch(one):
                reason = "an id has letters, digits and hyphens, at most 32"
                yield Finding("refused", f"{HERE}.{name}.{number}", reason)
    if bool(settings.subnets) != bool(settings.security_group_ids):
        name = "security_group_ids" if settings.subnets else "subnets"
        reason = "SageMaker wants subnets and security groups together"
        yield Finding("refused", f"{HERE}.{name}", reason)


def _tags(mode: Mode, settings: SageMakerSettings) -> Iterator[Finding]:
    own = {RUN_TAG} if mode == "managed" else {RUN_TAG, TRIAL_TAG}
    if len(settings.tags) + len(own) > MOST_TAGS:
        reason = f"a job has at most {MOST_TAGS} tags, {len(own)} of them cloudtune's"
        yield Finding("refused", f"{HERE}.tags", reason)
    for key, value in settings.tags.items():
        path = f"{HERE}.tags.{key}"
        if not 1 <= len(key) <= 128 or not _of_a_tag(key):
            reason = "a key has 1 to 128 letters, digits, spaces and _.:/=+-@"
            yield Finding("refused", path, reason)
        elif key.lower().startswith("aws:"):
            yield Finding("refused", path, "keys that begin with aws: are Amazon's own")
        elif key in {RUN_TAG, TRIAL_TAG}:
            yield Finding("refused", path, "cloudtune finds its jobs by this tag")
        if len(value) > 256 or not _of_a_tag(value):
            reason = "a value has at most 256 letters, digits, spaces and _.:/=+-@"
            yield Finding("refused", path, reason)


def _of_a_tag(said: str) -> bool:
    r"""Tell whether a text has the form ``[\p{L}\p{Z}\p{N}_.:/=+\-@]*``."""
    return all(c in "_.:/=+-@" or unicodedata.category(c)[0] in "LZN" for c in said)
