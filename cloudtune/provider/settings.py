"""The settings that every provider has, and those of every provider that sends a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cloudtune.provider.rehearsal import Rehearsal
from cloudtune.study.schema import Limits
from cloudtune.study.yaml_reader import is_map


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
        default_factory=Rehearsal.model_construct,
        description="What stands in for the image under --emulate.",
    )


def without_other_native(data: Any, is_own: Callable[[str], bool]) -> Any:
    """Return settings before their validation, whose ``native`` has only the provider's own fields.

    The others are those of a format with the same name, which an import keeps for exports.
    """
    native: Any = data.get("native") if is_map(data) else None
    if not is_map(data) or not is_map(native):
        return data
    return {**data, "native": {k: v for k, v in native.items() if is_own(k)}}
