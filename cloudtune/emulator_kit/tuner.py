"""How an emulated tuner runs its trials: by cloudtune's own driver, as jobs of the emulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cloudtune.provider.models import Interrupted, Recovered
from cloudtune.results.events import Started


class TunerRunner:
    """A `TrialRunner` whose trials are jobs of the emulator, which end with it."""

    enforces_trial_timeout = True
    """The jobs keep their own time."""

    def __init__(self, launch: Callable[[Started], None], end: Callable[[int], None]) -> None:
        """Prepare.

        Args:
            launch: Launches a trial's job.
            end: Stops the job of the trial with a number; the service gives each its grace.
        """
        self._launch = launch
        self._end = end

    def start(self, started: Started) -> None:
        """Launch a trial."""
        self._launch(started)

    def stop(self, number: int, *, now: bool = False) -> None:
        """Stop a trial."""
        self._end(number)

    def job_name(self, number: int, start: int) -> None:
        """Return nothing: a tuner names its jobs itself."""

    def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
        """Return nothing: no tuner takes over another's trials."""
        return Recovered()

    def close(self) -> None:
        """Do nothing: the jobs end with the emulator."""
