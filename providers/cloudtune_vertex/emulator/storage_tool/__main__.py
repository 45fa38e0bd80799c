"""The program: its options, and its exit code."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from cloudtune_vertex.emulator.storage_tool import HOST
from cloudtune_vertex.emulator.storage_tool.buckets import Buckets, ToolError
from cloudtune_vertex.emulator.storage_tool.tool import Tool, report

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
        report(f"ERROR: ({program}) {problem}")
        return 1
    return 0
