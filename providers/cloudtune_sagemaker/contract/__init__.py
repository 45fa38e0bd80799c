"""SageMaker's contract with a script: its container's folders and files, and how it is started.

A job is the plain data of CreateTrainingJob: ``TrainingJobName``, ``TrainingJobArn``,
``HyperParameters``, ``Environment``, ``InputDataConfig``, ``ResourceConfig``, ``CheckpointConfig``
and ``AlgorithmSpecification``. One folder is the root of the container, so ``/opt/ml`` is below it.

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

from cloudtune.emulator_kit import PASSED_ON
from cloudtune.provider import BadArchive as BadArchive
from cloudtune.provider import unpack as unpack
from cloudtune_sagemaker.contract import toolkit
from cloudtune_sagemaker.contract.entrypoint import DRIVERS, entrypoint_of, relocate, relocated
from cloudtune_sagemaker.contract.toolkit import Machine as Machine
from cloudtune_sagemaker.contract.toolkit import ToolkitFailure as ToolkitFailure

Job = Mapping[str, Any]

BASE = "/opt/ml"
MAX_REASON_LENGTH = 1024
"""Characters of the failure file that the service shows."""

_IMAGE_VARIABLES = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONIOENCODING": "UTF-8",
    "PYTHONUNBUFFERED": "1",
}
"""The variables of AWS's framework images."""

_INSTALL = """\
import os, site, subprocess, sys, venv
folder, arguments = sys.argv[1], sys.argv[2:]
venv.EnvBuilder(system_site_packages=True, symlinks=True).create(folder)
python = os.path.join(folder, "bin", "python")
query = [python, "-I", "-c", "import site; print(site.getsitepackages()[0])"]
packages = subprocess.check_output(query, text=True).strip()
with open(os.path.join(packages, "image.pth"), "w") as file:
    for path in site.getsitepackages():
        file.write(f"import site; site.addsitedir({path!r})\\n")
env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
os.execve(python, [python, *arguments], env)
"""
"""Creates a virtual environment on top of the running Python's packages, and becomes its Python."""


class Container:
    """The folders of one training job."""

    def __init__(self, root: Path, job: Job) -> None:
        self.root = root
        """The folder that is ``/`` in the job."""
        self.job = job
        self.base = self.host_path(BASE)
        self.code = self.base / "code"
        """The folder of the source, in which the script starts."""
        self.model = self.base / "model"
        """The folder that becomes ``model.tar.gz``."""
        self.data = self.base / "output" / "data"
        """The folder that becomes ``output.tar.gz``."""
        self.failure = self.base / "output" / "failure"
        """The file whose first characters become the ``FailureReason``."""
        config = job.get("CheckpointConfig")
        path = config.get("LocalPath") or f"{BASE}/checkpoints" if config else None
        self.checkpoints = self.host_path(path) if path else None
        """The folder that is synchronized with the job's checkpoint address; None without one."""

    def channel(self, name: str) -> Path:
        """Return the folder of an input channel."""
        return self.base / "input" / "data" / name

    def host_path(self, path: str) -> Path:
        """Return the path on this machine of an absolute path in the container."""
        parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..", "//")]
        return self.root.joinpath(*parts)


