"""The back end ``wml``: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.provider import (
    Check,
    Facts,
    Finding,
    FittedStudy,
    JobContext,
    Json,
    Note,
    Plan,
    Policy,
    TrainingJobs,
    Trial,
    Uploads,
    describe_source,
)
from cloudtune_watson.auth import cluster_facts, connect
from cloudtune_watson.backend import Backend
from cloudtune_watson.policy import editor_policy
from cloudtune_watson.rules.clusters import volume_problem
from cloudtune_watson.settings import SETTINGS, WatsonSettings
from cloudtune_watson.versions import short_version
from cloudtune_watson.wml.request import training_job
from cloudtune_watson.wml.rights import CALLS
from cloudtune_watson.wml.rules import training_rules, version_rules

if TYPE_CHECKING:
    from cloudtune_watson.wml.client import WmlClient


class TrainingsBackend(Backend):
    """Watson Machine Learning, which runs one training for each start of a trial."""

    required = ("url", "version", "username", "space_id", "hardware_spec", "software_spec")
    settings = frozenset(
        ("space_id", "project_id", "hardware_spec", "software_spec", "nodes", "prefix", "tags")
    )
    secrets_problem = "IBM documents no variables for a training"
    protected_paths = (
        *("name", "tags", "space_id", "project_id", "results_reference"),
        *("model_definition.id", "model_definition.command"),
    )
    study_fields: Mapping[str, Sequence[str]] = {
        "description": (),
        "model_definition.hardware_spec.nodes": (f"{SETTINGS}.nodes",),
    }

    def version_rules(self, settings: WatsonSettings, version: str) -> Iterator[Finding | Note]:
        """Yield which of IBM's packages supports a version."""
        return version_rules(short_version(version))

    def input_problem(self, name: str, address: str, facts: Facts) -> str:
        """Return why an address is no folder of the data volume; empty if it is one."""
        return volume_problem(name, address, facts)

    def rules(
        self, fitted: FittedStudy, settings: WatsonSettings, facts: Facts
    ) -> Iterator[Finding | Note]:
        """Yield how a training differs from a local trial."""
        return training_rules(fitted.study, settings)

    def request(self, fitted: FittedStudy, settings: WatsonSettings, facts: Facts) -> Json:
        """Return the request of a training."""
        return training_job(fitted.study, settings, facts)

    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return what a run uses and creates, by label."""
        facts, data = plan.facts, plan.facts.data
        kind = "project" if data["project_id"] else "space"
        return {
            "where": f"{kind} {data['project_id'] or data['space_id']} at {data['url']}",
            "machine": f"hardware specification {data['hardware_spec']}",
            "image": f"software specification {data['software_spec']}",
            "uploads": f"{describe_source(facts.lookup.source)}, stored once as a model definition",
            "creates": f"a training for each trial, {facts.job_name}-1 and so on",
        }

    def policy(self, plan: Plan) -> Policy:
        """Return the role of an editor in the space or project."""
        return editor_policy(plan, CALLS)

    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        """Yield what read-only calls show of the cluster."""
        from cloudtune_watson.wml.account import check_account

        return check_account(connect(plan, context), plan, cluster_facts(plan, context))

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of the log of a training, or None if its path is unknown."""
        from cloudtune_watson.wml.logs import read_training_log

        if trial.log is None:
            return None
        return read_training_log(_client(plan, context), trial.log)

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Store the code, and return the trainings of the trials."""
        from cloudtune_watson.uploads import copy_inputs
        from cloudtune_watson.wml.training_client import WatsonJobs
        from cloudtune_watson.wml.uploads import ensure_definition

        copy_inputs(plan, context)
        wml = _client(plan, context)
        return WatsonJobs(wml, plan, context, ensure_definition(wml, plan, context))

    def uploads(self, plan: Plan, context: JobContext) -> Uploads:
        """Return the model definition of a run."""
        from cloudtune_watson.wml.uploads import find_uploads

        return find_uploads(_client(plan, context), plan)


def _client(plan: Plan, context: JobContext) -> WmlClient:
    from cloudtune_watson.wml.client import WmlClient

    return WmlClient(connect(plan, context), cluster_facts(plan, context))
