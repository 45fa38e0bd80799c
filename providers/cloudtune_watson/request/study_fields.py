"""The fields of a study behind the defaults of a request.

The request has these values even if the study sets none of the fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_SEARCH = "data.algoDef"

STUDY_FIELDS: Mapping[str, Sequence[str]] = {
    "description": (),
    "model_definition.hardware_spec.nodes": ("providers.watson.nodes",),
    f"{_SEARCH}.algorithm": ("strategy",),
    f"{_SEARCH}.algoParams.RandomSeed.value": ("strategy.seed",),
    f"{_SEARCH}.maxJobNum": ("limits.max_trials", "providers.watson.limits.max_trials"),
    f"{_SEARCH}.maxParalleJobNum": (
        "limits.parallel_trials",
        "providers.watson.limits.parallel_trials",
    ),
}
