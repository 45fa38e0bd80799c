"""ConfigSpace: the JSON of a configuration space, as SMAC and other AutoML tools use it.

Follows ConfigSpace 1.2.2 (``read_and_write/dictionary.py``) and 0.6.1 (``read_and_write/json.py``,
with ``default`` and ``q``), read 2026-11-27. A space has only parameters: the objective and the
limits are in SMAC's ``Scenario``.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.formats.configspace.names import HOME, TYPES
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import Format, StudyDraft
from cloudtune.study.yaml_reader import is_list, is_map


class ConfigSpaceFormat(Format):
    """Configuration spaces of ConfigSpace."""

    name = HOME
    title = "a configuration space of ConfigSpace"
    source = "https://automl.github.io/ConfigSpace/latest/, 1.2.2, read 2026-11-27"
    dialect_at = "cloudtune.formats.configspace.dialect:CONFIGSPACE"

    @override
    def matches(self, document: Json) -> bool:
        entries = document.get("hyperparameters")
        return is_list(entries) and any(
            is_map(each) and "name" in each and str(each.get("type")) in TYPES for each in entries
        )

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune.formats.configspace.reader import SpaceReader

        return [SpaceReader(document).draft()]
