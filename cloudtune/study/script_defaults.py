"""The defaults of a script's parameters, read from its code without running it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cloudtune.launcher.values import part_name
from cloudtune.study.regular_files import read_regular
from cloudtune.study.schema import FloatParameter
from cloudtune.study.search_space import Value, is_same_value, list_nodes, match_value
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_map

_OPTION_CALLS = {"add_argument", "option", "Option"}
"""Those of argparse, click, and typer."""
_MAX_BYTES = 1_000_000


def script_defaults(study: Study, folder: Path) -> dict[str, Value]:
    """Return the defaults of a study's parameters in the script in a folder, where they are clear.

    Clear are constants in ``add_argument("--lr", default=0.1)``, in the options of click and typer,
    and in ``{"lr": 0.1, **params()}``, and those of the arguments of a function that is tuned. A
    default outside the search space is kept.
    """
    trial = study.trial
    name = trial.script or (trial.module and trial.module.replace(".", "/") + ".py")
    if not name:
        return {}
    try:
        tree = ast.parse(read_regular(folder / name, _MAX_BYTES))
        function = _function_defaults(folder, trial.module) if trial.module else {}
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return {}
    constants = function or dict(_constants(tree))
    by_name = {_normalize(name): value for name, value in constants.items()}
    defaults = _default_maps(study, by_name)
    for node in list_nodes(study):
        value = by_name.get(_normalize(node.name))
        if isinstance(value, bool | int | float | str):
            known = match_value(node.parameter, value)
            if known is None and isinstance(node.parameter, FloatParameter):
                known = float(value) if isinstance(value, int | float) else None
            defaults.setdefault(node.name, value if known is None else known)
    return {name: defaults[name] for name in study.parameters if name in defaults}


def _function_defaults(folder: Path, module: str) -> dict[str, Any]:
    """Return the defaults of a function that was packed as a module, from the file next to it."""
    file = folder / f"{module}.json"
    data: object = json.loads(read_regular(file, _MAX_BYTES)) if file.is_file() else None
    defaults = data.get("defaults") if is_map(data) else None
    return dict(defaults) if is_map(defaults) else {}


def _default_maps(study: Study, by_name: Mapping[str, Any]) -> dict[str, Value]:
    """Return the map that is a default, or the largest one whose parts all are defaults."""
    defaults: dict[str, Value] = {}
    for name, maps in study.maps.items():
        whole = by_name.get(_normalize(name))
        known = whole if is_map(whole) else {}
        for text, parts in sorted(maps.items(), key=lambda each: -len(each[1])):
            options = {key: by_name.get(_normalize(part_name(name, key))) for key in parts}
            if _is_same_map(parts, known) or _is_same_map(parts, options):
                defaults.setdefault(name, text)
    return defaults


def _is_same_map(parts: Mapping[str, Value], other: Mapping[str, Any]) -> bool:
    return parts.keys() == other.keys() and all(
        is_same_value(v, other[k]) for k, v in parts.items()
    )


def _normalize(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def _constants(tree: ast.AST) -> Iterator[tuple[str, Any]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in _OPTION_CALLS:
            yield from _option(node)
        elif isinstance(node, ast.Dict) and any(
            key is None and isinstance(value, ast.Call) and _called(value) == "params"
            for key, value in zip(node.keys, node.values, strict=True)
        ):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield from _constant(key.value, value)


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _option(call: ast.Call) -> Iterator[tuple[str, Any]]:
    words = [each.value for each in call.args if isinstance(each, ast.Constant)]
    names = [word for word in words if isinstance(word, str) and word.startswith("-")]
    keywords = {each.arg: each.value for each in call.keywords}
    action = keywords.get("action")
    if isinstance(action, ast.Constant) and action.value in {"store_true", "store_false"}:
        default: ast.expr = ast.Constant(action.value == "store_false")
    elif "default" in keywords:
        default = keywords["default"]
    else:
        return
    for name in names:
        yield from _constant(name, default)


def _constant(name: str, expression: ast.expr) -> Iterator[tuple[str, Any]]:
    try:
        yield name, ast.literal_eval(expression)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return
