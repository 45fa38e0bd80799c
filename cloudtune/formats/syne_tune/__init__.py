"""Syne Tune: configuration spaces, and the metadata of experiments.

A configuration space has the form of ``syne_tune.config_space.config_space_to_json_dict``, in which
``reverseloguniform`` looks like ``loguniform`` and a quantized domain has lost its scale. Follows
Syne Tune 0.16.0 (``config_space.py``, ``tuner.py``, ``optimizer/baselines.py``), read 2026-11-27.
The names of schedulers of earlier versions are from memory, not verified.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import Format, StudyDraft
from cloudtune.formats.syne_tune.names import HOME, is_domain, parse_space
from cloudtune.study.yaml_reader import is_list, is_map


class SyneTuneFormat(Format):
    """Configuration spaces of Syne Tune, alone or in ``metadata.json``."""

    name = HOME
    title = "a configuration space of Syne Tune"
    source = "https://syne-tune.readthedocs.io, syne-tune 0.16.0, read 2026-11-27"
    dialect_at = "cloudtune.formats.syne_tune.dialect:SYNE_TUNE"

    @override
    def matches(self, document: Json) -> bool:
        if parse_space(document.get("config_space")) is not None:
            return True
        domains = [is_domain(each) for each in document.values()]
        nested = [is_map(each) or is_list(each) for each in document.values()]
        return any(domains) and nested == domains

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune.formats.syne_tune.reader import ExperimentReader

        if "config_space" not in document.original:
            space = dict(document.original)
            document = Fields({"config_space": space}, document.report)
        return [ExperimentReader(document).draft()]
