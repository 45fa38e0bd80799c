"""Replays a recorded tuning job of Vertex AI with its trials, from its creation to its end."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cloudtune.emulation.faults import TRIAL, Rule
from tests import recorded
from tests.cloudtune_vertex.replay import Replay
from tests.cloudtune_vertex.replayed_jobs import (
    COLLECTIONS,
    ORDER,
    REPORTING,
    Emulator,
    age,
    paired,
    specs_of,
)
from tests.recorded import MALFORMED

OPEN = {"ACTIVE", "REQUESTED"}
SCRIPT = """
import os, time
trial = os.environ["CLOUD_ML_TRIAL_ID"]
way, METRICS = {ways!r}.get(trial, "runs"), {metrics!r}
while way != "runs" and not os.path.exists({gate!r} + trial):
    time.sleep(0.02)
if way == "fails":
    raise SystemExit(1)
if way in ("reports", "is stopped early"):
{reporting}
if way in ("runs", "is stopped early"):
    time.sleep(600)
"""
"""Ends a trial as it was recorded, once the replay has come to an answer in which it has ended."""


def is_tuning(recording: dict[str, Any]) -> bool:
    """Return whether a recording creates one tuning job, and has its trials."""
    calls = recording["sequence"]
    created = [item["operation"] == "CreateHyperparameterTuningJob" for item in calls]
    return sum(created) == 1 and any(trials_of(item["answer"]) for item in calls)


def trials_of(answer: Any) -> dict[str, dict[str, Any]]:
    """Return the trials in an answer by their ids."""
    return {each["id"]: each for each in answer.get("trials") or ()}


def states_of(answer: Any) -> dict[str, str]:
    """Return the states of the trials in an answer."""
    return {number: each["state"] for number, each in sorted(trials_of(answer).items())}


class Trials:
    """What the trials of a recording did."""

    def __init__(self, recording: dict[str, Any]) -> None:
        calls = recording["sequence"]
        self.is_cancelled = any(
            item["operation"] == "CancelHyperparameterTuningJob" for item in calls
        )
        self.jobs: dict[str, str] = {}
        """The ids of the trials by the names of their custom jobs."""
        self._states: dict[str, str] = {}
        self._last: dict[str, dict[str, Any]] = {}
        for item in calls:
            answer = item["answer"]
            self._last |= trials_of(answer)
            if item["operation"] == "GetCustomJob" and item["status"] == 200:
                self._states[answer["name"]] = answer["state"]
        for number, trial in self._last.items():
            if "customJob" in trial:
                self.jobs[trial["customJob"]] = number
        self.ways = {number: self._way(trial) for number, trial in self._last.items()}
        self.times_out = "is timed out" in self.ways.values()

    @property
    def seed(self) -> int:
        """A seed with which the emulator's trials have the recorded form."""
        return 2 if self.jobs else 1

    @property
    def rules(self) -> list[Rule]:
        """The faults that stop trials early."""
        early = [int(number) for number, way in self.ways.items() if way == "is stopped early"]
        rule = Rule.model_construct(operation=TRIAL, effect="stop_early", call=early, after=1)
        return [rule] if early else []

    def _way(self, trial: dict[str, Any]) -> str:
        state = self._states.get(trial.get("customJob", ""), "")
        if trial["state"] in OPEN:
            return "runs"
        if "finalMeasurement" in trial:
            return "is stopped early" if state == "JOB_STATE_CANCELLED" else "reports"
        if self.is_cancelled and state in ("", "JOB_STATE_CANCELLED"):
            return "runs"
        if state == "JOB_STATE_CANCELLED":
            return "is timed out"
        return "ends" if state == "JOB_STATE_SUCCEEDED" else "fails"


