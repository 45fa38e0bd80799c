"""The files and objects that a command names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloudtune_vertex.emulator.storage_tool.buckets import ToolError, is_remote
from cloudtune_vertex.emulator.storage_tool.wildcards import WILDCARDS


@dataclass(frozen=True)
class Item:
    """A file or an object, and its name below the folder that a command names."""

    url: str
    name: str
    folder: str = ""
    """The name of that folder; empty for a single file."""


def local_items(url: str, *, recursive: bool) -> Iterator[Item]:
    """Yield the files that a path names, with wildcards; those of folders if it is recursive."""
    if url == "-":
        yield Item(url, "-")
        return
    path = Path(url)
    found = sorted(path.parent.glob(path.name)) if WILDCARDS.search(path.name) else [path]
    for each in found:
        if each.is_file():
            yield Item(str(each), each.name)
        elif each.is_dir() and recursive:
            for file in walk(each):
                yield Item(str(file), file.relative_to(each).as_posix(), each.resolve().name)


def walk(folder: Path) -> Iterator[Path]:
    """Return the files in a folder, at any depth."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def join(target: str, item: Item, *, into: bool) -> str:
    """Return the destination of an item: within a folder, or that name itself."""
    if not into and not item.folder:
        return target
    names = [item.folder, item.name] if into and item.folder else [item.name]
    return "/".join([target.rstrip("/") if target != "/" else "", *names])


def is_same(source: str, target: str) -> bool:
    """Return whether two addresses are of the same file or object."""
    if is_remote(source) or is_remote(target) or target == "-":
        return source == target
    return Path(source).resolve() == Path(target).resolve()


def require_remote(url: str) -> str:
    """Return an address in Cloud Storage.

    Raises:
        ToolError: If it is another one.
    """
    if not is_remote(url):
        raise ToolError(f"{url}: must be an address in Cloud Storage, gs://BUCKET/NAME")
    return url
