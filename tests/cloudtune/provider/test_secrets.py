"""Values that trials get from the environment stay out of what cloudtune keeps and shows."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

import cloudtune
from cloudtune.errors import UsageError
from cloudtune.provider.secrets import Mask, resolve_secrets
from cloudtune.results.events import Ended
from cloudtune.study.study import Study

STUDY = Study.model_validate(
    {
        "objective": {"metric": "score", "goal": "maximize"},
        "parameters": {"x": {"type": "int", "min": 1, "max": 3}},
        "strategy": "random",
        "limits": {"max_trials": 1},
        "trial": {
            "script": "train.py",
            "env": {"TOKEN": {"from_env": "HF_TOKEN"}, "PIN": {"from_env": "PIN"}, "PLAIN": "1"},
        },
    }
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    monkeypatch.setenv("PIN", "123")


def test_values_are_replaced_by_their_names() -> None:
    end = Ended(1, 0.0, "failed", "bad token hf_verysecret", log_tail="hf_verysecret\nhf_very\n")
    masked = Mask(STUDY).end(end)
    assert masked.reason == "bad token ${HF_TOKEN}"
    assert masked.log_tail == "${HF_TOKEN}\nhf_very\n"


def test_short_values_occur_in_every_text_and_stay() -> None:
    assert Mask(STUDY)("line 123") == "line 123"


def test_a_value_across_the_bound_leaves_no_part_of_it() -> None:
    told = Mask(STUDY)("x" * 1_490 + "hf_verysecret" + "y" * 9_000)
    assert "hf_" not in told
    assert len(told) < 1_600


def test_what_is_not_set_is_named_with_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIN")
    with pytest.raises(UsageError, match=r"PIN \(trial\.env\.PIN\)"):
        resolve_secrets({}, STUDY)


@pytest.mark.parametrize("key", ["Environment", "env"])
def test_only_variables_are_resolved(key: str) -> None:
    request: dict[str, Any] = {
        "job": {key: {"TOKEN": "${HF_TOKEN}", "OTHER": "${HF_TOKEN}", "PLAIN": "1"}},
        "pools": [
            {key: [{"name": "TOKEN", "value": "${HF_TOKEN}"}, {"name": "PIN", "valueFrom": {}}]}
        ],
        "TOKEN": "${HF_TOKEN}",
        "args": ["${HF_TOKEN}"],
        "labels": {key: "${HF_TOKEN}"},
    }
    before = copy.deepcopy(request)
    assert resolve_secrets(request, STUDY, escape=str.upper) == before | {
        "job": {key: {"TOKEN": "HF_VERYSECRET", "OTHER": "${HF_TOKEN}", "PLAIN": "1"}},
        "pools": [
            {key: [{"name": "TOKEN", "value": "HF_VERYSECRET"}, {"name": "PIN", "valueFrom": {}}]}
        ],
    }
    assert request == before


def test_an_empty_value_is_refused_where_the_service_rejects_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIN", "")
    assert resolve_secrets({"env": {"PIN": "${PIN}"}}, STUDY) == {"env": {"PIN": ""}}
    with pytest.raises(UsageError, match=r"rejects: PIN \(trial\.env\.PIN\)"):
        resolve_secrets({}, STUDY, allow_empty=False)


def test_a_script_that_prints_its_secret_and_fails_leaves_it_in_its_log_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    script = "import os, sys\nsys.exit('no such user: ' + os.environ['TOKEN'])\n"
    (tmp_path / "train.py").write_text(script, "utf-8")
    (result,) = cloudtune.run(STUDY).results().jobs
    (trial,) = result.trials
    assert trial.log_tail == "no such user: ${HF_TOKEN}"
    assert trial.log is not None
    having = [
        path
        for path in (tmp_path / "state").rglob("*")
        if path.is_file() and b"hf_verysecret" in path.read_bytes()
    ]
    assert having == [Path(trial.log)]
