"""The Slurm provider: connects the files of this folder."""

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
from cloudtune_slurm.capabilities import CAPABILITIES
from cloudtune_slurm.request_fields import PROTECTED_PATHS, STUDY_FIELDS
from cloudtune_slurm.settings import SlurmSettings

if TYPE_CHECKING:
    from cloudtune.provider import JobContext, Plan, TrainingJobs
    from cloudtune.provider.trial_files import TrialFiles
    from cloudtune.provider.uploads import Uploads
    from cloudtune.results import Started, Trial


class SlurmProvider(BaseProvider[SlurmSettings]):
    """A Slurm cluster: sbatch, squeue, scancel, and a shared folder."""

    capabilities = CAPABILITIES
    settings = SlurmSettings
    emulator = "cloudtune_slurm.emulator"
    connection_settings = ("host", "folder")
    protected_paths = PROTECTED_PATHS
    study_fields = STUDY_FIELDS
    packages: Mapping[str, Sequence[str]] = {"emulators": ("werkzeug",)}

    def lookup(self, study: Study, settings: SlurmSettings, facts: Facts) -> Lookup:
        """Return what is known of the cluster; calls neither ssh nor Slurm."""
        from cloudtune_slurm.lookup import lookup

        return lookup(study, settings, facts)

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: SlurmSettings, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return the findings and notes of a study on Slurm."""
        from cloudtune_slurm.rules import rules

        return rules(fitted.study, settings, facts)

    def request(
        self, fitted: FittedStudy, mode: Mode, settings: SlurmSettings, facts: Facts
    ) -> Json:
        """Return the options of sbatch, the script and the variables of each job."""
        from cloudtune_slurm.request import request

        return request(fitted.study, settings, facts)

    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return where the trials run, and the command that creates their jobs."""
        from cloudtune_slurm.outline import outline

        return outline(plan)

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Copy the code into the shared folder, and return the jobs of the trials.

        Raises:
            ProviderError: If the login node or the folder cannot be reached.
        """
        from cloudtune_slurm.client import connect
        from cloudtune_slurm.training_client import SlurmJobs

        return SlurmJobs(connect(plan, context), plan, context)

    def uploads(self, plan: Plan, context: JobContext) -> Uploads | None:
        """Return the folder of a run on the cluster; None for one in the state folder.

        Raises:
            ProviderError: If the login node cannot be reached.
        """
        from cloudtune.provider.uploads import Uploads
        from cloudtune_slurm.client import connect
        from cloudtune_slurm.uploads import SharedFolder

        assert isinstance(plan.settings, SlurmSettings)
        if plan.facts.emulated or plan.settings.folder is None:
            return None
        folder = plan.request["folder"]
        return Uploads(SharedFolder(connect(plan, context), folder), (), (f"{folder}/",))

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of a trial's log in the shared folder.

        Raises:
            ProviderError: If the log does not exist, or the login node cannot be reached.
        """
        from cloudtune_slurm.client import connect
        from cloudtune_slurm.layout import Layout, read_log

        if not trial.id:
            return None
        return read_log(connect(plan, context), Layout.of_plan(plan, context), trial.id)

    def trial_files(
        self, plan: Plan, context: JobContext, trial: Trial, started: Started
    ) -> TrialFiles:
        """Return a trial's outputs and checkpoints in the shared folder.

        Raises, also while files are read:
            ProviderError: If the login node cannot be reached, or a file cannot be read.
        """
        from cloudtune_slurm.client import connect
        from cloudtune_slurm.host import LocalHost
        from cloudtune_slurm.layout import Layout, trial_files

        host = LocalHost() if plan.facts.emulated else connect(plan, context)
        return trial_files(host, Layout.of_plan(plan, context), started)

    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        """Yield what Slurm's commands and the folder show before a run; submits nothing.

        Raises, also while the checks are read:
            ProviderError: If the login node cannot be reached.
        """
        from cloudtune_slurm.account import check_account
        from cloudtune_slurm.client import connect

        return check_account(connect(plan, context), plan)
