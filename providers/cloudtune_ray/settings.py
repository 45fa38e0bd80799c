"""Settings under ``providers.ray``. None of them is a secret."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictStr, model_validator

from cloudtune.provider import (
    CloudSettings,
    MoneyAmount,
    Seconds,
    SettingsPart,
    Text,
    without_other_native,
)

NAME = "ray"
TUNE_FIELDS = frozenset({"param_space", "tune_config", "run_config"})
"""The fields of ``native`` that belong to the format of Ray Tune, which has the same name: an
import keeps in them what a study cannot express. A job of Ray has none of them."""


class Prices(SettingsPart):
    """Your prices."""

    hour: MoneyAmount = Field(description="One hour of one trial, such as 0.40 USD.")


class RaySettings(CloudSettings):
    """Which cluster runs the trials, and where on it."""

    address: Text | None = Field(
        default=None,
        description="http or https address of the cluster's dashboard, such as "
        "http://127.0.0.1:8265; default: the variable RAY_API_SERVER_ADDRESS.",
    )
    certificate: Text | None = Field(
        default=None,
        description="File with the certificates to verify an https address; default: Python's.",
    )
    token_variable: Text = Field(
        default="RAY_AUTH_TOKEN",
        description="Name of the environment variable with the cluster's token, if it has one.",
    )
    python: Text = Field(default="python", description="Python of the nodes that runs trials.")
    resources: dict[Text, Annotated[float, Field(gt=0)]] = Field(
        default={}, description="Custom resources of one trial, such as {TPU: 1}."
    )
    label_selector: dict[Text, StrictStr] = Field(
        default={},
        description="Labels of the nodes for trials, such as {ray.io/accelerator-type: A100}; Ray "
        "2.54 or later.",
    )
    grace: Seconds = Field(
        default=30.0, description="Time between asking a script to exit and killing it."
    )
    storage: Text | None = Field(
        default=None,
        description="Folder that all nodes share, for checkpoints and outputs: an absolute path.",
    )
    visible_secrets: StrictBool = Field(
        default=False,
        description="Send values of from_env, which everyone who reaches the cluster can read.",
    )
    prices: Prices | None = Field(default=None, description="Your prices.")

    @model_validator(mode="before")
    @classmethod
    def _without_ray_tune(cls, data: Any) -> Any:
        """Leave out of ``native`` what only the format of Ray Tune reads."""
        return without_other_native(data, lambda field: field not in TUNE_FIELDS)
