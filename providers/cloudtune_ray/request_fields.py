"""The fields of a study behind the defaults of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cloudtune_ray.job_program import GRACE

STUDY_FIELDS: Mapping[str, Sequence[str]] = {
    "entrypoint_num_cpus": ("trial.resources.cpus",),
    f"runtime_env.env_vars.{GRACE}": ("providers.ray.grace",),
}
