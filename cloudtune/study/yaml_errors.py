"""What is wrong with a line of YAML, in words, instead of the messages of its parser."""

from __future__ import annotations

import re

QUOTE_EXPRESSION = r"enclose a regular expression in single quotes, for example 'loss: (\S+)'"
_EXPRESSION = re.compile(r"\\[SsDdWwBb.]|\(\?|\(\[|\([.^]|\[\^?(\d-\d|\w-\w)|[\])][+*]")
"""What a line contains that probably is a regular expression."""
_MISSING_QUOTE = ("missing closing quote", "end the string with the quote that starts it")
_SYNTAX_ERRORS = (
    (
        "mapping values are not allowed",
        "unexpected colon, or a line that is indented too far",
        "quote strings that contain a colon; align the keys of a block",
    ),
    ("',' or ']'", "missing comma or ] in a list", "check the commas and brackets"),
    ("',' or '}'", "missing comma or } in a map", "check the commas and braces"),
    (
        "expected <block end>",
        "wrong indentation",
        "indent all keys of a block by the same amount",
    ),
    ("could not find expected ':'", "missing colon after a key", "write key: value"),
    ("while scanning a quoted scalar", *_MISSING_QUOTE),
    ("unexpected end of stream", *_MISSING_QUOTE),
    (
        "cannot start any token",
        "a string cannot start with this character unless it is quoted",
        "quote the string",
    ),
    (
        "found unknown escape character",
        "unknown escape sequence in double quotes",
        "use single quotes, in which a backslash is a plain character",
    ),
    ("expected '<document start>'", "text after the end of the value", "quote the string"),
    ("special characters are not allowed", "invalid control character", "remove it"),
)


def explain_syntax_error(reason: str, line: str) -> tuple[str, str]:
    """Return what is wrong with a line of YAML, and a hint if one is known.

    Args:
        reason: The message of the parser.
        line: The line to which it refers.
    """
    if is_indented_with_a_tab(line):
        return "indented with a tab", "indent with spaces"
    hint = QUOTE_EXPRESSION if _EXPRESSION.search(line) else ""
    for cause, explanation, advice in _SYNTAX_ERRORS:
        if cause in reason:
            return explanation, hint or advice
    return f"invalid YAML: {reason}", hint


def is_indented_with_a_tab(line: str) -> bool:
    """Return whether a line starts with a tab, which YAML does not accept."""
    return "\t" in line[: len(line) - len(line.lstrip())]
