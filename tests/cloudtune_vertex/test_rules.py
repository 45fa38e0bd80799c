"""The rules of Vertex AI, each with the path of its field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.study.schema import Mode
from cloudtune_vertex.rules import native as native_rules
from tests.cloudtune_vertex import support

BOTH: tuple[Mode, ...] = ("managed", "driven")
MANAGED: tuple[Mode, ...] = ("managed",)
DRIVEN: tuple[Mode, ...] = ("driven",)


HERE = "providers.vertex"
PREDICTION = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-0:latest"
CODE = {"script": "train.py"}
BOOL = {"type": "bool"}
KEY = "projects/p/locations/{}/keyRings/r/cryptoKeys/k"


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GOOGLE_CLOUD_PROJECT", "CLOUD_ML_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("GOOGLE_CLOUD_REGION", "CLOUD_ML_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no-gcloud"))
    monkeypatch.setenv("SET_TO_NOTHING", "")
    folder = tmp_path / "study"
    (folder / "empty").mkdir(parents=True)
    (folder / "train.py").touch()
    return folder


def words(*values: Any) -> dict[str, Any]:
    return {"type": "categorical", "values": list(values)}


def limits(**more: Any) -> dict[str, Any]:
    given = {"max_trials": 5, "trial_timeout": "10m", "max_failed_trials": 1, **more}
    return {"limits": {name: value for name, value in given.items() if value is not None}}


def variables(count: int) -> dict[str, Any]:
    return {"trial": {**CODE, "env": {f"V{n}": "1" for n in range(count)}}}


SETTINGS: list[tuple[dict[str, Any], str, str, tuple[Mode, ...]]] = [
    ({"project": None}, "project", "refused", BOTH),
    ({"project": "My Project"}, "project", "refused", BOTH),
    ({"location": None}, "location", "refused", BOTH),
    ({"location": "global"}, "location", "refused", BOTH),
    ({"location": "us-central1-a"}, "location", "refused", BOTH),
    ({"location": "us-cental1"}, "location", "refused", BOTH),
    ({"location": "europe-west40"}, "location", "refused", BOTH),
    ({"bucket": None}, "bucket", "refused", BOTH),
    ({"bucket": "gs://bucket"}, "bucket", "refused", BOTH),
    ({"bucket": "ab"}, "bucket", "refused", BOTH),
    ({"bucket": "b" * 64}, "bucket", "refused", BOTH),
    ({"bucket": ".".join(["b" * 63] * 4)}, "bucket", "refused", BOTH),
    ({"bucket": "goog-x"}, "bucket", "refused", BOTH),
    ({"bucket": "my-google-x"}, "bucket", "refused", BOTH),
    ({"bucket": "10.0.0.1"}, "bucket", "refused", BOTH),
    ({"prefix": "a\nb"}, "prefix", "refused", BOTH),
    ({"prefix": "ü" * 480}, "prefix", "refused", BOTH),
    ({"image": None}, "image", "refused", BOTH),
    ({"image": "a b"}, "image", "refused", BOTH),
    ({"image": "xgboost"}, "image", "refused", BOTH),
    ({"image": f"{support.PREBUILT}:1"}, "image", "refused", BOTH),
    ({"image": f"{support.OWN_IMAGE}@sha256:12"}, "image", "refused", BOTH),
    ({"image": "us-docker.pkg.dev/Vertex-AI/training/x"}, "image", "refused", BOTH),
    ({"image": "us-docker.pkg.dev/my-project/train:1"}, "image", "refused", BOTH),
    ({"image": support.OWN_IMAGE}, "image", "note", BOTH),
    ({"image": PREDICTION}, "image", "note", BOTH),
    ({"machine_type": None}, "machine_type", "refused", BOTH),
    ({"machine_type": "N1 standard"}, "machine_type", "refused", BOTH),
    ({"machine_type": "n1-standard"}, "machine_type", "refused", BOTH),
    ({"machine_type": "ml.m5.xlarge"}, "machine_type", "refused", BOTH),
    ({"machine_type": "standard_gpu"}, "machine_type", "refused", BOTH),
    ({"disk_gb": 99}, "disk_gb", "refused", BOTH),
    ({"disk_gb": 64_001}, "disk_gb", "refused", BOTH),
    ({"service_account": "trainer"}, "service_account", "refused", BOTH),
    ({"service_account": "me@example.com"}, "service_account", "refused", BOTH),
    ({"impersonate": "a b@p.iam.gserviceaccount.com"}, "impersonate", "refused", BOTH),
    ({"accelerator_count": 1}, "accelerator_count", "refused", BOTH),
    ({"accelerator_type": "NVIDIA_T4"}, "accelerator_type", "refused", BOTH),
    ({"accelerator_type": "TPU_V3"}, "accelerator_type", "refused", MANAGED),
    ({"machine_type": "cloud-tpu"}, "machine_type", "refused", MANAGED),
    ({"machine_type": "ct5lp-hightpu-4t"}, "machine_type", "refused", MANAGED),
    ({"machine_type": "tpu7x-standard-4t"}, "machine_type", "refused", MANAGED),
    ({"accelerator_type": "NVIDIA_TESLA_K80"}, "accelerator_type", "note", BOTH),
    ({"spot": True, "flex_start": True}, "flex_start", "refused", BOTH),
    ({"max_wait": "1h"}, "max_wait", "dropped", BOTH),
    ({"spot": True, "max_wait": "1h"}, "max_wait", "dropped", BOTH),
    ({"spot": True}, "spot", "note", BOTH),
    ({"persistent_resource": "pool"}, "persistent_resource", "dropped", MANAGED),
    ({"persistent_resource": "pool"}, "persistent_resource", "note", DRIVEN),
    ({"persistent_resource": "a/b"}, "persistent_resource", "refused", DRIVEN),
    ({"persistent_resource": "pool", "spot": True}, "persistent_resource", "refused", DRIVEN),
    ({"network": "default"}, "network", "refused", BOTH),
    ({"network": "projects/my-project/global/networks/n"}, "network", "refused", BOTH),
    ({"kms_key": "key"}, "kms_key", "refused", BOTH),
    ({"kms_key": KEY.format("europe-west4")}, "kms_key", "refused", BOTH),
    ({"labels": {f"k{n}": "v" for n in range(64)}}, "labels", "refused", BOTH),
    ({"labels": {f"k{n}": "v" for n in range(63)}}, "labels", "refused", DRIVEN),
    ({"labels": {"": "v"}}, "labels.", "refused", BOTH),
    ({"labels": {"Team": "v"}}, "labels.Team", "refused", BOTH),
    ({"labels": {"_st": "v"}}, "labels._st", "refused", BOTH),
    ({"labels": {"team": "大" * 43}}, "labels.team", "refused", BOTH),  # 129 bytes
    ({"labels": {"k" * 64: "v"}}, f"labels.{'k' * 64}", "refused", BOTH),
    ({"labels": {"-team": "v"}}, "labels.-team", "refused", BOTH),
    ({"labels": {"te.am": "v"}}, "labels.te.am", "refused", BOTH),
    ({"labels": {"team": "e\u0301"}}, "labels.team", "refused", BOTH),  # a letter and its accent
    ({"labels": {"team": "ʰ"}}, "labels.team", "refused", BOTH),  # a letter that modifies another
    ({"labels": {"team": "A"}}, "labels.team", "refused", BOTH),
    ({"labels": {"team": "ü" * 64}}, "labels.team", "refused", BOTH),
    ({"labels": {"cloudtune-run": "v"}}, "labels.cloudtune-run", "refused", BOTH),
]
RIGHT: list[dict[str, Any]] = [
    {},
    {"project": "example.com:my-project"},
    {"bucket": f"{'b' * 63}.example.com"},
    {"prefix": ""},
    {"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 4},
    {"flex_start": True, "max_wait": "6h"},
    {"location": "us-west8"},
    {"machine_type": "a3-megagpu-8g", "disk_gb": 64_000},
    {"machine_type": "a3-ultragpu-8g-nolssd", "disk_gb": 100},
    {"service_account": "12345-compute@developer.gserviceaccount.com"},
    {
        "service_account": "a@p.iam.gserviceaccount.com",
        "impersonate": "p@appspot.gserviceaccount.com",
    },
    {"network": "projects/12345/global/networks/my-net"},
    {"kms_key": KEY.format("us-central1")},
    {"labels": {"team": "", "größe": "x_1-y"} | {f"k{n}": "v" for n in range(60)}},
    {"labels": {"日本": "٣-²", "ª": "-_", "k" * 63: "ü" * 63}},
]


@pytest.mark.parametrize(("settings", "path", "kind", "modes"), SETTINGS)
def test_settings(
    settings: dict[str, Any], path: str, kind: str, modes: tuple[Mode, ...], base: Path
) -> None:
    for mode in BOTH:
        plan = support.plan_of(support.study_of(**settings), base, mode)
        assert (kind in plan.at(f"{HERE}.{path}")) == (mode in modes), plan.found


@pytest.mark.parametrize("settings", RIGHT)
def test_valid_settings_have_no_findings(settings: dict[str, Any], base: Path) -> None:
    for mode in BOTH:
        found = support.plan_of(support.study_of(**settings), base, mode).found
        others = [item for item in found if "the default quota" not in str(item)]
        assert others == []


GRID = {"strategy": {"name": "grid"}}
NINE = {"type": "int", "min": 1, "max": 9}
STUDIES: list[tuple[dict[str, Any], str, str, tuple[Mode, ...]]] = [
    ({"parameters": {"a b": BOOL}}, "parameters.a b", "refused", MANAGED),
    (
        {"parameters": {"a=b": BOOL}, "trial": {**CODE, "arguments": "json"}},
        "parameters.a=b",
        "refused",
        BOTH,
    ),
    (
        {"parameters": {"a": {"type": "discrete", "values": [1, 1 + 1e-11]}}},
        "parameters.a.values",
        "refused",
        MANAGED,
    ),
    (
        {"parameters": {"a": {"type": "int", "min": 0, "max": 2**53 + 1}}},
        "parameters.a",
        "refused",
        MANAGED,
    ),
    (
        {"parameters": {"a": {"type": "discrete", "values": [1, 2**53 + 1]}}},
        "parameters.a",
        "refused",
        MANAGED,
    ),
    ({"parameters": {"a": words(*range(1001))}}, "parameters.a.values", "refused", MANAGED),
    ({"parameters": {"a": words(1, "1")}}, "parameters.a.values", "refused", BOTH),
    (
        {"parameters": {"a": {"type": "int", "min": -1, "max": 5, "scale": "reverse_log"}}},
        "parameters.a.scale",
        "approximated",
        MANAGED,
    ),
    (
        {"parameters": {"a": {"type": "discrete", "values": [0, 5], "scale": "reverse_log"}}},
        "parameters.a.scale",
        "approximated",
        MANAGED,
    ),
    (
        {**GRID, "parameters": {"a": {"type": "float", "min": 0, "max": 1, "step": 1e-4}}},
        "parameters.a",
        "refused",
        MANAGED,
    ),
    ({**GRID, "parameters": {"a": NINE}, **limits()}, "limits.max_trials", "approximated", MANAGED),
    (
        {**GRID, "parameters": {"a": NINE}, **limits(max_trials=10)},
        "limits.max_trials",
        "note",
        MANAGED,
    ),
    ({"parameters": {"a": NINE}, **limits(max_trials=10)}, "limits.max_trials", "note", MANAGED),
    (
        {"objective": {"metric": "a b", "goal": "minimize"}},
        "objective.metric",
        "refused",
        MANAGED,
    ),
    *(
        ({"objective": {"metric": name, "goal": "minimize"}}, "objective.metric", kind, modes)
        for name in ("checkpoint_path", "global_step", "timestamp", "trial")
        for kind, modes in (("refused", MANAGED), ("note", DRIVEN))
    ),
    (
        {"objective": [{"metric": name, "goal": "minimize"} for name in ("loss", "trial")]},
        "objective.1.metric",
        "note",
        DRIVEN,
    ),
    (
        {"objective": {"metric": "a", "goal": "minimize", "target": 1}},
        "objective.target",
        "note",
        MANAGED,
    ),
    (
        {
            "objective": [
                {"metric": "a", "goal": "minimize"},
                {"metric": "b", "goal": "minimize", "select": "best"},
            ],
            "trial": {"source": {"vertex": "gs://b/c.tar.gz"}, "module": "trainer.task"},
        },
        "objective.1.select",
        "approximated",
        MANAGED,
    ),
    (
        {
            "objective": [
                {"metric": "a", "goal": "minimize"},
                {"metric": "b", "goal": "minimize"},
            ],
            **limits(patience=3),
        },
        "limits.patience",
        "dropped",
        MANAGED,
    ),
    ({"strategy": {"name": "random", "seed": 3}}, "strategy.seed", "dropped", MANAGED),
    ({"strategy": "genetic"}, "strategy.name", "refused", MANAGED),
    ({"strategy": {"name": "hyperband", "max": 9}}, "strategy.name", "refused", MANAGED),
    ({"strategy": {"name": "hyperband", "max": 9}}, "strategy.name", "note", DRIVEN),
    ({"initial_trials": [{"lr": 0.01}]}, "initial_trials", "dropped", MANAGED),
    ({"early_stopping": "median"}, "early_stopping", "note", BOTH),
    ({"early_stopping": "bandit"}, "early_stopping", "dropped", MANAGED),
    (
        {"early_stopping": {"rule": "median", "min_trials": 3}},
        "early_stopping.min_trials",
        "dropped",
        MANAGED,
    ),
    (limits(max_trials=None, timeout="1h"), "limits.max_trials", "refused", MANAGED),
    (limits(max_trials=2**31), "limits.max_trials", "refused", MANAGED),
    (limits(parallel_trials=2**31), "limits.parallel_trials", "refused", MANAGED),
    (limits(patience=2**31), "limits.patience", "refused", MANAGED),
    (limits(max_failed_trials=None), "limits.max_failed_trials", "note", MANAGED),
    (limits(timeout="1h"), "limits.timeout", "note", MANAGED),
    (limits(patience=3), "limits.patience", "note", MANAGED),
    (limits(trial_timeout=None), "limits.trial_timeout", "note", BOTH),
    ({"trial": {"script": "no.py"}}, "trial.script", "refused", BOTH),
    ({"trial": {**CODE, "source": {"sagemaker": "s3://b/c"}}}, "trial.source", "refused", BOTH),
    ({"trial": {**CODE, "resources": {"gpus": 1}}}, "trial.resources.gpus", "dropped", BOTH),
    ({"trial": {**CODE, "inputs": {"x": {"local": "no"}}}}, "trial.inputs.x", "refused", BOTH),
    ({"trial": {**CODE, "inputs": {"x": {"local": "empty"}}}}, "trial.inputs.x", "refused", BOTH),
    (
        {"trial": {**CODE, "inputs": {"x": {"sagemaker": "s3://b/c"}}}},
        "trial.inputs.x",
        "refused",
        BOTH,
    ),
    ({"trial": {**CODE, "inputs": {"x": "s3://b/c"}}}, "trial.inputs.x", "refused", BOTH),
    ({"trial": {**CODE, "inputs": {"x": {"local": "."}}}}, "trial.inputs.x", "note", BOTH),
    (variables(101), "trial.env", "refused", BOTH),
    (variables(100), "trial.env", "refused", DRIVEN),
    (
        {"trial": {**CODE, "env": {"AIP_MODEL_DIR": "x"}}},
        "trial.env.AIP_MODEL_DIR",
        "refused",
        BOTH,
    ),
    (
        {"trial": {**CODE, "env": {"X": ""}}},
        "trial.env.X",
        "refused",
        BOTH,
    ),
    (
        {"trial": {**CODE, "env": {"X": {"from_env": "SET_TO_NOTHING"}}}},
        "trial.env.X",
        "refused",
        BOTH,
    ),
    (
        {"trial": {**CODE, "env": {"X": {"from_env": "NOT_SET_ANYWHERE"}}}},
        "trial.env",
        "refused",
        BOTH,
    ),
]


@pytest.mark.parametrize(("over", "path", "kind", "modes"), STUDIES)
def test_studies(
    over: dict[str, Any], path: str, kind: str, modes: tuple[Mode, ...], base: Path
) -> None:
    for mode in BOTH:
        plan = support.plan_of(support.study_of(over), base, mode)
        assert (kind in plan.at(path)) == (mode in modes), plan.found


ELSEWHERE = {"source": {"vertex": "gs://code/trainer.tar.gz"}, "module": "trainer.task"}
WITHOUT_LAUNCHER: list[tuple[dict[str, Any], str, str]] = [
    ({}, "objective", "note"),
    ({}, "parameters", "note"),
    ({"arguments": "json"}, "trial.arguments", "dropped"),
    ({"requirements": "r.txt"}, "trial.requirements", "dropped"),
    ({"metrics": {"accuracy": "a=(.*)"}}, "trial.metrics.accuracy", "dropped"),
    ({"args": ["--lr", "{{lr}}"]}, "trial.args.1", "refused"),
    ({"args": ["x" * 100_001]}, "trial.args", "refused"),
]


@pytest.mark.parametrize(("trial", "path", "kind"), WITHOUT_LAUNCHER)
@pytest.mark.parametrize("code", [ELSEWHERE, {}], ids=["package", "image"])
def test_findings_without_the_launcher(
    code: dict[str, Any], trial: dict[str, Any], path: str, kind: str, base: Path
) -> None:
    study = support.study_of({"trial": {**code, **trial}})
    assert kind in support.plan_of(study, base).at(path)
    assert support.plan_of(study, base, "driven").at(f"{HERE}.mode") == ["refused"]


def test_a_value_that_argparse_drops_is_refused_without_the_launcher(base: Path) -> None:
    over = {"constants": {"sep": "--", "mode": "-x"}}
    for code, refused in ((ELSEWHERE, ["refused"]), (CODE, [])):
        study = support.study_of({"trial": {**code, "arguments": "json"}, **over})
        plan = support.plan_of(study, base)
        assert plan.at("constants.sep") == refused
        assert plan.at("constants.mode") == []


@pytest.mark.parametrize(
    ("trial", "settings", "path"),
    [
        ({"source": "s3://code/trainer.tar.gz"}, {}, "trial.source"),
        ({}, {"image": support.OWN_IMAGE}, "trial.source"),
        ({"module": None, "script": "train.py"}, {}, "trial.script"),
        ({"module": None, "command": ["sh", "x"]}, {}, "trial.command"),
    ],
)
def test_a_package_in_cloud_storage_needs_a_module_and_a_prebuilt_image(
    trial: dict[str, Any], settings: dict[str, Any], path: str, base: Path
) -> None:
    study = support.study_of({"trial": {**ELSEWHERE, **trial}}, **settings)
    assert support.plan_of(study, base).at(path) == ["refused"]


def test_the_emulator_refuses_code_and_inputs_in_cloud_storage(base: Path) -> None:
    def refused(trial: dict[str, Any]) -> set[str]:
        study = support.study_of({"trial": trial})
        plan = support.plan_of(study, base, emulated=True)
        return {item.path for item in plan.found if getattr(item, "kind", "") == "refused"}

    assert refused(ELSEWHERE) == {"trial.source"}
    assert refused({}) == {f"{HERE}.image"}
    assert refused({**CODE, "inputs": {"x": "gs://data/x"}}) == {"trial.inputs.x"}
    both = {**CODE, "inputs": {"x": {"local": ".", "vertex": "gs://data/x"}}}
    assert refused(both) == set()


def test_an_image_without_the_launcher_gets_inactive_parameters(base: Path) -> None:
    parameters = {"a": BOOL, "b": BOOL, "c": {**BOOL, "when": {"a": True, "b": True}}}
    alone = support.study_of({"parameters": parameters, "trial": {}})
    assert support.plan_of(alone, base).at("parameters") == ["note", "approximated"]
    assert (
        support.plan_of(support.study_of({"parameters": parameters}), base).at("parameters") == []
    )


POOLS = {"workerPoolSpecs": [{"replicaCount": "4"}]}


@pytest.mark.parametrize(
    ("settings", "budget", "kind"),
    [
        ({}, "5 USD", "note"),
        ({}, "5 EUR", "refused"),
        ({"spot": True}, "5 USD", "refused"),
        ({"machine_type": "n1-standard-16"}, "5 USD", "refused"),
        ({"machine_type": "n1-standard-16", "prices": {"hour": "1 USD"}}, "5 USD", "note"),
        ({"native": {"customJob": {"jobSpec": POOLS}}}, "5 USD", "refused"),
        (
            {"native": {"customJob": {"jobSpec": POOLS}}, "prices": {"hour": "1 USD"}},
            "5 USD",
            "note",
        ),
    ],
)
def test_a_budget_needs_a_price_in_its_currency(
    settings: dict[str, Any], budget: str, kind: str, base: Path
) -> None:
    study = support.study_of(limits(max_cost=budget), **settings)
    for mode in BOTH:
        assert set(support.plan_of(study, base, mode).at("limits.max_cost")) == {kind}
    assert support.plan_of(study, base, emulated=True).at("limits.max_cost") == []


def test_a_budget_says_that_it_does_not_count_idle_persistent_resources(base: Path) -> None:
    study = support.study_of(limits(max_cost="5 USD"), persistent_resource="pool")
    driven, managed = (support.plan_of(study, base, mode) for mode in ("driven", "managed"))
    assert driven.at("limits.max_cost") == ["note", "note"]
    assert managed.at("limits.max_cost") == ["note"]


JOB = "hyperparameterTuningJob"


@pytest.mark.parametrize(
    ("native", "where"),
    [
        ({"studySpec": {"observationNoise": "LOW"}}, "studySpec.observationNoise"),
        (
            {"studySpec": {"parameters": [{"doubleValueSpec": {"defaultValue": 0.1}}]}},
            "studySpec.parameters.0.doubleValueSpec.defaultValue",
        ),
        (
            {"trialJobSpec": {"workerPoolSpecs": [{"machineSpec": {"tpuTopology": "2x2"}}]}},
            "trialJobSpec.workerPoolSpecs.0.machineSpec.tpuTopology",
        ),
        (
            {"trialJobSpec": {"workerPoolSpecs": [{"machineSpec": {"acceleratorType": "TPU_V3"}}]}},
            "trialJobSpec.workerPoolSpecs.0.machineSpec.acceleratorType",
        ),
        (
            {"trialJobSpec": {"workerPoolSpecs": [{"machineSpec": {"machineType": "ct6e-x-1t"}}]}},
            "trialJobSpec.workerPoolSpecs.0.machineSpec.machineType",
        ),
    ],
)
def test_unsupported_fields_are_found_without_googles_types(
    native: dict[str, Any], where: str, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_rules, "has_types", lambda: False)
    plan = support.plan_of(support.study_of(native={JOB: native}), base)
    assert plan.at(f"{HERE}.native.{JOB}.{where}") == ["refused"]
    assert plan.at(f"{HERE}.native") == ["note"]
    assert "cloudtune[vertex]" in plan.said(f"{HERE}.native")


def test_the_plan_notes_that_early_stopping_is_delayed(base: Path) -> None:
    study = support.study_of({"early_stopping": "median"})
    said = support.plan_of(study, base, "driven").said("early_stopping")
    assert "every 5s" in said
    assert "every 15s" in said


def test_an_image_for_predictions_is_treated_as_custom(base: Path) -> None:
    plan = support.plan_of(support.study_of(image=PREDICTION), base)
    assert "for predictions" in plan.said(f"{HERE}.image")
    assert "containerSpec" in support.job_of(plan)["trialJobSpec"]["workerPoolSpecs"][0]


@pytest.mark.parametrize(
    "address",
    [
        "gcr.io/example.com/my-project/train",
        "docker.io/library/python:3.12-slim",
        f"{support.OWN_IMAGE}@sha256:{'a' * 64}",
    ],
)
def test_addresses_of_images(address: str, base: Path) -> None:
    plan = support.plan_of(support.study_of(image=address), base)
    assert "refused" not in plan.at(f"{HERE}.image"), plan.found


def test_a_region_that_is_nearly_one_is_suggested(base: Path) -> None:
    plan = support.plan_of(support.study_of(location="us-cental1"), base)
    reasons = [f.reason for f in plan.findings if f.path == f"{HERE}.location"]
    assert reasons == ["us-cental1 is not a region of Vertex AI; did you mean us-central1?"]


def test_a_region_that_is_newer_than_the_list_is_noted(base: Path) -> None:
    plan = support.plan_of(support.study_of(location="northamerica-south1"), base)
    assert plan.at(f"{HERE}.location") == ["note"]
    assert plan.said(f"{HERE}.location").startswith("northamerica-south1 is not among the regions")


@pytest.mark.parametrize(
    ("python", "needs", "refused"),
    [("py310", "3.11", True), ("py311", "3.11", False), ("py310", "3.9", False)],
)
def test_an_image_with_an_older_python_than_the_code_is_refused(
    python: str, needs: str, base: Path, *, refused: bool
) -> None:
    (base / "pyproject.toml").write_text(f'[project]\nrequires-python = ">={needs}"\n', "utf-8")
    image = f"us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.{python}:latest"
    for mode in BOTH:
        plan = support.plan_of(support.study_of(image=image), base, mode)
        assert ("refused" in plan.at(f"{HERE}.image")) == refused, plan.found


@pytest.mark.parametrize(
    ("settings", "parallel", "quota"),
    [
        ({"machine_type": "n1-standard-4"}, 5, ""),
        ({"machine_type": "n1-standard-4"}, 6, "24 CPUs (custom_model_training_cpus)"),
        ({"machine_type": "c2-standard-30"}, 1, "30 CPUs (custom_model_training_c2_cpus)"),
        (
            {"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 2},
            2,
            "4 accelerators (custom_model_training_nvidia_t4_gpus)",
        ),
    ],
)
def test_quotas_that_the_trials_may_exceed_are_named(
    settings: dict[str, Any], parallel: int, quota: str, base: Path
) -> None:
    study = support.study_of(limits(parallel_trials=parallel), **settings)
    texts = [str(each) for each in support.plan_of(study, base).found]
    assert any(quota in text for text in texts) if quota else "quota" not in str(texts)


def test_findings_name_the_definition_in_the_file(base: Path) -> None:
    parameters = {
        "kind": {"type": "categorical", "values": ["a", "b"]},
        "rate": [
            {"type": "float", "min": 1, "max": 1, "when": {"kind": "a"}},
            {"type": "float", "min": 0, "max": 1, "scale": "reverse_log", "when": {"kind": "b"}},
        ],
    }
    plan = support.plan_of(support.study_of({"parameters": parameters}), base)
    assert plan.at("parameters.rate.1.scale") == ["approximated"]
