from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.bundle import unpack as archive
from cloudtune_sagemaker import contract
from cloudtune_sagemaker.contract import (
    BadArchive,
    Container,
    Machine,
    Start,
    ToolkitFailure,
    toolkit,
)

ARN = "arn:aws:sagemaker:eu-west-1:000000000000:training-job/job-1"
PYTHON = "/image/bin/python"


def job_of(hyperparameters: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": "job-1",
        "TrainingJobArn": ARN,
        "HyperParameters": {"sagemaker_program": "train.py", **(hyperparameters or {})},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
        **more,
    }


def container_of(folder: Path, job: Mapping[str, Any], **files: str) -> Container:
    container = contract.create_container(folder, job)
    for name, text in files.items():
        (container.code / name.replace("__", ".")).write_text(text)
    return container


def started(folder: Path, job: Mapping[str, Any], **files: str) -> Start:
    container = container_of(folder, job, **files)
    return contract.build_start(container, PYTHON, {"PATH": "/bin"}, Machine(4))


def channel(name: str, **more: Any) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/p"}},
        **more,
    }


# The container.


def test_the_container_has_the_folders_of_opt_ml(tmp_path: Path) -> None:
    job = job_of(InputDataConfig=[channel("train"), channel("val")])
    container = contract.create_container(tmp_path / "root", job)
    below = tmp_path / "root" / "opt" / "ml"
    assert container.base == below
    found = {path.relative_to(below).as_posix() for path in below.rglob("*") if path.is_dir()}
    assert found == {
        *("code", "model", "output", "output/data", "input", "input/config", "input/data"),
        *("input/data/train", "input/data/val"),
    }
    assert container.checkpoints is None


def config(container: Container, name: str) -> Any:
    return json.loads((container.base / "input" / "config" / f"{name}.json").read_text("utf-8"))


def test_hyperparameters_are_written_as_they_were_sent(tmp_path: Path) -> None:
    sent = {"a": "true", "n": "1E3", "_tuning_objective_metric": "loss", "text": "\u2603 "}
    container = contract.create_container(tmp_path, job_of(sent))
    assert config(container, "hyperparameters") == {"sagemaker_program": "train.py", **sent}


def test_channels_are_described(tmp_path: Path) -> None:
    job = job_of(
        InputDataConfig=[channel("train", ContentType="text/csv"), channel("v", InputMode="Pipe")],
        AlgorithmSpecification={"TrainingInputMode": "FastFile"},
    )
    job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3DataDistributionType"] = (
        "ShardedByS3Key"
    )
    assert config(contract.create_container(tmp_path, job), "inputdataconfig") == {
        "train": {
            "ContentType": "text/csv",
            "TrainingInputMode": "FastFile",
            "S3DistributionType": "ShardedByS3Key",
            "RecordWrapperType": "None",
        },
        "v": {
            "TrainingInputMode": "Pipe",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        },
    }


def test_machines_are_described(tmp_path: Path) -> None:
    job = job_of(ResourceConfig={"InstanceType": "ml.c5.large", "InstanceCount": 2})
    assert config(contract.create_container(tmp_path, job), "resourceconfig") == {
        "current_host": "algo-1",
        "current_instance_type": "ml.c5.large",
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1", "algo-2"],
        "instance_groups": [
            {
                "instance_group_name": "homogeneousCluster",
                "instance_type": "ml.c5.large",
                "hosts": ["algo-1", "algo-2"],
            }
        ],
        "network_interface_name": "eth0",
        "topology": None,
    }


@pytest.mark.parametrize(
    ("given_path", "below"),
    [(None, "opt/ml/checkpoints"), ("/data/../ck/", "data/ck"), ("/opt/ml/ck", "opt/ml/ck")],
)
def test_checkpoints_are_in_the_jobs_folder(
    tmp_path: Path, given_path: str | None, below: str
) -> None:
    given_config = {"S3Uri": "s3://b/c", **({"LocalPath": given_path} if given_path else {})}
    container = contract.create_container(tmp_path / "r", job_of(CheckpointConfig=given_config))
    assert container.checkpoints == tmp_path / "r" / below
    assert (tmp_path / "r" / below).is_dir()
    assert config(container, "checkpointconfig") == {"LocalPath": str(container.checkpoints)}


