"""The block ``notify`` of a study."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictStr

from cloudtune.study.schema_base import Model
from cloudtune.study.short_forms import one_or_many

NotifyEvent = Literal["best", "failed", "ended"]


class Notify(Model):
    """A command that is told what happens in a run."""

    command: Annotated[list[StrictStr], Field(min_length=1)] = Field(
        description="The words of a command, which runs next to the study file, without a shell. "
        "It gets JSON on its standard input."
    )
    on: Annotated[list[NotifyEvent], Field(min_length=1), one_or_many] = Field(
        default=["ended"],
        description="When it runs. best: a trial is better than all before; failed: a trial or a "
        "job has failed; ended: a job has ended.",
    )
