"""What the doctor finds on a cluster, with answers of Slurm's commands as a real one gives them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cloudtune.diagnostics import Check
from cloudtune_slurm.account import check_account
from cloudtune_slurm.errors import command_error
from cloudtune_slurm.host import LocalHost
from tests.cloudtune_slurm.support import plan_of

SINFO = "main*|up|infinite|2\nhigh|down|1:00:00|2\n"


class Answers(LocalHost):
    """A cluster with fixed answers; the commands of the shell are real."""

    def __init__(self, sinfo: str = SINFO, refusal: str = "") -> None:
        super().__init__()
        self.sinfo, self.refusal = sinfo, refusal
        self.words: list[Sequence[str]] = []

    def run(self, words: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
        self.words.append(words)
        match words[0], words[1]:
            case "sbatch", "--version":
                return "slurm 24.11.5\n"
            case "sbatch", _:
                assert "--test-only" in words
                if self.refusal:
                    raise command_error("sbatch", 1, f"sbatch: error: {self.refusal}")
                return ""
            case "squeue", _:
                return "12\n13\n"
            case "sinfo", _:
                return self.sinfo
            case _:
                return super().run(words, variables)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))


def checks(tmp_path: Path, host: Answers, **settings: object) -> dict[str, Check]:
    return {each.id: each for each in check_account(host, plan_of(tmp_path, **settings))}


def test_a_cluster_that_works(tmp_path: Path) -> None:
    host = Answers()
    results = checks(tmp_path, host, account="lab7")
    assert results["slurm-version"].message == "slurm 24.11.5"
    assert "you have 2 jobs" in results["slurm-controller"].message
    assert "partition main is up: 2 nodes" in results["slurm-partition"].message
    assert results["slurm-request"].severity == "ok"
    assert results["slurm-folder"].severity in {"ok", "warning"}
    (test,) = [words for words in host.words if "--test-only" in words]
    assert "--account=lab7" in test
    assert not any(word.startswith(("--output", "--chdir")) for word in test)


def test_a_partition_that_is_missing_or_down(tmp_path: Path) -> None:
    missing = checks(tmp_path, Answers(), partition="gpu")["slurm-partition"]
    assert (missing.severity, missing.fix) == ("error", "choose one of main, high")
    assert checks(tmp_path, Answers(), partition="high")["slurm-partition"].severity == "warning"
    without = checks(tmp_path, Answers("main|up|infinite|2\n"))["slurm-partition"]
    assert "no default partition" in without.message


@pytest.mark.parametrize(
    ("limit", "is_enough"),
    [
        ("11:59", False),
        ("12:00", True),
        ("1:00:00", True),
        ("1-00:00:00", True),
        ("infinite", True),
    ],
)
def test_trials_that_need_more_time_than_the_partition_has(
    tmp_path: Path, limit: str, *, is_enough: bool
) -> None:
    plan = plan_of(tmp_path, partition="short,shorter", limits={"trial_timeout": "10m"})
    assert plan.request["sbatch"]["time"] == 12
    host = Answers(f"short|up|{limit}|2\nshorter|up|1:00|2\n")
    results = {each.id for each in check_account(host, plan)}
    assert ("slurm-time" in results) is not is_enough


def test_a_job_that_slurm_would_refuse(tmp_path: Path) -> None:
    results = checks(tmp_path, Answers(refusal="Invalid account or account/partition combination"))
    assert results["slurm-request"].severity == "error"
    assert "Invalid account" in results["slurm-request"].message


def test_a_folder_that_cannot_be_written_and_a_python_that_is_missing(tmp_path: Path) -> None:
    results = checks(tmp_path, Answers(), folder="train.py/x", python="/no/python")
    assert results["slurm-folder"].severity == "error"
    assert "/no/python does not exist" in results["slurm-path"].message


@pytest.mark.parametrize(
    ("versions", "settings", "severity"),
    [
        (">=3.8", {"python": sys.executable}, "ok"),
        (">=4", {"python": sys.executable}, "error"),
        (">=3.8", {"python": "/usr/bin/false"}, "warning"),
        (">=4", {"python": sys.executable, "setup": ["true"]}, None),
    ],
)
def test_the_python_of_the_login_node_is_compared(
    versions: str, settings: Mapping[str, object], severity: str | None, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nrequires-python = "{versions}"\n')
    found = checks(tmp_path, Answers(), **settings).get("slurm-python")
    assert (found and found.severity) == severity
    if severity == "error" and found:
        assert "requires-python in pyproject.toml, line 2 needs >=4" in found.message
