"""Where everything of a job lies in Cloud Storage, and how a container finds it.

A job's home is ``gs://BUCKET/PREFIX/JOB``. In it are ``source``, ``inputs``, ``measurements``, and
what the service makes the base of a trial's output: ``output/<trial id>`` managed,
``trials/<number>`` driven.
"""

from __future__ import annotations

import posixpath

from cloudtune.provider import START, Facts, Study, uses_launcher

MODULE = "cloudtune_trial"
"""The Python module that Google's prebuilt images start."""
PACKAGE = f"{MODULE}-1.tar.gz"
"""The source distribution that they install: it holds the module, and that holds the bundle."""
BUNDLE = "bundle.tar.gz"
"""The launcher and the user's code, for own images with Python."""
NUMBER = "{{number}}"
"""What stands for the number of a trial in the driven mode's request."""
JOB = "{{job}}"
"""What stands for the name of a trial's start there."""
MOUNT = "/gcs"
"""Where Vertex AI mounts Cloud Storage in every container."""

BOOTSTRAP = f"""\
import os, sys, tarfile, tempfile
archive = os.environ.get("CLOUDTUNE_GCS", "{MOUNT}") + "/" + sys.argv[1]
words = sys.argv[2:]
{START}"""
"""Unpacks the bundle that its first word names, and becomes the launcher with those that follow."""


def home(facts: Facts) -> str:
    """Return the address below which everything of a job lies."""
    parts = [facts.data["bucket"], facts.data["prefix"], facts.job_name]
    return "gs://" + "/".join(part.strip("/") for part in parts if part.strip("/"))


def source(facts: Facts, study: Study) -> str | None:
    """Return where the code that is brought lies: a package for a prebuilt image, else a bundle.

    None where nothing of ours is sent.
    """
    if not uses_launcher(study, facts):
        return None
    return f"{home(facts)}/source/{PACKAGE if facts.data['prebuilt'] else BUNDLE}"


def bootstrap(archive: str) -> list[str]:
    """Return the command by which an own image starts the launcher; its flags follow."""
    return ["python3", "-c", BOOTSTRAP, archive.removeprefix("gs://")]


def output(facts: Facts) -> str:
    """Return the base of what the trials of a tuning job produce; each has its id below it."""
    return f"{home(facts)}/output"


def trial_output(facts: Facts) -> str:
    """Return where a driven trial puts what it produces, the same for all of its starts."""
    return f"{home(facts)}/trials/{NUMBER}"


def measurements(facts: Facts) -> str:
    """Return below which address the launchers write what their trials measure."""
    return f"{home(facts)}/measurements"


def mounted(uri: str) -> str:
    """Return the path in a container at which an address of Cloud Storage is."""
    return posixpath.join(MOUNT, uri.removeprefix("gs://"))


def escape(value: str) -> str:
    """Return the value of a variable so that Vertex AI does not expand ``$(NAME)`` in it."""
    return value.replace("$(", "$$(")


def job_page(project: str, location: str, number: str) -> str:
    """Return where people look at a tuning job or a custom job.

    It is what ``_dashboard_uri`` of google-cloud-aiplatform 2.7.0 (aiplatform/jobs.py) prints.
    """
    console = "https://console.cloud.google.com/agent-platform/locations"
    return f"{console}/{location}/training/{number}?project={project}"
