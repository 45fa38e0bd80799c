"""What only Vertex AI refuses or does otherwise: every documented limit that a study can break.

Where a limit is from, here and in the files beside this one, all read in 2026-11:

- TYPES, what fields take: `cloudtune_vertex.capabilities.TYPES`.
- TUNING, what tuning jobs support: https://docs.cloud.google.com/gemini-enterprise-agent-platform/
  machine-learning/training/using-hyperparameter-tuning; what the search behind them does:
  https://docs.cloud.google.com/gemini-enterprise-agent-platform/machine-learning/vizier/overview.
- LABELS, of every resource of Google Cloud: https://cloud.google.com/resource-manager/docs/
  labels-overview; their letters as a pattern: googleapis, google/bigtable/admin/v2/instance.proto.
- STORAGE, names of buckets and objects: https://cloud.google.com/storage/docs/naming.
- The file of metrics: hypertune.py of cloudml-hypertune 0.1.0.dev6, its only document.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.planning.native import merge
from cloudtune.provider import Facts, Finding, FittedStudy, Mode, Note, Study
from cloudtune_vertex.request import request
from cloudtune_vertex.rules.settings import HERE, settings_rules
from cloudtune_vertex.rules.trial import trial_rules
from cloudtune_vertex.rules.tuning import NOT_METRICS, tuning_rules
from cloudtune_vertex.rules.values import space_rules
from cloudtune_vertex.settings import VertexSettings


def rules(
    fitted: FittedStudy, mode: Mode, settings: VertexSettings, facts: Facts
) -> list[Finding | Note]:
    """Return the findings and notes of a study on Vertex AI, all at once."""
    return [
        *_name(fitted.study, facts),
        *settings_rules(mode, settings, facts),
        *trial_rules(fitted, mode, facts),
        *(space_rules(fitted, facts) if mode == "managed" else ()),
        *(tuning_rules(fitted, facts) if mode == "managed" else _driven(fitted)),
        *_native(fitted, mode, settings, facts),
    ]


def _name(study: Study, facts: Facts) -> Iterator[Note]:
    called = facts.job_name.rpartition("-")[0]
    if study.name and called != study.name:
        yield Note("name", f"jobs are called {facts.job_name}: lower-case letters, digits, hyphens")


def _driven(fitted: FittedStudy) -> Iterator[Note]:
    from cloudtune_vertex.training_client import POLL

    study = fitted.study
    several = len(study.objectives) > 1
    for place, objective in enumerate(study.objectives):
        if objective.metric in NOT_METRICS:
            yield Note(
                f"objective.{place}.metric" if several else "objective.metric",
                f"cloudml-hypertune cannot report {objective.metric}, which stands for something "
                "else in its file: let the script report it by cloudtune.trial, or print it",
            )
    text = (
        "a custom job returns no metrics: a trial writes them to Cloud Storage every 5s at most, "
        f"where cloudtune reads them when it looks at the jobs, each {POLL:g}s; until a trial is "
        "stopped, it runs on"
    )
    if study.early_stopping:
        yield Note("early_stopping", text)
    elif study.strategy.name == "hyperband":
        yield Note("strategy.name", text)
    if study.limits.trial_timeout is None:
        yield Note("limits.trial_timeout", "a trial ends after 7 days, if nothing else is said")


def _native(
    fitted: FittedStudy, mode: Mode, settings: VertexSettings, facts: Facts
) -> Iterator[Finding | Note]:
    if not settings.native:
        return
    path = f"{HERE}.native"
    from cloudtune_vertex.rules.native import known, problems, set_by_service, unsupported
    from cloudtune_vertex.rules.native_limits import broken

    wrong = list(unsupported(settings.native)) if mode == "managed" else []
    wrong += set_by_service(mode, settings.native)
    if known():
        strange = problems(mode, settings.native)
        wrong += strange
        if not strange:
            made = request(fitted, mode, settings, facts)
            merged, _ = merge(made, settings.native, provider="vertex", protected_paths=())
            wrong += broken(mode, made, merged)
    else:
        text = "not checked, since that needs Google's types: pip install 'cloudtune[vertex]'"
        yield Note(path, text)
    for where, reason in wrong:
        yield Finding("refused", f"{path}.{where}", reason)
