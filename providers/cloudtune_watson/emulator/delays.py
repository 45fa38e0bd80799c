"""How long the services take for what they do themselves.

IBM promises none. In an HPO notebook of IBM/wmla-assets trials are seen to be launched six seconds
apart, and the next of a batch three seconds after the last has ended. Only these are divided by the
speed: a script takes as long as it takes, and so do the limits that it is held to.
"""

from __future__ import annotations

STARTING = 10.0
"""A search in SUBMITTED."""
PENDING = 60.0
"""A job until its container runs."""
RESTARTING = 60.0
"""Until a job whose machine was taken away runs on another one."""
STORING = 15.0
"""From the end of a script to the end of its job."""

GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL. IBM documents no signal at all; this is what Kubernetes
gives. The script's time, so it is not divided."""
