"""What commands print with ``--json`` has the shapes that docs/json.md describes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from cloudtune.cli.main_group import cloudtune
from scripts.json_shapes import COMMANDS, PAGE, json_page, schema
from tests.cloudtune.conftest import Cloudtune

STUDY = """\
objective: {metric: loss, goal: minimize}
parameters:
  lr: {type: float, min: 0.1, max: 1}
limits: {max_trials: 4}
strategy: {name: bayesian, seed: 1}
trial: {script: train.py}
"""
SCRIPT = """\
import os
from cloudtune.trial import output_dir, params, report
with open(os.path.join(output_dir(), "model"), "w") as file:
    file.write("a model")
noise = int(os.environ["CLOUDTUNE_SEED"]) % 7 / 100
report(step=1, loss=params()["lr"] + noise)
report(step=2, loss=params()["lr"] + noise)
"""
CALLS: tuple[tuple[str, int], ...] = (
    ("check study.yaml", 0),
    ("check wrong.yaml", 1),
    ("check missing.yaml", 2),
    ("check study.yaml --on vertex", 2),
    ("plan study.yaml", 0),
    ("plan study.yaml --files", 0),
    ("plan study.yaml --on sagemaker --emulate", 0),
    ("doctor study.yaml", 0),
    ("doctor study.yaml --on sagemaker --policy", 0),
    ("run study.yaml", 0),
    ("status", 0),
    ("results", 0),
    ("results --best", 0),
    ("explain", 0),
    ("explain 4", 0),
    ("report", 0),
    ("fetch --best -o best", 0),
    ("set limits.max_trials=5", 0),
    ("resume", 0),
    ("set limits.max_trials=6", 0),
    ('propose --params {"lr":0.5}', 0),
    ("confirm --top 2", 0),
    ("report", 0),
    ("import katib.yaml", 0),
    ("providers", 0),
    ("run study.yaml --detach", 0),
    ("clean --yes", 0),
)
"""Commands in this order, with their exit codes."""
OTHERS = {
    "attach": "needs a service",
    "emulate": "runs until Ctrl-C",
}
"""Commands that run elsewhere; attach prints what run prints."""


def test_the_page_is_made_from_the_classes() -> None:
    assert PAGE.read_text("utf-8") == json_page(), "run python -m scripts.json_shapes"


def test_each_command_with_json_has_a_shape() -> None:
    context = click.Context(cloudtune)
    commands = {
        name: cloudtune.get_command(context, name) for name in cloudtune.list_commands(context)
    }
    given = {
        name
        for name, command in commands.items()
        if command and any("--json" in each.opts for each in command.params)
    }
    assert given == set(COMMANDS)
    assert given == {call.split()[0] for call, _ in CALLS} | set(OTHERS)


@pytest.mark.slow
def test_each_command_prints_its_shape(typed: Cloudtune, tmp_path: Path) -> None:
    jsonschema: Any = pytest.importorskip("jsonschema")
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    (tmp_path / "study.yaml").write_text(STUDY, "utf-8")
    (tmp_path / "wrong.yaml").write_text(STUDY.replace("max:", "most:"), "utf-8")
    (tmp_path / "missing.yaml").write_text(STUDY.replace("train.py", "no.py"), "utf-8")
    typed("export", "study.yaml", "--to", "katib", "-o", "katib.yaml")
    for call, code in CALLS:
        command, *words = call.split()
        printed = json.loads(typed(command, *words, "--json", code=code).stdout)
        validators = [jsonschema.Draft202012Validator(schema(each)) for each in COMMANDS[command]]
        errors = [
            [f"{e.json_path}: {e.message}" for e in v.iter_errors(printed)] for v in validators
        ]
        assert [] in errors, (call, errors)
