"""The provider: what the service supports, its settings, and the request of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, Field

from cloudtune.provider import (
    DRIVEN,
    PROGRAM,
    BaseProvider,
    Capabilities,
    CloudSettings,
    Facts,
    Finding,
    FittedStudy,
    FromEnvironment,
    JobContext,
    Json,
    Lookup,
    Mode,
    MoneyAmount,
    Plan,
    Price,
    Study,
    TrainingJobs,
    largest_resources,
)
from cloudtune.provider.lookup import uses_launcher

CAPABILITIES = Capabilities(
    provider="example",
    title="Example Batch",
    verified="offline only",
    managed=None,
    driven=replace(
        DRIVEN,
        text_only=True,  # parameters are arguments of a command
        strategies=DRIVEN.strategies - {"hyperband"},  # no storage for checkpoints
    ),
)


class ExamplePrices(BaseModel, extra="forbid", frozen=True):
    """The price of a trial, for estimates and ``max_cost``."""

    hour: MoneyAmount = Field(description="One hour of one trial, such as 0.40 USD.")


class ExampleSettings(CloudSettings):
    """The settings under ``providers.example``."""

    queue: str = Field("default", description="The queue for the jobs.")
    prices: ExamplePrices | None = None


class ExampleProvider(BaseProvider[ExampleSettings]):
    """Example Batch. It has only a driven mode."""

    capabilities = CAPABILITIES
    settings = ExampleSettings
    protected_paths = ("name", "command")

    def lookup(self, study: Study, settings: ExampleSettings, facts: Facts) -> Lookup:
        """Return the facts about this machine and, if the study has it, the price of a trial."""
        lookup = super().lookup(study, settings, facts)
        if settings.prices is None:
            return lookup
        price = Price.hourly(*settings.prices.hour, "from providers.example.prices")
        return replace(lookup, price=price)

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: ExampleSettings, facts: Facts
    ) -> Sequence[Finding]:
        """Return what only this service refuses."""
        findings = [
            Finding("refused", f"trial.inputs.{name}", "Example Batch has no storage for inputs")
            for name in fitted.study.trial.inputs
        ]
        if not uses_launcher(fitted.study, facts):
            reason = "set script, module or command, and a source folder on this machine"
            findings.append(Finding("refused", "trial", reason))
        return findings

    def request(
        self, fitted: FittedStudy, mode: Mode, settings: ExampleSettings, facts: Facts
    ) -> Json:
        """Return the job that runs a trial, without the trial's number and parameters."""
        trial = fitted.study.trial
        return {
            "name": facts.job_name,
            "queue": settings.queue,
            "command": ["python3", PROGRAM],
            "env": {
                name: f"${{{value.from_env}}}" if isinstance(value, FromEnvironment) else value
                for name, value in trial.env.items()
            },
            "resources": largest_resources(fitted.study).model_dump(exclude_none=True),
            "timeout": fitted.study.limits.trial_timeout,
        }

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Pack the code, and return the jobs of the trials."""
        from cloudtune_example.training_client import ExampleJobs

        plan.check_context(context)
        return ExampleJobs(plan, context)
