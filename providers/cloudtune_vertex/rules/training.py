"""Rules of the custom jobs of the driven mode."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Note, Study
from cloudtune_vertex.rules.tuning import HYPERTUNE_FIELDS, trial_timeout_note


def training_rules(study: Study) -> Iterator[Note]:
    """Yield the notes on custom jobs."""
    from cloudtune_vertex.training_client import POLL_SECONDS

    for index, objective in enumerate(study.objectives):
        if objective.metric in HYPERTUNE_FIELDS:
            yield Note(
                f"{study.objective_path(index)}.metric",
                f"cloudml-hypertune cannot report {objective.metric}, which is another field of "
                "its file: report it by cloudtune.trial, or print it",
            )
    text = (
        "a custom job returns no metrics: a trial writes them to Cloud Storage at most every 5s, "
        f"and cloudtune reads them every {POLL_SECONDS:g}s, so a trial may run longer before it is "
        "stopped"
    )
    if study.early_stopping:
        yield Note("early_stopping", text)
    elif study.strategy.name == "hyperband":
        yield Note("strategy.name", text)
    yield from trial_timeout_note(study)
