"""What all blocks of the study file have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)

from cloudtune.study.map_values import ScalarOrMap
from cloudtune.study.quantities import (
    DURATION_PATTERN,
    MONEY_PATTERN,
    Money,
    format_duration,
    parse_duration,
    parse_money,
)
from cloudtune.study.short_forms import one_or_many

_FiniteFloat = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Scalar = StrictBool | StrictInt | _FiniteFloat | StrictStr
"""A value of a parameter or constant. The type counts: 1, 1.0, True and "1" are different."""
Value = Annotated[Scalar, ScalarOrMap()]
"""A value of a parameter: also a map of scalars, which is a text inside."""

Number = StrictInt | _FiniteFloat
Positive = Annotated[StrictInt, Field(ge=1)]
NotNegative = Annotated[StrictInt, Field(ge=0)]
Text = Annotated[StrictStr, Field(min_length=1)]

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


class Model(BaseModel):
    """Base class of the blocks: unknown keys are errors, and instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


When = dict[str, Annotated[list[Value], one_or_many]]