def test_source_uri_is_a_hyperparameter() -> None:
    assert contract.source_uri(job_of()) is None
    for text in ("s3://b/code.tar.gz", '"s3://b/code.tar.gz"'):
        assert (
            contract.source_uri(job_of({"sagemaker_submit_directory": text}))
            == "s3://b/code.tar.gz"
        )


# How the script is started.


def test_hyperparameters_become_sorted_arguments(tmp_path: Path) -> None:
    sent = {
        "b": '"16"',
        "learning-rate": "1E3",
        "Z": "null",
        "flag": "true",
        "object": '{"y": null, "x": [1, "t"]}',
        "padded": "007",
        "sagemaker_region": "eu-west-1",
        "_tuning_objective_metric": "loss",
    }
    start = started(tmp_path, job_of(sent), train__py="")
    (step,) = start.steps
    assert step.command == [
        *(PYTHON, "--", "train.py", "-Z", "", "-b", "16", "--flag", "True"),
        *("--learning-rate", "1000.0", "--object", "x=[1, 't'],y=None", "--padded", "007"),
    ]
    assert start.cwd == tmp_path / "opt" / "ml" / "code"


def test_hyperparameters_become_variables(tmp_path: Path) -> None:
    sent = {"learning-rate": "1E3", "none": "null", "flag": "true", "o": '{"b": 1, "a": "\u2603"}'}
    env = started(tmp_path, job_of({**sent, "sagemaker_x": "1"}), train__py="").env
    assert {name: value for name, value in env.items() if name.startswith("SM_HP_")} == {
        "SM_HP_LEARNING-RATE": "1000.0",
        "SM_HP_NONE": "",
        "SM_HP_FLAG": "true",
        "SM_HP_O": '{"a":"\\u2603","b":1}',
    }
    assert json.loads(env["SM_HPS"]) == {
        "learning-rate": 1000.0,
        "none": None,
        "flag": True,
        "o": {"a": "\u2603", "b": 1},
    }
    assert json.loads(env["SM_FRAMEWORK_PARAMS"]) == {"sagemaker_x": 1}
    assert json.loads(env["SM_USER_ARGS"])[:2] == ["--flag", "True"]


def test_paths_and_names_become_variables(tmp_path: Path) -> None:
    job = job_of(InputDataConfig=[channel("train"), channel("a.b")])
    env = started(tmp_path, job, train__py="").env
    base = str(tmp_path / "opt" / "ml")
    told = {
        "SM_MODEL_DIR": f"{base}/model",
        "SM_OUTPUT_DIR": f"{base}/output",
        "SM_OUTPUT_DATA_DIR": f"{base}/output/data",
        "SM_INPUT_DIR": f"{base}/input",
        "SM_INPUT_CONFIG_DIR": f"{base}/input/config",
        "SM_CHANNELS": '["a.b","train"]',
        "SM_CHANNEL_TRAIN": f"{base}/input/data/train",
        "SM_CHANNEL_A.B": f"{base}/input/data/a.b",
        "SM_CURRENT_HOST": "algo-1",
        "SM_HOSTS": '["algo-1"]',
        "SM_NUM_CPUS": "4",
        "SM_NUM_GPUS": "0",
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_MODULE_NAME": "train",
        "TRAINING_JOB_NAME": "job-1",
        "TRAINING_JOB_ARN": ARN,
        "SAGEMAKER_BASE_DIR": base,
        "AWS_REGION": "eu-west-1",
        "PYTHONPATH": f"{base}/code",
    }
    assert {name: env.get(name) for name in told} == told
    whole = json.loads(env["SM_TRAINING_ENV"])
    assert whole["job_name"] == "job-1"
    assert whole["channel_input_dirs"]["train"] == told["SM_CHANNEL_TRAIN"]


