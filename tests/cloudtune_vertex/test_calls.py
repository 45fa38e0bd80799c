"""How many calls a look at a hundred custom jobs takes: docs/how-it-works.md states it."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from cloudtune.events import Started
from cloudtune.provider import Place
from cloudtune_vertex.training import VertexJobs


def _beside(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fake: Any = _beside("fake_vertex")


def test_a_look_at_a_hundred_jobs(tmp_path: Path) -> None:
    google = fake.FakeGoogle()
    jobs = VertexJobs(google, fake.planned("driven"), Place(tmp_path))
    starts = [
        Started(number, time.time(), {"lr": 0.5, "kind": "true"}, id=jobs.name_of(number, 1))
        for number in range(1, 101)
    ]
    for started in starts:
        jobs.create(started)
        google.change(started.id, "RUNNING")
        google.report(started.id, 1, accuracy=0.5)
    google.calls.clear()
    assert len(jobs.look(starts)) == 100
    assert Counter(google.calls) == {"custom_jobs": 1, "objects": 1, "read": 100}
    google.calls.clear()
    jobs.look(starts)
    assert Counter(google.calls) == {"custom_jobs": 1, "objects": 1}
