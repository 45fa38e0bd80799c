from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import cloudtune


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(
        "from cloudtune.trial import params, report\nreport(score=params()['x'])\n", "utf-8"
    )


def study(**limits: object) -> cloudtune.Study:
    return cloudtune.Study.model_validate(
        {
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
            "strategy": "random",
            "limits": {"max_trials": 4, **limits},
            "trial": {"script": "train.py"},
        }
    )


def test_no_module_takes_the_place_of_a_function() -> None:
    code = (
        "import pkgutil, importlib, cloudtune\n"
        "for each in pkgutil.walk_packages(cloudtune.__path__, 'cloudtune.'):\n"
        "    if '__main__' not in each.name and '.testing' not in each.name:\n"
        "        importlib.import_module(each.name)\n"
        "assert all(callable(getattr(cloudtune, name)) for name in cloudtune.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_from_python() -> None:
    made = cloudtune.plan(study())
    assert not made.refused
    run = cloudtune.run(made, show=False)
    assert run.outcomes["local"].state == "completed"
    results = run.results()
    best = results.best
    assert best is not None
    assert best.objective == (max(trial.metrics["score"] for trial in results.trials),)
    assert results["local"].trials == results.trials


def test_start_returns_at_once_and_wait_waits() -> None:
    run = cloudtune.start(study())
    assert run.wait() is run
    assert len(run.results().trials) == 4


def test_what_goes_wrong_apart_is_raised_by_wait(tmp_path: Path) -> None:
    run = cloudtune.start(study())
    run.wait()
    again = cloudtune.Run(run.id)
    assert again.wait().results().best == run.results().best


def test_a_refused_study_raises_every_finding() -> None:
    with pytest.raises(cloudtune.UnsupportedError) as caught:
        cloudtune.run(cloudtune.Study(), show=False)
    paths = {finding.path for finding in caught.value.findings}
    assert {"objective", "parameters", "limits", "trial"} <= paths


def test_a_study_made_in_python_is_checked_as_a_file_is() -> None:
    with pytest.raises(cloudtune.StudyError) as caught:
        cloudtune.Study.model_validate(
            {
                "parameters": {
                    "a": {"type": "int", "min": 3, "max": 1},
                    "b": {"type": "bool", "when": {"c": True}},
                }
            }
        )
    assert len(caught.value.problems) == 2


def test_tables(tmp_path: Path) -> None:
    results = cloudtune.run(study(), show=False).results()
    values = [trial.parameters["x"] for trial in results.trials]
    pytest.importorskip("pandas")
    assert list(results.to_pandas()["parameters.x"]) == values
    pytest.importorskip("polars")
    assert results.to_polars()["parameters.x"].to_list() == values
    results.to_parquet(tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size
