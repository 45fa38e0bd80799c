"""Durations and amounts of money as fields of a study."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from cloudtune.study.quantities import (
    DURATION_PATTERN,
    MONEY_PATTERN,
    Money,
    format_duration,
    parse_duration,
    parse_money,
)

Seconds = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": DURATION_PATTERN,
            "errorMessage": "Write a duration with a unit, such as 90s, 10m or 2h30m.",
        }
    ),
]
MoneyAmount = Annotated[
    Money,
    BeforeValidator(parse_money),
    PlainSerializer(str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": MONEY_PATTERN,
            "errorMessage": "Write an amount with a currency, such as 25 USD.",
        }
    ),
]
