"""Replays recorded calls of SageMaker against its emulator, and yields where its answers differ."""

from __future__ import annotations

import copy
import itertools
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from cloudtune_sagemaker.emulator.operations import OPERATIONS
from tests.cloudtune_sagemaker.replayed_jobs import (
    ENDED,
    KINDS,
    LIMITS,
    Emulator,
    Marks,
    create_request,
    ended_trials,
    is_mixed,
    kind_of,
    new_name,
    rows_of,
    script_for,
    small_job,
    states,
    training,
)
from tests.recorded import MALFORMED, at_call, reason_to_skip, unaccepted, unlisted
from tests.recorded_differences import differences
from tests.recorded_names import Names

ARNS = {"TrainingJob": ":training-job/", "HyperParameterTuningJob": ":hyper-parameter-tuning-job/"}
TRIALS = "ListTrainingJobsForHyperParameterTuningJob"
MASKED = re.compile(r"text\d+")
"""A name in a recording of `cloudtune verify`."""
LISTED = ("Strategy", "ResourceLimits")
"""What a list has of the configuration of a tuning job."""
_IS_IN_STATUS = re.compile(r"is in status (\w+)\.")
_STOPS = frozenset({"Stopping", "Uploading", "Stopped"})
"""The secondary statuses of a job that is being stopped."""


@dataclass
class Job:
    """A recorded job at the emulator."""

    kind: str
    name: str
    arn: str
    marks: Marks
    is_stopped: bool = False
    tags: frozenset[str] = frozenset()


