"""What stands in for a service's image when trials run on its emulator."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

ENGINES = ("docker", "podman")


class Rehearsal(BaseModel):
    """What stands in for images under ``--emulate``: by default, this machine's Python."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    images: bool = Field(
        default=False, description="Run trials in their images, by Docker or Podman."
    )
    python: str | None = Field(
        default=None,
        min_length=1,
        description="The Python that stands in for the image: a path, or a name on the PATH.",
    )

    @model_validator(mode="after")
    def _check_one(self) -> Rehearsal:
        if self.images and self.python:
            raise ValueError("set either images or python")
        return self

    def describe(self) -> str:
        """Return how trials run, as the end of a sentence."""
        if self.images:
            return "in their images"
        if self.python:
            return f"with {self.python} in place of their images"
        return "with this machine's Python in place of their images"

    def options(self, base: Path) -> list[str]:
        """Return the options for the emulator's command line; a path is relative to a folder."""
        if self.images:
            return ["--with-images"]
        if self.python is None:
            return []
        return ["--python", self._path(base, self.python)]

    def find_python(self, base: Path) -> str | None:
        """Return the path of the Python of trials, by default cloudtune's own; None if missing."""
        return shutil.which(self._path(base, self.python)) if self.python else sys.executable

    @staticmethod
    def _path(base: Path, python: str) -> str:
        path = os.path.expanduser(python)  # noqa: PTH111 - a name has no folder
        return str(base / path) if os.sep in path else path


def find_engine() -> str | None:
    """Return the path of Docker or Podman; None if neither is on the PATH."""
    return next((path for name in ENGINES if (path := shutil.which(name))), None)
