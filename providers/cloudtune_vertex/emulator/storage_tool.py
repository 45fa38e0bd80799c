"""Stands in for ``gcloud storage`` and ``gsutil`` on the path of a script.

It copies, lists, prints, synchronizes, moves and removes objects of the emulator's buckets, and
refuses clearly what it does not do. Destinations follow the documentation of both programs, read
2026-11: https://cloud.google.com/sdk/gcloud/reference/storage/cp and
https://cloud.google.com/storage/docs/gsutil/commands/cp.

This file is a program; it uses only the standard library.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib import error, parse, request

HOST = "STORAGE_EMULATOR_HOST"
_RECURSIVE = {"-r": "recursive", "-R": "recursive", "--recursive": "recursive"}
_KEEP = {"-n": "keep", "--no-clobber": "keep"}
_LONG = {"-l": "long", "--long": "long"}
_DELETE = {"-d": "delete", "--delete-unmatched-destination-objects": "delete"}
_FLAGS: Mapping[str, Mapping[str, str]] = {
    "cp": {**_RECURSIVE, **_KEEP},
    "mv": _KEEP,
    "ls": {**_RECURSIVE, **_LONG},
    "cat": {},
    "rm": _RECURSIVE,
    "rsync": {**_RECURSIVE, **_DELETE, "-c": "", "--checksums-only": ""},
}
"""The options of each command. Contents are always compared."""
_GLOBAL_FLAGS = frozenset({"-m", "-q", "--quiet", "--no-user-output-enabled"})
_WILDCARDS = re.compile(r"[*?\[]")


class ToolError(Exception):
    """A command cannot be carried out; the message says why."""


@dataclass(frozen=True)
class Item:
    """A file or an object, and its name below the folder that a command names."""

    url: str
    name: str
    folder: str = ""
    """The name of that folder; empty for a single file."""


class Buckets:
    """The emulator's Cloud Storage."""

    def __init__(self, host: str) -> None:
        self._host = host.rstrip("/")
        self._open = request.build_opener(request.ProxyHandler({})).open

    def buckets(self) -> list[str]:
        """Return the names of all buckets."""
        return [each["name"] for each in self._get("/storage/v1/b?project=emulated")]

    def objects(self, bucket: str, prefix: str = "") -> list[dict[str, Any]]:
        """Return the objects of a bucket whose names start with a prefix, by name."""
        found = self._get(f"/storage/v1/b/{_quote(bucket)}/o?prefix={_quote(prefix)}")
        return sorted(found, key=lambda each: str(each["name"]))

    def read(self, url: str) -> bytes:
        """Return the content of an object."""
        bucket, name = split(url)
        path = f"/download/storage/v1/b/{_quote(bucket)}/o/{_quote(name)}?alt=media"
        return self._call("GET", path, url=url)

    def write(self, url: str, content: bytes) -> None:
        """Store an object."""
        bucket, name = split(url)
        path = f"/upload/storage/v1/b/{_quote(bucket)}/o?uploadType=media&name={_quote(name)}"
        self._call("POST", path, content, url=url)

    def delete(self, url: str) -> None:
        """Delete an object."""
        bucket, name = split(url)
        self._call("DELETE", f"/storage/v1/b/{_quote(bucket)}/o/{_quote(name)}", url=url)

    def _get(self, path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        token = ""
        while True:
            page = json.loads(self._call("GET", path + token))
            items += page.get("items", [])
            if not page.get("nextPageToken"):
                return items
            token = f"&pageToken={_quote(page['nextPageToken'])}"

    def _call(self, method: str, path: str, body: bytes | None = None, url: str = "") -> bytes:
        call = request.Request(self._host + path, body, method=method)  # noqa: S310
        if body is not None:
            call.add_header("Content-Type", "application/octet-stream")
        try:
            with self._open(call) as response:
                content: bytes = response.read()
                return content
        except error.HTTPError as problem:
            place = url or parse.unquote(path.partition("/b/")[2].partition("/")[0])
            raise ToolError(f"{place}: HTTP {problem.code} {problem.reason}") from problem


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
            place = _join(target, item, into=into) if target != "-" else "-"
            if move and _is_same(item.url, place):
                raise ToolError(f"{item.url}: the source and the destination are the same")
            if self._copy(item.url, place) and move:
                self._remove(item.url)

    def mv(self, *urls: str) -> None:
        """Move files or objects; the last URL is the destination."""
        self.cp(*urls, move=True)

    def cat(self, *urls: str) -> None:
        """Print objects."""
        for url in urls:
            for item in self._items(_require_remote(url), recursive=False):
                self._copy(item.url, "-")

    def rm(self, *urls: str) -> None:
        """Remove objects."""
        for url in urls:
            for item in self._items(_require_remote(url), recursive="recursive" in self._options):
                self._remove(item.url)

    def ls(self, *urls: str) -> None:
        """List buckets, objects and folders."""
        if not urls:
            for bucket in self._buckets.buckets():
                _print(f"gs://{bucket}/")
        for url in urls:
            lines = self._list(_require_remote(url))
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
            for path in _walk(Path(url)):
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
        items = list(self._remote(url, recursive) if is_remote(url) else _local(url, recursive))
        if not items:
            hint = "" if recursive else "; folders need -r"
            raise ToolError(f"{url}: matches no objects or files{hint}")
        yield from items

    def _remote(self, url: str, recursive: bool) -> Iterator[Item]:
        bucket, name = split(url)
        pattern = _WILDCARDS.search(name)
        start = name[: pattern.start()] if pattern else name
        objects = [str(each["name"]) for each in self._buckets.objects(bucket, start.rstrip("/"))]
        expression = _translate(name.rstrip("/"))
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
        pattern = _WILDCARDS.search(name)
        start = (name[: pattern.start()] if pattern else name).rstrip("/")
        expression = _translate(name.rstrip("/"))
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
            _report(f"Skipping existing item: {target}")
            return False
        if target != "-":
            _report(f"Copying {source} to {target}")
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
        _report(f"Removing {url}...")
        if is_remote(url):
            self._buckets.delete(url)
        else:
            Path(url).unlink()


def is_remote(url: str) -> bool:
    """Return whether a URL is in Cloud Storage."""
    return url.startswith("gs://")


def split(url: str) -> tuple[str, str]:
    """Return the bucket and the name of an address in Cloud Storage."""
    bucket, _, name = url.removeprefix("gs://").partition("/")
    return bucket, name


def parse_command(program: str, words: Sequence[str]) -> tuple[str, frozenset[str], list[str]]:
    """Return the command of a call, its options, and its URLs.

    Raises:
        ToolError: If this program does not do it.
    """
    commands = ", ".join(_FLAGS)
    rest = [word for word in words if word not in _GLOBAL_FLAGS]
    if program == "gcloud":
        if rest[:1] != ["storage"]:
            raise ToolError(f"the emulator stands in only for `gcloud storage` with {commands}")
        rest = rest[1:]
    if not rest or rest[0] not in _FLAGS:
        raise ToolError(f"the emulator's stand-in has only {commands}")
    flags, options, urls = _FLAGS[rest[0]], set[str](), list[str]()
    for word in rest[1:]:
        if word == "-" or not word.startswith("-"):
            urls.append(word)
        elif word in flags:
            options.add(flags[word])
        else:
            supported = ", ".join(flags) or "none"
            raise ToolError(f"the emulator's stand-in does not have {word}; options: {supported}")
    return rest[0], frozenset(options), urls


def main(program: str, *words: str) -> int:
    """Carry out a command, and return the exit code."""
    try:
        command, options, urls = parse_command(program, words)
        host = os.environ.get(HOST)
        if not host:
            raise ToolError(f"{HOST} is not set")
        getattr(Tool(Buckets(host), options), command)(*urls)
    except (ToolError, OSError) as problem:
        _report(f"ERROR: ({program}) {problem}")
        return 1
    return 0


def _local(url: str, recursive: bool) -> Iterator[Item]:
    if url == "-":
        yield Item(url, "-")
        return
    path = Path(url)
    found = sorted(path.parent.glob(path.name)) if _WILDCARDS.search(path.name) else [path]
    for each in found:
        if each.is_file():
            yield Item(str(each), each.name)
        elif each.is_dir() and recursive:
            for file in _walk(each):
                yield Item(str(file), file.relative_to(each).as_posix(), each.resolve().name)


def _walk(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _join(target: str, item: Item, *, into: bool) -> str:
    """Return the destination of an item: within a folder, or that name itself."""
    if not into and not item.folder:
        return target
    names = [item.folder, item.name] if into and item.folder else [item.name]
    return "/".join([target.rstrip("/") if target != "/" else "", *names])


def _translate(pattern: str) -> str:
    """Return the regular expression of a name with wildcards; only ``**`` matches a slash."""
    parts = re.split(r"(\*\*|\*|\?|\[[^\]]*\])", pattern)
    wildcards = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    expression = "".join(
        wildcards.get(part) or (_translate_set(part) if part[:1] == "[" else re.escape(part))
        for part in parts
    )
    try:
        re.compile(expression)
    except re.error as problem:
        raise ToolError(f"{pattern}: not a valid wildcard: {problem}") from problem
    return expression


def _translate_set(pattern: str) -> str:
    """Return the regular expression of ``[abc]`` or ``[!abc]``."""
    if len(pattern) < 3 or not pattern.endswith("]"):
        return re.escape(pattern)
    negation = "^" if pattern[1] in "!^" and len(pattern) > 3 else ""
    inner = pattern[2:-1] if negation else pattern[1:-1]
    return f"[{negation}{re.escape(inner[0])}{inner[1:]}]"


def _is_same(source: str, target: str) -> bool:
    if is_remote(source) or is_remote(target) or target == "-":
        return source == target
    return Path(source).resolve() == Path(target).resolve()


def _require_remote(url: str) -> str:
    if not is_remote(url):
        raise ToolError(f"{url}: must be an address in Cloud Storage, gs://BUCKET/NAME")
    return url


def _quote(text: str) -> str:
    return parse.quote(text, safe="")


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
