"""Hydra's Optuna sweeper: a configuration with a search space.

Follows https://hydra.cc/docs/plugins/optuna_sweeper, Hydra's override grammar and the plugin's
``_impl.py`` and ``config.py`` (facebookresearch/hydra at 024fb1a6), read 2026-11-30. Compared with
hydra-core 1.3.8 and the plugin 1.3.0: the upper bound of ``range`` is a value itself, unlike in
Hydra's own sweeper; the bounds of ``interval`` are floats unless it is cast to int.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.hydra.names import HOME, default_of, uses_optuna
from cloudtune.formats.model import Format, StudyDraft


class HydraFormat(Format):
    """Configurations of Hydra with its Optuna sweeper."""

    name = HOME
    title = "a configuration of Hydra's Optuna sweeper"
    source = "https://hydra.cc/docs/plugins/optuna_sweeper, read 2026-11-30"
    dialect_at = "cloudtune.formats.hydra.dialect:HYDRA"
    syntax = "yaml"

    @override
    def matches(self, document: Json) -> bool:
        return default_of(document, "hydra/sweeper") == "optuna" or uses_optuna(document)

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune.formats.hydra.reader import SweeperReader

        return [SweeperReader(document).draft()]
