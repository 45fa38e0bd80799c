"""The results of a run in Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.common.display import Displayable

if TYPE_CHECKING:
    from cloudtune.results.model import StudyResult, Trial


@dataclass(frozen=True, repr=False)
class Results(Displayable):
    """The results of a run, one `StudyResult` for each job."""

    jobs: tuple[StudyResult, ...]

    def __iter__(self) -> Iterator[StudyResult]:
        """Yield each job's result."""
        return iter(self.jobs)

    def __getitem__(self, provider: str) -> StudyResult:
        """Return the result of one provider's job.

        Raises:
            KeyError: If the run has no job there.
        """
        for job in self.jobs:
            if job.provider == provider:
                return job
        raise KeyError(provider)

    @property
    def best(self) -> Trial | None:
        """The best trial of all jobs; None if there is no single best.

        If the run was confirmed, that is the trial to take: `StudyResult.decision` says why.
        Of a confirmation, it is the best trial of the run that it confirms.
        Emulated jobs count only if every job is emulated; `StudyResult.emulated` shows which.
        """
        from cloudtune.results.aggregate import best_of_jobs
        from cloudtune.runs.confirmations import confirmed_run

        jobs = self.jobs
        if any(job.confirmation for job in jobs):
            jobs = read_run(confirmed_run(jobs[0].run)).jobs
        winners = best_of_jobs(
            (job, job.trials) for job in jobs if not (job.is_outranked or job.confirmation)
        )
        return winners[0][1] if len(winners) == 1 else None

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials of all jobs."""
        return tuple(trial for job in self.jobs for trial in job.trials)

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame with a row for each trial; needs ``cloudtune[data]``."""
        from cloudtune.results import dataframes

        return dataframes.to_pandas(self.jobs)

    def to_polars(self) -> Any:
        """Return a polars DataFrame with a row for each trial; needs ``cloudtune[polars]``."""
        from cloudtune.results import dataframes

        return dataframes.to_polars(self.jobs)

    def to_parquet(self, path: str | Path) -> None:
        """Write a Parquet file with a row for each trial; needs ``cloudtune[data]``."""
        from cloudtune.ledger.outputs import record_outputs
        from cloudtune.results import dataframes

        rows = (row for job in self.jobs for row in dataframes.trial_rows(job))
        dataframes.to_parquet(rows, Path(path))
        record_outputs(Path(path))

    def to_mlflow(self, to: str | None = None) -> list[str]:
        """Write each job to MLflow and return the run IDs; needs ``cloudtune[mlflow]``.

        ``to`` is the tracking address, by default MLflow's own.
        """
        from cloudtune.formats import mlflow

        return [mlflow.export(job, job.trials, to) for job in self.jobs]

    def to_optuna(self, to: str) -> list[str]:
        """Write each job as an Optuna study and return the study names.

        ``to`` is the storage: an address, or the path of a SQLite file.
        """
        from cloudtune.formats.optuna import run_export

        return [run_export.export(job, job.trials, to) for job in self.jobs]


def read_run(run: str) -> Results:
    """Return the results of each job of a run so far, with what confirmations have decided.

    Args:
        run: The run's ID.
    """
    from cloudtune.ledger.reader import read_results
    from cloudtune.runs.confirmed_best import with_decisions

    jobs = with_decisions(read_results(run))
    return Results(tuple(replace(job, trials=tuple(trials)) for job, trials in jobs))
