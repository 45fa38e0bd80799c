"""What all blocks of the study file have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from cloudtune.study.map_values import ScalarOrMap
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


class Model(BaseModel):
    """Base class of the blocks: unknown keys are errors, and instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


When = dict[str, Annotated[list[Value], one_or_many]]
