"""The requests that studies become, held against files, and what files cannot show.

A file in ``golden`` holds a study and what becomes of it in both modes. To add one, write its study
alone; to renew all of them, run

    CLOUDTUNE_RENEW_GOLDEN=1 pytest tests/cloudtune_sagemaker/test_request.py

and read the difference.
"""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider.stored_plan import facts_to_json
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune_sagemaker.request.parameters import definition_names
from tests.cloudtune_sagemaker import support

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
MODES: tuple[Mode, ...] = ("managed", "driven")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with what the studies name."""
    (tmp_path / "train.py").write_text("print('acc=1')\n", "utf-8")
    (tmp_path / "requirements.txt").write_text("", "utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("1,2\n", "utf-8")
    return tmp_path


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_requests_match_the_golden_files(
    file: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = json.loads(file.read_text("utf-8"))
    for name, value in golden.get("environment", {}).items():
        monkeypatch.setenv(name, value)
    made = {mode: _made(golden, base, mode) for mode in MODES}
    if os.environ.get("CLOUDTUNE_RENEW_GOLDEN"):
        file.write_text(
            json.dumps({**golden, **made}, indent=1, ensure_ascii=False) + "\n", "utf-8"
        )
        pytest.skip("renewed")
    for mode in MODES:
        assert made[mode] == golden[mode]
    for secret in golden.get("environment", {}).values():
        assert secret not in file.read_text("utf-8").replace(json.dumps(secret), "", 1)


def _made(golden: dict[str, Any], base: Path, mode: Mode) -> dict[str, Any]:
    plan = support.plan_of(
        Study.model_validate(golden["study"]),
        base,
        mode,
        emulated=golden.get("emulated", False),
        parent_jobs=golden.get("parent_jobs", ()),
    )
    found = [str(item).replace(str(base), "BASE") for item in plan.found]
    text = json.dumps({"found": found, "request": plan.request})
    made: dict[str, Any] = json.loads(re.sub(r"/uploads/[0-9a-f]{32}/", "/uploads/HASH/", text))
    return made


@pytest.mark.parametrize("mode", MODES)
def test_planning_opens_no_connection_and_is_deterministic(
    mode: Mode, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise AssertionError("planning opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    first = support.plan_of(support.study_of(), base, mode)
    second = support.plan_of(support.study_of(), base, mode)
    assert first.request == second.request
    assert first.facts.data == json.loads(json.dumps(first.facts.data))


def test_the_plan_contains_no_secrets(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cr3t-value")
    trial = {"script": "train.py", "env": {"HF_TOKEN": {"from_env": "TOKEN"}}}
    for mode in MODES:
        plan = support.plan_of(support.study_of({"trial": trial}), base, mode)
        everything = json.dumps(
            [plan.request, facts_to_json(plan.facts), [str(f) for f in plan.found]]
        )
        assert "s3cr3t-value" not in everything
        assert "${TOKEN}" in everything


def test_without_a_network_the_code_is_a_channel(base: Path) -> None:
    request = support.plan_of(support.study_of(network_isolation=True), base).request
    definition = request["TrainingJobDefinition"]
    (channel,) = definition["InputDataConfig"]
    static = definition["StaticHyperParameters"]
    assert static["sagemaker_submit_directory"] == "/opt/ml/input/data/code/sourcedir.tar.gz"
    assert channel["ChannelName"] == "code"
    uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
    assert uri.startswith("s3://")
    assert uri.endswith("/files/sourcedir.tar.gz")


def test_definitions_have_valid_unique_names(base: Path) -> None:
    values = ["a b", "a-b", "A_B", "ü", "", "x" * 80, "-", 1, True]
    study = support.study_of(
        {
            "parameters": {
                "root": {"type": "categorical", "values": values},
                "other": {"type": "bool"},
                "child": {"type": "int", "min": 1, "max": 4, "when": {"root": ["a b", 1]}},
            }
        }
    )
    plan = support.plan_of(study, base)
    names = [part["DefinitionName"] for part in plan.request["TrainingJobDefinitions"]]
    by_name = definition_names(plan.fitted, {})
    assert list(by_name.values()) == values
    assert list(by_name) == names
    assert len({name.lower() for name in names}) == len(values)
    assert all(0 < len(name) <= 64 for name in names)
    roots = [p["StaticHyperParameters"]["root"] for p in plan.request["TrainingJobDefinitions"]]
    assert roots == [*values[:-2], "1", "True"]


def test_max_trials_is_at_most_the_combinations(base: Path) -> None:
    parameters = {"a": {"type": "bool"}, "b": {"type": "int", "min": 1, "max": 3}}
    plan = support.plan_of(support.study_of({"parameters": parameters}), base)
    limits = plan.request["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert limits["MaxNumberOfTrainingJobs"] == 6
    assert plan.at("limits.max_trials") == ["approximated"]


def test_an_algorithm_with_a_script_and_a_resource_is_refused_without_a_crash(base: Path) -> None:
    study = support.study_of(
        {
            "strategy": {"name": "hyperband", "max": 9, "resource": "epochs"},
            "trial": {"script": "train.py"},
        },
        algorithm="trees",
        image=None,
    )
    plan = support.plan_of(study, base, "driven")
    assert "MetricDefinitions" not in plan.request["AlgorithmSpecification"]
    assert "refused" in plan.at("trial.script")
