"""The launcher, which a service starts in place of the user's script, and what it needs.

The files travel with the user's code, so they need only `cloudtune.trial`, the standard library and
Python 3.7.
"""

from __future__ import annotations

STUDY_FILE = "cloudtune_study.json"
"""What the launcher knows of the study: see `cloudtune.bundle.launcher.launch_data`."""
CONTRACT_FILE = "launcher_contract.py"
"""The service's `Contract`, next to this file in the archive of a job."""
SEED = "CLOUDTUNE_SEED"
"""Environment variable of the script: its seed. Also the name under which that of a confirming
trial is sent."""
LAUNCHER = "cloudtune: "
"""How a line begins that the launcher itself prints about a trial."""