def test_variables_of_the_job_are_passed_and_the_emulators_are_not(tmp_path: Path) -> None:
    job = job_of(Environment={"MINE": "1", "SM_MODEL_DIR": "theirs", "TRAINING_JOB_NAME": "no"})
    container = container_of(tmp_path, job, train__py="")
    ours = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "AWS_ACCESS_KEY_ID": "secret",
        "AWS_PROFILE": "me",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "CLOUDTUNE_TRIAL": "x",
        "PYTHONPATH": "/ours",
        "TOKEN": "secret",
    }
    env = contract.build_start(container, PYTHON, ours, Machine(1)).env
    assert env["MINE"] == "1"
    assert env["SM_MODEL_DIR"] == str(container.model)
    assert env["TRAINING_JOB_NAME"] == "job-1"
    assert env["HOME"] == "/home/me"
    assert env["PATH"] == f"/image/bin{os.pathsep}/bin"
    assert not any("secret" in value or "127.0.0.1" in value for value in env.values())
    assert {"AWS_PROFILE", "CLOUDTUNE_TRIAL", "TOKEN"}.isdisjoint(env)
    assert not Path(env["AWS_CONFIG_FILE"]).exists()
    assert not Path(env["AWS_SHARED_CREDENTIALS_FILE"]).exists()


def test_the_environment_may_name_the_program(tmp_path: Path) -> None:
    job = job_of(Environment={"SAGEMAKER_PROGRAM": "other.py"})
    start = started(tmp_path, job, other__py="")
    assert start.steps[-1].command == [PYTHON, "--", "other.py"]
    assert start.env["SM_MODULE_NAME"] == "other"


@pytest.mark.parametrize("program", ["run.sh", "run"])
def test_a_program_that_is_not_python_goes_through_a_shell(tmp_path: Path, program: str) -> None:
    job = job_of({"sagemaker_program": program, "a": "it's $HOME", "b": ""})
    container = contract.create_container(tmp_path, job)
    (container.code / program).write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    start = contract.build_start(container, PYTHON, os.environ, Machine(1))
    done = subprocess.run(
        start.steps[-1].command,
        cwd=start.cwd,
        env=start.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "-a|it's $HOME|-b||"


def test_a_package_is_installed_and_run_as_a_module(tmp_path: Path) -> None:
    files = {"setup__py": "", "requirements__txt": "", "train__py": ""}
    install, script = started(tmp_path, job_of({"a": "1"}), **files).steps
    overlay = f"{tmp_path}/usr/local/bin/python"
    assert install.command_text == f"{overlay} -m pip install . -r requirements.txt"
    assert install.error == "InstallModuleError"
    assert script.command == [overlay, "-m", "train", "-a", "1"]


def wheel(path: Path, name: str, text: str) -> None:
    about = {
        f"{name}.py": text,
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{name}-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as file:
        for inner, content in about.items():
            file.writestr(inner, content)


@pytest.mark.slow
def test_requirements_are_installed_only_in_the_container(tmp_path: Path) -> None:
    container = contract.create_container(tmp_path, job_of(Environment={"PIP_NO_INDEX": "1"}))
    wheel(container.code / "tiny_one-1.0-py3-none-any.whl", "tiny_one", "VALUE = 42\n")
    (container.code / "requirements.txt").write_text("./tiny_one-1.0-py3-none-any.whl\npytest\n")
    (container.code / "train.py").write_text(
        "import json, sys, tiny_one, pytest\n"
        "print(json.dumps([tiny_one.VALUE, tiny_one.__file__, pytest.__file__]))\n"
    )
    start = contract.build_start(container, sys.executable, os.environ, Machine(1))
    said = ""
    for step in start.steps:
        done = subprocess.run(
            step.command, cwd=start.cwd, env=start.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        said = done.stdout
    value, place, ours = json.loads(said)
    assert value == 42
    assert Path(place).is_relative_to(tmp_path)
    assert ours == pytest.__file__


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("", "name is empty"),
        ("-c", "a leading '-'"),
        ("/train.py", "a leading '/'"),
        ("a b;.py", "the character(s) ' ', ';'"),
        ("../train.py", "path segments"),
        ("./train.py", "path segments"),
    ],
)
def test_the_toolkit_refuses_some_programs(tmp_path: Path, program: str, said: str) -> None:
    with pytest.raises(ToolkitFailure) as caught:
        started(tmp_path, job_of({"sagemaker_program": program}))
    assert said in str(caught.value)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"a=b": "1"}, "ValueError: illegal environment variable name"),
        ({"a": '"\\u0000"'}, "ValueError: embedded null byte"),
        ({"a": '"\\ud800"'}, "UnicodeEncodeError"),
        ({"a": "[" * 100_000}, "RecursionError"),
        ({"sagemaker_job_name": "12"}, "TypeError: str expected, not int"),
        ({"sagemaker_container_log_level": "INFO"}, "TypeError: '>=' not supported"),
        ({"sagemaker_program": "12"}, "TypeError: expected string"),
    ],
)
def test_some_values_break_the_toolkit(tmp_path: Path, sent: dict[str, str], said: str) -> None:
    with pytest.raises(ToolkitFailure) as caught:
        started(tmp_path, job_of(sent), train__py="")
    text = str(caught.value)
    assert text.startswith("Framework Error: \nTraceback (most recent call last):\n")
    assert said in text


