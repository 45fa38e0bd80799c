"""Where the files of a job are, its placeholders, and the tags by which it is found.

The results of the driven mode are on the cluster's volume at ``spaces/SPACE/assets/PREFIX/START``:
each start of a trial has its own folder.
"""

from __future__ import annotations

from cloudtune.provider import PROGRAM, Facts

JOB = "{{job}}"
"""Placeholder for the name of a trial's start in the request of a training."""
DEFINITION = "{{definition}}"
"""Placeholder for the id of the stored model definition in the request of a training."""
DEPLOYMENT = "{{deployment}}"
"""Placeholder for the id of the deployment in the request of a deployment job."""
PARAMETERS = "{{parameters}}"
"""Placeholder for a trial's values, as JSON, in the request of a deployment job."""

RUN_TAG = "cloudtune-run:"
"""The prefix of the tag with the run's id, on each of its trainings."""
JOB_TAG = "cloudtune-job:"
"""The prefix of the tag with the name of a start, on its training."""
TAG = "cloudtune"

COMMAND = PROGRAM
"""The script of a training; IBM starts it with Python, and the trial's arguments follow."""
ARCHIVE_SUFFIX = ".modelDir.tar"
"""The suffix of archives that WML Accelerator unpacks."""
MODEL_FOLDER = "trial"
"""The only folder in that archive, with the launcher and the user's code."""
DATA_FOLDER = "$DATA_DIR"
"""The data folder of a trial; only the trial knows the value of IBM's variable."""


def results_root(facts: Facts) -> str:
    """Return the folder on the volume that has the results of all trainings."""
    data = facts.data
    kind, name = (
        ("projects", data["project_id"]) if data["project_id"] else ("spaces", data["space_id"])
    )
    parts = (kind, name, "assets", data["prefix"].strip("/"))
    return "/".join(part for part in parts if part)


def archive_name(facts: Facts) -> str:
    """Return the name of the archive that is sent to WML Accelerator."""
    return f"{facts.job_name}{ARCHIVE_SUFFIX}"
