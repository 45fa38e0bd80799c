"""Rules for CreateHyperParameterTuningJob.

The emulated account has the highest quotas that the service grants.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.emulator_kit import Json
from cloudtune_sagemaker.emulator import search_space
from cloudtune_sagemaker.emulator.errors import limit_exceeded
from cloudtune_sagemaker.emulator.rules import Rule, demand, warm_start
from cloudtune_sagemaker.emulator.rules import job as job_rules
from cloudtune_sagemaker.emulator.rules import ranges as range_rules
from cloudtune_sagemaker.emulator.rules.ranges import Ranges
from cloudtune_sagemaker.emulator.state import Store, TuningRequest

MAX_TRIALS = {"Bayesian": 750, "Random": 10_000, "Hyperband": 750, "Grid": 750}
"""Limits."""
MAX_PARALLEL = 100
"""Limits; the default is 10."""
MAX_JOBS = 100
"""Running tuning jobs (limits)."""
MAX_RUNTIME = 30 * 86_400
"""Seconds of a tuning job (limits; the model's own maximum is higher)."""
MAX_VARIABLES = 48
"""Environment variables over all definitions (model, Environment)."""
MAX_RESOURCE = 20_000
"""Epochs (model, HyperbandStrategyConfig.MaxResource)."""

_METRIC = (
    "A metric is required for this hyperparameter tuning job objective. Provide a metric in the "
    "metric definitions."
)
_BUILT_IN = frozenset(
    [
        *("xgboost", "sagemaker-xgboost", "linear-learner", "kmeans", "pca", "tabtransformer"),
        *("blazingtext", "image-classification", "object-detection", "semantic-segmentation"),
        *("forecasting-deepar", "seq2seq", "object2vec", "ipinsights", "knn", "lda", "ntm"),
        *("factorization-machines", "randomcutforest", "catboost", "lightgbm", "autogluon"),
    ]
)
"""Images of built-in algorithms, whose metrics are built in (guide, algos); by repository."""


def ranges_of(subject: TuningRequest) -> Iterator[Ranges]:
    """Yield the ranges of each definition."""
    for definition in subject.definitions:
        static = definition.get("StaticHyperParameters", {})
        yield Ranges(search_space.ranges_of(subject.config, definition), static)


def no_automatic_ranges(subject: TuningRequest) -> Iterator[str]:
    """The emulator's own limit: with Autotune, it uses what the request has."""
    if subject.config.get("ParameterRanges", {}).get("AutoParameters"):
        yield "This emulator has no AutoParameters: the service does not document its choices."


def one_or_list(subject: TuningRequest) -> Iterator[str]:
    """Model, CreateHyperParameterTuningJob: one definition or a list of them."""
    if ("TrainingJobDefinition" in subject.request) == subject.has_several:
        yield "Exactly one of TrainingJobDefinition and TrainingJobDefinitions must be specified."


def definitions(subject: TuningRequest) -> Iterator[str]:
    """Model, HyperParameterTrainingJobDefinition; guide, multiple-algorithm-hpo."""
    config = subject.config
    if not subject.has_several:
        definition = subject.definitions[0]
        if "HyperParameterTuningJobObjective" not in config and "TuningObjective" not in definition:
            yield "HyperParameterTuningJobObjective is required with TrainingJobDefinition."
        return
    for key in ("HyperParameterTuningJobObjective", "ParameterRanges"):
        if key in config:
            yield f"{key} cannot be specified together with TrainingJobDefinitions."
    for definition in subject.definitions:
        for key in ("DefinitionName", "TuningObjective", "HyperParameterRanges"):
            if key not in definition:
                yield f"{key} is required in each of TrainingJobDefinitions."
    names: list[str] = [each.get("DefinitionName", "") for each in subject.definitions]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"The DefinitionName {name} is used more than once."


def jobs(subject: TuningRequest) -> Iterator[str]:
    """The rules of training jobs; model: exactly one way to name the machines."""
    for definition in subject.definitions:
        keys = ("ResourceConfig", "HyperParameterTuningResourceConfig")
        if sum(key in definition for key in keys) != 1:
            yield f"Exactly one of {' and '.join(keys)} must be specified."
        for rule in job_rules.RULES:
            yield from rule({**definition, "Tags": subject.request.get("Tags", [])})


def variables(subject: TuningRequest) -> Iterator[str]:
    """Model, Environment of a definition: 48 in total."""
    count = sum(len(definition.get("Environment", {})) for definition in subject.definitions)
    if count > MAX_VARIABLES:
        yield (
            f"The number of environment variables over all training job definitions must not "
            f"exceed {MAX_VARIABLES}, and is {count}."
        )


def metrics(subject: TuningRequest) -> Iterator[str]:
    """Issues aws/sagemaker-python-sdk 3932 and aws/amazon-sagemaker-examples 1207."""
    for definition in subject.definitions:
        algorithm: Json = definition["AlgorithmSpecification"]
        names = {metric["Name"] for metric in algorithm.get("MetricDefinitions", ())}
        objective = search_space.objective_of(subject.config, definition)["MetricName"]
        if objective not in names and not _has_built_in_metrics(algorithm):
            yield _METRIC


def _has_built_in_metrics(algorithm: Json) -> bool:
    image: str = algorithm.get("TrainingImage", "")
    repository = image.rpartition("/")[2].partition(":")[0].partition("@")[0]
    return "AlgorithmName" in algorithm or repository in _BUILT_IN


def ranges(subject: TuningRequest) -> Iterator[str]:
    """The ranges of each definition."""
    for each in ranges_of(subject):
        for rule in range_rules.RULES:
            messages = list(rule(each))
            yield from messages
            if messages:
                return


def has_end(subject: TuningRequest) -> Iterator[str]:
    """Guide, automatic-model-tuning-progress: something must end the job."""
    if subject.strategy != "Grid" and not (
        "MaxNumberOfTrainingJobs" in subject.limits or "MaxRuntimeInSeconds" in subject.limits
    ):
        yield "MaxNumberOfTrainingJobs or MaxRuntimeInSeconds is required in ResourceLimits."


def grid(subject: TuningRequest) -> Iterator[str]:
    """Guide, automatic-model-tuning-how-it-works: categorical only, with the exact count."""
    if subject.strategy != "Grid":
        return
    for each in ranges_of(subject):
        if each.integers or each.continuous:
            yield "Only categorical parameters are supported when using the grid search strategy."
    product = int(sum(each.combinations for each in ranges_of(subject)))
    count = subject.limits.get("MaxNumberOfTrainingJobs", product)
    if count != product:
        yield (
            f"MaxNumberOfTrainingJobs must equal the total number of distinct categorical "
            f"combinations possible, {product}, and is {count}."
        )
    if product > MAX_TRIALS["Grid"]:
        yield f"Grid search takes at most {MAX_TRIALS['Grid']} training jobs, not {product}."


def hyperband(subject: TuningRequest) -> Iterator[str]:
    """Model, HyperbandStrategyConfig; issue awslabs/graphstorm 1243 (the first message)."""
    config = subject.config
    if subject.strategy != "Hyperband":
        if "StrategyConfig" in config:
            yield "StrategyConfig can be specified with the Hyperband strategy only."
        return
    hyperband_config = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    low: int = hyperband_config.get("MinResource", 1)
    for definition in subject.definitions:
        high = search_space.max_resource(config, definition)
        if high is None:
            yield (
                "MaxResource parameter is not provided and could not be inferred from provided "
                "static hyperparameters of TrainingJobDefinition."
            )
        elif high > MAX_RESOURCE:
            yield f"MaxResource must be at most {MAX_RESOURCE}, and is {high}."
        elif low > high:
            yield f"MinResource {low} must not be greater than MaxResource {high}."
    if config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
        yield "TrainingJobEarlyStoppingType must be Off with the Hyperband strategy."


def single_algorithm(subject: TuningRequest) -> Iterator[str]:
    """Guide, multiple-algorithm-hpo: warm start and early stopping need a single algorithm."""
    if not subject.has_several:
        return
    if subject.config.get("TrainingJobEarlyStoppingType") == "Auto":
        yield "Early stopping is available only when tuning a single algorithm."
    if "WarmStartConfig" in subject.request:
        yield "Warm starting is available only when tuning a single algorithm."


def enough_combinations(subject: TuningRequest) -> Iterator[str]:
    """Issue aws/amazon-sagemaker-operator-for-k8s 123."""
    limit = subject.limits.get("MaxNumberOfTrainingJobs", 0)
    total = sum(each.combinations for each in ranges_of(subject))
    if subject.strategy != "Grid" and total < limit:
        yield (
            "You don't have enough combinations of hyperparameter ranges. The total number of "
            f"hyperparameter combinations for the provided ranges [{float(total)}] must be equal "
            f"or greater than the value of MaxNumberOfJobs, [{limit}]. Provide additional ranges."
        )


RULES: tuple[Rule[TuningRequest], ...] = (
    no_automatic_ranges,
    one_or_list,
    definitions,
    jobs,
    variables,
    metrics,
    ranges,
    has_end,
    grid,
    hyperband,
    single_algorithm,
    enough_combinations,
)


def check(request: Json, region: str, store: Store) -> None:
    """Refuse a tuning job that breaks a rule or exceeds a quota.

    Raises:
        ServiceError: With the first reason.
    """
    subject = TuningRequest(request)
    demand(RULES, subject)
    _demand_quotas(subject, region, store)
    if "WarmStartConfig" in request:
        warm_start.check(request, region, store)


def _demand_quotas(subject: TuningRequest, region: str, store: Store) -> None:
    running = sum(not job.is_over for job in store.tunings(region))
    quotas = {
        "training jobs": (
            subject.limits.get("MaxNumberOfTrainingJobs", 0),
            MAX_TRIALS[subject.strategy],
        ),
        "parallel training jobs": (subject.limits["MaxParallelTrainingJobs"], MAX_PARALLEL),
        "seconds of run time": (subject.limits.get("MaxRuntimeInSeconds", 0), MAX_RUNTIME),
        "parallel hyperparameter tuning jobs": (running + 1, MAX_JOBS),
    }
    for name, (count, limit) in quotas.items():
        if count > limit:
            raise limit_exceeded(
                f"The account-level service limit for the number of {name} of a hyperparameter "
                f"tuning job is {limit}, and {count} are requested. Please contact AWS support to "
                "request an increase for this limit."
            )