class TuningReplay(Replay):
    """Replays the recording of one tuning job, with a script that ends each trial as recorded."""

    def __init__(self, emulator: Emulator, recording: dict[str, Any], trials: Trials, gate: Path):
        super().__init__(emulator, recording)
        self._trials = trials
        self._gate = str(gate)

    def _runnable(self, body: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
        if "trialJobSpec" not in body:
            return super()._runnable(body, last)
        metrics = [each["metricId"] for each in body["studySpec"]["metrics"]]
        ways = {
            number: "runs" if way == "is timed out" else way
            for number, way in self._trials.ways.items()
        }
        reporting = textwrap.indent(REPORTING, "    ")
        script = SCRIPT.format(ways=ways, metrics=metrics, gate=self._gate, reporting=reporting)
        if self._trials.times_out:
            body["trialJobSpec"].setdefault("scheduling", {})["timeout"] = "1s"
        for pool in specs_of(body):
            pool.pop("pythonPackageSpec", None)
            container = pool.setdefault("containerSpec", {})
            container |= {"imageUri": "gcr.io/team/x", "command": ["python3", "-c", script]}
            container.pop("args", None)
        return body

    def _create_missing(self, item: dict[str, Any], path: str) -> None:
        if not self._trial_at(path):
            super()._create_missing(item, path)

    def _compare(self, item: dict[str, Any], path: str) -> Iterator[str]:
        """Let the trials end that have ended in an answer, and compare it.

        A trial that the service stops early is STOPPING for a moment, which is not replayed.
        """
        states = states_of(item["answer"])
        ended = {number for number, state in states.items() if state not in OPEN}
        trial = self._trial_at(path)
        if trial and "endTime" in item["answer"]:
            ended.add(trial)
        for number in ended:
            Path(self._gate + number).touch()
        if "STOPPING" not in states.values() or self._trials.is_cancelled:
            yield from super()._compare(item, path)

    def _trial_at(self, path: str) -> str | None:
        """Return the trial whose custom job has a path."""
        id_ = path.rpartition("/")[2]
        found = (number for name, number in self._trials.jobs.items() if name.endswith(f"/{id_}"))
        return next(found, None) if "/customJobs/" in path else None

    def _fits(self, known: Any, shown: Any) -> bool:
        same = super()._fits(known, shown) and states_of(known) == states_of(shown)
        return same or self._is_past(known, shown)

    def _is_past(self, known: Any, shown: Any) -> bool:
        """Return whether an answer is of a later time than a recorded one, which cannot be helped.

        So it may be if a time limit ends the job, if several trials wait at the same time, and when
        trials have ended: no delay is before the next ones, or before the end of the job.
        """
        if "state" not in known or "state" not in shown:
            return False
        trials = states_of(known), states_of(shown)
        if trials[0].items() <= trials[1].items() and known["state"] == "JOB_STATE_RUNNING":
            new = [state for number, state in trials[1].items() if number not in trials[0]]
            follow = bool(new) and OPEN.issuperset(new)
            is_end = trials[0] and trials[0] == trials[1] and OPEN.isdisjoint(trials[0].values())
            if (follow and known["state"] == shown["state"]) or (
                is_end and age(shown) > age(known)
            ):
                return True
        waits = age(known) < ORDER.index("RUNNING")
        is_trial = "jobSpec" in known and len(self._trials.ways) > 1
        return age(known) < age(shown) and (self._trials.times_out or (is_trial and waits))

    def _judge(self, operation: str, known: Any, shown: Any) -> Iterator[str]:
        self._pair(shown)  # also one of a later time: the calls about its trials follow
        if self._is_past(known, shown):
            return
        states = states_of(known), states_of(shown)
        if states[0] != states[1]:
            yield f"{operation} .trials[].state: {states[0]}, not {states[1]}"
        yield from super()._judge(operation, known, shown)

    def _pair(self, shown: Any) -> None:
        """Note the emulator's names of the trials' custom jobs."""
        trials = trials_of(shown)
        for name, number in self._trials.jobs.items():
            if job := trials.get(number, {}).get("customJob"):
                self._names |= paired(name, job)

    def _ask(self, method: str, path: str, item: dict[str, Any]) -> tuple[int, Any]:
        """Send a call; one about the job of a trial only once the emulator has started it."""
        trial = self._trial_at(path)
        if trial and path.rpartition("/")[2] not in self._names:
            tuning = next(name for name in self._created if f"/{COLLECTIONS[1]}/" in name)
            tuning_path = recorded.renamed(f"/v1/{tuning}", self._names)
            self._pair(
                self._emulator.steps.until(
                    lambda: self._emulator.ask("GET", tuning_path)[1],
                    lambda job: "customJob" in trials_of(job).get(trial, {}),
                    self._emulator.app.busy,
                )
            )
        return super()._ask(method, path, item)


def replayed(
    folder: Path, recording: dict[str, Any], tell: Callable[[str], object] = len
) -> list[str]:
    """Replay a recording with an emulator of its own; return where the emulator differs.

    ``tell`` gets what is not compared.
    """
    try:
        trials = Trials(recording) if is_tuning(recording) else None
    except MALFORMED as error:
        return [f"its answers are malformed: {error!r}"]
    emulator = Emulator(folder, trials.seed, trials.rules) if trials else Emulator(folder)
    replay = (
        TuningReplay(emulator, recording, trials, folder / "ended-")
        if trials
        else Replay(emulator, recording)
    )
    try:
        return list(replay.differences())
    finally:
        for reason, operations in replay.uncompared.items():
            tell(f"{', '.join(operations)}: {reason}")
        emulator.app.close()
