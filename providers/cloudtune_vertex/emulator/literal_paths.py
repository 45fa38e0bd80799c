"""Finds the path ``/gcs`` in the code of a job, for a machine on which it cannot be mounted.

There, such a path is a folder of the machine itself: the bucket would stay empty, and the job would
succeed. Code that reads ``CLOUDTUNE_GCS`` knows where the buckets are.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Sequence

from cloudtune.emulator_kit import Json
from cloudtune_vertex.contract import GCS
from cloudtune_vertex.emulator.storage import Storage, StorageError

ADVICE = (
    "uses the path /gcs, which this machine does not let the emulator mount: take the folder from "
    "cloudtune.trial, or from the variable CLOUDTUNE_GCS; or run as root, or allow user namespaces "
    "(kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)"
)
"""What follows the place of a literal path."""
_LITERAL = re.compile(rb"(?<![\w./-])/gcs(?:/|\b)")
_CODE = (".py", ".sh")
_ARCHIVES = (".tar.gz", ".tgz", ".tar")
_OWN_FILES = re.compile(r"(?:^|/)(?:cloudtune/|cloudtune_trial/__main__|launcher_contract\.py$)")
_MAX_DEPTH = 3
_MAX_SIZE = 2_000_000
"""Bytes of a file of code; larger ones are data."""


def find_literal_path(spec: Json, storage: Storage) -> str:
    """Return the place of a literal path in a job's command or code; empty if it has none."""
    pool: Json = spec["workerPoolSpecs"][0]
    container: Json = pool.get("containerSpec", {})
    package: Json = pool.get("pythonPackageSpec", {})
    words: Sequence[str] = [
        *container.get("command", ()),
        *(container or package).get("args", ()),
    ]
    for word in words:
        if _is_literal(word.encode()):
            return f'The argument "{word[:200]}"'
    for variable in (container or package).get("env", ()):
        if _is_literal(str(variable.get("value", "")).encode()):
            return f"The variable {variable['name']}"
    for uri in [*package.get("packageUris", ()), *(f"gs://{word}" for word in words)]:
        if not uri.endswith(_ARCHIVES):
            continue
        try:
            content = storage.fetch(uri)
        except StorageError:
            continue
        for name, code in _code_files(content, 1):
            if _is_literal(code):
                return f"The file {name} in {uri}"
    return ""


def _is_literal(code: bytes) -> bool:
    return bool(_LITERAL.search(code)) and GCS.encode() not in code


def _code_files(archive: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the files of code in an archive, and in those within it."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as members:
            for member in members:
                is_archive = member.name.endswith(_ARCHIVES) and depth < _MAX_DEPTH
                is_code = member.name.endswith(_CODE) and member.size <= _MAX_SIZE
                if not member.isfile() or _OWN_FILES.search(member.name):
                    continue
                if not (is_archive or is_code):
                    continue
                file = members.extractfile(member)
                content = file.read() if file else b""
                if is_archive:
                    yield from _code_files(content, depth + 1)
                else:
                    yield member.name, content
    except (tarfile.TarError, EOFError, OSError):
        return
