"""Our contract beside the toolkit of SageMaker's framework images, on the same jobs.

Needs `sagemaker-training` in an environment of its own: the Python that is named in
``CLOUDTUNE_TOOLKIT_PYTHON``, or one that is made once below pytest's cache, which needs a package
index and a C compiler, half a minute and 330 MB. All tests then take about a minute.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudtune_sagemaker import contract
from cloudtune_sagemaker.contract import Machine, ToolkitFailure

pytestmark = pytest.mark.slow

ARN = "arn:aws:sagemaker:eu-west-1:000000000000:training-job/job-1"

WATCHED = (
    "import json, os, sys\n"
    "seen = {'argv': sys.argv, 'env': dict(os.environ), 'cwd': os.getcwd(), 'first': sys.path[0]}\n"
    "with open(os.environ['SM_OUTPUT_DATA_DIR'] + '/seen.json', 'w') as file:\n"
    "    json.dump(seen, file)\n"
)
"""A script that tells how it was started."""

BARE = "from sagemaker_training.cli.train import main; main()"
"""As in an image with the toolkit alone, and in scikit-learn's: what a script says is not read."""
CAPTURED = """\
from sagemaker_training import entry_point, environment, runner
def main():
    env = environment.Environment()
    entry_point.run(
        env.module_dir, env.user_entry_point, env.to_cmd_args(), env.to_env_vars(),
        capture_error=True, runner_type=runner.ProcessRunnerType,
    )
"""
"""What the images of PyTorch and TensorFlow do, where the toolkit reads what a script says."""

AWKWARD = {
    "lower": "true",
    "Upper": "True",
    "nothing": "null",
    "exponent": "1E3",
    "small": "1e-05",
    "quoted": '"16"',
    "quoted-true": '"true"',
    "padded": "007",
    "nan": "NaN",
    "infinite": "-Infinity",
    "list": '[1, 2, "a", null, true]',
    "object": '{"b": {"c": null}, "a": 1.50, "": [true]}',
    "unicode": "naïve \u2603 \U0001f600",
    "escaped": '"\\u2603 \\n \\" \\\\"',
    "space": "two  words ",
    "spaced": " 12 ",
    "n": "3",
    "N": "4",
    "é": "one letter",
    "learning-rate": "0.1",
    "optimizer.beta": "0.9",
    "hp_x": "1",
    "with space": "1",
    "ß": "grows when it is made upper",
    "empty": "",
    "dashes": "--flag",
    "shell": "$(touch /tmp/no) ; 'x' \"y\"",
    "long": "x" * 2500,
    "many": "123456789012345678901234567890",
    "digits": "9" * 2000,
    "float": "0.1000000000000000055511151231257827",
    "line": "one\ntwo",
    "sagemaker_anything": "5",
    "sagemaker_region": "eu-west-1",
    "sagemaker_job_name": '"job-1"',
    "sagemaker_container_log_level": "20",
    "_tuning_objective_metric": "loss",
}


@pytest.fixture(scope="session")
def toolkit(python_with: Callable[[str, str], str]) -> str:
    """The Python that has the toolkit."""
    return python_with("sagemaker-training", "CLOUDTUNE_TOOLKIT_PYTHON")


BLANK = re.compile(r"\n(\s*\n)+")
"""Whether the toolkit keeps empty lines depends on how its reading of pipes is timed."""


@dataclass(frozen=True)
class Outcome:
    seen: Mapping[str, Any] | None
    files: Mapping[str, str]
    failure: str | None
    succeeded: bool
    exit_code: int


def packed(files: Mapping[str, str]) -> bytes:
    created = io.BytesIO()
    with tarfile.open(fileobj=created, mode="w:gz") as tar:
        for name, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return created.getvalue()


