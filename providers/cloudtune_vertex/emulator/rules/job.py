"""Rules for what every job has, and for a CustomJobSpec. See `rule`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import category

from cloudtune.study.schema import Json
from cloudtune_vertex.emulator.rules import Rule, Wrong
from cloudtune_vertex.emulator.times import parse_duration

REQUIRED = "Required field is not set."
LONGEST_NAME = 128
LONGEST_LABEL = 63
MOST_LABELS = 64
_LETTERS = ("Ll", "Lo")
MOST_ENTRIES = 100
"""Of package URIs, and of variables (types, PythonPackageSpec and ContainerSpec)."""
MOST_CHARACTERS = 100_000
DISKS = ("pd-ssd", "pd-standard", "hyperdisk-balanced")
PREBUILT = ("docker.pkg.dev/vertex-ai/", "gcr.io/cloud-aiplatform/")
"""Where Google's own images are (google-cloud-aiplatform 2.7.0, utils/source_utils.py)."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def display_name(job: Json) -> Iterator[Wrong]:
    """Types, HyperparameterTuningJob and CustomJob: required, at most 128 characters."""
    name: str = job.get("displayName", "")
    if not name:
        yield "display_name", REQUIRED
    elif len(name) > LONGEST_NAME:
        yield "display_name", f"The display name must not be longer than {LONGEST_NAME} characters."


def labels(job: Json) -> Iterator[Wrong]:
    r"""Types, labels: lowercase letters, digits, underscores and dashes, few of them.

    Those have 64 code points and send on to "Requirements for labels" (cloud.google.com/
    resource-manager/docs/labels-overview, read 2026-11): "up to 64 labels", "keys must start with a
    lowercase letter or international character". It has 63, which are demanded here. What an
    international character is, the types of Secret Manager say:
    ``[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}``.
    """
    found: dict[str, str] = job.get("labels", {})
    if len(found) > MOST_LABELS:
        yield "labels", f"There must be at most {MOST_LABELS} labels."
    for key, value in found.items():
        for text in (key, value):
            if len(text) > LONGEST_LABEL or not all(_in_label(letter) for letter in text):
                yield (
                    "labels",
                    f'"{text}" must have at most {LONGEST_LABEL} characters, which are lowercase '
                    "letters, numbers, underscores and dashes.",
                )
        if not key:
            yield "labels", "A label must have a key."
        elif _in_label(key[0]) and category(key[0]) not in _LETTERS:
            yield "labels", f'The key "{key}" must start with a lowercase letter.'


def _in_label(letter: str) -> bool:
    return letter in "_-" or category(letter) in _LETTERS or category(letter).startswith("N")


def spec_rules(where: str) -> tuple[Rule, ...]:
    """Return the rules for the CustomJobSpec that is in a field, as ``jobSpec``."""

    def spec_of(job: Json) -> Json:
        found: Json = job.get(where, {})
        return found

    path = re.sub(r"([A-Z])", lambda found: f"_{found[0].lower()}", where)

    def named(rule: Rule) -> Rule:
        def check(job: Json) -> Iterator[Wrong]:
            for field, message in rule(spec_of(job)):
                yield f"{path}.{field}", message

        return check

    return tuple(named(rule) for rule in _SPEC_RULES)


def pools(spec: Json) -> Iterator[Wrong]:
    """Types, CustomJobSpec and WorkerPoolSpec: what the first pool has to have."""
    found: list[Json] = spec.get("workerPoolSpecs", [])
    if not found:
        yield "worker_pool_specs", REQUIRED
        return
    path = "worker_pool_specs[0]"
    if not found[0].get("machineSpec", {}).get("machineType"):
        yield f"{path}.machine_spec.machine_type", REQUIRED
    if "containerSpec" not in found[0] and "pythonPackageSpec" not in found[0]:
        yield path, "One of container_spec and python_package_spec must be set."


def accelerators(spec: Json) -> Iterator[Wrong]:
    """Issue PrefectHQ/prefect-gcp 175."""
    for place, pool in enumerate(spec.get("workerPoolSpecs", ())):
        machine: Json = pool.get("machineSpec", {})
        if ("acceleratorType" in machine) != bool(machine.get("acceleratorCount")):
            yield (
                f"worker_pool_specs[{place}].machine_spec.accelerator_type",
                "Both `accelerator_type` and `accelerator_count` should be specified or none.",
            )


