"""A result with a trial of every kind."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.results.model import Cost, Measurement, StudyResult, Trial
from cloudtune.study.search_space import Value
from cloudtune.study.study import Study

STUDY: dict[str, Any] = {
    "name": "demo",
    "description": "Which is best?",
    "objective": {"metric": "score", "goal": "maximize"},
    "parameters": {
        "x": {"type": "float", "min": 0.001, "max": 1, "scale": "log"},
        "depth": {"type": "int", "min": 2, "max": 9, "step": 3},
        "grid": {"type": "float", "min": 0, "max": 0.95, "step": 0.25},
        "kind": {"type": "categorical", "values": ["true", 1, True]},
        "batch": {"type": "discrete", "values": [16, 32]},
        "extra": [
            {"type": "int", "min": 1, "max": 4, "when": {"batch": 16}},
            {"type": "categorical", "values": ["a", "b"], "when": {"batch": 32}},
        ],
    },
    "constants": {"epochs": 3},
    "limits": {"max_trials": 9},
    "trial": {"script": "train.py"},
}
VALUES: dict[str, Value] = {
    "x": 0.01,
    "depth": 5,
    "grid": 0.5,
    "kind": True,
    "batch": 16,
    "extra": 4,
}


@pytest.fixture(scope="session")
def result() -> StudyResult:
    curve = (
        Measurement(1, {"score": 0.25, "loss: a/b (c)": 2.0}, 1000.5),
        Measurement(2, {"score": 0.75, "loss: a/b (c)": 1.0}, 1001.0),
    )
    done = Trial(
        "k7-1",
        1,
        "completed",
        VALUES,
        metrics={"score": 0.75, "loss: a/b (c)": 1.0},
        objective=(0.75,),
        measurements=curve,
        created=1000.0,
        started=1000.0,
        ended=1002.0,
        seconds=2.0,
        machine="big",
        cost=Cost(0.5, "USD", "estimated"),
    )
    other: dict[str, Value] = {**VALUES, "kind": "true", "batch": 32, "extra": "b"}
    trials = (
        done,
        Trial("k7-2", 2, "failed", other, started=1000.0, ended=1001.0, reason="it broke"),
        Trial(
            *("k7-3", 3, "stopped_early", VALUES),
            objective=(0.25,),
            measurements=curve[:1],
            started=1000.0,
            ended=1001.0,
        ),
        Trial("k7-4", 4, "cancelled", VALUES, started=1000.0, ended=1001.0, reason="interrupted"),
        Trial("k7-5", 5, "running", VALUES, started=1000.0),
        Trial("k7-6", 6, "pending", VALUES),
        Trial(
            *("k7-7", 7, "completed", VALUES),
            objective=(float("nan"),),
            started=1000.0,
            ended=1001.0,
        ),
    )
    study = Study.model_validate(STUDY)
    return StudyResult(
        run="k7f2",
        provider="local",
        mode="driven",
        emulated=False,
        state="completed",
        reason="",
        study=study,
        study_hash=study.fingerprint(),
        seed=7,
        findings=(),
        trials=trials,
        created=999.0,
        started=999.5,
        ended=1002.0,
    )
