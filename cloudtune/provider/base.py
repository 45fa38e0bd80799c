"""The base class of providers, with defaults for the members that a small provider does not need.

A provider must define `capabilities`, `settings` and `request`, and `client` for a managed mode or
`training_jobs` for a driven one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, TypeVar

from cloudtune.errors import ProviderError
from cloudtune.fitting.capabilities import Capabilities
from cloudtune.provider.facts import Facts, Inputs, Lookup
from cloudtune.provider.lookup import (
    code_address,
    environment_variables,
    input_address,
    source_files,
)
from cloudtune.provider.models import JobContext, ProviderSettings

if TYPE_CHECKING:
    from cloudtune.diagnostics import Finding, Note
    from cloudtune.fitting.fit import FittedStudy
    from cloudtune.provider.documents import ServiceDocument
    from cloudtune.provider.plan import Plan
    from cloudtune.provider.protocols import Emit, JobClient, TrainingJobs, TrialRunner
    from cloudtune.study.schema import Json, Mode
    from cloudtune.study.study import Study

SettingsT = TypeVar("SettingsT", bound=ProviderSettings)


class BaseProvider(ABC, Generic[SettingsT]):
    """A provider with defaults. See `cloudtune.provider.protocols.Provider` for the members."""

    capabilities: Capabilities
    settings: type[SettingsT]
    emulator: str | None = None
    packages: Mapping[str, Sequence[str]] = MappingProxyType({})
    protected_paths: Sequence[str] = ()

    @property
    def documents(self) -> Mapping[str, Callable[[Plan], ServiceDocument]]:
        """The other documents of the service, by name; none by default."""
        return {}

    def lookup(self, study: Study, settings: SettingsT, facts: Facts) -> Lookup:
        """Return what the study takes from this machine; inputs are not uploaded."""
        name = self.capabilities.provider
        addresses: dict[str, str | None] = {}
        for each in study.trial.inputs:
            address = input_address(study, name, each, emulated=facts.emulated)
            addresses[each] = address.uri if address else None
        return Lookup(
            code_address=code_address(study, name),
            source=source_files(study, facts),
            variables=environment_variables(study),
            inputs=Inputs(addresses),
        )

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: SettingsT, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return no findings: the capabilities describe all limits of the service."""
        return ()

    @abstractmethod
    def request(self, fitted: FittedStudy, mode: Mode, settings: SettingsT, facts: Facts) -> Json:
        """Return the service's request."""

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Refuse: the provider has no managed mode.

        Raises:
            ProviderError: Always.
        """
        raise ProviderError(self.capabilities.provider, "this provider has no managed mode")

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs | None:
        """Return None: there are no training jobs."""
        return None

    def runner(
        self, plan: Plan, context: JobContext, emit: Emit, notify: Callable[[str], None]
    ) -> TrialRunner:
        """Refuse: the provider has no driven mode.

        Raises:
            ProviderError: Always.
        """
        raise ProviderError(self.capabilities.provider, "this provider has no driven mode")
