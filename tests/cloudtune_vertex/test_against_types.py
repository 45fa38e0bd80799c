"""Every request that is not refused is one that Google's own types take, with nothing lost.

The types check names and kinds alone, so what else is documented is looked for here once more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtune.diagnostics import Finding
from cloudtune.errors import StudyError
from cloudtune.planning.native import merge
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune_vertex import VertexProvider
from cloudtune_vertex.google_sdk import import_google
from cloudtune_vertex.regions import REGIONS
from cloudtune_vertex.rules.machines import ACCELERATORS
from cloudtune_vertex.rules.native import OUTPUT_ONLY, check_native, output_only_fields
from tests.cloudtune_vertex import support

pytest.importorskip("google.cloud.storage")
types: Any = import_google("google.cloud.aiplatform_v1.types")
json_format: Any = pytest.importorskip("google.protobuf.json_format")


GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
MODES: tuple[Mode, ...] = ("managed", "driven")
REQUESTS: dict[Mode, Any] = {
    "managed": types.CreateHyperparameterTuningJobRequest,
    "driven": types.CreateCustomJobRequest,
}


def lost(mode: Mode, request: dict[str, Any]) -> list[str]:
    """Return what is not the same after Google's types have read a request and written it."""
    sent = json.loads(json.dumps(request).replace("{{number}}", "12").replace("{{job}}", "j-12"))
    message = REQUESTS[mode].from_json(json.dumps(sent))
    back = json_format.MessageToDict(REQUESTS[mode].pb(message))
    before, after = dict(leaves(sent, "")), dict(leaves(back, ""))
    return [
        f"{path}: {before.get(path)} is {after.get(path)}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield what a message says, by path: each value that is none by default, each part."""
    if isinstance(value, dict):
        yield path, "a map"
        for key, inner in cast("dict[str, object]", value).items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[object]", value)):
            yield f"{path}.{index}", "in a list"
            yield from leaves(inner, f"{path}.{index}")
    elif isinstance(value, str) and re.fullmatch(r"[\d.]+s", value):
        yield path, f"{float(value[:-1])} seconds"
    elif value not in (0, False, "", "0") and not str(value).endswith("_UNSPECIFIED"):
        yield path, repr(value)


def by_the_documentation(job: dict[str, Any]) -> Iterator[str]:
    """Yield what is documented of a tuning job, forbids this one, and no type says."""
    study, counts = job["studySpec"], [job["maxTrialCount"], job["parallelTrialCount"]]
    if min(counts) < 1 or not 1 <= job["maxFailedTrialCount"] <= job["maxTrialCount"]:
        yield "numbers of trials"
    if len(job["displayName"]) > 128:
        yield "the name is too long"
    for key, value in job["labels"].items():
        if not 1 <= len(key) <= 63 or len(value) > 63 or key.lower() != key or " " in key + value:
            yield f"the label {key}"
    metrics = [metric["metricId"] for metric in study["metrics"]]
    if len(set(metrics)) < len(metrics) or any(c.isspace() for name in metrics for c in name):
        yield "names of metrics"
    if any(metric["goal"] not in {"MAXIMIZE", "MINIMIZE"} for metric in study["metrics"]):
        yield "a goal is not said"
    if study["measurementSelectionType"] not in {"LAST_MEASUREMENT", "BEST_MEASUREMENT"}:
        yield "the selection is not said"
    stopping = study.get("studyStoppingConfig", {})
    if len(metrics) > 1 and "maxNumTrialsNoProgress" in stopping:
        yield "progress is of one objective alone"
    if not study["parameters"]:
        yield "nothing is tuned"
    yield from _of_siblings(study["parameters"])
    for spec in study["parameters"]:
        yield from _of_a_parameter(spec, grid=study["algorithm"] == "GRID_SEARCH")
    (pool,) = job["trialJobSpec"]["workerPoolSpecs"]
    task: Any = pool.get("pythonPackageSpec") or pool["containerSpec"]
    if len(task.get("env", [])) > 100 or len(task.get("packageUris", [])) > 100:
        yield "too many variables or packages"
    if any(not entry["name"].isidentifier() for entry in task.get("env", [])):
        yield "the name of a variable"
    if sum(map(len, task.get("args", []))) > 100_000:
        yield "too many words"
    if pool["machineSpec"].get("acceleratorType", "").startswith("TPU"):
        yield "TPUs"


def _of_siblings(specs: list[dict[str, Any]]) -> Iterator[str]:
    names = [spec["parameterId"] for spec in specs]
    if len(set(names)) < len(names):
        yield f"{names} are not unique"


def _of_a_parameter(spec: dict[str, Any], *, grid: bool) -> Iterator[str]:
    name = spec["parameterId"]
    (kind,) = [key for key in spec if key.endswith("ValueSpec")]
    values: dict[str, Any] = spec[kind]
    if any(c.isspace() for c in name):
        yield f"{name} has a space"
    if kind == "categoricalValueSpec":
        feasible = values["values"]
        if "scaleType" in spec or len(set(feasible)) < len(feasible):
            yield f"{name}: a scale, or a value twice"
    elif kind == "discreteValueSpec":
        feasible = values["values"]
        if len(feasible) > 1000 or any(b - a < 1e-10 for a, b in pairwise(feasible)):
            yield f"{name}: values"
    else:
        feasible = [float(values["minValue"]), float(values["maxValue"])]
        if feasible[0] > feasible[1]:
            yield f"{name}: bounds"
    if "LOG" in spec.get("scaleType", "") and feasible[0] <= 0:
        yield f"{name} has no logarithm"
    if grid and kind == "doubleValueSpec":
        yield f"{name} is no part of a grid"
    seen: dict[str, set[Any]] = {}
    for child in spec.get("conditionalParameterSpecs", []):
        (condition,) = [key for key in child if key.startswith("parent")]
        wanted = {
            "parentCategoricalValues": "categoricalValueSpec",
            "parentIntValues": "integerValueSpec",
            "parentDiscreteValues": "discreteValueSpec",
        }[condition]
        under = child[condition]["values"]
        if wanted != kind or not under:
            yield f"{name}: {condition} of a {kind}"
        elif kind == "integerValueSpec":
            if not all(feasible[0] <= int(value) <= feasible[1] for value in under):
                yield f"{name}: {under} are no values of it"
        elif not set(under) <= set(feasible):
            yield f"{name}: {under} are no values of it"
        other = seen.setdefault(child["parameterSpec"]["parameterId"], set())
        if other & set(under):
            yield f"{child['parameterSpec']['parameterId']} twice under {under}"
        other |= set(under)
        yield from _of_a_parameter(child["parameterSpec"], grid=grid)


def test_the_comparison_finds_lost_fields(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    request = support.plan_of(support.study_of(), tmp_path).request
    assert lost("managed", request) == []
    job = request["hyperparameterTuningJob"]
    assert list(by_the_documentation(job)) == []
    job["maxFailedTrialCount"] = 30
    job["labels"]["A b"] = ""
    job["studySpec"]["metrics"][0]["metricId"] = "a b"
    (spec,) = job["studySpec"]["parameters"]
    spec["doubleValueSpec"]["minValue"] = 0.0
    job["trialJobSpec"]["workerPoolSpecs"][0]["replicaCount"] = 1
    job["maxTrialCount"] = "20"
    assert len(list(by_the_documentation({**job, "maxTrialCount": 20}))) == 4
    assert len(lost("managed", request)) == 2
    spec["surprise"] = 1
    with pytest.raises(Exception, match="surprise"):
        lost("managed", request)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_golden_requests_match_googles_types(file: Path, mode: Mode) -> None:
    golden = json.loads(file.read_text("utf-8"))[mode]
    if any(line.startswith("refused") for line in golden["found"]):
        pytest.skip("it is refused")
    assert lost(mode, golden["request"]) == []
    if mode == "managed":
        assert list(by_the_documentation(golden["request"]["hyperparameterTuningJob"])) == []


_WORDS = st.text(st.sampled_from("abcXYZ019._-:ü/αλ"), min_size=1, max_size=9)
_ODD_NAMES = st.sampled_from(["a b", "a=b", "a\tb", "--x"])
_TEXTS = st.sampled_from(["", "true", "1e3", "007", "ü", "a b", "$(HOME)", '{"a": 1}'])
_FLOATS = st.floats(-1e9, 1e9, allow_nan=False).map(lambda x: round(x, 3))


def _range(kind: str, numbers: Any) -> Any:
    @st.composite
    def made(draw: Any) -> dict[str, Any]:
        low, high = sorted([draw(numbers), draw(numbers)])
        scale = draw(st.sampled_from(["linear", "log", "reverse_log", "auto"]))
        if scale == "log" and low <= 0:
            low, high = 1 + abs(low), 1 + abs(low) + abs(high)
        step = draw(st.none() | st.sampled_from([1, 2, 7])) if high - low > 7 else None
        return {"type": kind, "min": low, "max": high, "scale": scale} | (
            {"step": step} if step else {}
        )

    return made()


def _lists(kind: str, values: Any) -> Any:
    return st.lists(values, min_size=1, max_size=8, unique_by=repr).map(
        lambda made: {"type": kind, "values": sorted(made) if kind == "discrete" else made}
    )


_PARENT = st.one_of(
    _range("int", st.integers(-9, 30)),
    _lists("discrete", st.integers(-9, 99)),
    _lists("discrete", _FLOATS),
    _lists("categorical", _TEXTS | st.integers(0, 6)),
    st.just({"type": "bool"}),
)
_PARAMETER = st.one_of(_PARENT, _range("float", _FLOATS), _range("int", st.integers(-9, 5000)))


def values_of(parameter: dict[str, Any]) -> list[Any]:
    if parameter["type"] == "bool":
        return [True, False]
    if parameter["type"] == "int":
        return [parameter["min"], parameter["min"] + (parameter.get("step") or 0)]
    return list(parameter["values"])


@st.composite
def _spaces(draw: Any) -> dict[str, Any]:
    """Draw parameters of which later ones hang on some of the parents before them."""
    made: dict[str, Any] = {}
    parents: list[str] = []
    for name in draw(st.lists(_WORDS, min_size=1, max_size=6, unique=True)):
        parameter = draw(_PARAMETER if draw(st.booleans()) else _PARENT)
        when: dict[str, Any] = {}
        chosen: list[str] = draw(st.lists(st.sampled_from(parents), max_size=3)) if parents else []
        for parent in chosen:
            values = st.sampled_from(values_of(made[parent]))
            when[parent] = draw(st.lists(values, min_size=1, max_size=3, unique_by=repr))
        made[name] = {**parameter, **({"when": when} if when else {})}
        if parameter["type"] != "float":
            parents.append(name)
    return made


_TAME: dict[str, Any] = {
    "objective": st.lists(
        st.fixed_dictionaries(
            {
                "metric": st.sampled_from(["accuracy", "val/auc", "loss"]),
                "goal": st.sampled_from(["maximize", "minimize"]),
                "select": st.sampled_from(["last", "best"]),
            }
        ),
        min_size=1,
        max_size=2,
        unique_by=lambda objective: objective["metric"],
    ),
    "parameters": _spaces(),
    "constants": st.dictionaries(st.sampled_from(["k1", "k 2"]), _TEXTS | st.booleans()),
    "strategy": st.sampled_from(["bayesian", "random", "grid"]),
    "early_stopping": st.sampled_from([None, "auto", "median"]),
    "limits": st.fixed_dictionaries(
        {"max_trials": st.sampled_from([1, 20, 2**31 - 1])},
        optional={
            "parallel_trials": st.sampled_from([1, 64]),
            "timeout": st.sampled_from(["1s", "2.5h", "30d"]),
            "trial_timeout": st.sampled_from(["0.5s", "1h"]),
            "max_failed_trials": st.sampled_from([0, 1, 19, 2**31 - 1]),
            "patience": st.sampled_from([1, 9]),
        },
    ),
    "trial": st.fixed_dictionaries(
        {"inputs": st.dictionaries(st.sampled_from(["train", "a b"]), st.just("gs://b/x"))},
        optional={
            "script": st.just("train.py"),
            "args": st.lists(st.sampled_from(["--v", "{{inputs.train}}", "x" * 40_000])),
            "env": st.dictionaries(st.sampled_from(["A", "_b1"]), _TEXTS),
        },
    ),
    "machine": st.sampled_from(
        [
            {},
            {"spot": True, "restart": True},
            {"flex_start": True, "max_wait": "6h"},
            {"accelerator_type": "NVIDIA_L4", "accelerator_count": 2},
            {"disk_type": "pd-ssd", "disk_gb": 200},
        ]
    ),
    "settings": st.fixed_dictionaries(
        {},
        optional={
            "image": st.just(support.OWN_IMAGE),
            "labels": st.just({"team": "a_b-c", "ü": ""}),
            "prefix": st.sampled_from(["", "a/b/", "ü"]),
            "kms_key": st.just("projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"),
            "web_access": st.booleans(),
        },
    ),
}
_WILD: dict[str, Any] = {
    "objective": st.sampled_from(["a b", "trial"]).map(
        lambda name: {"metric": name, "goal": "minimize"}
    ),
    "parameters": st.dictionaries(_ODD_NAMES, _PARAMETER, min_size=1)
    | st.just({"x": {"type": "discrete", "values": [0.1, 0.1 + 1e-11]}})
    | st.dictionaries(
        st.just("x"), _range("int", st.sampled_from([-(2**62), 0, 2**53, 2**53 + 1])), min_size=1
    ),
    "limits": st.sampled_from(
        [{"max_trials": 2**31}, {"timeout": "1h"}]
        + [{"max_trials": 1, name: 2**31} for name in ("parallel_trials", "patience")]
    ),
    "trial": st.sampled_from(
        [{"inputs": {"x": "s3://b"}}, {"env": {"AIP_X": ""}}, {"args": ["x" * 100_001]}]
        + [{"script": "train.py", "env": {f"V{k}": "" for k in range(n)}} for n in (99, 100, 101)]
    ),
    "machine": st.sampled_from(
        [{"accelerator_type": name} for name in [*ACCELERATORS, "T4"]]
        + [{"accelerator_count": 1}, {"spot": True, "flex_start": True}]
    ),
    "settings": st.sampled_from(
        [{"kms_key": "key"}, {"kms_key": "projects/p/locations/eu/keyRings/r/cryptoKeys/k"}]
        + [{"labels": {f"k{k}": "v" for k in range(n)}} for n in (62, 63, 64)]
        + [{"labels": {key: ""}} for key in ("", "A", "1", "a b", "x" * 64)]
        + [{"labels": {"a": value}} for value in ("A", "x" * 64)]
    ),
}


@st.composite
def _studies(draw: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw a study and settings in which at most one thing is odd."""
    odd = draw(st.none() | st.sampled_from(sorted(_WILD)))
    part = {name: draw(_WILD[name] if name == odd else tame) for name, tame in _TAME.items()}
    if part["strategy"] == "grid":
        kinds = [parameter["type"] for parameter in part["parameters"].values()]
        part["strategy"] = "grid" if "float" not in kinds or draw(st.booleans()) else "random"
    here = {**part.pop("machine"), **part.pop("settings")}
    return part, here


@pytest.mark.slow
@given(drawn=_studies())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_requests_of_any_study_match_googles_types_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    base = tmp_path_factory.getbasetemp() / "any-study"
    base.mkdir(exist_ok=True)
    (base / "train.py").write_text("", "utf-8")
    over, here = drawn
    try:
        study: Study = support.study_of(over, **here)
    except StudyError:
        return
    for mode in MODES:
        plan = support.plan_of(study, base, mode)
        if plan.refused:
            continue
        assert lost(mode, plan.request) == []
        if mode == "managed":
            assert list(by_the_documentation(support.job_of(plan))) == []


def test_accelerators_match_googles_types() -> None:
    known = {each.name for each in types.AcceleratorType} - {"ACCELERATOR_TYPE_UNSPECIFIED"}
    assert set(ACCELERATORS) == known


JOB = "hyperparameterTuningJob"
ACCELERATOR = f"{JOB}.trialJobSpec.workerPoolSpecs.0.machineSpec.acceleratorType"


def machine(**spec: Any) -> dict[str, Any]:
    """Return what ``native`` says of a tuning job's machine."""
    return {"trialJobSpec": {"workerPoolSpecs": [{"machineSpec": spec}]}}


@pytest.mark.parametrize(
    ("mode", "native", "where"),
    [
        ("managed", {JOB: {"studySpec": {"surprise": 1}}}, f"{JOB}.studySpec.surprise"),
        ("managed", {JOB: {"study_spec": {}}}, f"{JOB}.study_spec"),
        ("managed", {JOB: []}, JOB),
        ("managed", {JOB: {"studySpec": []}}, f"{JOB}.studySpec"),
        ("managed", {JOB: {"maxTrialCount": 1.5}}, f"{JOB}.maxTrialCount"),
        ("managed", {JOB: {"maxTrialCount": 2**31}}, f"{JOB}.maxTrialCount"),
        ("managed", {JOB: {"labels": {"a": 1}}}, f"{JOB}.labels"),
        ("managed", {JOB: {"studySpec": {"algorithm": "TPE"}}}, f"{JOB}.studySpec.algorithm"),
        (
            "managed",
            {JOB: {"studySpec": {"parameters": [{"parameterId": "a", "scale": 1}]}}},
            f"{JOB}.studySpec.parameters.0.scale",
        ),
        (
            "managed",
            {JOB: {"studySpec": {"parameters": {"parameterId": "a"}}}},
            f"{JOB}.studySpec.parameters",
        ),
        ("managed", {JOB: machine(acceleratorType=7)}, ACCELERATOR),
        ("managed", {JOB: machine(acceleratorType="7")}, ACCELERATOR),
        ("managed", {JOB: machine(acceleratorType=7.0)}, ACCELERATOR),
        ("managed", {JOB: {"studySpec": {"algorithm": 2}}}, f"{JOB}.studySpec.algorithm"),
        ("managed", {"customJob": {}}, "customJob"),
        ("driven", {JOB: {}}, JOB),
        (
            "driven",
            {"customJob": {"jobSpec": {"scheduling": {"timeout": "1h"}}}},
            "customJob.jobSpec.scheduling.timeout",
        ),
    ],
)
def test_native_is_checked_by_googles_types(mode: Mode, native: Any, where: str) -> None:
    (found,) = check_native(mode, native)
    assert found[0] == where
    assert found[1]


def test_an_enum_number_is_refused() -> None:
    ((_, reason),) = check_native("managed", {JOB: machine(acceleratorType=7)})
    assert "must be a name" in reason
    assert "NVIDIA_TESLA_T4" in reason
    assert check_native("managed", {JOB: machine(acceleratorType="NVIDIA_L4")}) == []


def test_native_may_be_partial_and_remove_fields() -> None:
    study = {
        "decayCurveStoppingSpec": {"useElapsedDuration": True},
        "medianAutomatedStoppingSpec": None,
        "studyStoppingConfig": {"shouldStopAsap": False, "minNumTrials": 3},
    }
    job = {
        "studySpec": study,
        "labels": {"team": "vision", "old": None},
        "trialJobSpec": {
            "scheduling": {"maxWaitDuration": "0s", "strategy": "SPOT"},
            "workerPoolSpecs": [{"replicaCount": "2"}, {}],
        },
    }
    assert check_native("managed", {JOB: job, "parent": None}) == []
    assert check_native("driven", {"customJob": {"jobSpec": {"persistentResourceId": "x"}}}) == []


def test_a_request_with_native_matches_googles_types(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    job: dict[str, Any] = {
        "studySpec": {
            "medianAutomatedStoppingSpec": None,
            "decayCurveStoppingSpec": {"useElapsedDuration": True},
        },
        "trialJobSpec": {
            "persistentResourceId": "mine",
            "workerPoolSpecs": [{"machineSpec": {"reservationAffinity": {}}}, {}],
        },
    }
    study = support.study_of({"early_stopping": "median"}, native={JOB: job})
    plan = support.plan_of(study, tmp_path)
    assert not plan.refused
    request, findings = merge(
        plan.request, {JOB: job}, provider="vertex", protected_paths=VertexProvider.protected_paths
    )
    assert [f.kind for f in findings if isinstance(f, Finding)] == [
        "approximated"
    ]  # the rule that is replaced
    assert lost("managed", request) == []
    assert "medianAutomatedStoppingSpec" not in request[JOB]["studySpec"]
    assert len(request[JOB]["trialJobSpec"]["workerPoolSpecs"]) == 2


def test_native_findings_have_the_path_of_their_field(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    native: dict[str, Any] = {JOB: {"studySpec": {"metric": []}}}
    plan = support.plan_of(support.study_of(native=native), tmp_path)
    path = f"providers.vertex.native.{JOB}.studySpec.metric"
    assert plan.at(path) == ["refused"]
    assert "metrics" in plan.said(path)


def test_native_must_not_set_output_only_fields() -> None:
    for kind, key in ((types.HyperparameterTuningJob, JOB), (types.CustomJob, "customJob")):
        told = re.findall(r"^ +(\w+) \(.*\):\n +Output only\.", kind.__doc__, re.MULTILINE)
        names = {re.sub("_([a-z])", lambda found: found[1].upper(), name) for name in told}
        assert {"state", "endTime"} < names <= OUTPUT_ONLY
        mode: Mode = "managed" if key == JOB else "driven"
        for name in names:
            found = output_only_fields(mode, {key: {name: None}})
            assert [where for where, _ in found] == [f"{key}.{name}"]


POOL = "trialJobSpec.workerPoolSpecs.0"
GRID = {"algorithm": "GRID_SEARCH"}
BAD_POOL: dict[str, Any] = {
    "replicaCount": "-1",
    "diskSpec": {"bootDiskType": "floppy", "bootDiskSizeGb": -5},
    "pythonPackageSpec": {"env": [{"name": f"V{n}", "value": "1"} for n in range(101)]},
}
LIMITS: list[tuple[Mode, dict[str, Any], list[str]]] = [
    ("managed", {"maxFailedTrialCount": 99}, ["maxFailedTrialCount"]),
    ("managed", {"maxTrialCount": "-1"}, ["maxTrialCount", "maxFailedTrialCount"]),
    ("managed", {"parallelTrialCount": None}, ["parallelTrialCount"]),
    ("managed", {"labels": {"Bad": "X"}}, ["labels.Bad", "labels.Bad"]),
    ("managed", {"state": "JOB_STATE_FAILED", "labels": {"A": ""}}, ["state", "labels.A"]),
    ("managed", {"labels": {f"a{n}": "" for n in range(64)}}, ["labels"]),
    ("managed", {"studySpec": GRID}, ["studySpec.algorithm"]),
    (
        "managed",
        {"studySpec": {"metrics": [{"metricId": "a b"}]}},
        ["studySpec.metrics.1.metricId"],
    ),
    ("managed", {"studySpec": {"decayCurveStoppingSpec": {}}}, [""]),
    ("managed", machine(acceleratorCount=2), [f"{POOL}.machineSpec"]),
    (
        "managed",
        {"trialJobSpec": {"workerPoolSpecs": [BAD_POOL]}},
        [
            f"{POOL}.{field}"
            for field in ("replicaCount", "diskSpec.bootDiskType", "diskSpec.bootDiskSizeGb")
        ]
        + [f"{POOL}.pythonPackageSpec.env"],
    ),
    ("driven", {"labels": {"team": "X"}}, ["labels.team"]),
    (
        "driven",
        {"jobSpec": {"scheduling": {"timeout": "-1s"}}},
        ["jobSpec.scheduling.timeout"],
    ),
]


@pytest.mark.parametrize(("mode", "job", "places"), LIMITS)
def test_native_keeps_the_documented_limits(
    mode: Mode, job: Any, places: list[str], tmp_path: Path
) -> None:
    (tmp_path / "train.py").touch()
    over: dict[str, Any] = {"early_stopping": "median", "limits": {"max_trials": 5}}
    over["parameters"] = {
        "kind": {"type": "categorical", "values": ["a", "b"]},
        "lr": {"type": "float", "min": 0.1, "max": 1, "when": {"kind": "a"}},
    }
    key = JOB if mode == "managed" else "customJob"
    start = f"providers.vertex.native.{key}"
    plan = support.plan_of(support.study_of(over, native={key: job}), tmp_path, mode)
    found = [item.path for item in plan.found if item.path.startswith(start)]
    assert found == [f"{start}.{index}" if index else start for index in places]
    assert plan.refused


def test_regions_are_those_of_the_sdk() -> None:
    constants = pytest.importorskip("google.cloud.aiplatform.constants.base")
    assert frozenset(REGIONS) | {"global"} == constants.SUPPORTED_REGIONS
