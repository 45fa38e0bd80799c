"""What a study may learn from: the finished trials of earlier runs."""

from __future__ import annotations

from cloudtune.errors import UsageError
from cloudtune.ledger import Ledger, state_folder
from cloudtune.objective import objective_values
from cloudtune.provider import Parent
from cloudtune.results import result_of
from cloudtune.study import Study


def parents(study: Study) -> list[Parent]:
    """Return the finished trials of the runs that the study's warm start names.

    Raises:
        UsageError: If there is no such run.
    """
    if study.warm_start is None:
        return []
    found: list[Parent] = []
    with Ledger(state_folder()) as ledger:
        for name in study.warm_start.from_:
            if ":" in name:
                raise UsageError(
                    f"warm_start.from: {name}: jobs that cloudtune did not start cannot be read yet"
                )
            record = ledger.run(name)
            for job in record.jobs:
                events = (event for _, event in ledger.events(record.id, job.provider))
                for trial in result_of(record, job, events).trials:
                    values = objective_values(study, [m.metrics for m in trial.measurements])
                    if trial.state in {"completed", "stopped_early"} and values is not None:
                        found.append(Parent(trial.parameters, values))
    return found
