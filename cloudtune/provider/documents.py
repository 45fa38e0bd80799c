"""Other documents of a service that a plan can be shown as. They are read, and never sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from cloudtune.diagnostics import Finding, Note
from cloudtune.provider.plan import Plan


@dataclass(frozen=True)
class ServiceDocument:
    """A plan as such a document."""

    about: str
    """What the document is, and what takes it."""
    document: dict[str, Any]
    found: Sequence[Finding | Note]
    """What is lost in it."""


@runtime_checkable
class OtherForms(Protocol):
    """What a provider also has whose service knows such documents."""

    @property
    def documents(self) -> Mapping[str, Callable[[Plan], ServiceDocument]]:
        """What shows a plan, by the form's name."""
        ...
