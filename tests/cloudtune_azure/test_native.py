"""Sweep jobs of Azure Machine Learning: read as studies, and written back with the same meaning."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.diagnostics import Finding
from cloudtune.errors import StudyError
from cloudtune.study.loader import apply_overrides, load
from tests.cloudtune.formats.foreign_files import ForeignFiles
from tests.document_equality import Equalities, is_list, is_map

BOUNDS = ("min_value", "max_value", "upper", "q")


def with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Write out what the reference has as default, in its spelling, and logarithms as values."""
    job = copy.deepcopy(document)
    outer = job.get("sweep") if is_map(job.get("sweep")) else job
    assert outer is not None
    algorithm = outer.get("sampling_algorithm")
    if isinstance(algorithm, str):
        outer["sampling_algorithm"] = {"type": algorithm.lower()}
    objective = job.get("objective")
    if is_map(objective) and isinstance(objective.get("goal"), str):
        objective["goal"] = objective["goal"].lower()
    settings = outer.get("sampling_algorithm")
    base = settings.get("logbase") if is_map(settings) else None
    _values(job.get("search_space"), base if isinstance(base, int | float) else math.e)
    return job


def _values(space: Any, base: float) -> None:
    """Replace exponents by values with 9 digits: bounds are equal within 1e-9."""
    if is_list(space):
        for each in space:
            _values(each, base)
    elif is_map(space):
        for key, inner in space.items():
            _values(inner, base)
            is_log = "loguniform" in str(space.get("type"))
            if is_log and key in {"min_value", "max_value"} and isinstance(inner, int | float):
                space[key] = float(f"{base**inner:.9g}")


FILES = ForeignFiles(
    "azure",
    Equalities(
        unordered=("search_space.**.values",),
        numbers=(
            *(f"search_space.**.{key}" for key in BOUNDS),
            *("limits.*", "sweep.limits.*", "*.slack_factor", "*.slack_amount"),
        ),
        defaults={
            "type": ["sweep"],
            "**.slack_factor": [0],
            "**.slack_amount": [0],
        },
    ),
    with_defaults,
)


@pytest.mark.parametrize("name", FILES.names)
def test_a_job_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    assert FILES.round_trip(name, tmp_path) == []


@pytest.mark.parametrize("name", FILES.names)
def test_the_comparison_notices_each_change(name: str) -> None:
    assert FILES.unnoticed(name, ["type", "early_termination.slack_factor"]) == []


def test_exponents_become_values() -> None:
    data, _ = FILES.read("exponents.yaml")
    parameters = data["parameters"]
    assert parameters["lr"] == {"type": "float", "min": 1e-4, "max": 0.1, "scale": "log"}
    assert parameters["decay"]["min"] == pytest.approx(math.exp(-6), rel=1e-12)
    assert parameters["units"] == {"type": "int", "min": 1, "max": 1000, "scale": "log"}
    assert parameters["width"]["values"][:2] == [16, 24]
    assert data["strategy"] == {"name": "random", "method": "sobol", "seed": 0}
    assert data["limits"]["trial_timeout"] == "30m"
    assert "0.0001 to 0.1" in FILES.texts("exponents.yaml")["search_space.lr.min_value"]


@pytest.mark.parametrize("to", [None, "rate"])
def test_a_command_that_passes_a_parameter_that_is_gone_has_a_warning(to: str | None) -> None:
    study = importer.read(FILES.folder / "exponents.yaml").studies[0].study
    left = dict(study.parameters)
    lr = left.pop("lr")
    edited = study.model_copy(update={"parameters": left | ({to: lr} if to else {})})
    path = "providers.azure.native.trial.command"
    assert path not in [each.path for each in exporter.write(study, "azure").findings]
    (found,) = [each for each in exporter.write(edited, "azure").findings if each.path == path]
    assert "uses ${{search_space.lr}}, of a parameter that is gone: remove it" in str(found)


def test_exponents_are_those_of_the_base_of_the_logarithm(tmp_path: Path) -> None:
    parameters = FILES.read("logbase.yaml")[0]["parameters"]
    assert parameters["lr"]["min"] == 1e-4
    assert parameters["lr"]["max"] == pytest.approx(10**-1.5, rel=1e-12)
    assert parameters["units"] == {"type": "int", "min": 10, "max": 1000, "scale": "log"}
    assert "exponents of 10" in FILES.texts("logbase.yaml")["search_space.lr.min_value"]
    assert "the component ./train.yml" in FILES.texts("logbase.yaml")["trial"]
    text = BASE.replace("algorithm: random", "algorithm: {type: random, logbase: 1}")
    with pytest.raises(StudyError, match="logbase: must be e or a number above 0"):
        FILES.read_text(text, tmp_path)