def create_container(folder: Path, job: Job) -> Container:
    """Create the folders and files of a container, still without code and data.

    Raises:
        OSError: If a file or folder cannot be created.
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
    channels: Sequence[Job] = job.get("InputDataConfig") or []
    configs: dict[str, dict[str, str]] = {}
    for channel in channels:
        source: Job = channel["DataSource"].get("S3DataSource") or {}
        mode = channel.get("InputMode") or algorithm.get("TrainingInputMode") or "File"
        config = {
            "TrainingInputMode": mode,
            "S3DistributionType": source.get("S3DataDistributionType") or "FullyReplicated",
            "RecordWrapperType": channel.get("RecordWrapperType") or "None",
        }
        if channel.get("ContentType"):
            config["ContentType"] = channel["ContentType"]
        configs[channel["ChannelName"]] = config
    return configs


def _resources(job: Job) -> dict[str, Any]:
    """Return the content of ``resourceconfig.json``; the emulated host is always the first one."""
    config: Job = job.get("ResourceConfig") or {}
    instance_groups: Sequence[Job] = config.get("InstanceGroups") or [
        {
            "InstanceGroupName": toolkit.DEFAULT_GROUP,
            "InstanceType": config.get("SelectedInstanceType")
            or config.get("InstanceType", "local"),
            "InstanceCount": config.get("SelectedInstanceCount")
            or config.get("InstanceCount")
            or 1,
        }
    ]
    groups: list[dict[str, Any]] = []
    hosts: list[str] = []
    for group in instance_groups:
        names = [f"algo-{len(hosts) + n + 1}" for n in range(group["InstanceCount"])]
        hosts += names
        groups.append(
            {
                "instance_group_name": group["InstanceGroupName"],
                "instance_type": group["InstanceType"],
                "hosts": names,
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


def hosts(job: Job) -> list[str]:
    """Return the names of a job's hosts."""
    names: list[str] = _resources(job)["hosts"]
    return names


def source_uri(job: Job) -> str | None:
    """Return the address of the archive with the code; None if the job has none."""
    hyperparameters = toolkit.decode(job.get("HyperParameters") or {})
    uri = hyperparameters.reserved.get("sagemaker_submit_directory")
    return None if uri is None else str(uri)


@dataclass(frozen=True)
class Step:
    """One command of the toolkit. The next one starts only if it succeeds."""

    command: Sequence[str]
    command_text: str
    """The command as the toolkit writes it into a failure."""
    error: str
    """The toolkit's name for a failure of the command."""


@dataclass(frozen=True)
class Start:
    """The commands of a job, their working folder and their environment."""

    steps: Sequence[Step]
    """The installation of requirements, if there are any, then the script."""
    cwd: Path
    env: Mapping[str, str]
    """The complete environment."""
    by_toolkit: bool = True
    """Whether the toolkit starts the script; False for a ContainerEntrypoint."""


def build_start(
    container: Container, python: str, base: Mapping[str, str], machine: Machine
) -> Start:
    """Return how the toolkit starts the script. The code must be in the container.

    Requirements are installed into a folder of the container, on top of this Python's packages, so
    that nothing else on this machine changes.

    Args:
        container: The container.
        python: The Python of the image, as a path or a name.
        base: The emulator's environment, of which few variables are passed on.
        machine: The CPUs and GPUs that the job sees.

    Raises:
        ToolkitFailure: If the toolkit fails before it starts a command.
    """
    job = container.job
    env = _container_environment(container, base)
    if command := entrypoint_of(job.get("AlgorithmSpecification") or {}):
        command = relocate(command, container.base, container.channel(DRIVERS))
        own: Mapping[str, str] = job.get("Environment") or {}
        env.update({name: relocated(value, container.base) for name, value in own.items()})
        env["PATH"] = f"{Path(python).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
        entry = Step(command, " ".join(command), "")
        return Start([entry], container.root, env, by_toolkit=False)
    hyperparameters = toolkit.decode(job.get("HyperParameters") or {})
    _check_hyperparameters(hyperparameters)
    program = env.get("SAGEMAKER_PROGRAM") or hyperparameters.reserved.get("sagemaker_program")
    program = toolkit.check_program(program)
    steps: list[Step] = []
    overlay = container.host_path("/usr/local")
    install = toolkit.installation(container.code, program, str(overlay / "bin" / "python"))
    if install:
        words, error = install
        first = [python, "-I", "-c", _INSTALL, str(overlay), *words[1:]]
        steps.append(Step(first, " ".join(words), error))
        python = words[0]
    resources, channels = _resources(job), _channels(job)
    context = toolkit.Context(str(container.base), resources, channels, env, machine)
    env.update(toolkit.variables(hyperparameters, context))
    env["PYTHONPATH"] = str(container.code)
    if os.sep in python:
        env["PATH"] = f"{Path(python).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    arguments = toolkit.arguments(hyperparameters.user)
    command = toolkit.script_command(container.code, program, arguments, python)
    steps.append(Step(command, " ".join(command), "ExecuteUserScriptError"))
    return Start(steps, container.code, env)


