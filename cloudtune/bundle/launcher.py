"""The files of cloudtune that travel with the user's code and start a trial at a service."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudtune import trial
from cloudtune.fitting.fit import FittedStudy, restore_definitions
from cloudtune.study.schema import Json
from cloudtune.study.search_space import Value

PROGRAM = "cloudtune_launch.py"
"""The program that a service starts, at the root of the archive. It is also importable as a module,
as old SageMaker images run it."""
SOURCE = "source"
"""The folder of the archive for the user's code. There it cannot clash with cloudtune's files, its
working folder is the same at every service, and no service installs a setup.py in it."""

START = f"""\
folder = tempfile.mkdtemp(prefix="cloudtune-")
with tarfile.open(archive) as bundle:
    if hasattr(tarfile, "fully_trusted_filter"):
        bundle.extraction_filter = tarfile.fully_trusted_filter
    bundle.extractall(folder)
program = os.path.join(folder, "{PROGRAM}")
os.execv(sys.executable, [sys.executable, program] + words)
"""
"""Python code that unpacks ``archive`` and becomes the launcher with the arguments ``words``, for
services that do not unpack archives. Import os, sys, tarfile and tempfile before it."""

_PROGRAM = """\
import sys

from cloudtune.trial import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""
_CALL_FIELDS = {
    "script",
    "module",
    "command",
    "args",
    "arguments",
    "metrics",
    "env",
    "requirements",
}


def launch_config(
    call: Mapping[str, Any],
    definitions: Sequence[Mapping[str, Any]],
    constants: Mapping[str, Value],
    paths: Mapping[str, str],
    run: str,
    *,
    resource: str | None = None,
    folder: str | None = None,
    objectives: Mapping[str, str] | None = None,
    measurements: str | None = None,
) -> Json:
    """Return the content of ``cloudtune_study.json``, which the launcher reads.

    Args:
        call: As in `cloudtune.trial.command_line`, with the study's ``env``, ``metrics`` and
            ``requirements``.
        definitions: As in `cloudtune.trial.restore`.
        constants: Fixed values, unless the service sends another one for a trial.
        paths: The inputs by name, as paths where the launcher runs.
        run: The id of the run.
        resource: The name of hyperband's resource, which the script gets if the service sends it.
        folder: The working folder of the script, next to this file; None for the launcher's own.
        objectives: Which value of each objective counts: ``last``, or the best, which is the one to
            ``maximize`` or to ``minimize``.
        measurements: The address below which the launcher saves measurements, for a service that
            returns only the last values.
    """
    return {
        "format": "cloudtune.launch/v1",
        "run": run,
        "trial": dict(call),
        "parameters": [dict(definition) for definition in definitions],
        "constants": dict(constants),
        "inputs": dict(paths),
        "resource": resource,
        "folder": folder,
        "objectives": dict(objectives or {}),
        "measurements": measurements,
    }


def launch_data(
    fitted: FittedStudy,
    run: str,
    paths: Mapping[str, str],
    folder: str | None = None,
    measurements: str | None = None,
) -> Json:
    """Return the `launch_config` of a fitted study; arguments as there."""
    study = fitted.original
    call = study.trial.model_dump(mode="json", include=_CALL_FIELDS, exclude_none=True)
    call["parameters"] = list(study.parameters)
    return launch_config(
        call,
        restore_definitions(fitted),
        study.constants,
        paths,
        run,
        resource=study.strategy.resource,
        folder=folder,
        objectives={o.metric: o.goal if o.select == "best" else "last" for o in study.objectives},
        measurements=measurements,
    )


def launcher_files(
    fitted: FittedStudy,
    run: str,
    paths: Mapping[str, str],
    measurements: str | None = None,
    contract: Path | None = None,
) -> dict[str, bytes]:
    """Return cloudtune's files in an archive, by name; the user's code goes into `SOURCE`.

    The service has to start `PROGRAM` with Python 3.7 or later, in any folder.

    Args:
        fitted: The study from which the request is built.
        run: The id of the run.
        paths: The inputs by name, as paths where the launcher runs. On SageMaker this is
            ``/opt/ml/input/data/<name>``, followed by the file's name if the input is one file;
            the launcher looks up the real folder of the channel. On Vertex AI it is below ``/gcs``.
        measurements: As in `launch_config`.
        contract: The provider's ``launcher_contract.py``, with its subclass of
            `cloudtune.trial.Contract`. Not needed for a service that passes ``--name value`` and
            reads metrics from the log.
    """
    data = launch_data(fitted, run, paths, SOURCE, measurements)
    files = {
        PROGRAM: _PROGRAM.encode(),
        "cloudtune/__init__.py": b"",
        "cloudtune/trial.py": Path(trial.__file__).read_bytes(),
        trial.STUDY_FILE: json.dumps(data, ensure_ascii=False).encode(),
    }
    if contract:
        files[f"cloudtune/{trial.CONTRACT_FILE}"] = contract.read_bytes()
    return files
