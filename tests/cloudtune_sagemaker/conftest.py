"""What all tests of SageMaker share."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_loader() -> Iterator[None]:
    """Let all sessions of botocore share one loader, which reads 60 MB of models of services."""
    session: Any = import_module("botocore.session")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "create_loader", functools.cache(session.create_loader))
        yield
