"""Google's package with the clients of all services is loaded only when one of them is used."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from cloudtune_vertex.google_sdk import import_google

types = import_google("google.cloud.aiplatform_v1.types")
from google.cloud import aiplatform_v1 as v1
from google.cloud.aiplatform_v1 import gapic_version
assert v1.types is types and v1.gapic_version is gapic_version
services = [name for name in sys.modules if name.startswith("google.cloud.aiplatform_v1.services.")]
assert types.CustomJob(display_name="a").display_name == "a" and services == [], services

job_service = import_google("google.cloud.aiplatform_v1.services.job_service")
from google.cloud.aiplatform_v1 import JobServiceClient
import google.cloud.aiplatform_v1
assert google.cloud.aiplatform_v1 is v1
assert v1.JobServiceClient is JobServiceClient is job_service.JobServiceClient
assert v1.CustomJob is types.CustomJob and v1.EndpointServiceClient.__name__
assert "CustomJob" in dir(v1) and "CustomJob" in v1.__all__ and v1.__version__
try:
    v1.missing
except AttributeError as error:
    assert "missing" in str(error)
else:
    raise AssertionError
"""


def test_the_whole_package_is_there_for_other_code() -> None:
    words = [sys.executable, "-c", CODE]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
