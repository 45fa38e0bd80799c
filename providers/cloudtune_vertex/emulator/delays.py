"""How long the service takes for its own steps.

The seconds are of the order that users of the service see (minutes from a start to the first line
of the script); Google documents none. Only these delays are divided by the speed, never a script's
time or its limits.
"""

from __future__ import annotations

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
CANCELLING = 15.0
"""A tuning job in JOB_STATE_CANCELLING, beyond the end of its trials."""

GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL. Google documents no signal; this is Kubernetes'
default. It is the script's time, so it is not divided."""
