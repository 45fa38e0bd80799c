"""Parameters that a script would ignore, or read as another one, without an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.planning.planner import plan
from cloudtune.study.study import Study

KNOWN = "a, _ = p.parse_known_args()"
SKIPPED = (
    "no option --n_layers is found in the code, and parse_known_args (train.py, line 3) skips "
    "options that the parser does not have: `cloudtune doctor` shows whether it has an effect"
)
SHORTENED = (
    "the script has no option --n_layers, and argparse reads it as --n_layers_max: "
    "give the parameter the name of its option"
)


def warnings(
    folder: Path, options: str, parse: str, trial: dict[str, object] | None = None
) -> dict[str, str]:
    (folder / "train.py").write_text(f"import argparse, names\n{options}\n{parse}\n")
    (folder / "names.py").write_text("class C:\n  n_layers: int = 3\ndef add(q): ...\n")
    fields = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"n_layers": {"type": "int", "min": 1, "max": 3}},
        "constants": {"lr": 0.5},
        "limits": {"max_trials": 2},
        "trial": {"script": "train.py", **(trial or {})},
    }
    notes = plan(Study.model_validate(fields), "local", base=folder).notes
    texts = (SKIPPED[-20:], SHORTENED[-20:])
    return {note.path: note.text for note in notes if note.text.endswith(texts)}


@pytest.mark.parametrize(
    ("options", "parse", "message"),
    [
        ("p.add_argument('--layers')", KNOWN, SKIPPED),
        ("p.add_argument('--layers')", "a = p.parse_known_args()[0]", SKIPPED),
        ("p.add_argument('--layers')", "a, other = p.parse_known_args(); print(other)", SKIPPED),
        ("p.add_argument('--layers')", "a = p.parse_args()", ""),  # it reports the option
        ("p.add_argument('--layers')", "a, rest = p.parse_known_args(); q.parse_args(rest)", ""),
        ("[p.add_argument('--' + n.lower().replace('_', '-')) for n in D]", KNOWN, SKIPPED),
        ("[p.add_argument('--' + n) for n in D]", KNOWN, ""),
        ("[p.add_argument('--' + n.replace('_', '-')) for n in D]", KNOWN, ""),
        ("p.add_argument('--n-layers')", KNOWN, ""),
        ("p.add_argument('-l', dest='n_layers')", KNOWN, ""),
        ("import simple_parsing; p.add_arguments(names.C, 'c')", KNOWN, ""),
        ("n = int(sys.argv[sys.argv.index('--n_layers') + 1])", KNOWN, ""),
        ("flags.DEFINE_integer('n_layers', 2, '')", KNOWN, ""),
        ("p.add_argument('--n_layers_max')", "a = p.parse_args()", SHORTENED),
        ("p.add_argument('--n_layers_max')", KNOWN, SHORTENED),
        ("p.add_argument('--n_layers_max'); p.add_argument('--n_layers')", KNOWN, ""),
        ("[p.add_argument('--{}'.format(n)) for n in D]", KNOWN, ""),
        ("[p.add_argument(n) for n in '--n_layers --x'.split()]", KNOWN, ""),
        ("a, _ = p.parse_known_args(); add(load(a.config))", "a = p.parse_args()", ""),
        ("p.add_argument('--n_layers_max'); [p.add_argument('--' + n) for n in load()]", KNOWN, ""),
        ("p = argparse.ArgumentParser(); lib.add_options(p)", KNOWN, ""),
        ("p = argparse.ArgumentParser(); names.add(p); print(p)", KNOWN, SKIPPED),
        ("import simple_parsing; p.add_arguments(C, 'c')", KNOWN, ""),
        ("import tyro; p.add_argument('--n_layers_max')", KNOWN, ""),
        ("P(allow_abbrev=False); p.add_argument('--n_layers_max')", KNOWN, SKIPPED),
    ],
)
def test_an_ignored_option_is_in_the_plan(
    tmp_path: Path, options: str, parse: str, message: str
) -> None:
    options += "; p.add_argument('--lr')"
    expected = {"parameters.n_layers": message} if message else {}
    assert warnings(tmp_path, options, parse) == expected


@pytest.mark.parametrize(
    ("option", "parameter", "is_set"),
    [
        ("p.add_argument('--amp', action='store_true')", {"type": "int", "min": 0, "max": 1}, True),
        ("flags.DEFINE_bool('amp', False, '')", {"values": ["true", "false"]}, True),
        ("flags.DEFINE_bool('amp', False, '')", {"values": [True, False]}, False),
        ("p.add_argument('--amp', action='store_true')", {"type": "bool"}, False),
        ("p.add_argument('--amp', type=bool)", {"values": [0, 1]}, True),
        ("p.add_argument('--amp', type=int)", {"values": [0, 1]}, False),
    ],
)
def test_a_value_of_a_switch_is_in_the_plan(
    tmp_path: Path, option: str, parameter: dict[str, object], is_set: bool
) -> None:
    (tmp_path / "train.py").write_text(f"{option}\n{KNOWN}")
    fields: dict[str, object] = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"amp": {"type": "categorical", **parameter}},
        "limits": {"max_trials": 2},
        "trial": {"script": "train.py"},
    }
    expected = "--amp is a boolean in the code, and each value of amp sets it: use type: bool"
    notes = plan(Study.model_validate(fields), "local", base=tmp_path).notes
    found = [note.text for note in notes if note.path == "parameters.amp"]
    assert found == [expected] * is_set
    fields["trial"] = {"script": "train.py", "arguments": "equals"}
    notes = plan(Study.model_validate(fields), "local", base=tmp_path).notes
    found = [note.text for note in notes if note.path == "parameters.amp"]
    assert found == [expected] * (is_set and "type=bool" in option)


def test_constants_and_other_ways_to_pass_values(tmp_path: Path) -> None:
    options = "p.add_argument('--layers')"
    assert [*warnings(tmp_path, options, KNOWN)] == ["constants.lr", "parameters.n_layers"]
    assert [*warnings(tmp_path, options, KNOWN, {"args": ["--layers={{n_layers}}"]})] == [
        "constants.lr"
    ]
    for style in ("env", "json", "assign"):
        assert warnings(tmp_path, options, KNOWN, {"arguments": style}) == {}
