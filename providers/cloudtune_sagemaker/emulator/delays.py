"""How long the service takes for what it does itself.

The seconds are of the order that users of the service see (minutes from a start to the first line
of the script); AWS promises none. Only these are divided by the speed: a script takes as long as it
takes, and so do the limits that it is held to.
"""

from __future__ import annotations

STARTING = 30.0
"""Status Starting: the job is taken up."""
PENDING = 60.0
"""Status Pending: an instance is found and started."""
DOWNLOADING = 60.0
"""Status Downloading: the image, the code and the data."""
UPLOADING = 15.0
"""Status Uploading: the model."""
RESTARTING = 30.0
"""Status Interrupted or Restarting: until the job is taken up again."""

GRACE = 120.0
"""Seconds between SIGTERM and SIGKILL (API reference, StopTrainingJob). The script's time, so it is
not divided."""
