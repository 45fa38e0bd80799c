"""Numbers and times in recordings: what cannot be, which shows without an emulator.

What a request fixes is equal in each answer about its job, times are in their order, durations fit
between them, and counters add up. `uncompared` names every other number, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from cloudtune.study.yaml_reader import is_list, is_map
from tests.recorded_jobs import NAMES, Job, Leaves, jobs_of, leaves_of, own_leaves
from tests.recorded_trials import impossible_trials

_FIXED = {
    "azure": (
        *("systemData.createdAt", "properties.displayName", "properties.limits"),
        *("properties.jobType",),
        *("properties.resources", "properties.distribution"),
        *("properties.samplingAlgorithm", "properties.searchSpace", "properties.earlyTermination"),
        *("properties.trial.resources",),
    ),
    "sagemaker": (
        *("AlgorithmSpecification", "HyperParameters", "InputDataConfig", "OutputDataConfig"),
        *("ResourceConfig", "StoppingCondition", "VpcConfig", "RetryStrategy", "CheckpointConfig"),
        *("HyperParameterTuningJobConfig", "TrainingJobDefinition", "WarmStartConfig"),
        *("Enable", "ProcessingResources", "TransformResources", "RoleArn", "CreationTime"),
        *("TunedHyperParameters", "TrainingEndTime", "HyperParameterTuningEndTime"),
        *("ProcessingEndTime", "TransformEndTime", "ProfilerConfig"),
        *("TrainingTimeInSeconds", "BillableTimeInSeconds"),
    ),
    "vertex": (
        *("displayName", "studySpec", "maxTrialCount", "parallelTrialCount", "trialJobSpec"),
        *("maxFailedTrialCount", "jobSpec", "createTime", "endTime", "labels", "parameters"),
        *("dedicatedResources", "modelVersionId", "model", "finalMeasurement", "completionStats"),
    ),
    "ibm": (
        *("metadata.created_at", "metadata.id", "metadata.name", "metadata.space_id"),
        *("entity.hardware_spec", "entity.deployment", "entity.scoring.environment_variables"),
        *("entity.scoring.input_data", "entity.scoring.output_data", "entity.prompt_tuning"),
        *("entity.model_definition", "entity.training_data_references", "entity.asset"),
        *("entity.scoring.status.completed_at", "entity.status.completed_at"),
        *("entity.results.completed_at", "entity.results.running_at"),
    ),
}
"""How the paths begin of what a request sets, or the service once: it never changes."""
_REASONS = (
    (r"TunedHyperParameters\.|\.parameters\[", "the tuner chooses it"),
    (r"metric|stepCount|XAxis|predictions", "the script measures it"),
    (r"total_count|\.limit$|TotalHits", "other jobs of the account count, too"),
    (r"\.id$|VersionId$", "the service chooses it"),
    (r"transitions\[", "a time of day that an SDK printed"),
    (r"\.state$", "a state that was printed as a number"),
)
"""Why numbers that no rule is about cannot be compared, by a part of their path."""
_ONCE = "no request and no other answer about the job has it"
_CODES = re.compile(r"\.(code|status)$")
"""Numbers that the replay compares with the emulator's."""

_RANKS = (r"creat", r"start|running", r"end|completed")
"""How the names of times begin, in their order; of SageMaker after the kind of the job."""
_LONGEST = timedelta(days=366)
_KIND = re.compile(r"^(Training|HyperParameterTuning|Processing|Transform)(?=[A-Z])")
_CHANGED = re.compile(r"LastModifiedTime|updateTime|modified_at")
_GROWS = re.compile(rf"{_CHANGED.pattern}|StatusCounters\.(Completed|Succeeded)|RuntimeInSeconds$")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
_CLOCK = re.compile(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE]-?\d+)?s?")
_INDEX = re.compile(r"\[\d+\]")
_ROUNDED = timedelta(seconds=1)
"""How far a time without a fraction of a second may be off."""
_COUNTERS = re.compile(r"StatusCounters\.|ObjectiveNotImproving$")
_FAILED = dict.fromkeys(("Failed", "RetryableError", "NonRetryableError"), "Failed")
_COUNTED = {
    "TrainingJobStatus": {
        "Completed": "Completed",
        "Stopped": "Stopped",
        **_FAILED,
        **dict.fromkeys(("InProgress", "Stopping"), "InProgress"),
    },
    "ObjectiveStatus": {each: each for each in ("Succeeded", "Pending", "Failed")},
}
"""The fields of trials that counters are about, and how their values are counted."""
_DELETION = "genericMetadata"
_ENDED = re.compile(r"Completed|Failed|Stopped|JOB_STATE_(SUCCEEDED|FAILED|CANCELLED|EXPIRED)")


