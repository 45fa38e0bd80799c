"""Runs tuning jobs: which trials, how many at a time, until when.

The search and the loop are cloudtune's, not the service's. What the service documents and the
driver does not know is here: improvement by one percent, the end after five failures, and
Hyperband's largest resource.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cloudtune.emulator_kit import (
    Context,
    Ended,
    Json,
    Measured,
    SearchEvent,
    Started,
    StopRequest,
    Strategy,
    Study,
    Suggestion,
    TrialState,
    Value,
    format_value,
    make_strategy,
    tuner,
)
from cloudtune_sagemaker.emulator import delays, search_space
from cloudtune_sagemaker.emulator.rules.ranges import OBJECTIVE
from cloudtune_sagemaker.emulator.script_jobs import TrainingJobs
from cloudtune_sagemaker.emulator.state import Store, TrainingJob, TrialInfo, TuningJob, arn_of

MAX_FAILURES = 5
"""Training jobs that may fail before any has succeeded (aws/amazon-sagemaker-examples issue 2436:
"No training job succeeded after 5 attempts"; in 2025 after 8 with 4 at a time,
tests/recordings/sagemaker/texts_tuning_failed)."""
_ALL_FAILED = (
    "All training jobs failed. Please take a look at the training jobs failures to get more "
    "details."
)
"""Recorded in 2024 for two of two jobs."""
DEFINITION = "definition"
"""The key of a start's memory that has the index of its training job definition."""
_INNER = "inner"
_IMPROVEMENT = 0.01
"""Share by which an objective must be better (developer guide,
automatic-model-tuning-progress)."""
_STATES: Mapping[str, TrialState] = {"Completed": "completed", "Stopped": "stopped_early"}
_COPIED = frozenset(
    [
        *("AlgorithmSpecification", "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig"),
        *("ResourceConfig", "StoppingCondition", "EnableNetworkIsolation", "CheckpointConfig"),
        *("EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "RetryStrategy"),
        "Environment",
    ]
)
"""The members of a definition that its training jobs have, too."""


@dataclass(frozen=True)
class PriorTrial:
    """A trial of an earlier tuning job that a warm start builds on."""

    parameters: Mapping[str, Value]
    objective: tuple[float, ...]
    source: str
    """The name of the tuning job."""


class Tuner(tuner.Tuner[TuningJob, TrainingJobs]):
    """Runs one tuning job."""

    STARTING = delays.STARTING

    def __init__(self, job: TuningJob, store: Store, context: Context[TrainingJobs]) -> None:
        super().__init__(job.name, job, context)
        self._store = store
        self._trials: dict[int, TrainingJob] = {}
        self._best: float | None = None
        self._is_complete = False
        self._failure = ""

    def start_trial(self, started: Started) -> None:
        """Create the training job of a trial and launch it."""
        job = self._create_job(started)
        self._trials[started.number] = job
        with self.lock:
            self._store.add_training(job)
            self.job.trials.append(job)
            self.job.updated = job.created
            self.context.jobs.launch(job, lambda event: self._handle(started.number, event))

    def stop_trial(self, number: int) -> None:
        """Stop the training job of a trial."""
        self.context.jobs.stop(self._trials[number])

    def create_search(self) -> tuple[Study, Strategy]:
        """Return the first definition's study, and a search over all definitions in turn."""
        studies = search_space.studies(self.job)
        seed = self.job.config.get("RandomSeed", secrets.randbelow(2**31))
        prior = self._prior_trials()
        searches = [make_strategy(s, seed + index, prior) for index, s in enumerate(studies)]
        return studies[0], SearchesInTurn(searches)

    def settle(self, error: str | None) -> None:
        """Enter the tuning job's final status."""
        state = "Completed"
        if error is not None:
            error = error or "the emulator's tuner failed; its server.log may say why"
            state, self.job.failure = "Failed", f"InternalServerError: {error}"
        elif self._failure:
            state, self.job.failure = "Failed", self._failure
        elif self.job.stop_requested.is_set():
            state = "Stopped"
        elif self.job.trials and all(job.state == "Failed" for job in self.job.trials):
            state, self.job.failure = "Failed", _ALL_FAILED
        self.job.enter(state)

    def _create_job(self, started: Started) -> TrainingJob:
        definition = self.job.definitions[int(started.memory[DEFINITION])]
        tuned = {name: format_value(value) for name, value in started.parameters.items()}
        name = f"{self.job.name}-{started.number:03d}-{secrets.token_hex(4)}"
        objective = search_space.objective_of(self.job.config, definition)
        return TrainingJob(
            request=training_request(definition, name, tuned, objective["MetricName"]),
            arn=arn_of(self.job.region, "training-job", name),
            region=self.job.region,
            folder=self.context.job_folder(self.job.region, name),
            tags=dict(self.job.tags),
            trial=TrialInfo(
                tuning_arn=self.job.arn,
                definition=definition.get("DefinitionName"),
                tuned=tuned,
                metric=objective["MetricName"],
                goal=objective["Type"],
            ),
            fault=self.context.faults.next_trial(),
        )

    def _handle(self, number: int, event: Measured | Ended) -> None:
        """Pass on an event of a training job, in the thread that watches it."""
        job = self._trials[number]
        assert job.trial is not None
        if isinstance(event, Ended):
            with self.lock:
                self._check_end(job)
            state = _STATES.get(job.state, "failed")
            self.inbox.put(Ended(number, event.time, state, job.failure or "", event.exit_code))
        elif job.trial.metric in event.metrics:
            value = job.trial.sign * event.metrics[job.trial.metric]
            self.inbox.put(Measured(number, event.time, event.step, {search_space.METRIC: value}))
            if self._has_max_resource(job, event.step):
                self.context.jobs.stop(job)

    def _has_max_resource(self, job: TrainingJob, step: int) -> bool:
        """Return whether a job has reached Hyperband's MaxResource.

        "Once a job reaches the MaxResource value, it is stopped" (botocore 1.44.8 model).
        """
        if self.job.config["Strategy"] != "Hyperband" or job.trial is None:
            return False
        name = job.trial.definition
        definition = next(d for d in self.job.definitions if d.get("DefinitionName") == name)
        limit = search_space.max_resource(self.job.config, definition)
        return limit is not None and step >= limit

    def _check_end(self, job: TrainingJob) -> None:
        """Ask for the end of the tuning job, if it is due, before another trial starts."""
        self._check_improvement(job)
        ended = [trial for trial in self.job.trials if trial.ended is not None]
        failed = [trial for trial in ended if trial.state == "Failed"]
        if len(failed) == len(ended) >= MAX_FAILURES and not self._failure:
            self._failure = _no_success(len(ended))
            self.inbox.put(StopRequest(self._failure))

    def _check_improvement(self, job: TrainingJob) -> None:
        if job.objective is not None and job.trial is not None:
            value = job.trial.sign * job.objective
            if self._best is None or self._best - value >= _IMPROVEMENT * abs(self._best):
                self.job.not_improving = -1
            self._best = value if self._best is None else min(value, self._best)
        self.job.not_improving += 1
        criteria: Json = self.job.config.get("TuningJobCompletionCriteria", {})
        limit = criteria.get("BestObjectiveNotImproving", {}).get(
            "MaxNumberOfTrainingJobsNotImproving"
        )
        if limit is not None and self.job.not_improving >= limit and not self._is_complete:
            self._is_complete = True
            self.inbox.put(
                StopRequest(f"no training job of the last {limit} improved the objective")
            )

    def _prior_trials(self) -> list[PriorTrial]:
        """Return the results of a warm start's parents, in this job's own ranges."""
        trials: list[PriorTrial] = []
        for parent in parents_of(self.job, self._store):
            for job in parent.trials:
                if job.objective is None or job.trial is None:
                    continue
                values = search_space.values_of(
                    self.job.config, self.job.definitions[0], job.trial.tuned
                )
                if values is not None:
                    objective = (job.trial.sign * job.objective,)
                    trials.append(PriorTrial(values, objective, parent.name))
        return trials


class SearchesInTurn(Strategy):
    """A strategy over several searches, one per training job definition, which take turns."""

    def __init__(self, searches: Sequence[Strategy]) -> None:
        self._searches = list(searches)
        self._trials = [0] * len(searches)
        """The number of trials of each definition."""
        self._definitions: dict[int, int] = {}
        """The index of each trial's definition."""

    def tell(self, event: SearchEvent) -> None:
        """Record an event, and pass it to its search."""
        if isinstance(event, Started):
            index = int(event.memory[DEFINITION])
            if event.number not in self._definitions:
                self._trials[index] += 1
            self._definitions[event.number] = index
            event = Started(event.number, event.time, event.parameters, memory=event.memory[_INNER])
        self._searches[self._definitions[event.number]].tell(event)

    def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
        """Return the next trial of the definition whose turn it is, or of one after it."""
        count = len(self._searches)
        waiting = False
        for step in range(count):
            definition = (index + step) % count
            answer = self._searches[definition].ask(self._trials[definition])
            if isinstance(answer, Suggestion):
                memory = {DEFINITION: definition, _INNER: dict(answer.memory)}
                return Suggestion(answer.parameters, memory=memory)
            waiting = waiting or answer == "wait"
        return "wait" if waiting else "done"

    def stop_reason(self, number: int) -> str | None:
        """Return why a running trial should be stopped early, or None."""
        return self._searches[self._definitions[number]].stop_reason(number)


def training_request(definition: Json, name: str, tuned: Mapping[str, str], metric: str) -> Json:
    """Return the request for the training job of one trial."""
    request = {key: value for key, value in definition.items() if key in _COPIED}
    request["TrainingJobName"] = name
    request["HyperParameters"] = {
        **definition.get("StaticHyperParameters", {}),
        **tuned,
        OBJECTIVE: metric,
    }
    resources: Json | None = definition.get("HyperParameterTuningResourceConfig")
    if resources is not None:
        first = resources["InstanceConfigs"][0] if "InstanceConfigs" in resources else resources
        keys = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
        request["ResourceConfig"] = {key: first[key] for key in keys if key in first}
    return request


def parents_of(job: TuningJob, store: Store) -> list[TuningJob]:
    """Return the tuning jobs that a warm start builds on and that still exist."""
    config: Json = job.request.get("WarmStartConfig", {})
    names = {
        parent["HyperParameterTuningJobName"].lower()
        for parent in config.get("ParentHyperParameterTuningJobs", ())
    }
    return [other for other in store.tunings(job.region) if other.name.lower() in names]


def _no_success(attempts: int) -> str:
    return (
        f"No training job succeeded after {attempts} attempts. For additional details, please take "
        "a look at the training job failures by listing training jobs for the hyperparameter "
        "tuning job."
    )
