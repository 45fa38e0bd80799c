"""The documentation is true where a machine can tell."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from cloudtune.cli.main_group import cloudtune
from cloudtune.provider import registry
from cloudtune.results.events import OPEN_JOB_STATES, RunJobState
from cloudtune.study import fields as fields_of_study
from cloudtune.study import schema as study_schema
from cloudtune.study import yaml_reader
from cloudtune.study.json_schema import json_schema
from cloudtune.study.key_examples import KEY_EXAMPLES
from cloudtune.study.loader import load
from cloudtune.study.schema import Json
from cloudtune.study.study import Study
from scripts.capability_table import capability_table
from scripts.settings_tables import RIGHTS, rights_table, settings_table
from scripts.study_reference import BLOCKS, format_flow, study_table

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("templates/**/*.md")]
    if path.is_file()
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
FENCE = re.compile(r"^```(\w*)[^`\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
MENTION = re.compile(r"(?:^|&& |\$ )cloudtune +([a-z]\S*)([^#&|]*)")
OPTION = re.compile(r"(?<!\S)(--[a-z][a-z-]*|-o)\b")
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".svg", ".sh", ".cfg", ""}
MOST_WORDS = 40_000
MACHINE = re.compile(
    r"/(?:root|work|home/\w+|Users/\w+)/|pypi\.org|npmjs|registry\.npm|pythonhosted"
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """Return the anchors that a renderer gives to the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_relative_link_leads_somewhere(page: Path) -> None:
    for match in LINK.finditer(page.read_text("utf-8")):
        target, _, anchor = (match[1] or match[2]).partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), match[0]
        assert found.is_relative_to(ROOT), match[0]
        if anchor:
            assert anchor in anchors(found), match[0]


def calls(page: Path) -> Iterator[tuple[str, str]]:
    """Yield each command of ours that a page names, with the rest of its line."""
    text = page.read_text("utf-8")
    blocks = [body for kind, body in FENCE.findall(text) if kind in {"sh", "bat", ""}]
    lines = [line for body in blocks for line in body.split("\n")]
    for said in [*lines, *INLINE.findall(FENCE.sub("", text))]:
        for match in MENTION.finditer(said.strip()):
            yield match[1], match[2]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_command_and_option_that_is_named_exists(page: Path) -> None:
    context = click.Context(cloudtune)
    for name, rest in calls(page):
        command = cloudtune.get_command(context, name)
        assert command is not None, f"cloudtune {name}"
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(OPTION.findall(rest)) <= known | {"--help"}, f"cloudtune {name} {rest}"


def test_the_readme_names_every_command() -> None:
    named = {name for name, _ in calls(ROOT / "README.md")}
    assert named >= set(cloudtune.list_commands(click.Context(cloudtune)))


def test_the_scripts_that_the_readme_names_can_be_run() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"^\./(\w+)", text, re.MULTILINE))
    assert named == {"quickstart", "test"}
    for name in named:
        assert (ROOT / name).stat().st_mode & 0o111, name


def studies(page: Path) -> list[str]:
    blocks = FENCE.findall(page.read_text("utf-8"))
    return [
        body for kind, body in blocks if kind == "yaml" and re.search(r"^parameters:", body, re.M)
    ]


STUDIES = [(name_of(page), body) for page in PAGES for body in studies(page)]


