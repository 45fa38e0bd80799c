"""Documents of other tools with parts of a wrong type: refused in words, never with a traceback."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cloudtune.conversion import importer
from cloudtune.errors import CloudtuneError
from cloudtune.study.yaml_reader import is_list, is_map

FOLDER = Path(__file__).parent
DOCUMENTS = sorted(
    path
    for path in FOLDER.rglob("*")
    if path.suffix in {".json", ".yaml", ".yml"} and path.stat().st_size < 40_000
)
PARTS: tuple[Any, ...] = (
    *(None, True, -1, 1e308, math.nan, 10**400, 2**63, "", "x" * 5000, "nan", "\0", "\ud800"),
    *([], {}, [[]], {"": None}, [1, "a", None], {"min": 5, "max": 1}),
)


def paths(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each part of a document."""
    yield path
    entries = part.items() if is_map(part) else enumerate(part if is_list(part) else ())
    for key, inner in entries:
        yield from paths(inner, (*path, key))


def damaged(document: Any, chance: random.Random) -> Any:
    """Return a document with another part in place of one."""
    document = copy.deepcopy(document)
    *path, last = chance.choice([each for each in paths(document) if each])
    parent = document
    for key in path:
        parent = parent[key]
    parent[last] = copy.deepcopy(chance.choice(PARTS))
    return document


@pytest.mark.parametrize("kind", sorted({path.parent.name for path in DOCUMENTS}))
def test_a_part_of_a_wrong_type_is_a_mistake_in_the_file(kind: str, tmp_path: Path) -> None:
    chance, file = random.Random(kind), tmp_path / "damaged.json"
    for path in [each for each in DOCUMENTS if each.parent.name == kind][:12]:
        reader: Any = YAML(typ="safe", pure=True)
        first = next(iter(reader.load_all(path.read_text("utf-8"))))
        for _ in range(6):
            file.write_text(json.dumps(damaged(first, chance)))
            try:
                importer.read(file)
            except CloudtuneError:
                continue


NO_TEXT: list[Any] = [
    {"hyperparameters": [{"name": "x", "type": {}}]},
    {"x": {"name": [], "attributes": {}}},
]


@pytest.mark.parametrize("document", NO_TEXT)
def test_a_type_that_is_no_text_is_no_format(document: Any, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(document))
    with pytest.raises(CloudtuneError):
        importer.read(tmp_path / "x.json")
