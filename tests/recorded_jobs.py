"""What a recording has about each job: the request that created it, and the answers about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudtune.study.yaml_reader import is_list, is_map

Leaves = dict[str, Any]
"""The values of a document by their paths, such as ``.trials[0].id``."""

NAMES = ("HyperParameterTuningJobName", "TrainingJobName", "ProcessingJobName", "TransformJobName")
_ANSWERED = {"ResourceLimits": "HyperParameterTuningJobConfig.ResourceLimits"}
"""Fields that a list shows elsewhere than a description."""
_OWN_LEAVES: dict[int, Leaves] = {}
"""Those of documents of the recording that was read last, by their ids."""


@dataclass
class Job:
    """What a recording has about one job or trial, in order."""

    key: str
    answers: list[tuple[str, Mapping[str, Any]]] = field(
        default_factory=list[tuple[str, Mapping[str, Any]]]
    )
    """The operations with the documents of their answers."""
    request: Leaves = field(default_factory=Leaves)


def jobs_of(recording: Mapping[str, Any]) -> list[Job]:
    """Return the jobs and trials of a recording; what names no job is one of its call."""
    jobs: dict[str, Job] = {}
    _OWN_LEAVES.clear()
    for number, item in enumerate(recording["sequence"], 1):
        operation, answer = str(item["operation"]), item["answer"]
        if not is_map(answer) or not answer:
            continue
        begin = name_of(item["request"]) if "Create" in operation else ""
        for key, document in _documents(answer, begin or f"call {number}"):
            job = jobs.setdefault(key, Job(key))
            job.answers.append((operation, document))
            is_creation = operation.startswith(("Create", "PUT jobs"))
            if is_creation and document is answer and item["status"] < 400:
                job.request |= _sent(item["request"])
    return [*jobs.values()]


def _documents(value: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the jobs and trials in an answer with their names; what names none has that of it."""
    if is_map(value):
        key = name_of(value, key) or key
        yield key, value
        for each in _nested(value):
            yield from _documents(each, key)


def _nested(document: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the parts of a document that are about jobs or trials of their own."""
    for value in document.values():
        for each in value if is_list(value) else [value]:
            if is_map(each):
                if name_of(each, "") and "situation" not in each:
                    yield each
                else:
                    yield from _nested(each)


def name_of(document: Mapping[str, Any], parent: str = "") -> str:
    """Return what a document names itself, if it is about a job or a trial; or nothing."""
    metadata = document.get("metadata")
    ids = [document.get(name) for name in NAMES if name in document]
    if is_map(metadata) and "id" in metadata:
        ids.append(metadata["id"])
    if "systemData" in document and "id" in document:
        ids.append(document["id"])
    if "createTime" in document and "name" in document:
        ids.append(document["name"])
    if "id" in document and "state" in document:
        ids.append(f"{parent} trial {document['id']}")
    return str(ids[0]) if ids else ""


def _sent(request: Mapping[str, Any]) -> Leaves:
    """Return what a request sets; that of IBM is in two parts of the answers."""
    body = request.get("body_rebuilt_from_answer") or request.get("body")
    if not is_map(body):
        return {} if "method" in request else leaves_of(request)
    parts = {"metadata": body, "entity": body} if "space_id" in body else {}
    return leaves_of({**body, **parts})


def leaves_of(value: Any, path: str = "", own: Iterable[int] = ()) -> Leaves:
    """Return the values of a document by path, without those of the parts with these ids."""
    if id(value) in own:
        return {}
    if is_map(value):
        pairs = [(f".{name}", each) for name, each in value.items()]
    elif is_list(value):
        pairs = [(f"[{number}]", each) for number, each in enumerate(value)]
    else:
        return {path: value}
    found: Leaves = {}
    for step, each in pairs:
        found |= leaves_of(each, f"{path}{step}", own)
    return found


def own_leaves(document: Mapping[str, Any]) -> Leaves:
    """Return the values of a document, without those of the jobs and trials in it.

    They are computed once until `jobs_of` reads a recording again: tests change answers in between.
    """
    if id(document) in _OWN_LEAVES:
        return _OWN_LEAVES[id(document)]
    found = leaves_of(document, own={id(each) for each in _nested(document)})
    for name, place in _ANSWERED.items():
        old = [path for path in found if path.startswith(f".{name}.")]
        found |= {f".{place}{path.removeprefix(f'.{name}')}": found.pop(path) for path in old}
    _OWN_LEAVES[id(document)] = found
    return found
