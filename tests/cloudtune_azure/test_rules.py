from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.study.schema import Mode
from tests.cloudtune_azure.support import plan_of, study_of

CASES: list[tuple[Mapping[str, Any], Mapping[str, Any], str, str]] = [
    ({}, {"subscription": "mine"}, "providers.azure.subscription", "refused"),
    ({}, {"workspace": "a/b"}, "providers.azure.workspace", "refused"),
    ({}, {"resource_group": "a?"}, "providers.azure.resource_group", "refused"),
    ({}, {"instance_type": "Standard_DS3_v2"}, "providers.azure.instance_type", "refused"),
    ({}, {"spot": True}, "providers.azure.spot", "refused"),
    ({}, {"image": "own:1"}, "providers.azure.image", "refused"),
    ({}, {"environment": "own:1"}, "providers.azure.environment", "refused"),
    ({}, {"conda_file": "good.yml"}, "providers.azure.conda_file", "refused"),
    *(
        (
            {},
            {"environment": None, "image": "a:1", "conda_file": file},
            "providers.azure.conda_file",
            kind,
        )
        for file, kind in (("none.yml", "refused"), ("bad.yml", "refused"), ("good.yml", ""))
    ),
    ({}, {"experiment": "a b"}, "providers.azure.experiment", "refused"),
    ({}, {"native": {"computeId": "x"}}, "providers.azure.native.computeId", "refused"),
    ({}, {"native": {"trial": {}}}, "providers.azure.native.trial", "note"),
    (
        {},
        {"native": {"properties": {"comand": "x"}}},
        "providers.azure.native.properties.comand",
        "refused",
    ),
    (
        {"trial": {"source": {"azure": "https://a.b/c"}, "script": "x.py"}},
        {},
        "trial.source",
        "refused",
    ),
    (
        {"trial": {"script": "x.py", "inputs": {"rows": "s3://a/b"}}},
        {},
        "trial.inputs.rows",
        "refused",
    ),
    (
        {"trial": {"script": "x.py", "env": {"T": {"from_env": "HOME"}}}},
        {},
        "trial.env.T",
        "refused",
    ),
    (
        {"trial": {"script": "x.py", "resources": {"memory": "1 GiB"}}},
        {},
        "trial.resources.memory",
        "dropped",
    ),
    ({}, {"compute": "azureml:cpu-cluster"}, "providers.azure.compute", "refused"),
    ({}, {"datastore": "a/b"}, "providers.azure.datastore", "refused"),
    ({"objective": {"metric": "a=b", "goal": "maximize"}}, {}, "trial.metrics", "refused"),
]


@pytest.mark.parametrize(
    ("blocks", "settings", "path", "kind"), CASES, ids=lambda case: str(case)[:50]
)
def test_what_does_not_fit_is_a_finding(
    blocks: Mapping[str, Any], settings: Mapping[str, Any], path: str, kind: str, tmp_path: Path
) -> None:
    (tmp_path / "good.yml").write_text("dependencies: [python=3.11]\n", "utf-8")
    (tmp_path / "bad.yml").write_text("- pip: [-i https://me:pass@host/simple]\n", "utf-8")
    found = plan_of(study_of(blocks, **settings), tmp_path).at(path)
    assert kind in found if kind else not found


@pytest.mark.parametrize(
    ("parameter", "kind"),
    [
        ({"type": "int", "min": 1, "max": 3}, "approximated"),
        ({"type": "int", "min": 1, "max": 300, "scale": "log"}, "approximated"),
        ({"type": "float", "min": 0.1, "max": 0.5, "step": 0.1}, "approximated"),
        ({"type": "int", "min": 0, "max": 2}, ""),
        ({"type": "float", "min": 1, "max": 3}, ""),
        ({"type": "categorical", "values": [1, 2, 3]}, ""),
        ({"type": "int", "min": 0, "max": 2**53}, ""),
        ({"type": "int", "min": 2**53 + 1, "max": 2**53 + 7}, "refused"),
        ({"type": "int", "min": -(2**53) - 1, "max": 0}, "refused"),
    ],
)
def test_values_that_azure_draws_less_often_or_rounds_are_findings(
    parameter: Mapping[str, Any], kind: str, tmp_path: Path
) -> None:
    (tmp_path / "train.py").touch()
    study = study_of({"parameters": {"k": parameter, "x": {"type": "float", "min": 0, "max": 1}}})
    found = plan_of(study, tmp_path, "managed").at("parameters.k")
    assert kind in found if kind else not found
    assert not plan_of(study, tmp_path).at("parameters.k")
    if kind != "refused":
        bayesian = study_of({"parameters": {"k": parameter}, "strategy": {"name": "bayesian"}})
        assert "approximated" not in plan_of(bayesian, tmp_path, "managed").at("parameters.k")


