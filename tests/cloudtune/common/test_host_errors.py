from __future__ import annotations

import errno
from collections.abc import Sequence

import pytest

from cloudtune.cli import main
from cloudtune.cli.main_group import cloudtune
from cloudtune.common.host_errors import describe_host_error
from cloudtune.provider.crash_report import write_crash_report

HOST_ERRORS = [
    (MemoryError(), "not enough memory"),
    (RuntimeError("can't start new thread"), "no more threads can be started"),
    (BlockingIOError(errno.EAGAIN, "again"), "no more processes can be started (again)"),
    (OSError(errno.ENOSPC, "No space left", "/x"), "/x: No space left; free space or inodes"),
    (ImportError("x.so: failed to map segment from shared object"), "not enough memory"),
]


@pytest.mark.parametrize(("error", "text"), HOST_ERRORS)
def test_an_error_of_the_machine_is_one_line_without_a_traceback(
    error: Exception,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(args: Sequence[str] | None = None, **_: object) -> None:
        raise error

    monkeypatch.setattr(cloudtune, "main", fail)
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 1
    output = capsys.readouterr()
    assert output.err.startswith(text)
    assert output.err.count("\n") == 1


@pytest.mark.parametrize(("error", "text"), HOST_ERRORS)
def test_an_error_of_the_machine_is_no_crash(
    error: Exception, text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("job") / "failure.txt"
    assert write_crash_report(error, file).startswith(text)
    assert not file.exists()


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyError("x"), FileNotFoundError(2, "no")])
def test_other_errors_are_not_described(error: Exception) -> None:
    assert describe_host_error(error) is None
