"""Each template as `cloudtune init` writes it, without its framework: study, plans and README."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from cloudtune import api
from cloudtune.cli.templates import template_names, write_template
from cloudtune.errors import RunFailedError
from cloudtune.planning.full_check import check_study
from cloudtune.provider import registry
from cloudtune.search.rungs import study_rungs
from cloudtune.study.json_schema import json_schema_text
from cloudtune.study.loader import load
from scripts import gallery
from tests import templates
from tests.waiting import wait_until

EVERY = pytest.mark.parametrize("name", templates.NAMES)
LONGEST_README = 60
LONGEST_DESCRIPTION = 90
LARGEST = 100_000
LARGEST_PICTURE = 150_000
SETTINGS = re.compile(r"^  # (\w+): \{[^}]*\}", re.MULTILINE)
"""The settings of a service that a user fills in, as comments."""
PROVIDERS = re.compile(r"^providers:\n(  .*\n)+\Z", re.MULTILINE)
BACKEND = re.compile(r"^  watson: \{backend: wml\}", re.MULTILINE)
SERVICES = {*registry.names()} - {"local"}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder; runs and plans are below it."""
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    return tmp_path / "study"


def test_each_folder_is_a_template() -> None:
    folders = sorted(path.name for path in templates.ROOT.iterdir() if path.is_dir())
    assert folders == templates.NAMES
    assert sorted(template_names()) == templates.NAMES


@EVERY
def test_it_is_small_and_complete(name: str, write: Path) -> None:
    files = {path.relative_to(write).as_posix() for path in write_template(name, write)}
    assert {"study.yaml", "README.md", ".study.schema.json"} <= files
    content = files - {".study.schema.json"}
    assert sum((write / file).stat().st_size for file in content) < LARGEST
    assert not [file for file in content if file.endswith((".pyc", ".ipynb"))]


@EVERY
def test_editors_find_the_schema(name: str, write: Path) -> None:
    write_template(name, write)
    first = (write / "study.yaml").read_text("utf-8").partition("\n")[0]
    assert first == "# yaml-language-server: $schema=.study.schema.json"
    assert (write / ".study.schema.json").read_text("utf-8") == json_schema_text()
    assert not (templates.ROOT / name / ".study.schema.json").exists(), "init writes it"


@EVERY
def test_its_study_has_no_mistakes(name: str, write: Path) -> None:
    write_template(name, write)
    result = check_study(str(write / "study.yaml"))
    assert result.problems == []
    assert [each for findings in result.findings.values() for each in findings] == []
    study = load(write / "study.yaml")
    assert study.description
    assert len(study.description) <= LONGEST_DESCRIPTION
    assert "\n" not in study.description.strip()


@EVERY
def test_every_provider_can_run_it(name: str, write: Path) -> None:
    write_template(name, write)
    study = load(write / "study.yaml")
    for plan in api.plan(study, registry.names(), emulate=True):
        assert not plan.broken, plan
        assert [str(each) for each in plan.findings if each.kind == "refused"] == []


@EVERY
def test_the_settings_to_fill_in_are_right(name: str, write: Path) -> None:
    write_template(name, write)
    file = write / "study.yaml"
    text = file.read_text("utf-8")
    assert PROVIDERS.search(text), "providers is the last block, to which init adds the settings"
    named = SETTINGS.findall(text)
    assert {*named, *load(file).providers} == SERVICES
    filled = SETTINGS.sub(lambda match: match[0].replace("  # ", "  "), BACKEND.sub("", text))
    file.write_text(filled, "utf-8")
    for plan in api.plan(load(file), named):
        assert not plan.broken, plan
        assert [str(each) for each in plan.findings if each.path.startswith("providers.")] == []


@EVERY
def test_hyperband_has_no_gap_before_its_maximum(name: str) -> None:
    """With a minimum that is slightly too large, the rung before the maximum is missing."""
    study = load(templates.ROOT / name / "study.yaml")
    if study.strategy.name == "hyperband":
        *_, last, maximum = study_rungs(study)
        assert maximum / last <= 1.1 * (study.strategy.eta or 3)


@EVERY
def test_its_readme_is_one_screen_and_needs_no_other_page(name: str) -> None:
    text = templates.read_me(name)
    assert len(text.splitlines()) <= LONGEST_README
    assert re.findall(r"\]\((?!https://)[^)]+\)", text) == [], "relative links do not survive init"
    assert "cloudtune run study.yaml" in templates.commands(name)


@EVERY
def test_what_it_installs_is_what_init_and_services_install(name: str) -> None:
    has_requirements = (templates.ROOT / name / "requirements.txt").exists()
    installs = [line for line in templates.preparation(name) if line.startswith("pip ")]
    assert installs == ["pip install -r requirements.txt"] * has_requirements


