from __future__ import annotations

import argparse
import ast
import doctest
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune import trial
from cloudtune.bundle.launcher import PROGRAM, launcher_program
from cloudtune.launcher import CONTRACT_FILE, STUDY_FILE
from cloudtune.launcher.call import command_line, environment
from cloudtune.launcher.expressions import with_reader
from cloudtune.launcher.numbers import parse_number
from cloudtune.launcher.options import option_words
from cloudtune.launcher.restore import restore_values
from cloudtune.launcher.switches import switch_words
from cloudtune.launcher.values import format_value
from cloudtune.study import search_space
from cloudtune.study.fields import StudyFields
from cloudtune.study.schema import TrialSpec
from cloudtune.study.validation import find_problems

FILE = Path(trial.__file__)
SHIPPED = [
    FILE,
    FILE.with_name("callbacks.py"),
    *sorted(FILE.parent.glob("launcher/*.py")),
    *sorted(FILE.parents[1].glob("providers/*/launcher_contract.py")),
]
"""The files that travel with a user's code."""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Make this process one that cloudtune started."""
    told = {
        "trial": "run-7",
        "parameters": {"C": 0.1, "n.trees": 3, "kernel": "007"},
        "constants": {"epochs": 20, "C": 5},
        "inputs": {"train": "/data/train"},
        "reports": str(tmp_path / "reports.jsonl"),
        "doorbell": str(tmp_path / "nobody-listens"),
        "checkpoint": str(tmp_path / "checkpoint"),
        "output": str(tmp_path / "deep" / "output"),
    }
    (tmp_path / "trial.json").write_text(json.dumps(told))
    monkeypatch.setenv("CLOUDTUNE_TRIAL", str(tmp_path / "trial.json"))
    return told


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CLOUDTUNE_TRIAL", raising=False)
    monkeypatch.chdir(tmp_path)


def lines(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(told["reports"]).read_text().splitlines()]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_files_need_only_python_3_7(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 7))
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            is_shipped = name.startswith(("cloudtune.trial", "cloudtune.launcher"))
            assert is_shipped or name.partition(".")[0] in sys.stdlib_module_names


def test_examples(told: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told |= {"trial": "digits-7", "parameters": {"kernel": "rbf", "C": 0.1}}
    told["constants"] = {"epochs": 20}
    (tmp_path / "examples.json").write_text(json.dumps(told))
    monkeypatch.setenv("CLOUDTUNE_TRIAL", str(tmp_path / "examples.json"))
    handler = signal.getsignal(signal.SIGTERM)
    try:
        failed, tried = doctest.testmod(trial)
    finally:
        signal.signal(signal.SIGTERM, handler)
        monkeypatch.setattr(trial, "_handler_installed", [])
    assert (failed, tried > 8) == (0, True)
    assert [line["metrics"] for line in lines(told)][-1] == {"validation:auc": 0.9}
    assert [path.name for path in Path(told["output"]).iterdir()] == ["model.json"]


def test_its_import_brings_little() -> None:
    code = (
        "import os, sys, json; before = set(sys.modules); import trial\n"
        "print(*(set(sys.modules) - before))"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=FILE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(found.stdout.split()) <= {"trial", "__future__"}, found.stderr


def test_params_are_constants_and_parameters(told: dict[str, Any]) -> None:
    assert trial.params() == {"epochs": 20, "C": 0.1, "n.trees": 3, "kernel": "007"}
    assert type(trial.params()["n.trees"]) is int


def test_paths_and_id(told: dict[str, Any]) -> None:
    assert trial.inputs() == {"train": "/data/train"}
    assert trial.trial_id() == "run-7"
    assert trial.checkpoint_dir() == told["checkpoint"]
    assert trial.output_dir() == told["output"]
    assert Path(told["checkpoint"]).is_dir()
    assert Path(told["output"]).is_dir()


def test_without_cloudtune(alone: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trial.params() == {}
    assert trial.inputs() == {}
    assert trial.trial_id() == ""
    assert trial.output_dir() == str(tmp_path / "output")
    trial.report({"val:auc": 0.5}, loss=2, step=3)
    trial.report(some_new_metric=1)
    trial.report(some_new_metric=float("nan"))
    assert capsys.readouterr().out.splitlines() == [
        "step 3: val:auc=0.5 loss=2.0",
        "step 1: some_new_metric=1.0",
        "step 2: some_new_metric=nan",
    ]


def test_report(told: dict[str, Any]) -> None:
    trial.report(accuracy=0.93, step=3)
    trial.report({"validation:auc": np.float32(0.5)}, np.int64(4), n=np.int32(2))
    trial.report(a=float("nan"), b=float("-inf"), c=True)
    first, second, third = lines(told)
    assert (first["metrics"], first["step"]) == ({"accuracy": 0.93}, 3)
    assert (second["metrics"], second["step"]) == ({"validation:auc": 0.5, "n": 2.0}, 4)
    assert "step" not in third
    assert str(third["metrics"]) == "{'a': nan, 'b': -inf, 'c': 1.0}"
    assert abs(first["time"] - time.time()) < 100


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ({"metrics": {"a": "0.5"}}, TypeError),
        ({"metrics": {"a": None}}, TypeError),
        ({"metrics": {"a": [1, 2]}}, TypeError),
        ({"metrics": {"a": 10**400}}, TypeError),
        ({"metrics": {1: 1}}, TypeError),
        ({"metrics": {"": 1}}, TypeError),
        ({"metrics": {"a": 1}, "step": 1.5}, TypeError),
        ({"metrics": {"a": 1}, "step": "1"}, TypeError),
        ({"metrics": {"a": 1}, "step": 2**63}, TypeError),
        ({}, ValueError),
        ({"metrics": {"a" * 70_000: 1}}, ValueError),
    ],
)
def test_report_refuses_invalid_metrics(
    told: dict[str, Any], call: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        trial.report(**call)
    assert not Path(told["reports"]).exists()


def test_reports_survive_a_killed_script(told: dict[str, Any]) -> None:
    code = (
        "import os, signal; from cloudtune.trial import report\n"
        "for n in range(100): report(a=n)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [line["metrics"]["a"] for line in lines(told)] == list(range(100))


def test_processes_can_report_concurrently(told: dict[str, Any]) -> None:
    code = (
        "import sys; from cloudtune.trial import report\n"
        "for n in range(300): report({sys.argv[1] * 500: n})"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "abc"]
    assert [process.wait() for process in running] == [0, 0, 0]
    found = lines(told)
    assert len(found) == 900
    for name in "abc":
        mine = [line["metrics"][name * 500] for line in found if name * 500 in line["metrics"]]
        assert mine == list(range(300))


def test_should_stop(told: dict[str, Any]) -> None:
    code = """
        import os, signal, threading
        from cloudtune.trial import should_stop
        before = []
        signal.signal(signal.SIGTERM, lambda *_: before.append(1))
        other = threading.Thread(target=lambda: print(should_stop())); other.start(); other.join()
        print(should_stop())
        os.kill(os.getpid(), signal.SIGTERM)
        print(should_stop(), before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["False", "False", "True [1]"]


# How a script is called.

TAIL = ["--shrink", "True", "--kernel", "a b;$(x)"]
VALUES: dict[str, search_space.Value] = {
    "epochs": 20,
    "lr": -1e-05,
    "n.trees": 3,
    "shrink": True,
    "kernel": "a b;$(x)",
}


@pytest.mark.parametrize(
    ("style", "words"),
    [
        (
            "flags",
            ["--epochs", "20", "--lr=-1e-05", "--n.trees", "3", *TAIL],
        ),
        (
            "equals",
            ["--epochs=20", "--lr=-1e-05", "--n.trees=3", "--shrink=True", "--kernel=a b;$(x)"],
        ),
        ("assign", ["epochs=20", "lr=-1e-05", "n.trees=3", "shrink=True", "kernel=a b;$(x)"]),
        ("none", []),
        ("env", []),
    ],
)
def test_styles(style: str, words: list[str]) -> None:
    call = {"script": "t.py", "args": ["-v"], "arguments": style}
    assert command_line(call, VALUES, {}, "py") == ["py", "t.py", "-v", *words]


@pytest.mark.parametrize(
    ("reader", "style", "words"),
    [
        (
            "import hydra",
            "assign",
            {
                "adam": "adam",
                "1": "'1'",
                "1e3": "'1e3'",
                "True": "'True'",
                "": "''",
                "a=b #x": "'a=b #x'",
                "it's": r"'it\'s'",
                "a\\b\\": r"'a\b\\'",
                "7b": "'7b'",
                "null": "null",
                "[1,2]": "[1,2]",
                "{a: 1}": "{a: 1}",
                '"1"': '"1"',
                "'": r"'\''",
                "'a' b": r"'\'a\' b'",
                "[a": "'[a'",
                "p_${n}": "'p_${n}'",
            },
        ),
        (
            "from fire import Fire",
            "equals",
            {
                "adam": "adam",
                "1": '"1"',
                "1e3": '"1e3"',
                "True": '"True"',
                "-5": '"-5"',
                "it's": "it's",
                "a=b": "a=b",
                "null": "null",
                "None": "None",
                "[1]": "[1]",
            },
        ),
        ("import argparse", "assign", {"1": "1", "null": "null", "it's": "it's"}),
    ],
)
def test_texts_for_a_script_that_reads_expressions(
    tmp_path: Path, reader: str, style: str, words: dict[str, str]
) -> None:
    (tmp_path / "train.py").write_text(f"import os\n{reader}\n")
    call = with_reader({"script": "train.py", "arguments": style}, str(tmp_path))
    for text, word in words.items():
        assert command_line(call, {"x": text, "n": 1}, {}, "py")[2:] == [
            ("x=" if style == "assign" else "--x=") + word,
            "n=1" if style == "assign" else "--n=1",
        ]


def test_json_is_one_word_with_types() -> None:
    call = {"module": "a.b", "arguments": "json", "args": ["{{epochs}}"]}
    *start, word = command_line(call, VALUES, {}, "py")
    assert start == ["py", "-m", "a.b", "20"]
    assert json.loads(word) == {k: v for k, v in VALUES.items() if k != "epochs"}


def test_env_sets_variables() -> None:
    call = {"arguments": "env", "args": ["{{epochs}}"], "env": {"A": "1", "B": {"from_env": "X"}}}
    env = environment({"B": "b"}, call, VALUES, {}, trial_file="/t", package=None)
    assert {name: env[name] for name in ("lr", "n.trees", "shrink", "A", "B")} == {
        "lr": "-1e-05",
        "n.trees": "3",
        "shrink": "True",
        "A": "1",
        "B": "b",
    }
    assert "epochs" not in env


def test_the_environment() -> None:
    base = {"CLOUDTUNE_TRIAL": "outer", "CLOUDTUNE_INPUT_OLD": "x", "PYTHONPATH": ":a:", "H": "1"}
    call = {"env": {"PYTHONHASHSEED": "5"}}
    paths = {"train-set.1": "/d"}
    env = environment(base, call, {}, paths, trial_file="/t", package="/p")
    assert env == {
        "H": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "5",
        "CLOUDTUNE_INPUT_TRAIN_SET_1": "/d",
        "CLOUDTUNE_SEED": "0",
        "CLOUDTUNE_TRIAL": "/t",
        "PYTHONPATH": os.pathsep.join(["a", "/p"]),
    }


def test_an_empty_word_is_omitted_unless_it_is_the_value_of_an_option() -> None:
    call = {"command": ["run"], "args": ["{{flag}}", "--name", "{{name}}", "", "{{flag}}{{name}}"]}
    assert command_line(call, {"flag": "", "name": ""}, {}, "") == ["run", "--name", "", ""]
    assert command_line(call, {"flag": "--on", "name": "a"}, {}, "")[1:] == (
        ["--on", "--name", "a", "", "--ona"]
    )


def test_placeholders() -> None:
    call = {
        "command": ["run", "{{ C }}", "{{inputs.train}}/x"],
        "args": ["--d={{d}}", "--gamma", "{{gamma}}", "--g={{gamma}}", "{{d}}-{{C}}", "{{else}}"],
        "parameters": ["C", "d", "gamma", "k"],
    }
    words = command_line(call, {"C": 0.5, "d": 2, "k": "x"}, {"train": "/in"}, "py")
    assert words == ["run", "0.5", "/in/x", "--d=2", "2-0.5", "{{else}}", "--k", "x"]


def test_a_flag_goes_with_its_inactive_parameter_only() -> None:
    call = {"command": ["run"], "args": ["--on", "--x", "{{x}}", "--y=1", "{{y}}", "-z", "a{{z}}"]}
    assert command_line(call, {}, {}, "py") == ["run", "--on", "--y=1", "-z"]


@given(st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()))
def test_format_value_is_the_same_everywhere(value: search_space.Value) -> None:
    assert format_value(value) == search_space.format_value(value)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{2,8}", fullmatch=True),
        st.one_of(
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.from_regex(r"[-a-z0-9. =\n'²٣]*", fullmatch=True),
            st.sampled_from(["--", "-", "-.", "-5.", "-²", "-1e-05", "--x=1", "=", ""]),
        ),
        max_size=5,
    ),
    st.sampled_from(["flags", "equals", "placed"]),
)
def test_argparse_reads_every_value_that_a_study_accepts(
    values: dict[str, search_space.Value], style: str
) -> None:
    call: dict[str, Any] = {"arguments": "flags" if style == "placed" else style}
    if style == "placed":
        for name, value in values.items():
            is_text = isinstance(value, str)
            words = [f"--{name}={{{{{name}}}}}"] if is_text else [f"--{name}", f"{{{{{name}}}}}"]
            call.setdefault("args", []).extend(words)
    lost = [name for name, value in values.items() if value == "--"]
    problems = find_problems(StudyFields(constants=values, trial=TrialSpec(**call)))
    assert [problem.path for problem in problems] == [f"constants.{name}" for name in lost]
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    for name in values:
        parser.add_argument("--" + name, dest="in_" + name)
    read = parser.parse_args(command_line(call, values, {}, ""))
    for name in values.keys() - set(lost):
        assert getattr(read, "in_" + name) == format_value(values[name])


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("p.add_argument('-C', type=float)", {"C": "-C"}),
        ('p.add_argument("--C", type=float)', {}),
        ("p.add_argument('-C', '--C')", {}),
        ("p.add_argument('-C', '--cost')", {"C": "-C"}),
        ("x = y -C", {}),
        ("p.add_argument('-CC'); p.add_argument('-D')", {}),
        ("opts = getopt(argv, 'C:')", {}),
        ("p.add_argument('--n-layers', type=int)", {"n_layers": "--n-layers"}),
        ("@click.option('-n', '--n-layers/--none')", {"n_layers": "--n-layers"}),
        ("p.add_argument('--n_layers')", {}),
        ("p.add_argument('--n_layers', '--n-layers')", {}),
        ("x = n_layers", {}),
        ("from typer import run\ndef main(n_layers: int): ...", {"n_layers": "--n-layers"}),
        ("import typer\nn: int = typer.Option(..., '--n_layers')", {}),
        ("def main(n_layers: int): ...", {}),
        ("p.add_argument('-gamma', type=float)", {"gamma": "-gamma"}),
        ("p.add_argument('-n_layers'); p.add_argument('-gam')", {"n_layers": "-n_layers"}),
        ("p.add_argument('-n-layers', '-n')", {"n_layers": "-n-layers"}),
        ("p.add_argument('-n_layers', '--n_layers')", {}),
        ("name = run + '-gamma'", {}),
        ("p.add_argument('--layers', '-l', dest='n_layers')", {"n_layers": "--layers"}),
        ("p.add_argument('-l', dest='n_layers')", {"n_layers": "-l"}),
        ("p.add_argument('--n', dest='n_layers'); p.add_argument('--n_layers')", {}),
        ("@click.option('--layers', 'n_layers')\ndef f(): ...", {"n_layers": "--layers"}),
        ("p.add_argument('--deep', dest='n_layers', action='store_const', const=9)", {}),
        *(
            (loop, {"n_layers": "--n-layers"})
            for loop in (
                "for f in fields(C): p.add_argument('--' + f.name.replace('_', '-'))",
                "for n, v in D.items(): p.add_argument(f\"--{n.replace('_', '-')}\", type=int)",
                "for n in D:\n  flag = '--' + n.replace('_', '-')\n  p.add_argument(flag)",
                "def flag(n): return '--' + n.replace('_', '-')\n"
                "[p.add_argument(flag(n)) for n in D]",
            )
        ),
        ("for n in D: p.add_argument('--' + n)\nrun = name.replace('_', '-')", {}),
        ("for n in D: p.add_argument('--' + n)\nn = run.replace('_', '-')", {}),
        ("def slug(n):\n  n = n.replace('_', '-')\nfor n in D: p.add_argument('--' + n)", {}),
        ("for n in D: p.add_argument('--' + n.upper().replace('_', '-'))", {}),
        (
            "for n in D: p.add_argument('--' + n)\n"
            "for n in E: p.add_argument('--' + n.replace('_', '-'))",
            {},
        ),
    ],
)
def test_option_words(tmp_path: Path, code: str, options: dict[str, str]) -> None:
    (tmp_path / "train.py").write_text(code)
    (tmp_path / "another.py").write_text("p.add_argument('-k')")
    names = ["C", "gamma", "n_layers"]
    assert option_words({"script": "train.py"}, names, str(tmp_path)) == options
    none = {"script": "train.py", "arguments": "assign"}
    assert option_words(none, names, str(tmp_path)) == {}


