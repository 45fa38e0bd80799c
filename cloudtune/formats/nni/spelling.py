"""The spelling of NNI's keys: since version 2, neither case nor underscores count.

``ConfigBase`` compares keys in lower case without underscores (microsoft/nni
``nni/experiment/config/base.py``, read 2026-11-27). Version 1 has one spelling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.nni.names import ALGORITHM_NAMES, SPELLINGS
from cloudtune.study.yaml_reader import is_map

OLDER = frozenset(["trial", "trainingServicePlatform", "authorName"])
"""Keys that only version 1 has."""
_KEYS = [
    *(spellings[:2] for name, spellings in SPELLINGS.items() if name != "arguments"),
    *(("trialCommand", "trial_command"), ("trialCodeDirectory", "trial_code_directory")),
    *(("trainingService", "training_service"), ("useAnnotation", "use_annotation")),
    *((key, key) for key in ("tuner", "assessor", "advisor", "description")),
]
_ALGORITHM_KEYS = [
    *(SPELLINGS["arguments"][:2], ("name", "name"), ("className", "class_name")),
    ("codeDirectory", "code_directory"),
]


def fold(key: str) -> str:
    """Return a key as NNI compares it."""
    return key.lower().replace("_", "")


_EXPERIMENT = {fold(each[0]): each for each in _KEYS}
_ALGORITHM = {fold(each[0]): each for each in _ALGORITHM_KEYS}


def spelling_of(keys: Iterable[str]) -> int:
    """Return the index of the spelling of an experiment: camelCase, snake_case, or version 1."""
    names = set(keys)
    if names & OLDER:
        return 2
    known = [_EXPERIMENT[fold(key)] for key in names if fold(key) in _EXPERIMENT]
    several = [each for each in known if each[0] != each[1]]
    snake = sum(each[1] in names for each in several)
    return 1 if snake > len(several) - snake else 0


def respell(document: Fields) -> Fields:
    """Return an experiment of which all keys that a study has are in the same spelling."""
    original = document.original
    index = spelling_of(original)
    if index == 2:
        return document
    data = _rename(original, _EXPERIMENT, index)
    for kind in ALGORITHM_NAMES:
        if is_map(data.get(kind)):
            data[kind] = _rename(data[kind], _ALGORITHM, index)
    if data == original:
        return document
    for key in (key for key in original if key not in data):
        document.note(key, f"read as {_EXPERIMENT[fold(key)][index]}")
    return Fields(data, document.report)


def _rename(data: Mapping[str, Any], known: Mapping[str, tuple[str, ...]], index: int) -> Json:
    return {known[fold(key)][index] if fold(key) in known else key: data[key] for key in data}
