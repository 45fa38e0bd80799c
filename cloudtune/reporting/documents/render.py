"""A comparison as one document in a given format."""

from __future__ import annotations

from pathlib import Path

from cloudtune.comparison.comparison import Comparison
from cloudtune.errors import UsageError

_SUFFIXES = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json", ".txt": "text"}


def report_format(path: Path) -> str:
    """Return the format that a file's suffix stands for.

    Raises:
        UsageError: If the suffix is unknown.
    """
    form = _SUFFIXES.get(path.suffix.lower())
    if form is None:
        known = ", ".join(_SUFFIXES)
        raise UsageError(f"{path}: unknown report format; use one of the suffixes {known}")
    return form


def render_report(comparison: Comparison, form: str, width: int | None = None) -> str:
    """Return a comparison as ``text``, ``html``, ``markdown``, or ``json``.

    The width is that of the terminal in columns; None if text does not go to a terminal.

    Raises:
        MissingExtraError: If HTML needs a package that is not installed.
    """
    if form == "html":
        from cloudtune.reporting.documents.html.page import render_html

        return render_html(comparison)
    if form == "markdown":
        from cloudtune.reporting.documents.markdown import render_markdown

        return render_markdown(comparison)
    if form == "json":
        return comparison.to_json() + "\n"
    from cloudtune.reporting.documents.text import render_text

    return render_text(comparison, width)
