"""The code of a study in a document: an address, since an export uploads nothing."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.diagnostics import Finding, Note
from cloudtune.study.schema import FromEnvironment
from cloudtune.study.study import Study


def source_address(study: Study, home: str) -> str | None:
    """Return where the code of a study is for a tool, None if the study does not say it."""
    source = study.trial.source or {}
    return source.get(home) or source.get("*")


def is_remote(address: str | None) -> bool:
    """Return whether an address is one of a storage rather than of this machine."""
    return address is not None and "://" in address


def locate_code(study: Study, home: str) -> str:
    """Return where the code of a study is, for a tool whose document does not name it."""
    address = source_address(study, home)
    if is_remote(address):
        return f"the code is at {address}"
    if study.trial.source and address is None:
        return f"the code is located only for {', '.join(study.trial.source)}"
    return "the code is on this machine, and only `cloudtune run` uploads it"


def other_sources(study: Study, home: str) -> Iterator[Note]:
    """Yield a note for each location of the code that is for another system."""
    for name in study.trial.source or {}:
        if name not in {home, "*"}:
            yield Note(f"trial.source.{name}", f"is only for {name}, so it is left out")


def unread_variables(study: Study) -> Iterator[Finding]:
    """Yield a finding for each variable of this shell, which only a run reads."""
    for name, value in study.trial.env.items():
        if isinstance(value, FromEnvironment):
            reason = "only `cloudtune run` reads variables of this shell"
            yield Finding("dropped", f"trial.env.{name}", reason)


def storage_address(scheme: str, bucket: str | None, prefix: str) -> str | None:
    """Return the address of a folder in a bucket; None without a bucket.

    >>> [storage_address("s3", "b", prefix) for prefix in ("a/", "/", "")]
    ['s3://b/a/', 's3://b/', 's3://b']
    """
    if not bucket:
        return None
    return f"{scheme}://{bucket}" + (f"/{prefix.removeprefix('/')}" if prefix else "")
