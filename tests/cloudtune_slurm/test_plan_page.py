"""The page of a plan, with the exact command and script.

CLOUDTUNE_RENEW_GOLDEN=1 pytest tests/cloudtune_slurm/test_plan_page.py writes it again.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from cloudtune.cli.templates import write_template
from cloudtune.planning.planner import plan
from cloudtune.reporting.console.plan_page import format_plan
from cloudtune.study.loader import load
from tests.cloudtune_slurm.support import RUN, on_file_system

GOLDEN = Path(__file__).parent / "golden" / "plan.txt"
SETTINGS = (
    "providers.slurm.host=login",
    "providers.slurm.folder=/scratch/me/cloudtune",
    "providers.slurm.setup=[module load python/3.12]",
    "limits.trial_timeout=10m",
)


@pytest.mark.parametrize("host", [False, True])
def test_the_page_of_the_quickstart_matches_the_golden_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, host: bool
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("cloudtune_slurm.lookup.file_system", on_file_system("ext4"))
    monkeypatch.chdir(tmp_path)
    write_template("quickstart", tmp_path / "study")
    study = load(Path("study/study.yaml"), overrides=SETTINGS if host else ())
    page = "\n".join(format_plan(plan(study, "slurm", run_id=RUN, seed=5), brief=False)) + "\n"
    page = page.replace(sys.executable, "PYTHON").replace(str(tmp_path), "FOLDER")
    page = re.sub(r"\d+ files?, \d+ kB", "FILES", page)
    file = GOLDEN.with_stem("plan-by-ssh") if host else GOLDEN
    if os.environ.get("CLOUDTUNE_RENEW_GOLDEN"):
        file.write_text(page, "utf-8")
        pytest.skip("renewed")
    assert page == file.read_text("utf-8")