def test_option_words_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import options")
    (tmp_path / "options.py").write_text("p.add_argument('-C'); p.add_argument('--n-layers')")
    expected = {"C": "-C", "n_layers": "--n-layers"}
    assert option_words({"module": "train"}, ["C", "n_layers"], str(tmp_path)) == expected
    (tmp_path / "start.py").write_text("run(['python', 'train.py'])")
    (tmp_path / "train.sh").write_text("python train.py")
    for command in (["make"], ["sh", "train.sh"], ["python", "start.py"]):
        assert option_words({"command": command}, ["C", "n_layers"], str(tmp_path)) == expected
    (tmp_path / "train.py").write_text("import absl")  # options.py is another script
    assert option_words({"script": "train.py"}, ["C", "n_layers"], str(tmp_path)) == {}


def test_option_words_of_imported_files(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/__main__.py").write_text("import typer\nfrom . import (\n  main,\n)")
    (tmp_path / "app/main.py").write_text("def main(n_layers: int): ...")
    (tmp_path / "app/export.py").write_text("p.add_argument('--n_layers')")
    assert option_words({"module": "app"}, ["n_layers"], str(tmp_path)) == {
        "n_layers": "--n-layers"
    }


@pytest.mark.parametrize("start", ["import tyro", "p = argparse.ArgumentParser()"])
@pytest.mark.parametrize(
    "options",
    ["q.add_argument('-C', dest='n_layers')", "q.add_argument('--' + n.replace('_', '-'))"],
)
def test_an_imported_script_has_options_of_its_own(
    tmp_path: Path, start: str, options: str
) -> None:
    (tmp_path / "train.py").write_text(f"{start}\nimport tool")
    (tmp_path / "tool.py").write_text(f"q = argparse.ArgumentParser()\n{options}")
    assert option_words({"script": "train.py"}, ["n_layers"], str(tmp_path)) == {}
    (tmp_path / "tool.py").write_text(options)
    assert option_words({"script": "train.py"}, ["n_layers"], str(tmp_path)) != {}
    (tmp_path / "tool.py").write_text("class C:\n  n_layers: bool = True\ntyro.cli(C)")
    assert switch_words({"script": "train.py"}, ["n_layers"], str(tmp_path)) == {}


@pytest.mark.parametrize("option", ["-C", "--C", "--n-layers", "--n_layers", "-n_layers", "-lr"])
@pytest.mark.parametrize("style", ["flags", "equals"])
def test_argparse_with_another_option(tmp_path: Path, option: str, style: str) -> None:
    name = option.strip("-").replace("-", "_")
    code = (
        f"import argparse\np = argparse.ArgumentParser()\np.add_argument('{option}', type=float)\n"
    )
    (tmp_path / "train.py").write_text(code + f"print(p.parse_args().{name})")
    call = {"script": "train.py", "arguments": style}
    for value in (0.5, -2.0, -1e-05):
        options = option_words(call, [name], str(tmp_path))
        words = command_line(call, {name: value}, {}, sys.executable, options)
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stdout == f"{value}\n", done.stderr


@pytest.mark.parametrize("args", [[], ["-C", "{{C}}"]])
def test_click_with_a_short_option(tmp_path: Path, args: list[str]) -> None:
    code = "import click\n@click.command()\n@click.option('-C', 'c', type=float)\n"
    (tmp_path / "train.py").write_text(code + "def main(c): print(c)\nmain()")
    call = {"script": "train.py", "args": args}
    for value in (0.5, -2.0, -1e-05):
        options = option_words(call, ["C"], str(tmp_path))
        words = command_line(call, {"C": value}, {}, sys.executable, options)
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stdout == f"{value}\n", done.stderr


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("p.add_argument('--aug', action='store_true')", "--aug/"),
        ("p.add_argument('-a', '--aug', '--augment', action='store_true')", "--aug/"),
        ("p.add_argument('--no-aug', dest='aug', action='store_false')", "/--no-aug"),
        ("p.add_argument('--aug', action=argparse.BooleanOptionalAction)", "--aug/--no-aug"),
        ("add_argument('--aug', action=BooleanOptionalAction, default=True)", "--aug/--no-aug"),
        (
            "p.add_argument('--yes', dest='aug', action='store_true')\n"
            "p.add_argument('--no', dest='aug', action='store_false')",
            "--yes/--no",
        ),
        ("p.add_argument('--aug', type=bool)", "--aug=True/--aug="),
        ("p.add_argument('--aug', '-a', dest='other_name', type=np.bool_)", "--aug=True/--aug="),
        ("p.add_argument('--aug', type=lambda text: bool(text))", "--aug=True/--aug="),
        ("p.add_argument('--aug', **{'type': bool})", "--aug=True/--aug="),
        ("p.add_argument('--aug', **dict(action='store_true'))", "--aug/"),
        ("p.add_argument('--aug', type=lambda text: bool(int(text)))", None),
        ("p.add_argument('--aug', type=str2bool)", None),
        ("import jsonargparse\np.add_argument('--aug', type=bool)", None),
        ("p.add_argument('--aug', action='store_const', const=True)", "--aug/"),
        ("p.add_argument('--aug', dest='so', action=BooleanOptionalAction)", "--aug/--no-aug"),
        ("p.add_argument('--aug', dest='n', action='store_const', const=3)", "--aug/"),
        ("p.add_argument('--plain', dest='aug', action='store_const', const=0)", "/--plain"),
        ("p.add_argument('--more', dest='aug', action='store_const', const=3)", None),
        ("p.add_argument('-a', '--aug', action='count')", "--aug/"),
        ("p.add_option('--aug', action='store_true')", "--aug/"),
        ("p.add_option('--plain', dest='aug', action='store_false')", "/--plain"),
        ("flags.DEFINE_bool('aug', False, 'help')", "--aug/--noaug"),
        ("DEFINE_boolean(name='aug', default=True, help='')", "--aug/--noaug"),
        ("tf.app.flags.DEFINE_integer('aug', 1, 'help')", None),
        ("@click.option('--no-aug/--aug', 'plain')\ndef main(plain): ...", "--aug/--no-aug"),
        ("p.add_argument('--aug', action='store_true'", None),
        ("# p.add_argument('--aug', action='store_true')", None),
        ("@click.option('--aug/--plain')\ndef main(aug): ...", "--aug/--plain"),
        ("@click.option('--yes/--no', ' /-N', 'aug')\ndef main(aug): ...", "--yes/--no"),
        ("@click.option('--aug', is_flag=True)\ndef main(aug): ...", "--aug/"),
        ("@click.option('--aug', type=bool)\ndef main(aug): ...", None),
        ("import typer\n@app.command()\ndef main(aug: bool = False): ...", "--aug/--no-aug"),
        ("import typer\ndef main(*, aug: bool = True): ...\ntyper.run(main)", "--aug/--no-aug"),
        ("import typer\n@app.command()\ndef main(aug: bool): ...", None),
        ("import tyro\ndef main(aug: bool = False): ...\ntyro.cli(main)", "--aug/--no-aug"),
        ("import tyro\nclass Args:\n  aug: bool = True\ntyro.cli(Args)", "--aug/--no-aug"),
        ("import tyro\nclass Args:\n  aug: bool\n  lr: float = 1\ntyro.cli(Args)", None),
        ("import tyro\ndef main(aug: FlagConversionOff[bool] = False): ...\ntyro.cli(main)", None),
        ("import cyclopts\ndef main(aug: bool = True): ...\ncyclopts.run(main)", "--aug/--no-aug"),
        ("import typer\ndef helper(aug: bool = False): ...", None),
        (
            "import typer\n@app.command()\n"
            "def main(aug: Annotated[bool, typer.Option('--aug')] = False): ...",
            "--aug/",
        ),
        (
            "import typer\n@app.command()\n"
            "def main(aug: bool = typer.Option(False, '--yes/--no')): ...",
            "--yes/--no",
        ),
    ],
)
def test_switch_words(tmp_path: Path, code: str, words: str | None) -> None:
    (tmp_path / "train.py").write_text("import other\n" + code)
    (tmp_path / "other.py").write_text("p.add_argument('--other', action='store_true')")
    (tmp_path / "plot.py").write_text("p.add_argument('--plot', action='store_true')")
    call = {"script": "train.py"}
    found = switch_words(call, ["aug", "other", "plot"], str(tmp_path))
    assert found == {"other": "--other/", **({"aug": words} if words else {})}
    call["switches"] = {"aug": "--so"}  # type: ignore[assignment]
    assert switch_words(call, ["aug"], str(tmp_path)) == {"aug": "--so"}
    assert switch_words({**call, "arguments": "json"}, ["aug"], str(tmp_path)) == {}


