"""The objects in the emulator's buckets."""

from __future__ import annotations

import json
from typing import Any
from urllib import error, parse, request


class ToolError(Exception):
    """A command cannot be carried out; the message says why."""


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


def is_remote(url: str) -> bool:
    """Return whether a URL is in Cloud Storage."""
    return url.startswith("gs://")


def split(url: str) -> tuple[str, str]:
    """Return the bucket and the name of an address in Cloud Storage."""
    bucket, _, name = url.removeprefix("gs://").partition("/")
    return bucket, name


def _quote(text: str) -> str:
    return parse.quote(text, safe="")