def counts(spec: Json) -> Iterator[Wrong]:
    """Types, WorkerPoolSpec, MachineSpec and DiskSpec: how many, or how many GB.

    "The number of worker replicas", "The number of accelerators", "Size in GB of the boot disk".
    """
    for place, pool in enumerate(spec.get("workerPoolSpecs", ())):
        for field, said in (
            ("replica_count", pool.get("replicaCount", 0)),
            (
                "machine_spec.accelerator_count",
                pool.get("machineSpec", {}).get("acceleratorCount", 0),
            ),
            ("disk_spec.boot_disk_size_gb", pool.get("diskSpec", {}).get("bootDiskSizeGb", 0)),
        ):
            if int(said) < 0:
                yield f"worker_pool_specs[{place}].{field}", f"It must not be negative: {said}."


def disks(spec: Json) -> Iterator[Wrong]:
    """Types, DiskSpec.boot_disk_type: three "valid values"."""
    for place, pool in enumerate(spec.get("workerPoolSpecs", ())):
        kind: str = pool.get("diskSpec", {}).get("bootDiskType", "")
        if kind and kind not in DISKS:
            yield (
                f"worker_pool_specs[{place}].disk_spec.boot_disk_type",
                f'"{kind}" is not one of {", ".join(DISKS)}.',
            )


def durations(spec: Json) -> Iterator[Wrong]:
    """Types, Scheduling: "The maximum job running time", "the maximum duration that" it waits."""
    for field, name in (("timeout", "timeout"), ("maxWaitDuration", "max_wait_duration")):
        said: str = spec.get("scheduling", {}).get(field, "0s")
        if parse_duration(said, 0.0) < 0:
            yield f"scheduling.{name}", f"It must not be negative: {said}."


def container(spec: Json) -> Iterator[Wrong]:
    """Types, ContainerSpec.image_uri."""
    for place, pool in enumerate(spec.get("workerPoolSpecs", ())):
        if "containerSpec" in pool and not pool["containerSpec"].get("imageUri"):
            yield f"worker_pool_specs[{place}].container_spec.image_uri", REQUIRED


def python_package(spec: Json) -> Iterator[Wrong]:
    """Types, PythonPackageSpec: an image of Google's, at most 100 packages in Cloud Storage."""
    for place, pool in enumerate(spec.get("workerPoolSpecs", ())):
        if "pythonPackageSpec" not in pool:
            continue
        path = f"worker_pool_specs[{place}].python_package_spec"
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
        elif len(uris) > MOST_ENTRIES:
            yield f"{path}.package_uris", f"There must be at most {MOST_ENTRIES} packages."
        for uri in uris:
            if not uri.startswith("gs://"):
                yield (
                    f"{path}.package_uris",
                    f"{uri} is not the address of a file in Cloud Storage.",
                )


def variables(spec: Json) -> Iterator[Wrong]:
    """Types, EnvVar: a C identifier and a value; at most 100."""
    for path, task in _tasks(spec):
        listed: list[Json] = task.get("env", [])
        if len(listed) > MOST_ENTRIES:
            yield f"{path}.env", f"There must be at most {MOST_ENTRIES} environment variables."
        for variable in listed:
            name: str = variable.get("name", "")
            if not _IDENTIFIER.fullmatch(name):
                yield f"{path}.env", f'The name "{name}" is not a valid C identifier.'
            if not variable.get("value"):
                yield f"{path}.env", f'The variable "{name}" has no value.'


def arguments(spec: Json) -> Iterator[Wrong]:
    """Tuning page: all arguments together at most 100,000 characters."""
    for path, task in _tasks(spec):
        if sum(len(word) for word in task.get("args", ())) > MOST_CHARACTERS:
            yield f"{path}.args", f"The arguments must not exceed {MOST_CHARACTERS} characters."


def output(spec: Json) -> Iterator[Wrong]:
    """Types, GcsDestination.output_uri_prefix: required, an address of Cloud Storage."""
    if "baseOutputDirectory" not in spec:
        return
    address: str = spec["baseOutputDirectory"].get("outputUriPrefix", "")
    if not address.startswith("gs://"):
        yield "base_output_directory.output_uri_prefix", f'"{address}" does not begin with gs://.'


def _tasks(spec: Json) -> Iterator[tuple[str, Json]]:
    for place, pool in enumerate(spec.get("workerPoolSpecs", ())):
        for key, name in (
            ("containerSpec", "container_spec"),
            ("pythonPackageSpec", "python_package_spec"),
        ):
            if key in pool:
                yield f"worker_pool_specs[{place}].{name}", pool[key]


_SPEC_RULES: tuple[Rule, ...] = (
    pools,
    accelerators,
    counts,
    disks,
    durations,
    container,
    python_package,
    variables,
    arguments,
    output,
)
CUSTOM_RULES: tuple[Rule, ...] = (display_name, labels, *spec_rules("jobSpec"))
"""For CreateCustomJob."""
