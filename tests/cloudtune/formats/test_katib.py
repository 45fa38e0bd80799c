"""Experiments of Katib: read as studies, and written back with the same meaning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.diagnostics import Finding
from cloudtune.study.loader import load
from tests.cloudtune.formats.foreign_files import ForeignFiles
from tests.document_equality import Equalities

EQUAL = Equalities(
    identities={
        "spec.parameters": "name",
        "spec.objective.metricStrategies": "name",
        "spec.algorithm.algorithmSettings": "name",
        "spec.earlyStopping.algorithmSettings": "name",
        "spec.trialTemplate.trialParameters": "name",
    },
    unordered=("spec.parameters.*.feasibleSpace.list", "spec.objective.additionalMetricNames"),
    numbers=(
        "spec.parameters.*.feasibleSpace.**",
        "spec.objective.goal",
        "spec.*.algorithmSettings.**",
    ),
    defaults={
        # The webhook's: experiment_defaults.go of Katib.
        "apiVersion": ["kubeflow.org/v1beta1"],
        "spec.parallelTrialCount": [3],
        "spec.parameters.*.feasibleSpace.distribution": ["uniform"],
    },
    ignored=(
        # Of the cluster, not of the experiment.
        "status",
        "status.**",
        *(
            f"metadata.{key}"
            for key in ("uid", "resourceVersion", "generation", "creationTimestamp")
        ),
        "metadata.finalizers.**",
        "metadata.annotations.*last-applied-configuration",
    ),
)
FILES = ForeignFiles("katib", EQUAL)
ONE_EACH = [name for name in FILES.names if name != "several.yaml"]


@pytest.mark.parametrize("name", ONE_EACH)
def test_an_experiment_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    assert FILES.round_trip(name, tmp_path) == []


@pytest.mark.parametrize("name", ONE_EACH)
def test_the_comparison_notices_each_change(name: str) -> None:
    missed = FILES.unnoticed(name, ["spec.parallelTrialCount", "apiVersion"])
    assert [each for each in missed if "annotations" not in each[0]] == []


def test_what_an_experiment_becomes() -> None:
    data, findings = FILES.read("strategies.yaml")
    assert data["objective"] == {"metric": "Validation-accuracy", "goal": "maximize"}
    assert data["trial"]["select"] == {"Train-accuracy": "max", "loss": "min"}
    assert data["strategy"] == {"name": "bayesian", "method": "tpe", "seed": 10}
    assert data["limits"] == {"max_trials": 12, "parallel_trials": 3}
    assert data["parameters"]["lr"] == {"type": "float", "min": 1e-5, "max": 0.1, "scale": "log"}
    assert list(data["providers"]) == ["katib"]
    texts = {each.path: str(each) for each in findings}
    assert "the image registry.example.com/mnist:1.2" in texts["spec.trialTemplate"]
    assert "Katib's default 3" in texts["spec.parallelTrialCount"]


def test_types_of_values() -> None:
    data, _ = FILES.read("grid.yaml")
    assert data["parameters"]["batch"] == {"type": "discrete", "values": [16, 32, 64]}
    assert data["parameters"]["optimizer"]["values"] == ["sgd", "no", "true", "007"]
    assert data["parameters"]["bits"]["values"] == [8, 4]
    assert data["limits"]["max_failed_trials"] == 0
    assert data["objective"]["target"] == 0
    assert FILES.read("sobol.yaml")[0]["parameters"]["depth"] == {
        "type": "int",
        "min": 3,
        "max": 10,
    }


@pytest.mark.parametrize(
    ("name", "metric", "line", "value"),
    [
        ("random", "loss", "epoch 1: val_loss=0.5 loss = 1e-3", "1e-3"),
        ("random", "accuracy", "accuracy=.5", ".5"),
        ("collector", "val/loss", '{"metric": "val/loss", "value": -0.25}', "-0.25"),
        ("collector", "acc", "acc: 0.9 in 12 s", "0.9"),
    ],
)
def test_the_collector_becomes_expressions(name: str, metric: str, line: str, value: str) -> None:
    data, _ = FILES.read(f"{name}.yaml")
    found = [re.search(each, line) for each in data["trial"]["metrics"][metric]]
    values = [m["value"] if "value" in m.re.groupindex else m[1] for m in found if m]
    assert values == [value]


def test_other_collectors_are_a_finding_with_what_to_do() -> None:
    data, findings = FILES.read("file-collector.yaml")
    assert "metrics" not in data["trial"] if "trial" in data else True
    (text,) = [str(each) for each in findings if each.path == "spec.metricsCollectorSpec"]
    assert 'cloudtune.trial.report({"accuracy": value})' in text
    assert data["early_stopping"] == {"rule": "median", "min_trials": 1, "min_step": 4}


@pytest.mark.parametrize("name", ["collector", "file-collector"])
def test_edited_metrics_replace_the_collector_of_the_file(name: str) -> None:
    data, _ = FILES.read(f"{name}.yaml")
    metric = data["objective"]["metric"]
    metrics = {metric: [rf"{metric} is (\d+)"]}
    trial = {"script": "train.py", "metrics": metrics}
    exported = exporter.write(load({**data, "trial": trial}), "katib")
    collector = exported.document["spec"]["metricsCollectorSpec"]
    assert collector["source"]["filter"]["metricsFormat"] == [rf"({metric}) is (\d+)"]
    assert collector["collector"] == {"kind": "StdOut"}
    path = "providers.katib.native.spec.metricsCollectorSpec"
    assert [each.path for each in exported.findings].count(path) == 1


def test_the_resource_of_hyperband_is_no_parameter() -> None:
    data, _ = FILES.read("hyperband.yaml")
    assert list(data["parameters"]) == ["lr"]
    assert data["strategy"] == {
        "name": "hyperband",
        "resource": "num-epochs",
        "eta": 3,
        "max": 9,
        "min": 1,
    }


def test_several_experiments_are_several_studies() -> None:
    imported = importer.read(FILES.folder / "several.yaml")
    assert [each.name for each in imported.studies] == ["first", "second"]
    assert importer.read(FILES.folder / "several.yaml", definition="second").studies[0].data[
        "limits"
    ] == {"max_trials": 4, "parallel_trials": 3}


BASE = """
apiVersion: kubeflow.org/v1beta1
kind: Experiment
spec:
  objective: {type: minimize, objectiveMetricName: loss}
  algorithm: {algorithmName: random}
  parameters:
    - {name: lr, parameterType: double, feasibleSpace: {min: "0.1", max: "1"}}