@pytest.mark.parametrize("body", [body for _, body in STUDIES], ids=[name for name, _ in STUDIES])
def test_each_study_that_is_shown_is_right(body: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(body, "utf-8")
    assert load(path).parameters


def test_one_page_says_when_a_job_ends_in_each_state() -> None:
    page = (ROOT / "docs" / "side-by-side.md").read_text("utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.count("|") == 4]
    named = {state for row in rows for state in INLINE.findall(row[2])}
    states = {state for each in get_args(RunJobState) for state in get_args(each)}
    assert states - OPEN_JOB_STATES <= named


def test_the_readme_shows_a_study() -> None:
    assert "README.md" in {name for name, _ in STUDIES}


def test_each_provider_has_a_page_and_a_line_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for folder in (ROOT / "providers").glob("cloudtune_*"):
        name = folder.name.removeprefix("cloudtune_")
        assert name in registry.names()
        assert (ROOT / "docs" / f"{name}.md").is_file()
        assert f"docs/{name}.md" in readme


def test_one_page_has_the_table_of_what_the_providers_can_do() -> None:
    """To write the table anew: CLOUDTUNE_RENEW=1 ./test tests/test_docs.py."""
    capabilities = {name: registry.get(name).capabilities for name in registry.names()}
    driven = {name: each.driven for name, each in capabilities.items() if each.driven}
    tables = {capability_table({"driven": each}) for each in driven.values()}
    assert len(tables) == 1, "the column for driven modes is one for all providers"
    managed = {f"`{name}`, managed": each.managed for name, each in capabilities.items()}
    modes = {"driven": driven["local"], **{name: each for name, each in managed.items() if each}}
    check_section(ROOT / "docs" / "services.md", "capabilities", capability_table(modes))


@pytest.mark.parametrize("name", registry.names())
def test_the_page_of_a_provider_leads_to_what_it_can_do(name: str) -> None:
    text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    assert "(services.md#capabilities)" in text


def check_section(page: Path, mark: str, content: str) -> None:
    """Assert that the part of a page after a mark is current; renew it if that is wanted."""
    before, start, rest = page.read_text("utf-8").partition(f"<!-- {mark} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    assert start, f"{page.name} needs the mark <!-- {mark} -->"
    assert end, f"{page.name} needs the mark that ends the table"
    wanted = before + start + content + end + after
    if os.environ.get("CLOUDTUNE_RENEW"):
        page.write_text(wanted, "utf-8")
    assert page.read_text("utf-8") == wanted


def test_the_files_that_several_providers_have_are_described() -> None:
    text = (ROOT / "docs" / "how-it-works.md").read_text("utf-8")
    files = [
        {path.stem for path in folder.iterdir() if not path.name.startswith(("_", "py.typed"))}
        for folder in (ROOT / "providers").glob("cloudtune_*")
    ]
    shared = {name for own in files for name in own if sum(name in each for each in files) > 1}
    assert [name for name in shared if not re.search(rf"\b{name}\b", text)] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/how-it-works.md"])
def test_the_files_that_show_where_a_change_goes_exist(page: str) -> None:
    folders = "cloudtune|docs|providers|scripts|templates|tests"
    named = re.findall(rf"`((?:{folders})/[^`\s]*)`", (ROOT / page).read_text("utf-8"))
    missing = [each for each in named if not [*ROOT.glob(each.replace("X", "*").rstrip("/"))]]
    assert named
    assert missing == []


def test_the_pages_that_are_written_by_hand_are_short() -> None:
    """Words count unless a script or a test writes them: whole pages, or what is between marks."""
    made = {"commands.md", "evidence.md", "gallery.md", "json.md", "troubleshooting.md"}
    table = re.compile(r"<!-- .*? -->\n.*?<!-- end -->", re.DOTALL)
    pages = [page for page in (ROOT / "docs").glob("*.md") if page.name not in made]
    words = {page.name: len(table.sub("", page.read_text("utf-8")).split()) for page in pages}
    assert sum(words.values()) <= MOST_WORDS, f"shorten a page: {words}"


@pytest.mark.parametrize("name", registry.names())
def test_the_page_of_a_provider_has_its_settings(name: str) -> None:
    """To write the tables anew: CLOUDTUNE_RENEW=1 ./test tests/test_docs.py."""
    check_section(ROOT / "docs" / f"{name}.md", f"settings: {name}", settings_table(name))


@pytest.mark.parametrize("name", RIGHTS)
def test_the_page_of_a_provider_has_the_rights_of_a_run(name: str) -> None:
    """To write the tables anew: CLOUDTUNE_RENEW=1 ./test tests/test_docs.py."""
    check_section(ROOT / "docs" / f"{name}.md", f"rights: {name}", rights_table(name))


@pytest.mark.parametrize("block", BLOCKS)
def test_the_page_of_the_study_file_has_the_keys_of_each_block(block: str) -> None:
    """To write the tables anew: CLOUDTUNE_RENEW=1 ./test tests/test_docs.py."""
    check_section(ROOT / "docs" / "study.md", f"keys: {block}", study_table(block))


def test_each_key_of_the_study_file_is_on_its_page_and_has_an_example() -> None:
    models = [model for block in BLOCKS.values() for model in block]
    schema = json_schema()
    assert set(models) == {"Study", *schema["$defs"]} - {"Parameter"}
    known = {**vars(study_schema), **vars(fields_of_study), "Study": Study}
    for model in models:
        fields = known[model].model_fields
        assert {info.alias or name for name, info in fields.items()} == set(KEY_EXAMPLES[model])


def blocks_with(model: str, key: str) -> Json:
    """Return a study with the example of a key, and with what that example needs."""
    example = {key: KEY_EXAMPLES[model][key]}
    study: Json = {
        "parameters": {
            "model": {"type": "categorical", "values": ["boosting", "svm"]},
            "depth": {"type": "int", "min": 1, "max": 4},
            "speed": {"type": "bool"},
            "lr": {"type": "float", "min": 0, "max": 1},
        }
    }
    match model:
        case "Study":
            return study | example
        case "Objective":
            return study | {"objective": {"metric": "m", "goal": "minimize", **example}}
        case "Strategy":
            hyperband = {"name": "hyperband", "max": 27}
            needs = hyperband if key in {"name", "resource", "min", "max", "eta"} else {}
            needs = {"proposals": 0.3} if key == "proposal_wait" else needs
            return study | {"strategy": needs | example}
        case "EarlyStopping":
            rules = {"slack": "bandit", "slack_amount": "bandit", "eta": "halving"}
            rule = rules.get(key, "auto")
            return study | {"early_stopping": {"rule": rule, **example}}
        case "WarmStart":
            return study | {"warm_start": {"from": "k7f2", **example}}
        case "Confirm":
            return study | {"confirm": {"metric": "test", **example}}
        case "Notify":
            return study | {"notify": {"command": ["./tell.sh"], **example}}
        case "Limits":
            return study | {"limits": example}
        case "TrialSpec":
            return study | {"trial": {"inputs": {"images": "../images"}, **example}}
        case "Resources":
            return study | {"trial": {"resources": example}}
        case "Retry":
            return study | {"trial": {"retry": {"on": "memory", **example}}}
        case "Input":
            return study | {"trial": {"inputs": {"images": {"sagemaker": {"uri": "x", **example}}}}}
        case "FromEnvironment":
            return study | {"trial": {"env": {"HF_TOKEN": example}}}
        case _:
            study["parameters"]["p"] = KEY_EXAMPLES[model]
            return study


@pytest.mark.parametrize(
    ("model", "key"), [(model, key) for model, keys in KEY_EXAMPLES.items() for key in keys]
)
def test_the_example_of_each_key_is_right(model: str, key: str) -> None:
    study = blocks_with(model, key)
    assert yaml_reader.parse(format_flow(study), "study").data == study
    jsonschema: Any = pytest.importorskip("jsonschema")
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(study)) == []
    assert load(study).parameters


def test_the_rules_keep_their_numbers() -> None:
    text = (ROOT / "docs" / "semantics.md").read_text("utf-8")
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    assert numbers[:38] == list(range(1, 39))
    assert numbers == sorted(set(numbers))


def test_decisions_are_numbered_without_a_gap() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "adr").glob("*.md"))
    assert [name[:4] for name in names] == [f"{n:04}" for n in range(1, len(names) + 1)]


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("no git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix in TEXT]


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    found = {
        f"{name_of(path)}: {match[0]}"
        for path in tracked()
        if path != Path(__file__).resolve()
        for match in MACHINE.finditer(path.read_text("utf-8"))
    }
    assert found == set()
