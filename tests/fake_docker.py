#!/usr/bin/env python3
"""Stands in for Docker: runs the command of a container here, and notes how it was called.

Paths of the container below a mount are replaced in the command. The image's own entry point is a
file ``entrypoint`` next to the stand-in.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

FOLDER = Path(os.environ.get("FAKE_DOCKER", "."))
VALUED = {"--name", "--network", "--user", "--volume", "--env", "--entrypoint", "--add-host"}


def install(path: Path) -> None:
    """Make a program that is this stand-in, with its notes in the same folder."""
    start = f"FAKE_DOCKER={path.parent} exec {sys.executable} {__file__}"
    path.write_text(f'#!/bin/sh\n{start} "$@"\n')
    path.chmod(0o755)


def put_on_path(folder: Path, entrypoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder with this stand-in, and the entry point of all images, on the path."""
    folder.mkdir()
    install(folder / "docker")
    (folder / "entrypoint").write_text(entrypoint)
    (folder / "entrypoint").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def main(words: list[str]) -> int:
    with (FOLDER / "calls").open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(words) + "\n")
    if words[0] in {"kill", "rm"}:
        pid = FOLDER / words[-1]
        if pid.exists():
            os.killpg(int(pid.read_text()), signal.SIGKILL)
            pid.unlink()
        return 0
    options: list[tuple[str, str]] = []
    rest = words[1:]
    while rest[0].startswith("-"):
        option = rest.pop(0)
        options.append((option, rest.pop(0) if option in VALUED else ""))
    image, *arguments = rest
    if image.partition(":")[0].endswith("missing"):
        print(f"Error: no such image: {image}", file=sys.stderr)  # noqa: T201
        return 125
    chosen = dict(options)
    entrypoint = chosen.get("--entrypoint") or str(FOLDER / "entrypoint")
    mounts = [
        value.removesuffix(":ro").rsplit(":", 1)
        for option, value in options
        if option == "--volume"
    ]
    command = [entrypoint, *arguments]
    for folder, path in mounts:
        command = [word.replace(path, folder) for word in command]
    named = [value.partition("=") for option, value in options if option == "--env"]
    env = {name: value if equals else os.environ[name] for name, equals, value in named}
    env["PATH"] = os.environ["PATH"]
    env["MOUNTS"] = json.dumps(mounts)
    process = subprocess.Popen(command, env=env, start_new_session=True)
    (FOLDER / chosen["--name"]).write_text(str(process.pid))
    signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    code = process.wait()
    (FOLDER / chosen["--name"]).unlink(missing_ok=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
