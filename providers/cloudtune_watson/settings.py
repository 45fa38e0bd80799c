"""Settings under ``providers.watson``. None of them is a secret.

IBM has two places that run a training script, both on a cluster of your own. `backend` says which.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator

from cloudtune.provider.models import CloudSettings
from cloudtune.study.schema import Mode, Price

NAME = "watson"

Backend = Literal["wml", "wmla"]
MODES: dict[str, Mode] = {"wml": "driven", "wmla": "managed"}
"""The one mode that each back end has."""
_Text = Annotated[StrictStr, Field(min_length=1)]


class Prices(BaseModel):
    """What IBM charges you, which no page of IBM's tells everyone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capacity_unit_hour: Price | None = Field(
        default=None, description="One capacity-unit hour, as 0.50 USD."
    )
    hour: Price | None = Field(
        default=None, description="One hour of one trial, as 0.40 USD, whatever its size."
    )


class WatsonSettings(CloudSettings):
    """Which IBM service runs the trials, where it is, and on what."""

    backend: Backend | None = Field(
        default=None,
        description="wml: one training a trial, in Watson Machine Learning of Cloud Pak for Data "
        "or Software Hub. wmla: the hyperparameter search of WML Accelerator.",
    )
    url: _Text | None = Field(
        default=None,
        description="https address of the cluster; for wmla, of the Accelerator's console.",
    )
    sign_in_url: _Text | None = Field(
        default=None,
        description="wmla: https address of the cluster that hands out tokens; url when left out.",
    )
    version: _Text | None = Field(
        default=None,
        description="Of Cloud Pak for Data or Software Hub, as '5.1'; for an Accelerator without "
        "them: standalone.",
    )
    certificate: _Text | None = Field(
        default=None,
        description="File with the certificates that the cluster's own is checked against; those "
        "that Python knows when left out.",
    )
    username: _Text | None = Field(default=None, description="Whose key or password it is.")
    key_variable: _Text = Field(
        default="WATSONX_APIKEY",
        description="Name of the variable that holds the API key; for a standalone Accelerator, "
        "the password.",
    )

    space_id: _Text | None = Field(default=None, description="wml: the deployment space.")
    project_id: _Text | None = Field(default=None, description="wml: the project, instead.")
    hardware_spec: _Text | None = Field(
        default=None, description="wml: name of the hardware specification, as M."
    )
    nodes: Annotated[StrictInt, Field(ge=1)] = Field(
        default=1, description="wml: how many of them a trial takes."
    )
    software_spec: _Text | None = Field(
        default=None,
        description="wml: name of the software specification, as tensorflow_rt24.1-py3.11.",
    )
    prefix: StrictStr = Field(
        default="cloudtune", description="wml: below which results lie among the space's assets."
    )
    tags: list[_Text] = Field(default=[], description="wml: on each training, beside our own.")

    exec_start: _Text | None = Field(
        default=None,
        description="wmla: --exec-start, the framework that starts a trial, as PyTorch.",
    )
    worker_devices: Annotated[StrictInt, Field(ge=0)] | None = Field(
        default=None, description="wmla: --workerDeviceNum, GPUs of a trial; IBM's when left out."
    )
    instance_group: _Text | None = Field(
        default=None, description="wmla, standalone: modelSpec.sigName, the instance group."
    )
    prices: Prices | None = Field(default=None, description="What IBM charges you.")

    @model_validator(mode="before")
    @classmethod
    def _mode_of_the_backend(cls, data: Any) -> Any:
        """Let the back end decide the mode, so that a plan shows what is wrong in that one."""
        if not isinstance(data, dict):
            return data
        said = cast("dict[str, Any]", data)
        mode = MODES.get(str(said.get("backend")))
        return {**said, "mode": mode} if mode and said.get("mode", "auto") == "auto" else said
