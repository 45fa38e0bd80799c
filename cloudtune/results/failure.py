"""Why trials fail: the line of their output that says it, and which failures have one cause."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from cloudtune.launcher.metrics import MISREADS
from cloudtune.results.events import Ended
from cloudtune.study.study import Study

_FRAME = re.compile(r'^\s*File "[^"]*", line \d+', re.MULTILINE)
"""A line of a traceback, after which lines of source follow."""
_FRAME_EDGE = re.compile(r"\s*[\u2570\u2514][\u2500]+[\u256f\u2518]\s*$")
"""The lower edge of a frame around a message, as rich draws it."""
_INSTALLED = re.compile(r'File "[^"]*(/lib(64)?/python\d|/(site|dist)-packages/)|File "<frozen')
_HEADER = "Traceback (most recent call last)"
_CHAINS = ("another exception occurred:", "cause of the following exception:")
"""How the lines between the tracebacks of one failure end."""
_MAX_LINE = 300
"""Characters of a line of output that a reason quotes."""
_STATUS = re.compile(r"exit|status|error|fail", re.IGNORECASE)
"""What a service's own line about a failure contains."""
_CRASH = re.compile(r"\b(exit\w*|killed|status)\b", re.IGNORECASE)
_CODE_MISTAKE = re.compile(
    r"\b(SyntaxError|IndentationError|TabError|NameError|UnboundLocalError|AttributeError|TypeError"
    r"|AssertionError|ZeroDivisionError|IndexError): "
    r"|: error: (unrecognized arguments|the following arguments are required|argument )"
    rf"|\bended without reporting\b|{MISREADS}"
)
"""What a failure's reason contains if only another script or study can avoid it."""
_MAX_SAMPLES = 3
_SEARCH_TIMEOUT = 1.0
"""Seconds after which the search of an expression in a line is given up."""
_WORD_WITH_DIGIT = re.compile(r"\S*\d\S*")
"""A number, or a path or job name that contains one."""


def error_line(output: str) -> str:
    """Return the last line of the last traceback in an output, or else the last line with a word.

    The frame that rich draws around a message, as for typer, is left out.
    """
    lines = output.splitlines()
    frames = [index for index, line in enumerate(lines) if _FRAME.match(line)]
    after = lines[frames[-1] + 1 :] if frames else []
    error = next((line for line in after if line.strip() and not line[0].isspace()), "")
    shown = [line for line in lines if line.strip()]
    last = next((line for line in reversed(shown) if not _FRAME_EDGE.match(line)), "")
    return (error or last).strip(" \t\r\u2502")[:_MAX_LINE]


def traceback_lines(output: Iterable[str]) -> list[str]:
    """Return the last traceback in the lines of an output, with those of its causes."""
    lines = list(output)
    headers = [index for index, line in enumerate(lines) if _HEADER in line]
    start = next((n for n in reversed(headers) if not _is_chained(lines[:n])), len(lines))
    return lines[start:]


def failing_frame(output: str) -> list[str]:
    """Return the lines about the innermost own frame of the last traceback in an output.

    A frame of an installed package counts only if there is no other.
    """
    lines = output.splitlines()
    frames = [index for index, line in enumerate(lines) if _FRAME.match(line)]
    own = [index for index in frames if not _INSTALLED.search(lines[index])]
    for start in (own or frames)[-1:]:
        rest = lines[start + 1 :]
        ends = (n for n, line in enumerate(rest) if _FRAME.match(line) or line[:1].strip())
        return [lines[start], *rest[: next(ends, len(rest))]]
    return []


def _is_chained(before: list[str]) -> bool:
    """Return whether the lines before a traceback lead from that of another exception to it."""
    last = next((line for line in reversed(before) if line.strip()), "")
    return last.rstrip().endswith(_CHAINS)


def explain_failure(reason: str, output: str) -> str:
    """Return a reason with the line of the output that says more, unless it contains it.

    Of a traceback in the reason itself, as services return it, only that line remains.
    """
    if _FRAME.search(reason):
        first = reason.strip().splitlines()[0].rstrip(" .:")
        reason, output = first if _STATUS.search(first) else "", output or reason
    line = error_line(output)
    return reason if line in reason else f"{reason}: {line}".removeprefix(": ")


def explained_end(event: Ended) -> Ended:
    """Return the end of a trial; if it failed, with the line of its output that says why."""
    if event.state != "failed":
        return event
    reason = explain_failure(event.reason, event.log_tail)
    if reason == event.reason:
        return event
    return replace(event, reason=reason, log_tail=event.log_tail or event.reason)


def without_traceback(reason: str) -> str:
    """Return a service's reason for the end of a job up to a traceback, which its trial has."""
    return reason.partition("Traceback (most recent call last)")[0].strip()


def is_code_mistake(reason: str) -> bool:
    """Return whether a failure certainly comes back with the same script and study."""
    return _CODE_MISTAKE.search(reason) is not None


def sample_lines(output: str, names: Collection[str]) -> list[str]:
    """Return some lines of an output that may contain metrics with these names.

    These are the last lines with a name, or else with a digit, or else the last lines of all.
    """
    lines = [line.strip()[:_MAX_LINE] for line in output.splitlines() if line.strip()]
    named = [line for line in lines if any(name.lower() in line.lower() for name in names)]
    numeric = [line for line in lines if any(map(str.isdigit, line))]
    return (named or numeric or lines)[-_MAX_SAMPLES:]


def describe_output(study: Study, reason: str, output: str) -> str:
    """Return what a failed trial printed, to be appended to a reason; empty if that is in it.

    If the script did not crash, that is what its expressions search in vain.
    """
    if _FRAME.search(output) or _CRASH.search(reason):
        line = error_line(output)
        return "" if line in reason else f"; it printed: {line}"
    metrics = [objective.metric for objective in study.objectives]
    expressions = [text for name in metrics for text in study.trial.metrics.get(name, ())]
    hidden = [text for text in expressions if text not in reason and not _matches(text, output)]
    parts = [f"; no line matches {' or '.join(hidden)}"] if hidden else []
    if lines := sample_lines(output, metrics):
        parts.append(f"; it printed: {' | '.join(lines)}")
    return "".join(parts)


def _matches(expression: str, output: str) -> bool:
    """Return whether any line of an output matches, as far as that is known in a short time."""
    import regex

    try:
        pattern = regex.compile(expression)
        return any(pattern.search(line, timeout=_SEARCH_TIMEOUT) for line in output.splitlines())
    except (regex.error, TimeoutError):
        return True


def failure_cause(reason: str) -> str:
    """Return a text that failures have in common whose reasons differ only in words with a digit.

    Such words are numbers, and paths and names of jobs that contain one.
    """
    return _WORD_WITH_DIGIT.sub("#", reason)
