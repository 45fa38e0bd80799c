"""The Ray provider: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.provider import FolderProvider
from cloudtune_ray.capabilities import CAPABILITIES
from cloudtune_ray.request_fields import STUDY_FIELDS
from cloudtune_ray.settings import RaySettings

if TYPE_CHECKING:
    from cloudtune.provider import JobContext, Plan, TrainingJobs
    from cloudtune.provider.trial_files import TrialFiles
    from cloudtune.results import Started, Trial


class RayProvider(FolderProvider[RaySettings]):
    """A Ray cluster: jobs of its REST API, with trials that cloudtune chooses."""

    capabilities = CAPABILITIES
    settings = RaySettings
    folder = "cloudtune_ray"
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

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of the log of a trial's last job.

        Raises:
            ProviderError: If the cluster cannot be reached, or its node is gone.
        """
        lines: list[str] = self.connect(plan, context).log(trial.id)
        return iter(lines)

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Pack the code, and return the jobs of the trials.

        Raises:
            ProviderError: If the code cannot be packed.
        """
        from cloudtune_ray.training_client import RayJobs

        return RayJobs(self.connect(plan, context), plan, context)