@pytest.mark.parametrize(
    "code",
    [
        "p.add_argument('--aug', type=str2bool, nargs='?', const=True, default=True)",
        "import jsonargparse\np.add_argument('--aug', type=bool)",
        "@click.option('--aug', type=bool)\ndef main(aug): ...",
    ],
)
def test_the_script_decides_whether_its_option_has_a_value(tmp_path: Path, code: str) -> None:
    """Not another script of the folder with a switch of the same name."""
    (tmp_path / "train.py").write_text(code)
    (tmp_path / "export.py").write_text("p.add_argument('--aug', action='store_true')")
    assert switch_words({"script": "train.py"}, ["aug"], str(tmp_path)) == {}
    assert switch_words({"script": "export.py"}, ["aug"], str(tmp_path)) == {"aug": "--aug/"}


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("style", ["flags", "equals"])
@pytest.mark.parametrize(
    "code",
    [
        "import argparse\np = argparse.ArgumentParser()\n"
        "p.add_argument('--aug_it', action='store_true')\n"
        "p.add_argument('--no-cache', dest='cache', action='store_false')\n"
        "p.add_argument('--deep', action=argparse.BooleanOptionalAction)\n"
        "p.add_argument('--plain')\na = p.parse_args()\n"
        "print(a.aug_it, a.cache, a.deep, a.plain)\n",
        "import click\n@click.command()\n@click.option('--aug-it', is_flag=True)\n"
        "@click.option('--cache/--no-cache')\n@click.option('--deep/--flat')\n"
        "@click.option('--plain')\n"
        "def main(aug_it, cache, deep, plain):\n    print(aug_it, cache, deep, plain)\nmain()\n",
        "import optparse\np = optparse.OptionParser()\n"
        "p.add_option('--aug_it', action='store_true', default=False)\n"
        "p.add_option('--no-cache', dest='cache', action='store_false', default=True)\n"
        "p.add_option('--deep', action='store_true', default=False)\n"
        "p.add_option('--plain')\na, _ = p.parse_args()\n"
        "print(a.aug_it, a.cache, a.deep, a.plain)\n",
    ],
)
def test_a_parser_reads_its_switches(tmp_path: Path, code: str, style: str, value: bool) -> None:
    (tmp_path / "train.py").write_text(code)
    call = {"script": "train.py", "arguments": style}
    names = ["aug_it", "cache", "deep", "plain"]
    switches = switch_words(call, names, str(tmp_path))
    values = dict.fromkeys(names, value)
    words = command_line(call, values, {}, sys.executable, switches=switches)
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(value)] * 4, done.stderr


