"""What the training toolkit writes when a command that it started ends with an error.

As in sagemaker-training 5.1.4 (PyPI), with the errors that it knows where neither TensorFlow nor
the SageMaker debugger is installed.
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_MESSAGE = 64 * 1024
"""Characters that are kept of what a script said when it failed."""

_ERRORS = (
    *("Exception", "ArithmeticError", "AssertionError", "AttributeError", "BlockingIOError"),
    *("BrokenPipeError", "BufferError", "ChildProcessError", "ConnectionAbortedError"),
    *("ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "EOFError"),
    *("EnvironmentError", "FileExistsError", "FileNotFoundError", "FloatingPointError"),
    *("IOError", "ImportError", "IndentationError", "IndexError", "InterruptedError"),
    *("IsADirectoryError", "KeyError", "LookupError", "MemoryError", "ModuleNotFoundError"),
    *("NameError", "NotADirectoryError", "NotImplementedError", "OSError", "OverflowError"),
    *("PermissionError", "ProcessLookupError", "RecursionError", "ReferenceError"),
    *("RuntimeError", "SyntaxError", "SystemError", "TabError", "TimeoutError", "TypeError"),
    *("UnboundLocalError", "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError"),
    *("UnicodeTranslateError", "ValueError", "ZeroDivisionError", "Invalid requirement"),
    *("ResourceExhaustedError", "OutOfRangeError", "InvalidArgumentError", "mpirun.real"),
    *("ORTE", "ExecuteUserScriptError"),
)
"""Words that make the toolkit take a line, and all lines after it, for an error message."""


def script_error(error: str, shown: str, exit_code: int, lines: Iterable[str] | None) -> str:
    """Return what the toolkit writes as failure when a command of its ends with an error.

    Args:
        error: Its name for it, such as ``ExecuteUserScriptError``.
        shown: The command, as one text.
        exit_code: How it ended; a signal is negative.
        lines: What the command wrote, where the toolkit reads it.
    """
    message = error_message(lines) if lines is not None else ""
    parts = [f"{error}:", f"ExitCode {exit_code}", f'ErrorMessage "{message}"']
    if exit_code == 137:
        parts.append('ExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"')
    return "\n".join([*parts, f'Command "{shown}"'])


def error_message(lines: Iterable[str]) -> str:
    """Return what the toolkit takes for the message of an error.

    It begins with the first line that names an error. Lines that were there before are left out,
    and so are empty ones, of which the toolkit keeps some, as its reading happens to be timed.
    """
    found: dict[str, None] = {}
    size = 0
    for line in lines:
        if not found and not any(name in line for name in _ERRORS):
            continue
        kept = " " + line.strip(" :\n")
        if kept.strip() and kept not in found:
            found[kept] = None
            size += len(kept)
        if size > LONGEST_MESSAGE:
            break
    return "\n".join(found).strip()
