"""Which runs may go on without a plan that was shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune import api
from cloudtune.runs import lifecycle
from cloudtune.runs.shown_plans import UnshownRunError, require_shown_run
from cloudtune.study.study import Study

STUDY = {
    "objective": {"metric": "m", "goal": "minimize"},
    "parameters": {"x": {"type": "float", "min": 0, "max": 10}},
    "strategy": "random",
    "limits": {"max_trials": 2},
    "trial": {"script": "train.py"},
}


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("", "utf-8")


@pytest.mark.parametrize(
    ("provider", "settings", "emulated", "is_free"),
    [
        ("local", {}, False, True),
        ("local", {"prices": {"hour": "1 USD"}}, False, False),
        ("ray", {"address": "http://127.0.0.1:1"}, True, True),
        ("ray", {"address": "http://127.0.0.1:1"}, False, False),
        ("ray", {"address": "http://127.0.0.1:1", "prices": {"hour": "0 USD"}}, False, True),
    ],
)
def test_a_run_goes_on_if_it_costs_nothing_for_certain(
    provider: str, settings: dict[str, object], *, emulated: bool, is_free: bool
) -> None:
    study = Study.model_validate({**STUDY, "providers": {provider: settings}})
    run = lifecycle.create(api.plan(study, [provider], emulate=emulated)).id
    if is_free:
        assert require_shown_run(None) == run
    else:
        with pytest.raises(UnshownRunError, match=f"run {run} may cost money"):
            require_shown_run(run[:4])
