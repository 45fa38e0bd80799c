"""Suggestions for misspelled words."""

from __future__ import annotations

import re
from collections.abc import Collection

SUGGESTION = re.compile(r"did you mean (\S+)(?: .*)?\?")
"""A hint that names one key or word, with the name as its group."""
_SAME_WORD = 0.66
"""The similarity from which two parts of a name are the same word, misspelled."""
_SAME_NAME = 0.85
"""The similarity from which two names are the same, whatever their parts are."""
_MAX_MORE = 2
"""How many letters more than the other a misspelled part may have."""
_MIN_STEM = 3
"""A part that begins with another one of at least so many letters is the same word."""
_SEPARATOR = re.compile(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])")
_MAX_LENGTH = 60
_MAX_COMPARED = 300
_MAX_LISTED = 8


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return ``did you mean X?`` for the known word closest to a word, or an empty text."""
    match = closest_match(word, known)
    return f"did you mean {match}?" if match else ""


def suggest_name(word: str, known: Collection[str]) -> str:
    """Return ``did you mean X?``, or the known names if none is similar and they are few."""
    few = f"use one of {', '.join(known)}" if 0 < len(known) <= _MAX_LISTED else ""
    return did_you_mean(word, known) or few


def closest_match(word: str, known: Collection[str]) -> str | None:
    """Return the known word closest to a word, or None if none is similar.

    A known word is similar if each of its parts is: ``max_trials`` is similar to
    ``max_total_trials``, but ``max_failed_trials`` is not, since it means something else.
    To bound the cost of many misses, words of 60 characters or more and collections of more than
    300 words are not compared.
    """
    if len(word) >= _MAX_LENGTH or len(known) > _MAX_COMPARED:
        return None
    from difflib import get_close_matches

    lower = {name.lower(): name for name in known if len(name) < _MAX_LENGTH}
    close = get_close_matches(word.lower(), lower, n=_MAX_COMPARED)
    matches = [match for match in close if _is_similar(word, lower[match])]
    letters = sorted(word.lower())
    exchanged = (match for match in matches if sorted(match) == letters)  # us-esat-1 is us-east-1
    return lower[next(exchanged, matches[0])] if matches else None


def _is_similar(word: str, known: str) -> bool:
    parts, known_parts = _parts(word), _parts(known)
    if _ratio("".join(parts), "".join(known_parts)) >= _SAME_NAME:
        return True
    return bool(known_parts) and all(
        any(_is_same_word(part, known_part) for part in parts) for known_part in known_parts
    )


def _parts(word: str) -> list[str]:
    return [part.lower() for part in _SEPARATOR.split(word) if part] or [word]


def _is_same_word(part: str, known: str) -> bool:
    is_abbreviation = min(len(part), len(known)) >= _MIN_STEM and (
        part.startswith(known) or known.startswith(part)
    )
    if is_abbreviation or sorted(part) == sorted(known):
        return True
    return abs(len(part) - len(known)) <= _MAX_MORE and _ratio(part, known) >= _SAME_WORD


def _ratio(left: str, right: str) -> float:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, left, right).ratio()
