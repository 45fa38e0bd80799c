"""The Slurm provider: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.provider import FolderProvider
from cloudtune_slurm.capabilities import CAPABILITIES
from cloudtune_slurm.request_fields import PROTECTED_PATHS, STUDY_FIELDS
from cloudtune_slurm.settings import SlurmSettings

if TYPE_CHECKING:
    from cloudtune.provider import JobContext, Plan, TrainingJobs
    from cloudtune.provider.trial_files import TrialFiles
    from cloudtune.provider.uploads import Uploads
    from cloudtune.results import Started, Trial


class SlurmProvider(FolderProvider[SlurmSettings]):
    """A Slurm cluster: sbatch, squeue, scancel, and a shared folder."""

    capabilities = CAPABILITIES
    settings = SlurmSettings
    folder = "cloudtune_slurm"
    emulator = "cloudtune_slurm.emulator"
    connection_settings = ("host", "folder")
    protected_paths = PROTECTED_PATHS
    study_fields = STUDY_FIELDS
    packages: Mapping[str, Sequence[str]] = {"emulators": ("werkzeug",)}

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Copy the code into the shared folder, and return the jobs of the trials.

        Raises:
            ProviderError: If the login node or the folder cannot be reached.
        """
        from cloudtune_slurm.training_client import SlurmJobs

        return SlurmJobs(self.connect(plan, context), plan, context)

    def uploads(self, plan: Plan, context: JobContext) -> Uploads | None:
        """Return the folder of a run on the cluster; None for one in the state folder.

        Raises:
            ProviderError: If the login node cannot be reached.
        """
        from cloudtune.provider.uploads import Uploads
        from cloudtune_slurm.uploads import SharedFolder

        assert isinstance(plan.settings, SlurmSettings)
        if plan.facts.emulated or plan.settings.folder is None:
            return None
        folder = plan.request["folder"]
        return Uploads(SharedFolder(self.connect(plan, context), folder), (), (f"{folder}/",))

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of a trial's log in the shared folder.

        Raises:
            ProviderError: If the log does not exist, or the login node cannot be reached.
        """
        from cloudtune_slurm.layout import Layout, read_log

        if not trial.id:
            return None
        return read_log(self.connect(plan, context), Layout.of_plan(plan, context), trial.id)

    def trial_files(
        self, plan: Plan, context: JobContext, trial: Trial, started: Started
    ) -> TrialFiles:
        """Return a trial's outputs and checkpoints in the shared folder.

        Raises, also while files are read:
            ProviderError: If the login node cannot be reached, or a file cannot be read.
        """
        from cloudtune_slurm.host import LocalHost
        from cloudtune_slurm.layout import Layout, trial_files

        host = LocalHost() if plan.facts.emulated else self.connect(plan, context)
        return trial_files(host, Layout.of_plan(plan, context), started)
