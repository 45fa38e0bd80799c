"""The ids of runs."""

from __future__ import annotations

import secrets

_LETTERS = "abcdefghjkmnpqrstuvwxyz"
_ALPHABET = f"{_LETTERS}23456789"


def new_run_id() -> str:
    """Return a short random id that is easy to read aloud and to type.

    It begins with a letter, so that neither a command nor YAML reads it as a number.
    """
    return secrets.choice(_LETTERS) + "".join(secrets.choice(_ALPHABET) for _ in range(7))
