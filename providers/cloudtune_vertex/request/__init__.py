"""Translates a fitted study into Vertex AI's request, in the JSON of its REST API.

In managed mode that is the request of projects.locations.hyperparameterTuningJobs.create. In driven
mode it is the template of projects.locations.customJobs.create for one trial: ``{{number}}`` and
``{{job}}`` stand for the trial and its start, and the runner adds the tuned values to ``args``. In
both, values from the caller's environment are shown as ``${NAME}``.
"""

from __future__ import annotations

from cloudtune.provider import (
    Facts,
    FittedStudy,
    Json,
    Mode,
)
from cloudtune_vertex.request.run_part import custom_job, tuning_job
from cloudtune_vertex.settings import VertexSettings


def request(fitted: FittedStudy, mode: Mode, settings: VertexSettings, facts: Facts) -> Json:
    """Return the request as plain data."""
    parent = f"projects/{facts.data['project']}/locations/{facts.data['location']}"
    if mode == "driven":
        return {"parent": parent, "customJob": custom_job(fitted.study, settings, facts)}
    return {"parent": parent, "hyperparameterTuningJob": tuning_job(fitted.study, settings, facts)}
