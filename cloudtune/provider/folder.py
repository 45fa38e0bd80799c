"""Providers whose functions are in the files of their folder, by the names that all providers use.

`FolderProvider` and `ServiceProvider` list the files. Each is imported when a function of it is
first needed, so that a plan loads no client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cloudtune.provider.base import BaseProvider, SettingsT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cloudtune.diagnostics import Check, Finding, Note
    from cloudtune.fitting.fit import FittedStudy
    from cloudtune.provider.account import Policy
    from cloudtune.provider.facts import Facts, Lookup
    from cloudtune.provider.models import JobContext, JobDescription
    from cloudtune.provider.plan import Plan
    from cloudtune.provider.protocols import JobClient
    from cloudtune.provider.trial_files import TrialFiles
    from cloudtune.provider.uploads import Uploads
    from cloudtune.results.events import Started
    from cloudtune.results.model import Trial
    from cloudtune.study.schema import Json, Mode
    from cloudtune.study.study import Study


class FolderProvider(BaseProvider[SettingsT]):
    """A provider with the functions of these names and files.

    - ``lookup.lookup(study, settings, facts)``
    - ``rules.rules(fitted, mode, settings, facts)``
    - ``request.request(fitted, mode, settings, facts)``
    - ``outline.outline(plan)``
    - ``client.connect(plan, context)``, which sends nothing
    - ``account.check_account(client, plan)``
    - ``uploads.find_uploads(client, plan)``
    """

    folder: str
    """The package with the files."""

    def file(self, name: str) -> Any:
        """Return a file of the folder, which is imported now."""
        return import_module(f"{self.folder}.{name}")

    def connect(self, plan: Plan, context: JobContext) -> Any:
        """Return a client of the service, without sending a request."""
        return self.file("client").connect(plan, context)

    @override
    def lookup(self, study: Study, settings: SettingsT, facts: Facts) -> Lookup:
        lookup: Lookup = self.file("lookup").lookup(study, settings, facts)
        return lookup

    @override
    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: SettingsT, facts: Facts
    ) -> Sequence[Finding | Note]:
        return [*self.file("rules").rules(fitted, mode, settings, facts)]

    @override
    def request(self, fitted: FittedStudy, mode: Mode, settings: SettingsT, facts: Facts) -> Json:
        request: Json = self.file("request").request(fitted, mode, settings, facts)
        return request

    @override
    def outline(self, plan: Plan) -> Mapping[str, str]:
        outline: Mapping[str, str] = self.file("outline").outline(plan)
        return outline

    @override
    def check_account(self, plan: Plan, context: JobContext) -> Iterable[Check]:
        yield from self.file("account").check_account(self.connect(plan, context), plan)

    @override
    def uploads(self, plan: Plan, context: JobContext) -> Uploads | None:
        uploads: Uploads = self.file("uploads").find_uploads(self.connect(plan, context), plan)
        return uploads


class ServiceProvider(FolderProvider[SettingsT]):
    """A provider of a service with a tuner of its own, with these functions, too.

    - ``tuning_client.TuningClient(client, plan, context)``
    - ``job_description.job_settings(job)`` and ``describe_job(client, job, plan)``
    - ``policy.policies(plan)``
    - ``console.read_log(client, name)``
    - ``trial_files.trial_files(client, plan, trial, started)``, and ``emulated_files`` with the
      context instead of the client after the end of the emulator
    """

    @override
    def client(self, plan: Plan, context: JobContext) -> JobClient:
        connection = self.connect(plan, context)
        client: JobClient = self.file("tuning_client").TuningClient(connection, plan, context)
        return client

    @override
    def job_settings(self, job: str, given: Mapping[str, Any]) -> Json:
        settings: Json = self.file("job_description").job_settings(job)
        return settings

    @override
    def describe_job(self, job: str, plan: Plan, context: JobContext) -> JobDescription:
        describe = self.file("job_description").describe_job
        description: JobDescription = describe(self.connect(plan, context), job, plan)
        return description

    @override
    def policies(self, plan: Plan) -> Iterable[Policy]:
        yield from self.file("policy").policies(plan)

    @override
    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        if not trial.id:
            return None
        lines: Iterator[str] = self.file("console").read_log(self.connect(plan, context), trial.id)
        return lines

    @override
    def trial_files(
        self, plan: Plan, context: JobContext, trial: Trial, started: Started
    ) -> TrialFiles:
        file, files = self.file("trial_files"), None
        if plan.facts.emulated and context.emulator is None:
            files = file.emulated_files(context, plan, trial, started)
        else:
            files = file.trial_files(self.connect(plan, context), plan, trial, started)
        found: TrialFiles = files
        return found
