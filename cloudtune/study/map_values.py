"""Values of parameters that are maps: chosen combinations, which the script gets as their parts.

Inside, such a value is a text that is made from the map alone, so strategies, services and results
treat it like any other text. Two maps have the same text if and only if they are equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, StrictStr
from pydantic_core import CoreSchema, core_schema

from cloudtune.launcher.values import format_value

_Scalar = bool | int | float | str
_Parts = Mapping[str, _Scalar]
_WORD = re.compile(r"[A-Za-z_][\w./:+-]*", re.ASCII)
_NOT_TEXT = frozenset(["true", "false", "inf", "infinity", "nan"])
"""Words that read as another value than a text."""
_LABEL_KEY = "name"


class MapValue(str):
    """A map among the values of a parameter, as the text that stands for it."""

    __slots__ = ("parts",)
    parts: _Parts

    def __new__(cls, parts: _Parts) -> MapValue:
        """Return the text of a map: its ``name`` without the key, then its other parts.

        >>> MapValue({"momentum": 0.9, "name": "sgd"})
        'sgd,momentum=0.9'
        """
        words = [_format_part(key, parts[key]) for key in sorted(parts, key=_order)]
        value = super().__new__(cls, ",".join(words))
        value.parts = dict(parts)
        return value

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return what pickle and copy create the value from."""
        return (dict(self.parts),)


def _order(key: str) -> tuple[bool, str]:
    return key != _LABEL_KEY, key


def _format_part(key: str, value: _Scalar) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # equal numbers have equal texts
    text = format_value(value)
    if isinstance(value, str) and (not _WORD.fullmatch(value) or value.lower() in _NOT_TEXT):
        text = _quoted(value)
    elif key == _LABEL_KEY and isinstance(value, str):
        return text
    return f"{key if _WORD.fullmatch(key) else _quoted(key)}={text}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


class ScalarOrMap:
    """Lets a field accept a map of scalars, too, which becomes a `MapValue`."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema: a map by itself, so that mistakes in it name their keys."""
        scalar = handler(source)
        parts = core_schema.dict_schema(handler.generate_schema(StrictStr), scalar)
        kept = core_schema.is_instance_schema(MapValue)
        return core_schema.tagged_union_schema(
            {
                "a scalar": scalar,
                "a map": core_schema.no_info_after_validator_function(MapValue, parts),
                "a map value": kept,
            },
            lambda value: (
                "a map value"
                if isinstance(value, MapValue)
                else "a map"
                if isinstance(value, dict)
                else "a scalar"
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: dict(value.parts) if isinstance(value, MapValue) else value,
                when_used="json",
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the scalars, and a map of them."""
        choices: dict[str, CoreSchema] = cast("Any", schema)["choices"]
        scalar = handler(choices["a scalar"])
        parts = {"type": "object", "additionalProperties": scalar, "minProperties": 1}
        return {"anyOf": [*scalar["anyOf"], parts]}


def fold_map(value: Any) -> Any:
    """Return the text of a map from texts to scalars; any other value unchanged."""
    if not isinstance(value, dict) or not value:
        return cast("Any", value)
    parts = cast("dict[str, Any]", value)
    is_flat = all(isinstance(key, str) for key in cast("dict[object, Any]", value))
    is_flat = is_flat and all(isinstance(part, _Scalar) for part in parts.values())
    return str(MapValue(parts)) if is_flat else parts


def plain_value(value: _Scalar) -> _Scalar:
    """Return a value, or the text of a map without its parts."""
    return str(value) if isinstance(value, MapValue) else value


def plain_values(values: Iterable[_Scalar]) -> list[_Scalar]:
    """Return values with the texts of maps, without their parts."""
    return list(map(plain_value, values))


def unfold_values(values: Iterable[_Scalar]) -> list[Any]:
    """Return values with maps in place of the texts that stand for them."""
    return [dict(value.parts) if isinstance(value, MapValue) else value for value in values]


def list_maps(values: Iterable[_Scalar]) -> dict[str, dict[str, _Scalar]]:
    """Return the maps among values, by the text that stands for each."""
    return {str(value): dict(value.parts) for value in values if isinstance(value, MapValue)}
