"""The facts about the cluster and this machine, without calls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune_watson.backends import BACKENDS
from cloudtune_watson.versions import BackendName
from tests.cloudtune_watson import support
from tests.lookups import flat

BOTH: tuple[BackendName, ...] = ("wml", "wmla")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "train.py").write_text("x" * 100, "utf-8")
    (folder / "ca.pem").touch()
    return folder


def own(base: Path, backend: str, over: Mapping[str, Any] = {}, **settings: Any) -> Any:
    emulated = settings.pop("emulated", False)
    plan = support.plan_of(support.study_of(backend, over, **settings), base, emulated=emulated)
    return flat(plan.facts)


def bare(backend: str) -> dict[str, Any]:
    return {name: None for name in support.SETTINGS[backend] if name != "backend"}


@pytest.mark.parametrize("backend", BOTH)
def test_settings_are_used(backend: str, base: Path) -> None:
    found = own(base, backend)
    assert found["missing"] == {}
    for name, value in support.SETTINGS[backend].items():
        assert found[name] == value
    assert found["sign_in_url"] == found["url"]


@pytest.mark.parametrize("backend", BOTH)
def test_patch_versions_are_shortened(backend: str, base: Path) -> None:
    assert own(base, backend, version="5.1.3")["version"] == "5.1"


@pytest.mark.parametrize("backend", BOTH)
def test_missing_settings_are_placeholders(backend: BackendName, base: Path) -> None:
    required, stand_ins = BACKENDS[backend].required, BACKENDS[backend].stand_ins
    found = own(base, backend, **bare(backend))
    assert tuple(found["missing"]) == required
    assert all(found[name] == f"{{{{{name}}}}}" for name in required)
    emulated = own(base, backend, **bare(backend), emulated=True)
    assert tuple(emulated["missing"]) == required
    assert all(emulated[name] == stand_ins[name] for name in required)


def test_a_project_replaces_a_space(base: Path) -> None:
    assert own(base, "wml", space_id=None, project_id="p")["missing"] == {}
    assert own(base, "wmla", version="standalone")["missing"].keys() == {"instance_group"}


def test_the_key_is_not_in_the_facts(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "s3cr3t-value")
    monkeypatch.delenv("WATSONX_APIKEY", raising=False)
    assert not own(base, "wml")["key_is_set"]
    found = own(base, "wml", key_variable="MY_KEY")
    assert found["key_is_set"]
    assert "s3cr3t-value" not in str(found)


def test_a_certificate_path_is_relative_to_the_study(base: Path) -> None:
    found = own(base, "wml", certificate="ca.pem")
    assert found["certificate"] == str(base / "ca.pem")
    assert found["certificate_is_there"]
    assert not own(base, "wml", certificate="no.pem")["certificate_is_there"]
    assert own(base, "wml")["certificate"] is None


def test_a_volume_address_wins_except_on_the_emulator(base: Path) -> None:
    (base / "data").mkdir()
    inputs = {"x": {"local": "data", "watson": "mnist"}}
    trial = {"trial": {"script": "train.py", "inputs": inputs}}
    assert own(base, "wml", trial)["inputs"] == {"x": "mnist"}
    assert own(base, "wml", trial)["uploads"] == {}
    assert own(base, "wml", trial, emulated=True)["uploads"] == {"x": str(base / "data")}
    assert own(base, "wml", trial, emulated=True)["absent_inputs"] == ["x"]
