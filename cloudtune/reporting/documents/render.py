"""A comparison as one document in a given format."""

from __future__ import annotations

from pathlib import Path

from cloudtune.comparison.comparison import Comparison
from cloudtune.errors import UsageError

_SUFFIXES = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json", ".txt": "text"}


def form_of(path: Path) -> str:
    """Return the format that a file's suffix stands for.

    Raises:
        UsageError: If the suffix is unknown.
    """
    form = _SUFFIXES.get(path.suffix.lower())
    if form is None:
        known = ", ".join(_SUFFIXES)
        raise UsageError(f"{path}: unknown report format; use one of the suffixes {known}")
    return form


def rendered(comparison: Comparison, form: str, room: int | None = None) -> str:
    """Return a comparison as text, HTML, Markdown, or JSON.

    Args:
        comparison: The comparison to show.
        form: ``text``, ``html``, ``markdown``, or ``json``.
        room: The width of the terminal in columns; None if text does not go to a terminal.

    Raises:
        MissingExtraError: If HTML needs a package that is not installed.
    """
    if form == "html":
        from cloudtune.reporting.documents.html.page import report_page

        return report_page(comparison)
    if form == "markdown":
        from cloudtune.reporting.documents.markdown import report_markdown

        return report_markdown(comparison)
    if form == "json":
        return comparison.to_json() + "\n"
    from cloudtune.reporting.documents.text import report_text

    return report_text(comparison, room)
