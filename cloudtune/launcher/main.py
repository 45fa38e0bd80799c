"""The launcher: the process that a service starts, which starts the user's script."""

from __future__ import annotations

import json
import os
import sys

from cloudtune.launcher import CONTRACT_FILE, LAUNCHER, SEED, STUDY_FILE
from cloudtune.launcher.call import RUN, argument_values, command_line, environment
from cloudtune.launcher.contract import Contract, has_files, parse_flags
from cloudtune.launcher.expressions import with_reader
from cloudtune.launcher.options import option_words
from cloudtune.launcher.printed_metrics import PrintedMetrics, TrialError, compile_patterns
from cloudtune.launcher.process import MAX_REASON_LENGTH, Launcher
from cloudtune.launcher.restore import restore_constants, restore_values
from cloudtune.launcher.secrets import SecretFilter
from cloudtune.launcher.switches import switch_words
from cloudtune.launcher.values import expand_maps
from cloudtune.trial import TRIAL, load_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from re import Pattern
    from typing import Any, Union

    Value = Union[bool, int, float, str]
    Json = dict[str, Any]
    MetricPattern = tuple[str, Pattern[str]]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The folder of the package ``cloudtune``."""
_ROOT = os.path.dirname(_PACKAGE)
DIVERGED_EXIT = 1
"""The launcher's exit code if a script succeeds whose last objective is not finite."""


def main(argv: Sequence[str]) -> int:
    """Start the user's script under the service's contract, and return its exit code.

    It needs a POSIX system, as every container is.
    """
    contract = Contract({})
    try:
        path = _study_path()
        study = load_json(path)
        contract = _find_contract(study, argv) or contract
        constants = dict(contract.trial.get("constants") or restore_constants(study, contract.raw))
        seed = constants.pop(SEED, None)
        argument = study["trial"].get("seed_argument")
        if argument and seed is not None:
            constants[argument] = seed
        values = restore_values(study["parameters"], contract.raw)
        patterns = compile_patterns(study["trial"].get("metrics") or {})
        if study.get("folder"):
            work = os.path.join(os.path.dirname(path), study["folder"])
            os.makedirs(work, exist_ok=True)
            os.chdir(work)
    except (OSError, ValueError, KeyError) as error:
        return _refuse(contract, "cannot start the trial: {}".format(error))
    return _launch(
        study, contract, constants, values, patterns, seed=None if seed is None else int(seed)
    )


def _refuse(contract: Contract, reason: str, code: int = 2) -> int:
    print(LAUNCHER + reason.partition("\n")[0], file=sys.stderr)  # noqa: T201
    contract.report_failure(reason[:MAX_REASON_LENGTH])
    contract.report_exit(code, stopped=False)
    contract.close()
    return code


def _find_contract(study: Json, argv: Sequence[str]) -> Contract | None:
    """Return the provider's contract, else one with only arguments, else that of a local trial."""
    contract = _service_contract(study, argv)
    if contract:
        return contract
    raw = parse_flags(study, argv)
    if raw:
        return Contract(raw)
    path = os.environ.get(TRIAL)
    trial = load_json(path) if path else {}
    return Contract(trial.get("parameters", {}), trial) if trial else None


def _service_contract(study: Json, argv: Sequence[str]) -> Contract | None:
    if not os.path.exists(os.path.join(_PACKAGE, CONTRACT_FILE)):
        return None
    from importlib import import_module

    module = import_module("cloudtune." + CONTRACT_FILE[: -len(".py")])
    contract: Contract | None = module.find_contract(study, argv)
    return contract


def _study_path() -> str:
    folders = [_PACKAGE, _ROOT, os.getcwd()]
    for folder in folders:
        path = os.path.join(folder, STUDY_FILE)
        if os.path.exists(path):
            return path
    raise OSError("{} not found in {}".format(STUDY_FILE, ", ".join(folders)))


def _launch(
    study: Json,
    contract: Contract,
    constants: Mapping[str, Value],
    values: Mapping[str, Value],
    patterns: Sequence[MetricPattern],
    *,
    seed: int | None,
) -> int:
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="cloudtune-")
    trial: Json = {
        "trial": study["run"],
        "reports": os.path.join(folder, "reports.jsonl"),
        "doorbell": os.path.join(folder, "doorbell"),
        "checkpoint": os.path.join(folder, "checkpoint"),
        "output": os.path.join(folder, "output"),
        "inputs": study["inputs"],
        **contract.trial,
        "parameters": expand_maps(study["trial"].get("maps") or {}, values),
        "constants": dict(constants),
    }
    contract.continues = has_files(trial["checkpoint"])
    trial_file = os.path.join(folder, "trial.json")
    with open(trial_file, "w", encoding="utf-8") as file:
        json.dump(trial, file)
    arguments = {**constants, **values}
    call: Json = study["trial"]
    secrets = _secrets_in_environment(call)
    python = sys.executable
    paths = trial["inputs"]
    folder_of_code = os.getcwd()
    options = option_words(call, arguments, folder_of_code)
    texts = argument_values(call, arguments)
    flags = [name for name, value in texts.items() if isinstance(value, bool)]
    switches = switch_words(call, flags, folder_of_code)
    read = with_reader(call, folder_of_code)
    words = command_line(read, arguments, paths, python, options, switches=switches)
    env = environment(
        os.environ, call, arguments, paths, trial_file=trial_file, package=_ROOT, seed=seed
    )
    env.setdefault(RUN, study["run"])
    env.update(contract.script_variables(folder))
    python_folder = os.path.dirname(python)
    if os.path.dirname(shutil.which("python", path=env.get("PATH")) or "") != python_folder:
        env["PATH"] = python_folder + os.pathsep + (env.get("PATH") or os.defpath)
    try:
        launcher = Launcher(contract, trial, secrets)
        requirements = call.get("requirements")
        code = launcher.install(requirements, python, env) if requirements else 0
        metrics = PrintedMetrics(patterns, trial, secrets.hide_cut_text)
        code = code or launcher.run(words, env, metrics if patterns else None)
    except TrialError as error:
        return _refuse(contract, secrets.hide_text(str(error)), error.code)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if code and not launcher.stop_signals:
        contract.report_failure(launcher.failure_reason(code))
    elif not launcher.stop_signals:
        objectives: Json = study.get("objectives") or {}
        reason = contract.divergence(objectives) or metrics.remark(objectives)
        if reason:
            return _refuse(contract, secrets.hide_text(reason), DIVERGED_EXIT)
        if metrics.warning:
            warning = secrets.hide_text(metrics.warning)
            print(LAUNCHER + warning, file=sys.stderr)  # noqa: T201
            contract.report_warning(warning[:MAX_REASON_LENGTH])
    contract.report_exit(code, stopped=bool(launcher.stop_signals))
    contract.close()
    return _exit_like(code)


def _secrets_in_environment(call: Mapping[str, Any]) -> SecretFilter:
    """Return a filter for the variables that the study takes from the user's environment."""
    variables: Json = call.get("env") or {}
    sources = {
        name: source["from_env"]
        for name, source in variables.items()
        if not isinstance(source, str)
    }
    return SecretFilter({os.environ.get(name, ""): source for name, source in sources.items()})


def _exit_like(code: int) -> int:
    """Return a script's exit code, or end by the signal that ended it."""
    if code >= 0:
        return code
    import signal

    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code  # process 1 of a container ignores signals that it sends itself


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
