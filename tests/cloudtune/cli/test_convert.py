"""cloudtune import, cloudtune export STUDY, and files of other formats in place of a study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import cloudtune
from cloudtune.cli import main
from cloudtune.cli.main_group import cloudtune as group
from cloudtune.errors import UsageError
from cloudtune.study.loader import loads

KATIB = Path(__file__).parents[1] / "formats" / "katib"


def call(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main([str(arg) for arg in args])
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


def help_of(name: str) -> Result:
    return CliRunner().invoke(group, [name, "--help"])


def test_a_file_becomes_a_study_that_is_checked_and_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.yaml"
    code, out, err = call(capsys, "import", KATIB / "random.yaml", "-o", study)
    assert (code, out) == (0, "")
    assert "registry.example.com/mnist:1.2" in err
    assert study.read_text("utf-8").startswith(
        "# Imported from random.yaml (katib).\nname: random\n"
    )
    assert call(capsys, "check", study)[0] == 0
    code, out, _ = call(capsys, "export", study, "--to", "katib")
    assert code == 0
    assert out.startswith("apiVersion: kubeflow.org/v1beta1\nkind: Experiment\n")
    target = tmp_path / "experiment.json"
    assert call(capsys, "export", study, "--to", "katib", "-o", target)[0] == 0
    assert json.loads(target.read_text("utf-8"))["kind"] == "Experiment"


def test_an_import_does_not_replace_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("mine", "utf-8")
    code, _, err = call(capsys, "import", KATIB / "random.yaml", "-o", study)
    assert (code, study.read_text("utf-8")) == (1, "mine")
    assert "exists" in err


def test_findings_have_the_line_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "sweep.yaml"
    text = "method: random\nparameters:\n  a: {values: [1, 2]}\n  b:\n    values: [[1, 2], [3]]\n"
    sweep.write_text(text, "utf-8")
    code, _, err = call(capsys, "import", sweep)
    assert (code, f"  {sweep}:5: refused parameters.b.values: " in err) == (2, True)
    sweep.write_text(text.replace("[[1, 2], [3]]", "[1, 1]"), "utf-8")
    code, _, err = call(capsys, "import", sweep)
    assert (code, f"{sweep}:5: approximated parameters.b.values: " in err) == (0, True)


def test_several_definitions_are_written_to_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capsys, "import", KATIB / "several.yaml")
    assert (code, out) == (1, "")
    assert "has 2 definitions: first, second" in err
    assert call(capsys, "import", KATIB / "several.yaml", "-o", tmp_path / "studies")[0] == 0
    assert sorted(each.name for each in (tmp_path / "studies").iterdir()) == [
        "first.yaml",
        "second.yaml",
    ]
    code, out, _ = call(capsys, "import", KATIB / "several.yaml", "--definition", "second")
    assert (code, "name: second" in out) == (0, True)
    code, _, err = call(capsys, "import", KATIB / "several.yaml", "--definition", "secund")
    assert (code, "did you mean second" in err) == (1, True)


def test_definitions_with_one_file_name_do_not_overwrite_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["a/b", "a:b", "A-b", "a-b-2", "../x", "..", "l" * 400, "l" * 400 + "1"]
    studies = [
        {
            "study_name": name,
            "directions": ["minimize"],
            "distributions": {
                "x": {"name": "FloatDistribution", "attributes": {"low": 0.0, "high": index + 1.0}}
            },
        }
        for index, name in enumerate(names)
    ]
    (tmp_path / "several.json").write_text(json.dumps({"studies": studies}))
    folder = tmp_path / "out"
    code, _, err = call(capsys, "import", tmp_path / "several.json", "-o", folder)
    assert code == 0, err
    files = {each.name for each in folder.iterdir()}
    assert files >= {"A-b-3.yaml", "a-b-2-2.yaml", "a-b-2.yaml", "a-b.yaml", "several.yaml"}
    spaces = {str(loads(each.read_text()).parameters["x"]) for each in folder.iterdir()}
    assert len(spaces) == len(names)
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".yaml"] == []
    assert f"{folder}/a-b-2.yaml: a study named 'a:b' from" in err


def test_json_has_the_studies_and_the_findings(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "import", KATIB / "random.yaml", "--json")
    assert (code, err) == (0, "")
    data = json.loads(out)
    assert data["format"] == "katib"
    assert data["studies"][0]["study"]["name"] == "random"
    assert {"kind": "warning", "path": "spec.trialTemplate"}.items() <= data["findings"][0].items()


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_commands_on_a_foreign_file_say_what_it_is(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capsys, command, KATIB / "random.yaml")
    assert code == 1
    assert "is a Katib Experiment, not a study (`cloudtune import" in err
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["export", "study.yaml", "--to", "mlflow"], "takes runs, and study.yaml is a file"),
        (["export", "study.yaml", "--to", "catib"], "did you mean katib"),
        (["export", "--to", "katib"], "takes a study file"),
        (["export", "k7f2", "--to", "katib"], "takes a study file, not k7f2"),
        (["import", "study.yaml"], "is a study of cloudtune"),
        (["import", "space.yaml"], "is a study of cloudtune"),
        (["import", "other.json"], "unknown format"),
        (["import", "study.yaml", "--from", "catib"], "did you mean katib"),
    ],
)
def test_errors_say_what_to_do(
    args: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(
        "objective: {metric: m, goal: minimize}\n"
        "parameters: {x: {type: bool}}\ntrial: {script: a.py}\n"
    )
    Path("space.yaml").write_text("name: s\nparameters: {x: {type: bool}}\n")
    Path("other.json").write_text('{"a": 1}')
    code, _, err = call(capsys, *args)
    assert code == 1
    assert message in err


def test_help_has_examples() -> None:
    assert "cloudtune import tuning-job.json -o study.yaml" in help_of("import").output
    assert "cloudtune export study.yaml --to katib" in help_of("export").output


def test_in_python(tmp_path: Path) -> None:
    study = cloudtune.import_study(KATIB / "random.yaml")
    assert any("registry.example.com" in note.text for note in study.notes)
    document = cloudtune.export_study(study, "katib", tmp_path / "e.yaml")
    assert document["metadata"]["name"] == "random"
    assert cloudtune.import_study(tmp_path / "e.yaml") == study
    with pytest.raises(UsageError, match="first, second"):
        cloudtune.import_study(KATIB / "several.yaml")


def test_a_storage_of_optuna_is_named_and_several_studies_become_one_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file = tmp_path / "optuna.db"
    for name in ("first", "second"):
        study = optuna.create_study(storage=f"sqlite:///{file}", study_name=name)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    code, _, err = call(capsys, "check", file)
    assert (code, "is an Optuna study, not a study" in err) == (1, True)
    assert call(capsys, "import", f"sqlite:///{file}", "-o", tmp_path / "studies")[0] == 0
    studies = sorted((tmp_path / "studies").iterdir())
    code, out, _ = call(capsys, "export", *studies, "--to", "optuna")
    assert code == 0
    assert [each["study_name"] for each in json.loads(out)["studies"]] == ["first", "second"]
    code, _, err = call(capsys, "export", *studies, "--to", "katib")
    assert (code, "has one study: export 2 one by one" in err) == (1, True)
    code, _, err = call(capsys, "export", *studies, "absent.yaml", "--to", "optuna")
    assert (code, "absent.yaml is none" in err) == (1, True)
