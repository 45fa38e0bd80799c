"""What clients have created in the emulator of the other services.

The user's account may have a role or a repository that the emulator has not. As long as none was
created in it, it does not respond that one is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cloudtune_sagemaker.emulator.state import ACCOUNT


def _has_roles(_region: str) -> bool:
    from moto.iam.models import iam_backends

    return bool(iam_backends[ACCOUNT]["aws"].roles)


def _has_repositories(region: str) -> bool:
    from moto.ecr.models import ecr_backends

    backend: Any = ecr_backends[ACCOUNT][region]
    return bool(backend.repositories)


KNOWN_HERE: Mapping[str, Callable[[str], bool]] = {
    "GetRole": _has_roles,
    "SimulatePrincipalPolicy": _has_roles,
    "DescribeImages": _has_repositories,
}
"""Whether anything of the kind that an operation reads was created, by operation and region."""