IMPORTED: Mapping[str, Any] = {
    "identity": {"type": "managed", "client_id": "x"},
    "queue_settings": {"job_tier": "spot"},
    "trial": {
        "environment_variables": {"A": "b"},
        "resources": {"instance_count": 4, "shm_size": "2g"},
        "distribution": {"type": "pytorch"},
    },
}
"""How an imported sweep job starts its trials."""


@pytest.mark.parametrize("mode", ["managed", "driven"])
def test_what_a_run_does_not_take_from_an_imported_job_is_dropped(
    mode: Mode, tmp_path: Path
) -> None:
    (tmp_path / "train.py").touch()
    plan = plan_of(study_of(native=IMPORTED), tmp_path, mode)
    paths = [f"providers.azure.native.{name}" for name in ("identity", "queue_settings")]
    names = ("environment_variables", "resources", "distribution")
    paths += [f"providers.azure.native.trial.{name}" for name in names]
    assert all("dropped" in plan.at(path) for path in paths)
    own = {"resources": {"instanceCount": 4}, "distribution": {"distributionType": "PyTorch"}}
    properties = {**({"trial": own} if mode == "managed" else own), "queueSettings": {}}
    study = study_of(
        {"trial": {"script": "train.py", "env": {"A": "b"}}},
        native={**IMPORTED, "properties": properties},
        identity="user",
    )
    assert not any("dropped" in plan_of(study, tmp_path, mode).at(path) for path in paths)
    one = {"trial": {"resources": {"instance_count": 1}}}
    assert not plan_of(study_of(native=one), tmp_path, mode).at(paths[3])


JOB: Mapping[str, Any] = {
    "compute": "azureml:gpu",
    "identity": {"type": "user_identity"},
    "trial": {"environment": "azureml:sk@latest", "resources": {"shm_size": "8g"}},
}


def test_a_run_takes_the_machine_of_an_imported_job_that_the_settings_lack(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    plan = plan_of(study_of(compute=None, environment=None, native=JOB), tmp_path)
    assert not plan.facts.lookup.missing_settings
    properties = plan.request["properties"]
    assert properties["computeId"].endswith("/computes/gpu")
    assert properties["environmentId"] == "azureml:sk@latest"
    assert properties["identity"] == {"identityType": "UserIdentity"}
    assert properties["resources"]["shmSize"] == "8g"
    assert not [each for each in plan.found if "dropped" in getattr(each, "kind", "")]
    own = {"instance_type": "Standard_DS3_v2", "image": "own:1", "identity": "managed"}
    study = study_of(compute=None, environment=None, native=JOB, shm_size="1g", **own)
    properties = plan_of(study, tmp_path).request["properties"]
    assert "computeId" not in properties
    assert "CliV2AnonymousEnvironment" in properties["environmentId"]
    assert properties["identity"] == {"identityType": "Managed"}
    assert properties["resources"]["shmSize"] == "1g"


def test_a_sweep_counts_reports_and_not_their_steps(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    stopping = {"rule": "median", "min_step": 50, "interval": 1}
    found = plan_of(study_of({"early_stopping": stopping}), tmp_path, "managed")
    assert "note" in found.at("early_stopping.min_step")
    assert not found.at("early_stopping.interval")


def test_a_plain_study_has_no_finding(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    assert not plan_of(study_of(), tmp_path).findings


def test_missing_settings_are_named_with_their_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    names = ("subscription", "resource_group", "workspace", "compute", "environment")
    plan = plan_of(study_of(**dict.fromkeys(names)), tmp_path)
    assert set(plan.facts.lookup.missing_settings) == set(names)
    monkeypatch.setenv("AZURE_WORKSPACE", "other")
    plan = plan_of(study_of(workspace=None), tmp_path)
    assert plan.facts.data["workspace"] == "other"
    assert not plan.facts.lookup.missing_settings
