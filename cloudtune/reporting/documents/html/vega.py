"""Vega's scripts for the page, kept between reports.

vl-convert starts a JavaScript engine to bundle the scripts that it contains, which takes more time
and memory than everything else. The bundle depends only on the version of vl-convert.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cloudtune.errors import import_extra

_PACKAGE = "vl-convert-python"


def vega_bundle() -> str:
    """Return Vega, Vega-Lite, and Vega-Embed as one JavaScript module.

    Raises:
        MissingExtraError: If vl-convert is not installed.
    """
    path = _cache_path()
    bundle = _read(path) if path else None
    if bundle is None:
        vl_convert = import_extra("vl_convert", "a report as HTML", "report")
        bundle = str(vl_convert.javascript_bundle())
        if path:
            with suppress(OSError):
                _write(path, bundle)
    return bundle


def _cache_path() -> Path | None:
    base = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    try:
        folder = Path(base) if base else Path("~/.cache").expanduser()
        return folder / "cloudtune" / f"vega-{version(_PACKAGE)}.js"
    except (RuntimeError, PackageNotFoundError):  # no home; not installed
        return None


def _read(path: Path) -> str | None:
    """Return a bundle that was written completely by this user; else None."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
                return None
            digest, _, bundle = file.read().partition("\n")
    except (OSError, ValueError):
        return None
    return bundle if digest == _digest(bundle) else None


def _write(path: Path, bundle: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(f"{_digest(bundle)}\n{bundle}")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _digest(bundle: str) -> str:
    return hashlib.sha256(bundle.encode()).hexdigest()
