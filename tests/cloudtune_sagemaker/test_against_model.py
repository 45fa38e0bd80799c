"""Every request that is not refused is one that botocore's model and our emulator allow.

botocore checks neither maxima nor patterns nor enums, so the walk through its model is done here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import regex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cloudtune_sagemaker
from cloudtune.errors import StudyError
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune_sagemaker.emulator.rules import training, tuning
from cloudtune_sagemaker.emulator.rules.job import disk_key
from cloudtune_sagemaker.emulator.state import Store
from cloudtune_sagemaker.rules.machines import known_types
from cloudtune_sagemaker.rules.native import check_native
from tests.cloudtune_sagemaker import support

botocore = pytest.importorskip("botocore")
botocore_loaders = pytest.importorskip("botocore.loaders")


TABLE = Path(cloudtune_sagemaker.__file__).parent / "machines.json"
MACHINES = json.loads(TABLE.read_text("utf-8"))
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
MODES: tuple[Mode, ...] = ("managed", "driven")
OPERATIONS = {"managed": "CreateHyperParameterTuningJob", "driven": "CreateTrainingJob"}


@cache
def _model() -> dict[str, Any]:
    model: dict[str, Any] = botocore_loaders.Loader().load_service_model("sagemaker", "service-2")
    return model


def against_model(mode: Mode, request: dict[str, Any]) -> list[str]:
    """Return where a request breaks the model, as trial 12 would send it."""
    sent = json.loads(json.dumps(request).replace("{{number}}", "12"))
    shapes = _model()["shapes"]
    shape = _model()["operations"][OPERATIONS[mode]]["input"]["shape"]
    return list(_broken(shapes, shapes[shape], sent, ""))


def _broken(shapes: Any, shape: Any, value: Any, path: str) -> Iterator[str]:
    kind = shape["type"]
    if not _has_type(value, kind):
        yield f"{path}: {value!r} is no {kind}"
    elif kind == "structure":
        yield from (f"{path}.{key}: unknown" for key in value if key not in shape["members"])
        for key in shape.get("required", ()):
            if key not in value:
                yield f"{path}.{key}: missing"
        for key, member in shape["members"].items():
            if key in value:
                yield from _broken(shapes, shapes[member["shape"]], value[key], f"{path}.{key}")
    elif kind == "list":
        yield from _sized(shape, len(value), path)
        for number, entry in enumerate(value):
            inner = shapes[shape["member"]["shape"]]
            yield from _broken(shapes, inner, entry, f"{path}.{number}")
    elif kind == "map":
        yield from _sized(shape, len(value), path)
        for key, entry in value.items():
            yield from _broken(shapes, shapes[shape["key"]["shape"]], key, f"{path}.{key}")
            yield from _broken(shapes, shapes[shape["value"]["shape"]], entry, f"{path}.{key}")
    elif kind == "string":
        yield from _sized(shape, len(value), path)
        if "enum" in shape and value not in shape["enum"]:
            yield f"{path}: {value!r} is none of {shape['enum'][:5]}"
        if "pattern" in shape and not regex.fullmatch(shape["pattern"], value):
            yield f"{path}: {value!r} is not of the form {shape['pattern']}"
    elif kind in {"integer", "long"}:
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**31:
            yield f"{path}: {value!r} is no whole number of 32 bits"
        else:
            yield from _sized(shape, value, path)
    elif kind in {"float", "double"}:
        if not isinstance(value, int | float) or isinstance(value, bool):
            yield f"{path}: {value!r} is no number"
    elif kind != "boolean":
        yield f"{path}: a {kind}, which this walk does not know"


def _has_type(value: Any, kind: str) -> bool:
    types = {"structure": dict, "map": dict, "list": list, "string": str, "boolean": bool}
    return kind not in types or type(value) is types[kind]


def _sized(shape: Any, size: float, path: str) -> Iterator[str]:
    if size > shape.get("max", size) or size < shape.get("min", size):
        yield f"{path}: {size} is not within {shape.get('min')} to {shape.get('max')}"


def by_the_documentation(request: dict[str, Any]) -> Iterator[str]:
    """Yield what the documentation forbids a tuning job and the model does not say."""
    config = request["HyperParameterTuningJobConfig"]
    one = request.get("TrainingJobDefinition")
    several = request.get("TrainingJobDefinitions", [])
    if bool(one) == bool(several):
        yield "one definition or several"
    parts = [(one, config.get("ParameterRanges"))] if one else []
    parts += [(part, part["HyperParameterRanges"]) for part in several]
    if several and ("ParameterRanges" in config or "HyperParameterTuningJobObjective" in config):
        yield "ranges and objective belong to the definitions"
    for part, ranges in parts:
        names = [entry["Name"] for entries in ranges.values() for entry in entries]
        static = part["StaticHyperParameters"]
        if not 1 <= len(names) <= 30 or len(set(names)) < len(names):
            yield f"{len(names)} names are tuned"
        if len(names) + len(static) + 1 > 100 or set(names) & set(static):
            yield "too many hyperparameters, or one that is tuned and static"
        for entry in (e for k, v in ranges.items() if "Categorical" not in k for e in v):
            if not float(entry["MinValue"]) < float(entry["MaxValue"]):
                yield f"{entry} has one value"
            if entry["ScalingType"] == "Logarithmic" and float(entry["MinValue"]) <= 0:
                yield f"{entry} has no logarithm"
            if entry["ScalingType"] == "ReverseLogarithmic" and not (
                float(entry["MinValue"]) >= 0 and float(entry["MaxValue"]) < 1
            ):
                yield f"{entry} cannot be reversed"
        for entry in ranges.get("CategoricalParameterRanges", []):
            if len(set(entry["Values"])) < len(entry["Values"]):
                yield f"{entry} has a value twice"
        stopping = part["StoppingCondition"]
        spot = part.get("EnableManagedSpotTraining", False)
        wait = stopping.get("MaxWaitTimeInSeconds")
        if (
            spot != (wait is not None)
            or (wait or stopping["MaxRuntimeInSeconds"]) < stopping["MaxRuntimeInSeconds"]
        ):
            yield "a wait is for spot, and no shorter than the run"
        if ("ResourceConfig" in part) == ("HyperParameterTuningResourceConfig" in part):
            yield "one block of machines"
        algorithm = part["AlgorithmSpecification"]
        if ("TrainingImage" in algorithm) == ("AlgorithmName" in algorithm):
            yield "an image or an algorithm"
    strategy, limits = config["Strategy"], config["ResourceLimits"]
    if strategy == "Grid" and (
        "MaxNumberOfTrainingJobs" in limits
        or any(set(ranges) != {"CategoricalParameterRanges"} for _, ranges in parts)
    ):
        yield "a grid takes lists of values and no number"
    if (strategy == "Hyperband") != ("StrategyConfig" in config):
        yield "the configuration of hyperband is hyperband's"
    if strategy == "Hyperband" and config["TrainingJobEarlyStoppingType"] != "Off":
        yield "hyperband stops trials itself"
    if sum(len(part.get("Environment", {})) for part, _ in parts) > 48:
        yield "too many variables"
    if several and (
        "WarmStartConfig" in request or config["TrainingJobEarlyStoppingType"] != "Off"
    ):
        yield "several definitions go with neither warm start nor early stopping"


def demand_emulated(mode: Mode, request: dict[str, Any]) -> None:
    """Hold a request against the emulator's rules, as if its parents and images were there."""
    if mode == "driven":
        training.check(request)
        return
    sent = copy.deepcopy(request)
    sent.pop("WarmStartConfig", None)
    for part in sent.get("TrainingJobDefinitions") or [sent["TrainingJobDefinition"]]:
        algorithm = part["AlgorithmSpecification"]
        if (
            "TrainingImage" in algorithm
            and "sagemaker_program" not in part["StaticHyperParameters"]
        ):
            algorithm["TrainingImage"] = "sagemaker-xgboost:1"  # one with metrics of its own
    tuning.check(sent, "us-east-1", Store())