class Replay:
    """Replays one recording.

    A job is created when the recording first has it, from its last description, or as a small job
    of its status if there is none. Stops and tags that were not recorded are made up for.
    """

    def __init__(self, emulator: Emulator, recording: dict[str, Any]) -> None:
        self._emulator = emulator
        self._year = str(recording["date"])[:4]
        sequence = recording["sequence"]
        self._calls = [each for each in sequence if "situation" not in each["request"]]
        self._jobs: dict[tuple[str, str], Job] = {}
        self._names = Names()
        self.known: dict[tuple[str, str], dict[str, Any]] = {}
        """What the last answers about each job have, by its kind and name."""
        self._tokens: dict[str, str] = {}
        """The emulator's tokens of pages, by the recorded ones."""
        self.uncompared: dict[str, dict[str, None]] = {}
        """The operations that were not compared, by the reason."""

    def _read(self) -> None:
        """Read the descriptions of all jobs."""
        for item in self._calls:
            kind, name = kind_of(item["operation"]), str(self._name(item, item["answer"]))
            for row in rows_of(item["answer"]):
                for each in [each for each in KINDS if KINDS[each] in row][:1]:
                    self._learn(each, row[KINDS[each]], row)
            if item["operation"] == f"Create{kind}" and item["status"] == 200:
                self._learn(kind, name, item["request"])
            elif item["operation"] == f"Describe{kind}" and item["status"] == 200:
                self._learn(kind, name, item["answer"])
            elif kind and (status := _IS_IN_STATUS.search(str(item["answer"].get("error")))):
                self._learn(kind, name, {f"{kind}Status": status[1]})

    def _learn(self, kind: str, name: str, about: Mapping[str, Any]) -> None:
        """Add what a request or an answer has about a job."""
        self.known[kind, name] = {**self.known.get((kind, name), {}), **about}

    def differences(self) -> Iterator[str]:
        """Yield where the emulator answers otherwise; nothing after a job that cannot be created.

        Calls that another service answers are not compared, and `SearchReplay` compares those that
        show trials, each in a state of its own.
        """
        try:
            self._read()
        except MALFORMED as error:
            yield f"its answers are malformed: {error!r}"
            return
        for item in self._calls:
            operation = item["operation"]
            if operation in ("Search", "BatchGetMetrics"):
                continue
            tagged = str(item["request"].get("ResourceArn", "")).split(":")[-1].partition("/")[0]
            label = f"{operation} {tagged.title().replace('-', '')}"
            if reason := reason_to_skip("sagemaker", label.strip()):
                self.uncompared.setdefault(reason, {})[label.strip()] = None
                continue
            is_other = item["status"] == 200 and tagged and f":{tagged}/" not in ARNS.values()
            if operation not in OPERATIONS or is_other:
                text = f"{label.strip()}: the emulator has no such operation"
                yield from at_call(item, [text])
                continue
            try:
                yield from at_call(item, self._compare(item))
            except NotCreatedError as error:
                yield from at_call(item, [f"{operation}: {error}"])
                return
            except MALFORMED as error:
                yield from at_call(item, [f"{operation}: malformed: {error!r}"])
                return

    def _compare(self, item: dict[str, Any]) -> Iterator[str]:
        operation = item["operation"]
        name = self._name(item, item["answer"])
        tuning = self.known.get(("HyperParameterTuningJob", str(name)), {})
        recorded = item["answer"]
        if operation != TRIALS or not is_mixed(tuning):
            recorded = alike(recorded, name)
        error: dict[str, Any] = item["answer"].get("error") or {}
        if error and reason_to_skip("sagemaker", str(error.get("Message"))) is not None:
            return
        if error and (fault := self._emulator.fault(operation, item["answer"])):
            yield from self._judge(item, *fault)
            return
        if operation.startswith("Create") and item["status"] != 200:
            yield from self._refused(item)
            return
        job = self._job(item)
        if job is not None:
            self._make_up(job, item)
            for row in rows_of(recorded) if operation != TRIALS else ():
                self._let_end(row)
            job.marks.let_end(recorded, job.kind)
        if operation.startswith("Create"):
            status, answer = 200, {f"{kind_of(operation)}Arn": job.arn if job else ""}
        else:
            body = self._request(item, job)
            status, answer = self._until(operation, body, recorded)
        self._tokens[str(item["answer"].get("NextToken"))] = answer.get("NextToken", "")
        yield from self._judge({**item, "answer": recorded}, status, answer)

    def _let_end(self, row: Mapping[str, Any]) -> None:
        """Let the trials of a job end that have ended in a row of a list."""
        for kind in [each for each in KINDS if KINDS[each] in row][:1]:
            if job := self._jobs.get((kind, row[KINDS[kind]])):
                job.marks.let_end(row, kind)

    def _judge(self, item: dict[str, Any], status: int, answer: Any) -> Iterator[str]:
        """Yield where an answer differs from the recorded one."""
        operation, recorded = item["operation"], item["answer"]
        if status != item["status"]:
            yield f"{operation}: {item['status']} was recorded, not {status}: {brief(answer)}"
            return
        if not item["is_compared"]:
            return
        named = self._names.differences(without_best(recorded), without_best(answer))
        found = chain(differences(recorded, answer), named)
        yield from unaccepted("sagemaker", f"{operation} {self._year}", found)
        yield from (
            f"{operation} {each}: not listed" for each in unlisted("sagemaker", operation, answer)
        )
        yield from self._trial_names(item, answer)
        both = [transitions(each) for each in (recorded, answer)]
        if all(both) and both[0] != both[1]:
            yield f"{operation} .SecondaryStatusTransitions: {both[0]}, not {both[1]}"

    def _trial_names(self, item: dict[str, Any], answer: Any) -> Iterator[str]:
        """Yield which trial's name has another form than the emulator's; masked ones have none."""
        tuning = str(self._name(item, item["answer"]))
        job = self._jobs.get(("HyperParameterTuningJob", tuning))
        shown = {trial_form(each, job.name) for each in trial_names(answer)} if job else set[str]()
        for name in trial_names(item["answer"]) if shown else ():
            form = trial_form(name, tuning)
            if form not in shown and not MASKED.fullmatch(name):
                known = " or ".join(sorted(shown))
                yield f"{item['operation']}: the trial {name!r} has the form {form}, not {known}"

    def _refused(self, item: dict[str, Any]) -> Iterator[str]:
        """Yield how the refusal of a request differs, if the request was recorded."""
        operation, request = item["operation"], copy.deepcopy(item["request"])
        kind = kind_of(operation)
        if not request.keys() - {KINDS[kind]}:
            yield f"{operation}: no request is known here that is refused so: {item['answer']}"
            return
        if "already exists" in str(item["answer"]) and not self._is_before_creation(item):
            key = (kind, str(request[KINDS[kind]]))
            if key not in self._jobs:
                self._jobs[key] = self._create(kind, self.known.get(key, {}))
            named = {KINDS[kind]: self._jobs[key].name}
        else:
            named = {KINDS[kind]: request.get(KINDS[kind], "")}
        if "AlgorithmSpecification" in str(request):
            has_inputs = "S3" not in str(item["answer"])
            marks = self._emulator.new_marks()
            request = create_request(self._emulator, kind, request, marks, has_inputs=has_inputs)
        request |= named
        status, answer = self._emulator.ask(operation, request)
        if status != item["status"]:
            yield f"{operation}: {item['status']} was recorded, not {status}: {brief(answer)}"
        else:
            found = differences(item["answer"], answer)
            yield from unaccepted("sagemaker", f"{operation} {self._year}", found)

    def _until(self, operation: str, body: Any, recorded: Any) -> tuple[int, Any]:
        def ask() -> tuple[int, Any]:
            return self._emulator.ask(operation, body)

        if not operation.startswith(("List", "Describe")):
            return ask()
        wanted = states(recorded)
        secondary = shown(recorded)["SecondaryStatus"]
        if secondary in {"Downloading", "Training", "Uploading", *LIMITS}:
            wanted["SecondaryStatus"] = secondary

        def has_ended_otherwise(got: tuple[int, Any]) -> bool:
            state = states(got[1])
            return any(
                state[each] in ENDED and state[each] != wanted.get(each, state[each])
                for each in state
            )

        return self._emulator.steps.until(
            ask,
            lambda got: wanted.items() <= shown(got[1]).items(),
            self._emulator.app.busy,
            is_past=has_ended_otherwise,
        )

    def _name(self, item: dict[str, Any], answer: dict[str, Any]) -> str | None:
        """Return the recorded name of the job that a call is about."""
        operation = item["operation"]
        kind = kind_of(operation)
        if operation.startswith("List") and operation != TRIALS and kind:
            rows = [row.get(KINDS[kind]) for row in rows_of(answer)]
            described = [
                name
                for name in rows
                if "AlgorithmSpecification" in str(self.known.get((kind, str(name))))
            ]
            return next(iter([*described, *rows]), None)
        name = answer.get(KINDS.get(kind, "")) or item["request"].get(KINDS.get(kind, ""))
        arn = str(answer.get(f"{kind}Arn", ""))
        return name or arn.rpartition("/")[2] or None

    def _job(self, item: dict[str, Any]) -> Job | None:
        """Return the job that a call is about, at the emulator; None if it is about none."""
        operation = item["operation"]
        kind, name = kind_of(operation), self._name(item, item["answer"])
        arn = str(item["request"].get("ResourceArn", ""))
        for each, part in ARNS.items():
            if part in arn:
                kind, name = each, arn.rpartition("/")[2]
        if item["status"] == 400 and (
            (kind, name) not in {*self._jobs, *self.known} or self._is_before_creation(item)
        ):
            return None
        if name is None and operation.startswith("List") and operation != TRIALS and kind:
            return None  # an empty list
        known = [key for key in (*self.known, *self._jobs) if kind in ("", key[0])]
        if name is None:
            if not known:
                return None
            kind, name = list(self._jobs)[-1] if self._jobs and kind == "" else known[-1]
        else:
            name = next((key[1] for key in known if key[1].lower() == name.lower()), name)
        if not kind:
            return None
        if (kind, name) not in self._jobs:
            self._jobs[kind, name] = self._create(kind, self.known.get((kind, name), {}))
        return self._jobs[kind, name]

    def _is_before_creation(self, item: dict[str, Any]) -> bool:
        """Return whether the job of a call was created later."""
        field = KINDS.get(kind_of(item["operation"]), "")
        name = item["request"].get(field)
        later = itertools.dropwhile(lambda each: each is not item, self._calls)
        return name is not None and any(
            each["operation"].startswith("Create")
            and each["request"].get(field) == name
            and each["status"] == 200
            for each in later
        )

    def _create(self, kind: str, described: dict[str, Any]) -> Job:
        if "TuningJobArn" in described and (trial := self._trial(described)):
            return trial
        marks = self._emulator.new_marks()
        if "AlgorithmSpecification" in str(described):
            try:
                request = create_request(self._emulator, kind, described, marks)
            except (KeyError, TypeError, AttributeError) as error:
                raise NotCreatedError(f"its description lacks {error}") from error
        else:
            state = described.get(f"{kind}Status", "InProgress")
            script = script_for({**described, f"{kind}Status": state}, kind, marks)
            name = {KINDS[kind]: new_name()}
            config = {key: described[key] for key in LISTED if key in described}
            request = small_job(self._emulator, script, config=config)
            request = (training(request) if kind == "TrainingJob" else request) | name
        status, created = self._emulator.ask(f"Create{kind}", request)
        if status != 200:
            raise NotCreatedError(f"the emulator refuses to create such a job: {created}")
        return Job(kind, request[KINDS[kind]], created[f"{kind}Arn"], marks)

    def _trial(self, described: dict[str, Any]) -> Job | None:
        """Return a trial of the same status of the tuning job that a training job is of."""
        tuning = described["TuningJobArn"].rpartition("/")[2].lower()
        found = [
            job
            for (kind, name), job in self._jobs.items()
            if name.lower() == tuning and kind == "HyperParameterTuningJob"
        ]
        if not found:
            return None
        (tuner,) = found[:1]
        state = described.get("TrainingJobStatus")
        known = self.known.get((tuner.kind, tuning), {})
        is_first = state != "Failed"
        for number in range(1, (1 if is_first else ended_trials(known)[0] + 1) + 1):
            if state in ENDED:
                tuner.marks.let_one_end(number)
        _, answer = self._until(
            TRIALS, {KINDS[tuner.kind]: tuner.name}, {"TrainingJobSummaries": [described]}
        )
        rows = sorted(rows_of(answer), key=lambda row: states(row) != states(described))
        if not rows:
            return None
        return Job(
            "TrainingJob", rows[0]["TrainingJobName"], rows[0]["TrainingJobArn"], tuner.marks
        )

    def _make_up(self, job: Job, item: dict[str, Any]) -> None:
        """Call what must have been called before an answer, but was not recorded."""
        operation, answer = item["operation"], item["answer"]
        status = str(states(answer).get(f"{job.kind}Status"))
        is_stop = operation == f"Stop{job.kind}"
        is_new = job.kind == "HyperParameterTuningJob" and not job.is_stopped
        last = self.known.get((job.kind, self._name(item, answer) or ""), {})
        limit = last.get("HyperParameterTuningJobConfig", {}).get("ResourceLimits", {})
        counted = sum(last.get("TrainingJobStatusCounters", {}).values())
        running = max(1, min(counted, limit.get("MaxParallelTrainingJobs", 1)))
        if is_new and (is_stop or status.startswith("Stop")):  # one without trials ends at once
            self._wait(job, lambda got: got["TrainingJobStatusCounters"]["InProgress"] >= running)
        has_best = "BestTrainingJob" in last and last.get(f"{job.kind}Status") == "Stopped"
        if is_stop and has_best:
            self._end_trials(job, last)
        if is_in := _IS_IN_STATUS.search(str(answer.get("error"))):
            job.marks.let_end({f"{job.kind}Status": is_in[1]}, job.kind)
            self._wait(job, lambda got: got.get(f"{job.kind}Status") == is_in[1])
        if status.startswith("Stop") and job.kind == "TrainingJob" and not job.is_stopped:
            self._run_until_stop(job, last)
        if operation == f"Delete{job.kind}" and item["status"] == 200:
            self._end(job)
        if status.startswith("Stop") and not (job.is_stopped or is_stop or is_limited(answer)):
            self._emulator.ask(f"Stop{job.kind}", {KINDS[job.kind]: job.name})
            job.is_stopped = True
        job.is_stopped = job.is_stopped or is_stop
        if operation == "ListTags":
            wanted = {tag["Key"]: tag.get("Value", "") for tag in answer.get("Tags", ())}
            if gone := sorted(job.tags - wanted.keys()):
                self._emulator.ask("DeleteTags", {"ResourceArn": job.arn, "TagKeys": gone})
            tags = [{"Key": key, "Value": value} for key, value in wanted.items()]
            if tags:
                self._emulator.ask("AddTags", {"ResourceArn": job.arn, "Tags": tags})
            job.tags = frozenset(wanted)

    def _end(self, job: Job) -> None:
        """Stop a job that runs, and wait until it has ended."""
        if not job.is_stopped:
            self._emulator.ask(f"Stop{job.kind}", {KINDS[job.kind]: job.name})
        job.is_stopped = True
        self._wait(job, lambda got: got.get(f"{job.kind}Status") in ENDED)

    def _end_trials(self, job: Job, last: dict[str, Any]) -> None:
        """Let the trials of a tuning job end that ended before it was stopped."""
        last = {**last, f"{job.kind}Status": "InProgress"}
        ended = sum(ended_trials(last))
        job.marks.let_end(last, job.kind)
        self._wait(
            job,
            lambda got: job.marks.printed.exists() and sum(ended_trials(got)) >= ended,
        )

    def _wait(self, job: Job, is_good: Callable[[Any], bool]) -> None:
        """Wait until the description of a job is good."""
        self._emulator.steps.until(
            lambda: self._emulator.ask(f"Describe{job.kind}", {KINDS[job.kind]: job.name})[1],
            is_good,
            self._emulator.app.busy,
        )

    def _run_until_stop(self, job: Job, last: dict[str, Any]) -> None:
        """Let a training job come as far as it was before it was stopped."""
        steps = [status for status, _ in transitions(last) if status not in _STOPS]
        if steps and "TrainingStartTime" in last:
            self._wait(job, lambda got: steps[-1] in {status for status, _ in transitions(got)})

    def _request(self, item: dict[str, Any], job: Job | None) -> dict[str, Any]:
        """Return the request of a recorded call, of which often only the answer is recorded."""
        operation = item["operation"]
        if operation.endswith("Tags"):
            tags = (
                item["answer"].get("Tags")
                or item["request"].get("Tags")
                or [{"Key": "x", "Value": ""}]
            )
            more = {"AddTags": {"Tags": tags}, "DeleteTags": {"TagKeys": ["x"]}}
            return {"ResourceArn": job.arn if job else "", **more.get(operation, {})}
        kind = kind_of(operation)
        if not kind:
            return dict(item["request"])
        sent = {key: value for key, value in item["request"].items() if not is_time(key)}
        if token := sent.pop("NextToken", ""):
            page = self._tokens.get(token, token if item["status"] >= 400 else "")
            sent |= {"NextToken": page} if page else {}
        if operation.startswith("List") and operation != TRIALS:
            return {**sent, "NameContains": job.name if job else "no-such-job"}
        return {**sent, KINDS[kind]: job.name if job else new_name()}


