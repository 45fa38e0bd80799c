"""The result of `cloudtune check` as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudtune.reporting.phrases import location_prefix
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.study.quantities import format_count

if TYPE_CHECKING:
    from cloudtune.planning.full_check import CheckResult


def format_check(result: CheckResult) -> list[str]:
    """Return the mistakes, notes and findings of a check as lines."""
    lines = [str(problem) for problem in result.problems]
    if lines:
        lines.append(f"{format_count(len(lines), 'mistake')}.")
    study = result.study
    if study is None:
        return [sanitize_line(line) for line in lines]
    notes = [n for n in result.notes if n.severity == "warning" or not result.problems]
    lines += [f"{n.severity}: {location_prefix(study, n.path)}{n}" for n in notes]
    lines += [f"{p.provider}: cannot be planned: {p.broken}" for p in result.plans if p.broken]
    for provider, findings in result.findings.items():
        refused = any(finding.kind == "refused" for finding in findings)
        verb = "cannot run this study" if refused else "can run this study only in part"
        lines += [f"{provider} {verb}:"] if findings else []
        lines += [f"  {location_prefix(study, finding.path)}{finding}" for finding in findings]
    return [sanitize_line(line) for line in lines]
