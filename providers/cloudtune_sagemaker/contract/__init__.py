"""What SageMaker does to a script: the folders and files of its container, and how it is started.

A job is given as the plain data that describes it to the service: ``TrainingJobName``,
``TrainingJobArn``, ``HyperParameters``, ``Environment``, ``InputDataConfig``, ``ResourceConfig``,
``CheckpointConfig`` and ``AlgorithmSpecification`` in the spelling of CreateTrainingJob. One folder
stands for the root of the container, so that ``/opt/ml`` lies below it.

Sources: AWS developer guide, your-algorithms-training-algo-running-container and
your-algorithms-training-algo-output (commit a869fa5); sagemaker-training 5.1.4, see `toolkit`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cloudtune.emulator_kit.image import PASSED_ON
from cloudtune_sagemaker.contract import failure as script_failure
from cloudtune_sagemaker.contract import toolkit
from cloudtune_sagemaker.contract.archive import BadArchive, unpack
from cloudtune_sagemaker.contract.toolkit import Machine, ToolkitFailure

__all__ = [
    "BadArchive",
    "Container",
    "Machine",
    "Start",
    "Step",
    "ToolkitFailure",
    "failure_reason",
    "failure_text",
    "finish",
    "prepare",
    "source",
    "start",
    "unpack",
]

Job = Mapping[str, Any]

BASE = "/opt/ml"
LONGEST_REASON = 1024
"""Characters of the failure file that the service shows."""

_IMAGE = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONIOENCODING": "UTF-8",
    "PYTHONUNBUFFERED": "1",
}
"""What AWS's framework images set."""

_INSTALL = """\
import os, site, subprocess, sys, venv
folder, words = sys.argv[1], sys.argv[2:]
venv.EnvBuilder(system_site_packages=True, symlinks=True).create(folder)
python = os.path.join(folder, "bin", "python")
ask = [python, "-I", "-c", "import site; print(site.getsitepackages()[0])"]
own = subprocess.check_output(ask, text=True).strip()
with open(os.path.join(own, "image.pth"), "w") as file:
    for place in site.getsitepackages():
        file.write(f"import site; site.addsitedir({place!r})\\n")
env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
os.execve(python, [python, *words], env)
"""
"""Makes an environment on top of that of the Python that runs this, and goes on with its Python."""


@dataclass(frozen=True)
class Container:
    """The folders of one training job."""

    root: Path
    """What is ``/`` to the job."""
    job: Job

    @property
    def base(self) -> Path:
        """What is ``/opt/ml`` to the job."""
        return self.place(BASE)

    @property
    def code(self) -> Path:
        """Where the source lies and the script starts."""
        return self.base / "code"

    @property
    def model(self) -> Path:
        """What is packed into ``model.tar.gz`` at the end."""
        return self.base / "model"

    @property
    def data(self) -> Path:
        """What is packed into ``output.tar.gz`` at the end."""
        return self.base / "output" / "data"

    @property
    def failure(self) -> Path:
        """The file whose first characters become the reason of a failure."""
        return self.base / "output" / "failure"

    @property
    def checkpoints(self) -> Path | None:
        """What is copied from and to the job's checkpoint address; None where it has none."""
        config = self.job.get("CheckpointConfig")
        return self.place(config.get("LocalPath") or f"{BASE}/checkpoints") if config else None

    def channel(self, name: str) -> Path:
        """Return where the data of an input channel lies."""
        return self.base / "input" / "data" / name

    def place(self, path: str) -> Path:
        """Return where an absolute path of the container is on this machine."""
        parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..", "//")]
        return self.root.joinpath(*parts)