"""


def test_default_strategies_of_metrics_follow_the_goal(tmp_path: Path) -> None:
    strategies = "metricStrategies: [{name: loss, value: min}, {name: time, value: latest}]"
    names = f"additionalMetricNames: [time], {strategies}"
    text = BASE.replace("Name: loss}", f"Name: loss, {names}}}")
    (found,) = FILES.read_text(text, tmp_path).studies
    written = exporter.write(found.study, "katib").document["spec"]
    assert written["objective"]["metricStrategies"] == [
        {"name": "loss", "value": "min"},
        {"name": "time", "value": "latest"},
    ]
    found.data["objective"]["goal"] = "maximize"
    written = exporter.write(load(found.data), "katib").document["spec"]
    assert written["objective"]["metricStrategies"][0] == {"name": "loss", "value": "max"}


def test_an_experiment_without_a_template_stays_without_one(tmp_path: Path) -> None:
    (found,) = FILES.read_text(BASE, tmp_path).studies
    exported = exporter.write(found.study, "katib")
    assert "trialTemplate" not in exported.document["spec"]
    assert any("Katib needs a trialSpec" in str(each) for each in exported.findings)


@pytest.mark.parametrize(
    ("old", "new", "path", "reason"),
    [
        ("Name: random", "Name: pbt", "spec.algorithm.algorithmName", "no algorithm pbt"),
        ("Name: random", "Name: darts", "spec.algorithm.algorithmName", "no algorithm darts"),
        (
            'max: "1"',
            'max: "1", distribution: normal',
            "spec.parameters.0.feasibleSpace.distribution",
            "no normal distributions",
        ),
        (
            "  algorithm:",
            "  nasConfig: {graphConfig: {numLayers: 8}}\n  algorithm:",
            "spec.nasConfig",
            "network architectures",
        ),
        (
            "loss}",
            "loss, metricStrategies: [{name: loss, value: max}]}",
            "spec.objective.metricStrategies",
            "the worst value",
        ),
        (
            "v1beta1\nkind: Experiment",
            "v1alpha1\nkind: StudyJob",
            "kind",
            "rewrite it as an Experiment",
        ),
        (
            "  algorithm:",
            "  earlyStopping: {algorithmName: other}\n  algorithm:",
            "spec.earlyStopping.algorithmName",
            "no rule other",
        ),
    ],
)
def test_refusals_name_the_field(
    old: str, new: str, path: str, reason: str, tmp_path: Path
) -> None:
    assert FILES.refusals(BASE.replace(old, new), reason, tmp_path) == [path]


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("type: minimize", "type: smallest", "spec.objective.type", "minimize or maximize"),
        (
            "{type: minimize, objectiveMetricName: loss}",
            "{type: minimize}",
            "spec.objective.objectiveMetricName",
            "needs a metric",
        ),
        ("{algorithmName: random}", "{}", "spec.algorithm.algorithmName", "needs an algorithm"),
        ('min: "0.1"', "min: low", "spec.parameters.0.feasibleSpace.min", "must be a number"),
        ('min: "0.1", ', "", "spec.parameters.0.feasibleSpace.min", "needs min and max"),
        ('min: "0.1"', 'min: "3"', "spec.parameters.0", "3"),
        ("double", "real", "spec.parameters.0.parameterType", "unknown type"),
        ("parameterType: double, ", "", "spec.parameters.0.parameterType", "is missing"),
        (
            'double, feasibleSpace: {min: "0.1", max: "1"}',
            "discrete, feasibleSpace: {list: [a]}",
            "spec.parameters.0.feasibleSpace.list",
            "must be numbers",
        ),
        ("  parameters:\n    - {", "  parameters: {", "spec.parameters", "must be a list"),
    ],
)
def test_mistakes_name_the_field_and_the_line(
    old: str, new: str, path: str, message: str, tmp_path: Path
) -> None:
    problem, *_ = FILES.mistakes(BASE.replace(old, new), message, tmp_path)
    assert problem.path.startswith(path)
    assert problem.line


@pytest.mark.parametrize(
    ("algorithm", "bounds", "is_listed"),
    [  # as the services of Katib's algorithms draw them: hyperopt's quniform, skopt without a step
        ("tpe", (2, 11, 3), True),
        ("random", (0, 11, 4), True),
        ("random", (0, 12, 4), False),
        ("tpe", (1, 9, 1), False),
        ("grid", (2, 11, 3), False),
        ("bayesianoptimization", (0, 12, 4), True),
    ],
)
def test_a_step_that_an_algorithm_does_not_have(
    algorithm: str, bounds: tuple[int, int, int], is_listed: bool, tmp_path: Path
) -> None:
    space = dict(zip(("min", "max", "step"), map(str, bounds), strict=True))
    text = f"""
apiVersion: kubeflow.org/v1beta1
kind: Experiment
spec:
  objective: {{type: minimize, objectiveMetricName: loss}}
  algorithm: {{algorithmName: {algorithm}}}
  maxTrialCount: 3
  parameters:
    - {{name: x, parameterType: int, feasibleSpace: {space}}}
"""
    imported = FILES.read_text(text, tmp_path)
    paths = [each.path for each in imported.findings if isinstance(each, Finding)]
    assert ("spec.parameters.0.feasibleSpace.step" in paths) == is_listed
    data = imported.studies[0].data
    kept = exporter.write(load(data), "katib").document["spec"]["parameters"]
    assert kept == [{"name": "x", "parameterType": "int", "feasibleSpace": space}]
    del data["providers"]
    (written,) = exporter.write(load(data), "katib").document["spec"]["parameters"]
    assert ("list" in written["feasibleSpace"]) == is_listed
