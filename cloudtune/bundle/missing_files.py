"""Why a script does not find a file that is in the user's folder: it is not part of the bundle."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from cloudtune.bundle.ignore_file import IGNORE_FILE

_MISSING = re.compile(
    r"no such file|not found|missing|\b(does|do|did)(n't| not) (exist|find)"
    r"|\b(cannot|can't|can not|could not|couldn't|unable to|failed to) (open|find|read|load|locate)"
    r"|\b(isn't|is not|not) an? (valid |existing )?(file|folder|directory|path)",
    re.IGNORECASE,
)
"""How scripts and libraries report that a file is missing."""
_WORDS = re.compile(r"'([^'\n]+)'|\"([^\"\n]+)\"|([^\s:,;'\"()\[\]<>]+)")
_TRIAL_FOLDER = re.compile(r"/trials/[0-9]+/work(/|$)")
"""The working folder of a local trial."""
_MAX_WORDS = 200
"""Words of an output that are looked at."""


def explain_missing_file(output: str, source: Path, bundled: Path) -> str:
    """Return why a file that the script looked for is missing; an empty text if that is unknown.

    Args:
        output: The last lines that the script printed.
        source: The user's folder.
        bundled: The copy of the files that are bundled.
    """
    for word in _words(output):
        name = _relative_name(word)
        if name is None or not os.path.exists(f"{source}/{name}"):  # noqa: PTH110
            continue
        if name.startswith(".."):
            reason = f"trials run in a copy of {source}, so {name} is not there"
        elif not os.path.lexists(f"{bundled}/{name}"):
            reason = f"{name} is in {source}, but git or {IGNORE_FILE} ignores it"
        else:
            continue
        return (
            f"{reason}: give it as an input (trial.inputs), and its path to the script as "
            "{{inputs.NAME}} in trial.args, or as $CLOUDTUNE_INPUT_NAME"
        )
    return ""


def _words(output: str) -> Iterator[str]:
    """Yield what may be a path in the lines that report a missing file, from the last one."""
    lines = [line for line in output.splitlines() if _MISSING.search(line)]
    matches = chain.from_iterable(_WORDS.finditer(line) for line in reversed(lines))
    for match in islice(matches, _MAX_WORDS):
        yield match[match.lastindex or 0]


def _relative_name(word: str) -> str | None:
    """Return a path relative to the script's folder; None for other paths."""
    if word.startswith("/"):
        trial = _TRIAL_FOLDER.search(word)
        if trial is None:
            return None
        word = word[trial.end() :]
    name = os.path.normpath(word)
    return None if name in {".", ".."} or "\0" in name else name