BOOL_TYPES = """
import argparse
p = argparse.ArgumentParser()
p.add_argument("--plain", type=bool)
p.add_argument("-s", "--short", type=bool, default=True)
p.add_argument("--one-word", dest="another", type=bool)
p.add_argument("--optional", nargs="?", const=True, type=bool)
p.add_argument("--chosen", type=bool, choices=[True, False])
p.add_argument("--called", type=lambda text: bool(text))
p.add_argument("--evaluated", type=eval)
p.add_argument("--placed", type=bool)
p.add_argument("--given-other", type=bool)
a = p.parse_args()
print(a.plain, a.short, a.another, a.optional, a.chosen, a.called, a.evaluated, a.placed,
      a.given_other)
"""


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("style", ["flags", "equals"])
@pytest.mark.parametrize("args", [["--placed", "{{p}}"], ["--placed={{p}}"]])
@pytest.mark.parametrize("script", ["train.py", "starts.py"])
def test_argparse_reads_false_as_false(
    tmp_path: Path, value: bool, style: str, args: list[str], script: str
) -> None:
    """Also of options with ``type=bool``, for which every text but the empty one is true."""
    (tmp_path / "train.py").write_text(BOOL_TYPES)
    (tmp_path / "starts.py").write_text("import train")
    call = {"script": script, "arguments": style, "args": [*args, "--given-other={{other}}"]}
    names = ["plain", "short", "one-word", "optional", "chosen", "called", "evaluated"]
    values = dict.fromkeys([*names, "p", "other"], value)
    switches = switch_words(call, values, str(tmp_path))
    words = command_line(call, values, {}, sys.executable, switches=switches)
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(value)] * 9, done.stderr


