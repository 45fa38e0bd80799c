"""Looks up the image of a framework, by the ``sagemaker`` package in either of its major versions.

It is asked in a process of its own: it takes seconds to import, prints while it does, and would
read profiles. It is given no credential, and its reports to its maker are switched off.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from cloudtune.errors import CloudtuneError
from cloudtune_sagemaker.settings import Framework

PATIENCE = 120.0
"""Seconds that the look-up may take."""
_NO_REPORTS = (
    "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n"
)
_LOOK_UP = """\
import json, sys
asked = json.loads(sys.argv[1])
try:
    from sagemaker import image_uris
except ImportError:
    from sagemaker.core import image_uris
try:
    answer = {"image": image_uris.retrieve(image_scope="training", **asked)}
except FileNotFoundError:
    answer = {"error": "the sagemaker package knows no framework " + asked["framework"]}
except ValueError as error:
    answer = {"error": str(error)}
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump(answer, file)
"""


class CannotLookUpError(CloudtuneError):
    """The image of a framework cannot be found; it says why."""


def image_of(framework: Framework, region: str, instance_type: str) -> str:
    """Return the address of a framework's training image.

    Raises:
        CannotLookUpError: If there is none, or the ``sagemaker`` package is not installed.
    """
    if find_spec("sagemaker") is None:
        raise CannotLookUpError(
            "looking up an image needs the sagemaker package: pip install "
            "'cloudtune[sagemaker-sdk]'"
        )
    asked = {
        "framework": framework.name,
        "region": region,
        "version": framework.version,
        "py_version": framework.python,
        "instance_type": instance_type,
    }
    with tempfile.TemporaryDirectory(prefix="cloudtune-") as folder:
        return _asked(asked, Path(folder))


def _asked(asked: dict[str, str | None], folder: Path) -> str:
    config, answer = folder / "config.yaml", folder / "answer.json"
    config.write_text(_NO_REPORTS, "utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LOOK_UP, json.dumps(asked), str(answer)],
            env=_environment(config),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotLookUpError("the sagemaker package did not answer in time") from error
    if not answer.exists():
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise CannotLookUpError(f"the sagemaker package cannot be used: {last[0]}")
    told = json.loads(answer.read_text("utf-8"))
    if "error" in told:
        raise CannotLookUpError(told["error"])
    return str(told["image"])


def _environment(config: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(config),
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(config),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