def job_of(hyperparameters: Mapping[str, str], **more: Any) -> dict[str, Any]:
    channel = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/p"}}
    return {
        "TrainingJobName": "job-1",
        "TrainingJobArn": ARN,
        "HyperParameters": dict(hyperparameters),
        "Environment": {"SM_STUDIO_LOCAL_MODE": "true", "OWN": "kept", "SM_MODEL_DIR": "lost"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
        "InputDataConfig": [
            {"ChannelName": "train", "DataSource": channel, "ContentType": "text/csv"},
            {"ChannelName": "a.b-c_D", "DataSource": channel, "InputMode": "FastFile"},
        ],
        **more,
    }


class Bench:
    """Runs one job with the toolkit, and then in the same place with our contract."""

    def __init__(self, folder: Path, python: str) -> None:
        self.root = folder / "root"
        self.python = python
        self.modules = folder / "modules"
        self.modules.mkdir()
        (self.modules / "captured.py").write_text(CAPTURED)
        self.archive = folder / "sourcedir.tar.gz"
        self.output = folder / "output.log"

    def prepared(self, job: dict[str, Any], archive: bytes) -> contract.Container:
        shutil.rmtree(self.root, ignore_errors=True)
        self.archive.write_bytes(archive)
        where = {"sagemaker_submit_directory": str(self.archive)}
        return contract.create_container(
            self.root, {**job, "HyperParameters": {**job["HyperParameters"], **where}}
        )

    def real(self, job: dict[str, Any], archive: bytes, *, captured: bool) -> Outcome:
        container = self.prepared(job, archive)
        toolkit = self.started(container, captured=captured)
        return self.outcome(container, toolkit.wait(120))

    def started(
        self, container: contract.Container, *, captured: bool = False
    ) -> subprocess.Popen[bytes]:
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        env |= container.job["Environment"]
        env |= {"TRAINING_JOB_NAME": "job-1", "TRAINING_JOB_ARN": ARN}
        env |= {"SAGEMAKER_BASE_DIR": str(container.base), "PYTHONPATH": str(self.modules)}
        env |= {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
        if captured:
            env["SAGEMAKER_TRAINING_MODULE"] = "captured:main"
        with self.output.open("wb") as out:
            return subprocess.Popen([self.python, "-c", BARE], env=env, stdout=out, stderr=out)

    def ours(self, job: dict[str, Any], archive: bytes, *, captured: bool) -> Outcome:
        if captured:
            framework = {"SAGEMAKER_TRAINING_MODULE": "captured:main"}
            job = {**job, "Environment": {**job["Environment"], **framework}}
        container = self.prepared(job, archive)
        contract.unpack(self.archive, container.code)
        machine = Machine(os.cpu_count() or 1)
        try:
            start = contract.build_start(container, self.python, os.environ, machine)
        except ToolkitFailure as error:
            contract.write_result(container, str(error))
            return self.outcome(container, error.exit_code)
        failure = None
        for step in start.steps:
            code = self.run(start, step)
            if code:
                said = self.output if captured else None
                failure = contract.failure_text(step, code, said)
                break
        contract.write_result(container, failure)
        return self.outcome(container, 1 if failure else 0)

    def run(self, start: contract.Start, step: contract.Step) -> int:
        with self.output.open("wb") as out:
            return subprocess.run(
                step.command,
                cwd=start.cwd,
                env=start.env,
                stdout=out,
                stderr=out,
                check=False,
                timeout=120,
            ).returncode

    def outcome(self, container: contract.Container, exit_code: int) -> Outcome:
        seen = container.data / "seen.json"
        ignored = ("__pycache__",)
        files = {
            path.relative_to(container.code).as_posix(): path.read_text("utf-8")
            for path in sorted(container.code.rglob("*"))
            if path.is_file() and path.parent.name not in ignored
        }
        failed = container.failure
        failure = failed.read_text("utf-8") if failed.exists() else None
        return Outcome(
            seen=json.loads(seen.read_text()) if seen.exists() else None,
            files=files,
            failure=failure and BLANK.sub("\n", failure),
            succeeded=(container.base / "output" / "success").exists(),
            exit_code=exit_code,
        )

    def both(
        self, job: dict[str, Any], archive: bytes, *, captured: bool = True
    ) -> tuple[Outcome, Outcome]:
        real = self.real(job, archive, captured=captured)
        return real, self.ours(job, archive, captured=captured)


@pytest.fixture
def bench(tmp_path: Path, toolkit: str) -> Bench:
    return Bench(tmp_path, toolkit)


BY_TOOLKIT = {"SAGEMAKER_JOB_NAME", "CURRENT_HOST", "SAGEMAKER_REGION", "OWN"}
COUNTED = {"num_gpus", "num_neurons"}
"""What depends on the machine: on one with a GPU, the toolkit counts it."""


def told(outcome: Outcome) -> dict[str, Any]:
    """Return the variables that the toolkit answers for, less what it counts on this machine."""
    assert outcome.seen is not None, outcome.failure
    env: dict[str, str] = outcome.seen["env"]
    kept = {n: v for n, v in env.items() if n.startswith(("SM_", "TRAINING_")) or n in BY_TOOLKIT}
    for name in COUNTED:
        del kept[f"SM_{name.upper()}"]
    all_of_it = json.loads(kept["SM_TRAINING_ENV"])
    spelled = json.dumps(all_of_it, sort_keys=True, separators=(",", ":"))
    assert kept["SM_TRAINING_ENV"] == spelled
    kept["SM_TRAINING_ENV"] = repr({n: v for n, v in all_of_it.items() if n not in COUNTED})
    return kept


def same(real: Outcome, ours: Outcome) -> None:
    assert told(ours) == told(real)
    assert real.seen is not None
    assert ours.seen is not None
    for what in ("argv", "cwd", "first"):
        assert ours.seen[what] == real.seen[what]
    assert ours.seen["env"]["PYTHONPATH"] == real.seen["env"]["PYTHONPATH"].split(":")[0]
    assert ours.files == real.files
    assert (ours.failure, ours.succeeded, ours.exit_code) == (
        real.failure,
        real.succeeded,
        real.exit_code,
    )


@pytest.mark.parametrize("captured", [True, False])
def test_awkward_hyperparameters_arrive_alike(bench: Bench, *, captured: bool) -> None:
    job = job_of({**AWKWARD, "sagemaker_program": "train.py"})
    archive = packed({"train.py": WATCHED, "cloudtune/__init__.py": ""})
    real, ours = bench.both(job, archive, captured=captured)
    assert real.succeeded
    assert real.seen is not None
    shown = [name for name in AWKWARD if not name.startswith(("sagemaker_", "_tuning"))]
    assert len(real.seen["argv"]) == 1 + 2 * len(shown)
    same(real, ours)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"sagemaker_program": "sub/train.py"},
        {"sagemaker_program": '"run.sh"', "a": "it's", "b": "$HOME", "c": '{"x": 1}', "d": ""},
        {"sagemaker_program": "bare", "a": "1"},
        {"sagemaker_torch_distributed_enabled": "true"},
        {"sagemaker_distribution_instance_groups": '["homogeneousCluster"]'},
        {"sagemaker_container_log_level": "10", "sagemaker_enable_cloudwatch_metrics": "true"},
    ],
    ids=str,
)
def test_programs_start_alike(bench: Bench, more: dict[str, str]) -> None:
    shell = f'#!/bin/sh\nexec "{bench.python}" train.py "$@"\n'
    files = {"train.py": WATCHED, "sub/train.py": WATCHED, "run.sh": shell, "bare": shell}
    same(*bench.both(job_of({"sagemaker_program": "train.py", **more}), packed(files)))


