"""The resources of a trial, and when it starts again with more of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictStr

from cloudtune.study.schema_base import Model, NotNegative, Positive, When
from cloudtune.study.short_forms import text_or_map

retry_or_map = text_or_map("on", {"enum": ["memory"]})


class Resources(Model):
    """The resources of one trial."""

    cpus: Positive | None = Field(
        default=None, description="CPU threads, by variables such as OMP_NUM_THREADS. Default: all."
    )
    gpus: NotNegative | None = Field(
        default=None,
        description="GPUs. On this machine, parallel trials get different ones, in "
        "CUDA_VISIBLE_DEVICES.",
    )
    memory: Annotated[StrictStr, Field(pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$")] | None = Field(
        default=None, description="Memory, for example 8 GB; used by cluster providers only."
    )
    when: When | None = Field(
        default=None,
        description="Condition: the values of parameters for which these are the resources. All "
        "must hold.",
    )


class Retry(Model):
    """When a trial starts again, with the same number."""

    on: Literal["memory"] = Field(description="memory: the trial ran out of memory.")
    memory: Annotated[StrictStr, Field(pattern=r"^\d+(\.\d+)?x$")] = Field(
        default="2x", description="How much more memory each start has than the last one."
    )
    times: Positive = Field(default=1, description="How often a trial starts again.")

    @property
    def factor(self) -> float:
        """By what the memory of a trial is multiplied at each start."""
        return float(self.memory.removesuffix("x"))
