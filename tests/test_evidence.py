"""The page that says what each operation and field of the services rests on."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from cloudtune_sagemaker import rights as sagemaker
from cloudtune_vertex import rights as vertex
from scripts import evidence
from tests.providers import TUNERS

EMULATORS = {
    "sagemaker": ("cloudtune_sagemaker", "sagemaker"),
    "vertex": ("cloudtune_vertex", "vertex"),
    "azure": ("cloudtune_azure", "azure"),
    "ibm": ("cloudtune_watson", "watson"),
}


NO_FIELDS = frozenset(
    ["HeadFile", "GetExecLog", "GetExecResult", "StopSearch", "ForceStopSearch", "StopExec"]
)
"""Operations of IBM whose answers are empty, or a file."""


def test_each_service_with_a_tuner_is_on_the_page() -> None:
    assert {name for _, name in EMULATORS.values()} == {*TUNERS}


def test_the_page_is_what_its_script_writes() -> None:
    assert evidence.PAGE.read_text("utf-8") == evidence.page(), "run scripts/evidence.py"


@pytest.mark.parametrize("service", EMULATORS)
def test_the_page_has_every_operation_of_the_emulator(service: str) -> None:
    package, _ = EMULATORS[service]
    operations = import_module(f"{package}.emulator.operations").OPERATIONS
    assert set(evidence.DATA[service]["operations"]) == set(operations)


def test_the_page_has_every_call_of_another_service() -> None:
    listed = {
        call
        for about in evidence.DATA.values()
        for each in about["others"].values()
        for call in each["calls"]
    }
    names = {call.partition(":")[2] or call for call in listed}
    pattern = re.compile(r'"(?:s3|sts|iam|logs|ecr)",\s*"(\w+)"')
    sources = (evidence.ROOT / "providers" / "cloudtune_sagemaker").rglob("*.py")
    called = {
        "".join(word.title() for word in name.split("_"))
        for path in sources
        if "emulator" not in path.parts
        for name in pattern.findall(path.read_text("utf-8"))
    }
    rights = (*sagemaker.CALLER, *sagemaker.ROLE, *sagemaker.DOCTOR)
    used = {each.action for each in rights if not each.action.startswith("sagemaker:")}
    google = {*(each.action for each in vertex.CALLER), *vertex.DOCTOR}
    google = {name for name in google if not name.startswith("aiplatform.")}
    assert called | {name.partition(":")[2] for name in used} <= names
    assert google <= listed


def test_each_operation_of_ibm_has_the_fields_of_its_answers() -> None:
    operations = evidence.DATA["ibm"]["operations"]
    without = {name for name, each in operations.items() if not each.get("fields")}
    empty = {name for name in without if name.startswith("Delete") or name in NO_FIELDS}
    assert without == empty
    for each in operations.values():
        for basis in each.get("fields", {}):
            assert not basis.startswith("as ") or basis.removeprefix("as ") in operations


@pytest.mark.parametrize("service", EMULATORS)
def test_each_provider_leads_to_the_page(service: str) -> None:
    page = (evidence.ROOT / "docs" / f"{EMULATORS[service][1]}.md").read_text("utf-8")
    readme = (evidence.ROOT / "README.md").read_text("utf-8")
    anchor = evidence.DATA[service]["title"].lower().replace(" ", "-")
    assert f"evidence.md#{anchor}" in page
    assert f"docs/evidence.md#{anchor}" in readme


OPEN = re.compile(r"\bnot (?:been )?(?:verified|established)\b", re.IGNORECASE)
OTHERS = frozenset(["commands.md", "emulators.md", "evidence.md", "formats.md", "how-it-works.md"])
"""Pages whose sentences are about no service, and the page itself."""


def prose(file: Path) -> str:
    """Return the text of a page or a source in one line."""
    text = file.read_text("utf-8")
    if file.suffix == ".py":
        text = re.sub(r'"\s*\n\s*f?"', "", text)
    return " ".join(text.split())


def sentences(file: Path) -> list[str]:
    """Return the texts of a file that the tables have."""
    name = file.relative_to(evidence.ROOT).as_posix()
    found: set[str] = set()
    for about in evidence.DATA.values():
        for each in about["not verified"]:
            texts = each.get("in", {}).get(name, [])
            found.update([texts] if isinstance(texts, str) else texts)
    return sorted(found)


def test_each_sentence_that_is_not_verified_is_in_a_table() -> None:
    root = evidence.ROOT
    pages = [page for page in (root / "docs").glob("*.md") if page.name not in OTHERS]
    missing: list[str] = []
    for file in [*pages, *(root / "providers").rglob("*.py")]:
        text = prose(file)
        for known in sentences(file):
            text = text.replace(known, "")
        missing += [
            f"{file}: {text[max(0, each.start() - 90) : each.end()]}"
            for each in OPEN.finditer(text)
        ]
    assert missing == [], "add it to docs/evidence.json: a check, or why no small job answers it"


def test_each_sentence_of_a_table_is_still_said() -> None:
    for about in evidence.DATA.values():
        for each in about["not verified"]:
            for name, texts in each.get("in", {}).items():
                text = prose(evidence.ROOT / name)
                for known in [texts] if isinstance(texts, str) else texts:
                    assert OPEN.search(known), known
                    assert known in text, f"{name}: {known}"


@pytest.mark.parametrize("service", EMULATORS)
def test_each_page_leads_to_what_is_not_verified(service: str) -> None:
    about = evidence.DATA[service]
    page = (evidence.ROOT / "docs" / about["page"]).read_text("utf-8")
    anchor = about["title"].lower().replace(" ", "-")
    assert f"(evidence.md#{anchor}-not-verified)" in page
    listed = [each["sentence"] for each in about["not verified"]]
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("service", EMULATORS)
def test_a_sentence_has_a_check_or_a_reason(service: str) -> None:
    rows = evidence.DATA[service]["not verified"]
    assert all(each.get("no job", "a check") for each in rows)
    checked = [each["sentence"] for each in rows if "no job" not in each]
    assert sorted(evidence.questions(service)) == sorted(checked)
    text = evidence.PAGE.read_text("utf-8")
    assert text.count("| **check** |") == sum(len(evidence.questions(each)) for each in EMULATORS)
