"""Facts and rules of this machine."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloudtune.planning.planner import plan, plan_from_facts
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider.plan import Plan
from cloudtune.study.study import Study
from cloudtune_local import lookup


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("", []),
        ("-1", []),
        ("0,-1,1", ["0"]),
        (" 0 , 2 ", ["0", "2"]),
        ("GPU-1a,MIG-GPU-1a/1/0", ["GPU-1a", "MIG-GPU-1a/1/0"]),
        ("NoDevFiles", []),
    ],
)
def test_gpus_visible_to_cuda(
    monkeypatch: pytest.MonkeyPatch, visible: str, expected: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert lookup.find_gpus() == expected


def tool(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, mode: int = 0o755) -> None:
    (folder / "nvidia-smi").write_text(script, "utf-8")
    (folder / "nvidia-smi").chmod(mode)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_gpus_that_the_driver_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path, monkeypatch, "#!/bin/sh\necho 0\necho 1\n")
    assert lookup.find_gpus() == ["0", "1"]


@pytest.mark.parametrize(
    "script", ["#!/bin/sh\nexec sleep 60\n", "#!/bin/sh\nexit 9\n", "#!/no/such/shell\n"]
)
def test_a_driver_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(lookup, "GPU_QUERY_TIMEOUT", 0.2)
    tool(tmp_path, monkeypatch, script)
    assert lookup.find_gpus() == []


def on_system(system: str, folder: Path) -> Plan:
    study = Study.model_validate(
        {
            "objective": {"metric": "x", "goal": "maximize"},
            "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
            "limits": {"max_trials": 1},
            "trial": {"command": ["true"], "metrics": {"x": "x=(.*)"}},
        }
    )
    facts = plan(study, base=folder).facts
    looked_up = replace(facts.lookup, data={**facts.data, "system": system})
    return plan_from_facts(study, "local", replace(facts, lookup=looked_up))


def test_windows_is_refused_for_now(tmp_path: Path) -> None:
    (finding,) = on_system("nt", tmp_path).refused
    assert "need Linux or macOS for now" in finding.reason
    assert on_system("posix", tmp_path).refused == ()


@pytest.mark.parametrize(
    ("size", "trials", "text"),
    [
        (101_000_000, 20, ""),
        (5_000_000, 4000, "copy of the source, 5 MB, 20.0 GB for 4000 trials; list files"),
        (5_000_000, None, ""),
    ],
)
def test_many_copies_of_a_source_are_noted(
    tmp_path: Path, size: int, trials: int | None, text: str
) -> None:
    for name in ("data.bin", "more.bin"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size // 2)
    limits = {"timeout": "1h", **({"max_trials": trials} if trials else {})}
    study = Study.model_validate({"trial": {"module": "train"}, "limits": limits})
    notes = [str(note) for note in plan(study, base=tmp_path).notes]
    matching = [note for note in notes if "copy of the source" in note]
    assert len(matching) == (1 if text else 0)
    assert all(text in note for note in matching)
    (tmp_path / ".cloudtuneignore").write_text("*.bin")
    assert not any("copy of the source" in str(n) for n in plan(study, base=tmp_path).notes)


def test_the_system_is_that_of_this_machine(tmp_path: Path) -> None:
    study = Study.model_validate({"trial": {"command": ["true"]}})
    assert plan(study, base=tmp_path).facts.data["system"] == os.name


def same(disk: SimpleNamespace, _path: Path) -> SimpleNamespace:
    return disk


def sparse(folder: Path, **sizes: int) -> None:
    for name, size in sizes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as file:
            file.truncate(size)


@pytest.mark.parametrize("on", ["local", "vertex"])
def test_the_largest_folders_of_a_source_are_named(tmp_path: Path, on: str) -> None:
    sparse(tmp_path, **{"train.py": 10, "out/model.bin": 90_000_000, "results.bin": 20_000_000})
    sparse(tmp_path, **{f"data/images/{n % 7}/{n}.png": 1 for n in range(1200)})
    study = Study.model_validate({"trial": {"script": "train.py"}})
    planned = plan(study, on, base=tmp_path)
    (note,) = [str(note) for note in planned.notes if "large source" in str(note)]
    assert note == (
        "trial.source: a large source of 1,203 files, 110 MB, most in "
        "data/images/ (1,200 files, 1 kB), out/ (1 file, 90 MB), results.bin (20 MB): list files "
        "that trials do not need in .cloudtuneignore, move data to trial.inputs"
    )
    restored = restore_plan(json.loads(json.dumps(planned.to_json())))
    assert restored.notes == planned.notes
    (tmp_path / ".cloudtuneignore").write_text("data/\nresults.bin\n")
    (note,) = [str(note) for note in plan(study, on, base=tmp_path).notes if "large" in str(note)]
    assert "most in out/ (1 file, 90 MB): list" in note
    (tmp_path / ".cloudtuneignore").write_text("data/\nout/\n")
    assert not any("large source" in str(note) for note in plan(study, on, base=tmp_path).notes)


@pytest.mark.parametrize(
    ("size", "limits", "fits"),
    [
        (2_000_000, {"max_trials": 10}, True),
        (2_000_000, {"max_trials": 100}, False),
        (2_000_000, {"max_trials": 100, "timeout": "1h"}, True),
        (30_000_000, {"max_trials": 100}, True),
        (30_000_000, {"max_trials": 100, "parallel_trials": 4}, False),
        (90_000_000, {"max_trials": 100, "parallel_trials": 4}, sys.platform == "linux"),
        (110_000_000, {"max_trials": 1}, False),
    ],
)
def test_a_source_that_does_not_fit_on_the_disk_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    limits: dict[str, Any],
    *,
    fits: bool,
) -> None:
    disk = SimpleNamespace(f_bavail=100, f_frsize=1_000_000, f_files=0, f_favail=0)
    monkeypatch.setattr(os, "statvfs", partial(same, disk))
    sparse(tmp_path, data=size)
    planned = plan(
        Study.model_validate({"trial": {"module": "x"}, "limits": limits}), base=tmp_path
    )
    refused = [str(f) for f in planned.refused if f.path == "trial.source"]
    assert len(refused) == (not fits)
    assert all("MB are free in" in text for text in refused)
    restored = restore_plan(json.loads(json.dumps(planned.to_json())))
    assert restored.refused == planned.refused


def test_a_disk_without_room_for_more_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SimpleNamespace(f_bavail=100, f_frsize=1_000_000, f_files=60, f_favail=11)
    monkeypatch.setattr(os, "statvfs", partial(same, disk))
    sparse(tmp_path, **{f"{n}.py": 1 for n in range(4)})
    study = {"trial": {"module": "x"}, "limits": {"max_trials": 2}}
    planned = plan(Study.model_validate(study), base=tmp_path)
    assert "the copies need 12 files, and 11 can be created in" in str(planned.refused)


def test_a_source_that_does_not_fit_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SimpleNamespace(f_bavail=100, f_frsize=1_000_000, f_files=0, f_favail=0)
    monkeypatch.setattr(os, "statvfs", partial(same, disk))
    sparse(tmp_path, data=10**12)
    planned = plan(Study.model_validate({"trial": {"module": "x"}}), base=tmp_path)
    assert "the copies need" in str(planned.refused)
    assert planned.facts.source_hash is None


@pytest.mark.parametrize(
    ("emulated", "trials", "fits"), [(True, 7, True), (True, 9, False), (False, 100, True)]
)
def test_the_trials_of_an_emulator_unpack_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, emulated: bool, trials: int, fits: bool
) -> None:
    disk = SimpleNamespace(f_bavail=100, f_frsize=1_000_000, f_files=0, f_favail=0)
    monkeypatch.setattr(os, "statvfs", partial(same, disk))
    sparse(tmp_path, data=10_000_000)
    study = Study.model_validate({"trial": {"module": "x"}, "limits": {"max_trials": trials}})
    planned = plan(study, "vertex", base=tmp_path, emulated=emulated)
    refused = [f for f in planned.refused if f.path == "trial.source"]
    assert (not refused) == fits


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        ("train.py", "# /// script\n# requires-python = '>=3.99'\n# ///\n", "train.py, line 2"),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.99'\n", "pyproject.toml, line 2"),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.11'\n", ""),
    ],
)
def test_the_python_of_the_trials_is_one_that_the_code_declares(
    tmp_path: Path, file: str, text: str, where: str
) -> None:
    data = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"x": {"type": "int", "min": 0, "max": 4}},
        "strategy": "grid",
        "trial": {"script": "train.py", "python": sys.executable},
    }
    (tmp_path / "train.py").write_text("")
    (tmp_path / file).write_text(text)
    findings = plan(Study.model_validate(data), "local", base=tmp_path).findings
    assert bool(findings) == bool(where), findings
    for finding in findings:
        assert (finding.kind, finding.path) == ("refused", "trial.python")
        assert finding.reason == (
            f"{sys.executable} is Python {platform.python_version()}, and requires-python in "
            f"{where} needs >=3.99: set trial.python to such a Python, or correct requires-python"
        )
