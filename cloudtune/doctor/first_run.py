"""Which studies the doctor has seen, so that `cloudtune run` suggests it once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from cloudtune.errors import CloudtuneError
from cloudtune.ledger.home import create_state_folder, state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings
from cloudtune.study.regular_files import read_regular
from cloudtune.study.yaml_reader import is_list, is_map

_FILE = "doctor.json"
"""The file in the state folder with the studies, each with its providers."""
_MAX_RUNS = 200
"""The latest runs that are searched for the study."""


def first_run_services(plans: Sequence[Plan]) -> list[str]:
    """Return the services on which a study runs for the first time, without a check before.

    They are remembered, so that a second call returns none of them.
    """
    names = [
        plan.provider
        for plan in plans
        if isinstance(plan.settings, CloudSettings) and not plan.facts.emulated
    ]
    file = plans[0].study.file if plans else None
    if not names or not file:
        return []
    known = _read().get(str(Path(file).absolute()), [])
    new = [name for name in names if name not in known]
    if new:
        remember(file, new)
    return [name for name in new if not _ran_before(file, name)]


def remember(file: str, providers: Sequence[str]) -> None:
    """Remember that a study was checked for providers; an error is ignored."""
    with suppress(OSError, CloudtuneError):
        seen, key = _read(), str(Path(file).absolute())
        seen[key] = sorted({*seen.get(key, []), *providers})
        folder = state_folder()
        create_state_folder(folder)
        (folder / _FILE).write_text(json.dumps(seen, indent=1), "utf-8")


def _read() -> dict[str, list[str]]:
    data: object = None
    with suppress(OSError, ValueError, RecursionError, CloudtuneError):
        data = json.loads(read_regular(state_folder() / _FILE))
    studies = data.items() if is_map(data) else ()
    return {key: [str(each) for each in value] for key, value in studies if is_list(value)}


def _ran_before(file: str, provider: str) -> bool:
    path = str(Path(file).absolute())
    with suppress(CloudtuneError, OSError), Ledger() as ledger:
        for run in islice(ledger.run_ids(), _MAX_RUNS):
            record = ledger.run(run)
            real = {job.provider for job in record.jobs if not job.emulated}
            if record.file == path and provider in real:
                return True
    return False