def test_definitions_as_text() -> None:
    data, _ = FILES.read("automl-short.yaml")
    parameters = data["parameters"]
    assert parameters["model_name"]["values"] == ["yolov5", "retinanet_resnet50_fpn"]
    one, other = {"model_name": ["yolov5"]}, {"model_name": ["retinanet_resnet50_fpn"]}
    rate = {"type": "float", "min": 0.0005, "max": 0.02, "when": one}
    assert parameters["learning_rate"] == rate
    steps = {"type": "int", "min": 10, "max": 50, "step": 10, "when": other}
    assert parameters["warmup_steps"] == steps
    assert parameters["min_size"]["values"] == [400, 800]
    assert parameters["epochs"]["values"] == [20]
    parameters["learning_rate"]["max"] = 0.5
    space = exporter.write(load(data), "azure").document["search_space"][0]
    assert space["learning_rate"] == {"type": "uniform", "min_value": 0.0005, "max_value": 0.5}
    assert space["model_size"] == "choice('small', 'large')"


def test_bounds_that_look_like_values_are_a_warning(tmp_path: Path) -> None:
    text = BASE.replace("type: uniform, min_value: 1", "type: loguniform, min_value: 0.001")
    findings = FILES.read_text(text.replace("max_value: 2", "max_value: 0.1"), tmp_path).findings
    (found,) = [each for each in findings if each.path == "search_space.x.min_value"]
    assert "write their natural logarithms" in str(found)


def test_integers() -> None:
    parameters = FILES.read("integers.yaml")[0]["parameters"]
    assert parameters["seed"] == {"type": "int", "min": 0, "max": 9}
    assert parameters["one"] == {"type": "int", "min": 0, "max": 0}
    assert parameters["depth"] == {"type": "int", "min": 2, "max": 12, "step": 2}
    assert parameters["layers"] == {"type": "int", "min": 1, "max": 9}
    assert parameters["heads"] == {"type": "int", "min": 0, "max": 8, "step": 1}
    assert parameters["odd"] == {"type": "int", "min": 0, "max": 9, "step": 3}
    assert parameters["keep"] == {"type": "float", "min": 0.5, "max": 1.0, "step": 0.05}


def test_limits_that_are_absent() -> None:
    data, _ = FILES.read("integers.yaml")
    assert data["limits"] == {"max_trials": 50, "parallel_trials": 50}
    assert "all 50 trials" in FILES.texts("integers.yaml")["limits.max_concurrent_trials"]
    data["limits"]["parallel_trials"] = 5
    limits = exporter.write(load(data), "azure").document["limits"]
    assert limits == {"max_total_trials": 50, "max_concurrent_trials": 5}


def test_values_keep_their_types() -> None:
    parameters = FILES.read("bandit.yaml")[0]["parameters"]
    assert parameters["batch_size"] == {"type": "categorical", "values": [16, 32, 64]}
    assert parameters["cache"] == {"type": "bool"}
    assert parameters["text"]["values"] == ["1", "true", "no"]


def test_policies() -> None:
    assert FILES.read("bandit.yaml")[0]["early_stopping"] == {
        "rule": "bandit",
        "slack": 0.2,
        "min_step": 6,
        "interval": 2,
    }
    amount = FILES.read("bandit-amount.yaml")[0]["early_stopping"]
    assert amount == {"rule": "bandit", "slack_amount": 0.05, "min_step": 0}
    assert "early_stopping" not in FILES.read("truncation.yaml")[0]
    assert "none stops early" in FILES.texts("truncation.yaml")["early_termination.type"]


def test_a_choice_of_maps_has_conditions() -> None:
    parameters = FILES.read("nested.yaml")[0]["parameters"]
    assert parameters["optimizer"]["values"] == ["sgd", "adam"]
    assert parameters["optimizer.momentum"]["when"] == {"optimizer": ["sgd"]}
    assert [each["when"]["optimizer"] for each in parameters["optimizer.lr"]] == [["sgd"], ["adam"]]
    assert parameters["optimizer.amsgrad"]["values"] == [1]
    deep = FILES.read("deep.yaml")[0]["parameters"]
    assert deep["model.head.size"]["when"] == {"model.head": ["max"]}


