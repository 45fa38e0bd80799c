"""Looks up the image of a framework with the ``sagemaker`` package, in either major version.

The package runs in its own process: it takes seconds to import, prints while it does, and would
read AWS profiles. The process gets no credentials, and telemetry is turned off.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from cloudtune.provider import CloudtuneError
from cloudtune_sagemaker.settings import Framework

TIMEOUT = 120.0
"""Seconds."""
_NO_TELEMETRY = (
    "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n"
)
_LOOK_UP = """\
import json, sys
query = json.loads(sys.argv[1])
try:
    from sagemaker import image_uris
except ImportError:
    from sagemaker.core import image_uris
try:
    result = {"image": image_uris.retrieve(image_scope="training", **query)}
except FileNotFoundError:
    result = {"error": "the sagemaker package does not know the framework " + query["framework"]}
except ValueError as error:
    result = {"error": str(error)}
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump(result, file)
"""


class ImageLookupError(CloudtuneError):
    """The image of a framework cannot be found; the message has the reason."""


def find_image(framework: Framework, region: str, instance_type: str) -> str:
    """Return the address of a framework's training image.

    Raises:
        ImageLookupError: If there is no such image, or the ``sagemaker`` package is not installed.
    """
    if find_spec("sagemaker") is None:
        raise ImageLookupError(
            "looking up an image needs the sagemaker package: pip install "
            "'cloudtune[sagemaker-sdk]'"
        )
    query = {
        "framework": framework.name,
        "region": region,
        "version": framework.version,
        "py_version": framework.python,
        "instance_type": instance_type,
    }
    with tempfile.TemporaryDirectory(prefix="cloudtune-") as folder:
        return _run_query(query, Path(folder))


def _run_query(query: dict[str, str | None], folder: Path) -> str:
    config, result_file = folder / "config.yaml", folder / "result.json"
    config.write_text(_NO_TELEMETRY, "utf-8")
    try:
        process = subprocess.run(
            [sys.executable, "-c", _LOOK_UP, json.dumps(query), str(result_file)],
            env=_environment(config),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ImageLookupError("the sagemaker package did not respond in time") from error
    if not result_file.exists():
        last_lines = process.stderr.strip().splitlines()[-1:] or ["unknown error"]
        raise ImageLookupError(f"cannot use the sagemaker package: {last_lines[0]}")
    result = json.loads(result_file.read_text("utf-8"))
    if "error" in result:
        raise ImageLookupError(result["error"])
    return str(result["image"])


def _environment(config: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(config),
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(config),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
