"""The header of a script with its dependencies (PEP 723), and its lock by uv."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, cast

from cloudtune.errors import LockError
from cloudtune.study.regular_files import read_regular

_MAX_LOCK_BYTES = 64 * 1024**2
_TIMEOUT = 120.0
_MAX_REASON = 400
_HEADER = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
"""As PEP 723 gives it."""


class Header(NamedTuple):
    """What the header of a script says."""

    dependencies: list[str]
    requires_python: str
    """A range of versions; empty if there is none."""
    uv: dict[str, Any]
    """The table ``tool.uv``."""


def read_header(text: str, name: str) -> Header:
    """Return the header of a script.

    Raises:
        LockError: If there is none, or it is invalid.
    """
    headers = list(_HEADER.finditer(text.replace("\r\n", "\n")))
    if len(headers) != 1:
        count = "no header" if not headers else f"{len(headers)} headers"
        raise LockError(f"{name} has {count} with its dependencies, as in `# /// script` (PEP 723)")
    content = "".join(
        line[2:] if line.startswith("# ") else line[1:]
        for line in headers[0]["content"].splitlines(keepends=True)
    )
    import tomllib

    try:
        header = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise LockError(f"the header of {name} is not TOML: {error}") from error
    dependencies: Any = header.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(
        isinstance(each, str) and "\n" not in each for each in cast("list[object]", dependencies)
    ):
        raise LockError(f"dependencies in the header of {name} must be a list of strings")
    lines = cast("list[str]", dependencies)
    options = [each for each in lines if not re.match(r"\s*[A-Za-z0-9]", each)]
    if options:
        raise LockError(
            f"the header of {name} has {', '.join(map(repr, options))}, which is not a package: "
            "PEP 723 allows names of packages with versions"
        )
    try:
        uv: Any = header.get("tool", {}).get("uv", {})
        return Header(lines, str(header.get("requires-python", "")), dict(uv))
    except (AttributeError, TypeError, ValueError):
        raise LockError(f"tool.uv in the header of {name} must be a table") from None


def lock_with_uv(script: Path) -> str:
    """Return the lock that uv makes of the header of a script, and change no file.

    No code of packages runs: one that has no wheel makes it fail.

    Raises:
        LockError: If uv is absent or fails; the message is a part of a sentence.
        OSError: If the script cannot be read.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise LockError("uv, which would lock them, is not on the PATH")
    python = {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, script.name)
        copy.write_bytes(read_regular(script))
        try:
            done = subprocess.run(
                [uv, "lock", "--quiet", "--no-build", "--script", str(copy)],
                cwd=script.parent,
                env={**os.environ, **python},
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
            if done.returncode == 0:
                return read_regular(copy.with_name(f"{copy.name}.lock"), _MAX_LOCK_BYTES).decode(
                    "utf-8"
                )
            text = done.stderr.decode("utf-8", "replace").replace(f"{folder}{os.sep}", "")
            words = text.split() or [f"exit code {done.returncode}"]
        except subprocess.TimeoutExpired:
            words = [f"no answer after {_TIMEOUT:.0f} s"]
        except (OSError, UnicodeDecodeError) as error:
            words = [str(error)]
    reason = re.sub(r"://[^/\s@]*@", "://", " ".join(words).removeprefix("error: "))
    if len(reason) > _MAX_REASON:
        reason = f"{reason[:_MAX_REASON]}…"
    raise LockError(f"uv could not lock them ({reason})")
