"""The page on formats has every format, and says which exports refuse conditions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from cloudtune.conversion import exporter
from cloudtune.conversion.registry import all_formats
from cloudtune.errors import ConversionError
from cloudtune.study.loader import load

PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text("utf-8")


def export_is_refused(name: str, conditions: dict[str, Any]) -> bool:
    choice = {"type": "categorical", "values": ["a", "b"]}
    child = {"type": "float", "min": 0.1, "max": 0.5, "when": conditions}
    parameters = {"first": choice, "second": choice, "child": child}
    objective = {"metric": "default", "goal": "maximize"}
    data = {"name": "s", "parameters": parameters, "objective": objective}
    study = load({**data, "strategy": "random", "limits": {"max_trials": 8}})
    try:
        exporter.write(study, name)
    except ConversionError as error:
        return any(each.path.endswith(".when") for each in error.findings)
    return False


def test_each_format_has_a_row_that_says_whether_it_is_written() -> None:
    table = PAGE.partition("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| `([\w-]+)`(, read only)? \|", table, re.MULTILINE)
    wanted = [(n, "" if each.dialect() else ", read only") for n, each in all_formats().items()]
    assert sorted(rows) == sorted(wanted)


def test_the_exports_that_refuse_conditions_are_listed() -> None:
    sentence = re.search(
        r"exports to ([^.]+?) refuse\s+conditions,\s+and those to ([^.]+?) conditions on", PAGE
    )
    assert sentence
    every, several = (set(re.findall(r"`([\w-]+)`", each)) for each in sentence.groups())
    names = [name for name, each in all_formats().items() if each.dialect()]
    both = {"first": "a", "second": "b"}
    refuse_one = {name for name in names if export_is_refused(name, {"first": "a"})}
    refuse_both = {name for name in names if export_is_refused(name, both)}
    assert every == refuse_one
    assert several == refuse_both - refuse_one