def test_the_walk_sees_what_botocore_does_not() -> None:
    request = support.plan_of(support.study_of(), Path(__file__).parent).request
    assert not against_model("managed", request)
    request["HyperParameterTuningJobName"] = "a_b c!" * 9
    request["HyperParameterTuningJobConfig"]["Strategy"] = "TPE"
    request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"] = 0
    request["TrainingJobDefinition"]["Surprise"] = 1
    del request["TrainingJobDefinition"]["RoleArn"]
    found = against_model("managed", request)
    for path in ("JobName", "Strategy", "MaxParallelTrainingJobs", "Surprise", "RoleArn"):
        assert any(path in line for line in found)


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_requests_in_files_are_allowed(file: Path) -> None:
    golden = json.loads(file.read_text("utf-8"))
    for mode in MODES:
        if any(line.startswith("refused") for line in golden[mode]["found"]):
            continue
        assert not against_model(mode, golden[mode]["request"])
        demand_emulated(mode, golden[mode]["request"])
        if mode == "managed":
            assert not list(by_the_documentation(golden[mode]["request"]))


_WORDS = st.text(st.sampled_from("abcXYZ0189._-: ü/αλ"), min_size=1, max_size=12)
_NAMES = _WORDS.map(str.strip).filter(bool)
_TAKEN = st.sampled_from(["sagemaker_x", "_tuning_objective_metric"])
_TEXTS = st.sampled_from(["", "true", "1e3", "007", "ü", "a b", "x" * 256, '{"a": 1}'])
_ODD_TEXTS = st.sampled_from(["x" * 257, "y" * 2501, "line\nbreak"]) | st.text(
    st.characters(codec="utf-8"), max_size=8
)
_FLOATS = st.floats(-1e9, 1e9, allow_nan=False).map(lambda x: round(x, 3))