def impossible(recording: Mapping[str, Any]) -> list[str]:
    """Return the numbers and times of a recording that cannot be, each with the reason."""
    service = recording["service"]
    found: dict[str, None] = {}
    for job in jobs_of(recording):
        rules = [*_changes(service, job), *_backwards(job), *_runtime(job)]
        for operation, answer in job.answers:
            rules += [f"{operation}: {each}" for each in _of_answer(answer)]
        found |= dict.fromkeys(rules)
    found |= dict.fromkeys(impossible_trials(recording))
    return [*found, *_too_late(recording), *_unordered(recording), *_trials(recording)]


def uncompared(recording: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the fields with numbers that are not compared, by the reason."""
    fields: dict[str, set[str]] = {}
    for job in jobs_of(recording):
        seen: dict[str, int] = {}
        for leaves in (job.request, *(own_leaves(each) for _, each in job.answers)):
            for path in leaves:
                seen[path] = seen.get(path, 0) + 1
        for operation, answer in job.answers:
            known = _compared(answer, is_part=" trial " in job.key)
            for path, value in own_leaves(answer).items():
                is_fixed = _is_fixed(recording["service"], path)
                if (
                    not is_number(value)
                    or path in known
                    or _CODES.search(path)
                    or (is_fixed and seen[path] > 1)
                ):
                    continue
                reason = next((why for part, why in _REASONS if re.search(part, path, re.I)), _ONCE)
                named = f"{operation} {_INDEX.sub('[]', path)}"
                fields.setdefault(reason, set()).add(named)
    return {reason: sorted(names) for reason, names in fields.items()}


def _is_fixed(service: str, path: str) -> bool:
    return path.removeprefix(".").startswith(_FIXED.get(service, ()))


def is_number(value: Any) -> bool:
    """Return whether a value is a number, a duration or a time, also as a text."""
    if isinstance(value, str):
        return any(each.fullmatch(value) for each in (_NUMBER, _TIME, _CLOCK))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _changes(service: str, job: Job) -> Iterator[str]:
    """Yield what differs from the request, or from an earlier answer, and never changes."""
    first = {path: ("its request", value) for path, value in job.request.items()}
    for operation, answer in job.answers:
        for path, value in own_leaves(answer).items():
            if value in ("", None) or not _is_fixed(service, path):
                continue
            source, known = first.setdefault(path, (operation, value))
            if _plain(known) != _plain(value):
                yield f"{operation} {path}: {value!r}, and {known!r} in {source}"


def _plain(value: Any) -> Any:
    """Return a value such that equal numbers are equal: services write some of them as texts."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value.removesuffix("s"))
    return value


def _backwards(job: Job) -> Iterator[str]:
    """Yield what becomes less from one answer to a later one, and never can."""
    last: Leaves = {}
    for operation, answer in job.answers:
        for path, value in own_leaves(answer).items():
            if not _GROWS.search(path):
                continue
            key = f"{operation} {path}"  # a list may be behind a description
            both: list[Any] = [_time(each) or each for each in (last.get(key, value), value)]
            if both[0] > both[1]:
                yield f"{key}: {value!r} after {last[key]!r}"
            last[key] = value


def _runtime(job: Job) -> Iterator[str]:
    """Yield how long a tuning job is said to have run, if that is longer than it was seen."""
    times = [each for _, answer in job.answers for each in _times(answer).values()]
    for operation, answer in job.answers:
        ran = own_leaves(answer).get(".ConsumedResources.RuntimeInSeconds")
        most = (max(times) - min(times)).total_seconds() + 1 if times else 0
        if ran is not None and times and not 0 <= ran <= most:
            yield f"{operation}: RuntimeInSeconds {ran} is not within the {most} s of the job"


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _times(document: Mapping[str, Any]) -> dict[str, datetime]:
    """Return the times of a document itself: those of its lists are of something within it."""
    found = {path: _time(value) for path, value in own_leaves(document).items()}
    return {path: each for path, each in found.items() if each and "[" not in path}


def _rank(path: str) -> int | None:
    name = _KIND.sub("", path.rpartition(".")[2])
    return next((n for n, part in enumerate(_RANKS) if re.match(part, name, re.I)), None)


def _is_after(one: datetime, other: datetime) -> bool:
    """Return whether a time is after another one, also if one of them is rounded to a second."""
    is_rounded = not one.microsecond or not other.microsecond
    return one - other > (_ROUNDED if is_rounded else timedelta())


def _of_answer(answer: Mapping[str, Any]) -> Iterator[str]:
    times = {path: each for path, each in _times(answer).items() if _DELETION not in path}
    yield from _disorder(times)
    yield from _within(answer, times)
    yield from _durations(answer, times)
    yield from _counters(answer)


def _disorder(times: Mapping[str, datetime]) -> Iterator[str]:
    """Yield which times of a document are not in their order.

    A job that has not ended may be changed before it starts: services round the start.
    """
    ranks = {path: rank for path in times if (rank := _rank(path)) is not None}
    has_ended = len(_RANKS) - 1 in ranks.values()
    for path in filter(_CHANGED.search, times):
        ranks[path] = len(_RANKS)
    if times and max(times.values()) - min(times.values()) > _LONGEST:
        yield f"{min(times.values())} to {max(times.values())} is longer than any job"
    for path, rank in ranks.items():
        for later, other in ranks.items():
            is_open = other == len(_RANKS) and rank > 0 and not has_ended
            if rank < other and not is_open and _is_after(times[path], times[later]):
                yield f"{path} {times[path]} is after {later} {times[later]}"


def _too_late(recording: Mapping[str, Any]) -> Iterator[str]:
    """Yield the times after the call that returned them, and those of deletions before it.

    The time of a call follows from its distance to the creation of a job; without one, only the day
    of the recording is known.
    """
    clocks: list[timedelta] = []
    calls = [item for item in recording["sequence"] if is_map(item["answer"])]
    begin, end = _day(recording)
    for item in calls:
        seconds = item.get("seconds_after_first")
        created = _time(item["answer"].get("createTime"))
        if item["operation"].startswith("Create") and created and seconds is not None:
            clocks.append(created - begin - timedelta(seconds=seconds))
    for item in calls:
        operation, seconds = item["operation"], item.get("seconds_after_first")
        passed = timedelta(seconds=item.get("last_seconds_after_first") or seconds or 0)
        is_known = bool(clocks) and seconds is not None
        latest = begin + min(clocks) + passed + 2 * _ROUNDED if is_known else end + passed
        for path, value in leaves_of(item["answer"]).items():
            each = _time(value)
            if each and each > latest:
                yield f"{operation} {path}: {value} is after the call, which was until {latest}"
            is_now = _DELETION in path or (path == ".createTime" and operation.startswith("Create"))
            if each and is_now and each < (latest - 4 * _ROUNDED if is_known else begin):
                yield f"{operation} {path}: {value} is before the call, which was about {latest}"


def _unordered(recording: Mapping[str, Any]) -> Iterator[str]:
    """Yield the calls that were earlier than those before them; the times are whole seconds."""
    latest = 0.0
    for number, item in enumerate(recording["sequence"], 1):
        seconds = item.get("seconds_after_first")
        if seconds is not None and seconds < latest - _ROUNDED.total_seconds():
            yield f"{item['operation']}: call {number} is earlier than a call before it"
        latest = max(latest, seconds or 0.0)


def _day(recording: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return when the first call of a recording was at the earliest, and at the latest."""
    first, *_, last = re.findall(r"\d+(?:-\d\d)*", str(recording["date"])) * 2
    begin = datetime.fromisoformat(f"{first}-01-01"[:10]).replace(tzinfo=UTC)
    length = {4: 366, 7: 31}.get(len(last), 1)
    end = datetime.fromisoformat(f"{last}-01-01"[:10]).replace(tzinfo=UTC)
    return begin, end + timedelta(days=length + 1)


def _within(answer: Mapping[str, Any], times: Mapping[str, datetime]) -> Iterator[str]:
    """Yield which times of the steps, measurements and trials of a job are not within it."""
    begins = [each for path, each in times.items() if _rank(path) == 0]
    ends = [each for path, each in times.items() if _rank(path) == len(_RANKS) - 1]
    has_ended = bool(ends)
    ends += [each for path, each in times.items() if _CHANGED.search(path)]
    for path, value in leaves_of(answer).items():
        each = _time(value)
        if each is None or path in times or _DELETION in path:
            continue
        if begins and _is_after(min(begins), each):
            yield f"{path} {each} is before the creation {min(begins)}"
        if has_ended and _is_after(each, max(ends)):
            yield f"{path} {each} is after the end {max(ends)}"
    steps = [
        (path, each)
        for path, value in own_leaves(answer).items()
        if "SecondaryStatusTransitions" in path and (each := _time(value))
    ]
    for (_, last), (path, each) in pairwise(steps):
        if _is_after(last, each):
            yield f"{path} {each} is before the step before it, {last}"


def _durations(answer: Mapping[str, Any], times: Mapping[str, datetime]) -> Iterator[str]:
    """Yield which durations are longer than what they are part of, or than the time that passed."""
    leaves = own_leaves(answer)
    seconds = {path.rpartition(".")[2]: value for path, value in leaves.items()}
    billed, trained = (seconds.get(f"{name}TimeInSeconds") for name in ("Billable", "Training"))
    passed = _span(times, "TrainingStartTime", "TrainingEndTime")
    if billed is not None and trained is not None and not 0 <= billed <= trained:
        yield f".BillableTimeInSeconds {billed} is not within .TrainingTimeInSeconds {trained}"
    for name, value in (("Training", trained), ("Billable", billed)):
        if value is not None and passed is not None and not 0 <= value <= passed + 1:
            yield f".{name}TimeInSeconds {value} is not within the {passed} s of its start and end"
    is_spot = answer.get("EnableManagedSpotTraining")
    if trained is not None and passed is not None and not is_spot and trained < passed - 1:
        yield f".TrainingTimeInSeconds {trained} is less than the {passed} s from start to end"
    measured = [value for path, value in leaves.items() if path.endswith(".elapsedDuration")]
    life = _span(times, "startTime", "endTime")
    for value in map(_plain, measured):
        if life is not None and value > life + 1:
            yield f"elapsedDuration {value} s is more than the {life} s of the trial"


def _span(times: Mapping[str, datetime], begin: str, end: str) -> float | None:
    both = [times.get(f".{name}") for name in (begin, end)]
    return (both[1] - both[0]).total_seconds() if both[0] and both[1] else None


def _counters(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield which counts of trials exceed the limits of their job, or each other."""
    leaves = {path.removeprefix("."): value for path, value in own_leaves(answer).items()}
    limits = "HyperParameterTuningJobConfig.ResourceLimits"
    trials = _counts(leaves, "TrainingJobStatusCounters")
    objectives = _counts(leaves, "ObjectiveStatusCounters")
    state = str(answer.get("HyperParameterTuningJobStatus") or answer.get("state"))
    total, running = sum(trials.values()), trials.get("InProgress", 0)
    counted = sum(objectives.values())
    if objectives and (counted > total or (counted != total and _ENDED.fullmatch(state))):
        yield f"ObjectiveStatusCounters {objectives} and TrainingJobStatusCounters {trials}"
    idle = leaves.get("TuningJobCompletionDetails.NumberOfTrainingJobsObjectiveNotImproving", 0)
    if min([0, idle, *trials.values(), *objectives.values()]) < 0:
        yield f"fewer than no trials: {trials} {objectives} {idle}"
    if trials and idle > total:
        yield f"NumberOfTrainingJobsObjectiveNotImproving {idle} of {total} trials"
    rows = answer.get("trials")
    if is_list(rows):
        total, running = len(rows), sum(each.get("state") == "ACTIVE" for each in rows)
    most = leaves.get(f"{limits}.MaxNumberOfTrainingJobs", answer.get("maxTrialCount"))
    parallel = leaves.get(f"{limits}.MaxParallelTrainingJobs", answer.get("parallelTrialCount"))
    for count, limit in ((total, most), (running, parallel)):
        if limit is not None and count > int(limit):
            yield f"{count} trials, which may be {limit}"
    if most is not None and parallel is not None and int(parallel) > int(most):
        yield f"{parallel} trials at the same time, of {most}"
    if _ENDED.fullmatch(state) and running:
        yield f"{running} trials are running of a job that is {state}"


def _counts(leaves: Leaves, name: str) -> dict[str, int]:
    begin = f"{name}."
    return {
        path.removeprefix(begin): value for path, value in leaves.items() if path.startswith(begin)
    }


def _trials(recording: Mapping[str, Any]) -> Iterator[str]:
    """Yield which lists of the trials of a tuning job of SageMaker its counters contradict."""
    counters: dict[str, dict[str, Any]] = {}
    for item in recording["sequence"]:
        operation, request, answer = item["operation"], item["request"], item["answer"]
        name = str(request.get(NAMES[0]))
        if not is_map(answer):
            continue
        if operation == "DescribeHyperParameterTuningJob" and _ENDED.fullmatch(
            str(answer.get("HyperParameterTuningJobStatus"))
        ):
            counters[name] = answer
        rows = answer.get("TrainingJobSummaries")
        is_whole = not answer.get("NextToken") and not request.keys() - {NAMES[0], "MaxResults"}
        if operation == "ListTrainingJobsForHyperParameterTuningJob" and is_list(rows):
            for field, states in _COUNTED.items() if is_whole else ():
                known: dict[str, int] = counters.get(name, {}).get(f"{field}Counters") or {}
                listed = [states.get(str(row.get(field)), "") for row in rows if field in row]
                if not known or len(listed) < len(rows):
                    continue
                counted = dict.fromkeys(states.values(), 0)
                for each, count in known.items():
                    state = states.get(each, each)
                    counted[state] = counted.get(state, 0) + count
                shown = {each: listed.count(each) for each in counted}
                if counted != shown:
                    yield f"{operation}: {len(rows)} trials with {shown}, and the counters {known}"


def _compared(answer: Mapping[str, Any], *, is_part: bool) -> set[str]:
    """Return the paths of the numbers that a rule is about; times of a part are within its job."""
    leaves, times = own_leaves(answer), _times(answer)
    names = {path.rpartition(".")[2] for path in leaves}
    found: set[str] = set()
    if names & {"MaxNumberOfTrainingJobs", "maxTrialCount"}:
        found |= {path for path in leaves if _COUNTERS.search(path)}
    found |= {path for path in leaves if _time(leaves[path]) and (is_part or times.keys() - {path})}
    if {"TrainingStartTime", "TrainingEndTime"} <= names:
        found |= {f".{name}" for name in ("TrainingTimeInSeconds", "BillableTimeInSeconds")}
    elif "TrainingTimeInSeconds" in names:
        found.add(".BillableTimeInSeconds")
    found.add(".ConsumedResources.RuntimeInSeconds")
    if {"startTime", "endTime"} <= names:
        found |= {path for path in leaves if path.endswith(".elapsedDuration")}
    return found
