"""Translates a fitted study into the body of ``POST /api/jobs/``, for any start of a trial."""

from __future__ import annotations

from cloudtune.provider import Facts, FittedStudy, Json
from cloudtune_ray.request.job import job
from cloudtune_ray.settings import RaySettings


def request(fitted: FittedStudy, settings: RaySettings, facts: Facts) -> Json:
    """Return the request as plain data."""
    return job(fitted.study, settings, facts)
