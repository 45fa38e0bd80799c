"""Which options a script's parser has: reads its code, and does not run it."""

from __future__ import annotations

import os

from cloudtune.launcher.call import placeholder_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]

_SWITCH_MARKS = ("add_arg", "add_option", "click", "typer", "DEFINE_bool")
_OPTION_CALLS = ("add_argument", "add_arg", "add_option", "option")
"""Those of argparse, configargparse, optparse and click."""
_FLAG_CALLS = ("DEFINE_bool", "DEFINE_boolean")
"""Those of absl, which ignores the word after a flag."""


def option_words(call: Mapping[str, Any], names: Iterable[str], folder: str) -> dict[str, str]:
    """Return the options that the script does not name ``--name``, by parameter.

    These are one-letter names that the code has in quotes only as ``-C``, and names with
    underscores that it has only as ``--n-layers``, which is also how typer writes them. The script
    is searched first, then the files of the folder that it imports; the first file with an option
    decides. Other files can be scripts with options of their own.
    """
    missing = [name for name in names if len(name) == 1 or "_" in name]
    if not missing or call.get("arguments", "flags") not in ("flags", "equals"):
        return {}
    import re

    options: dict[str, str] = {}
    by_typer = False
    for code in _imported_files(call, folder):
        by_typer = by_typer or bool(re.search(r"^\s*(import|from)\s+typer\b", code, re.M))
        for name in list(missing):
            dashed = name.replace("_", "-")
            text = re.escape(name) if len(name) == 1 else re.escape(dashed).replace("\\-", "[_-]")
            written = set(re.findall("[\"'](--?" + text + ")[\"'= ,/]", code))
            other = "-" + name if len(name) == 1 else "--" + dashed
            if not written and by_typer and re.search(r"\b" + re.escape(name) + r"\s*:", code):
                written = {other}
            if written:
                missing.remove(name)
                if written == {other}:
                    options[name] = other
        if not missing:
            break
    return options


def switch_words(call: Mapping[str, Any], names: Iterable[str], folder: str) -> dict[str, str]:
    """Return the words of boolean switches without a value, as ``--yes/--no``, by name.

    Either word can be empty. They are those of the study's ``switches``, or else of the parser in
    the script, then in the folder's files that it imports: of argparse, optparse, absl, click or
    typer. The first file that has an option decides. An option with ``type=bool``, which reads only
    an empty text as false, has ``--name=True/--name=``.
    """
    options = placeholder_options(call)
    words: dict[str, str] = dict(call.get("switches") or {})
    if call.get("arguments", "flags") not in ("flags", "equals"):
        names, words = [name for name in names if name in options], {}
    missing = {name for name in names if name not in words}
    if not missing:
        return words
    for code in _imported_files(call, folder):
        if not any(mark in code for mark in _SWITCH_MARKS):
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

    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name_of(node.func) in _OPTION_CALLS:
            for switch in _switch_of_call(node):
                reads_false = switch.has_value and "jsonargparse" in code
                yield switch.without_words() if reads_false else switch
        elif isinstance(node, ast.Call) and _name_of(node.func) in _FLAG_CALLS:
            name = _literal(node.args[0] if node.args else call_keywords(node).get("name"))
            if isinstance(name, str):
                yield _Switch(name, ["--" + name], "--" + name, "--no" + name)
        elif isinstance(node, ast.FunctionDef) and "typer" in code:
            is_command = any(_name_of(each) == "command" for each in node.decorator_list)
            if is_command or "typer.run(" + node.name in code.replace(" ", ""):
                yield from _switches_of_function(node)


def _name_of(node: Any) -> str:
    """Return the last part of a name, also of what is called or subscripted."""
    node = getattr(node, "func", getattr(node, "value", node)) if _is_wrapper(node) else node
    return getattr(node, "attr", getattr(node, "id", "")) or ""


def _is_wrapper(node: Any) -> bool:
    import ast

    return isinstance(node, (ast.Call, ast.Subscript))


def _literal(node: Any) -> Any:
    import ast

    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _to_switch(dest: str, options: Sequence[str]) -> _Switch | None:
    """Return the switch of click's options, such as ``--yes/--no``."""
    for option in options:
        yes, slash, no = (part.strip() for part in option.partition("/"))
        if slash:
            return _Switch(dest or _dest(yes or no), [yes, no], yes, no)
    return None


