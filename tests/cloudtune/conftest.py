"""Commands in this process: the words as a user types them, what is printed, and the exit code."""

from __future__ import annotations

import gc
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtune.cli import main

Cloudtune = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Cloudtune:
    """Calls cloudtune in a folder of the test's own.

    It must leave with the code that is given, or with any if that is None.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / ".cloudtune"))

    def call(*words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        capfd.readouterr()
        try:
            with pytest.raises(SystemExit) as raised:
                main(words)
        finally:
            gc.unfreeze()
            gc.enable()
        output = capfd.readouterr()
        left_with = raised.value.code
        assert isinstance(left_with, int)
        assert code in {None, left_with}, output
        return subprocess.CompletedProcess(words, left_with, output.out, output.err)

    return call
