"""An export and the request of a run are the same document, except for what only a run has."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter
from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import ConversionError
from cloudtune.launcher.call import input_variable
from cloudtune.provider.lookup import uses_launcher
from cloudtune.provider.secrets import secret_variables
from cloudtune.study.study import Study
from cloudtune_azure.request.rest import to_rest
from tests.document_equality import Equalities, differences
from tests.plan_factory import Planned
from tests.providers import TUNERS

TESTS = Path(__file__).parents[2]
IDENTITIES: Mapping[str, str] = {
    "**.*ParameterRanges": "Name",
    "**.MetricDefinitions": "Name",
    "**.InputDataConfig": "ChannelName",
    "TrainingJobDefinitions": "DefinitionName",
    "Tags": "Key",
    "studySpec.parameters": "parameterId",
    "studySpec.metrics": "metricId",
    "**.env": "name",
    "**.algoParams": "name",
    "hyperParams": "name",
}
RUN_PATHS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "azure": {
        "run": (
            *("displayName", "experimentName", "computeId", "tags.*", "identity.*"),
            *("inputs.**", "outputs.**", "trial.**"),
        ),
        "no seed": ("samplingAlgorithm.seed",),
    },
    "sagemaker": {
        "run": (
            *("HyperParameterTuningJobName", "Tags.cloudtune:run.*", "**.CheckpointConfig.*"),
            *("**.OutputDataConfig.S3OutputPath", "**.InputDataConfig.code.**"),
            *(f"**.StaticHyperParameters.sagemaker_{key}" for key in ("job_name", "region")),
            "**.StaticHyperParameters.sagemaker_container_log_level",
        ),
        "launcher": (
            "**.StaticHyperParameters.sagemaker_*",
            "**.AlgorithmSpecification.MetricDefinitions.**",
        ),
        "emulated": ("**.RoleArn", "**.TrainingImage", "**.ResourceConfig.*"),
        "no seed": ("HyperParameterTuningJobConfig.RandomSeed",),
        "no trial_timeout": ("**.StoppingCondition.MaxRuntimeInSeconds",),
        "secret": ("**.Environment.{name}",),
        "upload": ("**.InputDataConfig.{name}.**",),
    },
    "vertex": {
        "run": ("displayName", "labels.cloudtune-run", "**.baseOutputDirectory.*"),
        "launcher": ("**.containerSpec.**", "**.pythonPackageSpec.**"),
        "emulated": ("**.machineSpec.*",),
        "several objectives": ("studySpec.measurementSelectionType",),
        "no parallel_trials": ("parallelTrialCount",),
        "no max_failed_trials": ("maxFailedTrialCount",),
        "secret": ("**.env.{name}.*",),
        "upload": ("**.env.{variable}.*", "**.args.*"),
    },
    "watson": {
        "run": ("hpoName", "modelSpec.args"),
        "launcher": ("algoDef.additionalMetrics.*",),
        "no seed": ("algoDef.algoParams.RandomSeed.*",),
        "no parallel_trials": ("algoDef.maxParalleJobNum",),
        "single value": ("hyperParams.{name}.*",),
    },
}
"""Where a request and an export differ, by when they do; ``{name}`` stands for each name."""
DOCUMENTS: Mapping[str, str] = {
    "azure": "properties",
    "vertex": "hyperparameterTuningJob",
    "watson": "data",
}
"""The part of a request that an export is; all of it if it is not here."""
AS_REQUEST: Mapping[str, Callable[[Any], Any]] = {"azure": to_rest}
"""How an export is written as a request, where it has the same fields in other words."""
REFUSED: Mapping[str, set[str]] = {
    "azure": {"two-parents"},
    "sagemaker": {"tree"},
    "watson": {"wmla-quickstart"},
}
"""The studies that run, and have no export: only the launcher withholds inactive parameters."""


def golden(provider: str) -> Iterator[tuple[str, Planned, Study]]:
    """Yield the name of each golden file, with the plan of its study in managed mode."""
    support = importlib.import_module(f"tests.cloudtune_{provider}.support")
    for file in sorted((TESTS / f"cloudtune_{provider}" / "golden").glob("*.json")):
        data = json.loads(file.read_text("utf-8"))
        study = Study.model_validate(data["study"])
        options = {key: data[key] for key in ("emulated", "parent_jobs") if key in data}
        yield file.stem, support.plan_of(study, Path.cwd(), "managed", **options), study


RUN_SENTENCES = {
    "limits.trial_timeout": "a request has the service's default, an export has no limit",
    "parameters.rate.when": "the launcher withholds what the tree does not",
}
"""The paths of what a plan and an export say differently, with the reason."""


def names(provider: str, plan: Planned, study: Study) -> dict[str, Sequence[str]]:
    """Return when a request has more than an export, with the names that it is about."""
    limits = study.limits_for(provider)
    return {
        "run": ["-"],
        "launcher": ["-"] if uses_launcher(study, plan.facts) else [],
        "emulated": ["-"] if plan.facts.emulated else [],
        "no seed": ["-"] if study.strategy.seed is None else [],
        "several objectives": ["-"] if len(study.objectives) > 1 else [],
        "no parallel_trials": ["-"] if limits.parallel_trials is None else [],
        "no trial_timeout": ["-"] if limits.trial_timeout is None else [],
        "no max_failed_trials": ["-"] if limits.max_failed_trials is None else [],
        "secret": [*secret_variables(study)],
        "single value": [*plan.fitted.fixed_values],
        "upload": [*plan.facts.lookup.inputs.uploads],
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enter a folder with what the studies name."""
    monkeypatch.setenv("WATSONX_APIKEY", "key")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").touch()
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").touch()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("provider", TUNERS)
def test_an_export_is_the_request_without_what_only_a_run_has(provider: str) -> None:
    compared, refused = 0, set[str]()
    for name, plan, study in golden(provider):
        request: Any = plan.request
        if provider in DOCUMENTS and DOCUMENTS[provider] not in request:
            continue  # of another service of the provider
        request = request.get(DOCUMENTS.get(provider), request)
        try:
            document = exporter.write(study, provider).document
        except ConversionError:
            refused |= set() if plan.refused else {name}
            continue
        document = AS_REQUEST.get(provider, lambda each: each)(document)
        when = names(provider, plan, study)
        ignored = [
            pattern.replace("{name}", each).replace("{variable}", input_variable(each))
            for key, patterns in RUN_PATHS[provider].items()
            for pattern in patterns
            for each in when[key]
        ]
        equal = Equalities(identities=IDENTITIES, ignored=ignored)
        assert differences(document, request, equal) == [], name
        compared += 1
    assert compared > 4
    assert refused == REFUSED.get(provider, set())


def sentences(findings: Sequence[Finding | Note]) -> dict[tuple[str, str], set[str]]:
    """Return what is said, by path and kind."""
    said: dict[tuple[str, str], set[str]] = {}
    for each in findings:
        kind, text = (each.kind, each.reason) if isinstance(each, Finding) else ("note", each.text)
        said.setdefault((each.path, kind), set()).add(text)
    return said


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("provider", TUNERS)
def test_a_plan_and_an_export_say_the_same(provider: str) -> None:
    common = 0
    for name, plan, study in golden(provider):
        if provider in DOCUMENTS and DOCUMENTS[provider] not in plan.request:
            continue  # of another service of the provider
        try:
            exported = sentences(exporter.write(study, provider).findings)
        except ConversionError as error:
            exported = sentences(error.findings)
        planned = sentences(plan.found)
        for path, kind in planned.keys() & exported.keys():
            if path not in RUN_SENTENCES:
                common += 1
                assert planned[path, kind] == exported[path, kind], (name, path)
    assert common > 4
