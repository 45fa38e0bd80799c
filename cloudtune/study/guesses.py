"""Types that are misspelt and what was meant, so that the rest of a parameter is read, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune.study.messages import KeyPath, Mistake, type_names
from cloudtune.study.study import Study
from cloudtune.study.suggestions import closest_match
from cloudtune.study.yaml_reader import is_map


@dataclass(frozen=True)
class Guess:
    """The type that one definition probably has."""

    place: KeyPath
    """Of the definition."""
    key: str
    """What stands there for ``type``."""
    type: str
    misspelt: Mistake | None
    """The key, where that is not ``type``."""

    def apply(self, data: Any) -> None:
        """Put the type into the definition."""
        definition = _at(data, self.place)
        del definition[self.key]
        definition["type"] = self.type


def guesses(mistakes: Sequence[Mistake], data: Any) -> dict[KeyPath, Guess]:
    """Return a guess for each mistake in a type that allows one, by the definition's place."""
    found: dict[KeyPath, Guess] = {}
    for mistake in mistakes:
        details = mistake.details[0] if mistake.details else {"type": ""}
        if not details["type"].startswith("union_tag"):
            continue
        place, loc = mistake.place[:-1], details["loc"]
        definition = _at(data, place)
        if not is_map(definition):
            continue
        key, misspelt = "type", None
        if mistake.missing:
            near = [word for word in definition if closest_match(word, ["type"])]
            if not near:
                continue
            key = near[0]
            extra = {"type": "extra_forbidden", "loc": (*loc, key)}
            misspelt = Mistake((*place, key), details=[extra])
        said = definition[key]
        meant = closest_match(said, type_names(Study, loc)) if isinstance(said, str) else None
        if meant:
            found[place] = Guess(place, key, meant, misspelt)
    return found


def _at(data: Any, place: KeyPath) -> Any:
    for step in place:
        data = data[step]
    return data
