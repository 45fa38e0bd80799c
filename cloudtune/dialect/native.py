"""What an imported document has beyond its study.

What belongs to a parameter is found by the parameter's name only. So it never comes back after the
parameter has been deleted or renamed, and never gets to another one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudtune.study.merge import merge_json
from cloudtune.study.schema import Json, Parameter
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_list, is_map

Entries = Mapping[str, Sequence[Any]]
"""By the name of a parameter, what is kept of its definitions."""


@dataclass
class Native:
    """What is kept of an imported document. A study part takes out of it what it replaces."""

    rest: Json
    """The document without its parameters, which is merged into what is written."""
    block: Any = None
    """The parameters of the document as it has them."""
    entries: Entries = field(default_factory=dict[str, Sequence[Any]])
    reread: Callable[[Any], Json | None] | None = None
    """Returns the parameter, in the form of a study file, for which a whole definition stands; None
    if it is only a part of one."""

    extra: Json = field(default_factory=dict[str, Any])
    """By name, what the parameters of the document have that a study has not, such as lists as
    constants."""

    current: frozenset[str] = frozenset()
    """The parameters whose whole definition is known to be that of the study."""

    def whole(self, name: str, parameter: Parameter) -> Any:
        """Return the kept definition of a parameter that has not changed, None if there is none."""
        if name in self.current:
            return self.entries[name][0]
        return next(
            (each for each in self.entries.get(name, ()) if self._means(each, parameter)), None
        )

    def part(self, name: str) -> Any:
        """Return the part of a definition that is kept of a parameter, empty if there is none."""
        parts = [each for each in self.entries.get(name, ()) if self._read(each) is None]
        return parts[0] if parts else dict[str, Any]()

    def written(self, name: str, parameter: Parameter, definition: Any) -> Any:
        """Return the definition of a parameter with what is kept of it."""
        whole = self.whole(name, parameter)
        return merge_json(definition, self.part(name)) if whole is None else copy.deepcopy(whole)

    def take(self, is_extra: Callable[[Any], bool]) -> Json:
        """Take the definitions out that are extra, because no parameter can have them."""
        found = {name: each[0] for name, each in self.entries.items() if any(map(is_extra, each))}
        found = {name: each for name, each in found.items() if self._read(each) is None}
        self.entries = {name: each for name, each in self.entries.items() if name not in found}
        return found

    def others(self, names: Iterable[str]) -> list[str]:
        """Return the names of what is kept of parameters that a study no longer has."""
        return sorted(self.entries.keys() - set(names))

    def _read(self, entry: Any) -> Json | None:
        return self.reread(entry) if self.reread is not None else None

    def _means(self, entry: Any, parameter: Parameter) -> bool:
        again = self._read(entry)
        if again is None:
            return False
        (before,) = Study.model_validate({"parameters": {"x": again}}).parameters["x"]
        return before == parameter.model_copy(update={"when": None})


def native_of(study: Study, home: str, *keys: str) -> Json:
    """Return a copy of what is kept under ``providers.<home>.native``, or of a map in it."""
    return copy.deepcopy(map_at(study.providers, home, "native", *keys))


def map_at(document: Any, *keys: str) -> Json:
    """Return a map in a document, by reference; an empty one if there is none."""
    for key in keys:
        document = document.get(key) if is_map(document) else None
    return document if is_map(document) else {}


def take_block(document: Any, *keys: str) -> Any:
    """Take a block out of a document, None if it is absent; maps that get empty go, too."""
    *outer, last = keys
    inner = map_at(document, *outer)
    block = inner.pop(last, None)
    if outer and block is not None and not inner:
        take_block(document, *outer)
    return block


def named_entries(block: Any, key: str) -> dict[str, list[Any]]:
    """Return the maps of a list by the name under a key."""
    found: dict[str, list[Any]] = {}
    for entry in filter(is_map, block if is_list(block) else []):
        found.setdefault(str(entry.get(key)), []).append(entry)
    return found


def map_entries(block: Any) -> dict[str, list[Any]]:
    """Return the values of a map by their keys."""
    return {name: [entry] for name, entry in block.items()} if is_map(block) else {}


def nested_entries(
    block: Any, key: str | None, is_leaf: Callable[[Any], bool] = lambda _: False
) -> dict[str, list[Any]]:
    """Return definitions in nested maps by their names, in which dots separate the levels.

    Args:
        block: The outermost level.
        key: The key of the definitions in a level; None if the level itself has them.
        is_leaf: Whether a map is a definition rather than a level; if `key` is None.
    """
    found: dict[str, list[Any]] = {}
    for name, entry in block.items() if is_map(block) else ():
        level = entry if key is None else map_at(entry).get(key)
        if is_map(level) and not is_leaf(level):
            inner = nested_entries(level, key, is_leaf)
            found |= {f"{name}.{each}": definitions for each, definitions in inner.items()}
        else:
            found[name] = [entry]
    return found


def option_entries(block: Any, key: str) -> dict[str, list[Any]]:
    """Return definitions by their names, with those in the options of a choice.

    Args:
        block: A level of definitions, or a list of several.
        key: The key of the options of a definition.
    """
    found: dict[str, list[Any]] = {}

    def add(level: Any, prefix: str) -> None:
        for name, entry in level.items() if is_map(level) else ():
            found.setdefault(f"{prefix}{name}", []).append(entry)
            options: Any = map_at(entry).get(key)
            for option in filter(is_map, options if is_list(options) else []):
                inner = {each: value for each, value in option.items() if is_map(value)}
                add(inner, f"{prefix}{name}.")

    for level in block if is_list(block) else [block]:
        add(level, "")
    return found