def _range(kind: str, numbers: Any) -> Any:
    @st.composite
    def made(draw: Any) -> dict[str, Any]:
        low, high = sorted([draw(numbers), draw(numbers)])
        scale = draw(st.sampled_from(["linear", "log", "reverse_log", "auto"]))
        if scale == "log" and low <= 0:
            low, high = 1 + abs(low), 1 + abs(low) + abs(high)
        return {"type": kind, "min": low, "max": high, "scale": scale}

    return made()


def _lists(kind: str, values: Any, most: int) -> Any:
    return st.lists(values, min_size=1, max_size=most, unique_by=repr).map(
        lambda made: {"type": kind, "values": sorted(made) if kind == "discrete" else made}
    )


_PARAMETER = st.one_of(
    _range("float", _FLOATS),
    _range("float", st.sampled_from([0.0, 0.5, 0.9, 0.999])),
    _range("int", st.integers(-50, 5000)),
    _lists("discrete", st.integers(-9, 99), 30),
    _lists("categorical", _TEXTS | st.integers(0, 6), 30),
    st.just({"type": "bool"}),
)
_ODD_PARAMETER = st.one_of(
    _lists("discrete", st.floats(0, 9), 35), _lists("categorical", _ODD_TEXTS, 33)
)
_EXPRESSIONS: list[Any] = ["a=(.*)", ["(a+)", "c(a+)"], {}, "(?P<value>b)(c)"]
_TAME: dict[str, Any] = {
    "parameters": st.dictionaries(_NAMES, _PARAMETER, min_size=1, max_size=6),
    "constants": st.dictionaries(_NAMES, _TEXTS | st.booleans() | _FLOATS, max_size=3),
    "strategy": st.sampled_from(["bayesian", "random", "random", "hyperband", "grid"]),
    "seed": st.none() | st.integers(0, 2**31 - 1),
    "limits": st.fixed_dictionaries(
        {"max_trials": st.integers(1, 750)},
        optional={
            "parallel_trials": st.integers(1, 100),
            "timeout": st.sampled_from(["1s", "2h", "30d"]),
            "trial_timeout": st.sampled_from(["0.5s", "1h", "28d"]),
            "patience": st.integers(1, 9),
        },
    ),
    "metric": st.sampled_from(["accuracy", "validation:auc", "a (b) c", "m" * 255]),
    "code": st.booleans(),
    "metrics": st.dictionaries(
        st.sampled_from(["accuracy", "loss", "µ"]),
        st.sampled_from(_EXPRESSIONS),
    ),
    "inputs": st.dictionaries(
        st.sampled_from(["train", "a.b-c_d"]), st.sampled_from(["s3://b/x", "here"]), max_size=2
    ),
    "env": st.dictionaries(st.sampled_from(["A", "B"]), st.sampled_from(["", "x" * 512])),
    "instance_type": st.lists(
        st.sampled_from(["ml.m5.xlarge", "ml.c5.xlarge", "ml.m5.large"]),
        min_size=1,
        max_size=3,
        unique=True,
    ),
    "spot": st.none() | st.just({"spot": True}) | st.just({"spot": True, "max_wait": "28d"}),
    "network": st.none()
    | st.just({"subnets": ["subnet-1"], "security_group_ids": ["sg-1"]})
    | st.just({"network_isolation": True}),
    "others": st.fixed_dictionaries(
        {},
        optional={
            "algorithm": st.none() | st.just("trees"),
            "bucket": st.just("my-bucket"),
            "prefix": st.sampled_from(["", "a/b/", "ü"]),
            "checkpoints": st.booleans(),
            "retry": st.integers(1, 30),
            "kms_key": st.just("alias/x"),
            "tags": st.just({"team": "a b", "ü": ""}),
        },
    ),
}
_WILD: dict[str, Any] = {
    "parameters": st.one_of(
        st.dictionaries(_NAMES | _TAKEN, _PARAMETER | _ODD_PARAMETER, min_size=1, max_size=6),
        st.integers(29, 33).map(lambda n: {f"p{k}": {"type": "bool"} for k in range(n)}),
    ),
    "constants": st.dictionaries(_NAMES | _TAKEN, _ODD_TEXTS, max_size=3)
    | st.integers(85, 100).map(lambda n: {f"c{k}": k for k in range(n)}),
    "strategy": st.just("genetic"),
    "seed": st.integers(2**31 - 2, 2**31 + 2),
    "limits": st.fixed_dictionaries(
        {},
        optional={
            "max_trials": st.sampled_from([749, 750, 751, 10_000, 10_001]),
            "parallel_trials": st.sampled_from([100, 101]),
            "timeout": st.just("31d"),
            "trial_timeout": st.just("29d"),
        },
    ),
    "metric": st.sampled_from(["m" * 256, "µ" * 250, "-" * 240]),
    "metrics": st.dictionaries(
        st.sampled_from(["accuracy", "loss", "m" * 256, "-" * 240]),
        st.sampled_from([["(a)|b", "c(d)"], "x" * 490 + "(abcdefghijkl)", "(a)\\1(?P<value>b)"]),
    )
    | st.integers(38, 42).map(lambda n: {f"m{k}": "a=(.*)" for k in range(n)}),
    "inputs": st.dictionaries(
        _NAMES, st.sampled_from(["gs://b/x", "s3://" + "x" * 1030, "nowhere"]), max_size=3
    )
    | st.integers(18, 21).map(lambda n: {f"in{k}": "s3://b/x" for k in range(n)}),
    "env": st.just({"A": "x" * 513})
    | st.integers(15, 101).map(lambda n: {f"V{k}": "1" for k in range(n)}),
    "instance_type": st.lists(
        st.sampled_from(["ml.m5.xlarge", "m5", *sorted(known_types())[:7]]), min_size=1, max_size=8
    ),
    "spot": st.sampled_from([{"max_wait": "1h"}, {"spot": True, "max_wait": "1s"}]),
    "network": st.sampled_from(
        [
            {"subnets": ["subnet-1"]},
            {"security_group_ids": ["sg-1"]},
            {"subnets": ["a b"], "security_group_ids": ["s" * 33]},
        ]
    ),
    "others": st.fixed_dictionaries(
        {},
        optional={
            "algorithm": st.sampled_from(["no such!", "x" * 64]),
            "image": st.sampled_from(["x" * 255, "x" * 256]),
            "role_arn": st.sampled_from(["me", "arn:aws:iam::1:role/x"]),
            "bucket": st.sampled_from(["s3://bucket", "B"]),
            "prefix": st.integers(900, 1030).map(lambda n: "x" * n),
            "kms_key": st.just("no key!"),
            "tags": st.dictionaries(_ODD_TEXTS, _ODD_TEXTS, max_size=3)
            | st.integers(46, 51).map(lambda n: {f"k{k}": "v" for k in range(n)}),
        },
    ),
}


