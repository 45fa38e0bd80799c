"""Options of argparse that have the same value for true and for false.

Those with ``type=bool`` are not among them: see `cloudtune.trial.switch_words`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from cloudtune.bundle.own_modules import entry_files, reached_files
from cloudtune.diagnostics import Finding, Note
from cloudtune.provider.facts import Facts
from cloudtune.study.arguments import takes_arguments
from cloudtune.study.schema import BoolParameter, Json
from cloudtune.study.study import Study

_OPTIONS = "bool_options"
"""The data of a lookup with the options, as lists of the fields of `BoolOption`."""
_STORES = {"store_true": True, "store_false": False}


class BoolOption(NamedTuple):
    """An option that does not distinguish true from false."""

    path: str
    """The parameter or constant of the study."""
    file: str
    """Relative to the source folder."""
    line: int
    problem: str
    is_certain: bool
    """Whether no code can tell the values apart."""

    @property
    def message(self) -> str:
        """What is wrong, with the place."""
        return f"{self.problem} ({self.file}, line {self.line})"


FIX = "use action=argparse.BooleanOptionalAction"


def read_bool_options(study: Study, source: Path) -> Json:
    """Return the options of a study's booleans in a source folder, as data of a lookup."""
    options = list(_find(study, source))
    return {_OPTIONS: [list(option) for option in options]} if options else {}


def stored_bool_options(facts: Facts) -> list[BoolOption]:
    """Return the options that `read_bool_options` has found."""
    return [BoolOption(*fields) for fields in facts.data.get(_OPTIONS, ())]


def check_bool_options(facts: Facts) -> Iterator[Finding | Note]:
    """Yield options with which trials would not run with the recorded value, or may not."""
    for option in stored_bool_options(facts):
        if option.is_certain:
            yield Finding("refused", option.path, f"{option.message}: {FIX}")
        else:
            yield Note(option.path, f"{option.message}: {FIX}", "warning")


def _find(study: Study, source: Path) -> Iterator[BoolOption]:
    paths = boolean_paths(study)
    if not paths or not takes_arguments(study, str(source)):
        return

    def read(name: str) -> str | None:
        with suppress(OSError, ValueError):
            return (source / name).read_text("utf-8")
        return None

    trial = study.trial
    names = {name.replace("-", "_"): name for name in paths}
    for file, text in reached_files(
        entry_files(trial.script, trial.module, trial.command or ()), read
    ).items():
        for call in _calls(text):
            keywords = {each.arg: each.value for each in call.keywords}
            words = [word for word in map(_literal, call.args) if isinstance(word, str)]
            dest = _literal(keywords.get("dest"))
            keys = {word.lstrip("-").replace("-", "_") for word in (*words, dest or "")}
            for name in (names[key] for key in sorted(keys & names.keys())):
                if name in (trial.switches or {}):
                    continue
                if problem := _problem(words[0] if words else name, keywords):
                    yield BoolOption(paths[name], file, call.lineno, *problem)


def boolean_paths(study: Study) -> dict[str, str]:
    """Return the names of the booleans with their paths in the study."""
    tuned = {
        name: f"parameters.{name}"
        for name, definitions in study.parameters.items()
        if any(isinstance(each, BoolParameter) for each in definitions)
    }
    fixed = {n: f"constants.{n}" for n, v in study.constants.items() if isinstance(v, bool)}
    return tuned | fixed


def _calls(text: str) -> Iterator[ast.Call]:
    tree = ast.Module([], [])
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        tree = ast.parse(text if "add_argument" in text else "")
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    yield from (call for call in calls if getattr(call.func, "attr", "") == "add_argument")


def _problem(option: str, keywords: Mapping[str | None, ast.expr]) -> tuple[str, bool] | None:
    """Return what is wrong with an option, and whether that is certain."""
    action, default = _literal(keywords.get("action")), _literal(keywords.get("default"))
    if action in _STORES and default is _STORES[action]:
        return f"{option} is {default} with and without {action}", True
    is_text = not {"action", "type", "nargs", "choices"} & keywords.keys()
    if is_text and isinstance(default, bool):
        return f"{option} has no type and reads False as a text, which is true in an `if`", False
    return None


def _literal(node: ast.expr | None) -> Any:
    if node is not None:
        with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return ast.literal_eval(node)
    return None
