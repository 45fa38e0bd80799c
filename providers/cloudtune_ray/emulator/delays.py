"""How long a cluster takes for its own steps, measured on two busy cores with Ray 2.60.0.

Only these delays are divided by the speed, never a script's time or its limits.
"""

from __future__ import annotations

STARTING = 5.0
"""From the submission of a job until its supervisor runs the command."""
NODE_LOSS = 18.0
"""From the death of a node until its jobs have failed."""
START_TIMEOUT = 900.0
"""After which a job without a node fails (RAY_JOB_START_TIMEOUT_SECONDS, dashboard/consts.py)."""
GRACE = 3
"""Seconds from SIGTERM to SIGKILL, unless RAY_JOB_STOP_WAIT_TIME_S is set (job_supervisor.py)."""