def test_the_environment_may_name_the_program(bench: Bench) -> None:
    job = job_of({"sagemaker_program": "lost.py"})
    job["Environment"] |= {"SAGEMAKER_PROGRAM": "train.py", "SM_HP_MP_PARAMETERS": "{}"}
    same(*bench.both(job, packed({"train.py": WATCHED})))


def test_groups_of_machines_are_told_alike(bench: Bench) -> None:
    groups = [
        {"InstanceGroupName": "one", "InstanceType": "ml.m5.large", "InstanceCount": 2},
        {"InstanceGroupName": "two", "InstanceType": "ml.c5.large", "InstanceCount": 1},
    ]
    job = job_of({"sagemaker_program": "train.py"}, ResourceConfig={"InstanceGroups": groups})
    same(*bench.both(job, packed({"train.py": WATCHED})))


FAILURES = {
    "exit code": "import sys; sys.exit(3)",
    "words": "import sys; sys.exit('no such data')",
    "exception": "print('so far')\nraise ValueError('no \u2603 here')",
    "chain": "try:\n    {}['k']\nexcept KeyError as e:\n    raise RuntimeError('lost') from e",
    "own error": "class Mine(Exception): pass\n\n\nraise Mine(': : spaced : ')",
    "lines": "raise ValueError('one\\n\\n two\\n\\n\\nOne\\n two\\n')",
    "warnings first": (
        "import sys\nprint('UserWarning: x', file=sys.stderr)\nprint('x', file=sys.stderr)\n"
        "raise OSError(5, 'disk')"
    ),
    "name in a warning": (
        "import sys\nprint('ignored ValueError', file=sys.stderr)\nprint(file=sys.stderr)\n"
        "print('more: ', file=sys.stderr)\nsys.exit(4)"
    ),
    "bytes": (
        "import sys\nsys.stderr.buffer.write(b'TypeError \\xff\\xfe\\r2%\\rend\\n')\nsys.exit(1)"
    ),
    "killed": "import os\nos.kill(os.getpid(), 15)",
    "no memory": "import sys; sys.exit(137)",
    "syntax": "def (:",
    "import": "import nothing_of_this_name",
    "its own file": (
        "import os, sys\nopen(os.environ['SM_OUTPUT_DIR'] + '/failure', 'w').write('mine')\n"
        "sys.exit(1)"
    ),
    "its own file and success": (
        "import os\nopen(os.environ['SM_OUTPUT_DIR'] + '/failure', 'w').write('mine')\n"
    ),
}


