"""Whether the quotas of instances suffice for the trials that run at a time.

Names of the quotas as in lists of accounts, for example "ml.m5.large for spot training job usage",
"ml.m5.large for training warm pool usage" and "Number of instances across all training jobs"
(public notes of several users, read 2026-11-27).
ListServiceQuotas leaves out quotas whose applied value is not available, for which
ListAWSDefaultServiceQuotas has the default (botocore 1.44.8, both documented there).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import inf

from cloudtune.provider import Check, Json, Plan
from cloudtune.provider.account import account_error, account_ok, account_unknown, account_warning
from cloudtune_sagemaker.account.ask import ask, unknown
from cloudtune_sagemaker.client import PAGE_SIZE, Aws
from cloudtune_sagemaker.resources import is_known
from cloudtune_sagemaker.settings import NAME, SageMakerSettings

PATH = "providers.sagemaker.instance_type"
_CONSOLE = "see Service Quotas, Amazon SageMaker, in the console"


def check_quotas(aws: Aws, plan: Plan) -> Iterator[Check]:
    """Yield whether the quotas suffice, for each instance type and for all together."""
    settings = plan.settings
    assert isinstance(settings, SageMakerSettings)
    types = [each for each in plan.facts.data["instance_types"] if is_known(each)]
    if not types:
        return
    parallel = plan.study.limits_for(NAME).parallel_trials or 1
    count = parallel * settings.instance_count
    kind = "spot training job" if settings.spot else "training job"
    right = "servicequotas:ListServiceQuotas"
    question = f"whether the quota of {', '.join(types)} covers {count} instances"
    quotas = yield from ask(
        lambda: _read(aws, "list_service_quotas"),
        unknown("quota", question, right, path=PATH, look=_CONSOLE),
    )
    if quotas is None:
        return
    names = [f"{each} for {kind} usage" for each in types]
    names.append(f"Number of instances across all {kind}s")
    is_kept = settings.keep_alive is not None and plan.mode == "driven"
    pools = [f"{each} for training warm pool usage" for each in types if is_kept]
    names += pools
    if any(name not in quotas for name in names):
        right = "servicequotas:ListAWSDefaultServiceQuotas"
        question = "the default of quotas that were never changed"
        defaults = yield from ask(
            lambda: _read(aws, "list_aws_default_service_quotas"),
            unknown("quota", question, right, path=PATH, look=_CONSOLE),
        )
        quotas = {**(defaults or {}), **quotas}
    in_use = yield from ask(
        lambda: _instances_in_use(aws, spot=settings.spot),
        unknown("quota-in-use", "how many instances are in use", "sagemaker:Search"),
    )
    for name in names:
        quota = quotas.get(name)
        if quota is None:
            yield account_unknown(
                id="quota",
                path=PATH,
                message=f"the account has no quota named {name!r}",
                fix=_CONSOLE,
            )
            continue
        if name in pools:
            yield _compare_pool(name, quota, count, plan.facts.data["region"])
            continue
        instance_type = name.partition(" for ")[0] if " for " in name else None
        used = _used(in_use, instance_type)
        region: str = plan.facts.data["region"]
        yield _compare(name, quota, count, used, region)


def _used(in_use: Counter[str] | None, instance_type: str | None) -> int:
    if in_use is None:
        return 0
    return in_use[instance_type] if instance_type else in_use.total()


def _compare(name: str, quota: Json, count: int, used: int, region: str) -> Check:
    value = float(quota.get("Value", inf))
    amount = f"{value:g}"
    if value < count:
        at_least = "no trial can run" if value < 1 else "the other trials fail or wait"
        return account_error(
            id="quota",
            path=PATH,
            message=f"the quota {name!r} is {amount}, and the study runs {count} instances at a "
            f"time: {at_least}",
            fix="request a higher quota, or lower limits.parallel_trials",
            command=_request(quota, count, region),
        )
    if value - used < count:
        return account_warning(
            id="quota-in-use",
            path=PATH,
            message=f"of the quota {name!r} of {amount}, {used} are in use now, and the study runs "
            f"{count} instances at a time",
            fix="wait until other jobs have ended, or request a higher quota",
            command="aws sagemaker list-training-jobs --status-equals InProgress --region "
            f"{region}",
        )
    return account_ok(id="quota", message=f"quota {name!r} is {amount} for {count}")


def _compare_pool(name: str, quota: Json, count: int, region: str) -> Check:
    """Return whether all instances can wait for the next trials; the others end with their job.

    "A warm pool is only created if your warm pool limit has sufficient resources", and "the default
    resource limit for warm pools is 0" (developer guide, train-warm-pools, read 2026-11-27).
    """
    value = float(quota.get("Value", inf))
    if value >= count:
        return account_ok(id="quota-warm-pool", message=f"quota {name!r} is {value:g} for {count}")
    return account_warning(
        id="quota-warm-pool",
        path="providers.sagemaker.keep_alive",
        message=f"the quota {name!r} is {value:g}, and the study runs {count} instances at a time: "
        f"{'keep_alive has no effect' if value < 1 else 'the other instances are not kept'}",
        fix="request a higher quota, or remove keep_alive",
        command=_request(quota, count, region),
    )


def _request(quota: Json, count: int, region: str) -> str:
    return (
        "aws service-quotas request-service-quota-increase --service-code sagemaker "
        f"--quota-code {quota['QuotaCode']} --desired-value {count} --region {region}"
    )


def _read(aws: Aws, operation: str) -> dict[str, Json]:
    """Return the quotas of SageMaker by name."""
    pages = aws.pages("service-quotas", operation, ServiceCode="sagemaker", MaxResults=PAGE_SIZE)
    return {quota["QuotaName"]: quota for page in pages for quota in page.get("Quotas", ())}


def _instances_in_use(aws: Aws, *, spot: bool) -> Counter[str]:
    """Return how many instances of each type training jobs use now."""
    used: Counter[str] = Counter()
    pages = aws.search_training_jobs("CreationTime", TrainingJobStatus="InProgress")
    for page in pages:
        for job in page:
            if bool(job.get("EnableManagedSpotTraining")) != spot:
                continue
            config = job.get("ResourceConfig", {})
            groups = config.get("InstanceGroups") or [config]
            for group in groups:
                used[group.get("InstanceType", "")] += group.get("InstanceCount", 0)
    return used
