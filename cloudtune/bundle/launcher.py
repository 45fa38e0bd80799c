"""The files of cloudtune that travel with the user's code and start a trial at a service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cloudtune import callbacks, launcher, trial
from cloudtune.bundle.locked_requirements import installed_file
from cloudtune.fitting.fit import FittedStudy, restore_definitions
from cloudtune.study.schema import Json

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

if sys.version_info < (3, 7):
    text = "cloudtune: trials need Python 3.7 or later, and %s is %d.%d; use another image, or set"
    text += " providers.slurm.python"
    sys.exit(text % (sys.executable, sys.version_info[0], sys.version_info[1]))

from cloudtune.launcher.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""
_CALL_FIELDS = {
    *("script", "module", "command", "args", "arguments", "metrics", "env", "requirements"),
    *("switches", "seed_argument"),
}


def launch_data(
    fitted: FittedStudy,
    run: str,
    paths: Mapping[str, str],
    folder: str | None = None,
    measurements: str | None = None,
) -> Json:
    """Return the content of ``cloudtune_study.json``, which the launcher reads.

    Args:
        fitted: The study from which the request is built.
        run: The id of the run.
        paths: The inputs by name, as paths where the launcher runs.
        folder: The working folder of the script, next to this file; None for the launcher's own.
        measurements: The address below which the launcher saves measurements, for a service that
            returns only the last values.
    """
    study = fitted.original
    call = study.trial.model_dump(mode="json", include=_CALL_FIELDS, exclude_none=True)
    if requirements := installed_file(study.trial.requirements):
        call["requirements"] = requirements
    return {
        "format": "cloudtune.launch/v1",
        "run": run,
        "trial": {
            **call,
            "parameters": study.argument_names,
            **({"maps": maps} if (maps := study.maps) else {}),
            **({"seed": study.trial_seed} if study.trial_seed else {}),
        },
        "parameters": [dict(definition) for definition in restore_definitions(fitted)],
        "constants": study.script_constants,
        "inputs": dict(paths),
        "resource": study.strategy.resource,  # of hyperband; the script gets it if it is sent
        "folder": folder,
        "objectives": {
            each.metric: each.goal if each.select == "best" else "last" for each in study.objectives
        },
        "measurements": measurements,
    }


def script_modules() -> dict[str, bytes]:
    """Return the modules of the package ``cloudtune`` that scripts import, by file name."""
    paths = (Path(str(module.__file__)) for module in (trial, callbacks))
    return {path.name: path.read_bytes() for path in paths}


def launcher_program() -> dict[str, bytes]:
    """Return `PROGRAM`, and the package ``cloudtune`` that it needs, by their path."""
    paths = sorted(Path(str(launcher.__file__)).parent.glob("*.py"))
    modules = {**script_modules(), **{f"launcher/{p.name}": p.read_bytes() for p in paths}}
    return {
        PROGRAM: _PROGRAM.encode(),
        "cloudtune/__init__.py": b"",
        **{f"cloudtune/{name}": content for name, content in modules.items()},
    }


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
        measurements: As in `launch_data`.
        contract: The provider's ``launcher_contract.py``, with its subclass of
            `cloudtune.launcher.contract.Contract`. Not needed for a service that passes
            ``--name value`` and reads metrics from the log.
    """
    data = launch_data(fitted, run, paths, SOURCE, measurements)
    files = {
        **launcher_program(),
        launcher.STUDY_FILE: json.dumps(data, ensure_ascii=False).encode(),
    }
    if contract:
        files[f"cloudtune/{launcher.CONTRACT_FILE}"] = contract.read_bytes()
    return files
