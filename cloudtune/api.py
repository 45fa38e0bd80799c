"""The same from Python, in a script or a notebook."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudtune.ledger.home import state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import lock_holder
from cloudtune.planning import planner
from cloudtune.provider.plan import Plan
from cloudtune.results import dataframes
from cloudtune.results.aggregate import best_of_jobs
from cloudtune.results.events import Outcome
from cloudtune.results.model import StudyResult, Trial
from cloudtune.runs import lifecycle
from cloudtune.study.study import Study

_LOOK = 0.005
"""Seconds between looks at whether a run has begun."""


def plan(study: Study, on: str = "local", *, emulate: bool = False) -> Plan:
    """Return what would be sent to a provider, or to its emulator; nothing is sent.

    Raises:
        UsageError: If there is no such provider.
        StudyError: If the provider's settings in the study are wrong.
    """
    return planner.plan(study, on, emulated=emulate)


@dataclass(frozen=True)
class Results:
    """What the jobs of a run found, one `StudyResult` each."""

    jobs: tuple[StudyResult, ...]

    def __iter__(self) -> Iterator[StudyResult]:
        """Yield each job's result."""
        return iter(self.jobs)

    def __getitem__(self, provider: str) -> StudyResult:
        """Return the result of one provider's job.

        Raises:
            KeyError: If the run had none there.
        """
        for job in self.jobs:
            if job.provider == provider:
                return job
        raise KeyError(provider)

    @property
    def best(self) -> Trial | None:
        """The best trial of all jobs; None if there is no single best.

        Emulated jobs count only if every job is emulated; `StudyResult.emulated` shows which.
        """
        winners = best_of_jobs((job, job.trials) for job in self.jobs)
        return winners[0][1] if len(winners) == 1 else None

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials of all jobs."""
        return tuple(trial for job in self.jobs for trial in job.trials)

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame, one row a trial; needs ``cloudtune[data]``."""
        return dataframes.to_pandas(self.jobs)

    def to_polars(self) -> Any:
        """Return a polars DataFrame, one row a trial; needs ``cloudtune[polars]``."""
        return dataframes.to_polars(self.jobs)

    def to_parquet(self, path: str | Path) -> None:
        """Write a Parquet file, one row a trial; needs ``cloudtune[data]``."""
        flat = (row for job in self.jobs for row in dataframes.trial_rows(job))
        dataframes.to_parquet(flat, Path(path))

    def to_mlflow(self, to: str | None = None) -> list[str]:
        """Write each job into MLflow, and return the ids of the runs; needs ``cloudtune[mlflow]``.

        Args:
            to: MLflow's tracking address; what MLflow itself takes when left out.
        """
        from cloudtune.formats import mlflow as to_mlflow

        return [to_mlflow.export(job, job.trials, to) for job in self.jobs]

    def to_optuna(self, to: str) -> list[str]:
        """Write each job as a study of Optuna, and return the studies' names.

        Args:
            to: The storage: an address, or the path of a SQLite file.
        """
        from cloudtune.formats import optuna as to_optuna

        return [to_optuna.export(job, job.trials, to) for job in self.jobs]


