"""What the service refuses though its model does not: each rule with a request that breaks it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from cloudtune_sagemaker.emulator.errors import ServiceError
from cloudtune_sagemaker.emulator.rules import job as job_rules
from cloudtune_sagemaker.emulator.rules import ranges as range_rules
from cloudtune_sagemaker.emulator.rules import training, warm_start
from cloudtune_sagemaker.emulator.rules import tuning as tuning_rules
from cloudtune_sagemaker.emulator.state import Store, TuningJob, arn_of

if TYPE_CHECKING:
    from tests.cloudtune_sagemaker.emulator.conftest import Emulator

REGION = "us-east-1"
METRIC = "A metric is required for this hyperparameter tuning job objective."


def definition() -> dict[str, Any]:
    return {
        "AlgorithmSpecification": {
            "TrainingImage": "own:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
        },
        "StaticHyperParameters": {"depth": "3"},
        "RoleArn": "arn:aws:iam::123456789012:role/tuning",
        "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def ranges() -> dict[str, Any]:
    return {"ContinuousParameterRanges": [{"Name": "width", "MinValue": "0.1", "MaxValue": "0.9"}]}


def objective() -> dict[str, Any]:
    return {"Type": "Minimize", "MetricName": "loss"}


def tuning() -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": "job",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": objective(),
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 5, "MaxParallelTrainingJobs": 1},
            "ParameterRanges": ranges(),
        },
        "TrainingJobDefinition": definition(),
    }


def several() -> dict[str, Any]:
    request = tuning()
    config = request["HyperParameterTuningJobConfig"]
    del config["HyperParameterTuningJobObjective"], config["ParameterRanges"]
    request["TrainingJobDefinitions"] = [
        {
            **request["TrainingJobDefinition"],
            "DefinitionName": name,
            "TuningObjective": objective(),
            "HyperParameterRanges": ranges(),
        }
        for name in ("one", "two")
    ]
    del request["TrainingJobDefinition"]
    return request


def changed(whole: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a request with members changed; ``__`` leads into a part, None takes one out."""
    for path, value in changes.items():
        *way, last = path.split("__")
        part: Any = whole
        for key in way:
            part = part[int(key) if key.isdigit() else key]
        if value is None:
            part.pop(last, None)
        else:
            part[last] = value
    return whole


def job(**changes: Any) -> dict[str, Any]:
    return changed(tuning(), **{f"TrainingJobDefinition__{k}": v for k, v in changes.items()})


def config(**changes: Any) -> dict[str, Any]:
    return changed(
        tuning(), **{f"HyperParameterTuningJobConfig__{k}": v for k, v in changes.items()}
    )


def real(low: str, high: str, **more: Any) -> dict[str, Any]:
    each = {"Name": "width", "MinValue": low, "MaxValue": high, **more}
    return config(ParameterRanges={"ContinuousParameterRanges": [each]})


def whole(low: str, high: str, **more: Any) -> dict[str, Any]:
    each = {"Name": "width", "MinValue": low, "MaxValue": high, **more}
    return config(ParameterRanges={"IntegerParameterRanges": [each]})


def words(*lists: list[str], **changes: Any) -> dict[str, Any]:
    found = [{"Name": f"word{n}", "Values": values} for n, values in enumerate(lists)]
    return config(ParameterRanges={"CategoricalParameterRanges": found}, **changes)


def grid(*lists: list[str], count: int | None = None) -> dict[str, Any]:
    limits = {"MaxParallelTrainingJobs": 1}
    if count is not None:
        limits["MaxNumberOfTrainingJobs"] = count
    return words(*lists, Strategy="Grid", ResourceLimits=limits)


def hyperband(**changes: Any) -> dict[str, Any]:
    own = {"HyperbandStrategyConfig": {"MaxResource": 9}}
    return config(**{"Strategy": "Hyperband", "StrategyConfig": own, **changes})


def resource(**own: int) -> dict[str, Any]:
    return hyperband(StrategyConfig={"HyperbandStrategyConfig": own})


