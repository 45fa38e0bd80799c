"""The page that says what each operation and field of the services rests on."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from cloudtune_sagemaker import rights as sagemaker
from cloudtune_vertex import rights as vertex
from scripts import evidence

EMULATORS = {
    "sagemaker": ("cloudtune_sagemaker", "sagemaker"),
    "vertex": ("cloudtune_vertex", "vertex"),
    "ibm": ("cloudtune_watson", "watson"),
}


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


@pytest.mark.parametrize("service", EMULATORS)
def test_each_provider_leads_to_the_page(service: str) -> None:
    page = (evidence.ROOT / "docs" / f"{EMULATORS[service][1]}.md").read_text("utf-8")
    readme = (evidence.ROOT / "README.md").read_text("utf-8")
    anchor = evidence.DATA[service]["title"].lower().replace(" ", "-")
    assert f"evidence.md#{anchor}" in page
    assert f"docs/evidence.md#{anchor}" in readme


def test_what_is_not_verified_is_on_the_page() -> None:
    text = evidence.PAGE.read_text("utf-8")
    assert len(re.findall("^### Not verified$", text, re.MULTILINE)) == len(EMULATORS)
    assert "the rates of the" in text


@pytest.mark.parametrize("service", EMULATORS)
def test_a_verification_answers_sentences_of_the_page(service: str) -> None:
    name = evidence.DATA[service]["page"]
    text = " ".join((evidence.ROOT / "docs" / name).read_text("utf-8").split())
    assert evidence.questions(service)
    assert not [each for each in evidence.questions(service) if f"- {each}" not in text]
