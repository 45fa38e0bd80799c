"""Settings under ``providers.watson``. None of them is a secret.

Three IBM services run training scripts; `backend` selects one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from cloudtune.provider import CloudSettings, Mode, MoneyAmount, SettingsPart, Text
from cloudtune_watson.versions import AUTO, BackendName, choose_backend

NAME = "watson"
SETTINGS = f"providers.{NAME}"
"""The path of the settings in a study."""

MODES: dict[str, Mode] = {"wml": "driven", "wmla": "managed", "jobs": "driven"}
"""The mode of each back end."""


class Prices(SettingsPart):
    """Your prices; IBM does not publish any."""

    capacity_unit_hour: MoneyAmount | None = Field(
        default=None, description="One capacity-unit hour, such as 0.50 USD."
    )
    hour: MoneyAmount | None = Field(
        default=None, description="One hour of one trial of any size, such as 0.40 USD."
    )


class WatsonSettings(CloudSettings):
    """Which IBM service runs the trials, its address, and the hardware."""

    backend: BackendName | Literal["auto"] | None = Field(
        default=None,
        description="jobs: one deployment job of a script per trial, in watsonx.ai Runtime of IBM "
        "Cloud, Cloud Pak for Data or Software Hub. wml: one training per trial, in Watson Machine "
        "Learning of Cloud Pak for Data or Software Hub. wmla: the hyperparameter search of WML "
        "Accelerator. auto: the one that url and version decide; required.",
    )
    url: Text | None = Field(
        default=None,
        description="https address of the cluster, or of IBM Cloud's region, such as "
        "https://us-south.ml.cloud.ibm.com; for wmla, of the Accelerator's console; required.",
    )
    sign_in_url: Text | None = Field(
        default=None,
        description="wmla: https address of the cluster that issues tokens; default: url.",
    )
    version: Text | None = Field(
        default=None,
        description="Version of Cloud Pak for Data or Software Hub, such as '5.1'; standalone for "
        "an Accelerator without them; required except on IBM Cloud.",
    )
    certificate: Text | None = Field(
        default=None,
        description="File with the certificates to verify the cluster; default: those of Python.",
    )
    username: Text | None = Field(
        default=None, description="User to sign in; required except on IBM Cloud."
    )
    key_variable: Text = Field(
        default="WATSONX_APIKEY",
        description="Name of the environment variable with the API key; for 3.5 and a standalone "
        "Accelerator, with the password.",
    )

    space_id: Text | None = Field(
        default=None, description="wml, jobs: id of the deployment space; required."
    )
    project_id: Text | None = Field(default=None, description="wml: id of a project, instead.")
    hardware_spec: Text | None = Field(
        default=None,
        description="wml, jobs: name of the hardware specification, such as M; required.",
    )
    nodes: Annotated[StrictInt, Field(ge=1)] = Field(
        default=1, description="wml: nodes of one trial."
    )
    software_spec: Text | None = Field(
        default=None,
        description="wml, jobs: name of the software specification, such as "
        "tensorflow_rt24.1-py3.11; for jobs one of the runtimes, such as runtime-25.1-py3.12; "
        "required.",
    )
    prefix: StrictStr = Field(
        default="cloudtune", description="wml: prefix of the results among the space's assets."
    )
    tags: list[Text] = Field(default=[], description="wml, jobs: tags of each job.")
    visible_secrets: StrictBool = Field(
        default=False,
        description="jobs: send values of from_env, which everyone who may read the jobs of the "
        "space can read.",
    )

    exec_start: Text | None = Field(
        default=None,
        description="wmla: --exec-start, the framework that starts a trial, such as PyTorch; "
        "required.",
    )
    worker_devices: Annotated[StrictInt, Field(ge=0)] | None = Field(
        default=None, description="wmla: --workerDeviceNum, GPUs of a trial; default: IBM's."
    )
    instance_group: Text | None = Field(
        default=None,
        description="wmla, standalone: modelSpec.sigName, the instance group; required.",
    )
    prices: Prices | None = Field(default=None, description="Your prices.")

    @property
    def service(self) -> BackendName | None:
        """The back end, also with ``auto``; None if it is not known."""
        if self.backend == "auto":
            return choose_backend(self.url, self.version)[0]
        return self.backend

    @model_validator(mode="before")
    @classmethod
    def _mode_of_the_backend(cls, data: Any) -> Any:
        """Set the mode of the back end, so that a plan shows the findings of that mode."""
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, Any]", data)
        backend = fields.get("backend")
        if backend == AUTO:
            url, version = fields.get("url"), fields.get("version")
            if not all(value is None or isinstance(value, str) for value in (url, version)):
                return fields
            backend, _ = choose_backend(url, version)
        mode = MODES.get(str(backend))
        return {**fields, "mode": mode} if mode and fields.get("mode", "auto") == "auto" else fields
