"""Checks ``native`` against the fields of ``JobSubmitRequest`` and of a runtime environment.

From Ray 2.60.0, dashboard/modules/job/common.py and runtime_env/runtime_env.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudtune.provider import Finding, Note, did_you_mean, is_map
from cloudtune_ray.rules.settings import SETTINGS
from cloudtune_ray.settings import TUNE_FIELDS

REQUEST = frozenset(
    {
        *("entrypoint", "submission_id", "runtime_env", "metadata", "entrypoint_num_cpus"),
        *("entrypoint_num_gpus", "entrypoint_memory", "entrypoint_resources"),
        "entrypoint_label_selector",
    }
)
ENVIRONMENT = frozenset(
    {
        *("py_modules", "py_executable", "working_dir", "conda", "pip", "uv", "container"),
        *("excludes", "env_vars", "config", "worker_process_setup_hook", "nsight", "mpi"),
        *("image_uri", "rocprof_sys", "java_jars", "_ray_commit", "_inject_current_ray"),
    }
)


def native_rules(native: Mapping[str, Any], block: Mapping[str, Any]) -> Iterator[Finding | Note]:
    """Yield the fields that Ray does not know; it refuses a request that has one.

    Args:
        native: The part of a request.
        block: The settings as the study has them, also with the fields of Ray Tune.
    """
    path = f"{SETTINGS}.native"
    kept: Any = block.get("native")
    for key in sorted(TUNE_FIELDS & kept.keys()) if is_map(kept) else ():
        yield Note(f"{path}.{key}", "kept for exports to Ray Tune; jobs do not use it")
    for key in sorted(native.keys() - REQUEST):
        hint = did_you_mean(key, REQUEST)
        reason = f"a job of Ray has no such field{f'; {hint}' if hint else ''}"
        yield Finding("refused", f"{path}.{key}", reason)
    environment: Any = native.get("runtime_env")
    for key in sorted(environment.keys() - ENVIRONMENT) if is_map(environment) else ():
        field = f"{path}.runtime_env.{key}"
        if hint := did_you_mean(key, ENVIRONMENT):
            yield Finding("refused", field, f"unknown field of a runtime environment; {hint}")
        else:
            yield Note(field, "unknown field of a runtime environment: sent unchanged")