def many(count: int) -> dict[str, Any]:
    found = [{"Name": f"r{n}", "MinValue": "1", "MaxValue": "2"} for n in range(count)]
    return config(
        ParameterRanges={
            "IntegerParameterRanges": found[: count // 2],
            "ContinuousParameterRanges": found[count // 2 :],
        }
    )


def tuning_machines(**own: Any) -> dict[str, Any]:
    return job(ResourceConfig=None, HyperParameterTuningResourceConfig=own)


def preferred(*types: dict[str, Any], **more: Any) -> dict[str, Any]:
    return job(ResourceConfig={"InstancePreferences": list(types), **more})


def channel(name: str, **sources: Any) -> dict[str, Any]:
    plain = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/x"}}
    return {"ChannelName": name, "DataSource": sources or plain}


A_TO_E = list("abcde")
GOOD = {
    "plain": tuning(),
    "several definitions": several(),
    "grid without a count": grid(A_TO_E, A_TO_E),
    "grid with its product": grid(A_TO_E, A_TO_E, count=25),
    "the largest grid": grid([str(n) for n in range(30)], [str(n) for n in range(25)], count=750),
    "hyperband": hyperband(),
    "hyperband by its epochs": hyperband(StrategyConfig=None)
    | {"TrainingJobDefinition": definition() | {"StaticHyperParameters": {"epochs": '"7"'}}},
    "thirty ranges": many(30),
    "all combinations": words(A_TO_E),
    "no count but a time": config(
        ResourceLimits={"MaxParallelTrainingJobs": 1, "MaxRuntimeInSeconds": 600}
    ),
    "the most of everything": config(
        ResourceLimits={
            "MaxNumberOfTrainingJobs": 10_000,
            "MaxParallelTrainingJobs": 100,
            "MaxRuntimeInSeconds": 30 * 86_400,
        }
    ),
    "reverse logarithmic": real("0", "0.99", ScalingType="ReverseLogarithmic"),
    "spot": job(
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
    ),
    "built-in metrics": job(
        AlgorithmSpecification={
            "TrainingImage": "1.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
            "TrainingInputMode": "File",
        }
    ),
    "a bought algorithm": job(
        AlgorithmSpecification={"AlgorithmName": "some-algorithm", "TrainingInputMode": "File"}
    ),
    "machines of the tuner": tuning_machines(
        InstanceType="ml.m5.xlarge", InstanceCount=1, VolumeSizeInGB=1
    ),
    "types of machines with one count": preferred(
        {"InstanceType": "ml.m5.xlarge"}, {"InstanceType": "ml.c5.xlarge"}, InstanceCount=2
    ),
    "types of machines with a count each": preferred(
        {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
        {"InstanceType": "ml.c5.xlarge", "InstanceCount": 2},
    ),
    "a key of its disks": job(ResourceConfig__VolumeKmsKeyId="k"),
    "98 static values": job(StaticHyperParameters={f"s{n}": "1" for n in range(98)}),
    "48 variables": job(Environment={f"V{n}": "1" for n in range(48)}),
}
BAD: list[tuple[Callable[..., Iterator[str]], dict[str, Any], str]] = [
    (
        tuning_rules.no_automatic_ranges,
        config(ParameterRanges={"AutoParameters": [{"Name": "lr", "ValueHint": "0.1"}]}),
        "AutoParameters",
    ),
    (tuning_rules.one_or_list, changed(tuning(), TrainingJobDefinition=None), "Exactly one of"),
    (tuning_rules.one_or_list, tuning() | {"TrainingJobDefinitions": [definition()]}, "Exactly"),
    (
        tuning_rules.definitions,
        config(HyperParameterTuningJobObjective=None),
        "HyperParameterTuningJobObjective is required",
    ),
    (
        tuning_rules.definitions,
        changed(several(), TrainingJobDefinitions__0__DefinitionName=None),
        "DefinitionName is required in each",
    ),
    (
        tuning_rules.definitions,
        changed(several(), TrainingJobDefinitions__1__HyperParameterRanges=None),
        "HyperParameterRanges is required in each",
    ),
    (
        tuning_rules.definitions,
        changed(several(), TrainingJobDefinitions__1__DefinitionName="one"),
        "one is used more than once",
    ),
    (
        tuning_rules.definitions,
        changed(several(), HyperParameterTuningJobConfig__ParameterRanges=ranges()),
        "ParameterRanges cannot be specified together with",
    ),
    (tuning_rules.jobs, job(ResourceConfig=None), "Exactly one of ResourceConfig and"),
    (
        tuning_rules.jobs,
        job(HyperParameterTuningResourceConfig={"InstanceType": "ml.m5.xlarge"}),
        "Exactly one of ResourceConfig and",
    ),
    (tuning_rules.variables, job(Environment={f"V{n}": "1" for n in range(49)}), "exceed 48"),
    (
        tuning_rules.variables,
        changed(
            several(),
            TrainingJobDefinitions__0__Environment={f"V{n}": "1" for n in range(25)},
            TrainingJobDefinitions__1__Environment={f"V{n}": "1" for n in range(25)},
        ),
        "and is 50",
    ),
    (tuning_rules.metrics, job(AlgorithmSpecification__MetricDefinitions=None), METRIC),
    (
        tuning_rules.metrics,
        config(HyperParameterTuningJobObjective={"Type": "Minimize", "MetricName": "Loss"}),
        METRIC,
    ),
    (range_rules.at_least_one, config(ParameterRanges={}), "At least one"),
    (range_rules.max_tuned, many(31), "must not exceed 30, and is 31"),
    (
        range_rules.max_hyperparameters,
        job(StaticHyperParameters={f"s{n}": "1" for n in range(99)}),
        "must not exceed 100, and is 101",
    ),
    (
        range_rules.names,
        config(
            ParameterRanges=ranges()
            | {"IntegerParameterRanges": [{"Name": "width", "MinValue": "1", "MaxValue": "2"}]}
        ),
        "width has more than one range",
    ),
    (range_rules.names, job(StaticHyperParameters={"width": "1"}), "both static and in a range"),
    (range_rules.bounds, real("1", "1"), "must be less than MaxValue"),
    (range_rules.bounds, real("2", "1"), "must be less than MaxValue"),
    (range_rules.bounds, whole("1", "1"), "must be less than MaxValue"),
    (range_rules.bounds, real("low", "1"), "'low' of the hyperparameter width is not a finite"),
    (range_rules.bounds, real("nan", "1"), "must be finite"),
    (range_rules.bounds, real("0", "inf"), "must be finite"),
    (range_rules.bounds, whole("1", "2.5"), "'2.5' of the hyperparameter width is not an integer"),
    (range_rules.scaling, real("0", "1", ScalingType="Logarithmic"), "greater than 0"),
    (range_rules.scaling, whole("0", "9", ScalingType="Logarithmic"), "greater than 0"),
    (range_rules.scaling, real("0", "1", ScalingType="ReverseLogarithmic"), "0 <= x < 1.0"),
    (range_rules.scaling, real("-1", "0", ScalingType="ReverseLogarithmic"), "0 <= x < 1.0"),
    (range_rules.scaling, whole("1", "9", ScalingType="ReverseLogarithmic"), "everse log"),
    (range_rules.unique_values, words(["a", "b", "a", "c", "d", "e"]), "value 'a' more than once"),
    (
        tuning_rules.has_end,
        config(ResourceLimits={"MaxParallelTrainingJobs": 1}),
        "MaxNumberOfTrainingJobs or MaxRuntimeInSeconds is required",
    ),
    (tuning_rules.grid, config(Strategy="Grid"), "Only categorical parameters"),
    (tuning_rules.grid, grid(A_TO_E, count=4), "combinations possible, 5, and is 4"),
    (tuning_rules.grid, grid(A_TO_E, count=6), "combinations possible, 5, and is 6"),
    (tuning_rules.grid, grid(*[A_TO_E] * 5), "at most 750 training jobs, not 3125"),
    (tuning_rules.hyperband, hyperband(StrategyConfig=None), "could not be inferred"),
    (tuning_rules.hyperband, resource(MaxResource=20_001), "at most 20000"),
    (tuning_rules.hyperband, resource(MinResource=10, MaxResource=9), "MinResource 10"),
    (
        tuning_rules.hyperband,
        hyperband(TrainingJobEarlyStoppingType="Auto"),
        "EarlyStoppingType must be Off",
    ),
    (tuning_rules.hyperband, config(StrategyConfig={}), "the Hyperband strategy only"),
    (
        tuning_rules.single_algorithm,
        changed(several(), HyperParameterTuningJobConfig__TrainingJobEarlyStoppingType="Auto"),
        "Early stopping is available only",
    ),
    (
        tuning_rules.single_algorithm,
        several() | {"WarmStartConfig": {"ParentHyperParameterTuningJobs": []}},
        "Warm starting is available only",
    ),
    (
        tuning_rules.enough_combinations,
        words(["a", "b", "c"]),
        "combinations for the provided ranges [3.0] must be equal or greater than the value of "
        "MaxNumberOfJobs, [5]",
    ),
    (tuning_rules.enough_combinations, whole("1", "4"), "[4.0]"),
    (
        job_rules.one_algorithm,
        job(AlgorithmSpecification__AlgorithmName="x"),
        "exactly one of TrainingImage and AlgorithmName",
    ),
    (
        job_rules.channels,
        job(InputDataConfig=[{"ChannelName": "..", "DataSource": {"S3DataSource": {}}}]),
        "Channel name .. is not valid",
    ),
    (job_rules.one_algorithm, job(AlgorithmSpecification__TrainingImage=None), "exactly one"),
    (
        job_rules.spot_wait,
        job(StoppingCondition__MaxWaitTimeInSeconds=900),
        "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set "
        "to true",
    ),
    (job_rules.spot_wait, job(EnableManagedSpotTraining=True), "must be present"),
    (
        job_rules.spot_wait,
        job(EnableManagedSpotTraining=True, StoppingCondition__MaxWaitTimeInSeconds=599),
        "greater than or equal to MaxRuntimeInSeconds",
    ),
    (
        job_rules.spot_without_checkpoints,
        job(
            AlgorithmSpecification={"AlgorithmName": "bought", "TrainingInputMode": "File"},
            EnableManagedSpotTraining=True,
            StoppingCondition__MaxWaitTimeInSeconds=3601,
        ),
        "at most 3600",
    ),
    (
        job_rules.max_run,
        job(StoppingCondition={"MaxRuntimeInSeconds": 28 * 86_400 + 1}),
        "(28 days)",
    ),
    (job_rules.machines, job(ResourceConfig={}), "exactly one of InstanceType"),
    (job_rules.machines, job(ResourceConfig__InstanceCount=0), "both InstanceType and"),
    (job_rules.machines, job(ResourceConfig__InstanceGroups=[]), "exactly one of InstanceType"),
    (job_rules.machines, job(ResourceConfig__SelectedInstanceCount=1), "set by the service"),
    (
        job_rules.machines,
        preferred({"InstanceType": "ml.m5.large"}, InstanceType="ml.m5.large"),
        "exactly one of InstanceType",
    ),
    (
        job_rules.preferences,
        changed(
            preferred({"InstanceType": "ml.m5.large"}, InstanceCount=1),
            TrainingJobDefinition__EnableManagedSpotTraining=True,
            TrainingJobDefinition__StoppingCondition__MaxWaitTimeInSeconds=900,
        ),
        "InstancePreferences cannot",
    ),
    (job_rules.preferences, preferred({"InstanceType": "ml.m5.large"}), "in every one"),
    (
        job_rules.preferences,
        preferred({"InstanceType": "ml.m5.large", "InstanceCount": 1}, InstanceCount=1),
        "in none of them",
    ),
    (
        job_rules.preferences,
        preferred(
            {"InstanceType": "ml.m5.large", "InstanceCount": 1}, {"InstanceType": "ml.c5.large"}
        ),
        "in every one",
    ),
    (
        job_rules.preferences,
        preferred(*[{"InstanceType": "ml.m5.large"}] * 2, InstanceCount=1),
        "only once",
    ),
    (
        job_rules.disk_key,
        job(ResourceConfig__InstanceType="ml.g5.xlarge", ResourceConfig__VolumeKmsKeyId="k"),
        "ml.g5.xlarge has local storage",
    ),
    (
        job_rules.disk_key,
        preferred(
            {"InstanceType": "ml.m5.large"},
            {"InstanceType": "ml.p4d.24xlarge"},
            InstanceCount=1,
            VolumeKmsKeyId="k",
        ),
        "ml.p4d.24xlarge has local storage",
    ),
    (
        job_rules.disk_key,
        tuning_machines(
            InstanceType="ml.g4dn.xlarge", InstanceCount=1, VolumeSizeInGB=1, VolumeKmsKeyId="k"
        ),
        "ml.g4dn.xlarge has local storage",
    ),
    (job_rules.tuning_machines, tuning_machines(InstanceType="ml.m5.large"), "must have"),
    (
        job_rules.tuning_machines,
        tuning_machines(InstanceCount=1, InstanceConfigs=[{"InstanceType": "ml.m5.xlarge"}]),
        "together with InstanceCount",
    ),
    (job_rules.channels, job(InputDataConfig=[channel("a"), channel("a")]), "a is used more"),
    (
        job_rules.channels,
        job(InputDataConfig=[channel("a", S3DataSource={}, FileSystemDataSource={})]),
        "exactly one data source",
    ),
    (
        job_rules.tags,
        tuning() | {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
        "Duplicate tag key a",
    ),
    (job_rules.tags, tuning() | {"Tags": [{"Key": "aws:x", "Value": "1"}]}, "reserved"),
]


def refusal(request: dict[str, Any], store: Store | None = None) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        tuning_rules.check(request, REGION, store or Store())
    return caught.value


@pytest.mark.parametrize("name", GOOD)
def test_what_the_service_takes_is_taken(name: str) -> None:
    tuning_rules.check(GOOD[name], REGION, Store())


@pytest.mark.parametrize(
    ("rule", "request_", "said"),
    [pytest.param(*case, id=f"{case[0].__name__}-{n}") for n, case in enumerate(BAD)],
)
def test_what_the_service_refuses_is_refused(
    rule: Callable[..., Iterator[str]], request_: dict[str, Any], said: str
) -> None:
    error = refusal(request_)
    assert (error.code, error.status) == ("ValidationException", 400)
    assert said in error.message


def test_each_rule_has_a_request_that_breaks_it() -> None:
    known = {*tuning_rules.RULES, *range_rules.RULES, *job_rules.RULES} - {tuning_rules.ranges}
    assert known == {rule for rule, _, _ in BAD}


def test_each_rule_says_where_it_comes_from() -> None:
    tables: list[tuple[Callable[..., Any], ...]] = [
        tuning_rules.RULES,
        range_rules.RULES,
        job_rules.RULES,
        training.RULES,
    ]
    for rule in {rule for table in tables for rule in table}:
        assert rule.__doc__, rule


@pytest.mark.parametrize(
    ("strategy", "most"), [("Bayesian", 750), ("Random", 10_000), ("Hyperband", 750)]
)
def test_the_quota_of_trials(strategy: str, most: int) -> None:
    request = hyperband() if strategy == "Hyperband" else config(Strategy=strategy)
    limits = request["HyperParameterTuningJobConfig"]["ResourceLimits"]
    limits["MaxNumberOfTrainingJobs"] = most
    tuning_rules.check(request, REGION, Store())
    limits["MaxNumberOfTrainingJobs"] = most + 1
    assert refusal(request).code == "ResourceLimitExceeded"


@pytest.mark.parametrize(
    ("limit", "value"),
    [("MaxParallelTrainingJobs", 101), ("MaxRuntimeInSeconds", 30 * 86_400 + 1)],
)
def test_other_quotas(limit: str, value: int) -> None:
    request = config(**{f"ResourceLimits__{limit}": value})
    assert refusal(request).code == "ResourceLimitExceeded"


def ended(store: Store, request: dict[str, Any], status: str = "Completed") -> None:
    """Keep a tuning job that has ended."""
    name = request["HyperParameterTuningJobName"]
    kept = TuningJob(
        request=copy.deepcopy(request),
        arn=arn_of(REGION, "hyper-parameter-tuning-job", name),
        region=REGION,
        tags={},
        state=status,
    )
    store.add_tuning(kept)


def test_the_quota_of_jobs_at_a_time() -> None:
    store = Store()
    for number in range(100):
        request = tuning() | {"HyperParameterTuningJobName": f"job-{number}"}
        tuning_rules.check(request, REGION, store)
        ended(store, request, "InProgress")
    assert refusal(tuning(), store).code == "ResourceLimitExceeded"


def warm(request: dict[str, Any], kind: str = "TransferLearning", *names: str) -> dict[str, Any]:
    parents = [{"HyperParameterTuningJobName": name} for name in names or ("parent",)]
    return request | {
        "WarmStartConfig": {"ParentHyperParameterTuningJobs": parents, "WarmStartType": kind}
    }


def parent(status: str = "Completed", **static: str) -> Store:
    store = Store()
    request = changed(tuning(), HyperParameterTuningJobName="Parent")
    request["TrainingJobDefinition"]["StaticHyperParameters"] |= static
    ended(store, request, status)
    return store


@pytest.mark.parametrize("kind", ["TransferLearning", "IdenticalDataAndAlgorithm"])
@pytest.mark.parametrize("status", ["Completed", "Stopped", "Failed"])
def test_a_warm_start_from_the_same_job(kind: str, status: str) -> None:
    tuning_rules.check(warm(tuning(), kind), REGION, parent(status))


def test_a_warm_start_may_change_what_it_may() -> None:
    request = job(
        StaticHyperParameters={"depth": "4"},
        RoleArn="arn:aws:iam::123456789012:role/other",
        StoppingCondition={"MaxRuntimeInSeconds": 60},
        InputDataConfig=[channel("train")],
        EnableNetworkIsolation=False,
    )
    tuning_rules.check(warm(request), REGION, parent())
    # What was static may be tuned, as long as the names stay the same.
    both = config(
        ParameterRanges=ranges()
        | {"IntegerParameterRanges": [{"Name": "depth", "MinValue": "1", "MaxValue": "5"}]}
    )
    both["TrainingJobDefinition"]["StaticHyperParameters"] = {}
    tuning_rules.check(warm(both), REGION, parent())


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (hyperband(), "not supported with the Hyperband"),
        (job(StaticHyperParameters={}), "names is not the same across current and parent"),
        (job(StaticHyperParameters={"depth": "3", "new": "1"}), "names is not the same"),
        (whole("1", "9"), "width has another type"),
        (job(Environment={"A": "1"}), "Only the following fields in TrainingJobDefinition"),
        (job(EnableNetworkIsolation=True), "Only the following fields"),
        (
            config(HyperParameterTuningJobObjective={"Type": "Maximize", "MetricName": "loss"}),
            "Minimize loss",
        ),
    ],
)
def test_a_warm_start_may_not_change_the_rest(request_: dict[str, Any], said: str) -> None:
    error = refusal(warm(request_), parent())
    assert error.code == "ValidationException"
    assert said in error.message


def test_a_warm_start_may_change_ten_things() -> None:
    store = parent(**{f"s{n}": "1" for n in range(6)}, sagemaker_program="a.py")
    for count, good in ((5, True), (6, False)):
        static = {f"s{n}": "2" if n < count else "1" for n in range(6)}
        request = warm(
            job(StaticHyperParameters={"depth": "3", "sagemaker_program": "b.py", **static})
        )
        if good:
            tuning_rules.check(request, REGION, store)
        else:
            assert "must not exceed 10, and is 12" in refusal(request, store).message


def test_an_identical_warm_start_keeps_data_and_image() -> None:
    kind = "IdenticalDataAndAlgorithm"
    data = warm(job(InputDataConfig=[channel("train")]), kind)
    assert "input data must be" in refusal(data, parent()).message
    image = warm(job(AlgorithmSpecification__TrainingImage="own:2"), kind)
    assert "TrainingImage must be" in refusal(image, parent()).message


def test_parents_must_be_there_and_ended_and_differ() -> None:
    assert refusal(warm(tuning())).code == "ResourceNotFound"
    assert "terminal state" in refusal(warm(tuning()), parent("InProgress")).message
    twice = warm(tuning(), "TransferLearning", "parent", "PARENT")
    assert "more than once" in refusal(twice, parent()).message
    store = Store()
    ended(store, several() | {"HyperParameterTuningJobName": "parent"})
    assert "more than one algorithm" in refusal(warm(tuning()), store).message


def test_each_rule_of_warm_starts_is_used() -> None:
    assert len(warm_start.RULES) == len(set(warm_start.RULES)) == 8


@pytest.mark.parametrize(
    "member", ["AlgorithmSpecification", "ResourceConfig", "StoppingCondition"]
)
def test_what_a_training_job_needs(member: str) -> None:
    request = definition()
    training.check(request)
    del request[member]
    with pytest.raises(ServiceError, match=f"{member} is required"):
        training.check(request)


def test_combinations_of_a_continuum_are_endless() -> None:
    assert range_rules.Ranges(ranges(), {}).combinations == math.inf


# Over the wire.


def refused(emulator: Emulator, request: dict[str, Any]) -> dict[str, Any]:
    with pytest.raises(emulator.sagemaker.exceptions.ClientError) as caught:
        emulator.sagemaker.create_hyper_parameter_tuning_job(**request)
    error: dict[str, Any] = caught.value.response["Error"]
    return error


def test_a_name_is_taken_in_any_case(emulator: Emulator) -> None:
    request = emulator.tuning()
    emulator.sagemaker.create_hyper_parameter_tuning_job(**request)
    name = request["HyperParameterTuningJobName"]
    for other in (name, name.upper()):
        error = refused(emulator, request | {"HyperParameterTuningJobName": other})
        assert error["Code"] == "ResourceInUse"
        assert error["Message"] == (
            f"A hyperparameter tuning job with the name, {other}, already exists. "
            "Choose a different name."
        )
    emulator.tuned(name)
    assert refused(emulator, request)["Code"] == "ResourceInUse"  # for ever


def test_a_training_jobs_name_is_taken_in_any_case(emulator: Emulator) -> None:
    name = emulator.train()
    request = emulator.definition()
    del request["StaticHyperParameters"]
    for other in (name, name.upper()):
        with pytest.raises(emulator.sagemaker.exceptions.ResourceInUse):
            emulator.sagemaker.create_training_job(TrainingJobName=other, **request)
    assert emulator.trained(name)["TrainingJobStatus"] == "Completed"
    assert "loss=" in emulator.log(name)


def test_unknown_names(emulator: Emulator) -> None:
    for call in ("describe_hyper_parameter_tuning_job", "stop_hyper_parameter_tuning_job"):
        with pytest.raises(emulator.sagemaker.exceptions.ResourceNotFound):
            getattr(emulator.sagemaker, call)(HyperParameterTuningJobName="nowhere")
    with pytest.raises(emulator.sagemaker.exceptions.ClientError) as caught:
        emulator.sagemaker.describe_training_job(TrainingJobName="nowhere")
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"HyperParameterTuningJobName": "a_b"},
            "1 validation error detected: Value 'a_b' at 'hyperParameterTuningJobName' failed to "
            "satisfy constraint: Member must satisfy regular expression pattern: "
            "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}",
        ),
        (
            {"HyperParameterTuningJobName": "a" + "-" * 40 + "b"},
            "Member must have length less than or equal to 32",
        ),
        (
            {"Tags": [{"Key": f"k{n}", "Value": ""} for n in range(51)]},
            "at 'tags' failed to satisfy constraint: Member must have length less than or equal "
            "to 50",
        ),
        (
            {"Tags": [{"Key": "a\u2603", "Value": ""}]},
            "at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular",
        ),
    ],
)
def test_the_models_limits_hold(emulator: Emulator, changes: dict[str, Any], said: str) -> None:
    error = refused(emulator, tuning() | changes)
    assert error["Code"] == "ValidationException"
    assert said in error["Message"]


def test_all_limits_of_the_model_are_told_at_once(emulator: Emulator) -> None:
    request = tuning()
    request["HyperParameterTuningJobConfig"]["Strategy"] = "TPE"
    request["TrainingJobDefinition"]["RoleArn"] = "arn:aws:iam::1:role/too-short"
    request["TrainingJobDefinition"]["StaticHyperParameters"] = {"a": "x" * 2501}
    said = refused(emulator, request)["Message"]
    assert said.startswith("3 validation errors detected: ")
    assert "Member must satisfy enum value set: [Bayesian, Random, Hyperband, Grid]" in said
    assert "at 'trainingJobDefinition.staticHyperParameters.a.member' failed" in said
    assert len(said) < 3000  # long values are cut


def test_a_rule_of_meaning_reaches_the_client(emulator: Emulator) -> None:
    assert (
        METRIC in refused(emulator, job(AlgorithmSpecification__MetricDefinitions=None))["Message"]
    )
