"""How long the service takes for its own steps.

The first seconds and those of a cancellation are recorded (tests/recordings/vertex, 2026-07-08).
The others are of the order that users of the service see (minutes from a start to the first line of
the script); Google documents none. Only these delays are divided by the speed, never a script's
time or its limits.
"""

from __future__ import annotations

CREATED = 0.15
"""Any job, from its creation to JOB_STATE_QUEUED and ``startTime``: 0.1 to 0.2 s recorded."""
QUEUED = 1.5
"""Any job in JOB_STATE_QUEUED: up to 2 s in four of six recorded jobs, longer in the others."""
STARTING = 30.0
"""A tuning job in JOB_STATE_PENDING."""
PENDING = 120.0
"""A custom job in JOB_STATE_PENDING: finding a machine, and downloading the image."""
PERSISTENT = 15.0
"""The same on a persistent resource, which "significantly reduces the job startup time" (page
persistent-resource-train, read 2026-11-27)."""
RESTARTING = 60.0
"""From an interruption until the job runs on another machine."""
ENDING = 15.0
"""From the end of the script to the end of its job."""
WITHDRAWING = 3.0
"""From the cancellation of a job that waits to JOB_STATE_CANCELLED: 2 to 5 s recorded."""
CANCELLING = 15.0
"""A tuning job in JOB_STATE_CANCELLING, beyond the end of its trials."""

GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL. Google documents no signal; this is Kubernetes'
default. It is the script's time, so it is not divided."""
