"""The rules of Ray, each with the field of its finding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune_ray.uploads import MAX_PACKAGE
from tests.cloudtune_ray.support import plan_of, study_of


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "train.py").write_text("")
    (tmp_path / "needs.txt").write_text("six\n-c more.txt\n")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "kind", "over", "settings"),
    [
        ("providers.ray.address", "refused", {}, {"address": "http://a:8265,http://b:8265"}),
        ("providers.ray.address", "refused", {}, {"address": "ray://head:10001"}),
        ("providers.ray.address", "refused", {}, {"address": "head:8265"}),
        ("providers.ray.address", "refused", {}, {"address": "http://head:6379"}),
        ("providers.ray.address", "refused", {}, {"address": "http://head:port"}),
        ("providers.ray.address", "refused", {}, {"address": "https://me@head"}),
        ("providers.ray.address", "refused", {}, {"address": "https://head/?token=1"}),
        ("providers.ray.certificate", "dropped", {}, {"certificate": "ca.pem"}),
        (
            "providers.ray.certificate",
            "refused",
            {},
            {"address": "https://head", "certificate": "ca.pem"},
        ),
        ("providers.ray.token_variable", "note", {}, {"token_variable": "MY_TOKEN"}),
        ("providers.ray.storage", "refused", {}, {"storage": "s3://bucket/folder"}),
        (
            "providers.ray.label_selector.zone",
            "refused",
            {},
            {"label_selector": {"zone": "in(a,,b)"}},
        ),
        ("providers.ray.storage", "note", {}, {}),
        (
            "strategy.resource",
            "approximated",
            {"strategy": {"name": "hyperband", "resource": "epochs", "max": 9}},
            {},
        ),
        ("limits.parallel_trials", "note", {"limits": {"parallel_trials": 31}}, {}),
        (
            "trial.env.TOKEN",
            "refused",
            {"trial": {"script": "train.py", "env": {"TOKEN": {"from_env": "HOME"}}}},
            {},
        ),
        (
            "trial.env.TOKEN",
            "note",
            {"trial": {"script": "train.py", "env": {"TOKEN": {"from_env": "HOME"}}}},
            {"visible_secrets": True},
        ),
        (
            "trial.requirements",
            "refused",
            {"trial": {"script": "train.py", "requirements": "needs.txt"}},
            {},
        ),
        (
            "trial.source",
            "refused",
            {"trial": {"script": "train.py", "source": {"ray": "s3://bucket/code.zip"}}},
            {},
        ),
        (
            "trial.inputs.data",
            "note",
            {"trial": {"script": "train.py", "inputs": {"data": {"local": "train.py"}}}},
            {},
        ),
        (
            "parameters.a=b",
            "refused",
            {
                "parameters": {"a=b": {"type": "bool"}},
                "trial": {"script": "train.py", "arguments": "json"},
            },
            {},
        ),
        ("providers.ray.native.entrypoint_cpus", "refused", {}, {"native": {"entrypoint_cpus": 1}}),
        (
            "providers.ray.native.runtime_env.pips",
            "refused",
            {},
            {"native": {"runtime_env": {"pips": []}}},
        ),
        (
            "providers.ray.native.runtime_env.mine",
            "note",
            {},
            {"native": {"runtime_env": {"mine": 1}}},
        ),
        ("providers.ray.native.run_config", "note", {}, {"native": {"run_config": {}}}),
    ],
)
def test_a_problem_is_found_at_its_field(
    base: Path, path: str, kind: str, over: dict[str, Any], settings: dict[str, Any]
) -> None:
    assert plan_of(study_of(over, **settings), base).at(path) == [kind]


@pytest.mark.parametrize(
    "selector", ["spot", "!spot", "in(a, b)", "!in(a,b)", "A100-80GB", "inside", ""]
)
def test_a_selector_of_ray_is_accepted(base: Path, selector: str) -> None:
    study = study_of(label_selector={"zone": selector}, storage="/shared")
    assert not plan_of(study, base).found


@pytest.mark.parametrize("address", ["http://127.0.0.1:8265", "https://ray.example.com/cluster"])
def test_a_good_study_has_no_findings(base: Path, address: str) -> None:
    plan = plan_of(study_of(address=address, storage="/shared"), base)
    assert not plan.found


def test_a_token_over_http_to_another_machine_is_noted(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "s3cr3t")
    plan = plan_of(study_of(address="http://head:8265", storage="/shared"), base)
    assert "unencrypted" in plan.said("providers.ray.address")
    assert not plan_of(study_of(storage="/shared"), base).found


def test_code_above_the_limit_of_a_package_is_refused_with_the_way_out(base: Path) -> None:
    with (base / "big.bin").open("wb") as file:
        file.truncate(MAX_PACKAGE + 1)
    plan = plan_of(study_of(), base)
    assert "refused" in plan.at("trial.source")
    assert ".cloudtuneignore" in plan.said("trial.source")


def test_the_address_is_that_of_rays_own_variable(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(address=None)
    assert "address" in plan_of(study, base).facts.lookup.missing_settings
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://head:8265/")
    assert plan_of(study, base).facts.data["address"] == "http://head:8265"


def test_the_emulator_needs_no_settings(base: Path) -> None:
    plan = plan_of(study_of(address=None), base, emulated=True)
    assert not plan.facts.lookup.missing_settings