class NotCreatedError(Exception):
    """A recorded job that the emulator does not create."""


def is_time(field: str) -> bool:
    """Return whether a filter compares times, which are others in a replay."""
    return field.endswith(("After", "Before"))


def brief(answer: Any) -> str:
    """Return an answer in at most a line."""
    return textwrap.shorten(str(answer), 300, placeholder=" …")


def shown(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the states in an answer, with the secondary status."""
    first = (rows_of(answer) or [answer])[0]
    return {**states(answer), "SecondaryStatus": first.get("SecondaryStatus")}


def without_best(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without the best trials: all that are replayed have equal values."""
    return {name: value for name, value in answer.items() if "BestTrainingJob" not in name}


def trial_names(answer: dict[str, Any]) -> list[str]:
    """Return the names of the trials in an answer about a tuning job."""
    best: list[Any] = [answer.get("BestTrainingJob") or {}]
    rows: list[Any] = answer.get("TrainingJobSummaries") or best
    return [str(row["TrainingJobName"]) for row in rows if "TrainingJobName" in row]


def trial_form(name: str, tuning: str) -> str:
    """Return the name of a trial with ``*`` for that of its tuning job, and equal digits."""
    rest = name.removeprefix(tuning)
    return re.sub(r"[0-9a-f]", "0", rest if rest == name else f"*{rest}")


def transitions(answer: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Return the secondary statuses of a job, with their messages."""
    steps = answer.get("SecondaryStatusTransitions") or ()
    return [(step.get("Status"), step.get("StatusMessage")) for step in steps]


def is_limited(job: dict[str, Any]) -> bool:
    """Return whether a limit of its time has ended a job."""
    return job.get("SecondaryStatus") in LIMITS


def alike(answer: dict[str, Any], first: str | None) -> dict[str, Any]:
    """Return a list with one job first, and of the others those only that have its status."""
    for name in [f"{kind}Summaries" for kind in KINDS if answer.get(f"{kind}Summaries")]:
        rows = sorted(answer[name], key=lambda row: first not in row.values())
        answer = {**answer, name: [row for row in rows if states(row) == states(rows[0])]}
    return answer