def test_alternatives_of_automl_depend_on_the_model() -> None:
    data, _ = FILES.read("automl-image.yaml")
    parameters = data["parameters"]
    assert parameters["model_name"]["values"] == ["yolov5", "fasterrcnn_resnet50_fpn"]
    assert parameters["min_size"]["when"] == {"model_name": ["fasterrcnn_resnet50_fpn"]}
    assert data["limits"] == {"max_trials": 10, "parallel_trials": 2, "timeout": "1h"}
    assert data["objective"] == {"metric": "mean_average_precision", "goal": "maximize"}
    assert FILES.read("automl-text.yaml")[0]["limits"]["trial_timeout"] == "30m"


def test_the_code_and_the_metric_are_findings() -> None:
    texts = FILES.texts("hello.yaml")
    assert "the packages of the environment azureml:" in texts["trial.environment"]
    assert 'cloudtune.trial.report({"random_metric": value})' in texts["objective.primary_metric"]


def test_a_study_with_a_script_becomes_a_command() -> None:
    study = load(
        {
            "name": "digits",
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"lr": {"type": "float", "min": 0.1, "max": 1}},
            "constants": {"epochs": 3},
            "trial": {"script": "train.py", "source": "src"},
        }
    )
    exported = exporter.write(study, "azure")
    assert exported.document["trial"] == {
        "code": "src",
        "command": 'python train.py --lr "${{search_space.lr}}" --epochs 3',
    }
    assert any("environment" in str(each) for each in exported.findings)


BASE = """
type: sweep
sampling_algorithm: random
search_space:
  x: {type: uniform, min_value: 1, max_value: 2}
objective: {goal: maximize, primary_metric: auc}
limits: {max_total_trials: 10}
trial: {command: python main.py, environment: "azureml:env@latest"}
"""
AUTOML = """
type: automl
task: image_classification
sweep: {sampling_algorithm: random}
search_space: [{x: {type: uniform, min_value: 1, max_value: 2}}]
"""


@pytest.mark.parametrize(
    ("old", "new", "path", "reason"),
    [
        (
            "type: uniform, min_value: 1, max_value: 2",
            "type: normal, mu: 10, sigma: 3",
            "search_space.x.type",
            "no normal distributions",
        ),
        (
            "type: uniform, min_value: 1, max_value: 2",
            "type: choice, values: [1, null]",
            "search_space.x.values",
            "only strings, numbers and booleans",
        ),
        (
            "type: uniform, min_value: 1, max_value: 2",
            "type: choice, values: [{a: {type: randint, upper: 3}}, {}]",
            "search_space.x.values",
            "need a key",
        ),
        (
            "[{x:",
            "[{y: {type: randint, upper: 3}}, {x:",
            "search_space",
            "no alternative search spaces",
        ),
        (
            "search_space: [{x: {type: uniform, min_value: 1, max_value: 2}}]",
            "",
            "search_space",
            "AutoML chooses the parameters",
        ),
        (
            BASE,
            "type: pipeline\njobs:\n  load: {type: command}\n  tune: {type: sweep}",
            "jobs.tune",
            "a file of its own",
        ),
    ],
)
def test_refusals_name_the_field(
    old: str, new: str, path: str, reason: str, tmp_path: Path
) -> None:
    text = (BASE if old in BASE else AUTOML).replace(old, new)
    assert FILES.refusals(text, reason, tmp_path) == [path]


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("sampling_algorithm: random", "", "sampling_algorithm", "random, grid or bayesian"),
        ("algorithm: random", "algorithm: hyperband", "sampling_algorithm", "must be random"),
        ("goal: maximize", "goal: best", "objective.goal", "minimize or maximize"),
        ("goal: maximize, ", "", "objective.goal", "minimize or maximize"),
        (", primary_metric: auc", "", "objective.primary_metric", "needs a metric"),
        ("type: uniform", "type: gaussian", "search_space.x.type", "unknown expression"),
        ("type: uniform, ", "", "search_space.x.type", "is missing"),
        ("min_value: 1, ", "", "search_space.x.min_value", "needs min_value"),
        (
            "limits:",
            "early_termination: {policy_type: bandit}\nlimits:",
            "early_termination.type",
            "is missing",
        ),
        ("min_value: 1", "min_value: 5", "search_space.x", "greater than max"),
        ("type: uniform", "type: quniform", "search_space.x.q", "needs q"),
        ("max_value: 2", "max_value: 2, q: 0, type: quniform", "search_space.x", "duplicate"),
        ("uniform, min_value: 1, max_value: 2", "randint", "search_space.x.upper", "upper"),
        ("uniform, min_value: 1", "loguniform, min_value: 1e9", "search_space.x", "too large"),
        ("{type: uniform, min_value: 1, max_value: 2}", "0.1", "search_space.x", "fixed value"),
        (
            "limits:",
            "early_termination: {type: bandit}\nlimits:",
            "early_termination.slack_factor",
            "needs slack_factor or slack_amount",
        ),
        (
            "limits:",
            "early_termination: {type: bandit, slack_factor: 1, slack_amount: 1}\nlimits:",
            "early_termination.slack_amount",
            "both set",
        ),
        ("limits: {", "limits: {timeout: -1, ", "limits.timeout", "a time above 0"),
        ("total_trials: 10", "total_trials: ten", "limits.max_total_trials", "a number"),
    ],
)
def test_mistakes_name_the_field_and_the_line(
    old: str, new: str, path: str, message: str, tmp_path: Path
) -> None:
    problem, *_ = FILES.mistakes(BASE.replace(old, new), message, tmp_path)
    assert problem.path.startswith(path) or message == "duplicate"
    assert problem.line or path == "sampling_algorithm"