def test_a_missing_shell_script_has_its_own_exit_code(tmp_path: Path) -> None:
    with pytest.raises(ToolkitFailure) as caught:
        started(tmp_path, job_of({"sagemaker_program": "gone.sh"}))
    assert caught.value.exit_code == 2


def test_mpi_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolkitFailure, match="sagemaker_mpi_enabled"):
        started(tmp_path, job_of({"sagemaker_mpi_enabled": "true"}), train__py="")


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_json_strings_arrive_unchanged(sent: dict[str, str]) -> None:
    quoted = {name: json.dumps(value) for name, value in sent.items()}
    decoded = toolkit.decode(quoted)
    assert {**decoded.user, **decoded.reserved} == sent
    words = toolkit.arguments(decoded.user)
    assert words[1::2] == [decoded.user[name] for name in sorted(decoded.user)]
    assert [word.lstrip("-") for word in words[::2]] == [
        n.lstrip("-") for n in sorted(decoded.user)
    ]


# How it failed.

TRACE = """\
starting
Traceback (most recent call last):
  File "train.py", line 3, in <module>
    raise ValueError("bad")
ValueError: bad
"""


def test_a_failure_has_code_message_and_command(tmp_path: Path) -> None:
    (step,) = started(tmp_path / "r", job_of({"a": "1"}), train__py="").steps
    output = tmp_path / "log"
    output.write_text(TRACE)
    command = f'Command "{PYTHON} -- train.py -a 1"'
    message = 'raise ValueError("bad")\n ValueError: bad'
    assert contract.failure_text(step, 1, output) == (
        f'ExecuteUserScriptError:\nExitCode 1\nErrorMessage "{message}"\n{command}'
    )
    assert contract.failure_text(step, -15, None) == (
        f'ExecuteUserScriptError:\nExitCode -15\nErrorMessage ""\n{command}'
    )
    assert 'ExtraInfo "OutOfMemory' in contract.failure_text(step, 137, None)


def test_a_message_has_a_maximum_length() -> None:
    endless = (f"ValueError {n} {'x' * 100}\n" for n in range(10**9))
    assert len(toolkit.error_message(endless)) < 2 * toolkit.MAX_MESSAGE_LENGTH


def test_the_reason_is_the_start_of_the_failure_file(tmp_path: Path) -> None:
    container = contract.create_container(tmp_path, job_of())
    assert contract.failure_reason(container) == "AlgorithmError: , exit code: 1"
    contract.write_result(container, "what happened")
    assert contract.failure_reason(container, 3) == "AlgorithmError: what happened, exit code: 3"
    contract.write_result(container, "later")
    assert container.failure.read_text() == "what happened"
    container.failure.write_text("\u2603" * 5000)
    assert contract.failure_reason(container) == ("AlgorithmError: " + "\u2603" * 5000)[:1024]


def test_success_writes_a_file(tmp_path: Path) -> None:
    container = contract.create_container(tmp_path, job_of())
    contract.write_result(container, None)
    assert (container.base / "output" / "success").read_text() == ""
    assert not container.failure.exists()


# The archive.