@pytest.mark.parametrize("captured", [True, False])
@pytest.mark.parametrize("code", FAILURES.values(), ids=FAILURES)
def test_failures_are_told_alike(bench: Bench, code: str, *, captured: bool) -> None:
    job = job_of({"sagemaker_program": "train.py", "a": "two words", "b": "null"})
    real, ours = bench.both(job, packed({"train.py": code}), captured=captured)
    assert real.failure
    assert ours == real


@pytest.mark.parametrize(
    "program",
    [
        *(
            "",
            "-c.py",
            "/train.py",
            "a b.py",
            "é.py",
            "../train.py",
            "sub/../train.py",
            "./train.py",
        ),
        *("+x.py", "a//b.py", "'quoted'.py", "gone.py", "sub/"),
    ],
)
def test_programs_are_refused_alike(bench: Bench, program: str) -> None:
    job = job_of({"sagemaker_program": program})
    real, ours = bench.both(job, packed({"train.py": WATCHED}))
    assert real.failure
    assert ours == real


def test_a_job_without_a_program_fails_alike(bench: Bench) -> None:
    real, ours = bench.both(job_of({"a": "1"}), packed({"train.py": WATCHED}))
    assert "entry point name is empty" in (real.failure or "")
    assert ours == real


@pytest.mark.parametrize(
    "more",
    [
        {"sagemaker_program": "gone.sh"},
        {"sagemaker_program": "12"},
        {"a=b": "1"},
        {"nul": '"\\u0000"'},
        {"surrogate": '"\\ud800"'},
        {"sagemaker_job_name": "12"},
        {"sagemaker_container_log_level": "INFO"},
    ],
    ids=lambda more: next(iter(more)),
)
def test_faults_of_the_toolkit_are_told_alike_but_for_the_trace(
    bench: Bench, more: dict[str, str]
) -> None:
    job = job_of({"sagemaker_program": "train.py", **more})
    real, ours = bench.both(job, packed({"train.py": WATCHED}))
    first, _, _ = (real.failure or "").partition("\n")
    assert first == "Framework Error: "
    assert (ours.failure or "").startswith(
        "Framework Error: \nTraceback (most recent call last):\n"
    )
    assert (ours.failure or "").splitlines()[-2:] == (real.failure or "").splitlines()[-2:]
    assert (ours.exit_code, ours.seen) == (real.exit_code, real.seen)


