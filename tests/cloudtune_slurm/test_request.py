"""The requests of studies, compared with golden files, and the words of sbatch.

A file in ``golden`` holds a study and what becomes of it. To renew all of them, run

    CLOUDTUNE_RENEW_GOLDEN=1 pytest tests/cloudtune_slurm/test_request.py

and read the difference.
"""

from __future__ import annotations

import json
import math
import os
import pwd
import re
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.planning.planner import plan
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.study.schema import Resources
from cloudtune.study.study import Study
from cloudtune_slurm.layout import Layout, locate_request
from cloudtune_slurm.outline import outline
from cloudtune_slurm.request import changed_resources, sbatch_words, time_minutes, to_mebibytes
from tests.cloudtune_slurm.support import RUN, on_file_system, plan_of, study_of

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the studies name."""
    monkeypatch.setenv("HF_TOKEN", "s3cr3t-value")
    monkeypatch.setenv("ALL", "s3cr3t-value")
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("cloudtune_slurm.lookup.file_system", on_file_system("nfs4"))
    (tmp_path / "train.py").write_text("print('acc=1')\n", "utf-8")
    (tmp_path / "requirements.txt").write_text("", "utf-8")
    return tmp_path


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_request_and_findings_match_the_golden_file(file: Path, base: Path) -> None:
    golden = json.loads(file.read_text("utf-8"))
    study = Study.model_validate(golden["study"])
    planned = plan(study, "slurm", base=base, run_id=RUN, emulated=golden.get("emulated", False))
    remarks = [str(each) for each in (*planned.findings, *planned.notes)]
    current: dict[str, Any] = {
        "findings": remarks,
        "request": planned.request,
        "outline": outline(planned),
    }
    text = json.dumps(current, ensure_ascii=False)
    assert "s3cr3t" not in text
    text = text.replace(sys.executable, "PYTHON").replace(str(base), "BASE")
    current = json.loads(re.sub(r"\d+ files?, \d+ k?B", "FILES", text))
    if os.environ.get("CLOUDTUNE_RENEW_GOLDEN"):
        renewed = json.dumps({**golden, **current}, indent=1, ensure_ascii=False)
        file.write_text(f"{renewed}\n", "utf-8")
        pytest.skip("renewed")
    for key, value in current.items():
        assert value == golden[key]


def test_planning_opens_no_connection(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise AssertionError("planning opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    first = plan_of(base, host="login", folder="/scratch/me")
    assert first.request == plan_of(base, host="login", folder="/scratch/me").request


def words_of(plan: Plan) -> list[str]:
    layout = Layout.of_plan(plan)
    name = layout.job_name(7, 2)
    return sbatch_words(plan.request, name, layout.start(name))


def test_the_words_of_a_start(base: Path) -> None:
    native = {"sbatch": {"exclusive": True, "mail-type": ["FAIL", "END"], "signal": "B:USR1@60"}}
    words = words_of(plan_of(base, folder="/shared/me", native=native))
    folder = f"/shared/me/plain-{RUN}"
    assert words[0] == "sbatch"
    assert words[-2:] == [f"{folder}/run.sh", f"{folder}/trials/7/2"]
    assert {
        f"--job-name=plain-{RUN}-7-2",
        f"--output={folder}/trials/7/2/log.txt",
        "--exclusive",
        "--mail-type=FAIL",
        "--mail-type=END",
        "--signal=B:USR1@60",
        "--no-requeue",
        "--export=NIL",
    } <= set(words)


def test_native_cannot_replace_the_fields_that_identify_jobs(base: Path) -> None:
    for name in ("job-name", "output", "chdir", "export", "no-requeue", "parsable"):
        refused = plan_of(base, folder="/s", native={"sbatch": {name: "x"}}).refused
        assert [each.path for each in refused] == [f"providers.slurm.native.sbatch.{name}"], name


def test_native_does_not_pass_rules_by_a_short_name(base: Path) -> None:
    for name in ("arra", "outp", "job-n", "exp", "req", "array=1-3", "mem_per_cpu"):
        refused = plan_of(base, folder="/s", native={"sbatch": {name: "1-3"}}).refused
        assert [each.path for each in refused] == [f"providers.slurm.native.sbatch.{name}"], name


def test_a_start_with_other_resources_changes_only_their_options(base: Path) -> None:
    block = {
        "trial": {"script": "train.py", "resources": {"cpus": 2, "gpus": 1, "memory": "2 GiB"}}
    }
    plan = plan_of(base, block, folder="/s", gpu_type="a100")
    options = changed_resources(plan, Resources(cpus=2, memory="4 GiB"))
    assert options == {"mem": "4096M", "gres": None}
    words = sbatch_words(plan.request, "j", "s", options)
    assert "--mem=4096M" in words
    assert not any(word.startswith("--gres") for word in words)


@pytest.mark.parametrize(
    ("memory", "mebibytes"),
    [("8 GiB", 8192), ("8GB", 7630), ("1.5 GiB", 1536), ("1 KB", 1), ("1 TB", 953675)],
)
def test_memory_in_slurms_binary_units(memory: str, mebibytes: int) -> None:
    assert to_mebibytes(memory) == mebibytes


@given(st.floats(0.1, 1e6), st.floats(0, 3600))
def test_slurms_signal_never_comes_before_the_trial_timeout(timeout: float, grace: float) -> None:
    limit = time_minutes(timeout, grace) * 60
    assert limit - math.ceil(grace) - 60 >= timeout - 1
    assert limit < timeout + grace + 120


def test_the_folder_of_a_run(base: Path) -> None:
    assert plan_of(base).request["folder"] == f"{base}/state/runs/{RUN}/slurm/shared"
    assert plan_of(base, folder="out").request["folder"] == f"{base}/out/plain-{RUN}"
    refused = plan_of(base, host="login").refused
    assert [each.path for each in refused] == ["providers.slurm.folder"]
    assert [each.path for each in plan_of(base, folder="a%j").refused] == ["providers.slurm.folder"]


def test_the_script_of_a_job_makes_its_login_environment_itself(base: Path) -> None:
    """Slurm gives it none with ``--export=NIL``."""
    probe = base / "probe"
    probe.write_text('#!/bin/sh\nexec /usr/bin/env > "$2/variables"\n')
    probe.chmod(0o700)
    request = plan_of(base, folder=str(base / "shared"), python=str(probe)).request
    folder, start = Path(request["folder"]), base / "start"
    folder.mkdir(parents=True)
    tarfile.open(folder / "code.tar.gz", "w:gz").close()
    script = folder / "run.sh"
    script.write_text("\n".join([*request["script"], ""]))
    script.chmod(0o700)
    subprocess.run([script, start], env={"SLURM_EXPORT_ENV": "NIL"}, check=True)
    lines = (start / "variables").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if "=" in line)
    user = pwd.getpwuid(os.getuid())
    names = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    assert {name: variables.get(name) for name in names} == names
    assert {"PATH", "SHELL"} <= variables.keys()
    assert "SLURM_EXPORT_ENV" not in variables
    assert request["sbatch"]["export"] == "NIL"


def test_an_emulated_plan_has_its_files_where_it_is_executed(base: Path) -> None:
    study = study_of({}, host="login", folder="/scratch/me", partition="gpu", gpu_type="a100")
    planned = plan(study, "slurm", base=base, run_id=RUN, emulated=True)
    request = locate_request(planned, JobContext(base / "doctor"))
    assert "/state/" not in json.dumps(request)
    assert request["folder"] == f"{base}/doctor/shared"
    assert f"{base}/doctor/shared/code.tar.gz" in request["script"][-2]
    real = plan_of(base, host="login", folder="/scratch/me")
    assert locate_request(real, JobContext(base / "doctor")) == real.request


def test_a_local_disk_is_a_warning(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudtune_slurm.lookup.file_system", on_file_system("tmpfs"))
    (note,) = [each for each in plan_of(base).notes if each.path == "providers.slurm.folder"]
    assert note.severity == "warning"
    assert "tmpfs" in note.text


def test_the_python_of_trials(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def python(**settings: Any) -> str:
        return str(plan_of(base, **settings).facts.data["python"])

    assert python() == sys.executable
    assert python(setup=["module load python"]) == "python3"
    assert python(host="login", folder="/s") == "python3"
    assert python(python="/opt/bin/python") == "/opt/bin/python"
    program = base / "venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    monkeypatch.setenv("VIRTUAL_ENV", str(base / "venv"))
    assert python() == str(program)
