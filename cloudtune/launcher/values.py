"""Values as text, and whether two are the same."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    Value = Union[bool, int, float, str]


def format_value(value: Value) -> str:
    """Return the text of a value, as passed to scripts and services.

    A bool is ``True`` or ``False``. A float is the shortest text that reads back as the same.

    >>> format_value(1e-05), format_value(True), format_value("1.0")
    ('1e-05', 'True', '1.0')
    """
    return value if isinstance(value, str) else repr(value)


def is_same_value(left: Value, right: Value) -> bool:
    """Return whether two values are the same: 4 equals 4.0, but 1 equals neither True nor "1"."""
    for kind in (bool, str):
        if isinstance(left, kind) != isinstance(right, kind):
            return False
    return left == right
