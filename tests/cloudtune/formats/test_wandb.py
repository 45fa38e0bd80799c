"""Sweeps of Weights & Biases: read as studies, and written back with the same meaning."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.formats.documents import parse_documents
from cloudtune.study.loader import load
from cloudtune.study.search_space import list_values
from tests.cloudtune.formats.foreign_files import ForeignFiles
from tests.document_equality import Equalities, is_map


def with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Write out what the schema of W&B implies, and exponents as values."""
    sweep = copy.deepcopy(document)
    _define(sweep.get("parameters"))
    return sweep


def _define(parameters: Any) -> None:
    for definition in parameters.values() if is_map(parameters) else ():
        if not is_map(definition):
            continue
        _define(definition.get("parameters"))
        numbers = [definition.get("min"), definition.get("max")]
        if "value" in definition:
            definition.setdefault("distribution", "constant")
        elif "values" in definition:
            weighted = "probabilities" in definition
            implied = "categorical_w_probabilities" if weighted else "categorical"
            definition.setdefault("distribution", implied)
        elif numbers != [None, None]:
            whole = all(isinstance(number, int) for number in numbers)
            definition.setdefault("distribution", "int_uniform" if whole else "uniform")
        if str(definition.get("distribution")).startswith("q_"):
            definition.setdefault("q", 1)
        if definition.get("distribution") in {"log_uniform", "inv_log_uniform", "q_log_uniform"}:
            for key in ("min", "max"):
                if isinstance(definition.get(key), int | float):
                    definition[key] = float(f"{math.exp(definition[key]):.9g}")


FILES = ForeignFiles(
    "wandb",
    Equalities(
        identities={"metrics": "name"},
        unordered=("parameters.**.values",),
        numbers=tuple(f"parameters.**.{key}" for key in ("min", "max", "q")),
        defaults={
            "metric.goal": ["minimize"],
            "metrics.*.goal": ["minimize"],
            "early_terminate.eta": [3],
        },
    ),
    with_defaults,
)
IMPLIED = (
    "parameters.**.distribution",
    "metric.goal",
    "metrics.*.goal",
    "parameters.g.min",
    "parameters.m.q",
)


@pytest.mark.parametrize("name", FILES.names)
def test_a_sweep_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    assert FILES.round_trip(name, tmp_path) == []


@pytest.mark.parametrize("name", FILES.names)
def test_the_comparison_notices_each_change(name: str) -> None:
    assert [
        each for each in FILES.unnoticed(name, ()) if each[1] == "changed" or "min" in each[0]
    ] == []
    assert FILES.unnoticed(name, IMPLIED) == []


def test_distributions() -> None:
    parameters = FILES.read("distributions.yaml")[0]["parameters"]
    log = {"type": "float", "scale": "log"}
    assert parameters["a"] == {**log, "min": 1e-4, "max": 0.1} == parameters["b"]
    assert parameters["c"] == {
        **log,
        "min": pytest.approx(math.exp(-5)),
        "max": pytest.approx(math.exp(-1)),
    }
    assert parameters["d"] == {**log, "min": 0.5, "max": 0.99}
    assert parameters["e"] == {"type": "float", "min": 0.0, "max": 1.0, "step": 0.25}
    assert parameters["f"]["values"] == list(range(32, 257, 8))
    assert parameters["g"] == {"type": "int", "min": 1, "max": 1000, "scale": "log"}
    assert parameters["h"] == {"type": "int", "min": 1, "max": 10}
    assert parameters["i"] == {"type": "float", "min": 0, "max": 1}
    assert parameters["j"] == {"type": "categorical", "values": [1, 2.5, "x", True]}
    assert parameters["l"] == {"type": "int", "min": 3, "max": 12, "step": 3}
    assert parameters["m"] == {"type": "int", "min": 2, "max": 10, "step": 1}
    assert FILES.read("distributions.yaml")[0]["constants"] == {"k": 3}


