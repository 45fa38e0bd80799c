"""What the training toolkit of SageMaker's framework images hands to a script.

The rules are those of sagemaker-training 5.1.4 (PyPI), which ``test_real_toolkit.py`` compares with
the toolkit itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cloudtune.errors import CloudtuneError

TUNING_METRIC = "_tuning_objective_metric"
"""The hyperparameter that a tuning job adds, and that a script does not see."""
GROUP = "homogeneousCluster"
"""What the service calls the machines of a job that names no groups."""

_OWN = "sagemaker_"
_KNOWN = frozenset(
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
"""What the toolkit reads itself. Everything else that starts alike goes to the framework."""
_DISTRIBUTED = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
)
_PROGRAM = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")


class ToolkitFailure(CloudtuneError):  # noqa: N818 - the job fails, and nothing of ours
    """The toolkit gives up before the script starts; the text is what it writes as failure.

    A fault of its own (``Framework Error``) has the shape, but not the traceback, of the original.
    """

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def framework_error(error: Exception) -> ToolkitFailure:
    """Return the failure that an error inside the toolkit becomes."""
    code = error.errno if isinstance(error, OSError) and error.errno else 1
    said = f"Framework Error: \nTraceback (most recent call last):\n{type(error).__name__}: {error}"
    return ToolkitFailure(f"{said}\n\n{error}", code)


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of a job as the toolkit reads them."""

    user: Mapping[str, Any]
    """What the script gets, decoded."""
    own: Mapping[str, Any]
    """What the toolkit keeps to itself, decoded."""

    @property
    def framework(self) -> dict[str, Any]:
        """What is meant for the framework of the image."""
        return {name: value for name, value in self.own.items() if name not in _KNOWN}


def decode(hyperparameters: Mapping[str, str]) -> Settings:
    """Return hyperparameters as the toolkit decodes them: as JSON where that can be, else as text.

    Raises:
        ToolkitFailure: If a value is nested too deeply.
    """
    user: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name, text in hyperparameters.items():
        value: Any = text
        try:
            value = json.loads(text)
        except ValueError:
            pass
        except RecursionError as error:
            raise framework_error(error) from error
        kept = name in _KNOWN or name.startswith(_OWN)
        (own if kept else user)[name] = value
    return Settings(user, own)


def words(user: Mapping[str, Any]) -> list[str]:
    """Return the words of the command line that decoded hyperparameters become."""
    said: list[str] = []
    for name in sorted(user):
        said += [("--" if len(name) > 1 else "-") + name if name else "", _word(user[name])]
    return said


