"""The logs of trainings."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune_watson.errors import WatsonError
from cloudtune_watson.wml.client import WmlClient


def read_training_log(wml: WmlClient, path: str) -> Iterator[str]:
    """Return the lines of the log of a training.

    Raises:
        WatsonError: If it does not exist, or the cluster refuses.
    """
    content = wml.read(path)
    if content is None:
        raise WatsonError(f"the cluster has no log {path} yet")
    return iter(content.decode("utf-8", "replace").splitlines())
