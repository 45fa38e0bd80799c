"""What a back end is: one of IBM's services that run training scripts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from cloudtune.provider import (
    Facts,
    Finding,
    FittedStudy,
    JobContext,
    JobDescription,
    Json,
    Note,
    Plan,
    ProviderError,
    UsageError,
)
from cloudtune_watson.settings import NAME, WatsonSettings

if TYPE_CHECKING:
    from cloudtune.provider import Check, JobClient, Policy, TrainingJobs, Trial, Uploads

STAND_INS: Mapping[str, str] = {
    "url": "https://127.0.0.1",
    "version": "5.1",
    "username": "emulated",
    "space_id": "00000000-0000-4000-8000-000000000001",
    "hardware_spec": "M",
    "software_spec": "tensorflow_rt24.1-py3.11",
    "exec_start": "PyTorch",
    "instance_group": "emulated",
}
"""The values of missing settings on the emulator."""


class Backend(ABC):
    """One service. Each has a folder with the same names; `cloudtune_watson.backends` lists them.

    What raises says so in `cloudtune.provider.BaseProvider`.
    """

    settings: frozenset[str]
    """The settings that it uses, of those that not all back ends use."""
    refused_settings: Mapping[str, str] = MappingProxyType({})
    """Why a setting of another back end is refused, and not only dropped."""
    required: Sequence[str]
    """The settings that it needs."""
    not_on_ibm_cloud: frozenset[str] = frozenset()
    """Those that it does not need on IBM Cloud, where a key identifies its user."""
    stand_ins: Mapping[str, str] = STAND_INS
    has_ibm_cloud: bool = False
    """Whether IBM Cloud has the service."""
    timeout_unit: int = 1
    """Seconds of a time limit's unit."""
    uncounted: Sequence[str] = (
        "the time that trials run on while cloudtune is not running, or until IBM stops them",
    )
    """What the estimate of the costs does not count."""
    is_billed_in_units: bool = True
    """Whether IBM's price list has its hardware, in capacity-unit hours."""
    has_volume: bool = True
    """Whether trials read inputs from the data volume of a cluster, and of the emulator."""
    secrets_problem: str = ""
    """Why a secret cannot be a variable."""
    resources: Mapping[str, str] = dict.fromkeys(
        ("cpus", "gpus", "memory"),
        f"depends on the hardware: choose providers.{NAME}.hardware_spec",
    )
    """What to do instead of setting a resource of a trial."""
    protected_paths: Sequence[str]
    """As in `cloudtune.provider.BaseProvider`."""
    study_fields: Mapping[str, Sequence[str]] = MappingProxyType({})
    """As in `cloudtune.provider.BaseProvider`."""

    def required_settings(self, settings: WatsonSettings, *, is_cloud: bool) -> list[str]:
        """Return the settings that it needs; a project replaces a space."""
        unused = self.not_on_ibm_cloud if is_cloud else frozenset[str]()
        if settings.project_id:
            unused |= {"space_id"}
        return [name for name in self.required if name not in unused]

    def is_cloud(self, settings: WatsonSettings, *, emulated: bool) -> bool:
        """Return whether the trials run on IBM Cloud, and not on a cluster."""
        return False

    @abstractmethod
    def version_rules(self, settings: WatsonSettings, version: str) -> Iterator[Finding | Note]:
        """Yield what is known of this service in a version of Cloud Pak for Data."""

    @abstractmethod
    def input_problem(self, name: str, address: str, facts: Facts) -> str:
        """Return why trials cannot read an input at an address; empty if they can."""

    @abstractmethod
    def rules(
        self, fitted: FittedStudy, settings: WatsonSettings, facts: Facts
    ) -> Iterator[Finding | Note]:
        """Yield what only this service refuses or does differently, also of ``native``."""

    @abstractmethod
    def request(self, fitted: FittedStudy, settings: WatsonSettings, facts: Facts) -> Json:
        """Return the request, of the search or of one start of a trial."""

    @abstractmethod
    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return what a run uses and creates, by label."""

    @abstractmethod
    def policy(self, plan: Plan) -> Policy:
        """Return the role that the user of a run needs."""

    @abstractmethod
    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        """Yield what read-only calls show of the service."""

    @abstractmethod
    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of a trial's log at IBM, or None if it is unknown where it is."""

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return a client of the service's searches."""
        raise ProviderError(NAME, "this back end has no searches")

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs | None:
        """Store the code and return the jobs of the trials, or None if IBM chooses the trials."""
        return None

    def describe_job(self, job: str, plan: Plan, context: JobContext) -> JobDescription:
        """Return the search with a name."""
        raise UsageError(
            "a training of Watson Machine Learning is one trial, and not a search; searches of "
            "WML Accelerator can be attached, with providers.watson.backend: wmla"
        )

    def uploads(self, plan: Plan, context: JobContext) -> Uploads | None:
        """Return what a run has stored, or None if its code is a part of the search."""
        return None
