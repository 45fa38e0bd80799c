"""A fitted study as the request that IBM takes: that of a search, or that of a training.

Driven it is the body of ``POST /ml/v4/trainings`` for one start of a trial. Managed it is the two
parts of ``POST /platform/rest/deeplearning/v1/hypersearch``: the name of the ``file``, and the
``data`` as an object.
"""

from __future__ import annotations

from cloudtune.provider import Facts, FittedStudy, Json, Mode
from cloudtune_watson.request.training_job import training
from cloudtune_watson.request.tuning_job import search
from cloudtune_watson.settings import WatsonSettings


def request(fitted: FittedStudy, mode: Mode, settings: WatsonSettings, facts: Facts) -> Json:
    """Return the request as plain data; an empty one where the study names no back end."""
    if settings.backend is None:
        return {}
    if mode == "driven":
        return training(fitted.study, settings, facts)
    return search(fitted.study, settings, facts)
