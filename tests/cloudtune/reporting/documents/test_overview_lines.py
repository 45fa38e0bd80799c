"""The page on reports has every line of the overview."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from cloudtune.reporting.documents import overview

PAGE = Path(__file__).parents[4] / "docs" / "reports.md"
OTHERS = {"What to run next"}
"""The rows of the table that are no lines of the overview."""


def test_the_page_has_each_line() -> None:
    titles = re.findall(r'yield f?"([^"{]+)', inspect.getsource(overview))
    table = PAGE.read_text("utf-8").partition("\n## One run\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([A-Z][^|]+) \|", table, re.MULTILINE)
    described = {title for row in rows for title in row.split(", ")}
    assert described - OTHERS == set(titles), "compare docs/reports.md with _items"
