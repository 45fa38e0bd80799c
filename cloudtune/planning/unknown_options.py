"""Parameters that a script may ignore, or read as another one, without an error.

``parse_known_args`` skips options that the parser does not have, and argparse takes the beginning
of an option's name for the option.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from cloudtune.bundle.own_modules import script_files
from cloudtune.diagnostics import Note
from cloudtune.launcher.call import placeholder_names
from cloudtune.launcher.options import find_options
from cloudtune.launcher.python_code import parse
from cloudtune.launcher.switches import switch_words
from cloudtune.launcher.values import part_name
from cloudtune.provider.facts import Facts
from cloudtune.study.arguments import takes_arguments
from cloudtune.study.schema import Json
from cloudtune.study.study import Study

_UNKNOWN = "unknown_options"
"""The data of a lookup with paths of the study and what is wrong with each."""
_PRINTS = re.compile(r"print|warn|warning|info|debug|error|log")
_OTHER_PARSERS = re.compile(
    r"HfArgumentParser|^\s*(from|import)\s+(click|cyclopts|docopt|draccus|fire|jsonargparse|"
    r"pydantic_settings|pyrallis|simple_parsing|tap|typer|tyro)\b",
    re.M,
)
"""Parsers whose options are fields of classes, also of packages, or arguments of functions."""
_DOCTOR = "`cloudtune doctor` shows whether it has an effect"


def read_unknown_options(study: Study, source: Path) -> Json:
    """Return the parameters that the code may ignore or confuse, as data of a lookup."""
    find = _find
    if study.trial.arguments == "env":
        from cloudtune.planning.bool_variables import find_misread_variables as find
    found = [list(each) for each in find(study, source)]
    return {_UNKNOWN: found} if found else {}


def check_unknown_options(facts: Facts) -> Iterator[Note]:
    """Yield a warning for each parameter that the script may ignore or confuse."""
    for path, message in facts.data.get(_UNKNOWN, ()):
        yield Note(path, message, "warning")


def _find(study: Study, source: Path) -> Iterator[tuple[str, str]]:
    trial = study.trial
    if trial.arguments == "assign" or not takes_arguments(study, str(source)):
        return

    yield from _find_without_value(study, source)
    files = script_files(trial, source)
    if not any("argparse" in text or "parse_known" in text for text in files.values()):
        return
    trees = {file: parse(text) for file, text in files.items()}
    if any(map(_OTHER_PARSERS.search, files.values())) or _adds_elsewhere(trees.values()):
        return
    skips = next(
        (f"{file}, line {line}" for file, tree in trees.items() for line in _skips(tree)), ""
    )
    abbreviates = not any("allow_abbrev" in text for text in files.values())
    text = "\n".join(files.values())
    by_hand = "sys.argv" in text
    long = set(re.findall(r"""add_argument\([^()]*?["'](--\w[\w.-]*)["']""", text))
    for name, path in _unseen(study, source).items():
        if re.search(rf"""DEFINE_\w+\(\s*["']{re.escape(name)}["']""", text):
            continue
        begun = sorted(option for option in long if option.startswith(f"--{name}"))
        if begun and abbreviates:
            if len(begun) == 1:
                reason = f"the script has no option --{name}, and argparse reads it as {begun[0]}"
                yield path, f"{reason}: give the parameter the name of its option"
        elif skips and not (by_hand and re.search(rf"""["']--{re.escape(name)}[="']""", text)):
            reason = f"no option --{name} is found in the code, and parse_known_args ({skips})"
            yield path, f"{reason} skips options that the parser does not have: {_DOCTOR}"


def _find_without_value(study: Study, source: Path) -> Iterator[tuple[str, str]]:
    """Yield the values that are not booleans, but set a switch whatever they are."""
    trial = study.trial
    others = {n: f"constants.{n}" for n, v in study.constants.items() if not isinstance(v, bool)}
    for name, definitions in study.parameters.items():
        choices = [v for each in definitions for v in getattr(each, "values", [each.type])]
        if not all(isinstance(value, bool) or value == "bool" for value in choices):
            others[name] = f"parameters.{name}"
    names = [name for name in others if name not in {**study.maps, **(trial.switches or {})}]
    call = trial.model_dump(include={"script", "module", "command", "args", "arguments"})
    for name, words in switch_words(call, names, str(source)).items():
        if trial.arguments == "flags" or "=" in words:
            option = re.split("[/=]", words.strip("/"))[0]
            reason = f"{option} is a boolean in the code, and each value of {name} sets it"
            yield others[name], f"{reason}: use type: bool"


def _unseen(study: Study, source: Path) -> dict[str, str]:
    """Return the names without an option in the code, with their paths."""
    trial = study.trial
    paths = {name: f"constants.{name}" for name in study.constants}
    for name in study.parameters:
        parts = study.maps.get(name, {}).values()
        names = {part_name(name, key) for each in parts for key in each} or {name}
        paths |= dict.fromkeys(names, f"parameters.{name}")
    paths |= {trial.seed_argument: "trial.seed_argument"} if trial.seed_argument else {}
    call = trial.model_dump(
        include={"script", "module", "command", "args", "arguments", "switches"}, exclude_none=True
    )
    words = [*(trial.command or ()), *trial.args]
    seen = {
        *placeholder_names(words),
        *find_options(call, paths, str(source)),
        *switch_words(call, paths, str(source)),
    }
    return {name: path for name, path in paths.items() if name not in seen}


def _adds_elsewhere(trees: Iterable[ast.AST]) -> bool:
    """Return whether a function outside of the code gets a parser, to which it may add options."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    defined = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    parsers = {
        _name(target)
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if _name(node.value.func).endswith("Parser")
    }
    return any(
        _name(node.func) not in {*defined, "print"}
        for node in nodes
        if isinstance(node, ast.Call)
        if any(_name(each) in {*parsers, "parser"} for each in node.args)
    )


def _skips(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that parse only known options, where the others are not used but to log.

    There are none if `parse_args`, which reports unknown options, follows.
    """
    if any(
        isinstance(each, ast.Attribute) and each.attr == "parse_args" for each in ast.walk(tree)
    ):
        return
    loaded: dict[str, int] = {}
    for node in ast.walk(tree):
        is_log = isinstance(node, ast.Call) and _PRINTS.fullmatch(_name(node.func).lower())
        for each in ast.walk(node) if is_log else [node]:
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
                loaded[each.id] = loaded.get(each.id, 0) + (-1 if is_log else 1)
    used = {name for name, count in loaded.items() if count > 0}
    for node in ast.walk(tree):
        is_first = isinstance(node, ast.Subscript) and ast.unparse(node.slice) == "0"
        if isinstance(node, ast.Subscript) and is_first and _is_known_call(node.value):
            yield node.lineno
        elif isinstance(node, ast.Assign) and _is_known_call(node.value):
            pairs = [ast.unparse(target).strip("()").split(", ") for target in node.targets]
            if all(len(pair) > 1 and pair[1] not in used for pair in pairs):
                yield node.lineno


def _is_known_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _name(node.func) == "parse_known_args"


def _name(node: ast.AST) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))
