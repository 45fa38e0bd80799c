"""Suggestions for misspelled words."""

from __future__ import annotations

from collections.abc import Collection

_MAX_LENGTH = 60
_MAX_COMPARED = 300


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return ``did you mean X?`` for the known word closest to a word, or an empty text."""
    match = closest_match(word, known)
    return f"did you mean {match}?" if match else ""


def closest_match(word: str, known: Collection[str]) -> str | None:
    """Return the known word closest to a word, or None if none is similar.

    To bound the cost of many misses, words of 60 characters or more and collections of more than
    300 words are not compared.
    """
    if len(word) >= _MAX_LENGTH or len(known) > _MAX_COMPARED:
        return None
    from difflib import get_close_matches

    lower = {name.lower(): name for name in known if len(name) < _MAX_LENGTH}
    matches = get_close_matches(word.lower(), lower)
    letters = sorted(word.lower())
    exchanged = (match for match in matches if sorted(match) == letters)  # us-esat-1 is us-east-1
    return lower[next(exchanged, matches[0])] if matches else None