def test_each_alternative_has_its_own_line(tmp_path: Path) -> None:
    text = """type: automl
task: image_classification
sweep: {sampling_algorithm: grid}
search_space:
  - model_name: {type: choice, values: [a]}
    rate: {type: uniform, min_value: 1, max_value: 2}
  - model_name: {type: choice, values: [b]}
    rate: {type: uniform, min_value: 1, max_value: 3}
"""
    with pytest.raises(StudyError) as caught:
        FILES.read_text(text, tmp_path)
    found = [(each.path, each.line) for each in caught.value.problems]
    assert found == [("search_space.0.rate", 6), ("search_space.1.rate", 8)]


def test_a_job_of_the_rest_api_is_the_same_job(tmp_path: Path) -> None:
    properties = {
        "jobType": "Sweep",
        "displayName": "nine",
        "samplingAlgorithm": {"samplingAlgorithmType": "Random", "rule": "Sobol", "seed": 3},
        "searchSpace": {
            "lr": ["loguniform", [-6.907755278982137, -2.3025850929940455]],
            "n": ["quniform", [2, 8, 2]],
            "kind": ["choice", [[{"name": "a", "x": ["uniform", [0, 1]]}, {"name": "b"}]]],
        },
        "objective": {"goal": "Maximize", "primaryMetric": "auc"},
        "limits": {"maxTotalTrials": 9, "maxConcurrentTrials": 3, "timeout": "PT1H30M"},
        "earlyTermination": {"policyType": "Bandit", "slackFactor": 0.2, "delayEvaluation": 5},
        "trial": {"codeId": "/c/1", "command": "python a.py", "environmentId": "/e/1"},
    }
    text = json.dumps({"name": "job", "properties": properties})
    (found,) = FILES.read_text(text, tmp_path, "job.json").studies
    data = found.data
    assert data["name"] == "nine"
    assert data["strategy"] == {"name": "random", "method": "sobol", "seed": 3}
    assert data["parameters"]["lr"] == {"type": "float", "min": 0.001, "max": 0.1, "scale": "log"}
    assert data["parameters"]["n"] == {"type": "int", "min": 2, "max": 8, "step": 2}
    assert data["parameters"]["kind.x"]["when"] == {"kind": ["a"]}
    assert data["limits"] == {"max_trials": 9, "parallel_trials": 3, "timeout": "1h30m"}
    assert data["early_stopping"] == {"rule": "bandit", "slack": 0.2, "min_step": 5}


def test_values_that_a_shell_may_change_are_a_finding() -> None:
    values: Any = {"type": "categorical", "values": ["`id`", "$HOME", ""]}
    plain: Any = {"type": "categorical", "values": ["a", "b-1"]}
    study = load(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"w": values, "a.b": plain, "c": plain},
            "trial": {"script": "train.py"},
        }
    )
    found = {
        each.path: each.reason
        for each in exporter.write(study, "azure").findings
        if isinstance(each, Finding)
    }
    assert found.keys() == {"parameters.w", "parameters.a.b"}
    assert "AZUREML_SWEEP_w" in found["parameters.w"]


