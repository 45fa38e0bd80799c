"""The request of the deployment job that watsonx.ai Runtime runs for one start of a trial.

Its form, and that of the deployment, are those that ibm-watsonx-ai 1.8.1 sends (deployments.py,
``_prepare_create_job_payload``), with the tags of IBM/abap-sdk-nwas-x at 9cb5754, the types of API
v4; read 2026-11-27.
"""

from __future__ import annotations

from cloudtune.provider import Facts, FittedStudy, Json, Plan
from cloudtune.provider.secrets import secret_variables
from cloudtune_watson.jobs.launcher_contract import JOB_NAME_VARIABLE, PARAMETERS_VARIABLE
from cloudtune_watson.layout import (
    DEPLOYMENT,
    JOB,
    JOB_TAG,
    PARAMETERS,
    RUN_TAG,
    TAG,
)
from cloudtune_watson.settings import WatsonSettings


def deployment_job(fitted: FittedStudy, settings: WatsonSettings, facts: Facts) -> Json:
    """Return the body of ``POST /ml/v4/deployment_jobs``.

    `JOB`, `DEPLOYMENT` and `PARAMETERS` stand for what each start replaces.
    """
    study = fitted.study
    data = facts.data
    scoring: Json = {
        "environment_variables": {
            JOB_NAME_VARIABLE: JOB,
            PARAMETERS_VARIABLE: PARAMETERS,
            **secret_variables(study),
        },
        "output_data_reference": {
            "type": "data_asset",
            "connection": {},
            "location": {"name": JOB},
        },
    }
    inputs = [
        _reference(name, asset, data["space_id"])
        for name, asset in facts.lookup.inputs.addresses.items()
        if asset
    ]
    if inputs:
        scoring["input_data_references"] = inputs
    return {
        "name": JOB,
        "tags": [TAG, f"{RUN_TAG}{facts.run_id}", f"{JOB_TAG}{JOB}", *settings.tags],
        "space_id": data["space_id"],
        "deployment": {"id": DEPLOYMENT},
        "hardware_spec": {"name": data["hardware_spec"]},
        "scoring": scoring,
    }


def deployment(plan: Plan, script: str) -> Json:
    """Return the body of ``POST /ml/v4/deployments`` for the stored script of a run."""
    data = plan.facts.data
    return {
        "name": plan.facts.job_name,
        "tags": [TAG, f"{RUN_TAG}{plan.facts.run_id}"],
        "space_id": data["space_id"],
        "asset": {"id": script},
        "batch": {},
        "hardware_spec": dict(plan.request["hardware_spec"]),
    }


def _reference(name: str, asset: str, space: str) -> Json:
    href = f"/v2/assets/{asset}?space_id={space}"
    return {"type": "data_asset", "id": name, "connection": {}, "location": {"href": href}}
