"""The emulator, which is based only on IBM's documents, accepts the planned requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune_watson.emulator.deployment_jobs import REQUEST as DEPLOYMENT_JOB
from cloudtune_watson.emulator.rules.search import check
from cloudtune_watson.emulator.search_space import study_of
from cloudtune_watson.emulator.trainings import REQUEST
from cloudtune_watson.emulator.wire import demand

GOLDEN = Path(__file__).parent / "golden"


def requests(backend: str) -> list[Any]:
    """Return the whole requests of a back end, by the names of their files."""
    return [
        pytest.param(request, id=path.stem)
        for path in sorted(GOLDEN.glob(f"{backend}-*.json"))
        if (request := json.loads(path.read_text("utf-8"))["request"])
    ]


@pytest.mark.parametrize("request_", requests("wml"))
def test_the_emulator_accepts_trainings(request_: dict[str, Any]) -> None:
    demand(request_, REQUEST)


@pytest.mark.parametrize("request_", requests("jobs"))
def test_the_emulator_accepts_deployment_jobs(request_: dict[str, Any]) -> None:
    demand(request_, DEPLOYMENT_JOB)


@pytest.mark.parametrize("request_", requests("wmla"))
def test_the_emulator_accepts_searches(request_: dict[str, Any]) -> None:
    check(request_["data"], standalone=False)
    assert study_of(request_["data"]).parameters
