"""What reaches Watson Machine Learning, over each of IBM's packages as it is, on the emulator.

The newer package is in this environment. The older one needs its own: the Python that is named in
``CLOUDTUNE_WML_PYTHON``, or one that is made once below pytest's cache, which needs a package
index. What is done with either stands in ``sdk/trainings.py``.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

import cloudtune
import cloudtune_watson
from tests.emulator_server import address_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
Use = Callable[[str], Mapping[str, Any]]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """The address of an emulator."""
    yield from address_of("cloudtune_watson.emulator", tmp_path_factory.mktemp("emulator"))


@pytest.fixture(scope="module", params=["ibm-watsonx-ai", "ibm-watson-machine-learning"])
def use(
    request: pytest.FixtureRequest,
    python_with: Callable[[str, str], str],
    emulator: Mapping[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Use:
    """Runs a function of ``sdk/trainings.py`` once, with one of the packages."""
    python = sys.executable
    if request.param == "ibm-watson-machine-learning":
        if sys.version_info >= (3, 13):
            pytest.skip("the older package is for Python below 3.13")
        python = python_with("watson-sdk", "CLOUDTUNE_WML_PYTHON")

    @functools.cache
    def run(name: str) -> Mapping[str, Any]:
        home = tmp_path_factory.mktemp(name)
        trustme.CA().cert_pem.write_to_path(home / "foreign.pem")
        core = Path(cloudtune.__file__).parents[1]
        done = subprocess.run(
            [python, str(Path(__file__).parent / "sdk" / "trainings.py"), name],
            cwd=home,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "HTTPS_PROXY": "http://127.0.0.1:9",  # nothing is there
                "REQUESTS_CA_BUNDLE": str(home / "foreign.pem"),
                "PYTHONPATH": str(core),
                "TEST_PROVIDER": str(Path(cloudtune_watson.__file__).parent),
                "TEST_RUN": request.param,
                "TEST_URL": emulator["url"],
                "TEST_KEY": emulator["key"],
                "TEST_CERTIFICATE": emulator["certificate"],
                "TEST_FOREIGN": str(home / "foreign.pem"),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-6000:]
        assert (done.stdout, done.stderr) == ("", "")
        told: Mapping[str, Any] = json.loads((home / "told.json").read_bytes())
        return told

    return run


def test_create_find_read_and_stop_trainings(use: Use) -> None:
    told = dict(use("used"))
    ended, unknown, dropped = (told.pop(name) for name in ("ended", "unknown", "dropped"))
    assert told == {
        "definitions": [[], True],
        "whole": True,
        "state": "completed",
        "stopped": "canceled",
        "tagged": [True, True, True],
        "read": '[{"steps": 1, "accuracy": 0.5}]',
        "absent": None,
    }
    assert (ended["code"], ended["retryable"]) == (400, False)
    assert unknown["code"] == 404
    assert "does not send custom" in dropped["said"]


def test_an_expired_sign_in_is_repeated(use: Use) -> None:
    assert use("expired") == {"found": [], "signed_in": ["POST /icp4d-api/v1/authorize"]}


def test_an_untrusted_certificate_is_refused(use: Use) -> None:
    told = use("refusals")
    for name in ("untrusted", "foreign"):
        assert "certificate is not trusted" in told[name]["said"]
        assert (told[name]["code"], told[name]["retryable"]) == (0, False)
    assert told["trusted"] is None


def test_an_invalid_key_is_reported(use: Use) -> None:
    told = use("refusals")
    assert told["key"]["code"] in {401, 403}
    assert "providers.watson.key_variable" in told["key"]["said"]