def test_the_command_is_quoted_for_the_shell() -> None:
    study = load(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"lr": {"type": "float", "min": 0.1, "max": 1}},
            "constants": {"note": "two words"},
            "trial": {"script": "my train.py"},
        }
    )
    trial = exporter.write(study, "azure").document["trial"]
    assert trial["command"] == (
        """python 'my train.py' --lr "${{search_space.lr}}" --note 'two words'"""
    )


CODE: dict[str, Any] = {
    "type": "sweep",
    "trial": {
        "code": "src",
        "command": "python main.py --iris-csv ${{inputs.iris_csv}} --epochs ${{ inputs.epochs }} "
        "--C ${{search_space.C}}\n",
        "environment": "azureml:sklearn:1",
    },
    "inputs": {
        "iris_csv": {"type": "uri_file", "path": "https://example.com/iris.csv"},
        "epochs": 3,
    },
    "sampling_algorithm": "random",
    "search_space": {"C": {"type": "uniform", "min_value": 0.5, "max_value": 0.9}},
    "objective": {"goal": "minimize", "primary_metric": "loss"},
    "limits": {"max_total_trials": 2, "max_concurrent_trials": 1},
}


def imported(tmp_path: Path, **trial: Any) -> Any:
    file = tmp_path / "sweep.yaml"
    file.write_text(json.dumps({**CODE, "trial": {**CODE["trial"], **trial}}))
    return importer.read(file)


def test_a_command_that_starts_a_script_becomes_the_trial(tmp_path: Path) -> None:
    found = imported(tmp_path)
    assert found.studies[0].data["trial"] == {
        "script": "main.py",
        "args": ["--iris-csv", "{{inputs.iris_csv}}", "--epochs", "3", "--C", "{{C}}"],
        "source": "src",
        "inputs": {"iris_csv": "https://example.com/iris.csv"},
    }
    exported = exporter.write(found.studies[0].study, "azure")
    job, findings = exported.document, exported.findings
    assert {key: job[key] for key in ("trial", "inputs")} == {
        key: CODE[key] for key in ("trial", "inputs")
    }
    assert not [each for each in findings if isinstance(each, Finding)]
    changed = apply_overrides(found.studies[0].study, ["trial.args=[--iris-csv, x, --C, '{{C}}']"])
    findings = exporter.write(changed, "azure").findings
    assert "trial.args" in {each.path for each in findings if isinstance(each, Finding)}


@pytest.mark.parametrize(
    ("names", "study", "exported"),
    [
        ({}, None, {}),
        ({"display_name": "my sweep"}, "my sweep", {"display_name": "my sweep"}),
        ({"name": "job-7"}, "job-7", {"name": "job-7"}),
        (
            {"name": "job-7", "display_name": "my sweep"},
            "my sweep",
            {"name": "job-7", "display_name": "my sweep"},
        ),
    ],
)
def test_a_study_has_the_name_that_jobs_may_share(
    names: dict[str, str], study: str | None, exported: dict[str, str], tmp_path: Path
) -> None:
    text = json.dumps({**CODE, **names})
    (draft,) = FILES.read_text(text, tmp_path, "job.yaml").studies
    assert draft.data.get("name") == study
    document = exporter.write(load(draft.data), "azure").document
    assert {key: each for key, each in document.items() if "name" in key} == exported
    renamed = exporter.write(load({**draft.data, "name": "ü / 2"}), "azure").document
    assert renamed["display_name"] == "ü / 2"


@pytest.mark.parametrize(
    "trial",
    [
        {"command": "python main.py --C ${{search_space.C}} && echo done"},
        {"command": "python main.py --C ${{search_space.C}} --out ${{outputs.model}}"},
        {"command": "python main.py --C ${{search_space.C}} --home $HOME"},
        {"command": "python main.py"},
        {"command": "./main.sh --C ${{search_space.C}}"},
        {"command": "python main.py --C ${{search_space.C}} ${{inputs.absent}}"},
        {"command": "python main.py 'open --C ${{search_space.C}}"},
        {"code": None},
        {"code": "azureml:code:1"},
    ],
)
def test_a_command_that_does_more_stays_as_it_is(trial: dict[str, Any], tmp_path: Path) -> None:
    found = imported(tmp_path, **trial)
    assert "trial" not in found.studies[0].data
    assert any("to run it elsewhere" in getattr(each, "text", "") for each in found.findings)
