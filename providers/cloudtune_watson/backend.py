"""What a back end is: one of IBM's services that run training scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from cloudtune.provider import (
    Check,
    Facts,
    Finding,
    FittedStudy,
    JobClient,
    JobContext,
    JobDescription,
    Json,
    Note,
    Plan,
    TrainingJobs,
    UsageError,
)
from cloudtune.provider.account import Policy
from cloudtune.provider.trial_files import TrialFiles
from cloudtune.provider.uploads import Uploads
from cloudtune.results import Trial
from cloudtune_watson.settings import SETTINGS, WatsonSettings
from cloudtune_watson.versions import STANDALONE

Rules = Callable[[FittedStudy, WatsonSettings, Facts], Iterator[Finding | Note]]

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
RESOURCES: Mapping[str, str] = dict.fromkeys(
    ("cpus", "gpus", "memory"), f"depends on the hardware: choose {SETTINGS}.hardware_spec"
)
UNCOUNTED = ("the time that trials run on while cloudtune is not running, or until IBM stops them",)


def _never(_settings: WatsonSettings, _emulated: bool) -> bool:
    return False


def _no_jobs(_plan: Plan, _context: JobContext) -> None:
    return None


def _no_search(_job: str, _plan: Plan, _context: JobContext) -> JobDescription:
    raise UsageError(
        "a training of Watson Machine Learning is one trial, and not a search; searches of WML "
        "Accelerator can be attached, with providers.watson.backend: wmla"
    )


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One service, whose folder has the same names as the others'.

    The functions that call the service raise what those of `cloudtune.provider.BaseProvider` raise.
    """

    settings: frozenset[str]
    """The settings that it uses, of those that not all back ends use."""
    refused_settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why a setting of another back end is refused, and not only dropped."""
    required: tuple[str, ...]
    """The settings that it needs."""
    not_on_ibm_cloud: frozenset[str] = frozenset()
    """Those that it does not need on IBM Cloud, where a key identifies its user."""
    only_standalone: frozenset[str] = frozenset()
    """The settings that only a standalone WML Accelerator needs."""
    stand_ins: Mapping[str, str] = field(default_factory=lambda: STAND_INS)
    has_ibm_cloud: bool = False
    """Whether IBM Cloud has the service."""
    is_cloud: Callable[[WatsonSettings, bool], bool] = _never
    """Whether the trials run there; the second argument is whether they are emulated."""
    has_volume: bool = True
    """Whether trials read inputs from the data volume of a cluster, and of the emulator."""
    is_billed_in_units: bool = True
    """Whether IBM's price list has its hardware, in capacity-unit hours."""
    timeout_unit: int = 1
    """Seconds of a time limit's unit."""
    uncounted: tuple[str, ...] = UNCOUNTED
    """What the estimate of the costs does not count."""
    secrets_problem: str = ""
    """Why a secret cannot be a variable."""
    resources: Mapping[str, str] = field(default_factory=lambda: RESOURCES)
    """What to do instead of setting a resource of a trial."""

    version_rules: Callable[[WatsonSettings, str], Iterator[Finding | Note]]
    """Yields what is known of the service in a version of Cloud Pak for Data."""
    input_problem: Callable[[str, str, Facts], str]
    """Returns why trials cannot read an input, by its name, at an address; empty if they can."""
    rules: Rules
    """Yields what only this service refuses or does differently, also of ``native``."""
    request: Callable[[FittedStudy, WatsonSettings, Facts], Json]
    outline: Callable[[Plan], Mapping[str, str]]
    policy: Callable[[Plan], Policy]
    check_account: Callable[[Plan, JobContext], Iterator[Check]]
    read_log: Callable[[Plan, JobContext, Trial], Iterator[str] | None]
    trial_files: Callable[[Plan, JobContext, Trial], TrialFiles]
    client: Callable[[Plan, JobContext], JobClient | None] = _no_jobs
    training_jobs: Callable[[Plan, JobContext], TrainingJobs | None] = _no_jobs
    uploads: Callable[[Plan, JobContext], Uploads | None] = _no_jobs
    describe_job: Callable[[str, Plan, JobContext], JobDescription] = _no_search

    def required_settings(self, settings: WatsonSettings, *, is_cloud: bool) -> list[str]:
        """Return the settings that it needs; a project replaces a space."""
        names = {*self.required}
        if settings.version == STANDALONE:
            names |= self.only_standalone
        if is_cloud:
            names -= self.not_on_ibm_cloud
        if settings.project_id:
            names -= {"space_id"}
        return [name for name in STAND_INS if name in names]
