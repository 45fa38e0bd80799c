"""What a failed trial says about a file that is in the user's folder but not in the bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

import cloudtune
from cloudtune.bundle.missing_files import explain_missing_file
from cloudtune.study.study import Study


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    source, bundled = tmp_path / "source", tmp_path / "bundled"
    for name in ("source/data/train.csv", "source/a b.csv", "shared/x.bin", "source/train.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    bundled.mkdir()
    (bundled / "train.py").touch()
    return source, bundled


@pytest.mark.parametrize(
    ("output", "named"),
    [
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'data/train.csv'",
            "data/train.csv",
        ),
        ("No such file or directory: './data/../data/train.csv'", "data/train.csv"),
        ("No such file or directory: '/x/trials/3/{}/data/train.csv'", "data/train.csv"),
        ("No such file or directory: 'a b.csv'", "a b.csv"),
        ("cat: data/train.csv: No such file or directory", "data/train.csv"),
        ("fatal: cannot open file 'data': No such file", "data"),
        ("OSError: data/train.csv not found.\nsecond line", "data/train.csv"),
        ("cannot find data/train.csv", "data/train.csv"),
        ("RuntimeError: could not load data/train.csv", "data/train.csv"),
        ("error: missing input data/train.csv", "data/train.csv"),
        ("AssertionError: data/train.csv doesn't exist", "data/train.csv"),
        ("train.py: error: argument --data: data is not a directory", "data"),
    ],
)
def test_an_ignored_file_is_named(folders: tuple[Path, Path], output: str, named: str) -> None:
    source, bundled = folders
    assert explain_missing_file(output.format("work") + "\n", source, bundled) == (
        f"{named} is in {source}, but git or .cloudtuneignore ignores it: "
        "give it as an input (trial.inputs), and its path to the script as {{inputs.NAME}} in "
        "trial.args, or as $CLOUDTUNE_INPUT_NAME"
    )


def test_a_file_outside_the_source_is_named(folders: tuple[Path, Path]) -> None:
    source, bundled = folders
    output = "[Errno 2] No such file or directory: '../shared/x.bin'"
    assert explain_missing_file(output, source, bundled) == (
        f"trials run in a copy of {source}, so ../shared/x.bin is not there: "
        "give it as an input (trial.inputs), and its path to the script as {{inputs.NAME}} in "
        "trial.args, or as $CLOUDTUNE_INPUT_NAME"
    )


@pytest.mark.parametrize(
    "output",
    [
        "",
        "No such file or directory: 'nowhere.csv'",
        "No such file or directory: '/etc/passwd'",
        "ModuleNotFoundError: train.py not found in data",
        "reading data/train.csv\nValueError",
        "No such file or directory: '.'",
        "does not exist: \0",
    ],
)
def test_other_failures_are_left_alone(folders: tuple[Path, Path], output: str) -> None:
    source, bundled = folders
    (bundled / "data").mkdir()
    assert explain_missing_file(output, source, bundled) == ""


def test_the_failure_of_a_trial_names_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("print('loss', len(open('data/rows.csv').read()))")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").touch()
    (tmp_path / ".cloudtuneignore").write_text("data/\n")
    study = Study.model_validate(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
            "limits": {"max_trials": 1},
            "trial": {"script": "train.py", "metrics": {"loss": r"loss (\S+)"}},
        }
    )
    with pytest.raises(cloudtune.RunFailedError) as caught:
        cloudtune.run(study, show=False)
    (trial,) = cloudtune.Run(caught.value.run).results().trials
    assert trial.reason.startswith("exited with code 1: FileNotFoundError: ")
    assert "; data/rows.csv is in " in trial.reason
    assert "trial.inputs" in trial.reason