@st.composite
def _studies(draw: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw a study and settings in which at most one thing is odd."""
    odd = draw(st.none() | st.sampled_from(sorted(_WILD)))
    part = {
        name: draw(_WILD[name] if name == odd and name in _WILD else tame)
        for name, tame in _TAME.items()
    }
    parameters = part["parameters"]
    if draw(st.booleans()) and "root" not in parameters:
        parameters = {
            "root": {"type": "bool"},
            **{
                name: {**parameter, "when": {"root": bool(index % 2)}}
                for index, (name, parameter) in enumerate(parameters.items())
            },
        }
    strategy: dict[str, Any] = {"name": part["strategy"]} | (
        {"seed": part["seed"]} if part["seed"] else {}
    )
    if part["strategy"] == "hyperband":
        strategy |= draw(
            st.sampled_from([{"max": 9}, {"max": 20_001}, {"max": 9, "resource": "e"}])
        )
    over: dict[str, Any] = {
        "objective": {"metric": part["metric"], "goal": "minimize"},
        "parameters": parameters,
        "constants": {k: v for k, v in part["constants"].items() if k not in parameters},
        "strategy": strategy,
        "limits": part["limits"],
        "trial": {
            **({"script": "train.py"} if part["code"] else {}),
            **{name: part[name] for name in ("metrics", "inputs", "env")},
        },
    }
    here: dict[str, Any] = {
        "instance_type": part["instance_type"],
        **(part["spot"] or {}),
        **(part["network"] or {}),
        **part["others"],
    }
    if here.get("algorithm"):
        here["image"] = None
    return over, here


@pytest.mark.slow
@given(drawn=_studies())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_requests_of_any_study_are_allowed_or_refused(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    base = tmp_path_factory.getbasetemp() / "any-study"
    (base / "here").mkdir(exist_ok=True, parents=True)
    (base / "here" / "rows.csv").write_text("1", "utf-8")
    (base / "train.py").write_text("", "utf-8")
    over, here = drawn
    try:
        study: Study = support.study_of(over, **here)
    except StudyError:
        return
    for mode in MODES:
        plan = support.plan_of(study, base, mode)
        if any(finding.kind == "refused" for finding in plan.findings):
            continue
        assert not against_model(mode, plan.request)
        demand_emulated(mode, plan.request)
        if mode == "managed":
            assert not list(by_the_documentation(plan.request))


def test_known_types_are_those_of_the_model() -> None:
    model = set(_model()["shapes"]["TrainingInstanceType"]["enum"])
    version = MACHINES["source"].partition(",")[0]
    if version == f"botocore {botocore.__version__}":
        assert known_types() == model
    else:
        assert known_types() <= model


def test_the_emulator_has_the_local_disks_of_the_table() -> None:
    families = set(MACHINES["local_storage"]["families"].split())
    key = {"VolumeKmsKeyId": "k"}
    refused = {
        name.split(".")[1]
        for name in known_types()
        if list(disk_key({"ResourceConfig": {"InstanceType": name, **key}}))
    }
    assert refused == families, "emulator/rules/job.py and machines.json differ"


@pytest.mark.parametrize(
    ("mode", "native", "where"),
    [
        ("managed", {"TrainingJobDefinition": {"Surprise": 1}}, "TrainingJobDefinition.Surprise"),
        ("managed", {"Autotune": {"Mode": "On"}}, "Autotune.Mode"),
        ("managed", {"Tags": [{"Key": 1}]}, "Tags.0.Key"),
        (
            "managed",
            {"HyperParameterTuningJobConfig": {"RandomSeed": True}},
            "HyperParameterTuningJobConfig.RandomSeed",
        ),
        (
            "managed",
            {"HyperParameterTuningJobConfig": {"ResourceLimits": {"MaxParallelTrainingJobs": 0}}},
            "HyperParameterTuningJobConfig.ResourceLimits.MaxParallelTrainingJobs",
        ),
        ("driven", {"RoleArn": "x" * 30}, "RoleArn"),
        ("driven", {"HyperParameters": {"a": "x" * 2501}}, "HyperParameters.a"),
        ("driven", {"HyperParameters": []}, "HyperParameters"),
    ],
)
def test_native_is_checked_against_the_model(mode: Mode, native: Any, where: str) -> None:
    (found,) = check_native(mode, native)
    assert found[0] == where
    assert found[1]


def test_native_may_be_a_part_and_may_remove() -> None:
    assert not check_native("managed", {"Autotune": {"Mode": "Enabled"}, "Tags": None})
    assert not check_native("driven", {"RemoteDebugConfig": {"EnableRemoteDebug": True}})


def test_native_findings_have_the_path_of_the_field() -> None:
    study = support.study_of(native={"Autotune": {"Mood": "Enabled"}})
    plan = support.plan_of(study, Path(__file__).parent)
    assert plan.at("providers.sagemaker.native.Autotune.Mood") == ["refused"]
    assert "Mode" in plan.said("providers.sagemaker.native.Autotune.Mood")
