"""The defaults of a script's parameters, read from its code without running it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cloudtune.launcher.python_code import call_keywords, literal, name_of, parse, to_dest
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
        code = read_regular(folder / name, _MAX_BYTES)
        function = _function_defaults(folder, trial.module) if trial.module else {}
    except (OSError, ValueError, RecursionError, MemoryError):
        return {}
    constants = [*function.items()] or _constants(parse(code))
    by_name = {to_dest(name): value for name, value in constants if value is not None}
    defaults = _default_maps(study, by_name)
    for node in list_nodes(study):
        value = by_name.get(to_dest(node.name))
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
        whole = by_name.get(to_dest(name))
        known = whole if is_map(whole) else {}
        for text, parts in sorted(maps.items(), key=lambda each: -len(each[1])):
            options = {key: by_name.get(to_dest(part_name(name, key))) for key in parts}
            if _is_same_map(parts, known) or _is_same_map(parts, options):
                defaults.setdefault(name, text)
    return defaults


def _is_same_map(parts: Mapping[str, Value], other: Mapping[str, Any]) -> bool:
    return parts.keys() == other.keys() and all(
        is_same_value(v, other[k]) for k, v in parts.items()
    )


def _constants(tree: ast.AST) -> Iterator[tuple[str, Any]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node.func) in _OPTION_CALLS:
            yield from _option(node)
        elif isinstance(node, ast.Dict) and any(
            key is None and isinstance(value, ast.Call) and name_of(value.func) == "params"
            for key, value in zip(node.keys, node.values, strict=True)
        ):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(name := literal(key), str):
                    yield name, literal(value)


def _option(call: ast.Call) -> Iterator[tuple[str, Any]]:
    keywords = call_keywords(call)
    action, default = literal(keywords.get("action")), literal(keywords.get("default"))
    if action in ("store_true", "store_false"):
        default = action == "store_false"
    for word in map(literal, call.args):
        if isinstance(word, str) and word.startswith("-"):
            yield word, default
