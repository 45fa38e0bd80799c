from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudtune_watson import contract
from cloudtune_watson.contract import Container, InvalidSpecError, MetricFiles, parse_arguments


@pytest.fixture
def container(tmp_path: Path) -> Container:
    created = Container(tmp_path, tmp_path / "data", tmp_path / "result", tmp_path / "logs")
    for folder in (created.work, created.result, created.logs):
        folder.mkdir()
    return created


def test_arguments_of_a_search_are_the_platforms_or_the_scripts() -> None:
    found = parse_arguments(
        "--exec-start PyTorch --workerDeviceNum 1 --cs-datastore-meta type=fs,data_path=my/data "
        "--msd-env A=b=c --model-dir model --model-main main.py --epochs 2 --note='two words' "
        "--debug-level=debug --edt-options maxWorkers=8 --verbose"
    )
    assert found.main == "main.py"
    assert list(found.words) == ["--epochs", "2", "--note=two words", "--verbose"]
    assert (found.folder, found.data_path, found.env) == ("model", "my/data", {"A": "b=c"})


@pytest.mark.parametrize(
    "text", ["", "--exec-start PyTorch", "--model-main main.py", "'", "--exec-start x --model-main"]
)
def test_arguments_without_a_script_are_refused(text: str) -> None:
    with pytest.raises(InvalidSpecError):
        parse_arguments(text)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train.py --lr '0.1 2'", ["PYTHON", "train.py", "--lr", "0.1 2"]),
        ("python3 train.py $DATA_DIR", ["PYTHON", "train.py", "$DATA_DIR"]),
        ("run.sh 1", ["run.sh", "1"]),
    ],
)
def test_a_command_is_split_as_a_shell_would(
    container: Container, command: str, words: list[str]
) -> None:
    assert contract.training_start(command, container, "t", "PYTHON").command == words


@pytest.mark.parametrize("command", ["", "  ", "train.py 'x"])
def test_a_command_that_cannot_be_run_is_refused(container: Container, command: str) -> None:
    with pytest.raises(InvalidSpecError):
        contract.training_start(command, container, "t", "PYTHON")


def test_a_trial_of_a_search_has_an_id_of_its_own(container: Container) -> None:
    training = contract.training_start("train.py", container, "t", "/p/python")
    assert training.env["RESULT_DIR"] == str(container.result)
    assert training.env["LOG_DIR"] == str(container.logs)
    assert training.env["DATA_DIR"] == str(container.data)
    assert training.env["TRAINING_ID"] == "t"
    assert "SUBID" not in training.env
    arguments = contract.Arguments("main.py", ["--a"], env={"B": "c"})
    trial = contract.trial_start(arguments, container, ("exec", "3"), "/p/python", Path("/volume"))
    assert trial.command == ["/p/python", "main.py", "--a"]
    expected = {"SUBID": "3", "DLI_EXECID": "exec", "DLI_DATA_FS": "/volume", "B": "c"}
    assert expected.items() <= trial.env.items()


def test_a_script_is_found_in_the_one_folder_of_an_archive(container: Container) -> None:
    (container.work / "model").mkdir()
    (container.work / "model" / "main.py").touch()
    who = ("exec", "0")
    plain = contract.trial_start(contract.Arguments("main.py"), container, who, "python", Path("/"))
    assert plain.cwd == container.work / "model"
    named = contract.Arguments("main.py", folder="model")
    assert contract.trial_start(named, container, who, "python", Path("/")).cwd == plain.cwd
    (container.work / "main.py").touch()
    both = contract.trial_start(contract.Arguments("main.py"), container, who, "python", Path("/"))
    assert both.cwd == container.work


ENTRIES = [{"steps": 1, "loss": 0.5}, {"steps": 2, "loss": 0.25, "best": 1}]
PRINTED = json.dumps(
    "[{'steps': 1, 'loss': np.float64(0.5)}, {'steps': 2, 'loss': 0.25, 'best': 1, 'acc': nan}]"
)
TEXTS = json.dumps([{name: str(value) for name, value in each.items()} for each in ENTRIES])


@pytest.mark.parametrize("text", [json.dumps(ENTRIES), json.dumps(str(ENTRIES)), PRINTED, TEXTS])
def test_both_forms_of_the_list_are_read(container: Container, text: str) -> None:
    (container.result / contract.METRIC_LIST).write_text(text)
    found = MetricFiles(container.result, container.logs).read_list()
    assert [(each.step, each.metrics) for each in found] == [
        (1, {"loss": 0.5}),
        (2, {"loss": 0.25, "best": 1.0}),
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "5", "{}", '["x", 1, null]', '[{"steps": 1}]', '[{"loss": "low"}]'),
        *('[{"loss": NaN}]', '[{"loss": 1e999}]', '[{"loss": true}]', '"nonsense("', '"[" '),
        "[" * 100_000,
        json.dumps("[" * 5_000),
        json.dumps("[{1: 2}, {'loss': 9**9}]"),
    ],
)
def test_a_list_that_is_none_has_nothing(container: Container, text: str) -> None:
    (container.result / contract.METRIC_LIST).write_text(text)
    assert MetricFiles(container.result, container.logs).read_list() == []


def test_steps_of_a_list_may_be_named_otherwise_or_left_out(container: Container) -> None:
    (container.result / contract.METRIC_LIST).write_text('[{"step": 7, "a": 1}, {"a": 2}]')
    assert [each.step for each in MetricFiles(container.result, container.logs).read_list()] == [
        7,
        2,
    ]


def line(step: int, group: str = "test", **metrics: str) -> str:
    entry = {
        "meta": {"training_id": "t", "time": 2000, "rindex": 1, "subid": ""},
        "grouplabel": group,
        "etimes": {"iteration": {"type": 2, "value": str(step)}},
        "values": {name: {"type": 3, "value": value} for name, value in metrics.items()},
    }
    return json.dumps(entry) + "\n"


def test_the_log_is_read_line_by_line(container: Container) -> None:
    written, path = (
        MetricFiles(container.result, container.logs),
        container.logs / contract.METRIC_LOG,
    )
    assert written.read_log() == []
    whole = line(1, acc="0.5") + line(1, "train", acc="0.9") + "nonsense\n" + line(2, acc="nan")
    path.write_text(whole + line(3, acc="0.6")[:-1])
    assert [(each.step, each.time, each.metrics) for each in written.read_log()] == [
        (1, 2.0, {"acc": 0.5})
    ]
    assert [each.step for each in written.read_log(last=True)] == [3]
    assert written.read_log(last=True) == []
    written.delete()
    assert not path.exists()
