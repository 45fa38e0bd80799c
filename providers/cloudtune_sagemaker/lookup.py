"""What must be known of the account and of this machine before a study is planned on SageMaker.

Nothing is asked of AWS. What is not known is a stand-in that shows: ``{{region}}``.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.provider.cost import overrides_any, price_facts
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import code_address, find_inputs, local_facts
from cloudtune.study.study import Study
from cloudtune_sagemaker.prices import LIMITS, hour_price
from cloudtune_sagemaker.request.layout import job_prefix
from cloudtune_sagemaker.settings import NAME, SageMakerSettings

REGION, ROLE, ACCOUNT, IMAGE, MACHINE = (
    "{{region}}",
    "{{role_arn}}",
    "{{account}}",
    "{{image}}",
    "{{instance_type}}",
)
EMULATED = {
    "region": "us-east-1",
    "role_arn": "arn:aws:iam::000000000000:role/emulated",
    "image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/emulated:latest",
    "instance_type": "ml.m5.xlarge",
}
"""What stands for what a study does not say, on the emulator."""
_NEEDED = {
    "region": "name it, as us-east-1, or set AWS_REGION; the AWS profile has none",
    "role_arn": "training jobs run as a role: arn:aws:iam::ACCOUNT:role/NAME",
    "image": "give image, the address of the training image; or framework, whose image the extra "
    "sagemaker-sdk looks up: pip install 'cloudtune[sagemaker-sdk]'; or algorithm",
    "instance_type": "name the machine, as ml.m5.xlarge",
}
LONGEST_TRIAL = 86_400
"""Seconds of a training job where none are given (StoppingCondition, botocore 1.44.8 model)."""
_ROLE = re.compile(r"arn:aws[a-z\-]*:iam::(\d{12}):role/.+")


def lookup(study: Study, settings: SageMakerSettings, facts: Facts) -> Mapping[str, Any]:
    """Return the facts of `cloudtune.provider.facts.Facts.own`, as JSON data.

    What the study leaves out and needs is named in ``missing``, and has a stand-in.
    """
    region = settings.region or ("" if facts.emulated else region_of(settings.profile))
    image, why_no_image = _image(settings, region, emulated=facts.emulated)
    said = {
        "region": region,
        "role_arn": settings.role_arn,
        "image": image or settings.algorithm,
        "instance_type": settings.instance_type,
    }
    missing = {name: _NEEDED[name] for name, value in said.items() if not value}
    if why_no_image and missing.pop("image", None):
        missing["framework"] = f"{why_no_image}; or give image"
    machine = EMULATED["instance_type"] if facts.emulated else MACHINE
    region = region or (EMULATED["region"] if facts.emulated else REGION)
    role = settings.role_arn or (EMULATED["role_arn"] if facts.emulated else ROLE)
    account = found[1] if (found := _ROLE.fullmatch(role)) else ACCOUNT
    if not image and not settings.algorithm:
        image = EMULATED["image"] if facts.emulated else IMAGE
    types = list(settings.instance_type or [machine])
    own: dict[str, Any] = {
        "region": region,
        "role_arn": role,
        "account": account,
        "bucket": settings.bucket or f"sagemaker-{region}-{account}",
        "prefix": settings.prefix,
        "image": image,
        "algorithm": settings.algorithm,
        "instance_types": types,
        "missing": missing,
        "code": code_address(study, NAME),
        **price_facts(hour_price(region, types, settings)),
        "longest_trial": LONGEST_TRIAL,
        "timeout_ends_trials": ["managed"],
        "own_limits": overrides_any(settings.native, LIMITS),
        "links": {
            "managed": link(region, facts.job_name),
            "driven": link(region, facts.job_name, driven=True),
        },
        **local_facts(study, facts),
    }
    return {**own, **find_inputs(study, facts, NAME, job_prefix(own, facts.job_name))}


def region_of(profile: str | None) -> str:
    """Return the region that the environment or the AWS configuration file names, else nothing."""
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if region := os.environ.get(variable):
            return region
    chosen = profile or os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    path = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    config = configparser.RawConfigParser(strict=False)
    try:
        config.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return ""
    section = f"profile {chosen}" if chosen and chosen != "default" else "default"
    return config.get(section, "region", fallback="").strip()


def link(region: str, job: str, *, driven: bool = False) -> str:
    """Return where people look at a tuning job, or where it is driven at its training jobs."""
    domain = "console.aws.amazon.com"
    if region.startswith("cn-"):
        domain = "console.amazonaws.cn"
    elif region.startswith("us-gov-"):
        domain = "console.amazonaws-us-gov.com"
    what = "jobs" if driven else f"hyper-tuning-jobs/{job}"
    return f"https://{region}.{domain}/sagemaker/home?region={region}#/{what}"


def _image(
    settings: SageMakerSettings, region: str, *, emulated: bool
) -> tuple[str | None, str | None]:
    """Return the image, and why there is none where a framework is named."""
    if settings.image or not settings.framework or settings.algorithm or emulated:
        return settings.image, None
    from cloudtune_sagemaker.images import CannotLookUpError, image_of

    if not region:
        return None, "images are looked up by region, and none is known"
    try:
        machine = (settings.instance_type or ["ml.m5.xlarge"])[0]
        return image_of(settings.framework, region, machine), None
    except CannotLookUpError as error:
        return None, str(error)
