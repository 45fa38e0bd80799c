"""Rules of trainings that cloudtune drives, one a start of a trial."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Finding, Note, Study


def driven_rules(study: Study) -> Iterator[Finding | Note]:
    """Yield what a training does otherwise than a process here, or what is worth knowing of it."""
    strategy = study.strategy
    if strategy.name == "hyperband" and strategy.resource:
        reason = (
            "each rung trains from the start: a training has a result folder of its own, and IBM "
            "documents no way to give it an earlier one's"
        )
        yield Finding("approximated", "strategy.resource", reason)
    text = (
        "a trial is judged by what IBM tells of its metrics while it runs, or by the files that it "
        "writes; until either says something, it runs on"
    )
    if study.early_stopping:
        yield Note("early_stopping", text)
    elif strategy.name == "hyperband" and not strategy.resource:
        yield Note("strategy.name", text)
