"""The operations of the services, and what carries them out.

The names are the emulator's own, for fault plans; IBM's REST APIs have none.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from cloudtune.emulator_kit import Context, Delays, FaultPlan, Response, app, operations_of
from cloudtune_watson.emulator.assets import Assets
from cloudtune_watson.emulator.deployment_jobs import DeploymentJobs
from cloudtune_watson.emulator.deployments import Deployments
from cloudtune_watson.emulator.errors import unavailable
from cloudtune_watson.emulator.hypersearch import Hypersearch
from cloudtune_watson.emulator.keys import Keys
from cloudtune_watson.emulator.models import Models
from cloudtune_watson.emulator.platform import Platform
from cloudtune_watson.emulator.script_jobs import FILES_ONLY, Jobs
from cloudtune_watson.emulator.storage import Files, Volume
from cloudtune_watson.emulator.trainings import Trainings
from cloudtune_watson.emulator.tuner import Tuner
from cloudtune_watson.emulator.wire import Call


class Operations(app.Operations[Jobs, Tuner]):
    """Carries out operations on the resources of one emulator."""

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan, keys: Keys) -> None:
        lock = threading.RLock()
        jobs = Jobs(delays, lock)
        super().__init__(Context(folder, delays, faults, jobs, lock))
        volume = Volume(folder / "volume")
        self.platform = Platform(keys)
        self.assets = Assets(volume, keys)
        self.files = Files(volume)
        self.models = Models()
        self.trainings = Trainings(volume, self.assets, self.context)
        self.deployment_jobs = DeploymentJobs(self.assets, keys, self.context)
        self.deployments = self.deployment_jobs.deployments
        self.searches = Hypersearch(volume, self.tuners, self.context)
        parts: list[object] = [*vars(self).values()]
        self._owners = {name: each for each in parts for name in operations_of(type(each))}

    def carry_out(self, name: str, call: Call) -> Response:
        """Return the response to a call.

        Raises:
            ServiceError: If the service would refuse.
        """
        try:
            with self.context.lock:
                return OPERATIONS[name].carry_out(self._owners[name], call)
        except OSError as error:  # scripts may change the files meanwhile
            raise unavailable(f"The volume: {error.strerror}.") from error


EFFECTS = (FILES_ONLY,)
"""Effects on a trial that only this emulator has."""
NOT_DRIVEN: Mapping[str, str] = {
    "stop_early": "Watson Machine Learning does not stop trainings early"
}
NOT_MANAGED: Mapping[str, str] = {
    FILES_ONLY: "a search reads the metrics of its trials in their files"
}
"""Effects that are impossible for trainings, and for trials of a search, and why."""
_KINDS = (Platform, Assets, Files, Trainings, Models, Deployments, DeploymentJobs, Hypersearch)
OPERATIONS = {name: each for kind in _KINDS for name, each in operations_of(kind).items()}
