"""Rules of the account, the network, the keys and the tags."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from cloudtune.provider import (
    Facts,
    Finding,
    Mode,
    Node,
    Note,
    Study,
    did_you_mean,
    list_nodes,
)
from cloudtune_sagemaker.request.layout import RUN_TAG, TRIAL_TAG, job_prefix
from cloudtune_sagemaker.settings import SageMakerSettings

SETTINGS = "providers.sagemaker"
"""The path of the settings in a study."""
MAX_TAGS = 50
MAX_URI_LENGTH = 1024
_LONGEST_SUFFIX = len("/checkpoints/1234567890/")
_KEY = r"[a-zA-Z0-9:/_-]{0,2048}"
_FORMATS = {
    "role_arn": (
        r"(?=.{20,2048}$)arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
        "must be a role's ARN: arn:aws:iam::ACCOUNT:role/NAME",
    ),
    "bucket": (
        r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        "must be a bucket's name: 3 to 63 lowercase letters, digits, dots and hyphens",
    ),
    "image": (r"\S{1,255}", "an image address must have at most 255 characters and no spaces"),
    "algorithm": (
        r"(?=.{1,170}$)(arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:[a-z\-]*\/)?"
        r"([a-zA-Z0-9]([a-zA-Z0-9-]){0,62})(?<!-)",
        "must be the name or the ARN of an algorithm",
    ),
    "kms_key": (_KEY, "must be the id or the ARN of a key"),
    "volume_kms_key": (_KEY, "must be the id or the ARN of a key"),
}
"""The pattern of each setting that has one, and the message for other values."""
_NETWORK_ID = re.compile(r"[-0-9a-zA-Z]{1,32}")


def refuse(field: str, reason: str) -> Finding:
    """Return the finding that refuses the value of a setting."""
    return Finding("refused", f"{SETTINGS}.{field}", reason)


def parameter_paths(study: Study) -> Iterator[tuple[str, Node]]:
    """Yield each definition of a parameter with its path in the study."""
    seen: Counter[str] = Counter()
    for node in list_nodes(study):
        has_variants = len(study.parameters[node.name]) > 1
        yield f"parameters.{node.name}{f'.{seen[node.name]}' if has_variants else ''}", node
        seen[node.name] += 1


REGIONS = frozenset(
    {"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2"}
    | {"ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2"}
    | {"ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6"}
    | {"ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2"}
    | {"eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3"}
    | {"il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1"}
    | {"us-east-1", "us-east-2", "us-west-1", "us-west-2", "cn-north-1", "cn-northwest-1"}
    | {"us-gov-east-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1"}
    | {"eu-isoe-west-1", "us-isof-east-1", "us-isof-south-1", "eusc-de-east-1"}
)
"""The regions of SageMaker (botocore 1.44.8, endpoints.json)."""
_PLAUSIBLE_REGION = re.compile(
    r"(af|ap|ca|cn|eu|eusc-de|il|me|mx|sa|us|us-gov|(us|eu)-iso[a-z]?)-"
    r"(central|(north|south)(east|west)?|east|west)-[1-9]"
)
"""The pattern of regions, for those that are newer than the list."""


def settings_rules(
    mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield the findings and notes on the account and the network."""
    yield from _region(facts.data["region"])
    yield from _formats(settings, facts)
    yield from _network(settings)
    yield from _tags(mode, settings)


def _region(region: str) -> Iterator[Finding | Note]:
    if region in REGIONS or "{{" in region:
        return
    suggestion = did_you_mean(region, REGIONS)
    text = f"{region} is not among SageMaker's regions in botocore 1.44.8"
    text = f"{text}; {suggestion}" if suggestion else text
    if _PLAUSIBLE_REGION.fullmatch(region):
        yield Note(f"{SETTINGS}.region", text)
    else:
        yield refuse("region", text)


def _formats(settings: SageMakerSettings, facts: Facts) -> Iterator[Finding]:
    for field, (pattern, reason) in _FORMATS.items():
        value: str | None = getattr(settings, field)
        if value and not re.fullmatch(pattern, value):
            yield refuse(field, reason)
    if "\n" in settings.prefix or (
        len(job_prefix(facts.data, facts.job_name)) + _LONGEST_SUFFIX > MAX_URI_LENGTH
    ):
        yield refuse(
            "prefix", f"S3 addresses must be one line of at most {MAX_URI_LENGTH} characters"
        )
    if settings.algorithm and (settings.image or settings.framework):
        yield refuse("algorithm", "an algorithm includes its image: set only one of them")
    elif settings.image and settings.framework:
        yield Finding("dropped", f"{SETTINGS}.framework", "not used, since image is set")


def _network(settings: SageMakerSettings) -> Iterator[Finding]:
    subnets, groups = settings.subnets or [], settings.security_group_ids or []
    for field, ids in (("subnets", subnets), ("security_group_ids", groups)):
        for number, network_id in enumerate(ids):
            if not _NETWORK_ID.fullmatch(network_id):
                reason = "an id must have at most 32 letters, digits and hyphens"
                yield refuse(f"{field}.{number}", reason)
    if bool(subnets) != bool(groups):
        missing = "security_group_ids" if subnets else "subnets"
        yield refuse(missing, "SageMaker requires subnets and security groups together")


def _tags(mode: Mode, settings: SageMakerSettings) -> Iterator[Finding]:
    reserved = {RUN_TAG} if mode == "managed" else {RUN_TAG, TRIAL_TAG}
    if len(settings.tags) + len(reserved) > MAX_TAGS:
        yield refuse(
            "tags", f"a job has at most {MAX_TAGS} tags, and cloudtune needs {len(reserved)}"
        )
    for key, value in settings.tags.items():
        field = f"tags.{key}"
        if not 1 <= len(key) <= 128 or not _is_tag_text(key):
            yield refuse(field, "a key must have 1 to 128 letters, digits, spaces and _.:/=+-@")
        elif key.lower().startswith("aws:"):
            yield refuse(field, "keys that start with aws: are reserved by AWS")
        elif key in {RUN_TAG, TRIAL_TAG}:
            yield refuse(field, "this key is reserved: cloudtune finds its jobs by it")
        if len(value) > 256 or not _is_tag_text(value):
            yield refuse(
                field, "a value must have at most 256 letters, digits, spaces and _.:/=+-@"
            )


def _is_tag_text(text: str) -> bool:
    r"""Return whether text matches ``[\p{L}\p{Z}\p{N}_.:/=+\-@]*``."""
    return all(c in "_.:/=+-@" or unicodedata.category(c)[0] in "LZN" for c in text)
