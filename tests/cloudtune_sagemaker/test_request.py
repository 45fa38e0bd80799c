"""Properties of requests; tests/test_golden_requests.py has those of whole studies."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune_sagemaker.request.parameters import definition_names
from tests.cloudtune_sagemaker import support


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with what the studies name."""
    (tmp_path / "train.py").write_text("print('acc=1')\n", "utf-8")
    (tmp_path / "requirements.txt").write_text("", "utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("1,2\n", "utf-8")
    return tmp_path


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
