"""Tuning jobs in the definition of a state machine of AWS Step Functions, which are only read.

A task with the resource ``arn:aws:states:::sagemaker:createHyperParameterTuningJob`` has the
request as ``Parameters``, in JSONata as ``Arguments``
(https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html, from memory, not
verified). A key that ends in ``.$``, and a text in ``{% %}``, gets its value when the machine runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cloudtune.formats import Fields, Report, StudyDraft
from cloudtune.provider import Json, is_list, is_map
from cloudtune_sagemaker.native.reader import read_job

_RESOURCE = re.compile(
    r"arn:aws[\w-]*:states:[^:]*:[^:]*:sagemaker:createHyperParameterTuningJob.*"
)
_INPUTS = ("Parameters", "Arguments")
_EXPRESSION = re.compile(r"\{%.*%\}", re.DOTALL)
_NAME = "HyperParameterTuningJobName"


def find_requests(value: Any, path: str = "") -> Iterator[tuple[str, str, Json]]:
    """Yield each request in a state machine, with its path and the name of the state."""
    if is_list(value):
        for index, each in enumerate(value):
            yield from find_requests(each, f"{path}.{index}")
    elif is_map(value):
        if _RESOURCE.fullmatch(str(value.get("Resource"))):
            for key in _INPUTS:
                if is_map(value.get(key)):
                    yield f"{path}.{key}".lstrip("."), path.rpartition(".")[2], value[key]
            return
        for key, each in value.items():
            yield from find_requests(each, f"{path}.{key}".lstrip("."))


def read_machine(document: Fields) -> list[StudyDraft]:
    """Return the studies of the requests in a state machine."""
    report = document.report
    drafts: list[StudyDraft] = []
    for path, state, request in find_requests(dict(document.original)):
        name = f"the state {state}" if state else "a state"
        text = f"the request of {name}: an export writes it without the state machine"
        report.note(path, text)
        inner = Report(report.file)
        found = read_job(Fields(_written(request, path, report), inner))
        report.findings += [replace(each, path=_join(path, each.path)) for each in inner.findings]
        report.problems += [replace(each, path=_join(path, each.path)) for each in inner.problems]
        for draft in found:
            draft.name = draft.name or state
            draft.origins = {key: _join(path, each) for key, each in draft.origins.items()}
        drafts += found
    return drafts


def read_request(document: Fields) -> list[StudyDraft]:
    """Return the studies of a request, which may be the parameters of a state."""
    found = Report(document.report.file)
    written = _written(dict(document.original), "", found)
    if not found.findings:
        return read_job(document)
    document.report.findings += found.findings
    return read_job(Fields(written, document.report))


def _written(value: Any, path: str, report: Report) -> Any:
    """Return a value without what gets its value when the machine runs, each with a finding."""
    if is_list(value):
        items = enumerate(value)
        return [_written(v, f"{path}.{n}", report) for n, v in items if not _is_dynamic(str(n), v)]
    if not is_map(value):
        return value
    found: Json = {}
    for key, each in value.items():
        where = f"{path}.{key}".lstrip(".")
        if not _is_dynamic(key, each):
            found[key] = _written(each, where, report)
        elif key.removesuffix(".$") == _NAME:
            report.note(where, "the state machine names each job when it runs")
        else:
            report.drop(where, "the state machine sets it when it runs; set it in the study")
    return found


def _is_dynamic(key: str, value: Any) -> bool:
    return key.endswith(".$") or (
        isinstance(value, str) and _EXPRESSION.fullmatch(value.strip()) is not None
    )


def _join(path: str, inner: str) -> str:
    return f"{path}.{inner}" if inner else path
