"""The back end ``wmla``: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.provider import (
    Check,
    Facts,
    Finding,
    FittedStudy,
    JobClient,
    JobContext,
    JobDescription,
    Json,
    Note,
    Plan,
    Policy,
    Trial,
    describe_source,
)
from cloudtune_watson.auth import cluster_facts, connect
from cloudtune_watson.backend import Backend
from cloudtune_watson.layout import archive_name
from cloudtune_watson.policy import describe_calls
from cloudtune_watson.rules.clusters import volume_problem
from cloudtune_watson.settings import SETTINGS, WatsonSettings
from cloudtune_watson.versions import STANDALONE
from cloudtune_watson.wmla.request import tuning_job
from cloudtune_watson.wmla.rights import CALLS
from cloudtune_watson.wmla.rules import tuning_rules, version_rules

if TYPE_CHECKING:
    from cloudtune_watson.wmla.client import WmlaClient

_PLAN = "depends on WML Accelerator's resource plan"


class SearchesBackend(Backend):
    """WML Accelerator, whose search chooses and runs the trials."""

    required = ("url", "version", "username", "exec_start")
    settings = frozenset(("sign_in_url", "exec_start", "worker_devices", "instance_group"))
    timeout_unit = 60
    is_billed_in_units = False
    secrets_problem = "a search stores its variables in plain text"
    resources: Mapping[str, str] = {
        "cpus": _PLAN,
        "gpus": f"set {SETTINGS}.worker_devices instead",
        "memory": _PLAN,
    }
    protected_paths = ("file", "data.hpoName")
    study_fields: Mapping[str, Sequence[str]] = {
        "data.algoDef.algorithm": ("strategy",),
        "data.algoDef.algoParams.RandomSeed.value": ("strategy.seed",),
        "data.algoDef.maxJobNum": ("limits.max_trials", f"{SETTINGS}.limits.max_trials"),
        "data.algoDef.maxParalleJobNum": (
            "limits.parallel_trials",
            f"{SETTINGS}.limits.parallel_trials",
        ),
    }

    def required_settings(self, settings: WatsonSettings, *, is_cloud: bool) -> list[str]:
        """Return the settings that it needs; a standalone one needs its instance group."""
        group = ["instance_group"] if settings.version == STANDALONE else []
        return [*super().required_settings(settings, is_cloud=is_cloud), *group]

    def version_rules(self, settings: WatsonSettings, version: str) -> Iterator[Finding | Note]:
        """Yield whether a version has WML Accelerator."""
        return version_rules(settings, version)

    def input_problem(self, name: str, address: str, facts: Facts) -> str:
        """Return why an address is no folder of the data volume; empty if it is one."""
        if problem := volume_problem(name, address, facts):
            return problem
        if "," in address or not address.isprintable():
            return "WML Accelerator accepts no comma or control character in the name of a folder"
        return ""

    def rules(
        self, fitted: FittedStudy, settings: WatsonSettings, facts: Facts
    ) -> Iterator[Finding | Note]:
        """Yield what the search refuses or does differently."""
        return tuning_rules(fitted, settings)

    def request(self, fitted: FittedStudy, settings: WatsonSettings, facts: Facts) -> Json:
        """Return the request of a search."""
        return tuning_job(fitted.study, settings, facts)

    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return what a run uses and creates, by label."""
        facts, data = plan.facts, plan.facts.data
        source = describe_source(facts.lookup.source)
        return {
            "where": f"WML Accelerator at {data['url']}",
            "image": f"the framework {data['exec_start']} of the cluster",
            "uploads": f"{source}, with the request as {archive_name(facts)}",
            "creates": f"search {facts.job_name}, which runs the trials",
        }

    def policy(self, plan: Plan) -> Policy:
        """Return the role of a user of WML Accelerator."""
        user = plan.facts.data["username"]
        title = f"role of {user}: a user of WML Accelerator who may submit and stop searches"
        return Policy(title, describe_calls(CALLS))

    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        """Yield what read-only calls show of the cluster."""
        from cloudtune_watson.wmla.account import check_account

        return check_account(connect(plan, context), plan, cluster_facts(plan, context))

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of a trial's log."""
        return iter(_client(plan, context).log(trial.id).splitlines())

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return a client of the searches."""
        from cloudtune_watson.wmla.tuning_client import TuningClient

        return TuningClient(_client(plan, context), plan, context)

    def describe_job(self, job: str, plan: Plan, context: JobContext) -> JobDescription:
        """Return the search with a name."""
        from cloudtune_watson.wmla.job_description import describe_job

        return describe_job(_client(plan, context), job)


def _client(plan: Plan, context: JobContext) -> WmlaClient:
    from cloudtune_watson.wmla.client import WmlaClient

    return WmlaClient(connect(plan, context), cluster_facts(plan, context))
