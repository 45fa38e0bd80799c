"""A real cluster for the tests of this folder, which are not for several processes at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.cloudtune_ray.cluster import RAY, Cluster, find_ray


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Cluster]:
    """A head and two nodes."""
    ray = find_ray()
    if ray is None:
        reason = f"Ray is not installed: set {RAY} to its command line"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    cluster = Cluster(ray)
    try:
        cluster.add_node()
        cluster.add_node()
        yield cluster
    finally:
        cluster.close()
