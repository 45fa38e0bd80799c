"""Translates a fitted study into IBM's request.

In managed mode that is the two parts of ``POST /platform/rest/deeplearning/v1/hypersearch``: the
name of the ``file``, and the ``data`` as an object. In driven mode it is the body of
``POST /ml/v4/trainings`` or ``POST /ml/v4/deployment_jobs`` for one start of a trial.
"""

from __future__ import annotations

from cloudtune.provider import Facts, FittedStudy, Json, Mode
from cloudtune_watson.jobs.request import deployment_job
from cloudtune_watson.settings import WatsonSettings
from cloudtune_watson.wml.request import training_job
from cloudtune_watson.wmla.request import tuning_job


def request(fitted: FittedStudy, mode: Mode, settings: WatsonSettings, facts: Facts) -> Json:
    """Return the request as plain data, which is empty if the study has no back end."""
    if settings.service is None:
        return {}
    driven = deployment_job if settings.service == "jobs" else training_job
    build = driven if mode == "driven" else tuning_job
    return build(fitted.study, settings, facts)
