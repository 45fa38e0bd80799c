"""What stands for the image of a training job: an environment of its own over this Python's."""

from __future__ import annotations

import site
import sys
import venv
from pathlib import Path


def make_image(folder: Path) -> str:
    """Make an environment in which the packages of ours are there, and return its Python.

    What a script installs goes into it, and changes nothing else on this machine.

    Raises:
        OSError: If this machine cannot.
    """
    venv.EnvBuilder(system_site_packages=True, symlinks=True).create(folder)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    lines = [f"import site; site.addsitedir({place!r})\n" for place in site.getsitepackages()]
    (folder / "lib" / version / "site-packages" / "image.pth").write_text("".join(lines), "utf-8")
    return str(folder / "bin" / "python")
