"""Experiments and search spaces of NNI (Neural Network Intelligence).

Follows NNI's own reference (microsoft/nni docs/source/reference/experiment_config.rst,
docs/source/hpo/search_space.rst, docs/source/hpo/tuners.rst, the older
docs/en_US/Tutorial/ExperimentConfig.rst) and ``nni/experiment/config/convert.py``, read 2026-11-27.
NNI reads YAML with PyYAML (not verified), for which ``1e-5`` is text.

Keys are in camelCase, in snake_case, or those of the older configuration; an export writes the ones
of the imported file. Of keys in several spellings, it writes the more frequent one. The search
space can be a file of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import Format, StudyDraft
from cloudtune.formats.nni.names import HOME, SPELLINGS
from cloudtune.formats.nni.spelling import fold, respell
from cloudtune.study.yaml_reader import is_map

_SPACES = frozenset(map(fold, SPELLINGS["space"] + SPELLINGS["space_file"]))
_TYPICAL = frozenset(
    map(
        fold,
        [
            *("tuner", "advisor", "useAnnotation", "trainingServicePlatform", "trainingService"),
            *(SPELLINGS["parallel"] + SPELLINGS["trials"] + SPELLINGS["duration"]),
            "trialCommand",
        ],
    )
)


class NniFormat(Format):
    """Experiments of NNI, and search spaces alone."""

    name = HOME
    title = "an NNI experiment or search space"
    source = (
        "https://nni.readthedocs.io/en/stable/reference/experiment_config.html, read 2026-11-27"
    )
    dialect_at = "cloudtune.formats.nni.dialect:NNI"
    syntax = "yaml"
    yaml_version = "1.1"

    @override
    def matches(self, document: Json) -> bool:
        keys = set(map(fold, document))
        if (keys & _SPACES and keys & _TYPICAL) or "trialconcurrency" in keys:
            return True
        return is_space(document)

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune.formats.nni.reader import ExperimentReader

        return [ExperimentReader(respell(document)).draft()]


def is_space(document: Json) -> bool:
    """Return whether a document is a search space alone."""
    return bool(document) and all(
        is_map(value) and "_type" in value and "_value" in value for value in document.values()
    )
