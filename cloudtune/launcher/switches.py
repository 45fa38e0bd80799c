"""Which switches without a value a script's parser has: reads its code, and does not run it."""

from __future__ import annotations

from cloudtune.launcher.call import placeholder_options
from cloudtune.launcher.python_code import (
    OPTION_CALLS,
    call_keywords,
    imported_files,
    is_wrapper,
    literal,
    name_of,
    parse,
    reads_arguments,
    to_dest,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

_SWITCH_MARKS = ("add_arg", "add_option", "click", "typer", "tyro", "cyclopts", "DEFINE_bool")
_FUNCTION_CALLS = ("typer.run(", "tyro.cli(", "cyclopts.run(")
"""Those that call a function with the arguments."""
_FLAG_CALLS = ("DEFINE_bool", "DEFINE_boolean")
"""Those of absl, which ignores the word after a flag."""


def switch_words(call: Mapping[str, Any], names: Iterable[str], folder: str) -> dict[str, str]:
    """Return the words of boolean switches without a value, as ``--yes/--no``, by name.

    Either word can be empty. They are those of the study's ``switches``, or else of the parser in
    the script, then in the folder's files that it imports: of argparse, optparse, absl, click,
    typer, tyro or cyclopts. The first file that has an option decides. An option with
    ``type=bool``, which reads only an empty text as false, has ``--name=True/--name=``. Other
    conversions of flags by tyro (FlagConversionOff, FlagCreatePairsOff) are not read.
    """
    options = placeholder_options(call)
    words: dict[str, str] = dict(call.get("switches") or {})
    if call.get("arguments", "flags") not in ("flags", "equals"):
        names, words = [name for name in names if name in options], {}
    missing = {name for name in names if name not in words}
    if not missing:
        return words
    import re

    has_parser = False
    for code in imported_files(call, folder):
        is_other = "FlagC" in code or (
            has_parser and re.search(r"(tyro\.cli|cyclopts\.run)\(", code)
        )
        has_parser = has_parser or reads_arguments(code)
        if is_other or not any(mark in code for mark in _SWITCH_MARKS):
            continue
        found: set[str] = set()
        for switch in _parse_switches(code):
            for name in missing:
                pair = switch.match(options.get(name, name))
                if pair is None:
                    continue
                found.add(name)
                yes, no = pair
                if yes or no:
                    before = words.get(name, "/").partition("/")
                    words[name] = (before[0] or yes) + "/" + (before[2] or no)
        missing -= found
        if not missing:
            break
    return words


class _Switch:
    """A boolean option of a script's parser, or another one, which has no words."""

    has_value = False
    """Whether it has a value, of which only the empty text is false."""

    def __init__(self, dest: str, options: Sequence[str], yes: str, no: str) -> None:
        self._dest = dest
        self._options = options
        self._yes = yes
        self._no = no

    def without_words(self) -> _Switch:
        """Return the option as one whose values are passed as they are."""
        return _Switch(self._dest, self._options, "", "")

    def match(self, name: str) -> tuple[str, str] | None:
        """Return the words for true and false; None if this is not the option of a parameter."""
        if name.replace("-", "_") == self._dest:
            return self._yes, self._no
        option = ("-" if len(name) == 1 else "--") + name
        if option not in self._options:
            return None
        return (self._no, self._yes) if option == self._no else (self._yes, self._no)


def _parse_switches(code: str) -> Iterator[_Switch]:
    import ast

    for node in ast.walk(parse(code)):
        if isinstance(node, ast.Call) and name_of(node.func) in OPTION_CALLS:
            for switch in _switch_of_call(node):
                reads_false = switch.has_value and "jsonargparse" in code
                yield switch.without_words() if reads_false else switch
        elif isinstance(node, ast.Call) and name_of(node.func) in _FLAG_CALLS:
            name = literal(node.args[0] if node.args else call_keywords(node).get("name"))
            if isinstance(name, str):
                yield _Switch(name, ["--" + name], "--" + name, "--no" + name)
        elif isinstance(node, ast.FunctionDef):
            is_command = any(name_of(each) == "command" for each in node.decorator_list)
            calls = [call + node.name for call in _FUNCTION_CALLS]
            if (is_command and "typer" in code) or any(c in code.replace(" ", "") for c in calls):
                yield from _switches_of_function(node)
        elif isinstance(node, ast.AnnAssign) and "tyro.cli(" in code:
            name = getattr(node.target, "id", "")
            if node.value and name_of(node.annotation) == "bool":
                pair = _to_switch(name, [f"--{name}/--no-{name}".replace("_", "-")])
                yield from [pair] if pair else []


def _to_switch(dest: str, options: Sequence[str]) -> _Switch | None:
    """Return the switch of click's options, such as ``--yes/--no``."""
    for option in options:
        yes, slash, no = (part.strip() for part in option.partition("/"))
        if slash:
            return _Switch(dest or to_dest(yes or no), [yes, no], yes, no)
    return None


def _switch_of_call(call: Any) -> Iterator[_Switch]:
    """Yield the option of a call of argparse's ``add_argument``, or of its likes."""
    words = [word for word in map(literal, call.args) if isinstance(word, str)]
    keywords = call_keywords(call)
    options = [word for word in words if word.startswith("-") or "/" in word]
    if not options:
        return
    option = next((word for word in options if word.startswith("--")), options[0])
    dest = literal(keywords.get("dest")) or ""
    if name_of(call.func) == "option":
        dest = next((word for word in words if word not in options), "")
        pair = _to_switch(dest, options)
        if pair:
            yield pair
        elif literal(keywords.get("is_flag")) and not literal(keywords.get("default")):
            yield _Switch(dest or to_dest(option), options, option, "")
        else:
            yield _Switch(dest or to_dest(option), options, "", "")
        return
    action = keywords.get("action")
    word, const = literal(action), literal(keywords.get("const"))
    dest = dest or to_dest(option)
    if name_of(action) == "BooleanOptionalAction":
        yield _Switch(dest, options, option, "--no-" + option[2:])
    elif word in ("store_true", "count") or (word == "store_const" and const == 1):
        yield _Switch(dest, options, option, "")
    elif word == "store_false" or (word == "store_const" and const == 0):
        yield _Switch(dest, options, "", option)
    elif word == "store_const":
        yield _Switch("", options, option, "")
    elif calls_bool(keywords.get("type")):
        switch = _Switch(dest, options, option + "=True", option + "=")
        switch.has_value = True
        yield switch
    else:
        yield _Switch(dest, options, "", "")


def calls_bool(node: Any) -> bool:
    """Return whether a type is ``bool``, also numpy's, or a lambda that only calls it."""
    import ast

    if isinstance(node, ast.Lambda) and isinstance(node.body, ast.Call):
        call = node.body
        is_direct = len(call.args) == 1 and isinstance(call.args[0], ast.Name)
        return is_direct and name_of(call.func) in ("bool", "bool_")
    return name_of(node) in ("bool", "bool_") and not is_wrapper(node)


def _switches_of_function(function: Any) -> Iterator[_Switch]:
    """Yield the switches of a function that is a command."""
    import ast

    declared = function.args
    absent = [None] * (len(declared.args) - len(declared.defaults))
    defaults = absent + declared.defaults + declared.kw_defaults
    for index, argument in enumerate(declared.args + declared.kwonlyargs):
        default = defaults[index]
        annotation = argument.annotation
        nodes = [default] + (list(ast.walk(annotation)) if annotation else [])
        calls = [n for n in nodes if isinstance(n, ast.Call) and name_of(n) == "Option"]
        is_bool = any(isinstance(n, ast.Name) and n.id == "bool" for n in nodes[1:])
        if not is_bool or (default is None and not calls):
            continue
        texts = [word for call in calls for word in map(literal, call.args)]
        options = [word for word in texts if isinstance(word, str) and "-" in word]
        name = argument.arg.replace("_", "-")
        pair = _to_switch(argument.arg, options or ["--" + name + "/--no-" + name])
        yield pair or _Switch(argument.arg, options, options[0], "")
