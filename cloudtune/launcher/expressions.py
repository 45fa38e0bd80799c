"""Texts for scripts that read arguments as expressions, with Hydra or Python Fire.

Both read ``1`` as a number and need quotes for the text. Null, lists and maps can be values of a
study only as texts in the tool's own syntax, so these stay expressions, as does a text in quotes.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from re import Match
    from typing import Any

_MODULES = {"assign": "hydra", "flags": "fire", "equals": "fire"}
"""The module that reads each style of arguments as expressions."""
_PLAIN = r"(?!(?i:true|false|nan|inf)$)[A-Za-z_][A-Za-z0-9_./-]*"
"""What Hydra reads as text without quotes. https://hydra.cc/docs/1.3/advanced/override_grammar
read 2026-12-01."""

_QUOTED = r"""(?s)'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""


def with_reader(call: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Return a call with its ``reader``: the module that reads the arguments, if that is known.

    It is the one that the code of the script, module or command in a folder imports.
    """
    import re

    module = _MODULES.get(call.get("arguments", "flags"), "")
    main = (call.get("module") or "").replace(".", os.sep)
    files = [call.get("script") or "", main + ".py", os.path.join(main, "__main__.py")]
    for file in files + list(call.get("command") or ()) if module else ():
        path = os.path.join(folder, file)
        if not file.endswith(".py") or not os.path.isfile(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as stream:
            if re.search(r"^\s*(import|from)\s+" + module + r"\b", stream.read(1_000_000), re.M):
                return {**call, "reader": module}
    return dict(call)


def is_expression(reader: str, text: str) -> bool:
    """Return whether a text stays an expression, which the reader does not read as that text."""
    has_brackets = text[:1] + text[-1:] in ("[]", "{}", "()" if reader == "fire" else "[]")
    null = text == "None" if reader == "fire" else text.lower() == "null"
    return null or has_brackets or is_quoted(text) or (reader == "fire" and _is_tuple(text))


def is_quoted(text: str) -> bool:
    """Return whether a text is in quotes as a whole."""
    import re

    return bool(re.fullmatch(_QUOTED, text))


def _is_tuple(text: str) -> bool:
    """Return whether Fire reads a text without brackets as a tuple, such as ``a,b``."""
    import ast

    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    parts = (ast.Name, ast.Constant, ast.UnaryOp, ast.Tuple, ast.List, ast.Dict)
    return isinstance(node, ast.Tuple) and all(isinstance(each, parts) for each in node.elts)


def write_text(reader: str, text: str) -> str:
    """Return a text as the reader's argument: with quotes if it would not read it as that text."""
    import ast
    import re

    if not reader or is_expression(reader, text):
        return text
    if reader == "hydra":
        if re.fullmatch(_PLAIN, text):
            return text
        # Backslashes are doubled only before a quote.
        return "'" + re.sub(r"(\\*)('|$)", _escape, text) + "'"
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text
    return '"' + text + '"' if isinstance(value, (bool, int, float, complex)) else text


def _escape(match: Match[str]) -> str:
    return str(match[1]) * 2 + ("\\'" if match[2] else "")
