"""Options of a script's parser that have the same value for true and for false, or may have it.

Those with ``type=bool`` are not among them: see `cloudtune.trial.switch_words`. An option without a
type reads ``False`` as a text, which is true in an `if`, unless the code handles the text. So may
an option that the code does not name, because it computes its options or reads ``sys.argv``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cloudtune.bundle.own_modules import file_imports, script_files
from cloudtune.diagnostics import Finding, Note
from cloudtune.launcher.python_code import call_keywords, literal, parse, to_dest
from cloudtune.launcher.switches import calls_bool, switch_words
from cloudtune.launcher.values import part_name
from cloudtune.provider.facts import Facts
from cloudtune.study.arguments import takes_arguments
from cloudtune.study.schema import BoolParameter, Json
from cloudtune.study.study import Study

_OPTIONS = "bool_options"
"""The data of a lookup with the options, as lists of the fields of `BoolOption`."""
_STORES = {"store_true": True, "store_false": False}
_ADDERS = ("add_argument", "add_option", "option")
"""The functions of argparse, optparse and click that add an option."""
_KINDS = {"action", "is_flag", "flag_value", "count"}
"""Keywords of options that are no text, or a text on purpose."""
_TRUE = "which is true in an `if`"
_READS_BOOL = re.compile(r"(?!bool_?$).*bool|(literal_)?eval$")
"""A function that reads the text of a boolean."""
_WORDS = {"true", "false", "yes", "no", "on", "off", "1", "0", "y", "n", "t", "f"}
"""Texts of booleans in scripts, which get ``True`` or ``False``."""
_KEEP_VALUE = {"isinstance", "print", "type"}
"""Functions that do not convert the text of a boolean."""
_READS_VALUE = re.compile(r"int$|float$|.*loads?$")
_PARSERS = {
    *("argparse", "click", "typer", "fire", "absl", "hydra", "omegaconf", "tyro", "docopt", "tap"),
    *("configargparse", "simple_parsing", "transformers", "pydantic_settings"),
    *("plac", "cyclopts", "draccus", "sacred"),
}
"""Modules that read arguments, so that a script may use ``sys.argv`` for something else."""


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
FIX_TEXT = f"{FIX}, or set trial.switches"


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
            yield Note(option.path, f"{option.message}: {FIX_TEXT}", "warning")


def _find(study: Study, source: Path) -> Iterator[BoolOption]:
    paths = boolean_paths(study)
    if not paths or not takes_arguments(study, str(source)):
        return
    trial = study.trial
    files = script_files(trial, source)
    trees = {file: parse(text) for file, text in files.items()}
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    adders = {*_ADDERS, *_aliases(nodes)}
    options = [
        _Option(file, node.lineno, node)
        for file, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _identifier(node.func) in adders
    ]
    imported = {name.partition(".")[0] for text in files.values() for name, _ in file_imports(text)}
    if "jsonargparse" in imported:  # it reads False as false
        return
    argv = [] if imported & _PARSERS else list(_argv_uses(trees))
    call = trial.model_dump(include={"script", "module", "command", "args", "arguments"})
    passed = switch_words(call, paths, str(source))
    for name, path in paths.items():
        if name in (trial.switches or {}):
            continue
        key = to_dest(name)
        named = [option for option in options if key in option.keys]
        for option in named:
            if problem := option.certain_problem:
                yield BoolOption(path, option.file, option.line, problem, is_certain=True)
        words = [(each, each.compared_word(nodes)) for each in named if name not in passed]
        if compared := [pair for pair in words if pair[1]]:
            option, word = compared[0]
            problem = f"{option.name} is compared with {word!r}, and gets True or False"
            yield BoolOption(path, option.file, option.line, problem, is_certain=False)
            continue
        others = {other for option in options for other in option.keys} - {key}
        keys = {key}.union(*(option.keys for option in named))
        if name in passed or _handles_text(nodes, keys, others):
            continue
        longer = [option for option in options if not named and option.begins_with(name)]
        places = [
            *((each.file, each.line, each.text_problem) for each in named or longer),
            *((each.file, each.line, each.computed_problem) for each in options if not named),
            *((file, line, f"sys.argv has False as a text, {_TRUE}") for file, line in argv),
        ]
        for file, line, problem in [place for place in places if place[2]][:1]:
            yield BoolOption(path, file, line, problem, is_certain=False)


def boolean_paths(study: Study) -> dict[str, str]:
    """Return the names of the booleans with their paths in the study."""
    tuned = {
        name: f"parameters.{name}"
        for name, definitions in study.parameters.items()
        if any(isinstance(each, BoolParameter) for each in definitions)
    }
    tuned |= {
        part_name(name, key): f"parameters.{name}"
        for name, maps in study.maps.items()
        for parts in maps.values()
        for key, value in parts.items()
        if isinstance(value, bool)
    }
    fixed = {n: f"constants.{n}" for n, v in study.constants.items() if isinstance(v, bool)}
    return tuned | fixed


class _Option(NamedTuple):
    file: str
    line: int
    call: ast.Call

    @property
    def keys(self) -> set[str]:
        """The names by which the code may know the value; none if it computes the name."""
        words = [*map(literal, self.call.args), literal(call_keywords(self.call).get("dest"))]
        return {to_dest(word) for word in words if isinstance(word, str)}

    def begins_with(self, name: str) -> bool:
        """Return whether a name is an abbreviation of it, which argparse and optparse accept."""
        return any(str(literal(each)).startswith("--" + name) for each in self.call.args)

    @property
    def certain_problem(self) -> str:
        keywords = call_keywords(self.call)
        action, default = literal(keywords.get("action")), literal(keywords.get("default"))
        if action not in _STORES or default is not _STORES[action]:
            return ""
        return f"{self.name} is {default} with and without {action}"

    @property
    def text_problem(self) -> str:
        """How it may read False as true; empty if it does not."""
        keywords = call_keywords(self.call)
        kind = keywords.get("type")
        is_click = _identifier(self.call.func) == "option"
        is_type_of = isinstance(kind, ast.Call) and _identifier(kind.func) == "type"
        if kind is not None and not is_click and (is_type_of or calls_bool(kind)):
            return f"{self.name} has {ast.unparse(kind)} as its type, which reads False as true"
        default = literal(keywords.get("default"))
        has_default = isinstance(default, str) and default != ""
        is_text = kind is None or (isinstance(kind, ast.Name) and kind.id == "str")
        if _KINDS & keywords.keys() or has_default or not is_text:
            return ""
        if is_click and "default" in keywords:
            return ""  # click takes the type of the default
        has = "may have" if "" in keywords else "has"
        what = "the type str" if kind else "no type"
        return f"{self.name} {has} {what} and reads False as a text, {_TRUE}"

    def compared_word(self, nodes: Sequence[ast.AST]) -> str:
        """Return a word such as ``true`` that its text is compared with, which it never is."""
        keywords = call_keywords(self.call)
        kind, default = keywords.get("type"), literal(keywords.get("default"))
        if isinstance(kind, ast.Lambda):
            return _compared_word([*ast.walk(kind)], _first_argument(kind))
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
        for function in functions if isinstance(kind, ast.Name) else ():
            if function.name == _identifier(kind):
                return _compared_word([*ast.walk(function)], _first_argument(function))
        is_text = kind is None or (isinstance(kind, ast.Name) and kind.id == "str")
        is_other = _identifier(self.call.func) == "option" and not isinstance(default, str | None)
        if not is_text or is_other or _KINDS & keywords.keys():
            return ""
        return _compared_word(nodes, self.keys)

    @property
    def computed_problem(self) -> str:
        """How it may read False as true if it is the option of a boolean; empty if it does not."""
        if self.keys or not self.call.args or "action" in call_keywords(self.call):
            return ""
        kind = call_keywords(self.call).get("type")
        name = _identifier(kind)
        is_read = (
            isinstance(kind, ast.Lambda) or _READS_BOOL.match(name) or _READS_VALUE.match(name)
        )
        if is_read and not calls_bool(kind):
            return ""
        return f"the code computes the options, and may read False as a text, {_TRUE}"

    @property
    def name(self) -> str:
        return str(literal(self.call.args[0]) if self.call.args else "")


def _compared_word(nodes: Sequence[ast.AST], keys: Collection[str]) -> str:
    """Return a word of `_WORDS` that code compares a value with; empty if also with ``True``.

    Code that converts the value, or has the words elsewhere, may compare it with any word.
    """
    texts: list[str] = []
    for node in nodes:
        if isinstance(node, ast.Attribute | ast.Subscript) and _identifier(node.value) in keys:
            return ""
        arguments = node.args if isinstance(node, ast.Call) else []
        is_kept = isinstance(node, ast.Call) and _identifier(node.func) in _KEEP_VALUE
        if not is_kept and any(_identifier(each) in keys for each in arguments):
            return ""
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(_identifier(side) in keys for side in sides):
                others = [side for side in sides if _identifier(side) not in keys]
                if any(literal(each) is None and ast.unparse(each) != "None" for each in others):
                    return ""
                values = [literal(each) for side in sides for each in ast.walk(side)]
                texts += [value for value in values if isinstance(value, str)]
    is_told = not {"True", "False"}.isdisjoint(texts)
    return "" if is_told else next((text for text in texts if text.lower() in _WORDS), "")


def _first_argument(function: ast.Lambda | ast.FunctionDef) -> list[str]:
    return [each.arg for each in function.args.args[:1]]


def _handles_text(nodes: Sequence[ast.AST], keys: set[str], others: Collection[str]) -> bool:
    """Return whether code compares or parses the text of an option, or that of any option."""

    def is_value(node: ast.AST) -> bool:
        return _identifier(node) in keys

    def may_be_value(node: ast.AST) -> bool:
        names = {_identifier(each) for each in ast.walk(node)} - {""}
        return bool(names & keys) or not names & {*others, "environ", "getenv"}

    for node in nodes:
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            values = [literal(each) for side in sides for each in ast.walk(side)]
            texts = [value for value in values if isinstance(value, str)]
            if texts and any(map(is_value, sides)):
                return True
            is_bool = any(text.lower() in {"true", "false"} for text in texts)
            if is_bool and all(map(may_be_value, sides)):
                return True
        elif isinstance(node, ast.Call) and node.args:
            name = _identifier(node.func)
            if _READS_BOOL.match(name) and all(map(may_be_value, node.args)):
                return True
            if _READS_VALUE.match(name) and any(map(is_value, node.args)):
                return True
    used = [node.value for node in nodes if isinstance(node, ast.Attribute)]
    used += [node.slice for node in nodes if isinstance(node, ast.Subscript)]
    used += [node.subject for node in nodes if isinstance(node, ast.Match)]
    return any(map(is_value, used))


def _identifier(node: ast.AST | None) -> str:
    """Return the name of a value: of a variable, an attribute, or an item."""
    if isinstance(node, ast.Subscript):
        return str(literal(node.slice))
    if isinstance(node, ast.Call) and _identifier(node.func) in {"get", "getattr"}:
        return str(literal(node.args[-1]) if node.args else "")
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _aliases(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Yield the variables that are functions that add an option."""
    for node in nodes:
        if isinstance(node, ast.Assign) and getattr(node.value, "attr", "") in _ADDERS:
            yield from (_identifier(target) for target in node.targets)


def _argv_uses(trees: Mapping[str, ast.AST]) -> Iterator[tuple[str, int]]:
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Name | ast.Attribute) and _identifier(node) == "argv":
                yield file, node.lineno
