"""The fields in which two studies differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, cast


class Difference(NamedTuple):
    """A leaf that two JSON values do not share; each side is JSON text."""

    path: str
    left: str
    right: str


def find_differences(left: Any, right: Any, path: str = "") -> Iterator[Difference]:
    """Yield each leaf in which two JSON values differ; 1, 1.0 and true differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        old, new = cast("dict[str, Any]", left), cast("dict[str, Any]", right)
        for key in dict.fromkeys([*old, *new]):
            yield from find_differences(
                old.get(key), new.get(key), f"{path}.{key}" if path else key
            )
        return
    if isinstance(left, list) and isinstance(right, list):
        lefts: list[Any] = [*left]
        rights: list[Any] = [*right]
        if len(lefts) == len(rights):
            for index, (one, other) in enumerate(zip(lefts, rights, strict=True)):
                name = f"{path}.{index}" if len(lefts) > 1 else path
                yield from find_differences(one, other, name)
            return
    left_text, right_text = json.dumps(left), json.dumps(right)
    if left_text != right_text:
        yield Difference(path, left_text, right_text)
