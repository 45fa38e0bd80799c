"""Settings under ``providers.vertex``, and the capabilities."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cloudtune_vertex import capabilities, rules
from cloudtune_vertex.settings import Prices, VertexSettings


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
    for model in (VertexSettings, Prices):
        for name, field in model.model_fields.items():
            assert field.description, name
    assert VertexSettings.model_json_schema()["properties"]["machine_type"]


def test_every_limit_has_a_source_and_a_date() -> None:
    managed = capabilities.MANAGED
    assert managed.max_values is not None
    assert managed.max_values.source == capabilities.TYPES
    assert ", read 2026-11" in capabilities.TYPES
    assert "all read in 2026-11" in str(rules.__doc__)
