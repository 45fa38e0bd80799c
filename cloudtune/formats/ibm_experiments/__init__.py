"""The experiments of IBM's Watson Machine Learning, API v3, with hyper_parameters_optimization.

Follows IBM Cloud's page "Hyper parameters optimization" of 2018-02-05 and the swagger models in
ibm-watson-machine-learning 1.0.370, libs/repo (read 2026-11-24). No service accepts such a document
any more: IBM ended the API on 1 October 2020. Its settings mean another request than those of
``providers.watson``, so everything is kept under ``providers.ibm-experiments.native``.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.ibm_experiments.names import HOME, OPTIMIZATION, REFERENCES
from cloudtune.formats.model import Format, StudyDraft
from cloudtune.study.yaml_reader import is_map


class ExperimentsFormat(Format):
    """Experiments of IBM's API v3: a study for each training reference with a search."""

    name = HOME
    title = "an experiment of IBM's Watson Machine Learning (API v3)"
    source = "IBM Cloud docs, Hyper parameters optimization, of 2018-02-05, read 2026-11-24"
    dialect_at = "cloudtune.formats.ibm_experiments.dialect:IBM_EXPERIMENTS"
    syntax = "yaml"

    @override
    def matches(self, document: Json) -> bool:
        entity = document.get("entity")
        return OPTIMIZATION in document or REFERENCES in (entity if is_map(entity) else document)

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune.formats.ibm_experiments.reader import read_experiment

        return read_experiment(document)
