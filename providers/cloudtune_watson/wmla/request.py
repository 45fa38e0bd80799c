"""The request of a search: what a run adds to the part of the study."""

from __future__ import annotations

from typing import Any

from cloudtune.formats import Native
from cloudtune.provider import Facts, FittedStudy, Input, Json, Study
from cloudtune_watson.layout import COMMAND, MODEL_FOLDER, archive_name
from cloudtune_watson.settings import WatsonSettings
from cloudtune_watson.versions import STANDALONE
from cloudtune_watson.wmla.study_part import study_part


def tuning_job(fitted: FittedStudy, settings: WatsonSettings, facts: Facts) -> Json:
    """Return the parts of ``POST /platform/rest/deeplearning/v1/hypersearch``.

    ``file`` is the name of the archive. ``data`` is an object here, and is sent as text.
    """
    group = facts.data["instance_group"] if settings.version == STANDALONE else None
    found = {"exec_start": facts.data["exec_start"], "instance_group": group}
    resolved = settings.model_copy(update=found)
    data = study_part(_launched(fitted.study, facts), resolved, Native({}))
    return {"file": archive_name(facts), "data": {**data, "hpoName": facts.job_name}}


def _launched(study: Study, facts: Facts) -> Study:
    """Return the study with the launcher as its script, and the values that nobody set."""
    addresses = facts.lookup.inputs.addresses
    trial = {
        "script": COMMAND,
        "args": ["--model-dir", MODEL_FOLDER],
        "inputs": {name: {"*": Input(uri=uri)} for name, uri in addresses.items() if uri},
    }
    limits = {"parallel_trials": study.limits.parallel_trials or 1}
    update: dict[str, Any] = {
        "constants": {},
        "strategy": study.strategy.model_copy(update={"seed": facts.seed}),
        "limits": study.limits.model_copy(update=limits),
        "trial": study.trial.model_copy(update=trial),
    }
    return study.model_copy(update=update)
