"""The lock of a run that is in the ledger."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager

from cloudtune.errors import UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import RunLock
from cloudtune.runs.creation import remove_creation_mark


@contextmanager
def hold_run(
    ledger: Ledger, run: str, on_stop: Callable[[str], None] = lambda _: None
) -> Generator[None]:
    """Hold the right to run a run in the block; ``on_stop`` as in `RunLock`.

    Raises:
        LedgerError: If another process holds it, or the folder is not writable.
        UsageError: If another process has removed the run.
    """
    folder = ledger.run_folder(run)
    with RunLock(folder, on_stop):
        try:
            ledger.require_run(run)
        except UsageError:
            shutil.rmtree(folder, ignore_errors=True)  # the lock has created it again
            raise
        remove_creation_mark(folder)
        yield
