"""The table of docs/support.md: what pip installs besides cloudtune, for each extra.

    python -m scripts.install_sizes   # installs each extra into a new environment

A row counts packages and adds up the sizes that their metadata lists, which is without bytecode.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "support.md"
_TABLE = re.compile(r"(?<=<!-- sizes -->\n).*?(?=<!-- end -->)", re.DOTALL)
_ROW = re.compile(r"^\| (?:`(\S+)`|none) \| (\d+) \| (\d+) \|$", re.MULTILINE)


def extras() -> list[str]:
    """Return the extras that users install; the empty name is an installation without one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return ["", *(name for name in project["optional-dependencies"] if name != "dev")]


def needed_packages(extra: str, path: Sequence[str] = sys.path) -> dict[str, int]:
    """Return the size in bytes of each installed package that cloudtune with an extra needs.

    Args:
        extra: The name of an extra, or an empty string.
        path: The folders with the installed packages.

    Raises:
        KeyError: A package is needed and not installed.
    """
    installed: dict[str, Distribution] = {}
    for each in distributions(path=list(path)):
        installed.setdefault(canonicalize_name(each.name), each)
    waiting = {("cloudtune", extra)}
    visited: set[tuple[str, str]] = set()
    while waiting - visited:
        name, chosen = (waiting - visited).pop()
        visited.add((name, chosen))
        for text in installed[name].requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": chosen}):
                needed = canonicalize_name(requirement.name)
                waiting |= {(needed, more) for more in ("", *requirement.extras)}
    names = {name for name, _ in visited} - {"cloudtune"}
    return {name: _size(installed[name]) for name in sorted(names)}


def _size(package: Distribution) -> int:
    return sum(file.size or 0 for file in package.files or ())


def table(sizes: Mapping[str, Iterable[int]]) -> str:
    """Return the table in Markdown, from the sizes of the packages of each extra."""
    rows = ["| extra | packages | MB |", "|---|---|---|"]
    for extra, each in sizes.items():
        packages = list(each)
        name = f"`{extra}`" if extra else "none"
        rows.append(f"| {name} | {len(packages)} | {round(sum(packages) / 1e6)} |")
    return "\n".join(rows) + "\n"


def documented_sizes() -> dict[str, tuple[int, int]]:
    """Return the number of packages and the megabytes that the page states for each extra."""
    match = _TABLE.search(PAGE.read_text("utf-8"))
    rows = _ROW.findall(match[0]) if match else []
    return {extra: (int(count), int(size)) for extra, count, size in rows}


def _measure(extra: str) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = f"{folder}/bin/python"
        wanted = f"{ROOT}[{extra}]" if extra else str(ROOT)
        install = [python, "-m", "pip", "install", "--quiet", "--no-compile", wanted]
        subprocess.run(install, check=True)
        (packages,) = Path(folder, "lib").glob("python*/site-packages")
        return needed_packages(extra, [str(packages)])


def main() -> None:
    """Measure each extra and write the table into the page."""
    sizes: dict[str, Iterable[int]] = {}
    for extra in extras():
        sizes[extra] = _measure(extra).values()
        print(table(sizes).splitlines()[-1], file=sys.stderr, flush=True)  # noqa: T201
    PAGE.write_text(_TABLE.sub(table(sizes), PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
