"""Rules of the project, of the machines and how they are got, of labels, keys and networks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

from cloudtune.provider import Facts, Finding, Mode, Note, did_you_mean
from cloudtune_vertex.request import JOB_LABEL, RUN_LABEL
from cloudtune_vertex.request.layout import home
from cloudtune_vertex.rules.native import UNSUPPORTED, has_tpus
from cloudtune_vertex.settings import VertexSettings

HERE = "providers.vertex"
ACCELERATORS = (
    "NVIDIA_TESLA_K80",
    "NVIDIA_TESLA_P100",
    "NVIDIA_TESLA_V100",
    "NVIDIA_TESLA_P4",
    "NVIDIA_TESLA_T4",
    "NVIDIA_TESLA_A100",
    "NVIDIA_A100_80GB",
    "NVIDIA_L4",
    "NVIDIA_H100_80GB",
    "NVIDIA_H100_MEGA_80GB",
    "NVIDIA_H200_141GB",
    "NVIDIA_B200",
    "NVIDIA_GB200",
    "NVIDIA_RTX_PRO_6000",
    "TPU_V2",
    "TPU_V3",
    "TPU_V4_POD",
    "TPU_V5_LITEPOD",
)
"""AcceleratorType in TYPES."""
GONE = "NVIDIA_TESLA_K80"
"""Has reached its end of support, as TYPES says."""
MOST_LABELS = 64
LONGEST_LABEL = 63
"""Code points of a key or a value in LABELS of all resources; TYPES of these jobs has 64."""
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z0-9][a-z0-9-]*")
_LOCATION = re.compile(r"[a-z]+(?:-[a-z]+)+[0-9]+")
_BUCKET = re.compile(r"(?!goog)(?!.*google)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9._-]+[a-z0-9]")
LONGEST_PART, LONGEST_BUCKET, LONGEST_OBJECT = 63, 222, 1024
"""Characters of a bucket's name between dots and in all, bytes of an object's name, in STORAGE."""
_LONGEST_TAIL = len("measurements/.jsonl") + 63
_NETWORK = re.compile(r"projects/[0-9]+/global/networks/[^/\s]+")
_KEY = re.compile(r"projects/[^/\s]+/locations/([^/\s]+)/keyRings/[^/\s]+/cryptoKeys/[^/\s]+")


def settings_rules(mode: Mode, settings: VertexSettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what is wrong with where and as whom the jobs run."""
    yield from _forms(settings, facts)
    yield from _machine(mode, settings)
    yield from _scheduling(settings)
    yield from _labels(mode, settings)


