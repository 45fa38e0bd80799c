"""Studies, plans, and results as tables in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

_FORMATTERS: dict[tuple[str, str], Callable[[Any, Any], str]] = {
    ("cloudtune.study.study", "Study"): lambda snippets, study: snippets.study_html(study),
    ("cloudtune.provider.plan", "Plan"): lambda snippets, plan: snippets.plan_html(plan),
    ("cloudtune.results.model", "StudyResult"): lambda snippets, job: snippets.results_html([job]),
    ("cloudtune.api", "Results"): lambda snippets, run: snippets.results_html(run.jobs),
}


def register() -> None:
    """Register the HTML formatters with the running IPython shell, if there is one."""
    shell: Any = sys.modules["IPython"].get_ipython()
    if shell is None:
        return
    formatter = shell.display_formatter.formatters["text/html"]
    for (module, name), to_html in _FORMATTERS.items():
        formatter.for_type_by_name(module, name, _late(to_html))


def _late(to_html: Callable[[Any, Any], str]) -> Callable[[Any], str]:
    return lambda value: to_html(
        import_module("cloudtune.reporting.documents.html.snippets"), value
    )
