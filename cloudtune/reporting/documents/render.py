"""A comparison as one document in the form that is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from cloudtune.comparison.comparison import Comparison
from cloudtune.errors import UsageError
from cloudtune.results.model import StudyResult

_SUFFIXES = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json", ".txt": "text"}


def form_of(path: Path) -> str:
    """Return the form that a file's ending asks for.

    Raises:
        UsageError: If it says none.
    """
    form = _SUFFIXES.get(path.suffix.lower())
    if form is None:
        known = ", ".join(_SUFFIXES)
        raise UsageError(f"{path} does not say which form it has: end it in one of {known}")
    return form


def rendered(
    comparison: Comparison, jobs: Sequence[StudyResult], form: str, room: int | None = None
) -> str:
    """Return a comparison as text, HTML, Markdown or JSON.

    Args:
        comparison: What is shown.
        jobs: What was compared; the page draws their trials.
        form: How.
        room: How wide the terminal is that text is for, if it is for one.

    Raises:
        MissingExtraError: If the page needs a package that is not installed.
    """
    if form == "html":
        from cloudtune.reporting.documents.html.page import report_page

        return report_page(comparison, jobs)
    if form == "text":
        from cloudtune.reporting.documents.text import report_text

        return report_text(comparison, room)
    return _markdown(comparison) if form == "markdown" else _json(comparison)


def _markdown(comparison: Comparison) -> str:
    from cloudtune.reporting.documents.markdown import report_markdown

    return report_markdown(comparison)


def _json(comparison: Comparison) -> str:
    from cloudtune.results.model import encoded

    return encoded(dataclasses.asdict(comparison)) + "\n"