def test_parse_number() -> None:
    assert parse_number(" 0.91, ") == 0.91
    assert parse_number("1e-3)") == 1e-3
    assert parse_number("91%") is None
    assert parse_number("") is None


# The launcher.

DEFINITIONS: list[dict[str, Any]] = [
    {"name": "kernel", "type": "categorical", "values": ["rbf", "007", 1, True, 2.5]},
    {"name": "C", "type": "float"},
    {"name": "depth", "type": "int", "when": {"kernel": ["rbf"]}},
    {"name": "batch", "type": "discrete", "values": [16, 32]},
    {"name": "shrink", "type": "bool", "when": {"batch": [32.0]}},
    {"name": "deep", "type": "float", "when": {"depth": [3]}},
]


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("kernel", ["rbf", "007", 1, True, 2.5])
def test_types_are_restored_from_text_too(as_text: bool, kernel: Any) -> None:
    raw: dict[str, Any] = {
        "kernel": kernel,
        "C": 1.0,
        "depth": 3,
        "batch": 32,
        "shrink": False,
        "deep": 0.5,
    }
    wanted = dict(raw)
    if kernel != "rbf":
        del wanted["depth"], wanted["deep"]
    restored = restore_values(
        DEFINITIONS,
        {name: format_value(value) if as_text else value for name, value in raw.items()},
    )
    assert restored == wanted
    assert {n: type(v) for n, v in restored.items()} == {n: type(v) for n, v in wanted.items()}


