"""What all tests of SageMaker share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.in_process import share_loader


@pytest.fixture(scope="session", autouse=True)
def _one_loader() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        share_loader(patch)
        yield
