"""Settings under ``providers.vertex``, and the capabilities."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import cloudtune_vertex.settings as module
from cloudtune_vertex import capabilities, rules
from cloudtune_vertex.settings import VertexSettings


def made(**said: Any) -> VertexSettings:
    return VertexSettings.model_validate(said)


def test_all_settings_are_optional() -> None:
    settings = made()
    assert settings.prefix == "cloudtune"
    assert settings.machine_type is None
    assert not settings.spot


def test_times_have_units() -> None:
    assert made(flex_start=True, max_wait="2h").max_wait == 7200


@pytest.mark.parametrize(
    "said",
    [
        {"project": ""},
        {"machine_type": ["n1-standard-4"]},
        {"accelerator_count": 0},
        {"accelerator_count": "1"},
        {"disk_type": "ssd"},
        {"disk_gb": 0},
        {"disk_gb": "100"},
        {"spot": "yes"},
        {"max_wait": 3600},
        {"labels": {"team": 1}},
        {"prices": {"hour": 0.23}},
        {"prices": {"second": "1 USD"}},
        {"credentials": "key.json"},
        {"replica_count": 2},
    ],
)
def test_invalid_values_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        made(**said)


def test_every_field_is_described() -> None:
    for model in (VertexSettings, module.Prices):
        for name, field in model.model_fields.items():
            assert field.description, name
    assert VertexSettings.model_json_schema()["properties"]["machine_type"]


def test_every_limit_has_a_source_and_a_date() -> None:
    managed = capabilities.MANAGED
    assert managed.max_values is not None
    assert managed.max_values.source == capabilities.TYPES
    assert ", read 2026-11" in capabilities.TYPES
    assert "all read in 2026-11" in str(rules.__doc__)


def test_planning_imports_no_sdk() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\n"
            "import cloudtune_vertex\n"
            "from cloudtune_vertex import capabilities, lookup, request, rules, settings\n"
            "sdk = ('google.cloud.', 'google.api_core', 'google.auth', 'google.protobuf')\n"
            "print([name for name in sys.modules if name.startswith(sdk)])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_planning_imports_neither_client_nor_emulator() -> None:
    folder = Path(module.__file__).parent
    names = ("settings.py", "capabilities.py", "lookup.py", "prices.py", "rules/*", "request/*")
    paths = [path for name in names for path in folder.glob(name) if path.suffix == ".py"]
    assert len(paths) > len(names)
    for path in paths:
        imported = {
            node.module or ""
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.ImportFrom)
        }
        assert not {name for name in imported if "emulator" in name or name.endswith(".client")}
