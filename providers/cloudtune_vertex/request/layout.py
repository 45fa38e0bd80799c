"""The files of a job in Cloud Storage, and how a container finds them.

The folder of a job is ``gs://BUCKET/PREFIX/JOB``. It contains ``source``, ``measurements``, and the
base of each trial's output: ``output/<trial id>`` in managed mode, ``trials/<number>`` in driven
mode. Inputs are below ``gs://BUCKET/PREFIX/uploads``, for all jobs with the same.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from cloudtune.provider import START, Facts, Study
from cloudtune.provider.lookup import uses_launcher

RUN_LABEL = "cloudtune-run"
JOB_LABEL = "cloudtune-job"
MODULE = "cloudtune_trial"
"""The Python module that Google's prebuilt images start."""
PACKAGE = f"{MODULE}-1.tar.gz"
"""The source distribution that they install: it contains the module with the bundle."""
BUNDLE = "bundle.tar.gz"
"""The launcher and the user's code, for custom images with Python."""
NUMBER = "{{number}}"
"""Placeholder for the number of a trial in the template of the driven mode."""
JOB = "{{job}}"
"""Placeholder for the name of a trial's start there."""
MOUNT = "/gcs"
"""Where Vertex AI mounts Cloud Storage in every container."""

BOOTSTRAP = f"""\
import os, sys, tarfile, tempfile
archive = os.environ.get("CLOUDTUNE_GCS", "{MOUNT}") + "/" + sys.argv[1]
words = sys.argv[2:]
{START}"""
"""Unpacks the bundle that its first argument names, and passes the others to the launcher."""


def uploads_uri(data: Mapping[str, Any]) -> str:
    """Return the address below which the inputs of all jobs are uploaded."""
    return _join(data["bucket"], data["prefix"])


def job_uri(facts: Facts) -> str:
    """Return the address of a job's folder."""
    return _join(facts.data["bucket"], facts.data["prefix"], facts.job_name)


def _join(*parts: str) -> str:
    return "gs://" + "/".join(part.strip("/") for part in parts if part.strip("/"))


def code_uri(facts: Facts, study: Study) -> str | None:
    """Return the address of the uploaded code: a package for a prebuilt image, else a bundle.

    None if no code is uploaded.
    """
    if not uses_launcher(study, facts):
        return None
    return f"{job_uri(facts)}/source/{PACKAGE if facts.data['prebuilt'] else BUNDLE}"


def bootstrap_command(uri: str) -> list[str]:
    """Return the command that starts the launcher in a custom image; its flags follow."""
    return ["python3", "-c", BOOTSTRAP, uri.removeprefix("gs://")]


def output_uri(facts: Facts) -> str:
    """Return the base of the output of a tuning job; each trial adds its id."""
    return f"{job_uri(facts)}/output"


def trial_output_uri(facts: Facts) -> str:
    """Return the base of a driven trial's output, which all of its starts share."""
    return f"{job_uri(facts)}/trials/{NUMBER}"


def measurements_uri(facts: Facts) -> str:
    """Return the folder to which the launchers write the measurements of their trials."""
    return f"{job_uri(facts)}/measurements"


def mounted_path(uri: str) -> str:
    """Return the path of a Cloud Storage address in a container."""
    return posixpath.join(MOUNT, uri.removeprefix("gs://"))


def escape(value: str) -> str:
    """Escape the value of a variable, so that Vertex AI does not expand ``$(NAME)`` in it."""
    return value.replace("$(", "$$(")
