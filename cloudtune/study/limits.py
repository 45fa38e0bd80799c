"""The limits of a study: each is one field of `Limits`, with what cloudtune has to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from cloudtune.study.quantities import Money
from cloudtune.study.schema_base import Model, MoneyAmount, NotNegative, Positive, Seconds


@dataclass(frozen=True)
class LimitTraits:
    """What the rest of cloudtune has to know of a limit."""

    example: Any
    ends_run: bool = False
    """Whether a run with no other limit ends."""
    is_cancelling: bool = False
    """Whether cloudtune can enforce it on a service's tuner, by cancelling the job."""
    is_for_search: bool = False
    """Whether it limits only a search: a confirmation does not keep it."""
    needs_price: bool = False
    """Whether it is an amount of money, so that a run needs the price of a trial for it."""
    reasons: tuple[str, ...] = ()
    """The parts of a job's reason that show that this limit ended the job."""


class Limits(Model):
    """Limits of a job, except max_cost, which limits the run."""

    max_trials: Annotated[Positive | None, LimitTraits(40, ends_run=True, is_for_search=True)] = (
        Field(
            default=None, description="Trials to start, including failed ones. Default: no limit."
        )
    )
    parallel_trials: Annotated[Positive | None, LimitTraits(4)] = Field(
        default=None, description="Trials that run at the same time. Default: 1."
    )
    timeout: Annotated[
        Seconds | None,
        LimitTraits(
            "2h30m", ends_run=True, is_cancelling=True, reasons=("the study's timeout was reached",)
        ),
    ] = Field(
        default=None,
        description="Duration of the study; running trials are stopped then. Default: no limit.",
    )
    trial_timeout: Annotated[Seconds | None, LimitTraits("10m")] = Field(
        default=None, description="Duration of a trial including restarts. Default: no limit."
    )
    max_failed_trials: Annotated[
        NotNegative | None,
        LimitTraits(5, is_cancelling=True, reasons=("max_failed_trials", "trials in a row failed")),
    ] = Field(
        default=None, description="Failures to tolerate. Default: until the first 3 fail alike."
    )
    patience: Annotated[
        Positive | None,
        LimitTraits(
            15,
            ends_run=True,
            is_cancelling=True,
            is_for_search=True,
            reasons=("no better objective in ",),
        ),
    ] = Field(
        default=None,
        description="Finished trials without improvement after which the run ends. Default: no "
        "limit.",
    )
    max_cost: Annotated[
        MoneyAmount | None,
        LimitTraits(
            "25 USD",
            ends_run=True,
            is_cancelling=True,
            needs_price=True,
            reasons=("the cost reached ",),
        ),
    ] = Field(default=None, description="Cost of the run, over all providers. Default: no limit.")

    def with_defaults(self, other: Limits) -> Limits:
        """Return these limits, completed by those of ``other``."""
        return other.model_copy(update=self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Return the limits that are set, by name."""
        return {name: value for name, value in self if value is not None}

    def amounts(self) -> dict[str, Money]:
        """Return the limits that are set and need a price, by name."""
        return {name: limit for name, limit in self.as_dict().items() if LIMITS[name].needs_price}

    def ending(self) -> set[str]:
        """Return the names of the limits that are set and end a run."""
        return {name for name in self.as_dict() if LIMITS[name].ends_run}


LIMITS: Mapping[str, LimitTraits] = {
    name: next(each for each in field.metadata if isinstance(each, LimitTraits))
    for name, field in Limits.model_fields.items()
}
"""The traits of each limit, by name."""