@pytest.mark.parametrize(
    ("method", "bounds", "values"),
    [  # as the package sweeps 0.3.0 draws them
        ("random", "min: 1, max: 10, q: 2", [2, 4, 6, 8, 10]),
        ("random", "min: 16, max: 80, q: 32", [32, 64]),
        ("random", "min: 1, max: 10, q: 3", [0, 3, 6, 9]),
        ("grid", "min: 1, max: 10, q: 3", [1, 4, 7]),
        ("grid", "min: 0, max: 1, q: 0.25", [0, 0.25, 0.5, 0.75]),
        ("grid", "min: 0.1, max: 1, q: 0.1", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
        ("grid", "min: 1, max: 4", [1, 2, 3]),
        ("grid", "min: 1, max: 2", [1]),
    ],
)
def test_the_values_of_a_step(
    method: str, bounds: str, values: list[float], tmp_path: Path
) -> None:
    new = f"x: {{distribution: q_uniform, {bounds}}}"
    text = BASE.replace("x: {min: 1, max: 2}", new).replace("method: random", f"method: {method}")
    (found,) = FILES.read_text(text, tmp_path).studies
    study = load(found.data)
    assert list(list_values(study.parameters["x"][0]) or ()) == values
    (sweep,) = parse_documents(text, "sweep.yaml", "1.1")
    assert exporter.write(study, "wandb").document["parameters"] == sweep.data["parameters"]


def test_a_grid_has_the_upper_bound_of_a_step() -> None:
    study = load(
        {
            "parameters": {"x": {"type": "float", "min": 0, "max": 1, "step": 0.5}},
            "strategy": "grid",
        }
    )
    assert exporter.write(study, "wandb").document["parameters"]["x"] == {"values": [0, 0.5, 1]}


def test_a_distribution_that_is_implied() -> None:
    data = FILES.read("implied.yaml")[0]
    parameters = data["parameters"]
    assert parameters["layers"] == {"type": "int", "min": 1, "max": 3}
    assert parameters["flags"] == {"type": "bool"}
    assert parameters["text"]["values"] == ["1", "true", "no", "0.5"]
    assert data["constants"] == {"seed": 42, "model": "resnet"}
    assert FILES.read("float-bounds.yaml")[0]["parameters"]["a"]["type"] == "float"


def test_what_has_a_default_is_said_aloud() -> None:
    data, _ = FILES.read("distributions.yaml")
    assert data["objective"] == {"metric": "loss", "goal": "minimize"}
    assert "W&B's default minimize" in FILES.texts("distributions.yaml")["metric.goal"]
    assert "objective" not in FILES.read("implied.yaml")[0]
    assert "name the objective" in FILES.texts("implied.yaml")["metric"]


def test_limits_and_targets() -> None:
    data, _ = FILES.read("float-bounds.yaml")
    assert data["limits"] == {"max_trials": 25}
    assert data["objective"] == {"metric": "acc", "goal": "maximize", "target": 0.98}


def test_early_termination_is_halving() -> None:
    early = FILES.read("early.yaml")[0]
    assert early["early_stopping"] == {"rule": "halving", "eta": 2, "min_step": 3}
    backwards = FILES.read("early-backwards.yaml")[0]
    assert backwards["early_stopping"] == {"rule": "halving", "min_step": 3}
    texts = FILES.texts("early-backwards.yaml")
    assert "from step 3" in texts["early_terminate.max_iter"]


@pytest.mark.parametrize(
    ("rule", "stopping"),
    [
        # max_iter with s counts; hyperband_stopping.py of W&B ignores min_iter then
        ({"min_iter": 5, "max_iter": 12, "s": 2, "eta": 2}, {"eta": 2, "min_step": 3}),
        ({"min_iter": 5, "max_iter": 12}, {"min_step": 5}),
        ({"min_iter": 10, "s": 2}, {"min_step": 10}),
    ],
)
def test_early_termination_in_both_ways(
    rule: dict[str, int], stopping: dict[str, int], tmp_path: Path
) -> None:
    block = {"type": "hyperband", **rule}
    text = BASE + f"early_terminate: {json.dumps(block)}\n"
    (found,) = FILES.read_text(text, tmp_path).studies
    assert found.data["early_stopping"] == {"rule": "halving", **stopping}
    assert exporter.write(found.study, "wandb").document["early_terminate"] == block


def test_nested_names_are_joined_by_a_dot() -> None:
    data, _ = FILES.read("nested.yaml")
    assert list(data["parameters"]) == [
        *("optimizer.name", "optimizer.learning_rate", "data.augment", "batch"),
    ]
    assert data["constants"] == {"optimizer.schedule.warmup": 100}


def test_a_change_of_the_study_changes_a_nested_parameter() -> None:
    data, _ = FILES.read("nested.yaml")
    data["parameters"]["optimizer.learning_rate"] |= {"min": 0.25, "max": 0.5}
    parameters = exporter.write(load(data), "wandb").document["parameters"]
    changed = parameters["optimizer"]["parameters"]["learning_rate"]
    assert math.exp(changed["min"]) == pytest.approx(0.25)
    data["parameters"]["optimizer.learning_rate"]["scale"] = "linear"
    parameters = exporter.write(load(data), "wandb").document["parameters"]
    changed = parameters["optimizer"]["parameters"]["learning_rate"]
    assert changed == {"distribution": "uniform", "min": 0.25, "max": 0.5}


def test_a_range_of_one_value_is_a_choice() -> None:
    """The schema of W&B's package `sweeps` refuses a range whose min is not less than its max."""
    data, _ = FILES.read("nested.yaml")
    data["parameters"]["batch"] = {"type": "int", "min": 3, "max": 3}
    assert exporter.write(load(data), "wandb").document["parameters"]["batch"] == {"values": [3]}


def test_yaml_is_that_of_w_and_b() -> None:
    data, _ = FILES.read("text-numbers.yaml")
    parameters = data["parameters"]
    assert parameters["lr"] == {"type": "float", "min": 1e-5, "max": 0.1}
    assert parameters["decay"]["values"] == ["1e-5", "1e-4", 0.001]
    assert parameters["fine"]["values"] == [1e-5, 1e-4]
    assert parameters["answer"] == {"type": "bool"}
    assert "counts once" in FILES.texts("text-numbers.yaml")["parameters.answer.values"]
    assert data["constants"] == {"octal": 8}
    texts = FILES.texts("text-numbers.yaml")
    assert "1e-5 is text in W&B's YAML; write 1.0e-05" in texts["parameters.decay.values"]
    assert "parameters.lr.min" in texts


def test_probabilities_are_a_finding() -> None:
    data, _ = FILES.read("weights.yaml")
    assert data["parameters"]["size"] == {"type": "categorical", "values": [1, 2, 3]}
    texts = FILES.texts("weights.yaml")
    assert "approximated" in texts["parameters.size.probabilities"]
    assert "no lists and maps" in texts["parameters.layers.value"]


def test_a_scheduler_outside() -> None:
    data, _ = FILES.read("custom.yaml")
    assert [each["metric"] for each in data["objective"]] == ["loss", "latency"]
    assert "instead of optuna" in FILES.texts("custom.yaml")["scheduler"]


def test_a_program_that_is_here_is_the_script(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("", "utf-8")
    file = tmp_path / "sweep.yaml"
    file.write_bytes((FILES.folder / "implied.yaml").read_bytes())
    (found,) = importer.read(file).studies
    script = {"script": "src/train.py", "arguments": "assign", "args": ["--epochs", "30"]}
    assert found.data["trial"] == script
    exported = exporter.write(found.study, "wandb").document
    assert FILES.compare(FILES.document("implied.yaml"), exported) == []


def test_a_program_that_is_elsewhere_is_a_finding() -> None:
    data, _ = FILES.read("guide.yaml")
    assert data.get("trial", {}) == {}
    assert data["providers"]["wandb"]["native"]["program"] == "train.py"
    assert "the code is in the program train.py" in FILES.texts("guide.yaml")["program"]
    text = FILES.texts("guide.yaml")["metric.name"]
    assert 'cloudtune.trial.report({"validation_loss": value})' in text


def test_arguments_of_a_study_become_a_command() -> None:
    study = load(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"lr": {"type": "float", "min": 0.1, "max": 1}},
            "constants": {"epochs": 3},
            "trial": {"script": "train.py", "args": ["-v"], "arguments": "json"},
        }
    )
    exported = exporter.write(study, "wandb").document
    assert exported["command"] == ["${env}", "${interpreter}", "${program}", "-v", "${args_json}"]
    assert exported["parameters"]["epochs"] == {"value": 3}