class Packing:
    """An archive in the making."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tar = tarfile.open(path, "w:gz")  # noqa: SIM115 - closed by `unpacked`

    def add(self, name: str, text: str = "", *, kind: bytes = b"0", link: str = "") -> Packing:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, link, len(text)
        self.tar.addfile(member, io.BytesIO(text.encode()))
        return self

    def unpacked(self, folder: Path) -> list[str]:
        self.tar.close()
        folder.mkdir(parents=True)
        return contract.unpack(self.path, folder)


@pytest.fixture
def packing(tmp_path: Path) -> Packing:
    return Packing(tmp_path / "sourcedir.tar.gz")


def test_an_archive_is_unpacked_with_its_permissions(packing: Packing, tmp_path: Path) -> None:
    member = tarfile.TarInfo("bin/run.sh")
    member.mode, member.size = 0o6777, 2
    packing.tar.addfile(member, io.BytesIO(b"ok"))
    folder = tmp_path / "code"
    assert packing.add("./sub/train.py", "x = 1").unpacked(folder) == []
    assert (folder / "sub" / "train.py").read_text() == "x = 1"
    assert (folder / "bin" / "run.sh").stat().st_mode & 0o7777 == 0o755


def test_nothing_leaves_the_folder(packing: Packing, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "down" / "code"
    packing.add("../../up.txt", "1").add("/abs.txt", "2").add("a\\..\\..\\back.txt", "3")
    packing.add("out", kind=tarfile.SYMTYPE, link="../..").add("out/through.txt", "4")
    packing.add("etc", kind=tarfile.SYMTYPE, link="/etc/passwd")
    packing.add("hard", kind=tarfile.LNKTYPE, link="../../../sourcedir.tar.gz")
    packing.add("pipe", kind=tarfile.FIFOTYPE).add("null", kind=tarfile.CHRTYPE).add("..")
    notes = packing.unpacked(folder)
    inside = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert inside == {"up.txt", "abs.txt", "a", "a/back.txt", "out", "out/through.txt"}
    assert not (folder / "out").is_symlink()
    outside = {path.name for path in tmp_path.rglob("*") if not path.is_relative_to(folder)}
    assert outside == {"sourcedir.tar.gz", "deep", "down"}
    assert len(notes) == 9


def test_a_link_cannot_write_outside_of_the_folder(packing: Packing, tmp_path: Path) -> None:
    folder = tmp_path / "code"
    packing.add("a/x", "").add("l", kind=tarfile.SYMTYPE, link="a")
    packing.add("l/../../out.txt", "1").add("l/in.txt", "2")
    packing.unpacked(folder)
    assert (folder / "a" / "in.txt").read_text() == "2"
    assert {path.name for path in tmp_path.iterdir()} == {"code", "sourcedir.tar.gz"}


def test_links_inside_the_folder_are_kept(packing: Packing, tmp_path: Path) -> None:
    folder = tmp_path / "code"
    packing.add("train.py", "x").add("sub/link.py", kind=tarfile.SYMTYPE, link="../train.py")
    packing.add("hard.py", kind=tarfile.LNKTYPE, link="train.py")
    assert packing.unpacked(folder) == []
    assert (folder / "sub" / "link.py").is_symlink()
    assert (folder / "sub" / "link.py").read_text() == (folder / "hard.py").read_text() == "x"


def test_a_folder_that_is_not_empty_is_not_changed(packing: Packing, tmp_path: Path) -> None:
    folder = tmp_path / "code"
    packing.add("train.py", "first").unpacked(folder)
    (folder / "train.py").write_text("mine")
    (note,) = contract.unpack(packing.path, folder)
    assert "not empty" in note
    assert (folder / "train.py").read_text() == "mine"


@pytest.mark.parametrize("damage", ["text", "cut", "changed"])
def test_a_broken_archive_is_refused(packing: Packing, tmp_path: Path, damage: str) -> None:
    packing.add("train.py", os.urandom(20_000).hex()).unpacked(tmp_path / "whole")
    data = packing.path.read_bytes()
    middle = len(data) // 2
    changed = data[:middle] + b"\0" * 9 + data[middle + 9 :]
    broken = {"text": b"no archive", "cut": data[:middle], "changed": changed}
    packing.path.write_bytes(broken[damage])
    (tmp_path / "code").mkdir()
    with pytest.raises(BadArchive):
        contract.unpack(packing.path, tmp_path / "code")


def test_an_archive_has_a_maximum_size(
    packing: Packing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 10)
    packing.add("a", "x" * 6).add("b", "x" * 6)
    with pytest.raises(BadArchive, match="is too large"):
        packing.unpacked(tmp_path / "code")
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1)
    (tmp_path / "other").mkdir()
    with pytest.raises(BadArchive, match="is too large"):
        contract.unpack(packing.path, tmp_path / "other")
