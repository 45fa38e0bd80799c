"""How long Azure takes for its own steps, by recorded jobs (tests/recordings/azure).

Only these delays are divided by the speed, never a script's time or its limits.
"""

from __future__ import annotations

STARTING = 5.0
"""From the creation of a job until it is queued (command_ray_command_job)."""
QUEUED = 105.0
"""From there until its machine runs (command_ray_command_job: Running at 155 seconds)."""
CANCELLING = 29.0
"""Seconds until the result of a cancellation is there (command_job_dependency_label_resolution);
the grace of a script from SIGTERM to SIGKILL is chosen alike."""
