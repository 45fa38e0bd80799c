"""Rules for both kinds of jobs, and for a CustomJobSpec."""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import category

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.rules import Rule, Violation
from cloudtune_vertex.emulator.times import parse_duration

REQUIRED = "Required field is not set."
MAX_NAME = 128
MAX_LABEL = 63
MAX_LABELS = 64
_LETTERS = ("Ll", "Lo")
MAX_ENTRIES = 100
"""Of package URIs, and of variables (types, PythonPackageSpec and ContainerSpec)."""
MAX_CHARACTERS = 100_000
DISKS = ("pd-ssd", "pd-standard", "hyperdisk-balanced")
PREBUILT = ("docker.pkg.dev/vertex-ai/", "gcr.io/cloud-aiplatform/")
"""Repositories of Google's own images (google-cloud-aiplatform 2.7.0, utils/source_utils.py)."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def display_name(job: Json) -> Iterator[Violation]:
    """Types, HyperparameterTuningJob and CustomJob: required, at most 128 characters."""
    name: str = job.get("displayName", "")
    if not name:
        yield "display_name", REQUIRED
    elif len(name) > MAX_NAME:
        yield "display_name", f"The display name must not be longer than {MAX_NAME} characters."


def label_rules(job: Json) -> Iterator[Violation]:
    r"""Types, labels: a limited number of lowercase letters, digits, underscores and dashes.

    The types have 64 code points and refer to "Requirements for labels" (cloud.google.com/
    resource-manager/docs/labels-overview, read 2026-11): "up to 64 labels", "keys must start with a
    lowercase letter or international character". That page has 63 characters, the limit here. The
    types of Secret Manager define international characters:
    ``[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}``.
    """
    labels: dict[str, str] = job.get("labels", {})
    if len(labels) > MAX_LABELS:
        yield "labels", f"There must be at most {MAX_LABELS} labels."
    for key, value in labels.items():
        for text in (key, value):
            if len(text) > MAX_LABEL or not all(_is_label_character(letter) for letter in text):
                yield (
                    "labels",
                    f'"{text}" must have at most {MAX_LABEL} characters, which are lowercase '
                    "letters, numbers, underscores and dashes.",
                )
        if not key:
            yield "labels", "A label must have a key."
        elif _is_label_character(key[0]) and category(key[0]) not in _LETTERS:
            yield "labels", f'The key "{key}" must start with a lowercase letter.'


def _is_label_character(letter: str) -> bool:
    return letter in "_-" or category(letter) in _LETTERS or category(letter).startswith("N")


def spec_rules(where: str) -> tuple[Rule, ...]:
    """Return the rules for the CustomJobSpec in a field, such as ``jobSpec``."""
    path = re.sub(r"([A-Z])", lambda match: f"_{match[0].lower()}", where)

    def in_field(rule: Rule) -> Rule:
        def check(job: Json) -> Iterator[Violation]:
            for field, message in rule(job.get(where, {})):
                yield f"{path}.{field}", message

        return check

    return tuple(in_field(rule) for rule in _SPEC_RULES)


def first_pool(spec: Json) -> Iterator[Violation]:
    """Types, CustomJobSpec and WorkerPoolSpec: required in the first pool."""
    pools: list[Json] = spec.get("workerPoolSpecs", [])
    if not pools:
        yield "worker_pool_specs", REQUIRED
        return
    path = "worker_pool_specs[0]"
    if not pools[0].get("machineSpec", {}).get("machineType"):
        yield f"{path}.machine_spec.machine_type", REQUIRED
    if "containerSpec" not in pools[0] and "pythonPackageSpec" not in pools[0]:
        yield path, "One of container_spec and python_package_spec must be set."


def accelerators(spec: Json) -> Iterator[Violation]:
    """Issue PrefectHQ/prefect-gcp 175."""
    for index, pool in enumerate(spec.get("workerPoolSpecs", ())):
        machine: Json = pool.get("machineSpec", {})
        if ("acceleratorType" in machine) != bool(machine.get("acceleratorCount")):
            yield (
                f"worker_pool_specs[{index}].machine_spec.accelerator_type",
                "Both `accelerator_type` and `accelerator_count` should be specified or none.",
            )


def counts(spec: Json) -> Iterator[Violation]:
    """Types, WorkerPoolSpec, MachineSpec and DiskSpec: counts and sizes.

    "The number of worker replicas", "The number of accelerators", "Size in GB of the boot disk".
    """
    for index, pool in enumerate(spec.get("workerPoolSpecs", ())):
        for field, value in (
            ("replica_count", pool.get("replicaCount", 0)),
            (
                "machine_spec.accelerator_count",
                pool.get("machineSpec", {}).get("acceleratorCount", 0),
            ),
            ("disk_spec.boot_disk_size_gb", pool.get("diskSpec", {}).get("bootDiskSizeGb", 0)),
        ):
            if int(value) < 0:
                yield f"worker_pool_specs[{index}].{field}", f"It must not be negative: {value}."


def disks(spec: Json) -> Iterator[Violation]:
    """Types, DiskSpec.boot_disk_type: three "valid values"."""
    for index, pool in enumerate(spec.get("workerPoolSpecs", ())):
        kind: str = pool.get("diskSpec", {}).get("bootDiskType", "")
        if kind and kind not in DISKS:
            yield (
                f"worker_pool_specs[{index}].disk_spec.boot_disk_type",
                f'"{kind}" is not one of {", ".join(DISKS)}.',
            )


def durations(spec: Json) -> Iterator[Violation]:
    """Types, Scheduling: timeout and max_wait_duration are durations."""
    for field, name in (("timeout", "timeout"), ("maxWaitDuration", "max_wait_duration")):
        value: str = spec.get("scheduling", {}).get(field, "0s")
        if parse_duration(value, 0.0) < 0:
            yield f"scheduling.{name}", f"It must not be negative: {value}."


def container(spec: Json) -> Iterator[Violation]:
    """Types, ContainerSpec.image_uri."""
    for index, pool in enumerate(spec.get("workerPoolSpecs", ())):
        if "containerSpec" in pool and not pool["containerSpec"].get("imageUri"):
            yield f"worker_pool_specs[{index}].container_spec.image_uri", REQUIRED


def python_package(spec: Json) -> Iterator[Violation]:
    """Types, PythonPackageSpec: an image of Google's, at most 100 packages in Cloud Storage."""
    for index, pool in enumerate(spec.get("workerPoolSpecs", ())):
        if "pythonPackageSpec" not in pool:
            continue
        path = f"worker_pool_specs[{index}].python_package_spec"
        package: Json = pool["pythonPackageSpec"]
        image: str = package.get("executorImageUri", "")
        if not image:
            yield f"{path}.executor_image_uri", REQUIRED
        elif not any(part in image for part in PREBUILT):
            yield f"{path}.executor_image_uri", f"{image} is not one of the pre-built containers."
        if not package.get("pythonModule"):
            yield f"{path}.python_module", REQUIRED
        uris: list[str] = package.get("packageUris", [])
        if not uris:
            yield f"{path}.package_uris", REQUIRED
        elif len(uris) > MAX_ENTRIES:
            yield f"{path}.package_uris", f"There must be at most {MAX_ENTRIES} packages."
        for uri in uris:
            if not uri.startswith("gs://"):
                yield (
                    f"{path}.package_uris",
                    f"{uri} is not the address of a file in Cloud Storage.",
                )


