"""Names that stand in a request until a trial starts, and where everything of a job lies.

A driven job's results lie on the cluster's volume at ``spaces/SPACE/assets/PREFIX/START``: a folder
for each start of a trial.
"""

from __future__ import annotations

from cloudtune.provider import PROGRAM, Facts

JOB = "{{job}}"
"""What stands for the name of a trial's start in the request of a training."""
DEFINITION = "{{definition}}"
"""What stands for the id of the stored model definition, which is the bundle, there."""

RUN_TAG = "cloudtune-run:"
"""Begins the tag with the run's id, on its definition and on each of its trainings."""
JOB_TAG = "cloudtune-job:"
"""Begins the tag with the name of a start, on its training."""
TAG = "cloudtune"

COMMAND = PROGRAM
"""What a training runs; IBM puts its Python before it, and the trial's words follow."""
MODEL_DIR = ".modelDir.tar"
"""How the name of an archive ends that WML Accelerator unpacks."""
MODEL_FOLDER = "trial"
"""The one folder in that archive; the launcher and the user's code are in it."""
DATA = "$DATA_DIR"
"""Where the data are in a trial; what IBM sets the variable to is known there alone."""


def home(facts: Facts) -> str:
    """Return the folder on the volume below which results of trainings lie."""
    data = facts.data
    kind, name = (
        ("projects", data["project_id"]) if data["project_id"] else ("spaces", data["space_id"])
    )
    parts = (kind, name, "assets", data["prefix"].strip("/"))
    return "/".join(part for part in parts if part)


def results(facts: Facts) -> str:
    """Return the folder on the volume in which a start of a trial puts what it produces."""
    return f"{home(facts)}/{JOB}"


def archive_name(facts: Facts) -> str:
    """Return what the archive is called that is sent to WML Accelerator."""
    return f"{facts.job_name}{MODEL_DIR}"
