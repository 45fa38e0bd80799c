"""Rules of the training image: its address, and the Python in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, Note
from cloudtune.provider.lookup import python_misfit
from cloudtune.provider.pythons import check_python, image_version
from cloudtune_vertex.rules.settings import SETTINGS, refuse
from cloudtune_vertex.settings import VertexSettings

_IMAGE_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
"""One component of an image's path: https://github.com/opencontainers/distribution-spec."""
_IMAGE = re.compile(
    r"([a-z0-9.-]+\.[a-z0-9.-]+(?::[0-9]+)?)/([^:@\s]+)(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
"""The address of an image, with the registry's host, in the same specification."""
_ARTIFACT_REGISTRY = ".pkg.dev"
"""The end of its hosts; a path is PROJECT/REPOSITORY/IMAGE."""
_PYTHON = re.compile(r"\.py3(\d+)(?:[:@]|$)")
"""The Python of Google's images: "2.14 (Python 3.10)" is tf-cpu.2-14.py310, in
https://cloud.google.com/vertex-ai/docs/supported-frameworks-list, read 2026-11-27. Older images,
such as sklearn-cpu.1-0, do not name it."""


def image_rules(settings: VertexSettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the findings on the image."""
    if settings.image is None:
        return
    if not _is_image(settings.image):
        yield refuse(
            "image",
            "must be the address of an image: HOST/PATH:TAG or HOST/PATH@sha256:DIGEST, for "
            "example us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest",
        )
    if facts.emulated:
        return
    python = _PYTHON.search(settings.image) if facts.data["prebuilt"] else None
    if python is None:
        version = "" if facts.data["prebuilt"] else image_version(settings.image)
        name = f"the Python of {settings.image}"
        yield from check_python(facts, f"{SETTINGS}.image", name, version)
        return
    if misfit := python_misfit(facts, f"3.{python[1]}"):
        yield refuse(
            "image",
            f"the image has Python 3.{python[1]}, and {misfit}: choose an image with such a "
            "version in its name, as in py310, or your own",
        )


def _is_image(address: str) -> bool:
    match = _IMAGE.fullmatch(address)
    if match is None:
        return False
    host, path = match[1], match[2].split("/")
    is_deep_enough = len(path) >= 3 or not host.endswith(_ARTIFACT_REGISTRY)
    return is_deep_enough and all(map(_IMAGE_PATH.fullmatch, path))
