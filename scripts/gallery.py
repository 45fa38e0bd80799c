"""Runs templates and writes docs/gallery.md, with a picture from the report of each.

    python -m scripts.gallery [NAME]...

Without names, it runs all templates. Trials run in the active environment, which must have what
the READMEs of the templates install. Without a run, `--page` writes only the page. Needs Chromium.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from cloudtune.cli.templates import describe_templates, template_names
from tests.cloudtune.reporting.documents.browser import browser

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "gallery.md"
IMAGES = ROOT / "docs" / "images" / "gallery"
CHARTS = ("front-chart", "learning-chart", "progress-trials-0")
"""The picture of a template is the first of these charts that its report has."""
HEAD = """\
# The templates

```sh
cloudtune init          # lists the templates
cloudtune init NAME     # writes one into the folder NAME
```

A template is a study, a script that runs offline, and a README with measured results. Each runs
unchanged on your machine and on every emulator and service. Each picture is from the report of one
run, on two cores of a busy machine; the CPU time is that of the whole run.
`python -m scripts.gallery` writes this page.

| template | what it shows | trials | CPU time |
|---|---|---|---|
"""


def main(names: list[str]) -> None:
    """Run the templates, store their pictures and facts, and write the page."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in () if names == ["--page"] else names or template_names():
        with tempfile.TemporaryDirectory() as folder:
            facts = run(name, Path(folder))
            take_picture(Path(folder) / "report.html", IMAGES / f"{name}.png")
        (IMAGES / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
        print(name, facts, file=sys.stderr)  # noqa: T201
    PAGE.write_text(render(), "utf-8")


def run(name: str, folder: Path) -> dict[str, Any]:
    """Run a template in an empty folder, write its report there, and return what it took."""
    cloudtune(folder, "init", "--template", name, ".")
    before = cpu_seconds()
    (result,) = json.loads(cloudtune(folder, "run", "study.yaml", "--json"))
    seconds = cpu_seconds() - before
    cloudtune(folder, "report", "-o", "report.html")
    states = [trial["state"] for trial in result["trials"]]
    return {
        "trials": len(states),
        "stopped_early": states.count("stopped_early"),
        "cpu_seconds": round(seconds),
        "date": datetime.now(UTC).date().isoformat(),
    }


def cpu_seconds() -> float:
    """Return the CPU time of all processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cloudtune(folder: Path, *words: str) -> str:
    """Run a command of cloudtune in a folder, and return its output."""
    return subprocess.run(
        [sys.executable, "-m", "cloudtune", *words],
        cwd=folder,
        env={**os.environ, "CLOUDTUNE_HOME": str(folder / ".cloudtune")},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def take_picture(report: Path, picture: Path) -> None:
    """Write a picture of the most telling chart of a report."""
    with browser() as chromium:
        page = chromium.new_page(
            viewport={"width": 760, "height": 900}, color_scheme="light", reduced_motion="reduce"
        )
        page.goto(report.resolve().as_uri())
        expect(page.locator("[data-chart]:not([data-drawn])")).to_have_count(0, timeout=300_000)
        choose_chart(page).screenshot(path=picture)


def choose_chart(page: Page) -> Locator:
    """Return the first of `CHARTS` that a report has."""
    charts = [page.locator(f'[data-chart="{name}"]') for name in CHARTS]
    return next(chart for chart in charts if chart.count())


def render() -> str:
    """Return the page of the templates that have been run."""
    described = describe_templates()
    facts = {name: IMAGES / f"{name}.json" for name in described}
    stored = {name: json.loads(f.read_text("utf-8")) for name, f in facts.items() if f.exists()}
    rows = [
        f"| [{name}](../templates/{name}/README.md) | {described[name]} | {count(each)} "
        f"| {each['cpu_seconds']} s |\n"
        for name, each in stored.items()
    ]
    pictures = [
        f"\n## {name}\n\n{described[name]}\n\n"
        f"![A chart from the report of {name}](images/gallery/{name}.png)\n"
        for name in stored
    ]
    return "".join([HEAD, *rows, *pictures])


def count(facts: dict[str, Any]) -> str:
    """Return how many trials there were, and how many of them early stopping ended."""
    stopped = facts["stopped_early"]
    return f"{facts['trials']}, {stopped} stopped early" if stopped else str(facts["trials"])


if __name__ == "__main__":
    main(sys.argv[1:])
