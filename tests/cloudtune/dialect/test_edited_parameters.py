"""Deleted, renamed and reordered parameters of an imported study leave no trace in an export."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.conversion.registry import all_formats
from cloudtune.errors import CloudtuneError
from cloudtune.study.loader import load
from cloudtune.study.yaml_reader import is_list, is_map
from tests.providers import TUNERS

TESTS = Path(__file__).parents[2]
FOLDERS = {
    **{path.name.replace("_", "-"): path for path in (TESTS / "cloudtune" / "formats").iterdir()},
    **{name: TESTS / f"cloudtune_{name}" / "native" for name in TUNERS},
}
FORMATS = sorted(name for name, each in all_formats().items() if each.dialect())
NEW = "renamed_parameter"
TAKEN = {"one", "q", "qrandint", "quniform"}
"""Names of parameters in the files that are also words of the tool, or of another thing."""


def studies(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the studies in the files of a format."""
    assert name in FOLDERS, f"no files in tests/cloudtune/formats/{name.replace('-', '_')}"
    for path in sorted(FOLDERS[name].rglob("*.[jy]*")):
        if path.suffix in {".json", ".yaml", ".yml"}:
            try:
                imported = importer.read(path, name)
            except CloudtuneError:
                continue
            for each in imported.studies:
                yield f"{path.name} {each.name}", each.data


def edited(data: dict[str, Any], old: str, new: str | None) -> dict[str, Any] | None:
    """Return a study with another name of a parameter, or without it; None if that is no study."""
    copied: dict[str, Any] = json.loads(json.dumps(data))
    parameters: dict[str, Any] = {}
    for name, variants in copied["parameters"].items():
        listed = variants if is_list(variants) else [variants]
        left: list[Any] = []
        for each in listed:
            when = each.get("when", {})
            if new is not None:
                renamed = {new if key == old else key: value for key, value in when.items()}
                left.append({**each, **({"when": renamed} if renamed else {})})
            elif old not in when:
                left.append(each)
        if left and (new is not None or name != old):
            parameters[str(new) if name == old else name] = left
    copied["parameters"] = parameters
    if "initial_trials" in copied:
        copied["initial_trials"] = [
            {new if key == old else key: each for key, each in trial.items() if new or key != old}
            for trial in copied["initial_trials"]
        ]
    return copied if parameters else None


def words(value: Any) -> Iterator[str]:
    """Yield the keys and the texts in a document."""
    if is_map(value):
        for key, each in value.items():
            yield key
            yield from words(each)
    elif is_list(value):
        for each in value:
            yield from words(each)
    elif isinstance(value, str):
        yield value


def written(data: dict[str, Any], name: str) -> Any:
    try:
        return exporter.write(load(data), name).document
    except CloudtuneError:
        return None


def others(data: dict[str, Any], old: str) -> set[str]:
    """Return the words of a study outside of a parameter, its conditions and what is kept."""
    rest = {key: each for key, each in data.items() if key not in {"parameters", "providers"}}
    values = [each for key, each in data["parameters"].items() if key != old]
    return {*words(rest), *words(values)}


@pytest.mark.parametrize("new", [None, NEW])
@pytest.mark.parametrize("name", FORMATS)
def test_no_trace_is_left_of_a_parameter(name: str, new: str | None) -> None:
    count = 0
    for file, data in studies(name):
        for old in data.get("parameters", {}):
            changed = edited(data, old, new)
            document = written(changed, name) if changed else None
            if document is None or old in others(data, old) | TAKEN:
                continue
            count += 1
            assert old not in set(words(document)), f"{file}: {old}"
    assert count


def canonical(value: Any) -> Any:
    """Return data with its lists of maps in an order that does not depend on their order."""
    if is_map(value):
        return {key: canonical(each) for key, each in sorted(value.items())}
    if is_list(value) and any(isinstance(each, dict) for each in value):
        return sorted(map(canonical, value), key=lambda each: json.dumps(each, sort_keys=True))
    return value


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_kept_of_a_parameter_stays_with_it(name: str, tmp_path: Path) -> None:
    for file, data in studies(name):
        if "parameters" not in data:
            continue
        whole = written(data, name)
        turned = {**data, "parameters": dict(reversed(data["parameters"].items()))}
        if whole is None:
            continue
        document = written(turned, name)
        assert document is not None, file
        assert canonical(document) == canonical(whole), file
