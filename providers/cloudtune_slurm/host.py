"""Where Slurm's commands run and the shared folder is: this machine, or a login node by ssh.

Both have the same calls. A login node needs a POSIX shell, tar and Slurm; nothing of
cloudtune runs there.
"""

from __future__ import annotations

import errno
import io
import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from cloudtune.provider import open_regular
from cloudtune.provider.trial_files import PART_BYTES, StoredFile, list_folder, read_file
from cloudtune_slurm.errors import (
    SSH_FAILED,
    command_error,
    fails_silently,
    file_error,
    is_ssh_down,
    ssh_error,
    timeout_error,
)

TIMEOUT = 120.0
"""Seconds for one command; sbatch itself retries for some time if the controller is busy."""
_UPLOAD_TIMEOUT = 3_600.0
_IRREGULAR = frozenset({errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENXIO})
"""The errors of `open_regular` for what is no regular file."""
_KEPT_VARIABLES = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT"})
"""What leads all of Slurm's commands to a cluster, or signs in there: sbatch(1) of 24.11, Slurm's
fetch_config.c, and https://slurm.schedmd.com/jwt.html. At sites with several clusters, users set
``SLURM_CLUSTERS`` (nf-core/configs, docs/biohpc_gen.md). All read 2026-12-01."""
_GZIP = b"\x1f\x8b"
_MARK = b"@cloudtune@\n"
"""Printed before the output of a remote command, after what the user's shell may print."""


@dataclass(frozen=True)
class Unreadable:
    """A file that is not read."""

    reason: str


_NOT_REGULAR = Unreadable("not a regular file")


