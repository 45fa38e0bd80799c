"""The commands."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloudtune_vertex.emulator.storage_tool.buckets import Buckets, ToolError, is_remote, split
from cloudtune_vertex.emulator.storage_tool.items import (
    Item,
    is_same,
    join,
    local_items,
    require_remote,
    walk,
)
from cloudtune_vertex.emulator.storage_tool.wildcards import WILDCARDS, translate


class Tool:
    """Carries out the commands."""

    def __init__(self, buckets: Buckets, options: frozenset[str]) -> None:
        self._buckets = buckets
        self._options = options

    def cp(self, *urls: str, move: bool = False) -> None:
        """Copy files or objects; the last URL is the destination."""
        if len(urls) < 2:
            raise ToolError("it needs at least one source and a destination")
        *sources, target = urls
        recursive = move or "recursive" in self._options
        items = [item for source in sources for item in self._items(source, recursive=recursive)]
        into = self._is_folder(target)
        several = len({item.folder or item.url for item in items}) > 1
        if several and not into and target != "-" and not (recursive and is_remote(target)):
            raise ToolError(
                f"{target}: the destination of several sources must be a folder or a bucket"
            )
        for item in items:
            place = join(target, item, into=into) if target != "-" else "-"
            if move and is_same(item.url, place):
                raise ToolError(f"{item.url}: the source and the destination are the same")
            if self._copy(item.url, place) and move:
                self._remove(item.url)

    def mv(self, *urls: str) -> None:
        """Move files or objects; the last URL is the destination."""
        self.cp(*urls, move=True)

    def cat(self, *urls: str) -> None:
        """Print objects."""
        for url in urls:
            for item in self._items(require_remote(url), recursive=False):
                self._copy(item.url, "-")

    def rm(self, *urls: str) -> None:
        """Remove objects."""
        for url in urls:
            for item in self._items(require_remote(url), recursive="recursive" in self._options):
                self._remove(item.url)

    def ls(self, *urls: str) -> None:
        """List buckets, objects and folders."""
        if not urls:
            for bucket in self._buckets.buckets():
                _print(f"gs://{bucket}/")
        for url in urls:
            lines = self._list(require_remote(url))
            if not lines:
                raise ToolError(f"{url}: matches no objects")
            if "long" not in self._options:
                _print("\n".join(line for line, _ in lines))
                continue
            objects = [about for _, about in lines if about]
            for line, about in lines:
                time = f"{about['updated'][:19]}Z" if about else ""
                _print(f"{about.get('size', ''):>10}  {time:20}  {line}")
            size = sum(int(about["size"]) for about in objects)
            _print(f"TOTAL: {len(objects)} objects, {size} bytes")

    def rsync(self, *urls: str) -> None:
        """Make a folder equal to another one."""
        if len(urls) != 2:
            raise ToolError("it needs a source and a destination")
        source, target = urls
        wanted, present = self._files(source), self._files(target)
        for name, (url, digest) in wanted.items():
            if name not in present or present[name][1] != digest:
                self._copy(url, f"{target.rstrip('/')}/{name}")
        if "delete" in self._options:
            for name in present.keys() - wanted.keys():
                self._remove(present[name][0])

    def _files(self, url: str) -> dict[str, tuple[str, str]]:
        """Return the URL and the MD5 of each file below a folder, by name."""
        found: dict[str, tuple[str, str]] = {}
        if is_remote(url):
            bucket, prefix = split(url.rstrip("/"))
            start = f"{prefix}/" if prefix else ""
            for about in self._buckets.objects(bucket, start):
                name = str(about["name"])[len(start) :]
                if name:
                    found[name] = (f"gs://{bucket}/{about['name']}", str(about.get("md5Hash")))
        elif not Path(url).is_dir():
            raise ToolError(f"{url}: not a folder")
        else:
            for path in walk(Path(url)):
                digest = base64.b64encode(hashlib.md5(path.read_bytes()).digest()).decode()  # noqa: S324
                found[path.relative_to(url).as_posix()] = (str(path), digest)
        if "recursive" in self._options:
            return found
        return {name: each for name, each in found.items() if "/" not in name}

    def _items(self, url: str, *, recursive: bool) -> Iterator[Item]:
        """Yield what a source names.

        Raises:
            ToolError: If it names nothing.
        """
        items = list(
            self._remote(url, recursive=recursive)
            if is_remote(url)
            else local_items(url, recursive=recursive)
        )
        if not items:
            hint = "" if recursive else "; folders need -r"
            raise ToolError(f"{url}: matches no objects or files{hint}")
        yield from items

    def _remote(self, url: str, *, recursive: bool) -> Iterator[Item]:
        bucket, name = split(url)
        pattern = WILDCARDS.search(name)
        start = name[: pattern.start()] if pattern else name
        objects = [str(each["name"]) for each in self._buckets.objects(bucket, start.rstrip("/"))]
        expression = translate(name.rstrip("/"))
        for each in objects:
            address = f"gs://{bucket}/{each}"
            if re.fullmatch(expression, each):
                yield Item(address, each.rpartition("/")[2])
                continue
            if not recursive:
                continue
            match = re.match(f"(?:{expression})/" if name else "", each)
            if match and match.end() < len(each):
                folder = match[0].rstrip("/").rpartition("/")[2] or bucket
                yield Item(address, each[match.end() :], folder)

    def _list(self, url: str) -> list[tuple[str, dict[str, Any]]]:
        bucket, name = split(url)
        pattern = WILDCARDS.search(name)
        start = (name[: pattern.start()] if pattern else name).rstrip("/")
        expression = translate(name.rstrip("/"))
        lines: dict[str, dict[str, Any]] = {}
        for about in self._buckets.objects(bucket, start):
            each = str(about["name"])
            if re.fullmatch(expression, each) and not name.endswith("/"):
                lines[f"gs://{bucket}/{each}"] = about
                continue
            match = re.match(f"(?:{expression})/" if name else "", each)
            if match is None:
                continue
            rest = each[match.end() :]
            if "recursive" in self._options or "/" not in rest.rstrip("/"):
                lines[f"gs://{bucket}/{each}"] = about
            else:
                lines.setdefault(f"gs://{bucket}/{match[0]}{rest.partition('/')[0]}/", {})
        return sorted(lines.items())

    def _is_folder(self, url: str) -> bool:
        if not is_remote(url):
            return url.endswith("/") or Path(url).is_dir()
        bucket, name = split(url)
        return not name or name.endswith("/") or bool(self._buckets.objects(bucket, f"{name}/"))

    def _copy(self, source: str, target: str) -> bool:
        """Copy a file or an object; return whether it is not skipped."""
        if "keep" in self._options and self._exists(target):
            report(f"Skipping existing item: {target}")
            return False
        if target != "-":
            report(f"Copying {source} to {target}")
        if source == "-":
            content = sys.stdin.buffer.read()
        else:
            content = self._buckets.read(source) if is_remote(source) else Path(source).read_bytes()
        if target == "-":
            sys.stdout.buffer.write(content)
        elif is_remote(target):
            self._buckets.write(target, content)
        else:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(target).write_bytes(content)
        return True

    def _exists(self, url: str) -> bool:
        if not is_remote(url):
            return Path(url).exists()
        bucket, name = split(url)
        return any(each["name"] == name for each in self._buckets.objects(bucket, name))

    def _remove(self, url: str) -> None:
        report(f"Removing {url}...")
        if is_remote(url):
            self._buckets.delete(url)
        else:
            Path(url).unlink()


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def report(line: str) -> None:
    """Print a line for the user."""
    sys.stderr.write(f"{line}\n")