def image_start(container: Container) -> Start:
    """Return the variables with which the service starts the image itself, and no command.

    The image has its own toolkit, which finds the code unpacked in ``/opt/ml/code``.
    """
    env = _service_variables(container.job)
    if container.checkpoints:
        path = container.job["CheckpointConfig"].get("LocalPath") or f"{BASE}/checkpoints"
        file = container.base / "input" / "config" / "checkpointconfig.json"
        file.write_text(json.dumps({"LocalPath": path}), "utf-8")
    return Start([Step([], "", "")], container.root, env, by_toolkit=False)


def _check_hyperparameters(hyperparameters: toolkit.Hyperparameters) -> None:
    level = hyperparameters.reserved.get("sagemaker_container_log_level", 20)
    if not isinstance(level, int | float):
        kind = type(level).__name__
        error = f"'>=' not supported between instances of '{kind}' and 'int'"
        raise toolkit.framework_error(TypeError(error))
    if hyperparameters.reserved.get("sagemaker_mpi_enabled"):
        raise ToolkitFailure(
            "sagemaker_mpi_enabled: the emulator starts one process without MPI; remove it"
        )


def _container_environment(container: Container, base: Mapping[str, str]) -> dict[str, str]:
    env = {name: value for name, value in base.items() if name in PASSED_ON} | _IMAGE_VARIABLES
    nowhere = str(container.host_path("/nowhere"))
    env["AWS_CONFIG_FILE"] = env["AWS_SHARED_CREDENTIALS_FILE"] = nowhere
    env.update(_service_variables(container.job))
    env["SAGEMAKER_BASE_DIR"] = str(container.base)
    return env


def _service_variables(job: Job) -> dict[str, str]:
    """Return the variables that a job has in any image."""
    arn: str = job.get("TrainingJobArn") or ""
    return {
        "AWS_REGION": arn.split(":")[3] if arn.count(":") > 3 else "",
        "AWS_EC2_METADATA_DISABLED": "true",
        **(job.get("Environment") or {}),
        "TRAINING_JOB_NAME": job["TrainingJobName"],
        "TRAINING_JOB_ARN": arn,
    }


def failure_text(step: Step, exit_code: int, output: Path | None) -> str:
    """Return the text that the toolkit writes to the failure file when a step fails.

    Args:
        step: The failed step.
        exit_code: Its exit code; negative for a signal.
        output: Its output, if the image lets the toolkit read that (PyTorch and TensorFlow do);
            None if not (scikit-learn, and the toolkit by itself).

    Raises:
        OSError: If the output cannot be read.
    """
    message = ""
    if output is not None:
        with output.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            message = toolkit.error_message(lines)
    parts = [f"{step.error}:", f"ExitCode {exit_code}", f'ErrorMessage "{message}"']
    if exit_code == 137:
        parts.append('ExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"')
    return "\n".join([*parts, f'Command "{step.command_text}"'])


def write_result(container: Container, failure_message: str | None) -> None:
    """Write the toolkit's ``success`` or ``failure`` file; a failure file of the script stays.

    Raises:
        OSError: If it cannot be written.
    """
    if failure_message is None:
        (container.base / "output" / "success").write_text("")
    elif not container.failure.exists():
        container.failure.write_text(failure_message, "utf-8", errors="replace")


def failure_reason(container: Container, exit_code: int = 1) -> str:
    """Return the FailureReason of a job whose container failed.

    The toolkit's exit code is 1 for any failure of the script, but not for its own errors.
    """
    message = ""
    if container.failure.is_file():
        with container.failure.open(encoding="utf-8", errors="replace") as file:
            message = file.read(MAX_REASON_LENGTH)
    return f"AlgorithmError: {message}, exit code: {exit_code}"[:MAX_REASON_LENGTH]