def test_a_value_that_is_nested_deeply_is_read_alike(bench: Bench) -> None:
    job = job_of({"sagemaker_program": "train.py", "deep": "[" * 2400})
    real, ours = bench.both(job, packed({"train.py": WATCHED}))
    assert (ours.seen is None) == (real.seen is None)  # newer Pythons take it for mere text
    assert (ours.failure or "").splitlines()[-2:] == (real.failure or "").splitlines()[-2:]


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"requirements.txt": "./gone-1.0-py3-none-any.whl\n"}, "InstallRequirementsError"),
        ({"requirements.txt": "a b c\n"}, "InstallRequirementsError"),
        ({"setup.py": "raise SystemExit(3)\n"}, "InstallModuleError"),
    ],
)
@pytest.mark.parametrize("captured", [True, False])
def test_failed_installations_are_told_alike(
    bench: Bench, files: dict[str, str], error: str, *, captured: bool
) -> None:
    job = job_of({"sagemaker_program": "train.py"})
    job["Environment"] |= {"PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    archive = packed({"train.py": WATCHED, **files})
    real, ours = bench.both(job, archive, captured=captured)
    assert (real.failure or "").startswith(error + ":\nExitCode ")
    overlay = str(bench.root / "usr" / "local" / "bin" / "python")
    said = (ours.failure or "").replace(overlay, bench.python)
    if error == "InstallModuleError" and captured:  # with paths that are drawn anew each time
        said, _, _ = said.partition("ErrorMessage")
        assert (real.failure or "").startswith(said)
    else:
        assert said == real.failure
    assert ours.seen is real.seen is None


LISTENING = """\
import os, signal, time
folder = os.environ["SM_OUTPUT_DIR"]
heard = []
signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
open(folder + "/ready", "w").close()
while not os.path.exists(folder + "/go"):
    time.sleep(0.02)
with open(folder + "/heard.tmp", "w") as file:
    file.write(repr(heard))
os.rename(folder + "/heard.tmp", folder + "/heard")
"""


def test_a_stop_does_not_reach_the_script(bench: Bench) -> None:
    job = job_of({"sagemaker_program": "train.py"})
    container = bench.prepared(job, packed({"train.py": LISTENING}))
    toolkit = bench.started(container)
    wait_for(container.base / "output" / "ready")
    toolkit.terminate()
    toolkit.wait(200)
    (container.base / "output" / "go").touch()
    assert wait_for(container.base / "output" / "heard").read_text() == "[]"


def wait_for(path: Path) -> Path:
    for _ in range(6000):
        if path.exists():
            return path
        time.sleep(0.01)
    raise AssertionError(f"{path} did not appear")


def test_archives_are_unpacked_alike(bench: Bench) -> None:
    created = io.BytesIO()
    with tarfile.open(fileobj=created, mode="w:gz") as tar:

        def add(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", text: str = "x") -> None:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = kind, link, 0o644
            member.size = len(text) if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(text.encode()) if member.size else None)

        add("./train.py", text=WATCHED)
        add("../up.py")
        add("/absolute.py")
        add("a/../../twice.py")
        add("back\\slash.py")
        add("C:drive.py")
        add("..", kind=tarfile.DIRTYPE)
        add("pipe", kind=tarfile.FIFOTYPE)
        add("null", kind=tarfile.CHRTYPE)
        add("passwd", kind=tarfile.SYMTYPE, link="/etc/passwd")
        add("outside", kind=tarfile.SYMTYPE, link="../..")
        add("outside/file.py")
        add("inside", kind=tarfile.SYMTYPE, link="train.py")
        add("hard.py", kind=tarfile.LNKTYPE, link="train.py")
        add("far.py", kind=tarfile.LNKTYPE, link="../../../etc/passwd")
        add("dir", kind=tarfile.DIRTYPE)
        add("dir/link", kind=tarfile.SYMTYPE, link="../train.py")
        add("loop", kind=tarfile.SYMTYPE, link=".")
        add("loop/through.py")
        add("twice.txt", text="first")
        add("twice.txt", text="second")
    real, ours = bench.both(job_of({"sagemaker_program": "train.py"}), created.getvalue())
    assert "up.py" in real.files
    assert real.files["twice.txt"] == "second"
    same(real, ours)