def prepare(folder: Path, job: Job) -> Container:
    """Make the folders and files that a job finds when it starts; code and data are still missing.

    Args:
        folder: What becomes the root of the container; made if need be.
        job: The training job.

    Raises:
        OSError: If this machine cannot.
    """
    container = Container(folder.absolute(), job)
    config = container.base / "input" / "config"
    folders = [config, container.code, container.model, container.data]
    folders += [container.channel(name) for name in _channels(job)]
    if container.checkpoints:
        folders.append(container.checkpoints)
    for each in folders:
        each.mkdir(parents=True, exist_ok=True)
    files: dict[str, Any] = {
        "hyperparameters": dict(job.get("HyperParameters") or {}),
        "inputdataconfig": _channels(job),
        "resourceconfig": _resources(job),
    }
    if container.checkpoints:
        files["checkpointconfig"] = {"LocalPath": str(container.checkpoints)}
    for name, data in files.items():
        (config / f"{name}.json").write_text(json.dumps(data), "utf-8")
    return container


def _channels(job: Job) -> dict[str, dict[str, str]]:
    algorithm: Job = job.get("AlgorithmSpecification") or {}
    listed: Sequence[Job] = job.get("InputDataConfig") or []
    told: dict[str, dict[str, str]] = {}
    for channel in listed:
        place: Job = channel["DataSource"].get("S3DataSource") or {}
        mode = channel.get("InputMode") or algorithm.get("TrainingInputMode") or "File"
        about = {
            "TrainingInputMode": mode,
            "S3DistributionType": place.get("S3DataDistributionType") or "FullyReplicated",
            "RecordWrapperType": channel.get("RecordWrapperType") or "None",
        }
        if channel.get("ContentType"):
            about["ContentType"] = channel["ContentType"]
        told[channel["ChannelName"]] = about
    return told


def _resources(job: Job) -> dict[str, Any]:
    """Return what a job is told of its machines; the emulated one is always the first of them."""
    config: Job = job.get("ResourceConfig") or {}
    wanted: Sequence[Job] = config.get("InstanceGroups") or [
        {
            "InstanceGroupName": toolkit.GROUP,
            "InstanceType": config.get("SelectedInstanceType")
            or config.get("InstanceType", "local"),
            "InstanceCount": config.get("SelectedInstanceCount")
            or config.get("InstanceCount")
            or 1,
        }
    ]
    groups: list[dict[str, Any]] = []
    hosts: list[str] = []
    for group in wanted:
        own = [f"algo-{len(hosts) + n + 1}" for n in range(group["InstanceCount"])]
        hosts += own
        groups.append(
            {
                "instance_group_name": group["InstanceGroupName"],
                "instance_type": group["InstanceType"],
                "hosts": own,
            }
        )
    return {
        "current_host": "algo-1",
        "current_instance_type": groups[0]["instance_type"],
        "current_group_name": groups[0]["instance_group_name"],
        "hosts": sorted(hosts),
        "instance_groups": groups,
        "network_interface_name": "eth0",
        "topology": None,
    }


def source(job: Job) -> str | None:
    """Return the address of the archive from which the toolkit takes the code, if there is one."""
    address = toolkit.decode(job.get("HyperParameters") or {}).own.get("sagemaker_submit_directory")
    return None if address is None else str(address)


@dataclass(frozen=True)
class Step:
    """One command that the toolkit runs, and that has to end well before the next one starts."""

    command: Sequence[str]
    shown: str
    """The command as a failure tells it."""
    error: str
    """What the toolkit calls it when this fails."""


@dataclass(frozen=True)
class Start:
    """All that is needed to run the script of a job."""

    steps: Sequence[Step]
    """What the source needs is installed first, where there is such; the script is the last one."""
    cwd: Path
    env: Mapping[str, str]
    """The whole environment."""


