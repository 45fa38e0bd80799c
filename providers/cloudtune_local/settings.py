"""Settings under ``providers.local``."""

from pydantic import Field

from cloudtune.provider import MoneyAmount, ProviderSettings, Seconds, SettingsPart


class LocalPrices(SettingsPart):
    """The price of this machine, for ``max_cost``."""

    hour: MoneyAmount = Field(description="One hour of one trial, such as 0.40 USD.")


class LocalSettings(ProviderSettings):
    """How trials run on this machine."""

    grace: Seconds = Field(10.0, description="Time between asking a script to exit and killing it.")
    prices: LocalPrices | None = None
