"""How long the services take for their own steps.

IBM documents none. In an HPO notebook of IBM/wmla-assets trials start six seconds apart, and the
next of a batch three seconds after the end of the last. Only these delays are divided by the speed,
never a script's time or its limits.
"""

from __future__ import annotations

STARTING = 10.0
"""A search in SUBMITTED."""
PENDING = 60.0
"""A job until its container runs."""
RESTARTING = 60.0
"""From an interruption until the job runs on another machine."""
DEPLOYING = 5.0
"""A deployment until it is ready; those in IBM's notebooks were ready at once."""
QUEUED = 30.0
"""A deployment job until its container runs: 15 to 45 seconds in IBM's notebooks (cloud, September
2025, and Cloud Pak for Data 5.2, May 2025)."""
SEEN = 10.0
"""From the start of a script until its deployment job is shown as running. Jobs of 12 to 55 seconds
had ``running_at`` 0 to 2 seconds before their end, with some not shown as running at all
(tests/recordings/ibm, 2021 to 2024)."""
QUEUE_CHECK = 2.0
"""Between two looks of a waiting job at the running jobs of its deployment."""
STORING = 15.0
"""From the end of a script to the end of its job."""

GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL. IBM documents no signal; this is Kubernetes'
default. It is the script's time, so it is not divided."""
