"""The settings that every provider has, and those of every provider that sends a request."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cloudtune.provider.rehearsal import Rehearsal
from cloudtune.study.schema import Limits


class SettingsPart(BaseModel):
    """Settings of a provider, or a part of them: fixed, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ProviderSettings(SettingsPart):
    """The settings under ``providers.<name>`` that every provider has; each adds its own."""

    mode: Literal["auto", "managed", "driven"] = Field(
        "auto", description="Whose tuner chooses the trials: the service's or cloudtune's."
    )
    limits: Limits | None = Field(None, description="Limits for this provider only.")


class CloudSettings(ProviderSettings):
    """The settings of every provider that sends a request."""

    native: dict[str, Any] = Field(
        default={}, description="Merged into the request, in the service's own spelling."
    )
    rehearse: Rehearsal = Field(
        default=Rehearsal.model_construct(),
        description="What stands in for the image under --emulate.",
    )
