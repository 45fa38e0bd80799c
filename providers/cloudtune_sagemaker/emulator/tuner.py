"""Tuning jobs run here: which trials, how many at a time, until when.

The choice is cloudtune's own search and the loop is cloudtune's own driver, so neither is the
service's. What the service documents and the driver does not know is added here: improvement by
one percent, the end after five failures, and Hyperband's largest resource.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudtune.emulation.faults import FaultPlan
from cloudtune.emulator_kit.delays import Delays
from cloudtune.emulator_kit.tuner import TunerRunner
from cloudtune.engine.driver import Driver
from cloudtune.engine.inbox import Inbox, StopRequest
from cloudtune.errors import CloudtuneError
from cloudtune.results.events import Ended, Measured, Started, TrialState
from cloudtune.search.factory import make_strategy
from cloudtune.study.schema import Json
from cloudtune.study.search_space import Value, format_value
from cloudtune_sagemaker.emulator import delays, search_space
from cloudtune_sagemaker.emulator.chooser import DEFINITION, InTurn
from cloudtune_sagemaker.emulator.script_jobs import Training
from cloudtune_sagemaker.emulator.state import TrainingJob, TrialOf, TuningJob
from cloudtune_sagemaker.emulator.store import Store, arn_of
from cloudtune_sagemaker.emulator.trial import folder_of, trial_request

ATTEMPTS = 5
"""Training jobs that may fail before any has succeeded (aws/amazon-sagemaker-examples issue 2436:
"No training job succeeded after 5 attempts")."""
_IMPROVEMENT = 0.01
"""Share by which an objective must be better (developer guide,
automatic-model-tuning-progress)."""
_STATES: Mapping[str, TrialState] = {"Completed": "completed", "Stopped": "stopped_early"}


@dataclass(frozen=True)
class Known:
    """A trial of an earlier tuning job that a warm start builds on."""

    parameters: Mapping[str, Value]
    objective: tuple[float, ...]


@dataclass(frozen=True)
class Workshop:
    """What tuning jobs are run with."""

    store: Store
    training: Training
    delays: Delays
    faults: FaultPlan
    folder: Path
    """Below it each training job has its folder."""


class Tuner:
    """Runs one tuning job to its end, in a thread of its own."""

    def __init__(self, job: TuningJob, shop: Workshop) -> None:
        self.job = job
        self._shop = shop
        self._inbox = Inbox()
        self._trials: dict[int, TrainingJob] = {}
        self._stop_wanted = threading.Event()
        self._best: float | None = None
        self._enough = ""
        self._hopeless = ""
        self._thread = threading.Thread(target=self._run, name=job.name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the job to end with all its trials."""
        self._stop_wanted.set()
        self._inbox.put(StopRequest("stopped by the user"))

    def busy(self) -> bool:
        """Tell whether it still runs."""
        return self._thread.is_alive()

    def start_trial(self, started: Started) -> None:
        """Make the training job of a trial and launch it."""
        job = self._make(started)
        self._trials[started.number] = job
        with self._shop.store.lock:
            self._shop.store.add_training(job)
            self.job.trials.append(job)
            self.job.modified = job.created
        self._shop.training.launch(job, lambda event: self._hear(started.number, event))

    def stop_trial(self, number: int) -> None:
        """Stop the training job of a trial."""
        self._shop.training.stop(self._trials[number])

    def _run(self) -> None:
        failure = "InternalServerError: the emulator's tuner failed; its server.log may say why"
        status = "Failed"
        try:
            self._drive()
            status, failure = self._end()
        except CloudtuneError as error:
            failure = f"InternalServerError: {error}"
        finally:
            with self._shop.store.lock:
                self.job.failure = failure or None
                self.job.enter(status)

    def _drive(self) -> None:
        config = self.job.config
        studies = search_space.studies(self.job)
        seed = config.get("RandomSeed", secrets.randbelow(2**31))
        prior = self._prior()
        if self._shop.delays.wait(delays.STARTING, self._stop_wanted):
            return
        searches = [make_strategy(s, seed + place, prior) for place, s in enumerate(studies)]
        driver = Driver(
            studies[0],
            InTurn(searches),
            run=self.job.name,
            inbox=self._inbox,
            record=lambda _: None,
        )
        driver.run(TunerRunner(self.start_trial, self.stop_trial))

    def _end(self) -> tuple[str, str]:
        """Return the status in which the job ends, and why it failed."""
        if self._hopeless:
            return "Failed", self._hopeless
        if self._stop_wanted.is_set():
            return "Stopped", ""
        if self.job.trials and all(job.status == "Failed" for job in self.job.trials):
            return "Failed", _no_success(len(self.job.trials))
        return "Completed", ""

    def _make(self, started: Started) -> TrainingJob:
        place = int(started.memory[DEFINITION])
        definition = self.job.definitions[place]
        tuned = {name: format_value(value) for name, value in started.parameters.items()}
        name = f"{self.job.name}-{started.number:03d}-{secrets.token_hex(4)}"
        objective = search_space.objective_of(self.job.config, definition)
        trial = TrialOf(
            tuning_name=self.job.name,
            tuning_arn=self.job.arn,
            definition=definition.get("DefinitionName"),
            tuned=tuned,
            metric=objective["MetricName"],
            goal=objective["Type"],
        )
        return TrainingJob(
            request=trial_request(definition, name, tuned, objective["MetricName"]),
            arn=arn_of(self.job.region, "training-job", name),
            region=self.job.region,
            folder=folder_of(self._shop.folder, self.job.region, name),
            tags=dict(self.job.tags),
            trial=trial,
            fault=self._shop.faults.of_trial(),
        )

    def _hear(self, number: int, event: Measured | Ended) -> None:
        """Pass on what a training job tells, in the thread that watches it."""
        job = self._trials[number]
        assert job.trial is not None
        if isinstance(event, Ended):
            with self._shop.store.lock:
                self._note_end(job)
            state = _STATES.get(job.status, "failed")
            self._inbox.put(Ended(number, event.time, state, job.failure or "", event.exit_code))
        elif job.trial.metric in event.metrics:
            sign = 1 if job.trial.goal == "Minimize" else -1
            value = sign * event.metrics[job.trial.metric]
            self._inbox.put(Measured(number, event.time, event.step, {search_space.METRIC: value}))
            if self._used_up(job, event.step):
                self._shop.training.stop(job)

    def _used_up(self, job: TrainingJob, step: int) -> bool:
        """Tell whether a job has reached Hyperband's MaxResource.

        "Once a job reaches the MaxResource value, it is stopped" (botocore 1.44.8 model).
        """
        if self.job.config["Strategy"] != "Hyperband" or job.trial is None:
            return False
        name = job.trial.definition
        definition = next(d for d in self.job.definitions if d.get("DefinitionName") == name)
        most = search_space.max_resource(self.job.config, definition)
        return most is not None and step >= most

    def _note_end(self, job: TrainingJob) -> None:
        """Ask for the end of the tuning job, if it is due, before another trial is started."""
        self._note_objective(job)
        ended = [trial for trial in self.job.trials if trial.ended is not None]
        failed = [trial for trial in ended if trial.status == "Failed"]
        if len(failed) == len(ended) >= ATTEMPTS and not self._hopeless:
            self._hopeless = _no_success(len(ended))
            self._inbox.put(StopRequest(self._hopeless))

    def _note_objective(self, job: TrainingJob) -> None:
        value = job.objective
        if value is not None and job.trial is not None:
            value = value if job.trial.goal == "Minimize" else -value
            if self._best is None or self._best - value >= _IMPROVEMENT * abs(self._best):
                self.job.not_improving = -1
            self._best = value if self._best is None else min(value, self._best)
        self.job.not_improving += 1
        criteria: Json = self.job.config.get("TuningJobCompletionCriteria", {})
        most = criteria.get("BestObjectiveNotImproving", {}).get(
            "MaxNumberOfTrainingJobsNotImproving"
        )
        if most is not None and self.job.not_improving >= most and not self._enough:
            self._enough = f"no training job of the last {most} improved the objective"
            self._inbox.put(StopRequest(self._enough))

    def _prior(self) -> list[Known]:
        """Return what the parents of a warm start found, in this job's own ranges."""
        found: list[Known] = []
        for parent in self.parents():
            for trial in parent.trials:
                definition = self.job.definitions[0]
                if trial.objective is None or trial.trial is None:
                    continue
                values = search_space.values_of(self.job.config, definition, trial.trial.tuned)
                if values is not None:
                    sign = 1 if trial.trial.goal == "Minimize" else -1
                    found.append(Known(values, (sign * trial.objective,)))
        return found

    def parents(self) -> list[TuningJob]:
        """Return the tuning jobs that a warm start builds on, as far as they are still there."""
        return parents_of(self.job, self._shop.store)


def parents_of(job: TuningJob, store: Store) -> list[TuningJob]:
    """Return the tuning jobs that a warm start builds on, as far as they are still there."""
    config: Json = job.request.get("WarmStartConfig", {})
    names = {
        parent["HyperParameterTuningJobName"].lower()
        for parent in config.get("ParentHyperParameterTuningJobs", ())
    }
    return [other for other in store.tunings(job.region) if other.name.lower() in names]


def _no_success(attempts: int) -> str:
    return (
        f"No training job succeeded after {attempts} attempts. Please take a look at the training "
        "job failures to get more details."
    )
