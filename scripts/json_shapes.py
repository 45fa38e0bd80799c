"""The page docs/json.md: the shape of what each command prints with ``--json``.

Shapes of results, reports and checks are those of their dataclasses, the others of `json_rows`.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter

from cloudtune.cli.exit_codes import MEANINGS
from cloudtune.comparison.comparison import Comparison
from cloudtune.comparison.explanation import Explanation, TrialExplanation
from cloudtune.confirmation.analysis import ConfirmationResult
from cloudtune.diagnostics import Check
from cloudtune.results.model import StudyResult
from cloudtune.study.schema import Json
from cloudtune.study.study import Study
from scripts import json_rows as rows

PAGE = Path(__file__).parents[1] / "docs" / "json.md"
COMMANDS: Mapping[str, tuple[Any, ...]] = {
    "run": (list[StudyResult], rows.Started),
    "resume": (list[StudyResult], rows.Started),
    "attach": (list[StudyResult], rows.Started),
    "results": (list[StudyResult],),
    "report": (Comparison,),
    "confirm": (list[ConfirmationResult], rows.Started),
    "explain": (Explanation, TrialExplanation),
    "status": (list[rows.StatusRow],),
    "propose": (rows.Proposed,),
    "set": (rows.ChangedLimits,),
    "fetch": (rows.FetchedFiles,),
    "check": (list[rows.CheckRow], list[rows.PlanRow]),
    "plan": (list[rows.PlanRow],),
    "doctor": (list[Check], list[rows.PolicyRow]),
    "import": (rows.ImportedFile,),
    "providers": (list[rows.ProviderRow],),
    "emulate": (dict[str, str],),
    "clean": (list[str],),
}
"""The shapes of each command with ``--json``; one of several."""

_HEAD = """# Exit codes and JSON

```sh
cloudtune results --json | jq '.[0].trials[] | {number, state, metrics}'
```

With `--json`, a command prints one JSON text to its output, and messages to its error output.
`python -m scripts.json_shapes` writes this page from the classes in the code. `cloudtune schema`
prints the JSON Schema of the study file.

A field whose value is unknown is null or missing; `explain` also leaves out what is empty. Numbers
that are not finite are the texts `NaN`, `Infinity` and `-Infinity`. Times are seconds since the
epoch. A change of the shape changes the text in `format`, where there is one; a new field does not.
"""
_SHORT = (Explanation, TrialExplanation)
"""What leaves out also what is empty."""
_PLAIN = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
}


def schema(shape: Any) -> Json:
    """Return the JSON Schema of a shape, in which what is unknown may be missing."""
    found: Json = TypeAdapter(shape).json_schema(mode="serialization")
    definitions: Json = found.pop("$defs", {})
    if "Study" in definitions:
        definitions["Study"] = {"type": "object"}
    for each in [found, *definitions.values()]:
        if "properties" in each:
            each["additionalProperties"] = False
            known = [name for name in each.get("required", ()) if not _may_be_null(each, name)]
            each["required"] = [] if shape in _SHORT else known
    used = dict[str, Json]()
    _collect(found, definitions, used)
    return {**found, "$defs": used}


def json_page() -> str:
    """Return the content of the page."""
    commands = ["| command | prints |", "|---|---|"]
    types = dict[str, Json]()
    for command, shapes in COMMANDS.items():
        printed: list[str] = []
        for shape in shapes:
            found = schema(shape)
            definitions = found.pop("$defs")
            if "properties" in found:
                definitions = {found["title"]: found, **definitions}
            types |= {name: each for name, each in definitions.items() if name not in types}
            printed.append(
                f"[{found['title']}](#{found['title'].lower()})"
                if "title" in found
                else _words(found)
            )
        commands.append(f"| `cloudtune {command}` | {', or '.join(printed)} |")
    codes = [f"| {code} | {meaning} |" for code, meaning in MEANINGS.items()]
    parts = [
        _HEAD,
        "## Exit codes\n\n| code | meaning |\n|---|---|",
        *codes,
        "\n## Commands\n",
        *commands,
        "",
    ]
    return "\n".join([*parts, *_types(types)])


def _types(types: Mapping[str, Json]) -> Iterator[str]:
    classes = {
        each.__name__: each
        for shapes in COMMANDS.values()
        for shape in shapes
        for each in _classes(shape)
    }
    for name, found in types.items():
        described = classes[name]
        yield f"## {name}\n\n{_plain((described.__doc__ or '').split(chr(10) * 2)[0])}\n"
        if name == "Study":
            yield "The keys are those of [the study file](study.md).\n"
            continue
        yield "| field | type | meaning |\n|---|---|---|"
        docs = _field_docs(described)
        for field, value in found["properties"].items():
            yield f"| `{field}` | {_words(value)} | {_plain(docs.get(field, ''))} |"
        yield ""


def _may_be_null(found: Json, name: str) -> bool:
    value = found["properties"][name]
    return value == {} or any(each == {"type": "null"} for each in value.get("anyOf", ()))


def _collect(value: Any, definitions: Json, used: dict[str, Json]) -> None:
    """Add the definitions to which a schema refers, also indirectly."""
    for name in re.findall(r"'#/\$defs/(\w+)'", str(value)):
        if name not in used:
            used[name] = definitions[name]
            _collect(used[name], definitions, used)


def _words(value: Json) -> str:
    """Return a JSON Schema in words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(map(_words, value["anyOf"])))
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "prefixItems" in value:
        return f"list of {', '.join(map(_words, value['prefixItems']))}"
    kind = value.get("type", "")
    if kind == "array":
        return f"list of {_words(value['items'])}" if value.get("items") else "list"
    if kind == "object":
        item = value.get("additionalProperties")
        return f"map of {_words(item)}" if item and item is not True else "map"
    return _PLAIN.get(kind, "any")


def _classes(shape: Any) -> Iterator[type]:
    """Yield the classes of a shape, also those of fields."""
    seen: set[Any] = {Study}
    pending: list[Any] = [shape]
    yield Study
    while pending:
        each = pending.pop()
        pending += get_args(each)
        if isinstance(each, type) and dataclasses.is_dataclass(each) and each not in seen:
            seen.add(each)
            yield each
            pending += get_type_hints(each, include_extras=True).values()


def _field_docs(described: type) -> dict[str, str]:
    """Return the text below each field of a class."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(described))).body
    assert isinstance(tree, ast.ClassDef)
    docs = dict[str, str]()
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                alias = re.search(r"serialization_alias='([^']+)'", ast.unparse(field))
                docs[alias[1] if alias else name] = text
            case _:
                pass
    return docs


def _plain(text: str) -> str:
    text = re.sub(r"\bNone\b", "null", text)
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(json_page(), "utf-8")