def _forms(settings: VertexSettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the texts that do not have the form that the service wants."""
    data = facts.data
    missing: Mapping[str, str] = facts.lookup.missing_settings
    if "project" not in missing and not _PROJECT.fullmatch(data["project"]):
        yield Finding("refused", f"{HERE}.project", f"{data['project']} is no id of a project")
    if "location" not in missing and not _LOCATION.fullmatch(data["location"]):
        reason = f"jobs run in a region, as us-central1, and {data['location']} is none"
        yield Finding("refused", f"{HERE}.location", reason)
    if settings.bucket and not _names_a_bucket(settings.bucket):
        reason = (
            "the name alone, of 3 to 63 lower-case letters, digits, hyphens and _, in parts with "
            "dots between them; it does not begin with goog or hold google"
        )
        yield Finding("refused", f"{HERE}.bucket", reason)
    if not settings.prefix.isprintable() or (
        len(home(facts).encode()) + _LONGEST_TAIL > LONGEST_OBJECT
    ):
        reason = f"names in Cloud Storage are one line of at most {LONGEST_OBJECT} bytes"
        yield Finding("refused", f"{HERE}.prefix", reason)
    if settings.image and re.search(r"\s", settings.image):
        yield Finding("refused", f"{HERE}.image", "an image's address has no space in it")
    if settings.network and not _NETWORK.fullmatch(settings.network):
        reason = "a network is projects/NUMBER/global/networks/NAME, with the project's number"
        yield Finding("refused", f"{HERE}.network", reason)
    if settings.kms_key:
        key = _KEY.fullmatch(settings.kms_key)
        path = f"{HERE}.kms_key"
        if key is None:
            reason = "a key is projects/P/locations/L/keyRings/R/cryptoKeys/K"
            yield Finding("refused", path, reason)
        elif "location" not in missing and key[1] != data["location"]:
            reason = f"the key is in {key[1]}, and must be where the job is: {data['location']}"
            yield Finding("refused", path, reason)


def _names_a_bucket(name: str) -> bool:
    return (
        _BUCKET.fullmatch(name) is not None
        and len(name) <= LONGEST_BUCKET
        and all(len(part) <= LONGEST_PART for part in name.split("."))
    )


def _machine(mode: Mode, settings: VertexSettings) -> Iterator[Finding | Note]:
    name, path = settings.accelerator_type, f"{HERE}.accelerator_type"
    if settings.machine_type and not re.fullmatch(r"[a-z0-9-]+", settings.machine_type):
        reason = "machines are called as n1-standard-4"
        yield Finding("refused", f"{HERE}.machine_type", reason)
    elif settings.machine_type and has_tpus(settings.machine_type) and mode == "managed":
        yield Finding("refused", f"{HERE}.machine_type", UNSUPPORTED["tpuTopology"])
    if name is None:
        if settings.accelerator_count:
            reason = "say which accelerator: give accelerator_type, too"
            yield Finding("refused", f"{HERE}.accelerator_count", reason)
        return
    if name not in ACCELERATORS:
        near = did_you_mean(name, ACCELERATORS)
        reason = f"Vertex AI knows no accelerator {name}; {near or 'one is NVIDIA_TESLA_T4'}"
        yield Finding("refused", path, reason)
    elif name.startswith("TPU_") and mode == "managed":
        yield Finding("refused", path, UNSUPPORTED["tpuTopology"])
    elif name == GONE:
        yield Note(path, "Google supports this accelerator no longer")


def _scheduling(settings: VertexSettings) -> Iterator[Finding | Note]:
    if settings.spot and settings.flex_start:
        reason = "a trial is scheduled in one way: keep spot or flex_start"
        yield Finding("refused", f"{HERE}.flex_start", reason)
    elif settings.max_wait is not None and not settings.flex_start:
        yield Finding("dropped", f"{HERE}.max_wait", "only with flex_start: true is there a wait")
    if settings.spot:
        text = (
            "a trial may lose its machine and begin anew: save what it has done in "
            "checkpoint_dir(), which it finds again"
        )
        yield Note(f"{HERE}.spot", text)


def _labels(mode: Mode, settings: VertexSettings) -> Iterator[Finding | Note]:
    own = [RUN_LABEL] if mode == "managed" else [RUN_LABEL, JOB_LABEL]
    if len(settings.labels) + len(own) > MOST_LABELS:
        reason = f"a job has at most {MOST_LABELS} labels, {len(own)} of them cloudtune's"
        yield Finding("refused", f"{HERE}.labels", reason)
    for key, value in settings.labels.items():
        path = f"{HERE}.labels.{key}"
        for reason in label_problems(key, value):
            yield Finding("refused", path, reason)
        if key in {RUN_LABEL, JOB_LABEL}:
            yield Finding("refused", path, "cloudtune finds its jobs by this label")


def label_problems(key: str, value: str) -> Iterator[str]:
    """Yield what is wrong with a label."""
    if not (1 <= len(key) <= LONGEST_LABEL and _of_a_label(key) and _a_letter(key[0])):
        yield (
            f"a key has 1 to {LONGEST_LABEL} lower-case letters, digits, _ and -, with a letter "
            "first"
        )
    if len(value) > LONGEST_LABEL or not _of_a_label(value):
        yield f"a value has at most {LONGEST_LABEL} lower-case letters, digits, _ and -"


def _of_a_label(said: str) -> bool:
    return all(c in "_-" or unicodedata.category(c)[0] == "N" or _a_letter(c) for c in said)


def _a_letter(character: str) -> bool:
    r"""Tell whether it is a small letter, or of a script without capitals: ``[\p{Ll}\p{Lo}]``."""
    return unicodedata.category(character) in {"Ll", "Lo"}
