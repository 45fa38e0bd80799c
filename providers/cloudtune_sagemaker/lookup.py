"""The lookup of the SageMaker provider. It does not call AWS.

An unknown value becomes a visible placeholder, such as ``{{region}}``.
"""

from __future__ import annotations

import configparser
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.provider import (
    Emulator,
    Facts,
    Inputs,
    Lookup,
    ServiceLimits,
    Study,
    UsageError,
    overrides_any,
)
from cloudtune.provider.lookup import (
    find_inputs,
    is_loopback,
    local_lookup,
    required_pythons_of,
)
from cloudtune.provider.uploads import content_hash, upload_address
from cloudtune_sagemaker.console import job_url
from cloudtune_sagemaker.prices import LIMITS, hour_price
from cloudtune_sagemaker.request.layout import launcher_hash, uploads_prefix
from cloudtune_sagemaker.request.study_part import MIN_TIMEOUT
from cloudtune_sagemaker.settings import NAME, SageMakerSettings

ACCOUNT = "{{account}}"
EMULATED = {
    "region": "us-east-1",
    "role_arn": "arn:aws:iam::000000000000:role/emulated",
    "image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/emulated:latest",
    "instance_type": "ml.m5.xlarge",
}
"""The values of missing settings on the emulator."""
_HINTS = {
    "region": "give a region, such as us-east-1, or set AWS_REGION; the AWS profile has none",
    "role_arn": "give the role of the training jobs: arn:aws:iam::ACCOUNT:role/NAME",
    "image": "give image, the address of the training image; or framework, whose image the extra "
    "sagemaker-sdk looks up: pip install 'cloudtune[sagemaker-sdk]'; or algorithm",
    "instance_type": "give the machine type, such as ml.m5.xlarge",
}
LONGEST_TRIAL = 86_400
"""Seconds of a training job by default (StoppingCondition, botocore 1.44.8 model)."""
GRACE = 120
"""Seconds between the signal at a trial's time limit and its end (botocore 1.44.8 model,
StoppingCondition)."""
_ROLE = re.compile(r"arn:aws[a-z\-]*:iam::(\d{12}):role/.+")


def lookup(study: Study, settings: SageMakerSettings, facts: Facts) -> Lookup:
    """Return what is known of the account; missing settings get stand-ins."""
    emulated = facts.emulated
    region = settings.region or ("" if emulated else default_region(settings.profile))
    image, why_no_image = _image(settings, region, emulated=emulated)
    values = {
        "region": region,
        "role_arn": settings.role_arn,
        "image": image or settings.algorithm,
        "instance_type": settings.instance_type,
    }
    missing = {name: _HINTS[name] for name, value in values.items() if not value}
    if why_no_image and missing.pop("image", None):
        missing["framework"] = f"{why_no_image}; or give image"
    stand_ins = EMULATED if emulated else {name: f"{{{{{name}}}}}" for name in values}
    region = region or stand_ins["region"]
    role = settings.role_arn or stand_ins["role_arn"]
    account = match[1] if (match := _ROLE.fullmatch(role)) else ACCOUNT
    if not image and not settings.algorithm:
        image = stand_ins["image"]
    types = list(settings.instance_type or [stand_ins["instance_type"]])
    data: dict[str, Any] = {
        "region": region,
        "role_arn": role,
        "account": account,
        "bucket": settings.bucket or f"sagemaker-{region}-{account}",
        "prefix": settings.prefix,
        "image": image,
        "algorithm": settings.algorithm,
        "instance_types": types,
        "launcher": launcher_hash(),
        "pythons": required_pythons_of(study, facts),
    }
    return replace(
        local_lookup(study, facts, NAME),
        price=hour_price(region, types, settings),
        limits=ServiceLimits(
            longest_trial=LONGEST_TRIAL,
            timeout_ends_trials=("managed",),
            set_by_native=overrides_any(settings.native, LIMITS),
            grace_seconds=GRACE,
            min_timeout=MIN_TIMEOUT,
            uncounted=(
                f"volumes of {settings.volume_size} GB, whose price is unknown",
                "the upload of what trials have saved",
            ),
        ),
        missing_settings=missing,
        inputs=_inputs(study, facts, uploads_prefix(data)),
        links={
            "managed": job_url(region, facts.job_name),
            "driven": job_url(region, facts.job_name, driven=True),
        },
        data=data,
    )


def _inputs(study: Study, facts: Facts, home: str) -> Inputs:
    """Return the inputs. The address of an uploaded one ends with a slash: S3 selects by prefix.

    "SageMaker uses all objects that match the specified key name prefix" (API reference,
    S3DataSource, read 2026-11-27): without the slash, ``inputs/train`` would also be the address of
    the files in ``inputs/train_extra``.
    """
    inputs = find_inputs(study, facts, NAME, home)
    folders = {
        name: upload_address(home, content_hash(Path(path)))
        for name, path in inputs.uploads.items()
    }
    return replace(inputs, addresses={**inputs.addresses, **folders})


def reachable_emulator(profile: str | None) -> Emulator | None:
    """Return the emulator on this machine to which boto3's endpoint variables lead, or None.

    The variables and their order are those of the AWS SDKs reference guide, "Service-specific
    endpoints", read 2026-11-27; a profile's ``services`` section is not read.

    Raises:
        UsageError: If SageMaker or S3 is on this machine, but not the other one.
    """
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    common = os.environ.get("AWS_ENDPOINT_URL") or _configured("endpoint_url", profile)
    urls = {
        name: os.environ.get(f"AWS_ENDPOINT_URL_{name.upper()}") or common
        for name in ("SageMaker", "S3")
    }
    local = {name: url for name, url in urls.items() if is_loopback(url)}
    if not local:
        return None
    if len(set(urls.values())) > 1:
        (name, url), *_ = local.items()
        raise UsageError(
            f"boto3 would reach {name} at {url}, and other services of AWS elsewhere: unset the "
            "variables AWS_ENDPOINT_URL..., or let all of them lead to one emulator"
        )
    return Emulator(common or urls["S3"], os.environ.get("AWS_ACCESS_KEY_ID") or "emulated")


def default_region(profile: str | None) -> str:
    """Return the region of the environment or of the AWS configuration file, or an empty string."""
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if region := os.environ.get(variable):
            return region
    return _configured("region", profile)


def _configured(option: str, profile: str | None) -> str:
    """Return an option of a profile in the AWS configuration file, or an empty string."""
    profile = profile or os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    path = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    config = configparser.RawConfigParser(strict=False)
    try:
        config.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return ""
    section = f"profile {profile}" if profile and profile != "default" else "default"
    return config.get(section, option, fallback="").strip()


def _image(
    settings: SageMakerSettings, region: str, *, emulated: bool
) -> tuple[str | None, str | None]:
    """Return the image, and the reason if the image of a framework is unknown."""
    if settings.image or not settings.framework or settings.algorithm or emulated:
        return settings.image, None
    from cloudtune_sagemaker.images import ImageLookupError, find_image

    if not region:
        return None, "the image of a framework depends on the region, which is unknown"
    try:
        machine = (settings.instance_type or ["ml.m5.xlarge"])[0]
        return find_image(settings.framework, region, machine), None
    except ImageLookupError as error:
        return None, str(error)
