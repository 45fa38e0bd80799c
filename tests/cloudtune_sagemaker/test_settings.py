"""Settings under ``providers.sagemaker``, and what the provider says that it can do."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cloudtune_sagemaker.capabilities import CAPABILITIES
from cloudtune_sagemaker.settings import Framework, Prices, SageMakerSettings


def made(**said: Any) -> SageMakerSettings:
    return SageMakerSettings.model_validate(said)


def test_nothing_is_needed_to_plan() -> None:
    settings = made()
    assert settings.instance_count == 1
    assert settings.volume_size == 30
    assert settings.instance_type is None
    assert settings.checkpoints is None


def test_one_machine_or_several() -> None:
    assert made(instance_type="ml.m5.large").instance_type == ["ml.m5.large"]
    assert made(instance_type=["a", "b"]).instance_type == ["a", "b"]


def test_times_have_units() -> None:
    assert made(max_wait="2h").max_wait == 7200


@pytest.mark.parametrize(
    "said",
    [
        {"instance_type": []},
        {"instance_count": 0},
        {"volume_size": "30"},
        {"retry": 31},
        {"retry": 0},
        {"max_wait": 3600},
        {"subnets": []},
        {"subnets": ["s"] * 17},
        {"security_group_ids": ["s"] * 6},
        {"input_mode": "file"},
        {"framework": "pytorch"},
        {"framework": {"name": "pytorch", "version": 2.3}},
        {"prices": {"hour": 0.23}},
        {"access_key": "x"},
        {"role": "arn:aws:iam::123456789012:role/x"},
    ],
)
def test_invalid_settings_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        made(**said)


def test_every_field_is_described() -> None:
    for model in (SageMakerSettings, Framework, Prices):
        for name, field in model.model_fields.items():
            assert field.description, name
    assert SageMakerSettings.model_json_schema()["properties"]["instance_type"]


def test_every_limit_has_a_source_and_a_date() -> None:
    managed = CAPABILITIES.managed
    assert managed is not None
    for limit in (
        managed.max_trials,
        managed.max_parallel_trials,
        managed.max_parameters,
        managed.max_values,
    ):
        assert limit is not None
        assert "read 2026-11-24" in limit.source
