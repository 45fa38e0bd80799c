"""Warm trials of the local provider are what its cold ones are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cloudtune.execution.forkserver.client import cold_start_message
from cloudtune_local import forkserver

if TYPE_CHECKING:
    from .conftest import Job

WHO = "import os\nprint(open(f'/proc/{os.getppid()}/cmdline').read().split('\\0')[1][-10:])\n"
FORKED = "/server.py\n"


def test_trials_are_forked_unless_the_study_says_otherwise(job: Job) -> None:
    job.write(WHO)
    job.request["warm"] = True
    assert [job.run_one(1), job.run_one(2)] == [FORKED] * 2
    job.close()
    job.request["warm"] = False
    assert job.run_one(3) != FORKED
    assert job.messages == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"arguments": "env"}, "arguments: env gives each trial its own variables"),
        (
            {"gpus": ["0", "1"], "gpus_per_trial": 1, "parallel": 2},
            "each trial has its own GPUs",
        ),
        ({"script": "odd.py"}, "the script cannot be read: "),
    ],
)
def test_trials_that_differ_before_their_start_start_cold(
    job: Job, changes: dict[str, Any], why: str
) -> None:
    job.write(WHO)
    (job.source / "odd.py").write_text(WHO + "print('a' 1)")
    job.request |= {"warm": True, **changes}
    if "script" in changes:
        job.start()
        assert "SyntaxError" in job.end().log_tail
    else:
        assert job.run_one() != FORKED
    (message,) = job.messages
    assert message.startswith(cold_start_message(why))


def test_commands_and_other_systems_start_cold_without_a_message(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.write(WHO)
    job.request |= {"warm": True, "command": ["python", "train.py"]}
    del job.request["script"]
    assert job.run_one() != FORKED
    assert job.messages == []
    assert forkserver.can_fork({"script": "train.py", "warm": True})
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not forkserver.can_fork({"script": "train.py", "warm": True})


def test_shared_settings_apply_before_the_imports(job: Job, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "reads.py").write_text(
        "import os\nSEEN = [os.environ.get(n) for n in ('MINE', 'OMP_NUM_THREADS', "
        "'CUDA_VISIBLE_DEVICES', 'PYTHONHASHSEED')]\n"
    )
    job.write("import reads\n" + WHO + "print(reads.SEEN)")
    job.request |= {
        "warm": True,
        "env": {"MINE": "a b", "PYTHONPATH": str(library)},
        "cpus": 1,
        "gpus": ["GPU-7"],
        "gpus_per_trial": 1,
    }
    assert job.run_one() == FORKED + "['a b', '1', 'GPU-7', '0']\n"
    assert job.messages == []


def test_a_library_that_reads_the_trial_on_import_gets_the_right_one(
    job: Job, tmp_path: Path
) -> None:
    (tmp_path / "asks.py").write_text("from cloudtune.trial import params\nFOUND = params()\n")
    job.write("import asks\nfrom cloudtune.trial import params\nprint(asks.FOUND, params())")
    job.request |= {"warm": True, "parameters": ["x"], "env": {"PYTHONPATH": str(tmp_path)}}
    for number in (1, 2):
        assert (
            job.run_one(number, parameters={"x": number})
            == f"{{'x': {number}}} {{'x': {number}}}\n"
        )
    (message,) = job.messages
    assert message.startswith(cold_start_message("importing asks fails: FileNotFoundError: "))


def test_modules_can_be_listed(job: Job) -> None:
    job.write("import sys\n" + WHO + "print([n in sys.modules for n in ('wave', 'colorsys')])")
    job.request |= {"warm": True, "preload": ["wave"]}
    assert job.run_one() == FORKED + "[True, False]\n"
    job.close()
    job.request["preload"] = ["there_is_none"]
    assert "[False, False]" in job.run_one(2)
    assert job.messages == [cold_start_message("module there_is_none not found")]


REPORTING = """\
from cloudtune.trial import checkpoint_dir, params, report
import own
from pathlib import Path
saved = Path(checkpoint_dir(), "state")
before = int(saved.read_text()) if saved.exists() else 0
for step in range(before + 1, params()["epochs"] + 1):
    report(score=step * params()["x"], step=step)
saved.write_text(str(params()["epochs"]))
print(before, own.__file__ == str(Path("own.py").absolute()), type(params()["x"]).__name__)
"""


def test_a_trial_reports_and_continues_with_more_of_its_resource(job: Job) -> None:
    job.write(REPORTING)
    (job.source / "own.py").write_text("")
    job.request |= {"warm": True, "parameters": ["x"], "resource": "epochs"}
    first = job.run_one(1, parameters={"x": 2}, resource=1)
    assert first.startswith("0 True int\n")
    again = job.run_one(1, parameters={"x": 2}, resource=3)
    assert again == first + "1 True int\n"
    assert job.run_one(2, parameters={"x": 5}, resource=1).startswith("0 True int\n")
    assert job.measured() == [
        (1, {"score": 2.0}),
        (2, {"score": 4.0}),
        (3, {"score": 6.0}),
        (1, {"score": 5.0}),
    ]
    assert job.messages == []