class Run:
    """One run: a handle that can be made again from its id."""

    def __init__(self, id: str) -> None:  # noqa: A002
        self.id = id
        self.outcomes: dict[str, Outcome] = {}
        """How each job ended, by provider; empty while the run goes on or after another process."""
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def results(self) -> Results:
        """Return what each job found so far."""
        return Results(tuple(lifecycle.results(self.id)))

    def wait(self) -> Run:
        """Return when all jobs ended.

        Raises:
            CloudtuneError: If the run could not be executed.
        """
        if self._thread:
            self._thread.join()
        if self._error:
            raise self._error
        return self

    def stop(self, *on: str) -> None:
        """Ask the run to end gracefully; it can be resumed.

        Args:
            on: The providers whose jobs are to end; all when left out.
        """
        lifecycle.stop(self.id, on=on)

    def _providers(self) -> list[str]:
        with Ledger(state_folder()) as ledger:
            return [job.provider for job in ledger.run(self.id).jobs]

    def _execute(self, *, show: bool) -> Run:
        from cloudtune.reporting.console.plain import create_progress

        shown = create_progress(self._providers()) if show else None
        try:
            self.outcomes = lifecycle.execute(self.id, shown)
        finally:
            if shown:
                shown.close()
        return self

    def _execute_apart(self) -> Run:
        def work() -> None:
            try:
                self._execute(show=False)
            except Exception as error:  # noqa: BLE001  (raised again by wait)
                self._error = error

        with Ledger(state_folder()) as ledger:
            folder = ledger.run_folder(self.id)
        self._thread = threading.Thread(target=work, name=f"cloudtune {self.id}")
        self._thread.start()
        while self._thread.is_alive() and lock_holder(folder) is None:
            time.sleep(_LOOK)
        return self


def run(
    study: Study | Plan,
    on: str | Sequence[str] = "local",
    *,
    emulate: bool = False,
    show: bool = True,
) -> Run:
    """Run a study, or a plan as it is, and return when all jobs ended.

    Ctrl-C, or the notebook's stop button, ends it gracefully; the handle is still returned.

    Args:
        study: What to run.
        on: One provider or several.
        emulate: Run on the services' emulators on this machine.
        show: Whether progress is shown.

    Raises:
        UnsupportedError: If no provider can run the study; of several those run that can.
    """
    made = _created(study, on, emulate=emulate)
    return made._execute(show=show)  # pyright: ignore[reportPrivateUsage]


def start(study: Study | Plan, on: str | Sequence[str] = "local", *, emulate: bool = False) -> Run:
    """Start a run in the background of this process and return once it can be stopped.

    Raises:
        UnsupportedError: If no provider can run the study; of several those run that can.
    """
    made = _created(study, on, emulate=emulate)
    return made._execute_apart()  # pyright: ignore[reportPrivateUsage]


def resume(run: str | None = None, *, show: bool = True) -> Run:
    """Go on with a run that was stopped or killed, the latest when left out.

    Raises:
        UsageError: If there is no such run, or its study's file has changed.
    """
    from cloudtune.runs.resume import prepare

    with Ledger(state_folder()) as ledger:
        record = ledger.run(run)
    prepare(record)
    return Run(record.id)._execute(show=show)  # pyright: ignore[reportPrivateUsage]


def report(
    results: Results | Sequence[Results], path: str | Path | None = None, form: str | None = None
) -> str:
    """Return a report that compares jobs and runs, and write it to a file.

    Args:
        results: What one run found, or several.
        path: The file; its ending (html, md, json, txt) says which form it has.
        form: ``text``, ``html``, ``markdown`` or ``json``, where no file's ending says it. Without
            either: text.

    Raises:
        UsageError: If the runs have not the same objectives.
        MissingExtraError: If it needs ``cloudtune[report]``: as HTML, or for intervals.
    """
    from cloudtune.comparison.comparison import compare
    from cloudtune.comparison.load import load_run_arguments
    from cloudtune.reporting.documents.render import render_report, report_format

    several = [results] if isinstance(results, Results) else results
    jobs = [job for each in several for job in each]
    file = None if path is None else Path(path)
    form = form or (report_format(file) if file else "text")
    said = render_report(compare(jobs, load_run_arguments({job.run for job in jobs})), form)
    if file:
        file.write_text(said, "utf-8")
    return said


def _created(study: Study | Plan, on: str | Sequence[str], *, emulate: bool) -> Run:
    if isinstance(study, Plan):
        return Run(lifecycle.create([study], saved=True))
    names = [on] if isinstance(on, str) else on
    return Run(lifecycle.create(planner.plan_run(study, names, emulated=emulate)))
