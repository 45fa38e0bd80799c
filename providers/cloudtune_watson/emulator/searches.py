"""Searches as WML Accelerator keeps them, and as it tells of them.

The form is that of the answers in ``WMLA-HPO-state.ipynb`` of IBM/wmla-assets; the states are those
of its ``wmla4.8-cpd4.8`` readme ("Tuning states", "Experiment training states"). ``complete``
counts the failed too. Chosen: that ``metricVal`` is the best of a trial by the objective, that
``metrics`` has those of ``additionalMetrics`` alone, that a trial without the objective's metric is
FINISHED and has no ``metricVal``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from cloudtune.study.schema import Json
from cloudtune_watson.emulator.state import Job, State
from cloudtune_watson.emulator.times import clock, duration

CREATOR = "Admin"
SUBMITTED, RUNNING, FINISHED = "SUBMITTED", "RUNNING", "FINISHED"
FAILED, STOPPED = "FAILED", "STOPPED"
_WORDS: Mapping[State, str] = {
    "waiting": "SUBMITTED",
    "running": "RUNNING",
    "storing": "RUNNING",
    "completed": "FINISHED",
    "failed": "FAILED",
    "stopped": "KILLED",
}


@dataclass
class Experiment:
    """One trial of a search, which is one execution."""

    id: int
    params: list[Json]
    """As the service tells them."""
    job: Job
    driver: str

    @property
    def word(self) -> str:
        """Its state."""
        return _WORDS[self.job.state]

    def values(self, metric: str) -> list[float]:
        """Return what it measured of a metric, in order."""
        return [each.metrics[metric] for each in self.job.measured if metric in each.metrics]


@dataclass
class Search:
    """One search. Changed under the lock of the emulator alone."""

    name: str
    data: Json
    """What was asked for."""
    archive: Path
    file_name: str
    state: str = SUBMITTED
    created: float = field(default_factory=time.time)
    ended: float | None = None
    experiments: list[Experiment] = field(default_factory=list[Experiment])
    stop_wanted: Event = field(default_factory=Event)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.ended is not None

    @property
    def algorithm(self) -> Json:
        """Its ``algoDef``."""
        about: Json = self.data["algoDef"]
        return about

    def score(self, experiment: Experiment) -> float | None:
        """Return the objective of an experiment that ended well; None if it has none."""
        values = experiment.values(self.algorithm["objectiveMetric"])
        if experiment.job.state != "completed" or not values:
            return None
        return min(values) if self.algorithm["objective"].lower() == "minimize" else max(values)

    def enter(self, state: str) -> None:
        """Go to another state."""
        self.state = state
        if state in (FINISHED, FAILED, STOPPED):
            self.ended = time.time()


def told(search: Search) -> Json:
    """Return a search as the service tells of it."""
    experiments = [_told(search, each) for each in search.experiments]
    ended = [each for each in search.experiments if each.job.over]
    failed = [each for each in ended if each.job.state == "failed"]
    most: int = search.algorithm.get("maxJobNum", -1)
    listed = len(search.data.get("experiments", ()))
    whole = min([count for count in (most, listed) if count > 0] or [len(search.experiments)])
    answer: Json = {
        "hpoName": search.name,
        "state": search.state,
        "progress": f"{len(ended)}/{whole}",
        "running": len(search.experiments) - len(ended),
        "complete": len(ended),
        "failed": len(failed),
        "duration": duration((search.ended or time.time()) - search.created),
        "creator": CREATOR,
        "createtime": clock(search.created),
        "algoDef": search.algorithm,
        "hyperParams": search.data.get("hyperParams", []),
        "experiments": experiments,
    }
    best = _best(search)
    if best is not None:
        answer["best"] = experiments[best]
    return answer


def _best(search: Search) -> int | None:
    """Return the place of the best experiment; None while there is none."""
    sign = 1 if search.algorithm["objective"].lower() == "minimize" else -1
    scores = [(search.score(each), place) for place, each in enumerate(search.experiments)]
    known = [(sign * score, place) for score, place in scores if score is not None]
    return min(known)[1] if known else None


def _told(search: Search, experiment: Experiment) -> Json:
    job = experiment.job
    answer: Json = {
        "id": experiment.id,
        "state": experiment.word,
        "appId": job.id,
        "driverId": experiment.driver,
        "startTime": clock(job.created),
        "hyperParams": experiment.params,
        "maxiteration": 0,
    }
    if job.ended is not None:
        answer["endTime"] = clock(job.ended)
    score = search.score(experiment)
    if score is not None:
        answer["metricVal"] = score
    if job.state == "completed":
        answer["metrics"] = [
            {"name": name, "min": min(values), "max": max(values), "latest": values[-1]}
            for name in search.algorithm.get("additionalMetrics", {})
            if (values := experiment.values(name))
        ]
    return answer


def execution(experiment: Experiment) -> Json:
    """Return an execution as the service tells of it (``batch_to_row_dict`` of dlicmd 4.8.2)."""
    job = experiment.job
    return {
        "id": job.id,
        "appId": job.id,
        "submissionId": experiment.driver,
        "appName": job.id,
        "creator": CREATOR,
        "state": experiment.word if experiment.word != "FAILED" else "ERROR",
        "createTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.created)),
        "numWorker": 1,
        "elastic": False,
    }
