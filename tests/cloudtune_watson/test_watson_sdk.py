"""The emulator under clients that nobody here wrote, and that nothing was changed in.

``ibm_watsonx_ai.APIClient`` of this environment, and ``ibm_watson_machine_learning.APIClient`` of
one of its own, since its pins hold others back: the Python that is named in
``CLOUDTUNE_WML_PYTHON``, or one that is made once below pytest's cache, which needs a package
index. What they are asked to do stands in ``sdk/client.py``.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.emulator_server import address_of
from tests.sdk_clients import run_client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SDK = Path(__file__).parent / "sdk"
VERIFY = ("WX_CLIENT_VERIFY_REQUESTS", "WML_CLIENT_VERIFY_REQUESTS")
Use = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """The address of an emulator."""
    yield from address_of("cloudtune_watson.emulator", tmp_path_factory.mktemp("emulator"))


@pytest.fixture(scope="module", params=["watsonx", "wml"])
def sdk(request: pytest.FixtureRequest, python_with: Callable[[str, str], str]) -> tuple[str, str]:
    """Which package, and the Python that has it."""
    kind: str = request.param
    if kind == "watsonx":
        pytest.importorskip("ibm_watsonx_ai")
        return kind, sys.executable
    if sys.version_info >= (3, 13) and "CLOUDTUNE_WML_PYTHON" not in os.environ:
        pytest.skip("ibm-watson-machine-learning needs a Python below 3.13")
    return kind, python_with("watson-sdk", "CLOUDTUNE_WML_PYTHON")


@pytest.fixture(scope="module")
def use(
    sdk: tuple[str, str], emulator: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Use:
    """Runs a function of the client once, and sees to it that it reaches the emulator alone."""
    kind, python = sdk

    @functools.cache
    def run(name: str, *, trusts: bool = True) -> dict[str, Any]:
        home = tmp_path_factory.mktemp(f"{kind}-{name}")
        command = [python, str(SDK / "client.py"), kind, name]
        env: dict[str, str] = {} if trusts else dict.fromkeys(VERIFY, "True")
        result: dict[str, Any] = run_client(command, home, emulator, name, env)[0]
        return result

    return run


def test_the_client_is_kept_from_everything_else(use: Use) -> None:
    assert use("guarded") == {"refused": True}


@pytest.mark.parametrize("what", ["whole", "in_project"])
def test_a_definition_is_stored_run_and_read(use: Use, sdk: tuple[str, str], what: str) -> None:
    told = use(what)
    assert told["name"] == "mine"
    assert told["command"] == "train.py"
    assert "mine" in told["listed"]
    assert told["same"] is True
    status = told["status"]
    assert status["state"] == "completed"
    measured = [(each["iteration"], each["ml_metrics"]) for each in told["metrics"]]
    assert measured == [(1, {"accuracy": 0.5}), (2, {"accuracy": 0.75})]
    entity = told["details"]["entity"]
    assert entity["model_definition"]["command"].endswith("'two words'")
    scope = "projects/a-project" if what == "in_project" else "spaces/a-space"
    assert entity["results_reference"]["location"]["path"] == f"{scope}/assets/cloudtune"
    if sdk[0] == "watsonx":
        assert told["tagged"] == [told["training"]]
    done = [told[name] for name in ("again", "forgotten", "deleted")]
    assert done == ["SUCCESS"] * 3
    assert told["left"] == told["trainings"] - 1


def test_a_training_is_cancelled_and_another_fails(use: Use) -> None:
    told = use("stopped")
    assert told["cancelled"] == "SUCCESS"
    assert told["stopped"]["state"] == "canceled"
    assert told["failed"]["state"] == "failed"
    assert "status 3" in told["failed"]["failure"]["errors"][0]["message"]


def test_the_model_of_a_training_is_stored(use: Use, sdk: tuple[str, str]) -> None:
    if sdk[0] != "watsonx":
        pytest.skip("only ibm_watsonx_ai reads the files of a training on Cloud Pak for Data")
    told = use("model")
    assert told["model"]["metadata"]["name"] == "of a training"
    assert told["model"]["entity"]["software_spec"] == {"id": "software-runtime-24.1-py3.11"}
    assert [row["NAME"] for row in told["models"]] == ["of a training"]


def test_files_of_a_training_are_read(use: Use, sdk: tuple[str, str]) -> None:
    if sdk[0] != "watsonx":
        pytest.skip("only ibm_watsonx_ai reads the files of a training on Cloud Pak for Data")
    told = use("files")
    assert told["log"] == "words []\n"
    assert set(told["files"]) == {
        "evaluation-metrics.txt",
        "training-log.txt",
        "val_dict_list.json",
    }


def test_refusals_are_told_in_the_packages_own_way(use: Use, sdk: tuple[str, str]) -> None:
    told = use("refused")
    why = "wrong key" if sdk[0] == "watsonx" else "[401]"
    assert why in told["signing_in"]
    assert "404" in told["running"]
    assert "'gone' is not in the space" in told["running"]


def test_a_certificate_that_nobody_trusts_is_refused(use: Use) -> None:
    assert use("untrusting", trusts=False)["refused"]
