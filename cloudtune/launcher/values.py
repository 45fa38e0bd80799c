"""Values as text, and whether two are the same."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Union

    Value = Union[bool, int, float, str]
    ValueOrMap = Union[Value, "dict[str, Value]"]


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


def expand_maps(
    maps: Mapping[str, Mapping[str, Mapping[str, Value]]], values: Mapping[str, Value]
) -> dict[str, ValueOrMap]:
    """Return values with maps in place of the texts that stand for them.

    Args:
        maps: By parameter and text, the map.
        values: The values by parameter.

    >>> expand_maps({"opt": {"sgd,lr=1": {"name": "sgd", "lr": 1}}}, {"opt": "sgd,lr=1", "C": 2})
    {'opt': {'name': 'sgd', 'lr': 1}, 'C': 2}
    """
    return {
        name: dict(maps[name][str(value)]) if str(value) in maps.get(name, ()) else value
        for name, value in values.items()
    }


def flatten_maps(values: Mapping[str, ValueOrMap]) -> dict[str, Value]:
    """Return values with the parts of maps in place of the maps, each under a name of its own.

    >>> flatten_maps({"opt": {"name": "sgd", "lr": 1}, "C": 2})
    {'opt.name': 'sgd', 'opt.lr': 1, 'C': 2}
    """
    flat: dict[str, Value] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update({part_name(name, key): part for key, part in value.items()})
        else:
            flat[name] = value
    return flat


def part_name(name: str, key: str) -> str:
    """Return the name under which a script gets a part of a map."""
    return name + "." + key
