"""Definitions that an import keeps: written back, unless the study has changed since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.study.loader import load

SWEEP = "method: random\nprogram: a.py\nparameters: {{x: {}}}\n"
JOB = (
    "type: sweep\nsampling_algorithm: random\nsearch_space: {{x: {}}}\n"
    "objective: {{goal: maximize, primary_metric: auc}}\nlimits: {{max_total_trials: 10}}\n"
    "trial: {{command: python main.py, environment: e}}\n"
)
AUTOML = (
    "type: automl\ntask: image_classification\nsweep: {{sampling_algorithm: random}}\n"
    "search_space: [{{x: {}}}]\n"
)
KATIB = (
    "apiVersion: kubeflow.org/v1beta1\nkind: Experiment\nspec:\n"
    "  objective: {{type: minimize, objectiveMetricName: loss}}\n"
    "  algorithm: {{algorithmName: random}}\n  parameters:\n"
    "    - {{name: x, parameterType: double, feasibleSpace: {}}}\n"
)


@pytest.mark.parametrize(
    ("text", "definition", "change", "written"),
    [
        (
            SWEEP,
            "{distribution: q_uniform, min: 0, max: 10, q: 3}",
            {"max": 6},
            {"distribution": "q_uniform", "min": 0, "max": 6, "q": 3},
        ),
        (
            SWEEP,
            "{distribution: q_log_uniform_values, min: 1.0, max: 256, q: 8}",
            {"values": [8, 16]},
            {"values": [8, 16]},
        ),
        (SWEEP, "{values: [1, 1, 2]}", {"values": [1, 3]}, {"values": [1, 3]}),
        (
            SWEEP,
            "{values: [1, 2], probabilities: [0.1, 0.9]}",
            {"values": [1, 2, 3]},
            {"values": [1, 2, 3]},
        ),
        (
            JOB,
            "{type: quniform, min_value: 0, max_value: 10, q: 3}",
            {"max": 6},
            {"type": "quniform", "min_value": 0, "max_value": 6, "q": 3},
        ),
        (
            AUTOML,
            "{type: choice, values: [1, 1, 2]}",
            {"values": [1, 3]},
            {"type": "choice", "values": [1, 3]},
        ),
        (
            KATIB,
            '{min: "1", max: "10", step: "3", distribution: logUniform}',
            {"values": [1, 4]},
            {"list": ["1", "4"], "distribution": "logUniform"},
        ),
        (
            "param_space: {{x: {}}}",
            "{qrandint: [3, 17, 4]}",
            {"max": 12},
            {"qrandint": [4, 12, 4]},
        ),
        (
            "config_space: {{x: {}}}",
            "{domain_cls: Ordinal, domain_kwargs: {categories: [1, 4, 9]}}",
            {"values": [1, 4]},
            {
                "domain_cls": "OrdinalNearestNeighbor",
                "domain_kwargs": {"categories": [1, 4], "log_scale": False},
            },
        ),
        (
            "hyperparameters: [{{name: x, {}}}]",
            "type: ordinal, sequence: [s, m, l]",
            {"values": ["s", "l"]},
            {"name": "x", "type": "categorical", "choices": ["s", "l"]},
        ),
    ],
)
def test_a_changed_parameter_is_written(
    text: str, definition: str, change: Any, written: Any, tmp_path: Path
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(text.format(definition), "utf-8")
    imported = importer.read(file)
    (found,), name = imported.studies, imported.format.name
    same = _definition(exporter.write(found.study, name).document)
    assert same != written
    found.data["parameters"]["x"] |= change
    assert _definition(exporter.write(load(found.data), name).document) == written


def _definition(document: dict[str, Any]) -> Any:
    if "hyperparameters" in document:
        (definition,) = document["hyperparameters"]
        return definition
    if "spec" in document:
        (parameter,) = document["spec"]["parameters"]
        return parameter["feasibleSpace"]
    spaces = ("parameters", "search_space", "param_space", "config_space")
    space: Any = next(document[key] for key in spaces if key in document)
    found: Any = space if "x" in space else space[0]
    return found["x"]
