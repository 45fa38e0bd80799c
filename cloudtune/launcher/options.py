"""Which options a script's parser has: reads its code, and does not run it."""

from __future__ import annotations

from cloudtune.launcher.python_code import (
    OPTION_CALLS,
    call_keywords,
    imported_files,
    literal,
    name_of,
    parse,
    reads_arguments,
    to_dest,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

_WITHOUT_VALUE = ("store_true", "store_false", "store_const", "append_const", "count")
"""Actions of options that `switch_words` reads."""
_SAME, _HYPHENS, _UNKNOWN = "same", "hyphens", "unknown"
"""How code computes the names of options."""
_TEXT_METHODS = ("replace", "translate", "sub", "join", "lower", "upper", "format", "split")
"""Methods with which a name may change."""


def option_words(call: Mapping[str, Any], names: Iterable[str], folder: str) -> dict[str, str]:
    """Return the options that the script does not name ``--name``, by parameter.

    See `find_options`.
    """
    found = find_options(call, names, folder)
    return {name: option for name, option in found.items() if option != "--" + name}


def find_options(call: Mapping[str, Any], names: Iterable[str], folder: str) -> dict[str, str]:
    """Return the option of each parameter for which the code has one.

    This is ``--name`` if the code has it in quotes, else ``-C`` for a name of one letter, the other
    spelling of a name with underscores or hyphens, an option with a single dash, such as
    ``-batch_size``, or one whose ``dest`` is the name. The script is searched first, then the files
    of the folder that it imports; the first file with an option decides. Other files can be scripts
    with options of their own, and so can an imported file with a parser if an earlier file has one:
    there, only options that are the name count. If the code computes options, and no file has one
    for a name, it is ``--name`` or, where the code replaces underscores, the name with hyphens.
    """
    missing = list(dict.fromkeys(names))
    if not missing or call.get("arguments", "flags") not in ("flags", "equals"):
        return {}
    import re

    options: dict[str, str] = {}
    computed: set[str] = set()
    by_typer = has_parser = False
    for code in imported_files(call, folder):
        by_typer = by_typer or bool(re.search(r"^\s*(import|from)\s+typer\b", code, re.M))
        options.update((name, _written_option(name, code)) for name in missing)
        missing = [name for name in missing if not options[name]]
        if not missing:
            break
        parser = _Parser()
        creates = reads_arguments(code)
        if any(mark in code for mark in OPTION_CALLS) and not (has_parser and creates):
            parser = _read_parser(code)
            computed |= parser.computed
        has_parser = (has_parser or creates) and not re.search("parents|parse_known", code)
        for name in missing:
            options[name] = parser.find(name)
            is_field = re.search(r"\b" + re.escape(name) + r"\s*:", code)
            if not options[name] and by_typer and is_field:
                options[name] = "-" + name if len(name) == 1 else "--" + name.replace("_", "-")
        missing = [name for name in missing if not options[name]]
    if computed - {_UNKNOWN}:
        hyphens = computed == {_HYPHENS}
        options.update((n, "--" + (n.replace("_", "-") if hyphens else n)) for n in missing)
    return {name: option for name, option in options.items() if option}


def _written_option(name: str, code: str) -> str:
    """Return the option that a code has in quotes, for one letter or with two dashes."""
    import re

    text = "[_-]".join(map(re.escape, re.split("[_-]", name)))
    dashes = "--?" if len(name) == 1 else "--"
    written = re.findall("[\"'](" + dashes + text + ")[\"'= ,/]", code)
    wanted = ["--" + name, "--" + name.replace("_", "-")]
    return next((option for option in wanted if option in written), (written or [""])[0])


class _Parser:
    """The options that a code adds to a parser."""

    def __init__(self) -> None:
        self.options: list[tuple[str, list[str]]] = []
        """Each with the name of its value; without it, its name is that of an option."""
        self.computed: set[str] = set()
        """How the code computes names of options."""

    def find(self, name: str) -> str:
        """Return the option with one dash and this name, or with this name as its ``dest``."""
        key = name.replace("-", "_")
        for dest, words in self.options:
            same = [word for word in words if word.startswith("-") and to_dest(word) == key]
            if same or dest == key:
                long = [word for word in words if word.startswith("--")]
                return (same or long or words)[0].partition("/")[0].strip()
        return ""


def _read_parser(code: str) -> _Parser:
    import ast

    parser = _Parser()
    tree = parse(code)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or name_of(node.func) not in OPTION_CALLS:
            continue
        texts = list(map(literal, node.args))
        words = [word for word in texts if isinstance(word, str)]
        options = [word for word in words if word.startswith("-")]
        keywords = call_keywords(node)
        dest = literal(keywords.get("dest")) or ""
        if options and name_of(node.func) == "option":
            dest = next((word for word in words if word not in options), "")
        if literal(keywords.get("action")) in _WITHOUT_VALUE or "is_flag" in keywords:
            continue
        if options:
            parser.options.append((str(dest), options))
        elif node.args and not words:
            parser.computed.add(_computation(node.args[0], tree))
    return parser


def _computation(node: Any, tree: Any) -> str:
    """Return how an expression writes names, where its own names are bound included."""
    import ast

    used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    scopes = [each for each in functions if _contains(_own_nodes(each), node)]
    parts: list[Any] = [node, *(each for each in functions if each.name in used)]
    for each in _own_nodes(scopes[0] if scopes else tree):
        pairs: list[tuple[Any, Any]] = []
        if isinstance(each, ast.Assign) and each.lineno <= node.lineno:
            pairs = [(target, each.value) for target in each.targets]
        elif isinstance(each, ast.For) and _contains(ast.walk(each), node):
            pairs = [(each.target, each.iter)]
        elif isinstance(each, (ast.ListComp, ast.GeneratorExp)) and _contains(ast.walk(each), node):
            pairs = [(part.target, part.iter) for part in each.generators]
        for target, value in pairs:
            if used & {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}:
                parts.append(value)
    calls = [n for part in parts for n in ast.walk(part) if isinstance(n, ast.Call)]
    methods = [call for call in calls if getattr(call.func, "attr", "") in _TEXT_METHODS]
    methods = [call for call in methods if not _fills_text(call.func)]
    if not methods:
        return _SAME
    replaced = [[literal(argument) for argument in call.args] for call in methods]
    return _HYPHENS if all(each == ["_", "-"] for each in replaced) else _UNKNOWN


def _fills_text(method: Any) -> bool:
    """Return whether a method fills or splits a literal text, which changes no name."""
    return method.attr in ("format", "split") and isinstance(literal(method.value), str)


def _own_nodes(scope: Any) -> Iterator[Any]:
    """Yield the nodes of a function or module that are not in a function of its own."""
    import ast

    pending = [scope]
    while pending:
        node = pending.pop()
        yield node
        children = ast.iter_child_nodes(node)
        pending += [each for each in children if not isinstance(each, ast.FunctionDef)]


def _contains(nodes: Iterable[Any], node: Any) -> bool:
    return any(each is node for each in nodes)
