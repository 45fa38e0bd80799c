"""Values reach a shell, a file and another program as they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from cloudtune.errors import UsageError
from cloudtune.reporting.assignment import format_assignment
from cloudtune.results.model import Trial
from cloudtune.study.arguments import script_arguments
from cloudtune.study.search_space import Value
from cloudtune.study.study import Study

SHELL = shutil.which("sh")
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
VALUES: st.SearchStrategy[Value] = st.one_of(
    WORDS,
    st.sampled_from(["no", "1e-5", "'; rm -rf /", "$(id)", "`id`", "a\nb", "-x", "~", "*"]),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)


def study(**trial: Any) -> Study:
    return Study.model_validate(
        {
            "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
            "constants": {"epochs": 3},
            "trial": {"script": "train.py", **trial},
        }
    )


def of(form: str, values: dict[str, Value], **trial: Any) -> str:
    return format_assignment(study(**trial), Trial("r-1", 1, "completed", values), form, "/nowhere")


@pytest.mark.skipif(SHELL is None, reason="there is no shell")
@settings(deadline=None, max_examples=25)  # each starts a shell
@given(word=WORDS)
def test_a_shell_gets_the_words_that_the_script_got(word: str) -> None:
    told = of("args", {"x": 0.5, "word": word})
    code = "import json, sys; sys.stdout.write(json.dumps(sys.argv[1:]))"
    called = f'exec "$0" -c "$1" {told}'
    done = subprocess.run(
        [str(SHELL), "-c", called, sys.executable, code], capture_output=True, check=True
    )
    wanted = script_arguments(study(), {"epochs": 3, "x": 0.5, "word": word}, "/nowhere")
    assert json.loads(done.stdout) == wanted
    assert word in wanted[-1]


@pytest.mark.skipif(SHELL is None, reason="there is no shell")
@settings(deadline=None, max_examples=25)  # each starts a shell
@given(word=WORDS)
def test_a_shell_reads_the_variables(word: str) -> None:
    told = of("env", {"word": word})
    code = "import json, os, sys; sys.stdout.write(json.dumps({**os.environ}))"
    done = subprocess.run(
        [str(SHELL), "-c", f'{told}\nexec "$0" -c "$1"', sys.executable, code],
        capture_output=True,
        check=True,
    )
    held = json.loads(done.stdout)
    assert [held["word"], held["epochs"]] == [word, "3"]


@given(values=st.dictionaries(st.text("xy.-_01noes", min_size=1), VALUES))
def test_yaml_of_both_versions_and_json_hold_the_same(values: dict[str, Value]) -> None:
    wanted = {"epochs": 3, **values}
    assert json.loads(of("json", values)) == wanted
    for version in ((1, 1), (1, 2)):
        reader: Any = YAML(typ="safe", pure=True)
        reader.version = version
        found = reader.load(of("yaml", values))
        assert found == wanted
        assert [type(value) for value in found.values()] == [*map(type, wanted.values())]


def test_values_that_a_form_cannot_express_are_an_error() -> None:
    with pytest.raises(UsageError, match=r"not valid as names of shell variables: 'optimizer\.lr'"):
        of("env", {"optimizer.lr": 0.1})
    with pytest.raises(UsageError, match="takes no arguments"):
        of("args", {"x": 0.5}, arguments="env")
    remote = {"args": ["--data={{inputs.train}}"], "inputs": {"train": "s3://bucket/train/"}}
    with pytest.raises(UsageError, match="an input that is not on this machine"):
        of("args", {"x": 0.5}, **remote)


def test_arguments_have_the_paths_of_inputs(tmp_path: Path) -> None:
    local = {"args": ["--data={{inputs.train}}"], "inputs": {"train": str(tmp_path)}}
    assert of("args", {"x": 0.5}, **local) == f"--data={tmp_path} --epochs 3 --x 0.5"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (["./throw", "{{x}}", "{{epochs}}"], "0.5 3"),
        (["python", "train.py", "--rate", "{{x}}"], "--rate 0.5 --epochs 3"),
        (["python", "train.py"], "--epochs 3 --x 0.5"),
    ],
)
def test_arguments_of_a_command_have_its_form(command: list[str], arguments: str) -> None:
    assert of("args", {"x": 0.5}, script=None, command=command) == arguments


@pytest.mark.parametrize(
    "name", ["PATH", "LD_PRELOAD", "PYTHONPATH", "BASH_ENV", "UID", "IFS", "CLOUDTUNE_HOME", "_"]
)
def test_variables_that_control_a_shell_are_an_error(name: str) -> None:
    with pytest.raises(UsageError, match=f"programs that it starts: {name};"):
        of("env", {"lr": 0.5, name: "x"})
    assert json.loads(of("json", {name: "x"}))[name] == "x"


@pytest.mark.parametrize("name", ["path", "lr", "PATHS", "SEED", "LDA", "python"])
def test_other_variables_are_exported(name: str) -> None:
    assert of("env", {name: "x"}).endswith(f"export {name}=x")


def test_invalid_variable_names_are_an_error() -> None:
    with pytest.raises(UsageError, match=r"'n\.trees'; use --as json, yaml, or args"):
        of("env", {"n.trees": 3})
