"""Names and addresses in recordings, which are masked: their form, and which of them are equal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cloudtune.study.yaml_reader import is_list, is_map

_FIELDS = ("Arn", "Name", "name", "customJob", "href", "id", "S3ModelArtifacts")
"""How the names of fields end whose values are names or addresses that a service chooses."""
_WORDS = frozenset(
    [
        *("arn", "aws", "aws-cn", "aws-us-gov", "sagemaker", "s3"),
        *("training-job", "hyper-parameter-tuning-job"),
        *("output", "model.tar.gz", "projects", "locations", "hyperparameterTuningJobs"),
        *("customJobs", "operations", "ml", "v4", "v2", "trainings", "deployments"),
        *("deployment_jobs", "assets", "jobs", "runs"),
    ]
)
"""The parts of addresses that are the same for every user."""
_PARTITIONS = {"aws-cn": "aws", "aws-us-gov": "aws"}
"""Parts of Amazon's addresses that depend on the region alone."""
_PARTS = re.compile(r"([/:])")
_NUMBER = re.compile(r"\d+|#|MASKED")


def is_name(path: str) -> bool:
    """Return whether a service chooses the value of a field, not the caller, as a name."""
    return path.rpartition(".")[2].endswith(_FIELDS) and "HyperParameters." not in path


def form(address: str) -> str:
    """Return an address without its query, with ``*`` for each part that names something.

    Example:
        >>> form("arn:aws:sagemaker:us-east-1:111122223333:training-job/my-job")
        'arn:aws:sagemaker:*:*:training-job/*'
    """
    parts = _PARTS.split(address.partition("?")[0])
    return "".join(
        _PARTITIONS.get(part, part) if part in _WORDS or _PARTS.fullmatch(part) or not part else "*"
        for part in parts
    )


def is_numbered(address: str) -> bool:
    """Return whether an address ends with a number, or with what masks it."""
    end = address.rpartition("/")[2]
    return "/" in address and bool(_NUMBER.fullmatch(end))


class Names:
    """The names of one recorded sequence, and what the emulator has in their places."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._recorded: dict[str, str] = {}
        """The recorded names by the emulator's."""
        self._ends: dict[str, str] = {}
        """The emulator's last parts of addresses by the recorded ones."""

    def differences(self, recorded: Any, emulated: Any) -> Iterator[tuple[str, str]]:
        """Yield where a name of an answer stands for another one than before."""
        pairs = list(_pairs(recorded, emulated, ""))
        for path, old, new in pairs:
            if self._known.setdefault(old, new) != new:
                yield path, f"{old!r} is {new!r}, and was {self._known[old]!r}"
            elif self._recorded.setdefault(new, old) != old:
                yield path, f"{old!r} is {new!r}, and so was {self._recorded[new]!r}"
        for path, old, new in pairs:
            last, shown = (each.rpartition("/")[2] for each in (old, new))
            known = self._known.get(last) or self._ends.setdefault(last, shown)
            if "/" in old and known != shown:
                yield path, f"{old!r} ends with a name, and {new!r} not with {known!r}"


def _pairs(recorded: Any, emulated: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield the names of an answer; of lists only if both have one item."""
    if is_map(recorded) and is_map(emulated):
        for key in recorded.keys() & emulated.keys():
            yield from _pairs(recorded[key], emulated[key], f"{path}.{key}")
    elif is_list(recorded) and is_list(emulated):
        if len(recorded) == len(emulated) == 1:
            yield from _pairs(recorded[0], emulated[0], f"{path}[]")
    elif isinstance(recorded, str) and isinstance(emulated, str) and recorded and is_name(path):
        yield path, recorded, emulated
