"""The fields of a request that ``native`` may not replace, and those with defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

STUDY_FIELDS: Mapping[str, Sequence[str]] = {
    "sbatch.signal": ("providers.slurm.grace",),
    "sbatch.time": ("limits.trial_timeout", "providers.slurm.limits.trial_timeout"),
}
"""The fields of a study behind the values that a request has in any case."""
PROTECTED_PATHS = (
    *("host", "folder", "script", "env"),
    *(
        f"sbatch.{name}"
        for name in ("parsable", "job-name", "comment", "output", "open-mode", "chdir", "export")
    ),
    "sbatch.no-requeue",
)
"""What ``native`` may not replace."""
