"""Rules of the project, the bucket, the network, the keys and the labels."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, Mode, Note, did_you_mean
from cloudtune_vertex.regions import REGIONS
from cloudtune_vertex.request.layout import JOB_LABEL, RUN_LABEL, job_uri
from cloudtune_vertex.settings import VertexSettings

SETTINGS = "providers.vertex"
"""The path of the settings in a study."""
MAX_LABELS = 64
MAX_LABEL_LENGTH = 63
MAX_LABEL_BYTES = 128
"""Code points of a key or a value in LABELS of all resources; TYPES of these jobs has 64."""
MAX_BUCKET_PART_LENGTH, MAX_BUCKET_LENGTH, MAX_OBJECT_LENGTH = 63, 222, 1024
"""Characters of a bucket's name between dots and in all, bytes of an object's name, in STORAGE."""
_LONGEST_SUFFIX = len("measurements/.jsonl") + 63
_PLAUSIBLE_REGION = re.compile(
    r"(africa|asia|australia|europe|me|northamerica|southamerica|us)-"
    r"(central|(north|south)(east|west)?|east|west)1?[1-9]"
)
"""The pattern of regions, for those that are newer than the list."""
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z0-9][a-z0-9-]*")
_BUCKET = re.compile(r"(?!goog)(?!.*google)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9._-]+[a-z0-9]")
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]*@(?:[a-z0-9.-]+\.)?gserviceaccount\.com")
"""Their kinds: https://cloud.google.com/iam/docs/service-account-types."""
_NETWORK = re.compile(r"projects/[0-9]+/global/networks/[^/\s]+")
_KEY = re.compile(r"projects/[^/\s]+/locations/([^/\s]+)/keyRings/[^/\s]+/cryptoKeys/[^/\s]+")


def refuse(field: str, reason: str) -> Finding:
    """Return the finding that refuses the value of a setting."""
    return Finding("refused", f"{SETTINGS}.{field}", reason)


def settings_rules(mode: Mode, settings: VertexSettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the findings and notes on the project, the network and the labels."""
    yield from _formats(settings, facts)
    yield from _labels(mode, settings)


def _location(location: str) -> Finding | Note:
    suggestion = did_you_mean(location, REGIONS) or "for example us-central1"
    if _PLAUSIBLE_REGION.fullmatch(location):
        text = f"{location} is not among the regions of google-cloud-aiplatform 2.7.0; {suggestion}"
        return Note(f"{SETTINGS}.location", text)
    return refuse("location", f"{location} is not a region of Vertex AI; {suggestion}")


def _formats(settings: VertexSettings, facts: Facts) -> Iterator[Finding | Note]:
    project, location = facts.data["project"], facts.data["location"]
    missing = facts.lookup.missing_settings
    if "project" not in missing and not _PROJECT.fullmatch(project):
        yield refuse("project", f"{project} is not the id of a project")
    if "location" not in missing and location not in REGIONS:
        yield _location(location)
    if settings.bucket and not _is_bucket_name(settings.bucket):
        yield refuse(
            "bucket",
            "must be the name of a bucket: 3 to 63 lowercase letters, digits, hyphens and _, or "
            "several such parts with dots between them; it must not start with goog or contain "
            "google",
        )
    longest = len(job_uri(facts).encode()) + _LONGEST_SUFFIX
    if not settings.prefix.isprintable() or longest > MAX_OBJECT_LENGTH:
        reason = f"names in Cloud Storage must be one line of at most {MAX_OBJECT_LENGTH} bytes"
        yield refuse("prefix", reason)
    for field in ("service_account", "impersonate"):
        account = getattr(settings, field)
        if account and not _ACCOUNT.fullmatch(account):
            reason = "must be the email of a service account: NAME@PROJECT.iam.gserviceaccount.com"
            yield refuse(field, reason)
    if settings.network and not _NETWORK.fullmatch(settings.network):
        reason = "must be projects/NUMBER/global/networks/NAME, with the project's number"
        yield refuse("network", reason)
    if settings.kms_key:
        key = _KEY.fullmatch(settings.kms_key)
        if key is None:
            yield refuse("kms_key", "must be projects/P/locations/L/keyRings/R/cryptoKeys/K")
        elif "location" not in missing and key[1] != location:
            yield refuse("kms_key", f"the key is in {key[1]}, but the job is in {location}")


def _is_bucket_name(name: str) -> bool:
    return (
        _BUCKET.fullmatch(name) is not None
        and len(name) <= MAX_BUCKET_LENGTH
        and all(len(part) <= MAX_BUCKET_PART_LENGTH for part in name.split("."))
    )


def _labels(mode: Mode, settings: VertexSettings) -> Iterator[Finding]:
    needed = 1 if mode == "managed" else 2
    if len(settings.labels) + needed > MAX_LABELS:
        yield refuse("labels", f"a job has at most {MAX_LABELS}, and cloudtune needs {needed}")
    for key, value in settings.labels.items():
        for reason in label_problems(key, value):
            yield refuse(f"labels.{key}", reason)
        if key in {RUN_LABEL, JOB_LABEL}:
            yield refuse(f"labels.{key}", "this key is reserved: cloudtune finds its jobs by it")


def label_problems(key: str, value: str) -> Iterator[str]:
    """Yield what is wrong with a label, as Vertex AI says (tests/recordings/vertex, 2022)."""
    characters = (
        f"{MAX_LABEL_LENGTH} lowercase letters, digits, _ and -, in less than {MAX_LABEL_BYTES} "
        "bytes of UTF-8"
    )
    if not key or key[0] in "_-" or not _is_label_text(key):
        yield f"a key must have 1 to {characters}, and start with a letter or digit"
    if not _is_label_text(value):
        yield f"a value must have at most {characters}"


def _is_label_text(text: str) -> bool:
    return (
        len(text) <= MAX_LABEL_LENGTH
        and len(text.encode()) < MAX_LABEL_BYTES
        and all(c in "_-" or unicodedata.category(c)[0] == "N" or _is_letter(c) for c in text)
    )


def _is_letter(character: str) -> bool:
    r"""Return whether it is lowercase, or of a script without capitals: ``[\p{Ll}\p{Lo}]``."""
    return unicodedata.category(character) in {"Ll", "Lo"}