BASE = """
method: random
program: train.py
metric: {name: loss, goal: minimize}
parameters:
  x: {min: 1, max: 2}
"""


def test_a_tag_makes_a_number(tmp_path: Path) -> None:
    new = "x: {values: [!!float 1e-5, !!float 2, !!str 3, 1e-5]}"
    (found,) = FILES.read_text(BASE.replace("x: {min: 1, max: 2}", new), tmp_path).studies
    assert found.data["parameters"]["x"]["values"] == [1e-5, 2.0, "3", "1e-5"]


def test_quoted_numbers_are_meant_as_text(tmp_path: Path) -> None:
    text = BASE.replace("{min: 1, max: 2}", '{values: ["100", "1.5", "-3"]}')
    findings = FILES.read_text(text, tmp_path).findings
    assert [each for each in findings if each.path.startswith("parameters")] == []


def test_a_study_with_a_word_of_a_sweep_is_a_study(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    text = (
        "method: random\nmetric: loss\nparameters:\n  lr: {type: float, min: 0.1, max: 1}\n"
        "limits: {max_trials: 3}\ntrial: {script: train.py}\n"
    )
    study.write_text(text, "utf-8")
    assert importer.foreign_format(study) is None


@pytest.mark.parametrize(
    ("old", "new", "path", "reason"),
    [
        (
            "{min: 1, max: 2}",
            "{distribution: normal, mu: 0, sigma: 1}",
            "parameters.x.distribution",
            "no normal",
        ),
        ("{min: 1, max: 2}", "{distribution: q_beta}", "parameters.x.distribution", "no beta"),
        ("{min: 1, max: 2}", "{values: [1, null]}", "parameters.x.values", "only strings"),
        ("{min: 1, max: 2}", "{values: [[1, 2], [3]]}", "parameters.x.values", "only strings"),
        ("method: random", "method: custom", "method", "a scheduler outside"),
        (
            "method: random",
            "method: custom\nscheduler: {engine: optuna, source: s.py, optimizer: f}",
            "method",
            "a scheduler outside",
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
        ("method: random\n", "", "method", "needs a method"),
        ("method: random", "method: bayesian", "method", "unknown method"),
        ("metric: {name: loss, goal: minimize}", "metric: loss", "metric", "must be a map"),
        (
            "method: random\nprogram: train.py\nmetric: {name: loss, goal: minimize}",
            "method: bayes\nprogram: train.py",
            "metric",
            "bayes needs a metric",
        ),
        ("name: loss, ", "", "metric.name", "needs a name"),
        ("goal: minimize", "goal: min", "metric.goal", "minimize or maximize"),
        (
            "minimize}",
            "minimum}\nearly_terminate: {type: hyperband, min_iter: 3}",
            "metric.goal",
            "minimize or maximize",
        ),
        ("{min: 1, max: 2}", "0.1", "parameters.x", "must be a map"),
        ("{min: 1, max: 2}", "{min: 1}", "parameters.x.max", "needs value"),
        ("{min: 1, max: 2}", "{mu: 1}", "parameters.x.distribution", "need a distribution"),
        ("{min: 1, max: 2}", "{values: []}", "parameters.x.values", "at least one"),
        ("min: 1,", "min: 3,", "parameters.x", "greater than max"),
        (
            "{min: 1, max: 2}",
            "{values: [1, 2], distribution: uniform}",
            "parameters.x.distribution",
            "values has the distribution categorical, not uniform",
        ),
        (
            "{min: 1, max: 2}",
            "{value: 1, distribution: normal}",
            "parameters.x.distribution",
            "value has the distribution constant",
        ),
        ("parameters:\n  x: {min: 1, max: 2}", "", "parameters", "needs parameters"),
        ("\n  x: {min: 1, max: 2}", " [x]", "parameters", "a map of parameters"),
        ("program:", "early_terminate: hyperband\nprogram:", "early_terminate", "must be a map"),
        ("min: 1,", "q: 2, min: 1,", "parameters.x.q", "int_uniform has no step"),
        ("min: 1,", "distribution: gauss, min: 1,", "parameters.x.distribution", "unknown"),
        ("min: 1,", "distribution: constant, min: 1,", "parameters.x.distribution", "does not"),
        (
            "{min: 1, max: 2}",
            "{distribution: log_uniform_values, min: 0, max: 2}",
            "parameters.x",
            "greater than 0",
        ),
        (
            "{min: 1, max: 2}",
            "{distribution: log_uniform, min: 0, max: 2000}",
            "parameters.x.min",
            "too large",
        ),
        (
            "program:",
            "early_terminate: {type: envelope}\nprogram:",
            "early_terminate.type",
            "must be hyperband",
        ),
        (
            "program:",
            "early_terminate: {type: hyperband}\nprogram:",
            "early_terminate.min_iter",
            "needs min_iter",
        ),
        (
            "program:",
            "early_terminate: {type: hyperband, max_iter: 9}\nprogram:",
            "early_terminate.s",
            "needs s",
        ),
        ("program:", "run_cap: 0\nprogram:", "run_cap", "at least 1"),
    ],
)
def test_mistakes_name_the_field_and_the_line(
    old: str, new: str, path: str, message: str, tmp_path: Path
) -> None:
    (problem,) = FILES.mistakes(BASE.replace(old, new), message, tmp_path)
    assert problem.path.startswith(path)
    assert problem.line or path in {"method", "metric", "parameters"}


@pytest.mark.parametrize(("arguments", "is_lost"), [("flags", True), ("json", False)])
def test_values_that_are_maps(arguments: str, is_lost: bool) -> None:
    maps = [{"name": "sgd", "momentum": 0.9}, {"name": "adam"}]
    study = load(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"optimizer": {"type": "categorical", "values": maps}},
            "strategy": "random",
            "trial": {"script": "train.py", "arguments": arguments},
        }
    )
    found = exporter.write(study, "wandb")
    assert found.document["parameters"]["optimizer"] == {"values": maps}
    assert ("parameters.optimizer.values" in {each.path for each in found.findings}) == is_lost
