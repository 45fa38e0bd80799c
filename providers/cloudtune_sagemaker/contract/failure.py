"""The failure message of the training toolkit for a failed command.

As in sagemaker-training 5.1.4 (PyPI), with the errors that it knows when neither TensorFlow nor the
SageMaker debugger is installed.
"""

from __future__ import annotations

from collections.abc import Iterable

MAX_MESSAGE_LENGTH = 64 * 1024
"""Characters of a failed script's error message."""

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
"""A line with one of these, and all lines after it, are the error message."""


def script_error(error: str, command: str, exit_code: int, lines: Iterable[str] | None) -> str:
    """Return the text that the toolkit writes to the failure file.

    Args:
        error: The toolkit's name of the error, such as ``ExecuteUserScriptError``.
        command: The command as one string.
        exit_code: The exit code; negative for a signal.
        lines: The output of the command, if the toolkit reads it.
    """
    message = error_message(lines) if lines is not None else ""
    parts = [f"{error}:", f"ExitCode {exit_code}", f'ErrorMessage "{message}"']
    if exit_code == 137:
        parts.append('ExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"')
    return "\n".join([*parts, f'Command "{command}"'])


def error_message(lines: Iterable[str]) -> str:
    """Return the error message that the toolkit finds in the output of a script.

    It starts at the first line that names an error. Repeated and empty lines are omitted; the
    toolkit keeps some empty lines, depending on timing.
    """
    message: dict[str, None] = {}
    size = 0
    for line in lines:
        if not message and not any(name in line for name in _ERRORS):
            continue
        text = " " + line.strip(" :\n")
        if text.strip() and text not in message:
            message[text] = None
            size += len(text)
        if size > MAX_MESSAGE_LENGTH:
            break
    return "\n".join(message).strip()
