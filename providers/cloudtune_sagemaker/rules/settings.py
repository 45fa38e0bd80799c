"""Rules of the account, the network, the keys and the tags."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, Mode, Note
from cloudtune_sagemaker.request.layout import RUN_TAG, TRIAL_TAG, job_prefix
from cloudtune_sagemaker.settings import SageMakerSettings

SETTINGS = "providers.sagemaker"
"""The path of the settings in a study."""
MAX_TAGS = 50
MAX_URI_LENGTH = 1024
_LONGEST_SUFFIX = len("/checkpoints/1234567890")
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
    """Yield the findings on the account and the network."""
    yield from _formats(settings, facts)
    yield from _network(settings)
    yield from _tags(mode, settings)


def _formats(settings: SageMakerSettings, facts: Facts) -> Iterator[Finding]:
    role = settings.role_arn
    if role and not (_ROLE.fullmatch(role) and 20 <= len(role) <= 2048):
        reason = "must be a role's ARN: arn:aws:iam::ACCOUNT:role/NAME"
        yield Finding("refused", f"{SETTINGS}.role_arn", reason)
    if settings.region and not _REGION.fullmatch(settings.region):
        yield Finding("refused", f"{SETTINGS}.region", "must be a region, such as us-east-1")
    if settings.bucket and not _BUCKET.fullmatch(settings.bucket):
        reason = "must be a bucket's name: 3 to 63 lowercase letters, digits, dots and hyphens"
        yield Finding("refused", f"{SETTINGS}.bucket", reason)
    if "\n" in settings.prefix or (
        len(job_prefix(facts.data, facts.job_name)) + _LONGEST_SUFFIX > MAX_URI_LENGTH
    ):
        reason = f"S3 addresses must be one line of at most {MAX_URI_LENGTH} characters"
        yield Finding("refused", f"{SETTINGS}.prefix", reason)
    image = settings.image
    if image and (len(image) > 255 or re.search(r"\s", image)):
        reason = "an image address must have at most 255 characters and no spaces"
        yield Finding("refused", f"{SETTINGS}.image", reason)
    if settings.algorithm and not (
        _ALGORITHM.fullmatch(settings.algorithm) and len(settings.algorithm) <= 170
    ):
        reason = "must be the name or the ARN of an algorithm"
        yield Finding("refused", f"{SETTINGS}.algorithm", reason)
    if settings.algorithm and (image or settings.framework):
        reason = "an algorithm includes its image: set only one of them"
        yield Finding("refused", f"{SETTINGS}.algorithm", reason)
    elif image and settings.framework:
        yield Finding("dropped", f"{SETTINGS}.framework", "not used, since image is set")
    for name in ("kms_key", "volume_kms_key"):
        key: str | None = getattr(settings, name)
        if key and not (_KEY.fullmatch(key) and len(key) <= 2048):
            yield Finding("refused", f"{SETTINGS}.{name}", "must be the id or the ARN of a key")


def _network(settings: SageMakerSettings) -> Iterator[Finding]:
    ids_by_field = {
        "subnets": settings.subnets or [],
        "security_group_ids": settings.security_group_ids or [],
    }
    for name, ids in ids_by_field.items():
        for number, id_ in enumerate(ids):
            if not _NETWORK_ID.fullmatch(id_):
                reason = "an id must have at most 32 letters, digits and hyphens"
                yield Finding("refused", f"{SETTINGS}.{name}.{number}", reason)
    if bool(settings.subnets) != bool(settings.security_group_ids):
        missing = "security_group_ids" if settings.subnets else "subnets"
        reason = "SageMaker requires subnets and security groups together"
        yield Finding("refused", f"{SETTINGS}.{missing}", reason)


def _tags(mode: Mode, settings: SageMakerSettings) -> Iterator[Finding]:
    reserved = {RUN_TAG} if mode == "managed" else {RUN_TAG, TRIAL_TAG}
    if len(settings.tags) + len(reserved) > MAX_TAGS:
        reason = f"a job has at most {MAX_TAGS} tags, and cloudtune needs {len(reserved)}"
        yield Finding("refused", f"{SETTINGS}.tags", reason)
    for key, value in settings.tags.items():
        path = f"{SETTINGS}.tags.{key}"
        if not 1 <= len(key) <= 128 or not _is_tag_text(key):
            reason = "a key must have 1 to 128 letters, digits, spaces and _.:/=+-@"
            yield Finding("refused", path, reason)
        elif key.lower().startswith("aws:"):
            yield Finding("refused", path, "keys that start with aws: are reserved by AWS")
        elif key in {RUN_TAG, TRIAL_TAG}:
            yield Finding("refused", path, "this key is reserved: cloudtune finds its jobs by it")
        if len(value) > 256 or not _is_tag_text(value):
            reason = "a value must have at most 256 letters, digits, spaces and _.:/=+-@"
            yield Finding("refused", path, reason)


def _is_tag_text(text: str) -> bool:
    r"""Return whether text matches ``[\p{L}\p{Z}\p{N}_.:/=+\-@]*``."""
    return all(c in "_.:/=+-@" or unicodedata.category(c)[0] in "LZN" for c in text)