class Host(Protocol):
    """Runs Slurm's commands, and reads and writes files. Every call may raise `SlurmError`."""

    def run(self, words: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
        """Run a command, with additional variables, and return its output."""
        ...

    def write(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Write files below a folder, by relative name; missing folders are created."""
        ...

    def upload(self, path: str, file: Path) -> None:
        """Copy a file of this machine."""
        ...

    def read(
        self, offsets: Mapping[str, int], limit: int | None = None
    ) -> Mapping[str, bytes | Unreadable]:
        """Return the contents of files, each from an offset on. Missing files are omitted.

        Trials can write these files, so one that is no regular file, or is larger than a limit in
        bytes, is not read.
        """
        ...

    def list_files(self, folder: str) -> tuple[dict[str, StoredFile], dict[str, str]]:
        """Return the regular files below a folder and the targets of its links, by relative name.

        Without the folder there are none.
        """
        ...

    def stream(self, file: StoredFile, start: int) -> Iterator[bytes]:
        """Yield the content of a regular file from a byte on."""
        ...


class LocalHost:
    """This machine."""

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Create the host.

        Args:
            commands: The words that replace a command, by its name.
            variables: Additional variables of all commands.
        """
        self._commands = commands or {}
        self._variables = variables or {}

    def run(self, words: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
        """As in `Host`."""
        command = [*self._commands.get(words[0], words[:1]), *words[1:]]
        env = {**clean_environment(), **self._variables, **(variables or {})}
        return _run(command, words[0], env=env).decode("utf-8", "replace")

    def write(self, folder: str, files: Mapping[str, bytes]) -> None:
        """As in `Host`."""
        try:
            for name, content in files.items():
                path = Path(folder, name)
                _create_folder(path.parent)
                path.write_bytes(content)
                if content.startswith(b"#!"):
                    path.chmod(0o700)
        except OSError as error:
            raise file_error(error) from error

    def upload(self, path: str, file: Path) -> None:
        """As in `Host`."""
        try:
            _create_folder(Path(path).parent)
            shutil.copyfile(file, f"{path}.new")
            Path(f"{path}.new").replace(path)
        except OSError as error:
            raise file_error(error) from error

    def read(
        self, offsets: Mapping[str, int], limit: int | None = None
    ) -> Mapping[str, bytes | Unreadable]:
        """As in `Host`.

        Listing a folder makes an NFS client ask for its current entries; otherwise it may remember
        for a minute that a file does not exist.
        """
        contents: dict[str, bytes | Unreadable] = {}
        entries: dict[str, frozenset[str]] = {}
        for path, offset in offsets.items():
            folder, _, name = path.rpartition("/")
            try:
                if folder not in entries:
                    entries[folder] = frozenset(os.listdir(folder))  # noqa: PTH208 - names only
                if name not in entries[folder]:
                    continue
                with open_regular(path, follow=False) as file:
                    if limit is not None and os.fstat(file.fileno()).st_size > limit:
                        contents[path] = _too_large(limit)
                        continue
                    file.seek(offset)
                    contents[path] = file.read()
            except (FileNotFoundError, NotADirectoryError):
                entries.setdefault(folder, frozenset())
            except OSError as error:
                if error.errno in _IRREGULAR:
                    contents[path] = _NOT_REGULAR
                elif error.errno != errno.ESTALE:  # NFS: it was replaced while it was open
                    raise file_error(error) from error
        return contents

    def list_files(self, folder: str) -> tuple[dict[str, StoredFile], dict[str, str]]:
        """As in `Host`."""
        try:
            return list_folder(folder)
        except OSError as error:
            raise file_error(error) from error

    def stream(self, file: StoredFile, start: int) -> Iterator[bytes]:
        """As in `Host`."""
        try:
            yield from read_file(file, start)
        except OSError as error:
            raise file_error(error) from error


class SshHost:
    """A login node, with the user's own configuration of ssh.

    Commands and the values of variables travel as the input of a shell, so that they are in no
    list of processes and need no quoting for the user's login shell, which may be any.
    """

    def __init__(self, host: str) -> None:
        """Create the host; nothing is called yet."""
        self._host = host
        self._command = ["ssh", "-T", "-o", "BatchMode=yes", "--", host]

    def run(self, words: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
        """As in `Host`."""
        exports = [f"export {name}={shlex.quote(text)}" for name, text in (variables or {}).items()]
        script = "\n".join([*exports, f"exec {shlex.join(words)} </dev/null"])
        return self._run_script(script, words[0]).decode("utf-8", "replace")

    def write(self, folder: str, files: Mapping[str, bytes]) -> None:
        """As in `Host`."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                entry.mode = 0o700 if content.startswith(b"#!") else 0o600
                tar.addfile(entry, io.BytesIO(content))
        self._receive(
            f"mkdir -p -m 700 {folder} && exec tar -xzf - -C {folder}", archive.getvalue()
        )

    def upload(self, path: str, file: Path) -> None:
        """As in `Host`."""
        folder = path.rpartition("/")[0]
        with file.open("rb") as content:
            script = f"mkdir -p -m 700 {folder} && cat > {path}.new && mv {path}.new {path}"
            self._receive(script, content)

    def read(
        self, offsets: Mapping[str, int], limit: int | None = None
    ) -> Mapping[str, bytes | Unreadable]:
        """As in `Host`: one archive of all files that exist."""
        contents: dict[str, bytes | Unreadable] = {}
        names = [shlex.quote(path.removeprefix("/")) for path in offsets]
        if not names:
            return contents
        words = " ".join(names)
        archive = f"tar -czf - -- {words} 2>/dev/null\n[ $? -le 2 ]"
        if limit is not None:  # a list of the files that are too large, or else the archive
            large = f"large=$(find {words} -prune -type f -size +{limit}c 2>/dev/null)"
            archive = f'{large}; if [ "$large" ]; then echo "$large"; else {archive}; fi'
        data = self._run_script(f"cd / || exit 1\n{archive}", "tar")
        if limit is not None and data and not data.startswith(_GZIP):
            for name in data.decode("utf-8", "surrogateescape").splitlines():
                contents[f"/{name}"] = _too_large(limit)
            rest = {path: at for path, at in offsets.items() if path not in contents}
            return {**self.read(rest, limit), **contents}
        try:
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
                for entry in tar:
                    path = f"/{entry.name}"
                    if path not in offsets:
                        continue
                    file = tar.extractfile(entry) if entry.isfile() else None
                    contents[path] = file.read()[offsets[path] :] if file else _NOT_REGULAR
        except (tarfile.TarError, EOFError, OSError) as error:
            raise ssh_error(self._host, f"connection closed: {error}") from error
        return contents

    def list_files(self, folder: str) -> tuple[dict[str, StoredFile], dict[str, str]]:
        """As in `Host`."""
        place = shlex.quote(folder)
        fields = r"%y\0%s\0%T@\0%l\0%P\0"
        output = self._run_script(
            f"[ ! -d {place} ] || exec find {place} '(' -type f -o -type l ')' -printf '{fields}'",
            "find",
        )
        words = iter(os.fsdecode(output).split("\0"))
        files: dict[str, StoredFile] = {}
        links: dict[str, str] = {}
        for kind, size, changed, target, name in zip(*[words] * 5, strict=False):
            if kind == "l":
                links[name] = target
            else:
                files[name] = StoredFile(f"{folder}/{name}", int(size), changed)
        return files, links

    def stream(self, file: StoredFile, start: int) -> Iterator[bytes]:
        """As in `Host`."""
        place = shlex.quote(file.address)
        script = f"printf '%s' '{_MARK.decode()}'; [ -f {place} ] && [ ! -L {place} ] && "
        script += f"exec tail -c +{start + 1} -- {place}\n"
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    [*self._command, "/bin/sh"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                )
            except OSError as error:
                raise command_error("ssh", 127, str(error)) from error
            with process:
                assert process.stdin
                assert process.stdout
                with suppress(BrokenPipeError):
                    process.stdin.write(os.fsencode(script))
                    process.stdin.close()
                try:
                    yield from _after_mark(process.stdout)
                    process.wait()
                finally:
                    process.kill()
            errors.seek(0)
            text = errors.read().decode("utf-8", "replace")
        if process.returncode > 0:
            if process.returncode == SSH_FAILED:
                raise ssh_error(self._host, text)
            raise command_error("tail", process.returncode, text or f"no file {file.address}")

    def _run_script(self, script: str, program: str) -> bytes:
        text = f"printf '%s' '{_MARK.decode()}'\n{script}\n"
        output = self._ssh(["/bin/sh"], text.encode(), program, TIMEOUT)
        return output.partition(_MARK)[2]

    def _receive(self, script: str, content: bytes | IO[bytes]) -> None:
        """Run a script without quotes that reads content. Its paths are plain: see the rules."""
        self._ssh([f"/bin/sh -c '{script}'"], content, "tar", _UPLOAD_TIMEOUT)

    def _ssh(
        self, words: Sequence[str], content: bytes | IO[bytes], program: str, seconds: float
    ) -> bytes:
        return _run(
            [*self._command, *words],
            program,
            content=content,
            seconds=seconds,
            ssh=self._host,
        )


def _after_mark(output: IO[bytes]) -> Iterator[bytes]:
    """Yield what a command prints after the mark."""
    before = b""
    while _MARK not in before and (part := output.read(1)):
        before += part
    while part := output.read(PART_BYTES):
        yield part


def _too_large(limit: int) -> Unreadable:
    return Unreadable(f"larger than {limit // 2**20} MiB")


def _create_folder(folder: Path) -> None:
    """Create a folder, and those above it, that only the user can read."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):  # `parents` would ignore the mode
        each.mkdir(mode=0o700, exist_ok=True)


def clean_environment() -> dict[str, str]:
    """Return this process's variables without those that change what Slurm's commands do.

    A job of Slurm, in which cloudtune may run, has some that sbatch takes for requests. All
    commands get the cluster of ``SBATCH_CLUSTERS``, which only sbatch reads.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT_VARIABLES or not name.startswith(("SLURM_", "SQUEUE_", "SCANCEL_"))
    }
    if clusters := kept.get("SBATCH_CLUSTERS"):
        kept.setdefault("SLURM_CLUSTERS", clusters)
    return kept


def _run(
    command: Sequence[str],
    program: str,
    *,
    env: Mapping[str, str] | None = None,
    content: bytes | IO[bytes] = b"",
    seconds: float = TIMEOUT,
    ssh: str | None = None,
) -> bytes:
    try:
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            command,
            env=env,
            input=content if isinstance(content, bytes) else None,
            stdin=None if isinstance(content, bytes) else content,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise timeout_error([program], seconds) from error
    except OSError as error:
        raise command_error(command[0], 127, str(error)) from error
    errors = done.stderr.decode("utf-8", "replace")
    if ssh and done.returncode == SSH_FAILED and (_MARK not in done.stdout or is_ssh_down(errors)):
        raise ssh_error(ssh, errors)  # sbatch itself exits with this code for an unknown option
    if done.returncode or fails_silently(errors):
        raise command_error(program, done.returncode, errors)
    return done.stdout
