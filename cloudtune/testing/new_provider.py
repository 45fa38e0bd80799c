"""Copies the example provider under a new name: ``python -m cloudtune.testing.new_provider NAME``.

The copy is a package of its own, in the folder ``cloudtune-NAME`` in the current folder.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

EXAMPLE = Path(__file__).with_name("example_provider")


def copy_example(name: str, parent: Path) -> Path:
    """Copy the example provider as ``cloudtune-NAME``, and return that folder.

    Args:
        name: The provider's name in studies: lower-case letters, digits and underscores.
        parent: The folder for the copy.

    Raises:
        ValueError: If the name is not usable as a name of a Python package.
        FileExistsError: If the folder exists.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"invalid name {name!r}: use lower-case letters, digits and underscores")
    target = parent / f"cloudtune-{name}"
    shutil.copytree(EXAMPLE, target, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [path for path in target.rglob("*") if path.is_file()]:
        text = path.read_text("utf-8")
        title = name.title().replace("_", "")
        for old, new in (("example", name), ("Example", title), ("EXAMPLE", name.upper())):
            text = text.replace(old, new)
        path.write_text(text, "utf-8")
        if "example" in path.name:
            path.rename(path.with_name(path.name.replace("example", name)))
    (target / "cloudtune_example").rename(target / f"cloudtune_{name}")
    return target


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m cloudtune.testing.new_provider NAME")
    try:
        print(copy_example(sys.argv[1], Path.cwd()))  # noqa: T201
    except FileExistsError as error:
        sys.exit(f"{error.filename} exists; choose another name or delete it")
    except ValueError as error:
        sys.exit(str(error))
