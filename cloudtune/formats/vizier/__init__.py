"""Study configurations of Vizier: the JSON of its protobuf messages, in either spelling.

Follows google/vizier, vizier/_src/service/study.proto at ed8cb966 and vizier/service/study.proto at
0356b1af (with enums for algorithms), read 2026-11-27. The names of algorithms that only pyvizier
has (GP_UCB_PE, CMA_ES, SHUFFLED_GRID_SEARCH, EAGLE_STRATEGY) are from memory, not verified. The
stopping configuration is that of Vertex AI Vizier (google/cloud/aiplatform/v1/study.proto).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import Format, StudyDraft
from cloudtune.formats.vizier.names import HOME, SPEC, camel_case
from cloudtune.study.yaml_reader import is_list, is_map

_JOB_KEYS = ("trialJobSpec", "maxTrialCount", "parallelTrialCount", "hyperparameterTuningJob")
"""What a tuning job of Vertex AI has, whose file has a StudySpec, too."""


class VizierFormat(Format):
    """Studies and StudySpecs of Vizier."""

    name = HOME
    title = "a study configuration of Vizier"
    source = "google/vizier, vizier/_src/service/study.proto at ed8cb966, read 2026-11-27"
    dialect_at = "cloudtune.formats.vizier.dialect:VIZIER"

    @override
    def matches(self, document: Json) -> bool:
        data = camel_case(document, {})
        spec = find_spec(data)
        parameters = spec.get("parameters")
        return (
            not any(key in data for key in _JOB_KEYS)
            and is_list(parameters)
            and any(is_map(each) and "parameterId" in each for each in parameters)
        )

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune.formats.vizier.reader import read_study

        return [read_study(document)]


def find_spec(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the StudySpec in a document, which may be the document itself."""
    study = data.get("study")
    outer: Mapping[str, Any] = study if is_map(study) else data
    for key in (SPEC, "studyConfig"):
        spec = outer.get(key)
        if is_map(spec):
            return spec
    return outer
