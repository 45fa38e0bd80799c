"""Parameters for studies in Python: ``cloudtune.float(1e-4, 0.1)`` is what a study file has.

Each function is named after the ``type`` of the parameter that it returns.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune.study.schema import Number, Scalar, Scale

    Json = dict[str, Any]
    Value = Scalar | Mapping[str, Scalar]
    When = Mapping[str, Value | Sequence[Value]]


def float(  # noqa: A001
    min: Number,  # noqa: A002
    max: Number,  # noqa: A002
    *,
    scale: Scale = "linear",
    step: Number | None = None,
    when: When | None = None,
) -> Json:
    """Return a parameter that is a real number between two inclusive bounds.

    Args:
        min: The smallest value.
        max: The largest value.
        scale: ``linear``, ``log``, ``reverse_log`` or ``auto``.
        step: The distance between values, counted from ``min``.
        when: The values of other parameters for which this one is active.

    >>> float(1e-4, 0.1, scale="log")
    {'type': 'float', 'min': 0.0001, 'max': 0.1, 'scale': 'log'}
    """
    return _parameter("float", min=min, max=max, scale=scale, step=step, when=when)


def int(  # noqa: A001
    min: builtins.int,  # noqa: A002
    max: builtins.int,  # noqa: A002
    *,
    scale: Scale = "linear",
    step: builtins.int | None = None,
    when: When | None = None,
) -> Json:
    """Return a parameter that is an integer between two inclusive bounds; as `float`.

    >>> int(1, 4, when={"optimizer": "adam"})
    {'type': 'int', 'min': 1, 'max': 4, 'scale': 'linear', 'when': {'optimizer': 'adam'}}
    """
    return _parameter("int", min=min, max=max, scale=scale, step=step, when=when)


def discrete(
    values: Sequence[Number], *, scale: Scale = "linear", when: When | None = None
) -> Json:
    """Return a parameter that is one of several increasing numbers.

    >>> discrete([16, 32, 64])
    {'type': 'discrete', 'values': [16, 32, 64], 'scale': 'linear'}
    """
    return _parameter("discrete", values=list(values), scale=scale, when=when)


def categorical(values: Sequence[Value], *, when: When | None = None) -> Json:
    """Return a parameter that is one of several values, or maps of values, without an order.

    >>> categorical(["relu", "tanh"])
    {'type': 'categorical', 'values': ['relu', 'tanh']}
    """
    return _parameter("categorical", values=list(values), when=when)


def bool(*, when: When | None = None) -> Json:  # noqa: A001
    """Return a parameter that is True or False.

    >>> bool()
    {'type': 'bool'}
    """
    return _parameter("bool", when=when)


def _parameter(kind: str, **fields: Any) -> Json:
    return {"type": kind, **{name: value for name, value in fields.items() if value is not None}}
