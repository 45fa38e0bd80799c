"""The settings under ``providers.watson``."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from cloudtune_watson import WatsonProvider
from cloudtune_watson.settings import MODES, WatsonSettings


def made(**said: Any) -> WatsonSettings:
    return WatsonSettings.model_validate(said)


def test_all_settings_are_optional() -> None:
    settings = made()
    assert settings.backend is None
    assert settings.mode == "auto"
    assert settings.key_variable == "WATSONX_APIKEY"


@pytest.mark.parametrize(
    "said",
    [
        {"backend": "cloud"},
        {"url": ""},
        {"nodes": 0},
        {"nodes": "1"},
        {"worker_devices": -1},
        {"version": 5.1},
        {"apikey": "k"},
        {"password": "p"},
        {"prices": {"hour": 3}},
        {"tags": "team-a"},
        {"mode": "both"},
    ],
)
def test_invalid_settings_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        made(**said)


@pytest.mark.parametrize("backend", MODES)
def test_the_back_end_sets_the_automatic_mode(backend: str) -> None:
    assert made(backend=backend).mode == MODES[backend]
    assert made(backend=backend, mode="auto").mode == MODES[backend]
    for mode in ("managed", "driven"):
        assert made(backend=backend, mode=mode).mode == mode


def test_a_block_must_be_a_map() -> None:
    with pytest.raises(ValidationError, match="dictionary"):
        WatsonSettings.model_validate("wml")


def test_every_setting_has_a_description() -> None:
    for name, field in WatsonSettings.model_fields.items():
        assert field.description, name


def test_planning_imports_none_of_ibms_packages() -> None:
    code = (
        "import sys, cloudtune_watson as w; w.WatsonProvider().formats;"
        "bad = {'ibm_watsonx_ai', 'ibm_watson_machine_learning', 'requests', 'pandas', 'numpy'};"
        "print(sorted(bad & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_protected_fields_cannot_be_replaced() -> None:
    assert {"name", "tags", "data.hpoName", "results_reference"} <= set(
        WatsonProvider.protected_paths
    )
