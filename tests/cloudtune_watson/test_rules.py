"""The rules of IBM Watson, each with the field of its finding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.diagnostics import Finding
from cloudtune.planning import planner
from cloudtune_watson.settings import SETTINGS
from tests.cloudtune_watson import support

BOTH, WML, WMLA = ("wml", "wmla"), ("wml",), ("wmla",)
CODE = {"script": "train.py"}
CLUSTER = "https://cpd.example.com"


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WATSONX_APIKEY", "k")
    folder = tmp_path / "study"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "rows.csv").touch()
    (folder / "empty").mkdir()
    (folder / "train.py").touch()
    (folder / "ca.pem").touch()
    return folder


def words(*values: Any) -> dict[str, Any]:
    return {"type": "categorical", "values": list(values)}


def tuned(**parameters: Any) -> dict[str, Any]:
    return {"parameters": parameters}


def log(kind: str, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"type": kind, "min": low, "max": high, "scale": "log", **more}


def limits(**more: Any) -> dict[str, Any]:
    return {"limits": {"max_trials": 20, **more}}


SETTINGS_CASES: list[tuple[dict[str, Any], str, str, tuple[str, ...]]] = [
    ({"url": None}, "url", "refused", BOTH),
    ({"url": "http://cpd.example.com"}, "url", "refused", BOTH),
    ({"url": "cpd.example.com"}, "url", "refused", BOTH),
    ({"url": "https://me@cpd.example.com"}, "url", "refused", BOTH),
    ({"url": f"{CLUSTER}?a=b"}, "url", "refused", BOTH),
    ({"url": "https://us-south.ml.cloud.ibm.com"}, "url", "refused", BOTH),
    ({"url": "https://us-south.ml.cloud.ibm.com."}, "url", "refused", BOTH),
    ({"url": "https://cloud.ibm.com"}, "url", "refused", BOTH),
    ({"url": "https://us-east-1.aws.wxai.ibm.com"}, "url", "refused", BOTH),
    ({"url": "https://wxai.ibmforusgov.com"}, "url", "refused", BOTH),
    ({"url": "https://ibm-watson-ml.mybluemix.net"}, "url", "refused", BOTH),
    ({"sign_in_url": "http://cpd.example.com"}, "sign_in_url", "refused", BOTH),
    ({"sign_in_url": CLUSTER}, "sign_in_url", "dropped", WML),
    ({"version": None}, "version", "refused", BOTH),
    ({"version": "3.5"}, "version", "refused", WML),
    ({"version": "4.1"}, "version", "refused", WML),
    ({"version": "5"}, "version", "refused", BOTH),
    ({"version": "latest"}, "version", "refused", BOTH),
    ({"version": "standalone"}, "version", "refused", WML),
    ({"version": "standalone"}, "instance_group", "refused", WMLA),
    ({"version": "4.8"}, "version", "note", BOTH),
    ({"version": "4.5"}, "version", "note", WML),
    ({"version": "6.0"}, "version", "note", WML),
    ({"version": "6.0"}, "version", "refused", WMLA),
    ({"version": "7.1"}, "version", "note", WML),
    ({"version": "3.0"}, "version", "refused", BOTH),
    ({"version": "5.2"}, "version", "note", WMLA),
    ({"version": "5.3"}, "version", "refused", WMLA),
    ({"version": "5.4.1"}, "version", "refused", WMLA),
    ({"version": "4.8.5"}, "version", "note", BOTH),
    ({"version": "6.0.1"}, "version", "note", WML),
    ({"version": "4.1.2"}, "version", "refused", WML),
    ({"username": None}, "username", "refused", BOTH),
    ({"key_variable": "NOT_SET_ANYWHERE"}, "key_variable", "note", BOTH),
    ({"certificate": "no.pem"}, "certificate", "refused", BOTH),
    ({"space_id": None}, "space_id", "refused", WML),
    ({"space_id": "a/b"}, "space_id", "refused", WML),
    ({"space_id": ".."}, "space_id", "refused", WML),
    ({"space_id": None, "project_id": "a b"}, "project_id", "refused", WML),
    ({"prefix": "../../x"}, "prefix", "refused", WML),
    ({"prefix": "a\nb"}, "prefix", "refused", WML),
    ({"project_id": "p"}, "project_id", "refused", WML),
    ({"project_id": "p"}, "project_id", "dropped", WMLA),
    ({"hardware_spec": None}, "hardware_spec", "refused", WML),
    ({"hardware_spec": "S"}, "hardware_spec", "dropped", WMLA),
    ({"software_spec": None}, "software_spec", "refused", WML),
    ({"tags": ["cloudtune-run:x"]}, "tags.0", "refused", WML),
    ({"tags": ["cloudtune"]}, "tags.0", "refused", WML),
    ({"tags": ["team-a"]}, "tags", "dropped", WMLA),
    ({"exec_start": None}, "exec_start", "refused", WMLA),
    ({"exec_start": "PyTorch"}, "exec_start", "dropped", WML),
    ({"worker_devices": 1}, "worker_devices", "dropped", WML),
    ({"instance_group": "g"}, "instance_group", "dropped", BOTH),
    ({"visible_secrets": True}, "visible_secrets", "dropped", BOTH),
]
RIGHT: list[tuple[str, dict[str, Any]]] = [
    *((backend, {}) for backend in BOTH),
    *((backend, {"certificate": "ca.pem"}) for backend in BOTH),
    *((backend, {"url": f"{CLUSTER}:31843/"}) for backend in BOTH),
    *((backend, {"url": "https://cpd.apps.mywxai.ibm.com"}) for backend in BOTH),
    ("wml", {"space_id": None, "project_id": "p"}),
    ("wml", {"version": "5.4", "nodes": 2, "tags": ["team-a"], "prefix": ""}),
    ("wml", {"prefix": "/team..a/x/"}),
    *((backend, {"version": "5.1.3"}) for backend in BOTH),
    ("wmla", {"version": "3.5", "sign_in_url": CLUSTER, "worker_devices": 0}),
    ("wmla", {"version": "standalone", "instance_group": "g"}),
]


@pytest.mark.parametrize(("settings", "path", "kind", "backends"), SETTINGS_CASES)
def test_settings(
    settings: dict[str, Any], path: str, kind: str, backends: tuple[str, ...], base: Path
) -> None:
    for backend in BOTH:
        plan = support.plan_of(support.study_of(backend, **settings), base)
        assert (kind in plan.at(f"{SETTINGS}.{path}")) == (backend in backends), plan.found


def test_an_old_version_without_cloud_pak_suggests_standalone(base: Path) -> None:
    plan = support.plan_of(support.study_of("wmla", version="2.3"), base)
    assert plan.at(f"{SETTINGS}.version") == ["refused"]
    assert "set standalone" in plan.said(f"{SETTINGS}.version")


@pytest.mark.parametrize(("backend", "settings"), RIGHT)
def test_right_settings(backend: str, settings: dict[str, Any], base: Path) -> None:
    plan = support.plan_of(support.study_of(backend, **settings), base)
    assert plan.findings == []


@pytest.mark.parametrize("backend", BOTH)
def test_the_emulator_needs_no_more_than_the_back_end(backend: str, base: Path) -> None:
    bare = {name: None for name in support.SETTINGS[backend] if name != "backend"}
    plan = support.plan_of(support.study_of(backend, **bare), base, emulated=True)
    assert plan.findings == []
    assert "stand-ins" in plan.said(SETTINGS)
    refused = support.plan_of(support.study_of(backend, **bare), base)
    assert {f.path for f in refused.findings} == {f"{SETTINGS}.{name}" for name in bare}


@pytest.mark.parametrize("backend", BOTH)
def test_the_verification_note_is_only_for_the_live_service(backend: str, base: Path) -> None:
    study = support.study_of(backend)
    assert "live service" in support.plan_of(study, base).said(SETTINGS)
    assert "live service" not in support.plan_of(study, base, emulated=True).said(SETTINGS)


HYPERBAND = {"name": "hyperband", "resource": "epochs", "max": 27}
STUDIES: list[tuple[dict[str, Any], str, str, tuple[str, ...]]] = [
    ({"trial": {"script": "no.py"}}, "trial.script", "refused", BOTH),
    ({"trial": {}}, "trial.script", "refused", BOTH),
    ({"trial": {**CODE, "requirements": "no.txt"}}, "trial.requirements", "refused", BOTH),
    ({"trial": {**CODE, "source": {"sagemaker": "s3://b/c"}}}, "trial.source", "refused", BOTH),
    ({"trial": {**CODE, "source": "s3://b/c.tar.gz"}}, "trial.source", "refused", BOTH),
    ({"trial": {**CODE, "resources": {"gpus": 1}}}, "trial.resources.gpus", "dropped", BOTH),
    ({"trial": {**CODE, "resources": {"cpus": 1}}}, "trial.resources.cpus", "dropped", BOTH),
    (
        {"trial": {**CODE, "env": {"X": {"from_env": "WATSONX_APIKEY"}}}},
        "trial.env.X",
        "refused",
        BOTH,
    ),
    ({"trial": {**CODE, "inputs": {"x": {"local": "data"}}}}, "trial.inputs.x", "refused", BOTH),
    ({"trial": {**CODE, "inputs": {"x": "s3://b/c"}}}, "trial.inputs.x", "refused", BOTH),
    (
        {"trial": {**CODE, "inputs": {"x": {"watson": "s3://b/c"}}}},
        "trial.inputs.x",
        "refused",
        BOTH,
    ),
    (
        {"trial": {**CODE, "inputs": {"x": {"vertex": "gs://b/c"}}}},
        "trial.inputs.x",
        "refused",
        BOTH,
    ),
    (
        {"trial": {**CODE, "inputs": {"x": {"watson": "a"}, "y": {"watson": "b"}}}},
        "trial.inputs.y",
        "refused",
        BOTH,
    ),
    ({"trial": {**CODE, "inputs": {"x": {"watson": "a,b"}}}}, "trial.inputs.x", "refused", WMLA),
    (
        {"trial": {**CODE, "inputs": {"x": {"watson": {"uri": "a", "content_type": "t"}}}}},
        "trial.inputs.x",
        "dropped",
        BOTH,
    ),
    ({"objective": {"metric": "steps", "goal": "minimize"}}, "objective.metric", "refused", BOTH),
    (
        {
            "objective": [
                {"metric": "a", "goal": "minimize"},
                {"metric": "step", "goal": "minimize"},
            ]
        },
        "objective.1.metric",
        "refused",
        BOTH,
    ),
    (
        {"objective": [{"metric": "a", "goal": "minimize"}, {"metric": "b", "goal": "minimize"}]},
        "objective",
        "refused",
        WMLA,
    ),
    (
        {"objective": {"metric": "a", "goal": "minimize", "target": 1}},
        "objective.target",
        "note",
        WMLA,
    ),
    ({"strategy": "genetic"}, "strategy.name", "refused", WMLA),
    ({"strategy": "genetic"}, "strategy", "note", WMLA),
    ({"strategy": {"name": "bayesian", "method": "gp"}}, "strategy.method", "dropped", WMLA),
    ({"strategy": "bayesian"}, "strategy", "note", WMLA),
    (
        {"strategy": "bayesian", **limits(parallel_trials=2)},
        "limits.parallel_trials",
        "approximated",
        WMLA,
    ),
    (
        {"strategy": {"name": "bayesian", "method": "tpe"}, **limits(parallel_trials=2)},
        "limits.parallel_trials",
        "note",
        WMLA,
    ),
    ({"strategy": HYPERBAND}, "strategy.resource", "approximated", BOTH),
    ({"strategy": HYPERBAND}, "limits.max_trials", "approximated", WMLA),
    ({"strategy": {**HYPERBAND, "min": 3}}, "strategy.min", "dropped", WMLA),
    ({"strategy": {"name": "hyperband", "max": 27}}, "strategy.resource", "refused", WMLA),
    ({"strategy": {"name": "hyperband", "max": 27}}, "strategy.name", "note", WML),
    ({"early_stopping": "median"}, "early_stopping", "dropped", WMLA),
    ({"early_stopping": "median"}, "early_stopping", "note", WML),
    ({"initial_trials": [{"lr": 0.01}]}, "initial_trials", "dropped", WMLA),
    (limits(timeout="90s"), "limits.timeout", "approximated", WMLA),
    (limits(trial_timeout="1h"), "limits.trial_timeout", "dropped", WMLA),
    (limits(max_failed_trials=1), "limits.max_failed_trials", "note", WMLA),
    (limits(patience=3), "limits.patience", "note", WMLA),
    (limits(max_cost="1 USD"), "limits.max_cost", "refused", BOTH),
    (limits(max_cost="1 CUH"), "limits.max_cost", "refused", WMLA),
    (limits(max_cost="1 CUH"), "limits.max_cost", "note", WML),
    (tuned(x=log("int", 1, 9)), "parameters.x.scale", "approximated", WMLA),
    ({"strategy": "list", "initial_trials": [{"lr": 0.01}]}, "parameters", "note", WMLA),
    (tuned(x=log("float", 1, 9, step=0.5)), "parameters.x.scale", "approximated", WMLA),
    (tuned(x=log("int", 1, 9, step=2)), "parameters.x.scale", "approximated", WMLA),
    (tuned(x=log("float", 1, 9, step=0.001)), "parameters.x.scale", "approximated", WMLA),
    (tuned(x=log("float", 1, 9)), "parameters", "note", WMLA),
    (
        tuned(x={**log("float", 1, 9), "scale": "reverse_log"}),
        "parameters.x.scale",
        "approximated",
        WMLA,
    ),
    (
        tuned(x={"type": "discrete", "values": [1, 10], "scale": "log"}),
        "parameters.x.scale",
        "approximated",
        WMLA,
    ),
    (tuned(x={"type": "bool"}), "parameters.x", "note", WMLA),
    (tuned(x={"type": "int", "min": 3, "max": 3}), "parameters.x", "note", WMLA),
    (
        tuned(a={"type": "bool"}, b={"type": "bool", "when": {"a": True}}),
        "parameters.b.when",
        "approximated",
        WMLA,
    ),
    (tuned(x=words("1", 1)), "parameters.x.values", "refused", BOTH),
    (tuned(x=words("a\nb", "c")), "parameters.x.values", "refused", WML),
]


@pytest.mark.parametrize(("over", "path", "kind", "backends"), STUDIES)
def test_studies(
    over: dict[str, Any], path: str, kind: str, backends: tuple[str, ...], base: Path
) -> None:
    for backend in BOTH:
        plan = support.plan_of(support.study_of(backend, over), base)
        assert (kind in plan.at(path)) == (backend in backends), plan.found


def test_the_scale_auto_is_never_a_finding(base: Path) -> None:
    for kind in ("int", "float", "discrete"):
        values = {"values": [1, 30, 900]} if kind == "discrete" else {"min": 1, "max": 900}
        over = tuned(x={"type": kind, "scale": "auto", **values})
        for backend in BOTH:
            plan = support.plan_of(support.study_of(backend, over), base)
            assert set(plan.at("parameters.x.scale")) == {"note"}, plan.found


def test_a_name_with_an_equals_sign_is_refused(base: Path) -> None:
    over = {**tuned(**{"a=b": {"type": "bool"}}), "trial": {**CODE, "arguments": "json"}}
    for backend, found in (("wml", ["refused"]), ("wmla", ["note"])):
        assert support.plan_of(support.study_of(backend, over), base).at("parameters.a=b") == found


def test_whole_minutes_are_exact(base: Path) -> None:
    study = support.study_of("wmla", limits(timeout="2h"))
    assert support.plan_of(study, base).findings == []


def test_the_emulator_has_only_local_inputs(base: Path) -> None:
    inputs = {"x": {"local": "data", "watson": "mnist"}}
    for backend in BOTH:
        study = support.study_of(backend, {"trial": {**CODE, "inputs": inputs}})
        assert support.plan_of(study, base).findings == []
        emulated = support.plan_of(study, base, emulated=True)
        assert emulated.at("trial.inputs.x") == ["note"]
        assert emulated.facts.lookup.inputs.uploads == {"x": str(base / "data")}
        for address in ({"watson": "mnist"}, {"local": "no"}, {"local": "empty"}):
            study = support.study_of(backend, {"trial": {**CODE, "inputs": {"x": address}}})
            plan = support.plan_of(study, base, emulated=True)
            assert plan.at("trial.inputs.x") == ["refused"]


def secret(name: str) -> dict[str, Any]:
    return {"trial": {**CODE, "env": {name: {"from_env": "WATSONX_APIKEY"}}}}


def test_secrets_of_deployment_jobs_are_sent_only_if_their_readers_are_accepted(base: Path) -> None:
    plan = support.plan_of(support.study_of("jobs", secret("X")), base)
    assert plan.at("trial.env.X") == ["refused"]
    assert "providers.watson.visible_secrets: true" in plan.said("trial.env.X")
    plan = support.plan_of(support.study_of("jobs", secret("X"), visible_secrets=True), base)
    assert plan.at("trial.env.X") == ["note"]
    assert "may read the jobs of the space" in plan.said("trial.env.X")


def test_variables_that_ibm_sets_cannot_be_secrets(base: Path) -> None:
    study = support.study_of("jobs", secret("BATCH_OUTPUT_DIR"), visible_secrets=True)
    assert "refused" in support.plan_of(study, base).at("trial.env.BATCH_OUTPUT_DIR")


@pytest.mark.parametrize("more", [{}, {"watson": "5c0d"}])
def test_local_inputs_of_deployment_jobs_are_refused_also_on_the_emulator(
    base: Path, more: dict[str, str]
) -> None:
    inputs = {"x": {"local": "data", **more}}
    study = support.study_of("jobs", {"trial": {**CODE, "inputs": inputs}})
    plan = support.plan_of(study, base, emulated=True)
    assert "refused" in plan.at("trial.inputs.x")
    assert plan.facts.lookup.inputs.uploads == {}


def test_a_grid_that_is_too_long_is_refused(base: Path) -> None:
    grid = {
        "strategy": "grid",
        **tuned(x={"type": "int", "min": 1, "max": 200}, y={"type": "int", "min": 1, "max": 200}),
    }
    plan = support.plan_of(support.study_of("wmla", {**grid, "limits": {}}), base)
    assert plan.at("limits.max_trials") == ["refused"]
    plan = support.plan_of(support.study_of("wmla", {**grid, **limits(max_trials=100)}), base)
    assert not plan.refused
    assert "the first 100 of the grid's 40,000" in plan.said("parameters")


MONEY = {"capacity_unit_hour": "0.50 USD"}


@pytest.mark.parametrize(
    ("backend", "settings", "budget", "price", "refused"),
    [
        ("wml", {}, None, (2.0, "CUH"), False),
        ("wml", {"nodes": 3}, None, (6.0, "CUH"), False),
        ("wml", {"hardware_spec": "K80"}, None, None, False),
        (
            "wml",
            {"native": {"model_definition": {"hardware_spec": {"id": "h"}}}},
            None,
            None,
            False,
        ),
        ("wml", {"native": {"model_definition": None}}, None, (2.0, "CUH"), False),
        ("wml", {"hardware_spec": "K80"}, "1 CUH", None, True),
        ("wml", {"prices": MONEY}, None, (1.0, "USD"), False),
        ("wml", {"prices": MONEY}, "1 USD", (1.0, "USD"), False),
        ("wml", {"prices": MONEY}, "1 CUH", (2.0, "CUH"), False),
        ("wml", {"prices": MONEY}, "1 EUR", (1.0, "USD"), True),
        ("wml", {"prices": {"hour": "3 USD"}, "hardware_spec": "K80"}, None, (3.0, "USD"), False),
        ("wml", {"prices": MONEY, "hardware_spec": "K80"}, "1 USD", None, True),
        ("wmla", {}, None, None, False),
        ("wmla", {"prices": {"hour": "3 USD"}}, "9 USD", (3.0, "USD"), False),
        ("wmla", {"prices": MONEY}, None, None, False),
    ],
)
def test_prices(
    *,
    backend: str,
    settings: dict[str, Any],
    budget: str | None,
    price: tuple[float, str] | None,
    refused: bool,
    base: Path,
) -> None:
    over = limits(**({"max_cost": budget} if budget else {}))
    plan = support.plan_of(support.study_of(backend, over, **settings), base)
    hourly = plan.facts.price
    assert (hourly and (hourly.hour, hourly.currency)) == price
    assert hourly is None or hourly.min_seconds == (0 if backend == "wmla" else 60)
    assert plan.refused == refused
    unit = price is not None and price[1] == "CUH"
    assert ("note" in plan.at(f"{SETTINGS}.prices")) == unit


NATIVE: list[tuple[str, dict[str, Any], str, str]] = [
    ("wml", {"hyper_parameters_optimization": {}}, "hyper_parameters_optimization", "refused"),
    ("wml", {"custom": {}}, "custom", "refused"),
    ("wml", {"experiment": {"id": "e"}}, "experiment", "refused"),
    ("wml", {"description": None}, "description", "refused"),
    ("wml", {"training_data_references": None}, "training_data_references", "refused"),
    ("wml", {"training_data_references": {}}, "training_data_references", "refused"),
    ("wml", {"model_definition": {"comand": "x"}}, "model_definition.comand", "refused"),
    ("wml", {"model_definition": {"zzz": "x"}}, "model_definition.zzz", "note"),
    (
        "wml",
        {"model_definition": {"software_spec": "x"}},
        "model_definition.software_spec",
        "refused",
    ),
    ("wmla", {"foo": 1}, "foo", "refused"),
    ("wmla", {"algoDef": {"maxJobNum": 2}}, "algoDef", "refused"),
    (
        "wmla",
        {"data": {"algoDef": {"maxParallelJobNum": 2}}},
        "data.algoDef.maxParallelJobNum",
        "refused",
    ),
    ("wmla", {"data": {"algoDef": {"zzz": 2}}}, "data.algoDef.zzz", "note"),
    (
        "wmla",
        {"data": {"modelSpec": {"args": "--model-main x.py"}}},
        "data.modelSpec.args",
        "refused",
    ),
    (
        "wmla",
        {"data": {"algoDef": {"algoParams": [{"name": "RandomSeed", "value": 3}]}}},
        "data.algoDef.algoParams.0.value",
        "refused",
    ),
    (
        "wmla",
        {"data": {"algoDef": {"algoParams": [{"name": "RandomSed", "value": "3"}]}}},
        "data.algoDef.algoParams.0",
        "refused",
    ),
    (
        "wmla",
        {"data": {"algoDef": {"algoParams": [{"name": "zzz", "value": "3"}]}}},
        "data.algoDef.algoParams.0",
        "note",
    ),
    (
        "wmla",
        {"data": {"algoDef": {"algoParams": [{"name": "Noiseless", "value": "false"}]}}},
        "data.algoDef.algoParams.0",
        "refused",
    ),
]


@pytest.mark.parametrize(("backend", "native", "path", "kind"), NATIVE)
def test_native(backend: str, native: dict[str, Any], path: str, kind: str, base: Path) -> None:
    plan = support.plan_of(support.study_of(backend, native=native), base)
    assert plan.at(f"{SETTINGS}.native.{path}") == [kind], plan.found


ONE = {"value": "10000"}
RIGHT_NATIVE: list[tuple[str, dict[str, Any]]] = [
    ("wml", {"description": "d", "model_definition": {"model_type": "tensorflow_2.14"}}),
    (
        "wml",
        {"training_data_references": [{"name": "d", "type": "connection_asset", "location": {}}]},
    ),
    *(
        (
            "wmla",
            {"data": {"algoDef": {"algorithm": algorithm, "algoParams": [{"name": name, **ONE}]}}},
        )
        for algorithm, name in (("Bayesian", "CubeSize"), ("TPE", "WarmUp"), ("Mine", "any"))
    ),
    ("wmla", {"data": {"modelSpec": {"args": "--model-main cloudtune_launch.py --x"}}}),
]


@pytest.mark.parametrize(("backend", "native"), RIGHT_NATIVE)
def test_right_native(backend: str, native: dict[str, Any], base: Path) -> None:
    plan = support.plan_of(support.study_of(backend, native=native), base)
    assert [i for i in plan.found if "native" in i.path] == []


def test_algorithm_parameters_are_checked_against_the_strategy(base: Path) -> None:
    native = {"data": {"algoDef": {"algoParams": [{"name": "Noiseless", "value": "false"}]}}}
    for strategy, found in (("bayesian", []), ("random", ["refused"])):
        study = support.study_of("wmla", {"strategy": strategy}, native=native)
        plan = support.plan_of(study, base)
        assert plan.at(f"{SETTINGS}.native.data.algoDef.algoParams.0") == found


def test_findings_have_a_reason_without_a_full_stop(base: Path) -> None:
    """What is refused says what to do: no reason is empty, and none ends in a full stop."""
    for over, *_ in STUDIES:
        for backend in BOTH:
            plan = support.plan_of(support.study_of(backend, over), base)
            for item in plan.found:
                text = item.reason if isinstance(item, Finding) else item.text
                assert len(text) > 10
                assert not text.endswith(".")


def test_findings_name_the_definition_in_the_file(base: Path) -> None:
    parameters = {
        "kind": {"type": "categorical", "values": ["a", "b"]},
        "depth": [
            {"type": "int", "min": 1, "max": 5, "when": {"kind": "a"}},
            {"type": "int", "min": 1, "max": 5000, "scale": "log", "when": {"kind": "b"}},
        ],
    }
    plan = support.plan_of(support.study_of("wmla", {"parameters": parameters}), base)
    assert plan.at("parameters.depth.1.scale") == ["approximated"]


def test_deployment_jobs_stop_no_trial(base: Path) -> None:
    """What the plan drops, the run does not apply; hyperband needs a resource."""
    study = support.study_of("jobs", {"early_stopping": "median"})
    assert "each trial runs to its end" in support.plan_of(study, base).said("early_stopping")
    planned = planner.plan(study, "watson", base=base, emulated=True)
    assert planned.fitted.study.early_stopping is None
    strategy = {"name": "hyperband", "max": 27}
    plan = support.plan_of(support.study_of("jobs", {"strategy": strategy}), base)
    assert "name a resource" in plan.said("strategy.resource")
    assert plan.at("strategy.resource") == ["refused"]


@pytest.mark.parametrize(
    ("backend", "software", "refused"),
    [
        ("wml", "tensorflow_rt24.1-py3.11", True),
        ("jobs", "runtime-25.1-py3.12", False),
        ("jobs", "mine", False),
    ],
)
def test_a_specification_has_a_python_that_the_code_accepts(
    backend: str, software: str, base: Path, *, refused: bool
) -> None:
    header = "# /// script\n# requires-python = '>=3.12'\n# ///\n"
    (base / "train.py").write_text(header)
    plan = support.plan_of(support.study_of(backend, software_spec=software), base)
    path = "providers.watson.software_spec"
    assert ("refused" in plan.at(path)) == refused, plan.found
    if refused:
        assert plan.said(path) == (
            f"{software} has Python 3.11, and requires-python in train.py, line 2 needs >=3.12: "
            "choose another specification"
        )
