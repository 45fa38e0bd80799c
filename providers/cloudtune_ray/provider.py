"""The Ray provider: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.provider import (
    BaseProvider,
    Check,
    Facts,
    Finding,
    FittedStudy,
    Json,
    Lookup,
    Mode,
    Note,
    Study,
)
from cloudtune_ray.capabilities import CAPABILITIES
from cloudtune_ray.request_fields import STUDY_FIELDS
from cloudtune_ray.settings import RaySettings

if TYPE_CHECKING:
    from cloudtune.provider import JobContext, Plan, TrainingJobs
    from cloudtune.provider.trial_files import TrialFiles
    from cloudtune.provider.uploads import Uploads
    from cloudtune.results import Started, Trial


class RayProvider(BaseProvider[RaySettings]):
    """A Ray cluster: jobs of its REST API, with trials that cloudtune chooses."""

    capabilities = CAPABILITIES
    settings = RaySettings
    emulator = "cloudtune_ray.emulator"
    connection_settings = ("address", "certificate", "token_variable")
    packages: Mapping[str, Sequence[str]] = {"emulators": ("werkzeug",)}
    protected_paths = (
        "submission_id",
        "entrypoint",
        "metadata.cloudtune_run",
        "runtime_env.working_dir",
    )
    study_fields = STUDY_FIELDS

    def lookup(self, study: Study, settings: RaySettings, facts: Facts) -> Lookup:
        """Return what is known of the cluster; does not call it."""
        from cloudtune_ray.lookup import lookup

        return lookup(study, settings, facts)

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: RaySettings, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return the findings and notes of Ray."""
        from cloudtune_ray.rules import rules

        return rules(fitted, settings, facts)

    def request(self, fitted: FittedStudy, mode: Mode, settings: RaySettings, facts: Facts) -> Json:
        """Return the request of the job of each trial."""
        from cloudtune_ray.request import request

        return request(fitted.study, settings, facts)

    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return what a run uses and creates there, in words."""
        from cloudtune_ray.outline import outline

        return outline(plan)

    def trial_files(
        self, plan: Plan, context: JobContext, trial: Trial, started: Started
    ) -> TrialFiles:
        """Return a trial's outputs and checkpoints in the storage, if this machine has it.

        Raises, also while files are read:
            UsageError: If the folder of the storage is not on this machine.
            OSError: If a file cannot be read.
        """
        from cloudtune_ray.trial_files import trial_files

        return trial_files(plan, started)

    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        """Yield what read-only calls show of the cluster.

        Raises, also while the checks are read:
            ProviderError: If the cluster cannot be reached.
        """
        from cloudtune_ray.account import check_account
        from cloudtune_ray.client import connect

        yield from check_account(connect(plan, context), plan)

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of the log of a trial's last job.

        Raises:
            ProviderError: If the cluster cannot be reached, or its node is gone.
        """
        from cloudtune_ray.client import connect

        return iter(connect(plan, context).log(trial.id))

    def uploads(self, plan: Plan, context: JobContext) -> Uploads | None:
        """Return the records of a run's jobs at the cluster."""
        from cloudtune_ray.client import connect
        from cloudtune_ray.uploads import find_uploads

        return find_uploads(connect(plan, context), plan)

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Pack the code, and return the jobs of the trials.

        Raises:
            ProviderError: If the code cannot be packed.
        """
        from cloudtune_ray.client import connect
        from cloudtune_ray.training_client import RayJobs

        return RayJobs(connect(plan, context), plan, context)