def start(container: Container, python: str, base: Mapping[str, str], machine: Machine) -> Start:
    """Return how the toolkit starts the script, once the code is there.

    What the code requires is installed into a folder of the container, over the packages that this
    Python has, so that nothing else on this machine changes.

    Args:
        container: Where it runs.
        python: The Python of the image, as a path or a name.
        base: Our own environment, of which little is passed on.
        machine: What the job may see of this machine.

    Raises:
        ToolkitFailure: If the toolkit gives up before it starts anything.
    """
    job = container.job
    settings = toolkit.decode(job.get("HyperParameters") or {})
    _check_settings(settings)
    env = _container_environment(container, base)
    program = env.get("SAGEMAKER_PROGRAM") or settings.own.get("sagemaker_program")
    program = toolkit.check_program(program)
    steps: list[Step] = []
    overlay = container.place("/usr/local")
    install = toolkit.installation(container.code, program, str(overlay / "bin" / "python"))
    if install:
        first = [python, "-I", "-c", _INSTALL, str(overlay), *install.words[1:]]
        steps.append(Step(first, " ".join(install.words), install.error))
        python = install.words[0]
    resources, channels = _resources(job), _channels(job)
    around = toolkit.Surroundings(str(container.base), resources, channels, env, machine)
    env.update(toolkit.variables(settings, around))
    env["PYTHONPATH"] = str(container.code)
    if os.sep in python:
        env["PATH"] = f"{Path(python).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    arguments = toolkit.words(settings.user)
    words = toolkit.script_words(container.code, program, arguments, python)
    steps.append(Step(words, " ".join(words), "ExecuteUserScriptError"))
    return Start(steps, container.code, env)


def _check_settings(settings: toolkit.Settings) -> None:
    level = settings.own.get("sagemaker_container_log_level", 20)
    if not isinstance(level, int | float):
        kind = type(level).__name__
        error = f"'>=' not supported between instances of '{kind}' and 'int'"
        raise toolkit.framework_error(TypeError(error))
    if settings.own.get("sagemaker_mpi_enabled"):
        raise ToolkitFailure(
            "sagemaker_mpi_enabled: the emulator starts one process and has no MPI; leave it out"
        )


def _container_environment(container: Container, base: Mapping[str, str]) -> dict[str, str]:
    job = container.job
    env = {name: value for name, value in base.items() if name in PASSED_ON} | _IMAGE
    arn: str = job.get("TrainingJobArn") or ""
    env["AWS_REGION"] = arn.split(":")[3] if arn.count(":") > 3 else ""
    env["AWS_EC2_METADATA_DISABLED"] = "true"
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        env[name] = str(container.place("/nowhere"))
    env.update(job.get("Environment") or {})
    env["TRAINING_JOB_NAME"] = job["TrainingJobName"]
    env["TRAINING_JOB_ARN"] = arn
    env["SAGEMAKER_BASE_DIR"] = str(container.base)
    return env


def failure_text(step: Step, exit_code: int, output: Path | None) -> str:
    """Return what the toolkit writes as failure when a step ends with an error.

    Args:
        step: What failed.
        exit_code: How; a signal is negative.
        output: What it wrote, where the image lets the toolkit read that (those of PyTorch and
            TensorFlow do); None where not (scikit-learn's, and the toolkit alone).

    Raises:
        OSError: If the output cannot be read.
    """
    if output is None:
        return script_failure.script_error(step.error, step.shown, exit_code, None)
    with output.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        return script_failure.script_error(step.error, step.shown, exit_code, lines)


def finish(container: Container, failure: str | None) -> None:
    """Leave the file by which the toolkit tells how it ended; a script's own failure stays.

    Raises:
        OSError: If it cannot be written.
    """
    if failure is None:
        (container.base / "output" / "success").write_text("")
    elif not container.failure.exists():
        container.failure.write_text(failure, "utf-8", errors="replace")


def failure_reason(container: Container, exit_code: int = 1) -> str:
    """Return the FailureReason of a job whose container ended with an error.

    The toolkit ends with 1, however the script ended, unless the fault was its own.
    """
    said = ""
    if container.failure.is_file():
        with container.failure.open(encoding="utf-8", errors="replace") as file:
            said = file.read(LONGEST_REASON)
    return f"AlgorithmError: {said}, exit code: {exit_code}"[:LONGEST_REASON]
