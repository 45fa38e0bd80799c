"""What only SageMaker refuses or does otherwise, each at the field that it concerns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.diagnostics import Finding
from cloudtune.planning import planner
from cloudtune.study.schema import Mode
from cloudtune_sagemaker.outline import outline
from tests.cloudtune_sagemaker import support

BOTH: tuple[Mode, ...] = ("managed", "driven")
MANAGED: tuple[Mode, ...] = ("managed",)
DRIVEN: tuple[Mode, ...] = ("driven",)


HERE = "providers.sagemaker"
CODE = {"script": "train.py"}
ALGORITHM = {"image": None, "algorithm": "trees"}
MACHINES = [f"ml.m5.{size}" for size in ("large", "xlarge", "2xlarge", "4xlarge", "12xlarge")]
BOOL = {"type": "bool"}
FOUR = {"TrainingJobDefinition": {"ResourceConfig": {"InstanceCount": 4}}}


def words(*values: Any) -> dict[str, Any]:
    return {"type": "categorical", "values": list(values)}


def limits(**more: Any) -> dict[str, Any]:
    return {"limits": {"max_trials": 5, "trial_timeout": "10m", **more}}


def inputs(count: int) -> dict[str, Any]:
    return {"trial": {**CODE, "inputs": {f"in{n}": "s3://b/x" for n in range(count)}}}


def variables(count: int) -> dict[str, Any]:
    return {"trial": {**CODE, "env": {f"V{n}": "1" for n in range(count)}}}


def metrics(count: int) -> dict[str, Any]:
    return {"trial": {**CODE, "metrics": {f"m{n}": {} for n in range(count - 1)}}}


def ecr(name: str, account: str = "763104351884", *, region: str = "us-east-1") -> str:
    return f"{account}.dkr.ecr.{region}.amazonaws.com/{name}"


SETTINGS: list[tuple[dict[str, Any], str, str, tuple[Mode, ...]]] = [
    ({"role_arn": None}, "role_arn", "refused", BOTH),
    ({"role_arn": "tuning"}, "role_arn", "refused", BOTH),
    ({"role_arn": "arn:aws:iam::1234:role/tuning"}, "role_arn", "refused", BOTH),
    ({"region": "US East"}, "region", "refused", BOTH),
    ({"region": "us-esat-1"}, "region", "refused", BOTH),
    ({"region": "us-esat-1"}, "image", "refused", ()),
    ({"region": "us-east-9"}, "region", "note", BOTH),
    ({"image": ecr("train:1", region="eu-west-1")}, "image", "refused", BOTH),
    ({"image": ecr("train:1@sha256:" + "a" * 64)}, "image", "refused", ()),
    ({"image": "xgboost"}, "image", "refused", BOTH),
    ({"image": "docker.io/team/train:1"}, "image", "refused", BOTH),
    ({"image": "s3://bucket/image"}, "image", "refused", BOTH),
    ({"image": ecr("linear-learner:1", "382416733822")}, "image", "refused", BOTH),
    ({"image": ecr("xgboost:1", "811284229777")}, "image", "refused", BOTH),
    ({"image": ecr("xgboost:1", "123456789012")}, "image", "refused", ()),
    ({"image": ecr("sagemaker-xgboost:1.7-1", "683313688378")}, "image", "refused", ()),
    ({"image": ecr("pytorch-inference:2.3-cpu-py311")}, "image", "refused", BOTH),
    ({"image": ecr("pytorch-training:2.3-cpu-py311")}, "image", "refused", ()),
    ({"image": ecr("pytorch-training:1.4-cpu-py36")}, "image", "refused", BOTH),
    ({"image": ecr("mxnet-training:1.4-cpu-py2")}, "image", "refused", BOTH),
    ({"image": ecr("sagemaker-scikit-learn:1.2-1-cpu-py3")}, "image", "refused", ()),
    ({"image": None}, "image", "refused", BOTH),
    ({"image": "a b"}, "image", "refused", BOTH),
    ({"image": "x" * 256}, "image", "refused", BOTH),
    ({"algorithm": "trees"}, "algorithm", "refused", BOTH),
    ({"image": None, "algorithm": "no such!"}, "algorithm", "refused", BOTH),
    ({"framework": {"name": "pytorch", "version": "2"}}, "framework", "dropped", BOTH),
    ({"instance_type": None}, "instance_type", "refused", BOTH),
    ({"instance_type": "m5.large"}, "instance_type", "refused", BOTH),
    ({"instance_type": "ml.m5.lrage"}, "instance_type", "note", BOTH),
    ({"instance_type": [MACHINES[1], MACHINES[1]]}, "instance_type.1", "refused", BOTH),
    ({"instance_type": MACHINES}, "instance_type", "note", MANAGED),
    ({"instance_type": ["ml.m4.2xlarge", "ml.m4.xlarge"]}, "instance_type", "refused", ()),
    ({"instance_type": [*MACHINES, "ml.c5.xlarge"]}, "instance_type", "refused", DRIVEN),
    (
        {"instance_type": [*MACHINES, "ml.c5.xlarge", "ml.c5.2xlarge"]},
        "instance_type",
        "refused",
        BOTH,
    ),
    ({"instance_type": MACHINES[1:3]}, "instance_type", "refused", ()),
    ({"instance_type": MACHINES[1:3], "spot": True}, "instance_type", "refused", DRIVEN),
    ({"instance_count": 2}, "instance_count", "note", BOTH),
    ({"bucket": "s3://bucket"}, "bucket", "refused", BOTH),
    ({"prefix": "x" * 1000}, "prefix", "refused", BOTH),
    ({"max_wait": "1h"}, "max_wait", "dropped", BOTH),
    ({"spot": True, "max_wait": "9m"}, "max_wait", "refused", BOTH),
    ({"keep_alive": "10m"}, "keep_alive", "dropped", MANAGED),
    ({"keep_alive": "10m"}, "keep_alive", "note", DRIVEN),
    ({"keep_alive": "7h"}, "keep_alive", "refused", DRIVEN),
    ({"keep_alive": "10m", "spot": True}, "keep_alive", "refused", DRIVEN),
    ({"spot": True}, "max_wait", "note", BOTH),
    ({"spot": True, "checkpoints": False}, "spot", "note", BOTH),
    ({"retry": 2}, "retry", "note", BOTH),
    ({"kms_key": "no key!"}, "kms_key", "refused", BOTH),
    ({"volume_kms_key": "no key!"}, "volume_kms_key", "refused", BOTH),
    ({"volume_kms_key": "k", "instance_type": "ml.g5.xlarge"}, "volume_kms_key", "refused", BOTH),
    (
        {"volume_kms_key": "k", "instance_type": "ml.p4d.24xlarge"},
        "volume_kms_key",
        "refused",
        BOTH,
    ),
    ({"volume_kms_key": "k", "instance_type": "ml.p3.2xlarge"}, "volume_kms_key", "refused", ()),
    (
        {"volume_kms_key": "k", "instance_type": ["ml.p3.2xlarge", "ml.r5d.large"]},
        "volume_kms_key",
        "refused",
        BOTH,
    ),
    ({"subnets": ["subnet-1"]}, "security_group_ids", "refused", BOTH),
    ({"security_group_ids": ["sg-1"]}, "subnets", "refused", BOTH),
    ({"subnets": ["a b"], "security_group_ids": ["s"]}, "subnets.0", "refused", BOTH),
    ({"tags": {f"k{n}": "v" for n in range(50)}}, "tags", "refused", BOTH),
    ({"tags": {f"k{n}": "v" for n in range(49)}}, "tags", "refused", DRIVEN),
    ({"tags": {"": "v"}}, "tags.", "refused", BOTH),
    ({"tags": {"a!": "v"}}, "tags.a!", "refused", BOTH),
    ({"tags": {"aws:x": "v"}}, "tags.aws:x", "refused", BOTH),
    ({"tags": {"cloudtune:run": "v"}}, "tags.cloudtune:run", "refused", BOTH),
    ({"tags": {"a": "v" * 257}}, "tags.a", "refused", BOTH),
]


@pytest.mark.parametrize(("settings", "path", "kind", "modes"), SETTINGS)
def test_settings(
    settings: dict[str, Any],
    path: str,
    kind: str,
    modes: tuple[Mode, ...],
    base: Path,
) -> None:
    trial = {} if settings.get("algorithm") else CODE
    for mode in BOTH:
        plan = support.plan_of(support.study_of({"trial": trial}, **settings), base, mode)
        assert (kind in plan.at(f"{HERE}.{path}")) == (mode in modes), plan.found


STUDIES: list[tuple[dict[str, Any], str, str, tuple[Mode, ...]]] = [
    ({"parameters": {"sagemaker_x": BOOL}}, "parameters.sagemaker_x", "refused", BOTH),
    ({"constants": {"sagemaker_x": 1}}, "constants.sagemaker_x", "refused", BOTH),
    (
        {"parameters": {"_tuning_objective_metric": BOOL}},
        "parameters._tuning_objective_metric",
        "refused",
        BOTH,
    ),
    ({"constants": {"a": "x" * 2501}}, "constants.a", "refused", BOTH),
    ({"constants": {"a": "x\ny"}}, "constants.a", "refused", BOTH),
    ({"parameters": {"a": words("b", "x" * 257)}}, "parameters.a.values", "refused", MANAGED),
    ({"parameters": {"a": words("b", "x" * 2501)}}, "parameters.a.values", "refused", BOTH),
    ({"parameters": {"a": words("b", "x\ny")}}, "parameters.a.values", "refused", BOTH),
    ({"parameters": {"a": words(1, "1")}}, "parameters.a.values", "refused", BOTH),
    ({"constants": {f"c{n}": n for n in range(95)}}, "parameters", "refused", BOTH),
    ({"constants": {f"c{n}": n for n in range(94)}}, "parameters", "refused", MANAGED),
    ({"parameters": {f"p{n}": BOOL for n in range(31)}}, "parameters", "refused", MANAGED),
    ({"parameters": {"a": words("b")}}, "parameters", "refused", MANAGED),
    (
        {"parameters": {"a": {"type": "float", "min": 0, "max": 0.9, "scale": "reverse_log"}}},
        "parameters.a.scale",
        "approximated",
        MANAGED,
    ),
    (metrics(41), "trial.metrics", "refused", BOTH),
    (metrics(21), "trial.metrics", "note", BOTH),
    (
        {"objective": {"metric": "m" * 256, "goal": "maximize"}},
        "objective.metric",
        "refused",
        BOTH,
    ),
    (
        {"trial": {**CODE, "metrics": {"-" * 240: {}}}},
        "trial.metrics." + "-" * 240,
        "refused",
        BOTH,
    ),
    (inputs(21), "trial.inputs", "refused", BOTH),
    ({"trial": {**CODE, "inputs": {"a b": "s3://b/x"}}}, "trial.inputs.a b", "refused", BOTH),
    ({"trial": {**CODE, "inputs": {"a": "gs://b/x"}}}, "trial.inputs.a", "refused", BOTH),
    ({"trial": {**CODE, "inputs": {"a": {"vertex": "gs://b"}}}}, "trial.inputs.a", "refused", BOTH),
    ({"trial": {**CODE, "inputs": {"a": "nowhere"}}}, "trial.inputs.a", "refused", BOTH),
    (
        {"trial": {**CODE, "inputs": {"a": {"local": "data"}}}},
        "trial.inputs.a",
        "note",
        BOTH,
    ),
    (
        {"trial": {**CODE, "inputs": {"a": {"*": {"uri": "s3://b", "content_type": "x" * 257}}}}},
        "trial.inputs.a",
        "refused",
        BOTH,
    ),
    (variables(49), "trial.env", "refused", MANAGED),
    (variables(101), "trial.env", "refused", BOTH),
    ({"trial": {**CODE, "env": {"A": "x" * 513}}}, "trial.env.A", "refused", BOTH),
    ({"trial": {**CODE, "env": {"A": {"from_env": "NOT_SET"}}}}, "trial.env", "refused", BOTH),
    ({"trial": {**CODE, "env": {"A": {"from_env": "NOT_SET"}}}}, "trial.env.A", "note", BOTH),
    ({"trial": {"script": "other.py"}}, "trial.script", "refused", BOTH),
    ({"trial": {**CODE, "requirements": "none.txt"}}, "trial.requirements", "refused", BOTH),
    ({"trial": {**CODE, "source": {"vertex": "."}}}, "trial.source", "refused", BOTH),
    ({"trial": {**CODE, "resources": {"gpus": 1}}}, "trial.resources.gpus", "dropped", BOTH),
    ({"trial": {"args": ["--fast"]}}, "trial.args", "dropped", BOTH),
    ({"trial": {"arguments": "json"}}, "trial.arguments", "dropped", BOTH),
    ({"trial": {"requirements": "r.txt"}}, "trial.requirements", "dropped", BOTH),
    ({"trial": {"source": "."}}, "trial.source", "dropped", BOTH),
    (
        {"trial": {**CODE, "metrics": {"m" * 256: {}}}},
        "trial.metrics." + "m" * 256,
        "refused",
        BOTH,
    ),
    (
        {"strategy": {"name": "grid", "seed": 1}, "parameters": {"a": BOOL}, "limits": {}},
        "strategy.seed",
        "note",
        MANAGED,
    ),
    ({"trial": {"metrics": {"loss": ["(a)|b", "c(d)"]}}}, "trial.metrics.loss", "dropped", BOTH),
    ({"trial": {"metrics": {"loss": "(a)\\1(?P<value>b)"}}}, "trial.metrics.loss", "refused", BOTH),
    (
        {"trial": {"metrics": {"loss": "x" * 491 + "(abcdefgh)"}}},
        "trial.metrics.loss",
        "refused",
        BOTH,
    ),
    ({"trial": {}}, "objective.metric", "note", BOTH),
    (limits(timeout="1m"), "limits.timeout", "approximated", MANAGED),
    (limits(timeout="31d"), "limits.timeout", "refused", MANAGED),
    (limits(trial_timeout="29d"), "limits.trial_timeout", "refused", BOTH),
    ({"limits": {"max_trials": 3}}, "limits.trial_timeout", "note", BOTH),
    (limits(patience=2), "limits.patience", "approximated", MANAGED),
    (limits(patience=9), "limits.patience", "approximated", MANAGED),
    (limits(parallel_trials=11), "limits.parallel_trials", "note", BOTH),
    (limits(parallel_trials=9), "limits.parallel_trials", "note", BOTH),
    (limits(parallel_trials=8), "limits.parallel_trials", "note", ()),
    (limits(max_trials=751), "limits.max_trials", "refused", MANAGED),
    ({**limits(max_trials=751), "strategy": "random"}, "limits.max_trials", "note", MANAGED),
    ({"limits": {"max_cost": "1 USD"}}, "limits.max_trials", "refused", MANAGED),
    (
        {**limits(max_trials=9), "parameters": {"a": BOOL}},
        "limits.max_trials",
        "approximated",
        MANAGED,
    ),
    (
        {"strategy": "grid", "parameters": {"a": BOOL, "b": BOOL}, "limits": {"max_trials": 3}},
        "limits.max_trials",
        "refused",
        MANAGED,
    ),
    (
        {"strategy": "grid", "parameters": {"a": BOOL, "b": BOOL}, "limits": {"max_trials": 5}},
        "limits.max_trials",
        "note",
        MANAGED,
    ),
    (
        {"strategy": "grid", "parameters": {f"p{n}": BOOL for n in range(10)}, "limits": {}},
        "strategy.name",
        "refused",
        MANAGED,
    ),
    (
        {
            "strategy": "grid",
            "parameters": {"a": BOOL, "b": {**BOOL, "when": {"a": True}}},
            "limits": {},
        },
        "strategy.name",
        "approximated",
        MANAGED,
    ),
    ({"strategy": {"name": "random", "seed": 2**31}}, "strategy.seed", "refused", MANAGED),
    ({"strategy": {"name": "bayesian", "seed": 7}}, "strategy.seed", "note", MANAGED),
    (
        {"strategy": {"name": "hyperband", "max": 20_001}},
        "strategy.max",
        "refused",
        MANAGED,
    ),
    (
        {"strategy": {"name": "hyperband", "max": 9, "eta": 3}},
        "strategy.eta",
        "dropped",
        MANAGED,
    ),
    ({"strategy": {"name": "hyperband", "max": 9}}, "strategy.max", "note", MANAGED),
    (
        {"strategy": {"name": "hyperband", "max": 9, "resource": "epochs"}},
        "strategy.resource",
        "approximated",
        MANAGED,
    ),
    (
        {"strategy": {"name": "hyperband", "max": 9, "resource": "sagemaker_x"}},
        "strategy.resource",
        "refused",
        BOTH,
    ),
    (
        {"early_stopping": {"rule": "auto", "interval": 2}},
        "early_stopping.interval",
        "dropped",
        MANAGED,
    ),
    ({"warm_start": {"from": "vertex:older"}}, "warm_start.from", "refused", MANAGED),
    (
        {
            "parameters": {
                "root": words("a", "b"),
                "c": {"type": "int", "min": 1, "max": 9},
                "d": {**BOOL, "when": {"root": "a"}},
            }
        },
        "parameters.root",
        "note",
        MANAGED,
    ),
]


@pytest.mark.parametrize(("over", "path", "kind", "modes"), STUDIES)
def test_studies(
    over: dict[str, Any], path: str, kind: str, modes: tuple[Mode, ...], base: Path
) -> None:
    for mode in BOTH:
        plan = support.plan_of(support.study_of(over), base, mode)
        assert (kind in plan.at(path)) == (mode in modes), (mode, plan.found)


def test_a_plain_study_has_no_finding(base: Path) -> None:
    for mode in BOTH:
        assert support.plan_of(support.study_of(), base, mode).findings == []


def test_all_findings_are_reported_together(base: Path) -> None:
    study = support.study_of(
        {"constants": {"sagemaker_x": 1}, "limits": {"max_trials": 751, "timeout": "40d"}},
        role_arn="me",
        tags={"aws:x": "1"},
    )
    refused = {f.path for f in support.plan_of(study, base).findings if f.kind == "refused"}
    assert refused == {
        "constants.sagemaker_x",
        "limits.max_trials",
        "limits.timeout",
        f"{HERE}.role_arn",
        f"{HERE}.tags.aws:x",
    }


def test_the_limits_themselves_are_valid(base: Path) -> None:
    study = support.study_of(
        {
            "parameters": {
                "a": words("x" * 256, *(f"v{n}" for n in range(29))),
                **{f"p{n}": BOOL for n in range(29)},
            },
            "constants": {"long": "x" * 2500, **{f"c{n}": n for n in range(63)}},
            "limits": {
                "max_trials": 750,
                "parallel_trials": 10,
                "timeout": "30d",
                "trial_timeout": "28d",
            },
            "trial": {
                **CODE,
                "metrics": {f"m{n}": {} for n in range(19)},
                "env": {f"V{n}": "x" * 512 for n in range(48)},
                "inputs": {f"in{n}": "s3://b/x" for n in range(20)},
            },
        },
        tags={f"k{n}": "v" * 256 for n in range(48)},
    )
    for mode in BOTH:
        assert support.plan_of(study, base, mode).findings == []


def test_an_algorithm_takes_no_code_and_no_regexes(base: Path) -> None:
    trial = {**CODE, "metrics": {"accuracy": "(a)"}}
    plan = support.plan_of(support.study_of({"trial": trial}, **ALGORITHM), base)
    assert plan.at("trial.script") == ["refused"]
    plan = support.plan_of(
        support.study_of({"trial": {"metrics": trial["metrics"]}}, **ALGORITHM), base
    )
    assert plan.at("trial.metrics.accuracy") == ["dropped"]
    assert "MetricDefinitions" not in str(plan.request)


@pytest.mark.parametrize(
    ("bounds", "scaling"),
    [
        ({"min": 0, "max": 1, "step": 0.01}, "Linear"),
        ({"min": 0, "max": 1}, "Linear"),
        ({"min": 0.001, "max": 0.9, "step": 0.001}, "ReverseLogarithmic"),
        ({"min": 0.001, "max": 0.9}, "ReverseLogarithmic"),
    ],
)
@pytest.mark.parametrize("conditional", [False, True])
def test_reverse_log_is_checked_as_it_is_sent(
    bounds: dict[str, float], scaling: str, conditional: bool, base: Path
) -> None:
    rate = {"type": "float", "scale": "reverse_log", **bounds}
    parameters: dict[str, Any] = {"rate": rate}
    if conditional:  # flattened, and the second definition has another name there
        other = {"type": "int", "min": 1, "max": 9, "when": {"kind": "a"}}
        parameters = {
            "kind": words("a", "b"),
            "kind2": words("a", "b"),
            "rate": [other, {**rate, "when": {"kind2": "b", "kind": "b"}}],
        }
    plan = support.plan_of(support.study_of({"parameters": parameters}), base)
    (sent,) = plan.request["HyperParameterTuningJobConfig"]["ParameterRanges"][
        "ContinuousParameterRanges"
    ]
    assert sent["ScalingType"] == scaling
    path = "parameters.rate.1" if conditional else "parameters.rate"
    assert plan.at(f"{path}.scale") == ["approximated"]
    assert ("linear is used" in plan.said(f"{path}.scale")) == (scaling == "Linear")
    assert ("dropped" in plan.at(f"{path}.step")) == ("step" in bounds)


def test_an_image_has_at_least_the_python_of_the_script(base: Path) -> None:
    def refusals(tag: str) -> list[str]:
        study = support.study_of(image=ecr(f"pytorch-training:{tag}"))
        plan = support.plan_of(study, base)
        return [f.reason for f in plan.found if isinstance(f, Finding) and f.path == path]

    path = f"{HERE}.image"
    assert refusals("1.13-cpu-py39") == []
    (base / "train.py").write_text("match 1:\n    case _:\n        pass\n")
    assert "the syntax of train.py needs >=3.10" in refusals("1.13-cpu-py39")[0]
    assert refusals("2.0-cpu-py310") == []
    (base / "pyproject.toml").write_text("[project]\nrequires-python = '>=3.11,<3.14'\n")
    needs = "the image has Python 3.10, and requires-python in pyproject.toml, line 2 needs >=3.11"
    assert refusals("2.0-cpu-py310")[0].startswith(needs)
    assert "needs >=3.11,<3.14" in refusals("2.9-cpu-py314")[0]
    assert refusals("2.3-cpu-py311") == []


def test_the_quotas_have_their_names(base: Path) -> None:
    over = {"limits": {"max_trials": 20, "parallel_trials": 9, "trial_timeout": "10m"}}
    plan = support.plan_of(support.study_of(over, spot=True), base)
    assert "'ml.m5.large for spot training job usage'" in plan.said("limits.parallel_trials")
    scarce = support.study_of(instance_type="ml.g5.xlarge")
    assert "'ml.g5.xlarge for training job usage'" in (
        support.plan_of(scarce, base).said("limits.parallel_trials")
    )


def test_an_algorithm_without_checkpoints_waits_an_hour_at_most(base: Path) -> None:
    for wait, refused in (("1h", False), ("61m", True)):
        study = support.study_of({"trial": {}}, spot=True, max_wait=wait, **ALGORITHM)
        plan = support.plan_of(study, base)
        assert ("refused" in plan.at(f"{HERE}.max_wait")) == refused


def test_code_in_s3_is_started_without_the_launcher(base: Path) -> None:
    elsewhere = {"source": {"sagemaker": "s3://b/code.tar.gz"}}
    trial = {
        **elsewhere,
        **CODE,
        "args": ["--fast"],
        "arguments": "json",
        "requirements": "more.txt",
    }
    constants = {"null": "null", "fine": "fast", "lost": "--", "option": "-x"}
    over = {"trial": trial, "constants": constants}
    plan = support.plan_of(support.study_of(over), base)
    for path in ("trial.args", "trial.arguments", "trial.requirements"):
        assert plan.at(path) == ["dropped"]
    assert plan.at("objective.metric") == ["refused"]
    assert plan.at("constants.null") == plan.at("constants.fine") == []
    static = plan.request["TrainingJobDefinition"]["StaticHyperParameters"]
    assert (static["null"], static["fine"]) == ('"null"', "fast")
    assert plan.at("constants.lost") == plan.at("constants.option") == ["refused"]
    plan = support.plan_of(support.study_of({"trial": {**elsewhere, "module": "train"}}), base)
    assert plan.at("trial.module") == ["refused"]
    plan = support.plan_of(
        support.study_of({"trial": {"source": "https://x/code.zip", **CODE}}), base
    )
    assert plan.at("trial.source") == ["refused"]


def test_without_a_launcher_inactive_parameters_reach_the_code(base: Path) -> None:
    parameters = {
        "a": BOOL,
        "b": {**BOOL, "when": {"a": True}},
        "c": {**BOOL, "when": {"b": True}},
    }
    own = support.plan_of(support.study_of({"parameters": parameters, "trial": {}}), base)
    ours = support.plan_of(support.study_of({"parameters": parameters}), base)
    assert "approximated" in own.at("parameters")
    assert ours.at("parameters") == []


@pytest.mark.parametrize(
    ("train", "extra", "kind"),
    [
        ("s3://b/train", "s3://b/train_extra", ["refused"]),
        ("s3://b/train", "s3://b/train_extra/", ["refused"]),
        ("s3://b/train", "s3://b/other/", ["note"]),
        ("s3://b/train", "s3://b/train/part/", ["note"]),
        ("s3://b/train", "s3://b/train", ["note"]),
        ("s3://b/rows.csv", "s3://b/rows.csv.gz", ["approximated"]),
        ("s3://b/rows.csv", "s3://b/other.csv", []),
        ("s3://b/train/", "s3://b/train_extra/", []),
    ],
)
def test_addresses_that_select_the_files_of_others(
    train: str, extra: str, kind: list[str], base: Path
) -> None:
    trial = {**CODE, "inputs": {"train": train, "extra": extra}}
    for mode in BOTH:
        plan = support.plan_of(support.study_of({"trial": trial}), base, mode)
        assert plan.at("trial.inputs.train") == kind


def test_checkpoints_are_saved_unless_trials_share_them(base: Path) -> None:
    own, ours = support.study_of({"trial": {}}), support.study_of()
    spot = support.study_of(spot=True)
    path = f"{HERE}.checkpoints"
    assert "CheckpointConfig" not in support.plan_of(own, base).request["TrainingJobDefinition"]
    assert "CheckpointConfig" in support.plan_of(own, base, "driven").request
    assert "CheckpointConfig" not in support.plan_of(ours, base).request["TrainingJobDefinition"]
    assert "CheckpointConfig" in support.plan_of(ours, base, "driven").request
    assert "CheckpointConfig" in support.plan_of(spot, base).request["TrainingJobDefinition"]
    assert support.plan_of(spot, base).at(path) == ["note"]
    assert support.plan_of(spot, base, "driven").at(path) == []
    shared = support.plan_of(support.study_of({"trial": {}}, checkpoints=True), base)
    assert shared.at(path) == ["approximated"]
    hyperband = {"strategy": {"name": "hyperband", "max": 9, "resource": "epochs"}}
    without = support.study_of(hyperband, checkpoints=False)
    assert support.plan_of(without, base, "driven").at(path) == ["approximated"]


def test_repeated_steps_are_a_note(base: Path) -> None:
    path = f"{HERE}.spot"
    assert support.plan_of(support.study_of(spot=True), base).at(path) == []
    for over in ({"early_stopping": "auto"}, {"strategy": {"name": "hyperband", "max": 9}}):
        assert support.plan_of(support.study_of(over, spot=True), base).at(path) == ["note"]


def test_unchecked_native_is_a_note(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", nothing)
    plan = support.plan_of(support.study_of(native={"Surprise": 1}), base)
    assert plan.at(f"{HERE}.native") == ["note"]


def test_an_isolated_container_has_one_channel_less(base: Path) -> None:
    plan = support.plan_of(support.study_of(inputs(20), network_isolation=True), base)
    assert plan.at("trial.inputs") == ["refused"]
    taken = {"trial": {**CODE, "inputs": {"code": "s3://b/x/"}}}
    plan = support.plan_of(support.study_of(taken, network_isolation=True), base)
    assert plan.at("trial.inputs.code") == ["refused"]


def test_variables_count_once_for_each_definition(base: Path) -> None:
    over = {
        **variables(17),
        "parameters": {
            "root": words("a", "b", "c"),
            "x": BOOL,
            "y": {**BOOL, "when": {"root": "a"}},
        },
    }
    assert support.plan_of(support.study_of(over), base).at("trial.env") == ["refused"]
    over |= variables(16)
    assert support.plan_of(support.study_of(over), base).at("trial.env") == []


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, ["note"]),
        ({"instance_type": "ml.p3.2xlarge"}, ["refused"]),
        ({"instance_type": "ml.p3.2xlarge", "prices": {"hour": "4 USD"}}, ["note"]),
        ({"prices": {"hour": "4 EUR"}}, ["refused"]),
        ({"native": FOUR}, ["refused"]),
        ({"native": FOUR, "prices": {"hour": "4 USD"}}, ["note"]),
    ],
)
def test_a_budget_needs_a_price_in_its_currency(
    settings: dict[str, Any], kinds: list[str], base: Path
) -> None:
    plan = support.plan_of(support.study_of(limits(max_cost="9 USD"), **settings), base)
    assert plan.at("limits.max_cost") == kinds


def test_a_warm_start_needs_jobs_of_sagemaker(base: Path) -> None:
    over = {"warm_start": {"from": [f"sagemaker:job-{n}" for n in range(6)]}}

    def found(*jobs: str, strategy: str = "bayesian") -> list[str]:
        study = support.study_of({**over, "strategy": strategy})
        plan = support.plan_of(study, base, parent_jobs=jobs)
        return [f.path for f in plan.findings if f.kind == "refused"]

    assert found() == ["warm_start.from"]
    assert found("a", "b", "c", "d", "e") == []
    assert found("a", "b", "c", "d", "e", "f") == ["warm_start.from"]
    assert found("a" * 33) == ["warm_start.from"]
    assert found("a_b") == ["warm_start.from"]
    study = support.study_of(
        {**over, "strategy": "grid", "parameters": {"a": BOOL}, "limits": {"trial_timeout": "1h"}}
    )
    assert "refused" in support.plan_of(study, base, parent_jobs=["a"]).at("warm_start")


def test_the_emulator_needs_no_setting(base: Path) -> None:
    study = support.study_of(region=None, role_arn=None, image=None, instance_type=None)
    for mode in BOTH:
        plan = support.plan_of(study, base, mode, emulated=True)
        assert plan.findings == []
        assert plan.at(HERE) == ["note"]
        assert "{{" not in str(plan.request).replace("{{number}}", "")


@pytest.mark.parametrize(
    ("trial", "settings", "path"),
    [
        ({}, {}, "trial"),
        ({**CODE, "source": {"sagemaker": "s3://b/code.tar.gz"}}, {}, "trial.source"),
        ({**CODE, "inputs": {"train": "s3://b/x"}}, {}, "trial.inputs.train"),
        ({**CODE, "inputs": {"train": "data"}}, {"input_mode": "Pipe"}, f"{HERE}.input_mode"),
        (CODE, {"instance_type": "ml.m5.xxlarge"}, f"{HERE}.instance_type"),
        (CODE, {"instance_count": 2}, f"{HERE}.instance_count"),
    ],
)
def test_emulator_rules(
    trial: dict[str, Any], settings: dict[str, Any], path: str, base: Path
) -> None:
    metrics = {"metrics": {"accuracy": "acc=(.*)"}}
    study = support.study_of({"trial": {**trial, **metrics}}, **settings)
    for mode in BOTH:
        assert "refused" in support.plan_of(study, base, mode, emulated=True).at(path)
        assert "refused" not in support.plan_of(study, base, mode).at(path)


def test_missing_settings_are_findings_and_placeholders(
    base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    study = support.study_of(region=None, role_arn=None, image=None, instance_type=None)
    plan = support.plan_of(study, base)
    for name in ("region", "role_arn", "image", "instance_type"):
        assert plan.at(f"{HERE}.{name}") == ["refused"]
        assert f"{{{{{name}}}}}" in str(plan.request)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with what the studies name."""
    (tmp_path / "train.py").write_text("", "utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("1,2\n", "utf-8")
    return tmp_path


def test_what_sagemaker_chooses_by_autotune_is_a_warning(base: Path) -> None:
    settings: dict[str, Any] = {"mode": "managed", "native": {"Autotune": {"Mode": "Enabled"}}}
    plan = support.plan_of(support.study_of(**settings), base)
    assert "its choices are in no plan" in plan.said(f"{HERE}.native.Autotune")


@pytest.mark.parametrize(
    ("resources", "shown"),
    [
        (
            {
                "InstanceGroups": [
                    {"InstanceGroupName": "a", "InstanceType": "ml.c5.large", "InstanceCount": 2},
                    {"InstanceGroupName": "b", "InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
                ]
            },
            "2 x ml.c5.large and 1 x ml.g5.xlarge",
        ),
        (
            {
                "InstanceCount": 3,
                "InstancePreferences": [
                    {"InstanceType": "ml.c5.large"},
                    {"InstanceType": "ml.m5.large"},
                ],
            },
            "3 x ml.c5.large or ml.m5.large",
        ),
        (
            {
                "InstancePreferences": [
                    {"InstanceType": "ml.c5.large", "InstanceCount": 2},
                    {"InstanceType": "ml.m5.large", "InstanceCount": 1},
                ]
            },
            "2 x ml.c5.large or 1 x ml.m5.large",
        ),
    ],
)
def test_native_machines_are_shown(base: Path, resources: dict[str, Any], shown: str) -> None:
    kept = {"InstanceType": None, "InstanceCount": None, **resources}
    native = {"ResourceConfig": kept}
    study = support.study_of(mode="driven", native=native)
    planned = planner.plan(study, "sagemaker", base=base, emulated=True)
    assert outline(planned)["machine"].startswith(shown)