def _word(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        return ",".join(f"{key}={items[key]}" for key in sorted(items))
    return str(value)


def check_program(program: Any) -> str:
    """Return the name of the program if the toolkit accepts it.

    Raises:
        ToolkitFailure: If it does not.
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
            f"{_offence(program)}. "
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


def _offence(program: str) -> str:
    odd = sorted(set(re.findall(r"[^A-Za-z0-9._+/-]", program)))
    if odd:
        return "the character(s) " + ", ".join(repr(char) for char in odd)
    if program.startswith("-"):
        return "a leading '-', which is read as a command-line option"
    if program.startswith("/"):
        return "a leading '/', which makes it an absolute path"
    return "an unsupported character at the start of the name"


@dataclass(frozen=True)
class Install:
    """What the toolkit does to code before it starts it."""

    words: Sequence[str]
    error: str
    """What it calls it when this fails."""


def installation(code: Path, program: str, python: str) -> Install | None:
    """Return the command with which the toolkit installs code, if there is anything to install."""
    listed = (code / "requirements.txt").exists()
    pip = [python, "-m", "pip", "install"]
    if _is_package(code, program):
        return Install([*pip, ".", *["-r", "requirements.txt"] * listed], "InstallModuleError")
    if program.endswith(".py") and listed:
        return Install([*pip, "-r", "requirements.txt"], "InstallRequirementsError")
    return None


def script_words(code: Path, program: str, arguments: Sequence[str], python: str) -> list[str]:
    """Return the command with which the toolkit starts a program; a shell's is made executable.

    Raises:
        ToolkitFailure: If there is no such shell program.
    """
    if _is_package(code, program):
        return [python, "-m", re.sub(r"\.py$", "", program), *arguments]
    if program.endswith(".py"):
        return [python, "--", program, *arguments]
    try:
        (code / program).chmod(0o777)
    except OSError as error:
        raise framework_error(error) from error
    import shlex

    return ["/bin/sh", "-c", f"./{shlex.quote(program)} {' '.join(map(shlex.quote, arguments))}"]


def _is_package(code: Path, program: str) -> bool:
    return not program.endswith(".sh") and (code / "setup.py").exists()


@dataclass(frozen=True)
class Machine:
    """What depends on the machine on which the container runs."""

    cpus: int
    gpus: int = 0


@dataclass(frozen=True)
class Surroundings:
    """What the toolkit finds when it starts."""

    base: str
    """The folder that is ``/opt/ml`` to the script."""
    resources: Mapping[str, Any]
    """What stands in ``resourceconfig.json``."""
    channels: Mapping[str, Any]
    """What stands in ``inputdataconfig.json``."""
    env: Mapping[str, str]
    machine: Machine


def variables(settings: Settings, around: Surroundings) -> dict[str, str]:
    """Return the variables that the toolkit sets for a script.

    Raises:
        ToolkitFailure: If no process can have such variables.
    """
    own = settings.own
    arguments = words(settings.user)
    known = _environment(settings, around)
    told = {name: known[name] for name in _TOLD}
    told["hps"] = settings.user
    told["framework_params"] = settings.framework
    told["channels"] = sorted(around.channels)
    told["training_env"] = known
    told["user_args"] = arguments
    if known["topology"]:
        told["topology"] = known["topology"]
    told.update({f"channel_{name}": path for name, path in known["channel_input_dirs"].items()})
    told.update({f"hp_{name}": value for name, value in settings.user.items()})
    made: dict[str, Any] = {
        "SAGEMAKER_JOB_NAME": own.get("sagemaker_job_name", ""),
        "CURRENT_HOST": around.resources["current_host"],
        "SAGEMAKER_REGION": own.get("sagemaker_region", around.env.get("AWS_DEFAULT_REGION")) or "",
    }
    made.update({"SM_" + name.upper(): _variable(value) for name, value in told.items()})
    return {name: _settable(name, value) for name, value in made.items()}


_TOLD = (
    *("hosts", "network_interface_name", "user_entry_point", "resource_config"),
    *("input_data_config", "output_data_dir", "current_host", "current_instance_type"),
    *("current_instance_group", "current_instance_group_hosts", "instance_groups"),
    *("instance_groups_dict", "distribution_instance_groups", "is_hetero", "module_name"),
    *("log_level", "framework_module", "input_dir", "input_config_dir", "output_dir"),
    *("num_cpus", "num_gpus", "num_neurons", "model_dir", "module_dir"),
    "output_intermediate_dir",
)
"""What of a job's environment is told in a variable of its own."""


def _environment(settings: Settings, around: Surroundings) -> dict[str, Any]:
    own, base, env = settings.own, around.base, around.env
    config, channels = around.resources, around.channels
    given = env.get("SAGEMAKER_PROGRAM")
    module = str(own.get("sagemaker_program")) if given is None else given
    hosts: list[str] = config["hosts"]
    group: str = config.get("current_group_name", GROUP)
    groups = {each["instance_group_name"]: each for each in config.get("instance_groups", [])}
    spread = [group] if any(settings.framework.get(name) for name in _DISTRIBUTED) else []
    spread = settings.framework.get("sagemaker_distribution_instance_groups", spread)
    working = [host for name, each in groups.items() if name in spread for host in each["hosts"]]
    if not groups:
        working = list(hosts)
    first = (working or hosts)[0]
    parallel = env.get("SM_HP_MP_PARAMETERS")
    return {
        "additional_framework_parameters": settings.framework,
        "channel_input_dirs": {name: f"{base}/input/data/{name}" for name in channels},
        "current_host": config["current_host"],
        "current_instance_group": group,
        "current_instance_group_hosts": groups[group]["hosts"] if group in groups else [],
        "current_instance_type": config.get("current_instance_type", "local"),
        "distribution_hosts": working,
        "distribution_instance_groups": spread,
        "framework_module": env.get("SAGEMAKER_TRAINING_MODULE"),
        "hosts": hosts,
        "hyperparameters": settings.user,
        "input_config_dir": f"{base}/input/config",
        "input_data_config": channels,
        "input_dir": f"{base}/input",
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "is_hetero": len(groups) > 1,
        "is_master": config["current_host"] == first,
        "is_modelparallel_enabled": parallel and parallel != "{}",
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
        "job_name": env.get("TRAINING_JOB_NAME"),
        "log_level": own.get("sagemaker_container_log_level", 20),
        "master_hostname": first,
        "model_dir": f"{base}/model",
        "module_dir": str(own.get("sagemaker_submit_directory", f"{base}/code")),
        "module_name": module.removesuffix(".py"),
        "network_interface_name": config.get("network_interface_name", "eth0"),
        "num_cpus": around.machine.cpus,
        "num_gpus": around.machine.gpus,
        "num_neurons": 0,
        "output_data_dir": f"{base}/output/data",
        "output_dir": f"{base}/output",
        "output_intermediate_dir": f"{base}/output/intermediate",
        "resource_config": config,
        "topology": config.get("topology", []),
        "user_entry_point": given or own.get("sagemaker_program"),
    }


def _variable(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _settable(name: str, value: Any) -> str:
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
