"""How long the service takes for what it does itself.

The seconds are of the order that users of the service see (minutes from a start to the first line
of the script); Google promises none. Only these are divided by the speed: a script takes as long as
it takes, and so do the limits that it is held to.
"""

from __future__ import annotations

STARTING = 30.0
"""A tuning job in JOB_STATE_PENDING."""
PENDING = 120.0
"""A custom job in JOB_STATE_PENDING: a machine is found, and its image fetched."""
RESTARTING = 60.0
"""Until a job whose machine was taken away runs on another one."""
ENDING = 15.0
"""From the end of the script to the end of its job."""
CANCELLING = 15.0
"""A tuning job in JOB_STATE_CANCELLING, beyond the end of its trials."""

GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL. Google documents no signal at all; this is what Kubernetes
gives. The script's time, so it is not divided."""
