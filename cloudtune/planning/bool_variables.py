"""Booleans whose environment variable a script compares with another text than ``True``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cloudtune.bundle.own_modules import read_source, script_files
from cloudtune.planning.bool_options import boolean_paths
from cloudtune.study.study import Study

_WORD = r"""["'](?:true|false|yes|no|on|off|1|0)["']"""
_PYTHON = rf"""{{value}}\s*(?:[!=]=|(?:not )?in)(?!.*["']True["'])\s*[\[({{{{]?\s*{_WORD}"""
_PYTHON_TRUTH = r"""(?:\b(?:if|not|and|or)\s+|\bbool\(\s*){value}\s*(?:[:)]|and\b|or\b|else\b|$)"""
_SHELL = r"""\$\{{?{name}\b[^}}\s]*\}}?["']?\s*[!=]?=\s*["']?(?:true|false|yes|no|on|off|1|0)\b"""
_SHELL_TRUTH = r"""\bif\s+(?:!\s+)?\$\{{?{name}\b"""


def find_misread_variables(study: Study, source: Path) -> Iterator[tuple[str, str]]:
    """Yield the paths of booleans that the code would not read as recorded, and what is wrong.

    The study passes its values as variables.
    """
    for name, path in boolean_paths(study).items():
        for file, text in _files(study, source).items():
            pattern = _python_pattern(name, text) if file.endswith(".py") else _shell_pattern(name)
            code = [re.sub(r"^\s*#.*", "", line) for line in text.splitlines()]
            lines = (n for n, line in enumerate(code, 1) if re.search(pattern, line))
            for line in [*lines][:1]:
                reason = f"{file}, line {line} compares {name} with another text than True"
                yield path, f"{reason}, but the variable is True or False: compare it with True"


def _files(study: Study, source: Path) -> dict[str, str]:
    scripts = (word for word in study.trial.command or () if word.endswith(".sh"))
    texts = {word: read_source(source, word) for word in scripts}
    files = script_files(study.trial, source)
    return {**files, **{word: text for word, text in texts.items() if text}}


def _python_pattern(name: str, text: str) -> str:
    quoted = rf"""["']{re.escape(name)}["']"""
    read = rf"(?:os\.)?(?:environ\[{quoted}\]|(?:environ\.get|getenv)\({quoted}[^()]*\))"
    found = re.findall(rf"^\s*(\w+)\s*=\s*{read}\s*$", text, re.MULTILINE)
    names = [name for name in found if not _is_converted(name, text)]
    value = "(?:" + "|".join([read, *(rf"\b{each}\b" for each in names)]) + ")"
    if re.search(rf"""{value}.*["']True["']""", text):
        return "(?!)"
    return f"{_PYTHON.format(value=value)}|{_PYTHON_TRUTH.format(value=value)}"


def _is_converted(name: str, text: str) -> bool:
    """Return whether code may read the text of a variable in another way."""
    is_used = re.search(rf"\b{name}\.|\w\(\s*{name}\b", text)
    return bool(is_used) or len(re.findall(rf"^\s*{name}\s*=[^=]", text, re.MULTILINE)) > 1


def _shell_pattern(name: str) -> str:
    return f"{_SHELL}|{_SHELL_TRUTH}".format(name=re.escape(name))
