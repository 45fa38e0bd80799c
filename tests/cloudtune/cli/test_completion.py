"""What Tab offers, through the protocol by which shells ask."""

from __future__ import annotations

import os
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.cli import completion
from cloudtune.provider import registry
from cloudtune.study import schema
from cloudtune.study.fields import StudyFields

STUDY = """\
parameters:
  lr: {type: float, min: 1e-4, max: 0.1, scale: log}
  size: [{type: int, min: 1, max: 2, when: {mode: a}}, {type: int, min: 3, max: 4, when: {mode: b}}]
  mode: {type: categorical, values: [a, b]}
constants: {epochs: 3}
"""


def ask(words: str, folder: Path) -> list[str]:
    """Return what the shell offers for the last of these words, which may be empty."""
    code = "import sys; from cloudtune.cli import main; main()"
    env = {
        **{name: value for name, value in os.environ.items() if name != "CLOUDTUNE_HOME"},
        "_CLOUDTUNE_COMPLETE": "zsh_complete",
        "COMP_WORDS": f"cloudtune {words}",
        "COMP_CWORD": str(len(words.split(" "))),
    }
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert loaded & {"pydantic", "sqlite3", "optuna", "numpy", "rich"} == set()
    return done.stdout.splitlines()[1::3]  # type, value, help


def test_runs_come_the_last_used_first(tmp_path: Path) -> None:
    assert ask("status ", tmp_path) == []
    assert not (tmp_path / ".cloudtune").exists()
    for number, name in enumerate(["k7f2", "a1b2", "k9x3"]):
        folder = tmp_path / ".cloudtune" / "runs" / name
        folder.mkdir(parents=True)
        os.utime(folder, (number, number))
    assert ask("status ", tmp_path) == ["k9x3", "a1b2", "k7f2"]
    assert ask("report a1b2 k", tmp_path) == ["k9x3", "k7f2"]


def test_providers_and_templates(tmp_path: Path) -> None:
    assert ask("run study.yaml --on ", tmp_path) == registry.names()
    assert "quickstart" in ask("init --template qui", tmp_path)


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, "utf-8")
    assert ask("run study.yaml --set limits.max_t", tmp_path) == ["limits.max_trials="]
    assert ask("resume --set limits.max_t", tmp_path) == ["limits.max_trials="]
    assert ask("resume --set strat", tmp_path) == []
    assert ask("run study.yaml --set parameters.mo", tmp_path) == [
        "parameters.mode.values=",
        "parameters.mode.when=",
    ]
    assert ask("run study.yaml --set parameters.lr.", tmp_path) == [
        f"parameters.lr.{key}=" for key in ("min", "max", "scale", "step", "when")
    ]
    assert ask("plan study.yaml --set parameters.size.1.m", tmp_path) == [
        "parameters.size.1.min=",
        "parameters.size.1.max=",
    ]
    assert ask("check study.yaml --set constants.", tmp_path) == ["constants.epochs="]
    for broken in ("[", "a: [b\n", "parameters: {x: 1}\nconstants: 3\n"):
        (tmp_path / "study.yaml").write_text(broken, "utf-8")
        assert ask("run study.yaml --set parameters.", tmp_path) == []


def test_the_paths_are_those_of_the_schema() -> None:
    offered = {
        f"{block}.{name}".lstrip(".")
        for block, names in completion.SET_PATHS.items()
        for name in names.split()
    }
    assert offered == {*_fields(StudyFields)} - {"version", "parameters", "constants", "providers"}
    parameters: Any = typing.get_args(typing.get_args(schema.Parameter)[0])
    assert completion.PARAMETER_KEYS.keys() == {
        typing.get_args(each.model_fields["type"].annotation)[0] for each in parameters
    }
    for each in parameters:
        (kind,) = typing.get_args(each.model_fields["type"].annotation)
        keys = each.model_fields.keys() - {"type"}
        assert {*completion.PARAMETER_KEYS[kind].split()} == keys


def _fields(model: type[schema.Model], prefix: str = "") -> Iterator[str]:
    named = (schema.FromEnvironment, schema.Input, *_parameter_models())
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner = [each for each in _models(field.annotation) if each not in named]
        if not inner:
            yield path
        for each in inner:
            yield from _fields(each, f"{path}.")


def _parameter_models() -> list[Any]:
    return list(typing.get_args(typing.get_args(schema.Parameter)[0]))


def _models(annotation: Any) -> Iterator[type[schema.Model]]:
    if isinstance(annotation, type) and issubclass(annotation, schema.Model):
        yield annotation
    for each in typing.get_args(annotation):
        yield from _models(each)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_get_their_script(shell: str) -> None:
    env = {**os.environ, "_CLOUDTUNE_COMPLETE": f"{shell}_source"}
    code = "from cloudtune.cli import main; main()"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert f"_CLOUDTUNE_COMPLETE={shell}_complete" in done.stdout
