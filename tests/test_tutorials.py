"""The tutorials do what they say, and their pictures show what a reader sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloudtune.reporting.documents.browser import LONGEST, browser
from tests.pages import Reader

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS / "start.md", *sorted(DOCS.glob("tutorials/*.md"))]
SHOWN = {
    "own-script-report.png": "#verdict",
    "start-report.png": "#verdict .overview",
    "three-services-report.png": "#verdict article",
}
"""Which part of a report a picture shows."""


def look(report: Path, name: str) -> tuple[str, bytes]:
    """Return the text of the part of a report that a picture shows, and the picture."""
    with browser() as chromium:
        page = chromium.new_page(
            viewport={"width": 1000, "height": 900}, color_scheme="light", reduced_motion="reduce"
        )
        page.set_default_timeout(LONGEST)
        page.goto(report.as_uri())
        part = page.locator(SHOWN[name]).first
        return part.inner_text(), part.screenshot()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_reader_gets_what_the_tutorial_shows(page: Path, tmp_path: Path) -> None:
    """To write what it shows anew: CLOUDTUNE_RENEW=1 ./test -m slow tests/test_tutorials.py."""
    Reader(page, tmp_path / "moons", look).follow()
