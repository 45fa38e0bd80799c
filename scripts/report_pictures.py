"""Creates the pictures of a report in docs/images from a page that `cloudtune report` wrote.

    pip install -e '.[emulators,report,quickstart]'
    cd templates/quickstart
    cloudtune run study.yaml --on local --on sagemaker --on vertex --on watson --emulate
    cloudtune report -o ../../report.html
    cd ../..
    python -m scripts.report_pictures report.html

Needs Chromium, as the tests of the page do.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import expect

from tests.cloudtune.reporting.documents.browser import browser

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTH = 1160
SHOWN = {
    "report.png": ("header", "#top"),
    "report-search.png": ("#charts", "#answers"),
    "report-space.png": ("#space", "#time"),
}
"""From which part of the page to before which other."""


def main() -> None:
    """Write the pictures."""
    with browser() as chromium:
        page = chromium.new_page(
            viewport={"width": WIDTH, "height": 900}, color_scheme="light", reduced_motion="reduce"
        )
        page.goto(Path(sys.argv[1]).resolve().as_uri())
        expect(page.locator("[data-chart]:not([data-drawn])")).to_have_count(0, timeout=60_000)
        for name, (first, beyond) in SHOWN.items():
            ends = [page.locator(place).first.bounding_box() for place in (first, beyond)]
            assert ends[0] is not None
            assert ends[1] is not None
            top, bottom = ends[0]["y"], ends[1]["y"]
            page.screenshot(
                path=IMAGES / name,
                full_page=True,
                clip={"x": 0, "y": top, "width": WIDTH, "height": bottom - top},
            )


if __name__ == "__main__":
    main()
