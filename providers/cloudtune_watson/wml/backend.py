"""The back end ``wml``: Watson Machine Learning, with a training for each start of a trial."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.provider import Plan, describe_source
from cloudtune_watson.backend import Backend
from cloudtune_watson.policy import editor_policy
from cloudtune_watson.rules.clusters import volume_problem
from cloudtune_watson.wml.request import training_job
from cloudtune_watson.wml.rights import CALLS
from cloudtune_watson.wml.rules import training_rules, version_rules


def _outline(plan: Plan) -> Mapping[str, str]:
    facts, data = plan.facts, plan.facts.data
    kind = "project" if data["project_id"] else "space"
    return {
        "where": f"{kind} {data['project_id'] or data['space_id']} at {data['url']}",
        "machine": f"hardware specification {data['hardware_spec']}",
        "image": f"software specification {data['software_spec']}",
        "uploads": f"{describe_source(facts.lookup.source)}, stored once as a model definition",
        "creates": f"a training for each trial, {facts.job_name}-1 and so on",
    }


TRAININGS = Backend(
    folder="cloudtune_watson.wml",
    required=("url", "version", "username", "space_id", "hardware_spec", "software_spec"),
    settings=frozenset(
        ("space_id", "project_id", "hardware_spec", "software_spec", "nodes", "prefix", "tags")
    ),
    secrets_problem="IBM documents no variables for a training",
    version_rules=version_rules,
    input_problem=volume_problem,
    rules=training_rules,
    request=training_job,
    outline=_outline,
    policy=lambda plan: editor_policy(plan, CALLS),
)
