"""The fields of a study behind the defaults of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

STUDY_FIELDS: Mapping[str, Sequence[str]] = {
    "entrypoint_num_cpus": ("trial.resources.cpus",),
    "runtime_env.env_vars.RAY_JOB_STOP_WAIT_TIME_S": ("providers.ray.grace",),
}
