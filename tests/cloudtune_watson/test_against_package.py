"""The request of a training against IBM's package: which fields it sends and drops."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloudtune_watson.versions import WATSONX_AI_VERSIONS
from cloudtune_watson.wml.native_rules import OTHER_TRAININGS, REQUIRED, TRAINING
from tests.cloudtune_watson import support


@pytest.fixture(scope="module")
def package() -> Any:
    """The module of ibm-watsonx-ai that makes the request of a training."""
    pytest.importorskip("ibm_watsonx_ai")
    return importlib.import_module("ibm_watsonx_ai.training").Training


@pytest.fixture
def request_made(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "train.py").touch()
    trial = {"script": "train.py", "inputs": {"x": {"watson": "mnist"}}}
    created: dict[str, Any] = support.plan_of(
        support.study_of("wml", {"trial": trial}), tmp_path
    ).request
    return created


def sent(package: Any, meta: dict[str, Any], space: str) -> dict[str, Any]:
    """Return what the package sends for a training."""
    names = importlib.import_module("ibm_watsonx_ai.metanames").TrainingConfigurationMetaNames()
    client = SimpleNamespace(default_space_id=space, default_project_id=None)
    self = SimpleNamespace(ConfigurationMetaNames=names, _client=client)
    created: dict[str, Any] = package._get_training_configuration_meta(self, meta)
    return created


def test_the_package_sends_the_complete_request(package: Any, request_made: dict[str, Any]) -> None:
    meta = {key: value for key, value in request_made.items() if key != "space_id"}
    assert sent(package, meta, request_made["space_id"]) == request_made


def test_the_package_sends_exactly_the_fields_that_native_accepts(
    package: Any, request_made: dict[str, Any]
) -> None:
    meta = {key: value for key, value in request_made.items() if key != "space_id"}
    more = dict.fromkeys([*TRAINING, "custom", "hyper_parameters_optimization"], "x")
    arrived = sent(package, {**meta, **more}, "s")
    assert {key for key in more if arrived.get(key) == "x"} == set(TRAINING)
    assert not OTHER_TRAININGS & set(TRAINING)


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_required_fields_are_required_by_the_package(
    package: Any, request_made: dict[str, Any], name: str
) -> None:
    meta = {key: value for key, value in request_made.items() if key != name}
    with pytest.raises(KeyError, match=name):
        sent(package, meta, "s")


def test_the_package_accepts_the_listed_versions() -> None:
    pytest.importorskip("ibm_watsonx_ai")
    known = importlib.import_module("ibm_watsonx_ai.utils.cpd_version").CPDVersion
    assert set(WATSONX_AI_VERSIONS) <= set(known.supported_version_list)
