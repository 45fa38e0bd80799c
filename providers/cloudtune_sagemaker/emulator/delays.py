"""How long the service takes for its own steps.

The seconds are of the order that users of the service see (minutes from a start to the first line
of the script); AWS documents none. Only these delays are divided by the speed, never a script's
time or its limits.
"""

from __future__ import annotations

STARTING = 30.0
"""Status Starting: scheduling the job."""
PREPARING = 60.0
"""Status Starting, too: starting an instance."""
DOWNLOADING = 60.0
"""Status Downloading: the image, the code and the data."""
WARM = 20.0
"""From the start to the script on the instances of a warm pool: "Job launch time will be less than
30sec" (aws-samples/sagemaker-ssh-helper, FAQ.md, read 2026-11-27)."""
STOPPING = 5.0
"""Status Stopping of a job whose script has not begun: less than a second in a text of 2019, more
than one call in a recording of 2018 (tests/recordings/sagemaker)."""
UPLOADING = 15.0
"""Status Uploading: the model."""
RESTARTING = 30.0
"""Status Interrupted or Restarting: until the job is scheduled again."""

GRACE = 120.0
"""Seconds between SIGTERM and SIGKILL (API reference, StopTrainingJob). It is the script's time,
so it is not divided."""
