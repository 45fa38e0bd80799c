"""Settings under ``providers.local``."""

from pydantic import BaseModel, ConfigDict, Field

from cloudtune.provider.models import ProviderSettings
from cloudtune.study.schema import Price, Seconds


class LocalPrices(BaseModel):
    """What this machine costs, for ``max_cost``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hour: Price = Field(description="One hour of one trial, as 0.40 USD.")


class LocalSettings(ProviderSettings):
    """How trials are run on this machine."""

    grace: Seconds = Field(
        10.0, description="Between the signal that asks a script to end and the one that ends it."
    )
    prices: LocalPrices | None = None