def environment(spec: Json) -> Iterator[Violation]:
    """Types, EnvVar: a C identifier and a value; at most 100."""
    for path, task in _tasks(spec):
        variables: list[Json] = task.get("env", [])
        if len(variables) > MAX_ENTRIES:
            yield f"{path}.env", f"There must be at most {MAX_ENTRIES} environment variables."
        for variable in variables:
            name: str = variable.get("name", "")
            if not _IDENTIFIER.fullmatch(name):
                yield f"{path}.env", f'The name "{name}" is not a valid C identifier.'
            if not variable.get("value"):
                yield f"{path}.env", f'The variable "{name}" has no value.'


def arguments(spec: Json) -> Iterator[Violation]:
    """Tuning page: at most 100,000 characters in total."""
    for path, task in _tasks(spec):
        if sum(len(word) for word in task.get("args", ())) > MAX_CHARACTERS:
            yield f"{path}.args", f"The arguments must not exceed {MAX_CHARACTERS} characters."


def output(spec: Json) -> Iterator[Violation]:
    """Types, GcsDestination.output_uri_prefix: required, a URI of Cloud Storage."""
    if "baseOutputDirectory" not in spec:
        return
    uri: str = spec["baseOutputDirectory"].get("outputUriPrefix", "")
    if not uri.startswith("gs://"):
        yield "base_output_directory.output_uri_prefix", f'"{uri}" does not begin with gs://.'


def _tasks(spec: Json) -> Iterator[tuple[str, Json]]:
    for index, pool in enumerate(spec.get("workerPoolSpecs", ())):
        for key, name in (
            ("containerSpec", "container_spec"),
            ("pythonPackageSpec", "python_package_spec"),
        ):
            if key in pool:
                yield f"worker_pool_specs[{index}].{name}", pool[key]


_SPEC_RULES: tuple[Rule, ...] = (
    first_pool,
    accelerators,
    counts,
    disks,
    durations,
    container,
    python_package,
    environment,
    arguments,
    output,
)
CUSTOM_RULES: tuple[Rule, ...] = (display_name, label_rules, *spec_rules("jobSpec"))
"""For CreateCustomJob."""
