"""Where the scripts of emulated jobs run: as processes of this machine, or in their images.

Docker and Podman have the same command line for what is needed here. Tested with Podman 5.4; not
verified with a real Docker.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cloudtune.emulator_kit import container_process
from cloudtune.execution.process_monitor import ProcessSpec

NOT_STARTED = 125
"""The exit code of an engine that could not start a container (docker run, exit status)."""
_OF_CLIENT = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR")
_CLIENT_PREFIXES = ("DOCKER_", "CONTAINER", "XDG_", "PODMAN_", "BUILDAH_", "REGISTRY_")


@dataclass(frozen=True)
class Runtime:
    """Where the scripts of an emulator's jobs run."""

    engine: str | None = None
    """The program that runs images; None if scripts are processes of this machine."""
    python: str | None = None
    """The Python that stands in for images; None for cloudtune's own."""


_runtime = Runtime()


def runtime() -> Runtime:
    """Return where scripts run. It is the same for all jobs: an emulator is its own process."""
    return _runtime


def set_runtime(new: Runtime) -> None:
    """Set where scripts run, before the first job."""
    global _runtime  # noqa: PLW0603 - set once, from the command line
    _runtime = new


@dataclass(frozen=True)
class Container:
    """What a container needs besides its environment."""

    image: str
    arguments: Sequence[str] = ()
    entrypoint: Sequence[str] = ()
    """Replaces the image's own; empty to keep it."""
    mounts: Mapping[Path, str] = field(default_factory=dict[Path, str])
    """Paths in the container by the folder of this machine that they show; ``:ro`` is read-only."""
    hosts: Sequence[str] = ()
    """Names that lead to this machine in the container."""
    has_network: bool = True


def in_container(engine: str, container: Container, process: ProcessSpec) -> ProcessSpec:
    """Return the process that runs a container, with the environment of a process.

    The container gets signals, as the process would, and is removed when the process is killed.
    Values of variables are not on the command line, where others can read them, but for those that
    the engine itself reads.

    Args:
        engine: Docker or Podman.
        container: What to run.
        process: Its environment, its log and how it is monitored; the command is replaced.
    """
    name = f"cloudtune-{secrets.token_hex(8)}"
    client = {
        key: value
        for key, value in os.environ.items()
        if key in _OF_CLIENT or key.startswith(_CLIENT_PREFIXES)
    }
    words = [engine, "run", "--rm", "--name", name]
    words += ["--network", "host" if container.has_network else "none"]
    if Path(engine).name == "docker" and os.getuid():  # its daemon is root, and so would files be
        words += ["--user", f"{os.getuid()}:{os.getgid()}"]
    words += [word for host in container.hosts for word in ("--add-host", f"{host}:127.0.0.1")]
    for folder, path in container.mounts.items():
        words += ["--volume", f"{folder}:{path}"]
    for key, value in process.env.items():
        words += ["--env", f"{key}={value}" if key in client else key]
    arguments = list(container.arguments)
    if container.entrypoint:
        words += ["--entrypoint", container.entrypoint[0]]
        arguments = [*container.entrypoint[1:], *arguments]
    program = [sys.executable, "-I", "-S", container_process.__file__, name]
    return replace(
        process,
        command=[*program, *words, container.image, *arguments],
        cwd=Path(process.log).parent,
        env={**process.env, **client},
    )
