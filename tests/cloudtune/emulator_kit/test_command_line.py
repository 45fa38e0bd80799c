from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cloudtune.emulator_kit import command_line


def test_an_error_of_the_machine_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    def create(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(command_line, "serve", fail)
    monkeypatch.setattr(sys, "argv", ["emulator", "--folder", str(tmp_path)])
    code = command_line.run_emulator("emulator", "a note", create, [])  # type: ignore[arg-type]
    assert code == 1
    error = capsys.readouterr().err
    assert error.startswith("a note\nerror: no more threads can be started; free memory, or raise")
    assert error.count("\n") == 2