def test_other_spellings_of_numbers() -> None:
    raw = {"kernel": "2.50", "C": "3", "batch": "32.0", "shrink": "1"}
    restored = restore_values(DEFINITIONS, raw)
    assert restored == {"kernel": 2.5, "C": 3.0, "batch": 32, "shrink": True}
    assert [type(v) for v in restored.values()] == [float, float, int, bool]


@pytest.mark.parametrize(
    "raw", [{"kernel": "poly"}, {"C": "much"}, {"batch": 17}, {"kernel": "rbf", "depth": "2.5"}]
)
def test_restore_refuses_invalid_values(raw: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"invalid value .* for parameter"):
        restore_values(DEFINITIONS, raw)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def launch(
    folder: Path, call: dict[str, Any], code: str, *words: str, **env: str
) -> subprocess.CompletedProcess[str]:
    write_launch(folder, call, code)
    return subprocess.run(
        [sys.executable, "-m", "cloudtune.launcher.main", *words],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "CLOUDTUNE_TRIAL"} | env,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def write_launch(folder: Path, call: dict[str, Any], code: str) -> None:
    (folder / "train.py").write_text(textwrap.dedent(code))
    study = {
        "run": "run",
        "trial": {"script": "train.py", **call},
        "parameters": DEFINITIONS,
        "constants": {"epochs": 3},
        "inputs": {"train": "/in"},
    }
    (folder / STUDY_FILE).write_text(json.dumps(study))


