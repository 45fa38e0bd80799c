"""The block ``confirm`` of a study."""

from __future__ import annotations

from pydantic import Field

from cloudtune.study.schema import Goal
from cloudtune.study.schema_base import Model, Text


class Confirm(Model):
    """What `cloudtune confirm` measures besides the objective."""

    metric: Text | None = Field(
        default=None,
        description="A metric that the search never sees, such as test_accuracy: the script "
        "reports it if $CLOUDTUNE_CONFIRM is 1. It decides then. Default: the objective.",
    )
    goal: Goal | None = Field(
        default=None,
        description="Whether more or less of the metric is better. Default: as the objective.",
    )
    train_metric: Text | None = Field(
        default=None,
        description="The objective's counterpart on the training data, to show the gap between "
        "them. Default: none.",
    )
