"""Settings under ``providers.watson``. None of them is a secret.

Two IBM products run training scripts, both on your own cluster; `backend` selects one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator

from cloudtune.provider import CloudSettings, Mode, MoneyAmount

NAME = "watson"

Backend = Literal["wml", "wmla"]
MODES: dict[str, Mode] = {"wml": "driven", "wmla": "managed"}
"""The mode of each back end."""
_Text = Annotated[StrictStr, Field(min_length=1)]


class Prices(BaseModel):
    """Your prices; IBM does not publish any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capacity_unit_hour: MoneyAmount | None = Field(
        default=None, description="One capacity-unit hour, such as 0.50 USD."
    )
    hour: MoneyAmount | None = Field(
        default=None, description="One hour of one trial of any size, such as 0.40 USD."
    )


class WatsonSettings(CloudSettings):
    """Which IBM service runs the trials, its address, and the hardware."""

    backend: Backend | None = Field(
        default=None,
        description="wml: one training per trial, in Watson Machine Learning of Cloud Pak for Data "
        "or Software Hub. wmla: the hyperparameter search of WML Accelerator.",
    )
    url: _Text | None = Field(
        default=None,
        description="https address of the cluster; for wmla, of the Accelerator's console.",
    )
    sign_in_url: _Text | None = Field(
        default=None,
        description="wmla: https address of the cluster that issues tokens; default: url.",
    )
    version: _Text | None = Field(
        default=None,
        description="Version of Cloud Pak for Data or Software Hub, such as '5.1'; standalone for "
        "an Accelerator without them.",
    )
    certificate: _Text | None = Field(
        default=None,
        description="File with the certificates to verify the cluster; default: those of Python.",
    )
    username: _Text | None = Field(default=None, description="User to sign in.")
    key_variable: _Text = Field(
        default="WATSONX_APIKEY",
        description="Name of the environment variable with the API key; for a standalone "
        "Accelerator, with the password.",
    )

    space_id: _Text | None = Field(default=None, description="wml: id of the deployment space.")
    project_id: _Text | None = Field(default=None, description="wml: id of a project, instead.")
    hardware_spec: _Text | None = Field(
        default=None, description="wml: name of the hardware specification, such as M."
    )
    nodes: Annotated[StrictInt, Field(ge=1)] = Field(
        default=1, description="wml: nodes of one trial."
    )
    software_spec: _Text | None = Field(
        default=None,
        description="wml: name of the software specification, such as tensorflow_rt24.1-py3.11.",
    )
    prefix: StrictStr = Field(
        default="cloudtune", description="wml: prefix of the results among the space's assets."
    )
    tags: list[_Text] = Field(default=[], description="wml: tags of each training.")

    exec_start: _Text | None = Field(
        default=None,
        description="wmla: --exec-start, the framework that starts a trial, such as PyTorch.",
    )
    worker_devices: Annotated[StrictInt, Field(ge=0)] | None = Field(
        default=None, description="wmla: --workerDeviceNum, GPUs of a trial; default: IBM's."
    )
    instance_group: _Text | None = Field(
        default=None, description="wmla, standalone: modelSpec.sigName, the instance group."
    )
    prices: Prices | None = Field(default=None, description="Your prices.")

    @model_validator(mode="before")
    @classmethod
    def _mode_of_the_backend(cls, data: Any) -> Any:
        """Set the mode of the back end, so that a plan shows the findings of that mode."""
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, Any]", data)
        mode = MODES.get(str(fields.get("backend")))
        return {**fields, "mode": mode} if mode and fields.get("mode", "auto") == "auto" else fields
