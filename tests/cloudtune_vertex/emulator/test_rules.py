"""What the service refuses, and what it lets pass: each rule with what just breaks it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from cloudtune.study.schema import Json
from cloudtune_vertex.emulator import search_space
from cloudtune_vertex.emulator.errors import ServiceError
from cloudtune_vertex.emulator.rules import demand
from cloudtune_vertex.emulator.rules import job as job_rules
from cloudtune_vertex.emulator.rules import tuning as tuning_rules
from cloudtune_vertex.emulator.state import Parent, TuningJob
from cloudtune_vertex.emulator.wire import Messages

DOUBLE: Json = {"parameterId": "lr", "doubleValueSpec": {"minValue": 0.1, "maxValue": 1}}
WHOLE: Json = {"parameterId": "depth", "integerValueSpec": {"minValue": "1", "maxValue": "4"}}
WORD: Json = {"parameterId": "kind", "categoricalValueSpec": {"values": ["a", "b"]}}
SIZES: Json = {"parameterId": "size", "discreteValueSpec": {"values": [1, 2, 4]}}
POOL: Json = {
    "machineSpec": {"machineType": "n1-standard-4"},
    "containerSpec": {"imageUri": "europe-docker.pkg.dev/team/own/image:1"},
}
PACKAGE: Json = {
    "executorImageUri": "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest",
    "packageUris": ["gs://b/p.tar.gz"],
    "pythonModule": "trainer.task",
}


@pytest.fixture(scope="session")
def messages() -> Messages:
    return Messages()


def tuning(**changes: Any) -> Json:
    """Return a tuning job; ``study`` and ``pool`` change parts of it."""
    study: Json = {
        "metrics": [{"metricId": "loss", "goal": "MINIMIZE"}],
        "parameters": [DOUBLE],
        **changes.pop("study", {}),
    }
    pool = changes.pop("pool", POOL)
    return {
        "displayName": "job",
        "maxTrialCount": 4,
        "parallelTrialCount": 2,
        "studySpec": study,
        "trialJobSpec": {"workerPoolSpecs": [pool], **changes.pop("spec", {})},
        **changes,
    }


def with_parameters(*parameters: Json, **study: Any) -> Json:
    return tuning(study={"parameters": list(parameters), **study})


def with_package(**changes: Any) -> Json:
    package = {key: value for key, value in {**PACKAGE, **changes}.items() if value is not None}
    return tuning(pool={"machineSpec": POOL["machineSpec"], "pythonPackageSpec": package})


def with_container(**changes: Any) -> Json:
    return tuning(pool={**POOL, "containerSpec": {**POOL["containerSpec"], **changes}})


def with_machine(**changes: Any) -> Json:
    return tuning(pool={**POOL, "machineSpec": {**POOL["machineSpec"], **changes}})


def child(condition: Json, spec: Json = DOUBLE) -> Json:
    return {**condition, "parameterSpec": spec}


def refusal(messages: Messages, job: Json, kind: str = "HyperparameterTuningJob") -> str:
    """Return what is said to a job; empty if nothing."""
    read = messages.read(kind, json.dumps(job).encode())
    try:
        if kind == "CustomJob":
            demand(job_rules.CUSTOM_RULES, read)
        else:
            tuning_rules.check(read)
    except ServiceError as error:
        return error.message
    return ""


NEARLY_2: Json = {"parentDiscreteValues": {"values": [2, 2 + 5e-11]}}
IF_A: Json = {"parentCategoricalValues": {"values": ["a"]}}
IF_B: Json = {"parentCategoricalValues": {"values": ["b"]}}
AT = "study_spec.parameters[0]"
CHILD = f"{AT}.conditional_parameter_specs"
FIRST = "trial_job_spec.worker_pool_specs[0]"


def whole(low: int, high: int) -> Json:
    return {"parameterId": "w", "integerValueSpec": {"minValue": str(low), "maxValue": str(high)}}


def listed(*values: float) -> Json:
    return {"parameterId": "s", "discreteValueSpec": {"values": list(values)}}


def double(low: float, high: float) -> Json:
    return {"parameterId": "d", "doubleValueSpec": {"minValue": low, "maxValue": high}}


GOOD: dict[str, Json] = {
    "plain": tuning(),
    "all kinds": with_parameters(DOUBLE, WHOLE, WORD, SIZES),
    "128 characters": tuning(displayName="ü" * 128),
    "labels": tuning(
        labels={"a_b-1": "", "größe": "x" * 63, "大小": "1-½", "x" * 63: "_", "1a": ""}
    ),
    "64 labels": tuning(labels={f"a{number}": "" for number in range(64)}),
    "as many failures as trials": tuning(maxFailedTrialCount=4),
    "grid": with_parameters(WHOLE, WORD, SIZES, algorithm="GRID_SEARCH"),
    "one value": with_parameters(double(1, 1), whole(2, 2)),
    "log above 0": with_parameters(
        {**double(1e-9, 1), "scaleType": "UNIT_LOG_SCALE"},
        {**listed(0.5, 1), "scaleType": "UNIT_REVERSE_LOG_SCALE"},
    ),
    "linear from 0": with_parameters({**double(0, 1), "scaleType": "UNIT_LINEAR_SCALE"}),
    "1000 values": with_parameters(listed(*range(1000))),
    "close values": with_parameters(listed(1, 1 + 2e-10)),
    "conditions": with_parameters(
        {**WORD, "conditionalParameterSpecs": [child(IF_A), child(IF_B, WHOLE)]},
        {
            **SIZES,
            "conditionalParameterSpecs": [
                child({"parentDiscreteValues": {"values": [2]}}, double(0, 1))
            ],
        },
    ),
    "a condition that is as good as a value of the parent": with_parameters(
        {**SIZES, "conditionalParameterSpecs": [child(NEARLY_2)]}
    ),
    "the same name under conditions that exclude each other": with_parameters(
        {**WORD, "conditionalParameterSpecs": [child(IF_A), child(IF_B)]}
    ),
    "the same name below conditions that exclude each other": with_parameters(
        {
            **WORD,
            "conditionalParameterSpecs": [
                child(
                    IF_A,
                    {
                        **WHOLE,
                        "conditionalParameterSpecs": [
                            child({"parentIntValues": {"values": ["2"]}})
                        ],
                    },
                ),
                child(IF_B),
            ],
        }
    ),
    "a whole number as parent": with_parameters(
        {**WHOLE, "conditionalParameterSpecs": [child({"parentIntValues": {"values": ["1", "4"]}})]}
    ),
    "package": with_package(),
    "100 packages": with_package(packageUris=["gs://b/p.tar.gz"] * 100),
    "accelerator": with_machine(acceleratorType="NVIDIA_TESLA_T4", acceleratorCount=1),
    "disk": tuning(
        pool={
            **POOL,
            "replicaCount": "1",
            "diskSpec": {"bootDiskType": "hyperdisk-balanced", "bootDiskSizeGb": 100},
        }
    ),
    "timeouts": tuning(spec={"scheduling": {"timeout": "1s", "maxWaitDuration": "0s"}}),
    "arguments": with_container(args=["x" * 50_000] * 2),
    "variable": with_container(env=[{"name": "_A1", "value": "x"}]),
    "output": tuning(spec={"baseOutputDirectory": {"outputUriPrefix": "gs://b/out"}}),
    "median": tuning(study={"medianAutomatedStoppingSpec": {}}),
    "goal unspecified": tuning(study={"metrics": [{"metricId": "loss"}]}),
}

BAD: dict[str, tuple[Json, str, str]] = {
    "no name": (tuning(displayName=""), "display_name", "Required"),
    "129 characters": (tuning(displayName="x" * 129), "display_name", "128"),
    "label in capitals": (tuning(labels={"Team": "x"}), "labels", "lowercase letters"),
    "label with a dot": (tuning(labels={"team": "a.b"}), "labels", "only contain"),
    "long label": (tuning(labels={"team": "x" * 64}), "labels", "less than 64 characters"),
    "label that starts with a line": (tuning(labels={"_a": "x"}), "labels", "start with"),
    "label of 129 bytes": (tuning(labels={"大" * 43: "x"}), "labels", "128 bytes"),
    "label that starts with a dash": (tuning(labels={"-a": "x"}), "labels", "start with"),
    "65 labels": (tuning(labels={f"a{number}": "" for number in range(65)}), "labels", "64"),
    "label without a key": (tuning(labels={"": "x"}), "labels", "key"),
    "no trials": (tuning(maxTrialCount=0), "max_trial_count", "greater than 0"),
    "none at a time": (tuning(parallelTrialCount=0), "parallel_trial_count", "greater than 0"),
    "more failures than trials": (tuning(maxFailedTrialCount=5), "max_failed_trial_count", "4"),
    "negative failures": (tuning(maxFailedTrialCount=-1), "max_failed_trial_count", "from 0"),
    "no metric": (tuning(study={"metrics": []}), "study_spec.metrics", "Required"),
    "no parameter": (with_parameters(), "study_spec.parameters", "Required"),
    "metric with a space": (
        tuning(study={"metrics": [{"metricId": "val loss"}]}),
        "study_spec.metrics[0].metric_id",
        "whitespace",
    ),
    "metric without an id": (
        tuning(study={"metrics": [{"goal": "MINIMIZE"}]}),
        "study_spec.metrics[0].metric_id",
        "Required",
    ),
    "metric twice": (
        tuning(study={"metrics": [{"metricId": "a"}, {"metricId": "a"}]}),
        "study_spec.metrics[1].metric_id",
        "unique",
    ),
    "noise": (
        tuning(study={"observationNoise": "LOW"}),
        "study_spec.observation_noise",
        "not supp",
    ),
    "parameter with a space": (
        with_parameters({**DOUBLE, "parameterId": "l r"}),
        f"{AT}.parameter_id",
        "whitespace",
    ),
    "parameter without an id": (
        with_parameters({**DOUBLE, "parameterId": ""}),
        f"{AT}.parameter_id",
        "Required",
    ),
    "parameter twice": (
        with_parameters(DOUBLE, {**WHOLE, "parameterId": "lr"}),
        "study_spec.parameters[1].parameter_id",
        "unique",
    ),
    "the same name under one condition": (
        with_parameters(
            {
                **WORD,
                "conditionalParameterSpecs": [
                    child(IF_A),
                    child({"parentCategoricalValues": {"values": ["b", "a"]}}),
                ],
            }
        ),
        f"{CHILD}[1].parameter_spec.parameter_id",
        "unique",
    ),
    "the same name under as good as one condition": (
        with_parameters(
            {
                **SIZES,
                "conditionalParameterSpecs": [
                    child({"parentDiscreteValues": {"values": [2 - 5e-11]}}),
                    child(NEARLY_2),
                ],
            }
        ),
        f"{CHILD}[1].parameter_spec.parameter_id",
        "unique",
    ),
    "the parent's own name": (
        with_parameters(
            {**WORD, "conditionalParameterSpecs": [child(IF_A, {**DOUBLE, "parameterId": "kind"})]}
        ),
        f"{CHILD}[0].parameter_spec.parameter_id",
        "unique",
    ),
    "no values at all": (with_parameters({"parameterId": "x"}), AT, "no value spec"),
    "bounds turned round": (with_parameters(double(2, 1)), AT, "greater"),
    "whole bounds turned round": (with_parameters(whole(2, 1)), AT, "greater"),
    "endless": (
        with_parameters({"parameterId": "d", "doubleValueSpec": {"maxValue": "Infinity"}}),
        AT,
        "finite",
    ),
    "no words": (
        with_parameters({"parameterId": "k", "categoricalValueSpec": {}}),
        f"{AT}.values",
        "Required",
    ),
    "a word twice": (
        with_parameters(
            {"parameterId": "k", "categoricalValueSpec": {"values": ["b", "a", "c", "a", "b"]}}
        ),
        f"{AT}.values",
        "a, b must be unique",
    ),
    "an endless number": (
        with_parameters({"parameterId": "s", "discreteValueSpec": {"values": ["Infinity"]}}),
        f"{AT}.values",
        "finite",
    ),
    "no numbers": (with_parameters(listed()), f"{AT}.values", "Required"),
    "1001 values": (with_parameters(listed(*range(1001))), f"{AT}.values", "1000"),
    "values that fall": (with_parameters(listed(1, 3, 2)), f"{AT}.values", "increase"),
    "values too close": (with_parameters(listed(1, 1 + 5e-11)), f"{AT}.values", "1e-10"),
    "log from 0": (
        with_parameters({**double(0, 1), "scaleType": "UNIT_LOG_SCALE"}),
        f"{AT}.scale_type",
        "strictly positive",
    ),
    "reverse log from 0": (
        with_parameters({**whole(0, 4), "scaleType": "UNIT_REVERSE_LOG_SCALE"}),
        f"{AT}.scale_type",
        "strictly positive",
    ),
    "log of a discrete 0": (
        with_parameters({**listed(0, 1), "scaleType": "UNIT_LOG_SCALE"}),
        f"{AT}.scale_type",
        "strictly positive",
    ),
    "scale of words": (
        with_parameters({**WORD, "scaleType": "UNIT_LINEAR_SCALE"}),
        f"{AT}.scale_type",
        "CATEGORICAL",
    ),
    "default": (
        with_parameters(
            {"parameterId": "d", "doubleValueSpec": {"maxValue": 1, "defaultValue": 0.5}}
        ),
        f"{AT}.default_value",
        "not supported",
    ),
    "default of 0": (
        with_parameters(
            {"parameterId": "d", "doubleValueSpec": {"maxValue": 1, "defaultValue": 0}}
        ),
        f"{AT}.default_value",
        "not supported",
    ),
    "grid with doubles": (
        with_parameters(DOUBLE, WORD, algorithm="GRID_SEARCH"),
        AT,
        "GRID_SEARCH",
    ),
    "grid with doubles below a condition": (
        with_parameters(
            {**WORD, "conditionalParameterSpecs": [child(IF_A)]}, algorithm="GRID_SEARCH"
        ),
        f"{CHILD}[0].parameter_spec",
        "GRID_SEARCH",
    ),
    "a double as parent": (
        with_parameters(
            {
                **DOUBLE,
                "conditionalParameterSpecs": [
                    child({"parentDiscreteValues": {"values": [1]}}, WORD)
                ],
            }
        ),
        f"{CHILD}[0].parent_value_condition",
        "parent lr",
    ),
    "no condition": (
        with_parameters({**WORD, "conditionalParameterSpecs": [child({})]}),
        f"{CHILD}[0].parent_value_condition",
        "Required",
    ),
    "condition without a parameter": (
        with_parameters({**WORD, "conditionalParameterSpecs": [IF_A]}),
        f"{CHILD}[0].parameter_spec",
        "Required",
    ),
    "condition of another kind": (
        with_parameters(
            {
                **WHOLE,
                "conditionalParameterSpecs": [child({"parentDiscreteValues": {"values": [1]}})],
            }
        ),
        f"{CHILD}[0].parent_value_condition",
        "parent depth",
    ),
    "a word that the parent has not": (
        with_parameters(
            {
                **WORD,
                "conditionalParameterSpecs": [
                    child({"parentCategoricalValues": {"values": ["c"]}})
                ],
            }
        ),
        f"{CHILD}[0].parent_value_condition",
        "value c",
    ),
    "a whole number that the parent has not": (
        with_parameters(
            {**WHOLE, "conditionalParameterSpecs": [child({"parentIntValues": {"values": ["5"]}})]}
        ),
        f"{CHILD}[0].parent_value_condition",
        "value 5",
    ),
    "a number that is not quite the parent's": (
        with_parameters(
            {
                **SIZES,
                "conditionalParameterSpecs": [
                    child({"parentDiscreteValues": {"values": [2 + 2e-10]}})
                ],
            }
        ),
        f"{CHILD}[0].parent_value_condition",
        "value 2.0",
    ),
    "a number that the parent has not": (
        with_parameters(
            {
                **SIZES,
                "conditionalParameterSpecs": [child({"parentDiscreteValues": {"values": [3]}})],
            }
        ),
        f"{CHILD}[0].parent_value_condition",
        "value 3",
    ),
    "no pool": (
        tuning(spec={"workerPoolSpecs": []}),
        "trial_job_spec.worker_pool_specs",
        "Required",
    ),
    "no machine": (
        tuning(pool={"containerSpec": POOL["containerSpec"]}),
        f"{FIRST}.machine_spec.machine_type",
        "Required",
    ),
    "nothing to run": (tuning(pool={"machineSpec": POOL["machineSpec"]}), FIRST, "One of"),
    "no image": (
        with_container(imageUri=""),
        f"{FIRST}.container_spec.image_uri",
        "Required",
    ),
    "accelerator without a count": (
        with_machine(acceleratorType="NVIDIA_TESLA_T4"),
        f"{FIRST}.machine_spec.accelerator_type",
        "Both",
    ),
    "count without an accelerator": (
        with_machine(acceleratorCount=1),
        f"{FIRST}.machine_spec.accelerator_type",
        "Both",
    ),
    "fewer than no replicas": (
        tuning(pool={**POOL, "replicaCount": "-1"}),
        f"{FIRST}.replica_count",
        "negative",
    ),
    "fewer than no accelerators": (
        with_machine(acceleratorType="NVIDIA_TESLA_T4", acceleratorCount=-1),
        f"{FIRST}.machine_spec.accelerator_count",
        "negative",
    ),
    "a disk of less than nothing": (
        tuning(pool={**POOL, "diskSpec": {"bootDiskSizeGb": -1}}),
        f"{FIRST}.disk_spec.boot_disk_size_gb",
        "within the range of [100, 64000]",
    ),
    "another disk": (
        tuning(pool={**POOL, "diskSpec": {"bootDiskType": "floppy"}}),
        f"{FIRST}.disk_spec.boot_disk_type",
        "pd-ssd, pd-standard, hyperdisk-balanced",
    ),
    "a timeout before the start": (
        tuning(spec={"scheduling": {"timeout": "-0.5s"}}),
        "trial_job_spec.scheduling.timeout",
        "negative",
    ),
    "a wait before the start": (
        tuning(spec={"scheduling": {"strategy": "FLEX_START", "maxWaitDuration": "-1s"}}),
        "trial_job_spec.scheduling.max_wait_duration",
        "negative",
    ),
    "TPU": (
        with_machine(acceleratorType="TPU_V3", acceleratorCount=8),
        f"{FIRST}.machine_spec",
        "TPUs",
    ),
    "TPU machine": (with_machine(machineType="ct5lp-hightpu-4t"), f"{FIRST}.machine_spec", "TPUs"),
    "TPU topology": (with_machine(tpuTopology="2x2"), f"{FIRST}.machine_spec", "TPUs"),
    "own image for a package": (
        with_package(executorImageUri="europe-docker.pkg.dev/team/own/image:1"),
        f"{FIRST}.python_package_spec.executor_image_uri",
        "pre-built",
    ),
    "no image for a package": (
        with_package(executorImageUri=None),
        f"{FIRST}.python_package_spec.executor_image_uri",
        "Required",
    ),
    "no module": (
        with_package(pythonModule=None),
        f"{FIRST}.python_package_spec.python_module",
        "Required",
    ),
    "no package": (
        with_package(packageUris=None),
        f"{FIRST}.python_package_spec.package_uris",
        "Required",
    ),
    "101 packages": (
        with_package(packageUris=["gs://b/p.tar.gz"] * 101),
        f"{FIRST}.python_package_spec.package_uris",
        "100",
    ),
    "package elsewhere": (
        with_package(packageUris=["https://b/p.tar.gz"]),
        f"{FIRST}.python_package_spec.package_uris",
        "https://b/p.tar.gz",
    ),
    "variable with a dash": (
        with_container(env=[{"name": "A-B", "value": "x"}]),
        f"{FIRST}.container_spec.env",
        "A-B",
    ),
    "variable without a value": (
        with_container(env=[{"name": "A"}]),
        f"{FIRST}.container_spec.env",
        "no value",
    ),
    "101 variables": (
        with_package(env=[{"name": f"A{n}", "value": "x"} for n in range(101)]),
        f"{FIRST}.python_package_spec.env",
        "100",
    ),
    "arguments too long": (
        with_container(args=["x" * 50_000, "x" * 50_001]),
        f"{FIRST}.container_spec.args",
        "100000",
    ),
    "output elsewhere": (
        tuning(spec={"baseOutputDirectory": {"outputUriPrefix": "s3://b/out"}}),
        "trial_job_spec.base_output_directory.output_uri_prefix",
        "gs://",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_the_service_documents_passes(messages: Messages, name: str) -> None:
    assert refusal(messages, GOOD[name]) == ""


@pytest.mark.parametrize("name", GOOD)
def test_what_passes_can_be_searched(messages: Messages, name: str) -> None:
    read = messages.read("HyperparameterTuningJob", json.dumps(GOOD[name]).encode())
    study = search_space.study_of(TuningJob("name", Parent("1", "us-central1"), read))
    told = {item["parameterId"] for item in read["studySpec"]["parameters"]}
    assert told <= {*study.parameters}


@pytest.mark.parametrize("name", BAD)
def test_what_it_excludes_is_refused_with_its_field(messages: Messages, name: str) -> None:
    job, field, message = BAD[name]
    said = refusal(messages, job)
    assert said.startswith("List of found errors:\t1.Field: "), said
    found = dict(_errors(said))
    assert list(found) == [field]
    assert message in found[field]


def _errors(said: str) -> Iterator[tuple[str, str]]:
    for entry in said.removeprefix("List of found errors:\t").rstrip("\t").split("\t"):
        field, _, message = entry.partition(".Field: ")[2].partition("; Message: ")
        yield field, message


def test_all_that_is_wrong_is_told_at_once(messages: Messages) -> None:
    job = tuning(displayName="", maxFailedTrialCount=9, study={"parameters": [double(2, 1)]})
    said = refusal(messages, job)
    assert [field for field, _ in _errors(said)] == ["display_name", "max_failed_trial_count", AT]
    assert "\t2.Field: max_failed_trial_count; Message: " in said


@pytest.mark.parametrize(
    ("job", "where"),
    [
        (tuning(study={"algorithm": 99}), "study_spec.algorithm (99)"),
        (tuning(study={"algorithm": 1}), "study_spec.algorithm (1)"),
        (tuning(study={"algorithm": -1}), "study_spec.algorithm (-1)"),
        (
            tuning(study={"metrics": [{"metricId": "a"}, {"metricId": "b", "goal": 9}]}),
            "study_spec.metrics[1].goal (9)",
        ),
        (
            with_parameters({**DOUBLE, "scaleType": 4}),
            "study_spec.parameters[0].scale_type (4)",
        ),
        (
            with_machine(acceleratorType=77, acceleratorCount=1),
            "trial_job_spec.worker_pool_specs[0].machine_spec.accelerator_type (77)",
        ),
    ],
)
def test_a_number_without_a_name_is_refused(messages: Messages, job: Json, where: str) -> None:
    with pytest.raises(ServiceError, match=re.escape(f"Invalid value at {where}")):
        messages.read("HyperparameterTuningJob", json.dumps(job).encode())


def test_numbers_stand_for_names(messages: Messages) -> None:
    job = tuning(study={"algorithm": 2, "metrics": [{"metricId": "a", "goal": 0}]})
    read = messages.read("HyperparameterTuningJob", json.dumps(job).encode())
    assert read["studySpec"]["algorithm"] == "GRID_SEARCH"


@pytest.mark.parametrize(
    "study",
    [
        {"decayCurveStoppingSpec": {}},
        {"convexAutomatedStoppingSpec": {"maxStepCount": "9"}},
        {"metrics": [{"metricId": "a", "safetyConfig": {"safetyThreshold": 1}}]},
    ],
)
def test_what_only_the_service_has_is_told_apart(messages: Messages, study: Json) -> None:
    assert "This emulator does not have" in refusal(messages, tuning(study=study))


def test_a_custom_job_has_the_rules_of_its_spec(messages: Messages) -> None:
    job: Json = {"displayName": "j", "jobSpec": {"workerPoolSpecs": [POOL]}}
    assert refusal(messages, job, "CustomJob") == ""
    tpu = {
        **POOL,
        "machineSpec": {"machineType": "x", "acceleratorType": "TPU_V3", "acceleratorCount": 8},
    }
    assert refusal(messages, {**job, "jobSpec": {"workerPoolSpecs": [tpu]}}, "CustomJob") == ""
    said = refusal(messages, {"labels": {"A": "x"}, "jobSpec": {}}, "CustomJob")
    fields = [field for field, _ in _errors(said)]
    assert fields == ["display_name", "labels", "job_spec.worker_pool_specs"]


def test_each_rule_is_broken_by_some_test() -> None:
    """A rule that nothing here breaks would be one that nobody has seen at work."""
    for rule in (*tuning_rules.RULES, *job_rules.CUSTOM_RULES):
        jobs = [job for job, _, _ in BAD.values()]
        as_custom = [{**job, "jobSpec": job["trialJobSpec"]} for job in jobs]
        assert any(list(rule(job)) for job in (*jobs, *as_custom)), rule
