"""The command doctor: what a user reads, and the exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cloudtune
from cloudtune.diagnostics import Check
from cloudtune.errors import ProviderError
from cloudtune.provider import registry
from cloudtune.provider.base import BaseProvider
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.reporting.notebook import to_html
from cloudtune_sagemaker import SagemakerProvider
from cloudtune_slurm import SlurmProvider
from tests.cloudtune.conftest import Cloudtune

HEALTHY = "import sys\nprint('loss:', float(sys.argv[2]) ** 2)\n"
STUDY = r"""objective: {metric: loss, goal: minimize}
parameters: {lr: {type: float, min: 0.25, max: 1}}
limits: {max_trials: 2}
trial: {script: train.py, metrics: {loss: 'loss: (\S+)'}}
"""
CALL = ("doctor", "study.yaml")
SETTINGS = """providers:
  sagemaker:
    region: eu-west-1
    role_arn: arn:aws:iam::123456789012:role/train
    instance_type: ml.m5.large
    image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/train:1
"""


@pytest.fixture(autouse=True)
def _study(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "train.py").write_text(HEALTHY)


def test_a_healthy_study_is_a_few_lines(typed: Cloudtune) -> None:
    lines = typed("doctor", "study.yaml").stdout.splitlines()
    assert lines[0] == "local"
    assert lines[1].startswith("  script   ok: two trials ran, ")
    assert "loss 0.0625 and 1, 1 measurement each" in " ".join(line.strip() for line in lines)
    assert lines[-1] == "Healthy."
    assert len(lines) <= 6
    assert max(map(len, lines)) <= 80


def test_a_fault_has_its_place_and_what_to_change(typed: Cloudtune, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('loss = 0.5')\n")
    output = typed("doctor", "study.yaml", code=1).stdout
    lines = output.splitlines()
    assert lines[2].startswith("           error: study.yaml:4: trial.metrics.loss: no line")
    assert "               metrics: {loss: '\\bloss\\s*=\\s*(\\S+)'}" in lines
    assert lines[-1] == "1 error."


def test_json_has_a_row_for_each_check(typed: Cloudtune) -> None:
    rows = json.loads(typed("doctor", "study.yaml", "--json").stdout)
    assert {row["id"] for row in rows} >= {"ran", "metric", "bundle"}
    assert {row["severity"] for row in rows} == {"ok"}
    assert list(rows[0]) == [
        *("severity", "area", "id", "message", "path", "file", "line", "fix", "command"),
        "provider",
    ]


def test_strict_fails_for_a_warning(typed: Cloudtune, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.replace("minimize", "maximize"))
    typed("doctor", "study.yaml")
    typed("doctor", "study.yaml", "--strict", code=1)


def test_a_study_that_cannot_run_says_why(typed: Cloudtune, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.replace("limits: {max_trials: 2}\n", ""))
    output = typed("doctor", "study.yaml", code=1).stdout
    assert "study    error: study.yaml: limits: nothing would end this run" in output
    assert "script   ok: two trials ran" in output
    (tmp_path / "train.py").unlink()
    assert "script   unknown: the script cannot run yet" in typed(*CALL, code=1).stdout


def test_wrong_calls(typed: Cloudtune) -> None:
    assert "give a study" in typed("doctor", code=1).stderr
    assert "no provider" in typed("doctor", "study.yaml", "--on", "sagemakr", code=1).stderr


class Account(SagemakerProvider):
    """SageMaker, with checks of the test's own."""

    error: Exception | None = None

    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        assert context.folder.is_dir()
        yield Check(severity="ok", area="account", id="identity", message="as a-user")
        if self.error:
            raise self.error
        yield Check(
            severity="error",
            area="account",
            id="role-trust",
            path="providers.sagemaker.role_arn",
            message="SageMaker may not assume the role",
            fix="allow it:",
            command="aws iam update-assume-role-policy \\\n  --role-name train",
        )


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> type[Account]:
    known = registry.get

    def get(name: str) -> BaseProvider[Any]:
        return Account() if name == "sagemaker" else known(name)

    monkeypatch.setattr(registry, "get", get)
    return Account


def find(checks: Iterable[Check], area: str) -> list[Any]:
    return [(check.severity, check.id) for check in checks if check.area == area]


def test_a_provider_contributes_checks_of_the_account(
    typed: Cloudtune, tmp_path: Path, account: type[Account]
) -> None:
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    output = typed("doctor", "settings.yaml", "--on", "sagemaker", code=1).stdout
    lines = [line.rstrip() for line in output.splitlines()]
    assert "  account  ok: as a-user" in lines
    start = lines.index("             fix: allow it:")
    assert "settings.yaml:4: providers.sagemaker.role_arn" in " ".join(lines[:start])
    assert lines[start + 1 : start + 3] == [
        "               aws iam update-assume-role-policy \\",
        "                 --role-name train",
    ]


