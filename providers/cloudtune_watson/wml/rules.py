"""Rules of the driven mode, which runs one training for each start of a trial."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Finding, Note, Study


def training_rules(study: Study) -> Iterator[Finding | Note]:
    """Yield how a training differs from a local trial."""
    strategy = study.strategy
    if strategy.name == "hyperband" and strategy.resource:
        reason = (
            "each rung trains from scratch: a training has its own result folder, and IBM "
            "documents no way to give it the folder of an earlier one"
        )
        yield Finding("approximated", "strategy.resource", reason)
    text = (
        "a running trial is judged by the metrics in IBM's status or in the files that it writes; "
        "without metrics there it runs on"
    )
    if study.early_stopping:
        yield Note("early_stopping", text)
    elif strategy.name == "hyperband" and not strategy.resource:
        yield Note("strategy.name", text)