@EVERY
def test_its_readme_says_what_every_run_reaches(name: str) -> None:
    objectives = load(templates.ROOT / name / "study.yaml").objective
    assert objectives
    goals = {each.metric: each.goal for each in objectives}
    signs = {"maximize": ">=", "minimize": "<="}
    for condition in templates.conditions(name):
        assert condition.sign == signs[goals[condition.metric]]


@EVERY
def test_it_names_no_machine_and_no_key(name: str) -> None:
    for path in (templates.ROOT / name).rglob("*"):
        if path.is_file():
            secret_or_path = r"AKIA[0-9A-Z]{16}|BEGIN .*PRIVATE KEY|/(home|root|tmp|Users)/"
            assert not re.search(secret_or_path, path.read_text("utf-8"))


class TestCheckOfAnImage:
    """The parts that read files; tests/e2e starts the whole script."""

    FOLDER = templates.ROOT / "own-container"

    @pytest.fixture
    def module(self) -> dict[str, Any]:
        return runpy.run_path(str(self.FOLDER / "check_image.py"))

    def problems(self, module: dict[str, Any], text: str) -> list[str]:
        return [*module["check_dockerfile"](module["instructions"](text))]

    def test_it_accepts_the_dockerfile(self, module: dict[str, Any]) -> None:
        text = (self.FOLDER / "Dockerfile").read_text("utf-8")
        assert self.problems(module, text) == []

    def test_it_finds_faults(self, module: dict[str, Any]) -> None:
        text = (self.FOLDER / "Dockerfile").read_text("utf-8")
        (problem,) = self.problems(module, text + 'entrypoint ["python"]\n')
        assert "ENTRYPOINT" in problem
        install = re.compile(r"^RUN --mount.*\n.*\n", re.MULTILINE)
        (problem,) = self.problems(module, install.sub("", text))
        assert "does not install the wheels" in problem
        with pytest.raises(SystemExit, match="needs one line `RUN pip wheel"):
            module["wheel_command"](module["instructions"](text.replace("pip wheel", "pip get")))

    def test_it_reads_requirements_with_comments(self, module: dict[str, Any]) -> None:
        text = "# for all\nscikit-learn>=1.5  # two words\n--no-binary x\nnumpy >= 2\n"
        words = ["sagemaker-training==5.1.4", "-r", "requirements.txt"]
        names = module["package_names"](words, text)
        assert names == ["sagemaker-training", "scikit-learn", "numpy"]


DETERMINISTIC = """
from cloudtune.trial import params, report
p = params()
report(accuracy=p["rate"] + p["momentum"] - p["hidden"] / 100 - p["batch"] / 100 - p["l2"])
"""


def test_the_assistant_proposes_one_change_at_a_time_to_what_it_keeps(write: Path) -> None:
    write_template("assistant", write)
    (write / "train.py").write_text(DETERMINISTIC, "utf-8")  # without scikit-learn
    overrides = ["strategy.name=external", "limits.max_trials=6"]
    run = api.start(load(write / "study.yaml", overrides=overrides))
    wait_until(lambda: run.results().trials)
    runpy.run_path(str(write / "assistant.py"), run_name="__main__")
    first, *others = run.wait().results().trials
    assert first.proposal is None, "the defaults are the study's initial trial"
    assert len(others) == 5
    kept = first
    for trial in others:
        changed = [
            name for name, value in trial.parameters.items() if kept.parameters[name] != value
        ]
        assert len(changed) == 1
        assert trial.why.startswith(f"{changed[0]}: ")
        assert trial.objective
        assert kept.objective
        kept = trial if trial.objective > kept.objective else kept


def test_the_assistant_ends_if_no_trial_completes(
    write: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_template("assistant", write)
    (write / "train.py").write_text("raise SystemExit(2)", "utf-8")
    run = api.start(load(write / "study.yaml", overrides=["strategy.name=external"]))
    wait_until(lambda: run.results().trials)
    runpy.run_path(str(write / "assistant.py"), run_name="__main__")
    assert f"run {run.id} has ended (all 3 trials failed alike" in capsys.readouterr().out
    with pytest.raises(RunFailedError):
        run.wait()


def test_the_gallery_is_current_and_its_pictures_are_small() -> None:
    """To write the page anew: python -m scripts.gallery --page."""
    assert gallery.PAGE.read_text("utf-8") == gallery.render()
    pictures = {path.stem: path for path in gallery.IMAGES.glob("*.png")}
    assert {*pictures} == {path.stem for path in gallery.IMAGES.glob("*.json")}
    assert {*pictures} == {*templates.NAMES}
    assert all(path.stat().st_size < LARGEST_PICTURE for path in pictures.values())


def test_the_readme_lists_all_templates() -> None:
    text = (templates.ROOT.parent / "README.md").read_text("utf-8")
    table = text.partition("| template | shows |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)) == templates.NAMES
