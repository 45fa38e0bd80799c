"""Translates a study into the body of ``PUT jobs/{name}``: a sweep, or any start of a trial."""

from __future__ import annotations

from cloudtune.provider import Facts, FittedStudy, Json, Mode
from cloudtune_azure.request import training_job
from cloudtune_azure.request.run_part import sweep_job
from cloudtune_azure.settings import AzureSettings


def request(fitted: FittedStudy, mode: Mode, settings: AzureSettings, facts: Facts) -> Json:
    """Return the request as plain data."""
    if mode == "driven":
        return training_job.request(fitted.study, settings, facts)
    return sweep_job(fitted.study, settings, facts)
