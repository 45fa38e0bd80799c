"""Facts and rules of this machine."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtune.planning.planner import plan, plan_from_facts
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
        (101_000_000, 20, "copy of the source, 101 MB, 2.0 GB for 20 trials; list files"),
        (5_000_000, 4000, "copy of the source, 5 MB, 20.0 GB for 4000 trials; list files"),
        (5_000_000, None, ""),
    ],
)
def test_a_large_source_is_noted(tmp_path: Path, size: int, trials: int | None, text: str) -> None:
    for name in ("data.bin", "more.bin"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size // 2)
    limits = {"max_trials": trials} if trials else {"timeout": "1h"}
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
