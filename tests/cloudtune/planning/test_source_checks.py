"""Links that point out of the source: kept on this machine, refused on services."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cloudtune
from cloudtune.planning.planner import plan
from cloudtune.planning.serialization import restore_plan
from cloudtune.study.study import Study
from tests.providers import TUNERS

STUDY = {
    "objective": {"metric": "loss", "goal": "minimize"},
    "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
    "limits": {"max_trials": 2},
    "trial": {"script": "train.py", "metrics": {"loss": r"loss (\S+)"}},
}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows").write_text("1234")
    (folder / "data").symlink_to("../data")
    (folder / "train.py").write_text("print('loss', len(open('data/rows').read()))")
    monkeypatch.chdir(folder)
    return folder


def test_a_trial_on_this_machine_reads_through_the_link(source: Path) -> None:
    run = cloudtune.run(Study.model_validate(STUDY), show=False)
    assert [trial.objective for trial in run.results().trials] == [(4.0,), (4.0,)]
    assert run.results()["local"].findings == ()


@pytest.mark.parametrize("on", TUNERS)
def test_a_service_refuses_the_link(source: Path, on: str) -> None:
    study = Study.model_validate(STUDY)
    planned = plan(study, on, emulated=True)
    (finding,) = [each for each in planned.refused if each.path == "trial.source"]
    assert finding.reason == (
        f"the link data points outside the source folder, to {source.parent / 'data'}: give that "
        "as an input (trial.inputs), or list the link in .cloudtuneignore"
    )
    assert finding in restore_plan(json.loads(json.dumps(planned.to_json()))).refused
    (source / ".cloudtuneignore").write_text("/data\n")
    assert not [f for f in plan(study, on, emulated=True).refused if f.path == "trial.source"]


@pytest.mark.parametrize("code", [{"script": "train.py"}, {"module": "a.b"}, {"command": ["./a"]}])
def test_code_that_is_at_another_provider_is_not_looked_for_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: dict[str, object]
) -> None:
    monkeypatch.chdir(tmp_path)
    trial = {**code, "source": {"vertex": "gs://bucket/code.tar.gz"}}
    planned = plan(Study.model_validate({**STUDY, "trial": trial}), "local")
    assert [str(each) for each in planned.refused] == [
        "refused trial.source: the code is located only for vertex: give its folder under "
        "trial.source.local"
    ]
    assert planned.facts.source is None
