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
STORING = 15.0
"""From the end of a script to the end of its job."""

GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL. IBM documents no signal; this is Kubernetes'
default. It is the script's time, so it is not divided."""
