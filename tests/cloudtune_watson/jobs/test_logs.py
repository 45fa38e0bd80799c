"""The log of a deployment job that runs."""

from __future__ import annotations

from typing import Any, cast

import pytest

from cloudtune_watson.jobs.client import RuntimeClient
from cloudtune_watson.jobs.logs import read_job_log


class Runtime:
    """A runtime with two jobs of one name, and one without a run."""

    def list_deployments(self, name: str) -> list[Any]:
        return [{"metadata": {"id": "d"}}] if name == "run" else []

    def list_jobs(self, _deployment: str) -> list[Any]:
        jobs = (("1", "run-1"), ("2", "run-1"), ("3", "run-2"))
        return [{"metadata": {"id": id_, "name": name}} for id_, name in jobs]

    def job_log(self, described: Any) -> list[str] | None:
        id_ = described["metadata"]["id"]
        return None if id_ == "3" else [f"log of {id_}"]


@pytest.mark.parametrize(
    ("deployment", "name", "lines"),
    [
        ("run", "run-1", ["log of 1"]),
        ("run", "run-2", None),
        ("run", "run-9", None),
        ("run", None, None),
        ("gone", "run-1", None),
    ],
)
def test_the_oldest_job_of_a_name_is_read(
    deployment: str, name: str | None, lines: list[str] | None
) -> None:
    found = read_job_log(cast("RuntimeClient", Runtime()), deployment, name)
    assert (found if found is None else list(found)) == lines
