"""Results as JSON texts, made part by part so that no more than one trial's is held at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, cast

from cloudtune.results.model import StudyResult, Trial


def json_parts(result: StudyResult, trials: Iterable[Trial]) -> Iterator[str]:
    """Yield the parts of one JSON text: a result with these trials in place of its own."""
    head = {name: value for name, value in _plain(result).items() if name != "trials"}
    yield f'{encoded(head)[:-1]}, "trials": ['
    for place, trial in enumerate(trials):
        yield f"{',' if place else ''}\n{encoded(trial)}"
    yield "]}"


def trial_line(result: StudyResult, trial: Trial) -> str:
    """Return one JSON line: all that is known of a trial, and the job that it belongs to."""
    job = {"run": result.run, "provider": result.provider, "emulated": result.emulated}
    return encoded(job | _plain(trial))


def _plain(value: Any) -> dict[str, Any]:
    """Return a dataclass without what is not known, or a mapping, as what JSON knows."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Any]", value))
    named = ((name, getattr(value, name)) for name in value.__dataclass_fields__)
    return {name: held for name, held in named if held is not None}


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain)


def encoded(value: Any) -> str:
    """Return data as one JSON text; numbers that are not finite become text."""
    try:
        return _ENCODER.encode(value)
    except ValueError:  # a number that is not finite
        return _ENCODER.encode(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, list | tuple):
        return [_finite(each) for each in cast("Sequence[Any]", value)]
    if isinstance(value, Mapping) or is_dataclass(value):
        return {name: _finite(held) for name, held in _plain(value).items()}
    return value
