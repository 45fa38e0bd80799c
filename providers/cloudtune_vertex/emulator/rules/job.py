"""Rules for both kinds of jobs, and for a CustomJobSpec."""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import category

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.rules import (
    REQUIRED,
    FieldRule,
    Rule,
    Violation,
    at_most,
    check_fields,
    select,
)
from cloudtune_vertex.emulator.times import parse_duration

MAX_NAME = 128
MAX_LABEL = 63
MAX_LABEL_BYTES = 128
MAX_LABELS = 64
_LETTERS = ("Ll", "Lo")
LABELS = (
    "There can be no more than 64 labels attached to a single resource. Label keys and values can "
    "only contain lowercase letters, numbers, dashes and underscores. Label keys must start with a "
    "letter or number, must be less than 64 characters in length, and must be less that 128 bytes "
    "in length when encoded in UTF-8. Label values must be less than 64 characters in length, and "
    "must be less that 128 bytes in length when encoded in UTF-8."
)
MAX_ENTRIES = 100
"""Of package URIs, and of variables (types, PythonPackageSpec and ContainerSpec)."""
MAX_CHARACTERS = 100_000
DISKS = ("pd-ssd", "pd-standard", "hyperdisk-balanced")
PREBUILT = ("docker.pkg.dev/vertex-ai/", "gcr.io/cloud-aiplatform/")
"""Repositories of Google's own images (google-cloud-aiplatform 2.7.0, utils/source_utils.py)."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_TOO_MANY = f"There must be at most {MAX_ENTRIES} {{}}."
_NEGATIVE = "It must not be negative: {}."
_POOLS = "workerPoolSpecs[]."
_PACKAGE = f"{_POOLS}pythonPackageSpec?."
_TASKS = (f"{_POOLS}containerSpec?.", _PACKAGE)


def _is_not_negative(number: str | int | None) -> bool:
    return int(number or 0) >= 0


def _is_duration(duration: str | None) -> bool:
    return parse_duration(duration, 0.0) >= 0


def _is_in_storage(uri: str | None) -> bool:
    return (uri or "").startswith("gs://")


def _are_short(words: list[str] | None) -> bool:
    return sum(map(len, words or ())) <= MAX_CHARACTERS


_JOB: tuple[FieldRule, ...] = (
    # Types, HyperparameterTuningJob and CustomJob: required, at most 128 characters.
    ("displayName", bool, REQUIRED),
    (
        "displayName",
        at_most(MAX_NAME),
        f"The display name must not be longer than {MAX_NAME} characters.",
    ),
)
_SPEC: tuple[FieldRule, ...] = (
    # Types, CustomJobSpec and WorkerPoolSpec: required in the first pool.
    ("workerPoolSpecs", bool, REQUIRED),
    ("workerPoolSpecs[0].machineSpec.machineType", bool, REQUIRED),
    (
        "workerPoolSpecs[0]",
        lambda pool: "containerSpec" in pool or "pythonPackageSpec" in pool,
        "One of container_spec and python_package_spec must be set.",
    ),
    # Types, WorkerPoolSpec, MachineSpec and DiskSpec: "The number of worker replicas", "The number
    # of accelerators", "Size in GB of the boot disk".
    (f"{_POOLS}replicaCount", _is_not_negative, _NEGATIVE),
    (f"{_POOLS}machineSpec.acceleratorCount", _is_not_negative, _NEGATIVE),
    # google-cloud-aiplatform 2.7.0, training_jobs.py: "within the range of [100, 64000]".
    (
        f"{_POOLS}diskSpec.bootDiskSizeGb",
        lambda size: not size or 100 <= int(size) <= 64_000,
        "It must be within the range of [100, 64000]: {}.",
    ),
    # Types, DiskSpec.boot_disk_type: three "valid values".
    (
        f"{_POOLS}diskSpec.bootDiskType",
        lambda kind: not kind or kind in DISKS,
        f'"{{}}" is not one of {", ".join(DISKS)}.',
    ),
    # Types, Scheduling: timeout and max_wait_duration are durations.
    ("scheduling.timeout", _is_duration, _NEGATIVE),
    ("scheduling.maxWaitDuration", _is_duration, _NEGATIVE),
    # Types, ContainerSpec.image_uri.
    (f"{_POOLS}containerSpec?.imageUri", bool, REQUIRED),
    # Types, PythonPackageSpec: an image of Google's, at most 100 packages in Cloud Storage.
    (f"{_PACKAGE}executorImageUri", bool, REQUIRED),
    (
        f"{_PACKAGE}executorImageUri",
        lambda image: not image or any(part in image for part in PREBUILT),
        "{} is not one of the pre-built containers.",
    ),
    (f"{_PACKAGE}pythonModule", bool, REQUIRED),
    (f"{_PACKAGE}packageUris", bool, REQUIRED),
    (
        f"{_PACKAGE}packageUris",
        at_most(MAX_ENTRIES),
        _TOO_MANY.format("packages"),
    ),
    (
        f"{_PACKAGE}packageUris*",
        _is_in_storage,
        "{} is not the address of a file in Cloud Storage.",
    ),
    # Types, GcsDestination.output_uri_prefix: required, a URI of Cloud Storage.
    ("baseOutputDirectory?.outputUriPrefix", _is_in_storage, '"{}" does not begin with gs://.'),
    # Types, ContainerSpec and PythonPackageSpec, env: at most 100. Tuning page, arguments: at most
    # 100,000 characters in total.
    *(
        (f"{task}env", at_most(MAX_ENTRIES), _TOO_MANY.format("environment variables"))
        for task in _TASKS
    ),
    *(
        (f"{task}args", _are_short, f"The arguments must not exceed {MAX_CHARACTERS} characters.")
        for task in _TASKS
    ),
)


def label_rules(job: Json) -> Iterator[Violation]:
    r"""The recorded message (tests/recordings/vertex, 2022): keys may start with a number, too.

    "Requirements for labels" (cloud.google.com/resource-manager/docs/labels-overview, read 2026-11)
    is for all of Google Cloud and wants a letter. The types of Secret Manager define international
    characters: ``[\p{Ll}\p{Lo}\p{N}_-]``.
    """
    labels: dict[str, str] = job.get("labels", {})
    are_allowed = all(
        len(text) <= MAX_LABEL
        and len(text.encode()) < MAX_LABEL_BYTES
        and all(_is_label_character(letter) for letter in text)
        for label in labels.items()
        for text in label
    )
    have_keys = all(key and key[0] not in "_-" for key in labels)
    if len(labels) > MAX_LABELS or not are_allowed or not have_keys:
        yield "labels", LABELS


def _is_label_character(letter: str) -> bool:
    return letter in "_-" or category(letter) in _LETTERS or category(letter).startswith("N")


def spec_rules(within: str) -> tuple[Rule, ...]:
    """Return the rules for the CustomJobSpec in a field, such as ``jobSpec``."""

    def accelerators(job: Json) -> Iterator[Violation]:
        """Issue PrefectHQ/prefect-gcp 175."""
        for field, machine in select(job, f"{within}.{_POOLS}machineSpec?"):
            if ("acceleratorType" in machine) != bool(machine.get("acceleratorCount")):
                yield (
                    f"{field}.accelerator_type",
                    "Both `accelerator_type` and `accelerator_count` should be specified or none.",
                )

    def environment(job: Json) -> Iterator[Violation]:
        """Types, EnvVar: a C identifier and a value."""
        for task in _TASKS:
            for field, variable in select(job, f"{within}.{task}env*"):
                name: str = variable.get("name", "")
                if not _IDENTIFIER.fullmatch(name):
                    yield field, f'The name "{name}" is not a valid C identifier.'
                if not variable.get("value"):
                    yield field, f'The variable "{name}" has no value.'

    return check_fields(_SPEC, f"{within}."), accelerators, environment


JOB_RULES: tuple[Rule, ...] = (check_fields(_JOB), label_rules)
"""For both kinds of jobs."""
CUSTOM_RULES: tuple[Rule, ...] = (*JOB_RULES, *spec_rules("jobSpec"))
"""For CreateCustomJob."""