def _dest(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def call_keywords(call: Any) -> Json:
    """Return the keyword arguments of a call, with those of literal maps in ``**{...}``.

    Other maps are below an empty name.
    """
    import ast

    keywords: Json = {}
    for each in call.keywords:
        value = each.value
        if each.arg is not None:
            keywords[each.arg] = value
        elif isinstance(value, ast.Dict):
            keywords.update((_literal(k), value.values[n]) for n, k in enumerate(value.keys))
        elif isinstance(value, ast.Call) and _name_of(value.func) == "dict" and not value.args:
            keywords.update(call_keywords(value))
        else:
            keywords[""] = value
    return keywords


def _switch_of_call(call: Any) -> Iterator[_Switch]:
    """Yield the option of a call of argparse's ``add_argument``, or of its likes."""
    words = [word for word in map(_literal, call.args) if isinstance(word, str)]
    keywords = call_keywords(call)
    options = [word for word in words if word.startswith("-") or "/" in word]
    if not options:
        return
    option = next((word for word in options if word.startswith("--")), options[0])
    dest = _literal(keywords.get("dest")) or ""
    if _name_of(call.func) == "option":
        dest = next((word for word in words if word not in options), "")
        pair = _to_switch(dest, options)
        if pair:
            yield pair
        elif _literal(keywords.get("is_flag")) and not _literal(keywords.get("default")):
            yield _Switch(dest or _dest(option), options, option, "")
        else:
            yield _Switch(dest or _dest(option), options, "", "")
        return
    action = keywords.get("action")
    word, const = _literal(action), _literal(keywords.get("const"))
    dest = dest or _dest(option)
    if _name_of(action) == "BooleanOptionalAction":
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
        return is_direct and _name_of(call.func) in ("bool", "bool_")
    return _name_of(node) in ("bool", "bool_") and not _is_wrapper(node)


def _switches_of_function(function: Any) -> Iterator[_Switch]:
    """Yield the switches of a function that is a command of typer."""
    import ast

    declared = function.args
    absent = [None] * (len(declared.args) - len(declared.defaults))
    defaults = absent + declared.defaults + declared.kw_defaults
    for index, argument in enumerate(declared.args + declared.kwonlyargs):
        default = defaults[index]
        annotation = argument.annotation
        nodes = [default] + (list(ast.walk(annotation)) if annotation else [])
        calls = [n for n in nodes if isinstance(n, ast.Call) and _name_of(n) == "Option"]
        is_bool = any(isinstance(n, ast.Name) and n.id == "bool" for n in nodes[1:])
        if not is_bool or (default is None and not calls):
            continue
        texts = [word for call in calls for word in map(_literal, call.args)]
        options = [word for word in texts if isinstance(word, str) and "-" in word]
        name = argument.arg.replace("_", "-")
        pair = _to_switch(argument.arg, options or ["--" + name + "/--no-" + name])
        yield pair or _Switch(argument.arg, options, options[0], "")


def _imported_files(call: Mapping[str, Any], folder: str) -> Iterator[str]:
    """Yield the text of the script, then of the folder's files that it imports or starts.

    If the call names no Python file of the folder, these are all Python files.
    """
    import re

    files = _source_files(call, folder)
    found = [path for path in _started_files(call, folder) if path in files]
    if not any(path.endswith(".py") for path in found):
        yield from map(_read, files)
        return
    modules: set[str] = set()
    while found:
        files = [path for path in files if path not in found]
        for path in found:
            code = _read(path)
            yield code
            imports = re.findall(r"^\s*(?:from|import)\b(?:[^\n(]*\([^)]*\)|.*)", code, re.M)
            modules.update(re.findall(r"\w+", " ".join(imports)))
            modules.update(re.findall(r"(\w+)\.py[\"']", code))
        found = [path for path in files if _module_name(path) in modules]


def _module_name(path: str) -> str:
    """Return the last part of a module's name."""
    parent, name = os.path.split(os.path.splitext(path)[0])
    return os.path.basename(parent) if name == "__init__" else name


def _started_files(call: Mapping[str, Any], folder: str) -> list[str]:
    """Return the paths of what a call may start, also those that do not exist."""
    module = (call.get("module") or "").replace(".", os.sep)
    command: Sequence[str] = call.get("command") or []
    words = [call.get("script") or ""]
    words += [module + ".py", os.path.join(module, "__main__.py")] if module else []
    return [os.path.normpath(os.path.join(folder, word)) for word in [*words, *command] if word]


def _source_files(call: Mapping[str, Any], folder: str) -> list[str]:
    """Return the script, then the folder's other Python files, up to a thousand."""
    paths = _started_files(call, folder)
    for parent, folders, files in os.walk(os.path.normpath(folder)):
        folders.sort()
        paths += [os.path.join(parent, name) for name in sorted(files) if name.endswith(".py")]
    return [path for path in dict.fromkeys(paths) if os.path.isfile(path)][:1_000]


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(1_000_000)
