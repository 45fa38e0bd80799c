"""How long Slurm takes for its own steps, in seconds; only these are divided by the speed.

A script's time, its limit, KillWait and MinJobAge are not.
"""

from __future__ import annotations

SCHEDULING = 2.0
"""From a change until the scheduler looks at the queue: 1 to 3 s measured with 24.11.5
(``sched_interval`` and ``batch_sched_delay`` of slurm.conf(5))."""
LAUNCHING = 0.5
"""From the allocation until the script runs; measured with 24.11.5."""
COMPLETING = 0.5
"""From the end of the last process until the job is complete; measured with 24.11.5."""
REQUEUED = 120.0
"""From a node's failure until a requeued job is eligible; about 2 minutes measured with 24.11.5."""
NODE_LOSS = 25.0
"""From the loss of a node until its jobs are NODE_FAIL, measured with 24.11.5 and a SlurmdTimeout
of 10 s."""
REBOOT = 300.0
"""From the loss of a node until it is back; chosen."""