@pytest.mark.parametrize(
    ("flags", "severity", "fix"),
    [
        ({"retryable": True}, "error", "try again"),
        ({"affects_all_calls": True}, "error", ""),
        ({}, "unknown", "try again"),
    ],
)
def test_an_account_out_of_reach_is_an_error_unless_only_one_call_fails(
    *,
    account: type[Account],
    monkeypatch: pytest.MonkeyPatch,
    flags: dict[str, bool],
    severity: str,
    fix: str,
) -> None:
    monkeypatch.setattr(account, "error", ProviderError("sagemaker", "no answer", **flags))
    checks = [c for c in cloudtune.diagnose(None, "sagemaker").checks if c.area == "account"]
    assert [(c.severity, c.id, c.fix) for c in checks] == [
        ("ok", "identity", ""),
        (severity, "account-unreachable", fix),
    ]


def test_a_missing_sdk_has_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing_extra(provider: BaseProvider[Any], *, emulated: bool = False) -> str:
        return "sagemaker"

    monkeypatch.setattr(registry, "missing_extra", missing_extra)
    (check,) = [c for c in cloudtune.diagnose(None, "sagemaker").checks if c.area == "account"]
    assert (check.id, check.command) == ("sdk-missing", "pip install 'cloudtune[sagemaker]'")


def test_settings_without_a_study(typed: Cloudtune, account: type[Account]) -> None:
    Path("cloudtune.providers.yaml").write_text("sagemaker: {region: eu-west-1}\n")
    setting = "providers.sagemaker.instance_type=ml.m5.large"
    output = typed("doctor", "--on", "sagemaker", "--set", setting, code=1).stdout
    assert "providers.sagemaker.role_arn" in output
    assert "region" not in output
    assert "instance_type" not in output
    assert "script" not in output


def no_checks(provider: BaseProvider[Any], plan: Plan, context: JobContext) -> Iterable[Check]:
    return ()


def test_it_ends_with_what_verifies_a_service(
    typed: Cloudtune, tmp_path: Path, account: type[Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SlurmProvider, "check_account", no_checks)
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    options = ("settings.yaml", "--on", "sagemaker", "--on", "slurm")
    last = "What is not verified about sagemaker, small jobs there show: cloudtune verify sagemaker"
    assert typed("doctor", *options, code=1).stderr.splitlines()[-1] == last
    assert "cloudtune verify" not in typed("doctor", *options[:3], "--json", code=1).stderr


@pytest.mark.slow
def test_the_account_of_an_emulator_needs_no_code(typed: Cloudtune) -> None:
    for provider in ("sagemaker", "vertex"):
        rows = json.loads(typed("doctor", "--on", provider, "--emulate", "--json").stdout)
        assert {row["area"] for row in rows} == {"account"}


def test_without_emulators_the_contract_is_unknown(
    typed: Cloudtune, account: type[Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing_extra(provider: BaseProvider[Any], *, emulated: bool = False) -> str | None:
        return "emulators" if emulated else None

    monkeypatch.setattr(registry, "missing_extra", missing_extra)
    rows = json.loads(typed("doctor", "study.yaml", "--on", "sagemaker", "--json", code=1).stdout)
    script = {row["id"]: row for row in rows if row["area"] == "script"}
    assert script["emulator-missing"]["severity"] == "unknown"
    assert script["emulator-missing"]["command"] == "pip install 'cloudtune[emulators]'"
    assert "loss 0.0625 and 1" in script["metric"]["message"]


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import time\nprint(1, flush=True)\ntime.sleep(600)\n")
    command = [sys.executable, "-m", "cloudtune", "doctor", "study.yaml"]
    folder = tmp_path / "temporary"
    folder.mkdir()
    env = {**os.environ, "CLOUDTUNE_HOME": str(tmp_path / "state"), "TMPDIR": str(folder)}
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE)
    log = "cloudtune-doctor-*/local/script/trials/1/log.txt"
    deadline = time.monotonic() + 200
    while not any(path.stat().st_size for path in folder.glob(log)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=200)
    assert process.returncode == 130
    assert list(folder.glob("cloudtune-doctor-*")) == []


def test_a_diagnosis_is_shown_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("print('loss =', '<0.5>')\n")
    diagnosis = cloudtune.diagnose("study.yaml")
    assert str(diagnosis) == repr(diagnosis)
    assert str(diagnosis).startswith("local\n  script   ok: two trials ran")
    assert "loss = &lt;0.5&gt;" in to_html(diagnosis)
