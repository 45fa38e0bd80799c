"""What a call of a run is, and the role that it needs. Each back end has a table of them.

IBM's APIs have no permissions for single calls: a collaborator of a space or project is a Viewer,
who may read, or an Editor, who may also create and delete assets and run jobs (pages "Deployment
space collaborator roles and permissions" of 5.4 and "Project collaborator roles and permissions" of
5.1, read 2026-11-27). A test compares the table with the calls of whole runs on the emulator, whose
names the calls have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["anyone", "Viewer", "Editor", "user of WML Accelerator"]


@dataclass(frozen=True)
class Call:
    """A call of one operation."""

    operation: str
    role: Role
    purpose: str
    unseen: str = ""
    """Why no run on the emulator of the test makes it; empty if runs do."""
