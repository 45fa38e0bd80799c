"""Warm pools: the instances of a training job that has ended, kept for the next one.

Rules: developer guide, page train-warm-pools (awsdocs/amazon-sagemaker-developer-guide, read
2026-11-27), and WarmPoolStatus in the model of botocore 1.44.8. The time of a pool is not divided
by the speed: it passes between scripts, whose time is not.
"""

from __future__ import annotations

import math
import time

from cloudtune.emulator_kit import Json
from cloudtune_sagemaker.emulator.errors import invalid
from cloudtune_sagemaker.emulator.identity import INSTANCE_QUOTA
from cloudtune_sagemaker.emulator.state import TrainingJob, WarmPool

MAX_LIFE = 28 * 86_400
"""Seconds in which a pool can move from job to job (docs.amazonaws.cn, same page, read 2026-11-27;
an earlier version of the guide has 7 days)."""
_RESOURCES = ("InstanceCount", "InstanceType", "VolumeKmsKeyId", "VolumeSizeInGB")
_NETWORK = ("SecurityGroupIds", "Subnets")
_SWITCHES = ("EnableInterContainerTrafficEncryption", "EnableNetworkIsolation")


class WarmPools:
    """The warm pools of all jobs. The caller holds the emulator's lock."""

    def __init__(self) -> None:
        self._jobs: list[TrainingJob] = []
        """Jobs whose pools were available at the last look, oldest first."""

    def reuse(self, job: TrainingJob) -> bool:
        """Move an available pool to a job that matches it; return whether there is one."""
        values = _matching_values(job)
        for other in self._available():
            if other.region == job.region and values == _matching_values(other):
                assert other.pool is not None
                job.pool = WarmPool(other.pool.launched)
                other.pool.end("Reused", job.name)
                return True
        return False

    def use(self, job: TrainingJob) -> None:
        """Note that a job that keeps its instances has them now."""
        if job.pool is None and _keep_alive(job):
            job.pool = WarmPool(time.time())

    def keep(self, job: TrainingJob, *, healthy: bool) -> None:
        """Keep the instances of a job that has just ended, unless its service failed it.

        A pool is kept also after a stop and after an error of the algorithm or the client. Without
        a quota for it "a warm pool is not retained", and its status is Terminated.
        """
        pool = job.pool
        if pool is None:
            return
        now = time.time()
        pool.idle_since = now
        pool.until = min(now + _keep_alive(job), pool.launched + MAX_LIFE)
        config: Json = job.request["ResourceConfig"]
        idle = sum(
            other.request["ResourceConfig"]["InstanceCount"]
            for other in self._available()
            if other.region == job.region
            and other.request["ResourceConfig"]["InstanceType"] == config["InstanceType"]
        )
        if healthy and pool.until > now and idle + config["InstanceCount"] <= INSTANCE_QUOTA:
            pool.status = "Available"
            self._jobs.append(job)
        else:
            pool.until = now
            pool.end("Terminated")

    def update(self, job: TrainingJob, seconds: int) -> None:
        """Change how long an available pool is kept; 0 terminates it.

        Raises:
            ServiceError: If the pool is not available; the words are not verified.
        """
        if job not in self._available() or job.pool is None or job.pool.idle_since is None:
            raise invalid(
                "KeepAlivePeriodInSeconds can only be updated while the warm pool status of the "
                "training job is Available."
            )
        job.request = {
            **job.request,
            "ResourceConfig": {
                **job.request["ResourceConfig"],
                "KeepAlivePeriodInSeconds": seconds,
            },
        }
        job.updated = time.time()
        job.pool.until = min(job.pool.idle_since + seconds, job.pool.launched + MAX_LIFE)
        if seconds == 0:
            job.pool.until = job.updated
        job.pool.expire()

    def _available(self) -> list[TrainingJob]:
        for job in self._jobs:
            if job.pool is not None:
                job.pool.expire()
        self._jobs = [job for job in self._jobs if job.pool and job.pool.status == "Available"]
        return self._jobs


def status(job: TrainingJob) -> Json:
    """Return the member WarmPoolStatus of a job, empty if it has no pool."""
    if job.pool is None:
        return {}
    pool = job.pool
    pool.expire()
    view: Json = {"Status": pool.status}
    if pool.ended is not None and pool.idle_since is not None:
        view["ResourceRetainedBillableTimeInSeconds"] = math.ceil(pool.ended - pool.idle_since)
    if pool.reused_by is not None:
        view["ReusedByJob"] = pool.reused_by
    return {"WarmPoolStatus": view}


def _keep_alive(job: TrainingJob) -> int:
    """Return the KeepAlivePeriodInSeconds of a job.

    Of a list of InstancePreferences, whether its instances are kept is not verified: they are not.
    """
    config: Json = job.request["ResourceConfig"]
    return int(config.get("KeepAlivePeriodInSeconds", 0)) if "InstanceType" in config else 0


def _matching_values(job: TrainingJob) -> tuple[object, ...]:
    """Return what "must be the same for a warm pool to move": guide, Matching training jobs."""
    request = job.request
    network: Json = request.get("VpcConfig", {})
    return (
        request["RoleArn"],
        *(request["ResourceConfig"].get(name) for name in _RESOURCES),
        *(sorted(network.get(name, ())) for name in _NETWORK),
        *(bool(request.get(name)) for name in _SWITCHES),
    )
