"""How the training toolkit of SageMaker's images starts a script, and reports its failure.

The rules are those of sagemaker-training 5.1.4 (PyPI); ``test_real_toolkit.py`` compares them with
the toolkit.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cloudtune.provider import CloudtuneError

TUNING_METRIC = "_tuning_objective_metric"
"""The hyperparameter that a tuning job adds and the toolkit hides from the script."""
DEFAULT_GROUP = "homogeneousCluster"
"""The name of the instance group of a job without groups."""

_RESERVED_PREFIX = "sagemaker_"
_TOOLKIT_NAMES = frozenset(
    [
        "sagemaker_program",
        "sagemaker_submit_directory",
        "sagemaker_enable_cloudwatch_metrics",
        "sagemaker_region",
        "sagemaker_container_log_level",
        "sagemaker_job_name",
        "default_user_module_name",
        TUNING_METRIC,
        "sagemaker_s3_output",
    ]
)
"""What the toolkit reads itself. Other names with the prefix go to the framework."""
_DISTRIBUTED = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
)
MAX_MESSAGE_LENGTH = 64 * 1024
"""Characters of a failed script's error message."""

_ERRORS = (
    *("Exception", "ArithmeticError", "AssertionError", "AttributeError", "BlockingIOError"),
    *("BrokenPipeError", "BufferError", "ChildProcessError", "ConnectionAbortedError"),
    *("ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "EOFError"),
    *("EnvironmentError", "FileExistsError", "FileNotFoundError", "FloatingPointError"),
    *("IOError", "ImportError", "IndentationError", "IndexError", "InterruptedError"),
    *("IsADirectoryError", "KeyError", "LookupError", "MemoryError", "ModuleNotFoundError"),
    *("NameError", "NotADirectoryError", "NotImplementedError", "OSError", "OverflowError"),
    *("PermissionError", "ProcessLookupError", "RecursionError", "ReferenceError"),
    *("RuntimeError", "SyntaxError", "SystemError", "TabError", "TimeoutError", "TypeError"),
    *("UnboundLocalError", "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError"),
    *("UnicodeTranslateError", "ValueError", "ZeroDivisionError", "Invalid requirement"),
    *("ResourceExhaustedError", "OutOfRangeError", "InvalidArgumentError", "mpirun.real"),
    *("ORTE", "ExecuteUserScriptError"),
)
"""A line with one of these, and all lines after it, are the error message.

These are the errors that the toolkit knows when neither TensorFlow nor the SageMaker debugger is
installed.
"""
_PROGRAM = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")


class ToolkitFailure(CloudtuneError):  # noqa: N818 - a failure of the job, not of cloudtune
    """The toolkit fails before the script starts; the message is the text of its failure file.

    For an error of its own (``Framework Error``), the text has another traceback than the original.
    """

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def framework_error(error: Exception) -> ToolkitFailure:
    """Return the failure for an error inside the toolkit."""
    code = error.errno if isinstance(error, OSError) and error.errno else 1
    name = type(error).__name__
    text = f"Framework Error: \nTraceback (most recent call last):\n{name}: {error}\n\n{error}"
    return ToolkitFailure(text, code)


@dataclass(frozen=True)
class Hyperparameters:
    """The decoded hyperparameters of a job."""

    user: Mapping[str, Any]
    """Those that the script gets."""
    reserved: Mapping[str, Any]
    """Those that the script does not get."""

    @property
    def framework(self) -> dict[str, Any]:
        """Those for the framework of the image."""
        return {name: value for name, value in self.reserved.items() if name not in _TOOLKIT_NAMES}


def decode(hyperparameters: Mapping[str, str]) -> Hyperparameters:
    """Decode hyperparameters as the toolkit does: as JSON if possible, else as text.

    Raises:
        ToolkitFailure: If a value is nested too deeply.
    """
    user: dict[str, Any] = {}
    reserved: dict[str, Any] = {}
    for name, text in hyperparameters.items():
        value: Any = text
        try:
            value = json.loads(text)
        except ValueError:
            pass
        except RecursionError as error:
            raise framework_error(error) from error
        is_reserved = name in _TOOLKIT_NAMES or name.startswith(_RESERVED_PREFIX)
        (reserved if is_reserved else user)[name] = value
    return Hyperparameters(user, reserved)


def arguments(user: Mapping[str, Any]) -> list[str]:
    """Return decoded hyperparameters as command-line arguments.

    Example:
        >>> arguments({"C": 0.5, "kernel": "rbf"})
        ['-C', '0.5', '--kernel', 'rbf']
    """
    words: list[str] = []
    for name in sorted(user):
        words += [("--" if len(name) > 1 else "-") + name if name else "", _argument(user[name])]
    return words


def _argument(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        return ",".join(f"{key}={items[key]}" for key in sorted(items))
    return str(value)


def check_program(program: Any) -> str:
    """Return the name of the program.

    Raises:
        ToolkitFailure: If the toolkit does not accept the name.
    """
    if not program:
        raise ToolkitFailure(
            "The training entry point name is empty. Set the 'sagemaker_program' "
            "hyperparameter (or ContainerEntrypoint) to the name of the script to run, "
            "relative to your source directory -- for example 'train.py' or 'train.sh'."
        )
    if not isinstance(program, str):
        kind = type(program).__name__
        raise framework_error(TypeError(f"expected string or bytes-like object, got '{kind}'"))
    if not _PROGRAM.fullmatch(program):
        raise ToolkitFailure(
            f"The training entry point {program!r} cannot be used because it contains "
            f"{_invalid_part(program)}. "
            "Rename the script so its name contains only letters, digits, '.', '_', "
            "'+', '-' and '/', and does not start with '-' or '/', then set the "
            "'sagemaker_program' hyperparameter (or ContainerEntrypoint) to the new name "
            "-- for example 'train.py' or 'bin/train.sh'."
        )
    if {".", ".."}.intersection(program.split("/")):
        raise ToolkitFailure(
            f"The training entry point {program!r} cannot be used because it contains '.' or '..' "
            "path segments. The entry point must be a path inside your source directory. "
            "Set the 'sagemaker_program' hyperparameter (or ContainerEntrypoint) to a "
            "path relative to that directory -- for example 'train.py' or 'bin/train.sh'."
        )
    return program


def _invalid_part(program: str) -> str:
    invalid = sorted(set(re.findall(r"[^A-Za-z0-9._+/-]", program)))
    if invalid:
        return "the character(s) " + ", ".join(repr(char) for char in invalid)
    if program.startswith("-"):
        return "a leading '-', which is read as a command-line option"
    if program.startswith("/"):
        return "a leading '/', which makes it an absolute path"
    return "an unsupported character at the start of the name"


def installation(code: Path, program: str, python: str) -> tuple[list[str], str] | None:
    """Return the command that installs code, and the toolkit's name for its failure.

    None if there is nothing to install.
    """
    has_requirements = (code / "requirements.txt").exists()
    pip = [python, "-m", "pip", "install"]
    if _is_package(code, program):
        requirements = ["-r", "requirements.txt"] * has_requirements
        return [*pip, ".", *requirements], "InstallModuleError"
    if program.endswith(".py") and has_requirements:
        return [*pip, "-r", "requirements.txt"], "InstallRequirementsError"
    return None


def script_command(
    code: Path, program: str, script_arguments: Sequence[str], python: str
) -> list[str]:
    """Return the command with which the toolkit starts a program. Makes a shell script executable.

    Raises:
        ToolkitFailure: If the shell script does not exist.
    """
    if _is_package(code, program):
        return [python, "-m", re.sub(r"\.py$", "", program), *script_arguments]
    if program.endswith(".py"):
        return [python, "--", program, *script_arguments]
    try:
        (code / program).chmod(0o777)
    except OSError as error:
        raise framework_error(error) from error
    import shlex

    quoted = " ".join(map(shlex.quote, script_arguments))
    return ["/bin/sh", "-c", f"./{shlex.quote(program)} {quoted}"]


def _is_package(code: Path, program: str) -> bool:
    return not program.endswith(".sh") and (code / "setup.py").exists()


def error_message(lines: Iterable[str]) -> str:
    """Return the error message that the toolkit finds in the output of a script.

    It starts at the first line that names an error. Repeated and empty lines are omitted; the
    toolkit keeps some empty lines, depending on timing.
    """
    message: dict[str, None] = {}
    size = 0
    for line in lines:
        if not message and not any(name in line for name in _ERRORS):
            continue
        text = " " + line.strip(" :\n")
        if text.strip() and text not in message:
            message[text] = None
            size += len(text)
        if size > MAX_MESSAGE_LENGTH:
            break
    return "\n".join(message).strip()


@dataclass(frozen=True)
class Machine:
    """The CPUs and GPUs of a container."""

    cpus: int
    gpus: int = 0


@dataclass(frozen=True)
class Context:
    """The container in which the toolkit starts."""

    base: str
    """The folder that is ``/opt/ml`` in the container."""
    resources: Mapping[str, Any]
    """The content of ``resourceconfig.json``."""
    channels: Mapping[str, Any]
    """The content of ``inputdataconfig.json``."""
    env: Mapping[str, str]
    machine: Machine


def variables(hyperparameters: Hyperparameters, context: Context) -> dict[str, str]:
    """Return the environment variables that the toolkit sets for a script.

    Raises:
        ToolkitFailure: If a variable is not valid.
    """
    reserved, user = hyperparameters.reserved, hyperparameters.user
    training_env = _training_env(hyperparameters, context)
    values = {name: training_env[name] for name in _EXPORTED}
    values["hps"] = user
    values["framework_params"] = hyperparameters.framework
    values["channels"] = sorted(context.channels)
    values["training_env"] = training_env
    values["user_args"] = arguments(user)
    if training_env["topology"]:
        values["topology"] = training_env["topology"]
    channels = training_env["channel_input_dirs"]
    values.update({f"channel_{name}": path for name, path in channels.items()})
    values.update({f"hp_{name}": value for name, value in user.items()})
    region = reserved.get("sagemaker_region", context.env.get("AWS_DEFAULT_REGION"))
    env: dict[str, Any] = {
        "SAGEMAKER_JOB_NAME": reserved.get("sagemaker_job_name", ""),
        "CURRENT_HOST": context.resources["current_host"],
        "SAGEMAKER_REGION": region or "",
    }
    env.update({"SM_" + name.upper(): _encode(value) for name, value in values.items()})
    return {name: _check_variable(name, value) for name, value in env.items()}


_EXPORTED = (
    *("hosts", "network_interface_name", "user_entry_point", "resource_config"),
    *("input_data_config", "output_data_dir", "current_host", "current_instance_type"),
    *("current_instance_group", "current_instance_group_hosts", "instance_groups"),
    *("instance_groups_dict", "distribution_instance_groups", "is_hetero", "module_name"),
    *("log_level", "framework_module", "input_dir", "input_config_dir", "output_dir"),
    *("num_cpus", "num_gpus", "num_neurons", "model_dir", "module_dir"),
    "output_intermediate_dir",
)
"""The fields of the toolkit's training environment with a variable of their own."""


def _training_env(hyperparameters: Hyperparameters, context: Context) -> dict[str, Any]:
    reserved, base, env = hyperparameters.reserved, context.base, context.env
    config, channels = context.resources, context.channels
    program = env.get("SAGEMAKER_PROGRAM")
    module = str(reserved.get("sagemaker_program")) if program is None else program
    hosts: list[str] = config["hosts"]
    group: str = config.get("current_group_name", DEFAULT_GROUP)
    groups = {each["instance_group_name"]: each for each in config.get("instance_groups", [])}
    framework = hyperparameters.framework
    distributed = [group] if any(framework.get(name) for name in _DISTRIBUTED) else []
    distributed = framework.get("sagemaker_distribution_instance_groups", distributed)
    workers = [
        host for name, each in groups.items() if name in distributed for host in each["hosts"]
    ]
    if not groups:
        workers = list(hosts)
    master = (workers or hosts)[0]
    parallel = env.get("SM_HP_MP_PARAMETERS")
    return {
        "additional_framework_parameters": framework,
        "channel_input_dirs": {name: f"{base}/input/data/{name}" for name in channels},
        "current_host": config["current_host"],
        "current_instance_group": group,
        "current_instance_group_hosts": groups[group]["hosts"] if group in groups else [],
        "current_instance_type": config.get("current_instance_type", "local"),
        "distribution_hosts": workers,
        "distribution_instance_groups": distributed,
        "framework_module": env.get("SAGEMAKER_TRAINING_MODULE"),
        "hosts": hosts,
        "hyperparameters": hyperparameters.user,
        "input_config_dir": f"{base}/input/config",
        "input_data_config": channels,
        "input_dir": f"{base}/input",
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "is_hetero": len(groups) > 1,
        "is_master": config["current_host"] == master,
        "is_modelparallel_enabled": parallel and parallel != "{}",
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
        "job_name": env.get("TRAINING_JOB_NAME"),
        "log_level": reserved.get("sagemaker_container_log_level", 20),
        "master_hostname": master,
        "model_dir": f"{base}/model",
        "module_dir": str(reserved.get("sagemaker_submit_directory", f"{base}/code")),
        "module_name": module.removesuffix(".py"),
        "network_interface_name": config.get("network_interface_name", "eth0"),
        "num_cpus": context.machine.cpus,
        "num_gpus": context.machine.gpus,
        "num_neurons": 0,
        "output_data_dir": f"{base}/output/data",
        "output_dir": f"{base}/output",
        "output_intermediate_dir": f"{base}/output/intermediate",
        "resource_config": config,
        "topology": config.get("topology", []),
        "user_entry_point": program or reserved.get("sagemaker_program"),
    }


def _encode(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _check_variable(name: str, value: Any) -> str:
    try:
        if not isinstance(value, str):
            raise TypeError(f"str expected, not {type(value).__name__}")
        if b"\0" in os.fsencode(name) + os.fsencode(value):
            raise ValueError("embedded null byte")
        if "=" in name:
            raise ValueError("illegal environment variable name")
    except (TypeError, ValueError) as error:
        raise framework_error(error) from error
    return value
