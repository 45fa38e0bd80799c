"""The page about messages is complete and up to date."""

from __future__ import annotations

import re

from scripts.check_ids import check_ids
from scripts.check_meanings import ACCOUNT, BUNDLE, SCRIPT
from scripts.troubleshooting import PAGE, troubleshooting_page
from tests.cloudtune.cli.newcomer_mistakes import MISTAKES
from tests.cloudtune.doctor.test_scripts import FAULTY


def test_the_page_is_made_from_the_messages() -> None:
    assert PAGE.read_text("utf-8") == troubleshooting_page(), (
        "run python -m scripts.troubleshooting"
    )


def test_each_check_of_the_doctor_has_an_entry() -> None:
    known = {*SCRIPT, *BUNDLE, *ACCOUNT}
    assert known == set(check_ids())
    scripts = [path.read_text("utf-8") for path in FAULTY]
    found = {name for text in scripts for name in re.findall(r"^# finds: ([\w-]+)$", text, re.M)}
    assert found
    assert found <= known


def test_each_entry_says_what_to_do() -> None:
    rows = re.findall(r"^\| <code>.*$", troubleshooting_page(), re.MULTILINE)
    cells = [re.split(r" \| ", row.strip("| ")) for row in rows]
    assert len(rows) > len(MISTAKES)
    assert [row for row in cells if len(row) != 3 or not all(row)] == []
