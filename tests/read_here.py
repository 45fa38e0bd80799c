"""Commands that only read the ledger, called in the process of the tests."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from cloudtune.cli import main


def read_here(folder: Path, state: Path, *words: str) -> tuple[int, str]:
    """Return the exit code of a command in a folder, and what it prints."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as output:
        patch.setenv("CLOUDTUNE_HOME", str(state))
        patch.chdir(folder)
        with pytest.raises(SystemExit) as ended:
            main(words)
    code = ended.value.code
    assert isinstance(code, int)
    return code, output.getvalue()
