"""Sweep configurations of Weights & Biases.

Follows the guide (https://docs.wandb.ai/models/sweeps/sweep-config-keys) and W&B's own schema and
samplers (wandb/sweeps, ``config/schema.json``, ``params.py`` and ``hyperband_stopping.py``), read
2026-11-27. ``inv_log_uniform`` is the inverse of a log-uniform value, which is log-uniform itself.
W&B reads YAML with PyYAML, for which ``1e-5`` is text.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import Format, StudyDraft
from cloudtune.formats.wandb.names import HOME, METHODS
from cloudtune.study.yaml_reader import is_map

_OTHERS = frozenset(["objective", "search_space", "apiVersion"])
_STUDY = frozenset(["trial", "limits", "strategy", "constants"])
"""Keys of a study, which may have a word of a sweep by mistake."""
_TYPICAL = frozenset(
    [
        *("program", "metric", "metrics", "command", "early_terminate", "run_cap", "project"),
        *("entity", "scheduler", "controller", "job"),
    ]
)
_DEFINITION = frozenset(["value", "values", "min", "max", "distribution", "parameters"])


class WandbFormat(Format):
    """Sweeps of Weights & Biases."""

    name = HOME
    title = "a Weights & Biases sweep"
    source = "https://docs.wandb.ai/models/sweeps/sweep-config-keys, read 2026-11-27"
    dialect_at = "cloudtune.formats.wandb.dialect:WANDB"
    syntax = "yaml"
    yaml_version = "1.1"

    @override
    def matches(self, document: Json) -> bool:
        parameters = document.get("parameters")
        if (_OTHERS | _STUDY) & document.keys() and document.get("kind") != "sweep":
            return False
        has_method = str(document.get("method")) in METHODS
        if not is_map(parameters):
            return has_method and bool({"program", "metric"} & document.keys())
        if has_method or document.get("kind") == "sweep":
            return True
        definitions = [value for value in parameters.values() if is_map(value)]
        return bool(_TYPICAL & document.keys()) and any(
            _DEFINITION & definition.keys() and "type" not in definition
            for definition in definitions
        )

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune.formats.wandb.reader import SweepReader

        return [SweepReader(document).draft()]
