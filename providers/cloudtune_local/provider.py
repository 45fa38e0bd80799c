"""The local provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.provider import (
    BaseProvider,
    Facts,
    Finding,
    FittedStudy,
    Json,
    Lookup,
    Mode,
    Note,
    Plan,
    Study,
    trial_resources,
)
from cloudtune_local.capabilities import CAPABILITIES
from cloudtune_local.lookup import lookup
from cloudtune_local.outline import outline
from cloudtune_local.request import request
from cloudtune_local.rules import rules
from cloudtune_local.settings import LocalSettings

if TYPE_CHECKING:
    from cloudtune.provider import Emit, JobContext, TrialRunner
    from cloudtune.provider.trial_files import TrialFiles
    from cloudtune.results import Started, Trial


class LocalProvider(BaseProvider[LocalSettings]):
    """This machine. It has only a driven mode, in which cloudtune's engine chooses the trials."""

    capabilities = CAPABILITIES
    settings = LocalSettings

    def lookup(self, study: Study, settings: LocalSettings, facts: Facts) -> Lookup:
        """Return the facts about this machine."""
        return lookup(study, settings, facts)

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: LocalSettings, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return the findings and notes of this machine."""
        return rules(fitted, facts)

    def request(
        self, fitted: FittedStudy, mode: Mode, settings: LocalSettings, facts: Facts
    ) -> Json:
        """Return how to start each trial."""
        return request(fitted, settings, facts)

    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return what a run uses and creates there, in words."""
        return outline(plan)

    def trial_files(
        self, plan: Plan, context: JobContext, trial: Trial, started: Started
    ) -> TrialFiles:
        """Return a trial's outputs and checkpoints in the state folder.

        Raises:
            OSError: If they cannot be read.
        """
        from cloudtune.provider.trial_files import CHECKPOINT, OUTPUT, local_files
        from cloudtune_local.trial_dirs import trial_folder

        return local_files(
            {
                OUTPUT: trial_folder(context.folder, started.number).output,
                CHECKPOINT: trial_folder(context.folder, started.checkpoint_number).checkpoint,
            }
        )

    def runner(
        self, plan: Plan, context: JobContext, emit: Emit, notify: Callable[[str], None]
    ) -> TrialRunner:
        """Return a runner that runs each trial as a process."""
        from cloudtune_local.runner import LocalRunner

        study = plan.fitted.study
        return LocalRunner(
            plan.request,
            plan.facts.run_id,
            context.folder,
            emit,
            notify,
            resources=lambda started: trial_resources(study, started),
            seed=study.trial_seed,
        )
