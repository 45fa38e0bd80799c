"""Recorded answers with fields removed and changed: what reads them says so, and never crashes.

The SDKs of AWS and Google give answers the types of their models, so there only fields are missing
and words are new. IBM's answers can have any JSON.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.conversion import importer
from cloudtune.errors import CloudtuneError
from cloudtune.study.yaml_reader import is_list, is_map
from cloudtune_sagemaker import response as sagemaker
from cloudtune_vertex import response as vertex
from cloudtune_watson import response as watson
from cloudtune_watson.documents import job_of, part
from tests import recorded

WORDS = st.sampled_from(["NEW_STATE", "", "2026-13-99"])
ANY = st.one_of(
    WORDS, st.none(), st.booleans(), st.integers(-9, 10**13), st.floats(), st.just([]), st.just({})
)
Path_ = tuple[Any, ...]


def jobs(service: str, *fields: str) -> list[Any]:
    """Return the recorded answers that have a field."""

    def extract(file: Path) -> Iterator[tuple[str, Any]]:
        for item in recorded.read(file)["sequence"]:
            if any(field in item["answer"] for field in fields):
                yield file.stem, item["answer"]

    return [each.values[0] for each in recorded.cases(service, extract)]


def paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    if path:
        yield path
    items: Any = value.items() if is_map(value) else enumerate(value) if is_list(value) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


@st.composite
def changed(draw: st.DrawFn, known: list[Any], values: st.SearchStrategy[Any]) -> Any:
    """Return an answer in which some fields are missing or have other values."""
    answer = copy.deepcopy(draw(st.sampled_from(known)))
    for _ in range(draw(st.integers(1, 3))):
        everywhere = [*paths(answer)]
        if not everywhere:
            break
        *way, last = draw(st.sampled_from(everywhere))
        parent = answer
        for key in way:
            parent = parent[key]
        if draw(st.booleans()):
            del parent[last]
        elif values is ANY or isinstance(parent[last], str):
            parent[last] = draw(values)
    return answer


def typed(value: Any, name: str = "") -> Any:
    """Return an answer of SageMaker as boto3 has it: with times, and without what is no time."""
    if is_map(value):
        found = {key: typed(item, key) for key, item in value.items()}
        return {key: item for key, item in found.items() if item is not None}
    if is_list(value):
        return [typed(item) for item in value]
    if name.endswith("Time") and isinstance(value, str):
        with suppress(ValueError):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        return None
    return value


def read_all(job: Any, readers: list[Callable[[Any], Any]]) -> None:
    for read in readers:
        with suppress(CloudtuneError):
            read(job)


def can_be_imported(job: Any, provider: str) -> None:
    document = json.loads(json.dumps(job, default=str))
    with suppress(CloudtuneError):
        importer.read_description(document, provider, "the job")


TRAININGS = jobs("sagemaker", "TrainingJobStatus")
TUNINGS = jobs("sagemaker", "HyperParameterTuningJobConfig")
VERTEX = jobs("vertex", "jobSpec", "studySpec")
IBM = jobs("ibm", "entity")
_EXAMPLES = settings(max_examples=150, deadline=None)


@given(changed(TRAININGS, WORDS))
@_EXAMPLES
def test_training_jobs_of_sagemaker(answer: Any) -> None:
    job = typed(answer)
    identity = {f"TrainingJob{part}": f"job-{part}" for part in ("Name", "Arn")}
    full = {"CreationTime": datetime.now(UTC), **identity, **job}
    readers = [sagemaker.has_ended, sagemaker.is_stopped, sagemaker.got_no_machine]
    read_all(full, [*readers, sagemaker.wait_reason, sagemaker.failure_reason, sagemaker.is_lost])
    tuning = sagemaker.to_tuning_job(typed(TUNINGS[0]), [])
    trial = sagemaker.to_trial(full, 1, tuning, [], log=None)
    is_known = full.get("TrainingJobStatus") in sagemaker.PHASES
    assert (trial.state == "unknown") <= (not is_known or sagemaker.is_stopped(full))
    assert is_known or trial.state == "unknown"


@given(changed(TUNINGS, WORDS))
@_EXAMPLES
def test_tuning_jobs_of_sagemaker(answer: Any) -> None:
    job = typed(answer)
    read_all(job, [lambda each: sagemaker.to_tuning_job(each, []), sagemaker.job_reason])


@given(changed(TUNINGS, ANY))
@settings(max_examples=60, deadline=None)
def test_imports_from_sagemaker(answer: Any) -> None:
    can_be_imported(answer, "sagemaker")


@given(changed(VERTEX, ANY))
@_EXAMPLES
def test_jobs_of_vertex(answer: Any) -> None:
    can_be_imported(answer, "vertex")
    types = import_module("google.cloud.aiplatform_v1.types")
    form = import_module("google.protobuf.json_format")
    kind = types.CustomJob if "jobSpec" in answer else types.HyperparameterTuningJob
    try:
        message = form.ParseDict(answer, kind.pb()(), ignore_unknown_fields=True)
    except form.ParseError:
        return  # Google's client raises it, too
    job = form.MessageToDict(message)
    readers = [vertex.has_ended, vertex.is_stopped, vertex.failure_reason, vertex.is_lost]
    read_all(job, [*readers, vertex.got_no_machine, vertex.machine])
    machine = vertex.Machine()
    machine.see(job)
    assert machine.runs_since is None or job["state"] == "JOB_STATE_RUNNING"
    assert not machine.is_timed_out(job)
    assert vertex.has_ended(job) <= (job.get("state") in vertex.ENDED_STATES)


@given(changed(IBM, ANY))
@_EXAMPLES
def test_jobs_of_ibm(answer: Any) -> None:
    if not part(answer, "metadata").get("id") or not isinstance(answer["metadata"]["id"], str):
        with pytest.raises(CloudtuneError, match=r"has no metadata\.id"):
            job_of(answer)
        return
    job = job_of(answer)
    read_all(job, [watson.failure_reason, watson.service_state])
    state = watson.training_state(job)
    status = job.get("entity")
    for name in ("scoring", "status"):
        status = status.get(name) or status if is_map(status) else {}
    word = str(status.get("state")).lower() if is_map(status) else ""
    assert state == watson.TRAINING_STATES.get(word, "unknown")
    assert watson.has_ended(job) == (state in {"completed", "failed", "cancelled"})
