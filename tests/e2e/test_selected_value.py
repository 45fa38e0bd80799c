"""The value of a local trial whose best measurement is not its last.

`cloudtune.testing.emulated_run_contract` has the same test for each service and mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import cloudtune
from cloudtune.study.study import Study

REPORTED = """\
from cloudtune.trial import report
for step, value in enumerate((1, -0.5, 0.33), 1):
    report(accuracy=value, step=step)
"""
PRINTED = """\
for value in (1, -0.5, 0.33):
    print(f"accuracy={value}")
"""


@pytest.mark.parametrize("script", [REPORTED, PRINTED])
@pytest.mark.parametrize(
    ("objective", "value"),
    [
        ({"select": "last", "goal": "maximize"}, 0.33),
        ({"select": "last", "goal": "minimize"}, 0.33),
        ({"select": "best", "goal": "maximize"}, 1.0),
        ({"select": "best", "goal": "minimize"}, -0.5),
    ],
)
def test_the_study_selects_the_value(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    objective: Mapping[str, str],
    value: float,
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(script, "utf-8")
    study = Study.model_validate(
        {
            "objective": {"metric": "accuracy", **objective},
            "parameters": {"x": {"type": "int", "min": 1, "max": 9}},
            "limits": {"max_trials": 1},
            "trial": {"script": "train.py", "metrics": {"accuracy": r"accuracy=(\S+)"}},
        }
    )
    (trial,) = cloudtune.run(cloudtune.plan(study), show=False).results().trials
    assert trial.objective == (value,)
