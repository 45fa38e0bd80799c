"""Replays recorded searches and series of metrics of SageMaker, each with a job of its own.

A search shows trials in states of their own, so it is not replayed in turn with the other calls:
each state that it shows is compared once, with a job that the emulator brings to that state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.cloudtune_sagemaker.replay import NotCreatedError
from tests.cloudtune_sagemaker.replayed_jobs import (
    ENDLESS,
    KINDS,
    LIMITS,
    LOSS,
    Emulator,
    Marks,
    create_request,
    definitions_of,
    new_name,
    script_for,
    small_job,
    training,
)
from tests.recorded import MALFORMED, at_call, unaccepted, unlisted
from tests.recorded_differences import differences, is_alike

OPERATIONS = ("Search", "BatchGetMetrics")
TUNING = "HyperParameterTuningJob"
Known = dict[tuple[str, str], dict[str, Any]]


class SearchReplay:
    """Replays the searches and series of one recording."""

    def __init__(self, emulator: Emulator, recording: dict[str, Any], known: Known) -> None:
        self._emulator = emulator
        self._year = str(recording["date"])[:4]
        self._calls = [each for each in recording["sequence"] if each["operation"] in OPERATIONS]
        self._known = known
        self._marks = emulator.new_marks()
        """Those of the last job; its gate of all lets it end after it has been stopped."""
        self._compared: set[tuple[Any, ...]] = set()

    def differences(self) -> Iterator[str]:
        """Yield where the emulator answers otherwise."""
        for item in self._calls:
            operation, answer = item["operation"], item["answer"]
            if "situation" in item["request"]:
                continue
            if item["status"] != 200:
                text = f"{operation}: no request is known here that is refused so: {answer}"
                yield from at_call(item, [text])
                continue
            compare = self._search if operation == "Search" else self._metrics
            try:
                for recorded, shown in compare(item):
                    label = f"{operation} {self._year}"
                    found = unaccepted("sagemaker", label, differences(recorded, shown))
                    more = unlisted("sagemaker", operation, shown)
                    found += [f"{operation} {each}: not listed" for each in more]
                    yield from at_call(item, found)
            except NotCreatedError as error:
                yield from at_call(item, [f"{operation}: {error}"])
            except MALFORMED as error:
                yield from at_call(item, [f"{operation}: malformed: {error!r}"])

    def _is_new(self, *state: Any) -> bool:
        """Return whether an answer of a state was not compared yet."""
        is_new = state not in self._compared
        self._compared.add(state)
        return is_new

    def _search(self, item: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
        """Yield each recorded result of a new state, and the emulator's."""
        answer = item["answer"]
        if not answer["Results"] and self._is_new("Search"):
            yield answer, self._found("TrainingJob", "TrainingJobName", new_name())
        for result in answer["Results"]:
            ((kind, row),) = result.items()
            if is_passing(row):
                continue
            if self._is_new(kind, *state_of(kind, row), frozenset(row)):
                shown = self._until(kind, row, self._create(kind, row))
                self._marks.let_one_end("all")
                yield {**answer, "Results": [result]}, shown

    def _create(self, kind: str, row: dict[str, Any]) -> tuple[str, str]:
        """Create a job that gets into the state of a result; return a property to search for."""
        name = row.get("TuningJobArn", "").rpartition("/")[2]
        known = self._known.get((TUNING, name), {}) if name else row
        if "AlgorithmSpecification" not in str(known):
            raise NotCreatedError(f"no description of the tuning job {name} was recorded")
        job, state = TUNING if name else kind, row[f"{kind}Status"]
        secondary = row.get("SecondaryStatus")
        is_stopped = state in ("Stopping", "Stopped") and secondary not in LIMITS
        described = {**known, f"{job}Status": state}
        described["SecondaryStatus"] = None if is_stopped else secondary
        for key in ("BestTrainingJob", "TrainingJobStatusCounters"):  # all trials end alike
            described.pop(key, None)
        if "FinalMetricDataList" in row:
            described["BestTrainingJob"] = {"TrainingJobStatus": "Completed"}
        marks = self._marks = self._emulator.new_marks()
        request = create_request(self._emulator, job, described, marks)
        if secondary == "Stopping":
            values = "StaticHyperParameters" if job == TUNING else "HyperParameters"
            for each in definitions_of(request):
                each[values] |= self._emulator.code(held(script_for(described, job, marks), marks))
        if secondary != "Stopping":
            marks.let_one_end("all")
        if row.get("Tags"):
            request["Tags"] = row["Tags"]
        arn = self._ask(f"Create{job}", request)[f"{job}Arn"]
        property_ = ("TuningJobArn", arn) if name else (KINDS[kind], request[KINDS[kind]])
        if is_stopped:
            if "FinalMetricDataList" in row or secondary == "Stopping":
                self._emulator.steps.until(marks.printed.exists, bool)
            else:
                self._emulator.steps.until(
                    lambda: self._found(kind, *property_)["Results"],
                    lambda got: any("TrainingStartTime" in each[kind] for each in got),
                )
            self._emulator.ask(f"Stop{job}", {KINDS[job]: request[KINDS[job]]})
        return property_

    def _until(self, kind: str, row: dict[str, Any], property_: tuple[str, str]) -> Any:
        """Return a search with the first job that is in the state of a result."""
        wanted = state_of(kind, row)

        def is_wanted(job: dict[str, Any]) -> bool:
            *states, message, has_metrics = state_of(kind, job)
            is_same = (*states, has_metrics) == (*wanted[:-2], wanted[-1])
            return is_same and is_alike(wanted[-2], message, ".StatusMessage")

        def alike(answer: Any) -> list[Any]:
            return [each for each in answer["Results"] if is_wanted(each[kind])]

        found = self._emulator.steps.until(
            lambda: self._found(kind, *property_),
            lambda answer: bool(alike(answer)),
            self._emulator.app.busy,
        )
        if not alike(found):
            raise NotCreatedError(f"the emulator has no job in the state {wanted}")
        return {**found, "Results": alike(found)[:1]}

    def _found(self, kind: str, name: str, value: str) -> Any:
        filters = [{"Name": name, "Operator": "Equals", "Value": value}]
        return self._ask("Search", {"Resource": kind, "SearchExpression": {"Filters": filters}})

    def _metrics(self, item: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
        """Yield each recorded series of a new form, and the emulator's."""
        answer = item["answer"]
        queries = item["request"]["MetricQueries"]
        for query, result in zip(queries, answer["MetricQueryResults"], strict=True):
            if self._is_new(result["Status"], bool(result["MetricValues"]), frozenset(result)):
                metric = "loss" if result["MetricValues"] else "none"
                arn = self._trained() if result["Status"] == "Complete" else query["ResourceArn"]
                asked = {**query, "ResourceArn": arn, "MetricName": metric}
                shown = self._ask("BatchGetMetrics", {"MetricQueries": [asked]})
                yield {**answer, "MetricQueryResults": [result]}, shown

    def _trained(self) -> str:
        """Return the ARN of a training job that has ended with a metric."""
        name = {"TrainingJobName": new_name()}
        request = training(small_job(self._emulator, LOSS)) | name
        arn: str = self._ask("CreateTrainingJob", request)["TrainingJobArn"]
        self._emulator.steps.until(
            lambda: self._ask("DescribeTrainingJob", name),
            lambda job: job["TrainingJobStatus"] == "Completed",
        )
        return arn

    def _ask(self, operation: str, request: dict[str, Any]) -> Any:
        status, answer = self._emulator.ask(operation, request)
        if status != 200:
            raise NotCreatedError(f"the emulator refuses {operation}: {answer}")
        return answer


def held(script: str, marks: Marks) -> str:
    """Return an endless script that goes on when it is stopped, until it is let end."""
    gate = f"{marks.gate}all"
    waits = f"import os, time\nwhile not os.path.exists({gate!r}): time.sleep(0.05)"
    ready = f"open({str(marks.printed)!r}, 'w').close()"
    ignores = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    return f"{ignores}\n{script.replace(ENDLESS, ready)}\n{waits}"


def is_passing(row: dict[str, Any]) -> bool:
    """Return whether a job uploads that fails: it does so for a moment, which is not replayed."""
    is_uploading = row.get("SecondaryStatus") == "Uploading"
    is_running = row.get("TrainingJobStatus") == "InProgress"
    return is_uploading and is_running and "FinalMetricDataList" not in row


def state_of(kind: str, row: dict[str, Any]) -> tuple[Any, ...]:
    """Return the two statuses of a job, its last message, and whether it has metrics."""
    steps: list[dict[str, Any]] = row.get("SecondaryStatusTransitions") or [{}]
    message = steps[-1].get("StatusMessage")
    return (
        row.get(f"{kind}Status"),
        row.get("SecondaryStatus"),
        message,
        "FinalMetricDataList" in row,
    )
