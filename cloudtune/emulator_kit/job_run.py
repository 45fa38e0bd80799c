"""What an emulator keeps of one job while its script runs: the faults to come, and its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from cloudtune.emulation.faults import Fault


class Attempt:
    """One job while it runs, over all its starts; each emulator adds its own."""

    def __init__(self, fault: Fault | None) -> None:
        """Prepare.

        Args:
            fault: What goes wrong with the job.
        """
        self.interrupting = False
        """Whether its machine is being taken away."""
        self.seconds = 0.0
        """How long the script ran in earlier starts."""
        self._faults = [fault] if fault else []
        self._timer: threading.Timer | None = None
        self._began: float | None = None

    def take(self, effect: str) -> Fault | None:
        """Return the fault of this kind that is still to come, once."""
        found = next((fault for fault in self._faults if fault.effect == effect), None)
        if found is not None:
            self._faults.remove(found)
        return found

    def limit(self, seconds: float, stop: Callable[[], object]) -> None:
        """Stop the script when it has run for so long from now on."""
        self._began = time.monotonic()
        self._timer = threading.Timer(max(0.0, seconds), stop)
        self._timer.daemon = True
        self._timer.start()

    def cancel_limit(self) -> None:
        """Let the limit be; the script has ended."""
        if self._timer is not None:
            self._timer.cancel()

    def lasted(self) -> float:
        """Return how many seconds the script has run since its last start."""
        return 0.0 if self._began is None else time.monotonic() - self._began
