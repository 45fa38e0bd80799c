"""Writes the calls of a verification as a recording, in the form of ``tests/recordings``."""

from __future__ import annotations

import getpass
import json
import platform
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cloudtune._version import __version__
from cloudtune.provider import registry
from cloudtune.provider.call_record import Call
from cloudtune.study.schema import Json
from cloudtune.study.yaml_reader import is_list, is_map
from cloudtune.verification.masking import Masking


def service_name(provider: str) -> str:
    """Return the name of a provider's service in recordings."""
    return registry.get(provider).recorded_as or provider


def to_recordings(
    provider: str,
    calls: Sequence[Call],
    jobs: Mapping[str, str],
    settings: Json,
    *,
    emulated: bool,
    cut_short: Container[str] = (),
) -> dict[str, Json]:
    """Return a recording for each job, without names, accounts, addresses and secrets.

    A recording of an emulator says so, and is never taken for one of the service; so does one of
    an address that is not the service's own, such as that of a gateway.

    Args:
        provider: The provider.
        calls: All calls of the verification, in order.
        jobs: The names of the jobs at the service, by step.
        settings: The provider's settings, whose texts are names.
        emulated: Whether the service was emulated.
        cut_short: The steps of which calls may be missing, such as after an interrupt.
    """
    ids = {step: {name} for step, name in jobs.items()}
    own: dict[str, list[Call]] = {step: [] for step in jobs}
    for call in calls:
        text = json.dumps([call.request, call.answer])
        step = next((each for each in jobs if any(name in text for name in ids[each])), None)
        if step is not None:
            own[step].append(call)
            ids[step] |= _ids_of(call.answer)
    names = [getpass.getuser(), platform.node(), *_texts(settings)]
    return {
        step: {
            "service": service_name(provider),
            "date": datetime.fromtimestamp(each[0].time, UTC).date().isoformat(),
            **_source(each, emulated=emulated),
            **({"cut_short": True} if step in cut_short else {}),
            "source": {
                "repo": "cloudtune verify",
                "path": step,
                "commit": None,
                "licence": "facts",
            },
            "recorder": f"cloudtune {__version__}; names are masked",
            "sequence": Masking(names, provider).mask(_folded(each)),
        }
        for step, each in own.items()
        if each
    }


def _source(calls: Sequence[Call], *, emulated: bool) -> Json:
    """Return what makes a recording no evidence, if anything does."""
    if emulated:
        return {"emulated": True}
    return {} if all(call.is_at_service for call in calls) else {"other_address": True}


def _ids_of(answer: Any) -> set[str]:
    """Return the ids that a service has given to a job, with which later calls name it."""
    if not is_map(answer):
        return set()
    metadata: Any = answer.get("metadata")
    found = [answer.get("name"), metadata.get("id") if is_map(metadata) else None]
    return {each for each in found if isinstance(each, str)}


def _folded(calls: Sequence[Call]) -> list[Json]:
    """Return the calls as items; equal polls that follow each other are one."""
    sequence: list[Json] = []
    for call in calls:
        item: Json = {
            "seconds_after_first": int(call.time - calls[0].time),
            "operation": call.operation,
            "request": call.request,
            "status": call.status,
            "answer": call.answer,
        }
        last: Json = sequence[-1] if sequence else {}
        if all(last.get(key) == item[key] for key in ("operation", "request", "answer")):
            last["repeated"] = last.get("repeated", 0) + 1
            last["last_seconds_after_first"] = item["seconds_after_first"]
        else:
            sequence.append(item)
    return sequence


def _texts(value: Any) -> list[str]:
    if is_map(value):
        return [text for each in value.values() for text in _texts(each)]
    if is_list(value):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []
