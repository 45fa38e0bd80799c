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