PRINT = """
    import os, sys
    from cloudtune.trial import params, inputs
    print(sys.argv[1:], params(), inputs(), os.environ["CLOUDTUNE_INPUT_TRAIN"])
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--kernel=007", "--C", "-1e-5", "--batch=16"],
        ["--batch", "16", "-C", "-1e-5", "--kernel=007"],
    ],
)
def test_launcher_reads_arguments(tmp_path: Path, words: list[str]) -> None:
    done = launch(tmp_path, {}, PRINT, *words, "--model_dir", "s3://x", "--depth=9")
    assert done.stdout == (
        "['--epochs', '3', '--kernel', '007', '--C=-1e-05', '--batch', '16'] "
        "{'epochs': 3, 'kernel': '007', 'C': -1e-05, 'batch': 16} {'train': '/in'} /in\n"
    ), done.stderr


def test_the_program_needs_python_3_7(tmp_path: Path) -> None:
    (tmp_path / PROGRAM).write_bytes(launcher_program()[PROGRAM])
    old = f"import sys; sys.version_info = (3, 6, 8); exec(open({PROGRAM!r}).read())"
    command = [sys.executable, "-S", "-c", old]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "trials need Python 3.7 or later, and" in done.stderr
    assert "is 3.6; use another image, or set providers.slurm.python" in done.stderr


@pytest.mark.parametrize("start", [["-m", "cloudtune.launcher.main"], [PROGRAM]])
def test_launcher_follows_the_contract_next_to_it(tmp_path: Path, start: list[str]) -> None:
    write_files(tmp_path, launcher_program())
    contract = """
        import os
        from cloudtune.launcher.contract import Contract

        class Oven(Contract):
            def publish(self, report):
                return "oven: {}\\n".format(report["metrics"])
            def report_failure(self, reason):
                print("oven:", reason.partition("\\n")[0])

        def find_contract(study, argv):
            if "DISH" in os.environ:
                return Oven({"C": os.environ["DISH"]}, {"trial": study["run"] + "/" + argv[0]})
    """
    (tmp_path / "cloudtune" / CONTRACT_FILE).write_text(textwrap.dedent(contract))
    code = """
        from cloudtune.trial import params, report, trial_id
        report(a=1)
        print(params(), trial_id())
        raise SystemExit(3)
    """
    write_launch(tmp_path, {}, code)
    done = subprocess.run(
        [sys.executable, *start, "word", "--C=5"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "CLOUDTUNE_TRIAL"} | {"DISH": "0.5"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert sorted(done.stdout.splitlines()) == [
        "oven: exit code 3",
        "oven: {'a': 1.0}",
        "{'epochs': 3, 'C': 0.5} run/word",
    ], done.stderr


def test_launcher_reads_the_local_file(tmp_path: Path) -> None:
    told = {"parameters": {"kernel": "True", "C": "2"}, "reports": str(tmp_path / "r")}
    (tmp_path / "told.json").write_text(json.dumps(told))
    code = PRINT + "    from cloudtune.trial import report; report(a=1)"
    done = launch(tmp_path, {}, code, CLOUDTUNE_TRIAL=str(tmp_path / "told.json"))
    assert "{'epochs': 3, 'kernel': True, 'C': 2.0}" in done.stdout, done.stderr
    assert json.loads((tmp_path / "r").read_text())["metrics"] == {"a": 1.0}


def test_launcher_reads_printed_metrics(tmp_path: Path) -> None:
    told = {"parameters": {"C": "2"}, "reports": str(tmp_path / "r")}
    (tmp_path / "told.json").write_text(json.dumps(told))
    done = launch(
        tmp_path,
        {"metrics": {"acc": [r"acc=(\S+)"], "built_in": []}},
        "import sys\nprint('a acc=0.5,')\nprint('acc=0.75', end='', file=sys.stderr)",
        CLOUDTUNE_TRIAL=str(tmp_path / "told.json"),
    )
    assert done.stdout == "a acc=0.5,\nacc=0.75"
    found = [json.loads(line)["metrics"] for line in (tmp_path / "r").read_text().splitlines()]
    assert found == [{"acc": 0.5}, {"acc": 0.75}]


def test_launcher_prints_reports_without_a_reader(tmp_path: Path) -> None:
    code = "from cloudtune.trial import report; report(a=1); print('end')"
    done = launch(tmp_path, {}, code, "--C=1")
    assert "[cloudtune] metric a = 1.0\n" in done.stdout, done.stderr


def test_launcher_passes_constants_that_the_service_sends(tmp_path: Path) -> None:
    done = launch(tmp_path, {}, PRINT, "--C=1", "--epochs", "7")
    assert "{'epochs': 7, 'C': 1.0}" in done.stdout, done.stderr


@pytest.mark.parametrize("code", [0, 3])
def test_launcher_returns_the_scripts_exit_code(tmp_path: Path, code: int) -> None:
    assert launch(tmp_path, {}, f"raise SystemExit({code})", "--C=1").returncode == code


def test_launcher_ends_by_the_scripts_signal(tmp_path: Path) -> None:
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"
    assert launch(tmp_path, {}, code, "--C=1").returncode == -signal.SIGSEGV


def test_launcher_errors(tmp_path: Path) -> None:
    done = launch(tmp_path, {}, "", "--C=many")
    assert (done.returncode, done.stdout) == (2, "")
    assert "invalid value 'many' for parameter C" in done.stderr
    done = launch(tmp_path, {"script": None, "command": ["no-such-program"]}, "", "--C=1")
    assert done.returncode == 127
    assert "cannot start no-such-program" in done.stderr
    (tmp_path / STUDY_FILE).unlink()
    done = subprocess.run(
        [sys.executable, "-m", "cloudtune.launcher.main", "--C=1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert STUDY_FILE in done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_launcher_forwards_signals(tmp_path: Path, name: str) -> None:
    write_launch(
        tmp_path,
        {},
        f"""
        import signal, sys, time
        def end(*_):
            print("asked")
            sys.exit(5)
        signal.signal(signal.{name}, end)
        print("ready")
        time.sleep(1000)
        """,
    )
    words = [sys.executable, "-m", "cloudtune.launcher.main", "--C=1"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, name))
        assert process.stdout.read() == "asked\n"
    assert process.returncode == 5


EXPLODING = r"loss=((a+)+)$"


def launch_with(folder: Path, patience: float) -> subprocess.CompletedProcess[str]:
    told = {"parameters": {"C": "2"}, "reports": str(folder / "r")}
    (folder / "told.json").write_text(json.dumps(told))
    code = (
        "import sys; from cloudtune.launcher import main, printed_metrics as p\n"
        f"p.REGEX_TIMEOUT = {patience}\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code + "sys.exit(main.main([]))"],
        cwd=folder,
        env={**os.environ, "CLOUDTUNE_TRIAL": str(folder / "told.json")},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_launcher_ends_a_trial_with_a_slow_regex(tmp_path: Path) -> None:
    script = f"""
        import time
        print("acc=1", flush=True)
        print("loss={"a" * 60}b", flush=True)
        time.sleep(1000)
    """
    write_launch(tmp_path, {"metrics": {"acc": [r"acc=(\S+)"], "loss": [EXPLODING]}}, script)
    done = launch_with(tmp_path, 0.2)
    assert done.returncode == 2
    assert "regex of metric loss took more than 0.2 s on one line" in done.stderr
    assert EXPLODING in done.stderr
    assert done.stdout.splitlines()[0] == "acc=1"
    assert json.loads((tmp_path / "r").read_text())["metrics"] == {"acc": 1.0}


def test_the_regex_timeout_applies_to_each_line(tmp_path: Path) -> None:
    script = """
        import time
        for _ in range(8):
            print("acc=1", flush=True)
            time.sleep(0.3)
    """
    write_launch(tmp_path, {"metrics": {"acc": [r"acc=(\S+)"]}}, script)
    done = launch_with(tmp_path, 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert len((tmp_path / "r").read_text().splitlines()) == 8


def test_launcher_does_not_start_a_script_with_an_invalid_regex(tmp_path: Path) -> None:
    write_launch(tmp_path, {"metrics": {"acc": [r"acc=(\p{N}+)"]}}, "print('started')")
    done = launch_with(tmp_path, 2)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot compile the regex of metric acc" in done.stderr
