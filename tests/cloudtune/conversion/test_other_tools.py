"""A file of a tool that cloudtune does not read says whose it is; refusals come before mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion.exporter import write
from cloudtune.conversion.importer import read
from cloudtune.diagnostics import Note
from cloudtune.errors import ConversionError, StudyError, UsageError
from cloudtune.study.study import Study

TOOLS: dict[str, list[dict[str, Any]]] = {
    "a configuration of Hydra without its Optuna sweeper": [
        {"defaults": ["_self_", {"override hydra/sweeper": "ax"}], "lr": 0.1},
        {"hydra": {"sweeper": {"params": {"lr": "interval(0, 1)"}}}},
    ],
    "an experiment of Determined": [
        {
            "hyperparameters": {"lr": {"type": "log", "minval": -5, "maxval": -1, "base": 10}},
            "searcher": {"name": "adaptive_asha", "metric": "loss"},
        }
    ],
    "an operation of Polyaxon": [
        {"version": 1.1, "kind": "operation", "matrix": {"kind": "random", "params": {}}}
    ],
    "a search space of Keras Tuner": [
        {"space": [{"class_name": "Float", "config": {"name": "lr"}}], "values": {}},
        {"hyperparameters": {"space": [{"class_name": "Int", "config": {}}]}, "run_times": {}},
    ],
    "a pipeline of DVC": [{"stages": {"train": {"cmd": "python train.py", "params": ["lr"]}}}],
    "an experiment of Ax": [
        {"__type": "Experiment", "search_space": {}},
        {"parameters": [{"name": "lr", "type": "range", "bounds": [0, 1]}]},
    ],
    "an experiment of NNI": [
        {"searchSpaceFile": "space.json", "trialCommand": "python train.py", "trialConcurrency": 2},
        {"lr": {"_type": "loguniform", "_value": [0.0001, 0.1]}},
    ],
    "a tuning job of Google's AI Platform": [
        {"trainingInput": {"hyperparameters": {"goal": "MAXIMIZE", "params": []}}}
    ],
}


@pytest.mark.parametrize(
    ("tool", "document"), [(tool, each) for tool, files in TOOLS.items() for each in files]
)
def test_a_file_of_another_tool_is_named(
    tool: str, document: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=f"is {tool}, which cloudtune does not read: ") as caught:
        read(file)
    assert "study" in str(caught.value)
    assert "--from" not in str(caught.value)


def test_an_unknown_file_is_not_called_one_of_the_formats(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": 1}')
    with pytest.raises(UsageError, match=r"if it is one of them, name it with --from; else write"):
        read(tmp_path / "x.json")


def test_an_unknown_format_lists_the_formats_that_exist(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": 1}')
    message = r"no format 'nni'. Formats: azure, .*katib.*, watson$"
    with pytest.raises(UsageError, match=message):
        read(tmp_path / "x.json", source="nni")
    study = Study.model_validate({"parameters": {"x": {"type": "bool"}}})
    with pytest.raises(UsageError, match=message):
        write(study, "nni")


def test_an_export_names_a_missing_command() -> None:
    study = Study.model_validate(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
            "limits": {"max_trials": 2},
            "trial": {"command": ["./train", "{{x}}"]},
        }
    )
    texts = [each.text for each in write(study, "azure").findings if isinstance(each, Note)]
    needs = "a command and an environment in trial and a compute"
    assert any(f"incomplete: Azure needs {needs}; add " in text for text in texts)


NAS: dict[str, Any] = {
    "apiVersion": "kubeflow.org/v1beta1",
    "kind": "Experiment",
    "spec": {
        "objective": {"type": "maximize", "objectiveMetricName": "accuracy"},
        "algorithm": {"algorithmName": "random"},
        "nasConfig": {"operations": []},
    },
}


@pytest.mark.parametrize(
    ("document", "refused", "mistake"),
    [
        (NAS, "spec.nasConfig", ""),
        ({**NAS, "spec": {**NAS["spec"], "maxTrialCount": "x"}}, "spec.nasConfig", "maxTrialCount"),
        (
            {
                "type": "automl",
                "task": "forecasting",
                "primary_metric": "normalized_root_mean_squared_error",
                "limits": {"max_trials": 3},
            },
            "search_space",
            "",
        ),
    ],
)
def test_no_mistake_hides_a_refusal(
    document: dict[str, Any], refused: str, mistake: str, tmp_path: Path
) -> None:
    (tmp_path / "job.yaml").write_text(json.dumps(document))
    with pytest.raises(ConversionError) as caught:
        read(tmp_path / "job.yaml")
    assert [finding.path for finding in caught.value.findings] == [refused]
    text = str(caught.value)
    assert ("it also has mistakes:" in text) == bool(mistake)
    assert text.index(refused) <= text.index(mistake or refused)


@pytest.mark.parametrize(
    ("kind", "low", "high", "is_valid"),
    [
        ("Continuous", "0", "0.99", True),
        ("Continuous", "0.5", "1", False),
        ("Continuous", "-0.1", "0.5", False),
        ("Integer", "0", "5", False),
    ],
)
def test_sagemaker_has_reverse_logarithmic_ranges_only_from_0_to_below_1(
    kind: str, low: str, high: str, is_valid: bool, tmp_path: Path
) -> None:
    scaled = {"Name": "x", "MinValue": low, "MaxValue": high, "ScalingType": "ReverseLogarithmic"}
    config = {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "auc"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1},
        "ParameterRanges": {f"{kind}ParameterRanges": [scaled]},
    }
    file = tmp_path / "job.json"
    file.write_text(
        json.dumps({"HyperParameterTuningJobConfig": config, "TrainingJobDefinition": {}})
    )
    if is_valid:
        assert read(file).studies[0].data["parameters"]["x"]["scale"] == "reverse_log"
    else:
        with pytest.raises(StudyError, match="only for continuous ranges from 0 to below 1"):
            read(file)
