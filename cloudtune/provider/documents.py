"""Other documents of a service that a plan can be shown as. They are never sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudtune.diagnostics import Finding, Note
from cloudtune.study.schema import Json


@dataclass(frozen=True)
class ServiceDocument:
    """A plan in the form of another document of the service, such as an older one."""

    description: str
    """What the document is, and which tool accepts it."""
    content: Json
    remarks: Sequence[Finding | Note]
    """What the document cannot express."""
