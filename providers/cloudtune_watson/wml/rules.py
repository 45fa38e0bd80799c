"""Rules of the driven mode, which runs one training for each start of a trial."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, FittedStudy, Note, Study
from cloudtune.provider.trial_checks import check_arguments
from cloudtune_watson.rules.clusters import metric_rules
from cloudtune_watson.settings import SETTINGS, WatsonSettings
from cloudtune_watson.versions import (
    STANDALONE,
    WATSON_ML_VERSIONS,
    WATSONX_AI_VERSIONS,
    parse_version,
    short_version,
)
from cloudtune_watson.wml.native_rules import native_rules


def training_rules(
    fitted: FittedStudy, settings: WatsonSettings, _facts: Facts
) -> Iterator[Finding | Note]:
    """Yield how a training differs from a local trial."""
    study = fitted.study
    yield from metric_rules(study)
    reason = "passed on one line, so values must not contain a line break or a tab"
    yield from check_arguments(study, reason=reason, is_possible=str.isprintable)
    yield from _stopping(study)
    yield from native_rules(settings.native)


def _stopping(study: Study) -> Iterator[Finding | Note]:
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


def version_rules(_settings: WatsonSettings, version: str) -> Iterator[Finding | Note]:
    """Yield whether IBM's packages support a version."""
    path, version = f"{SETTINGS}.version", short_version(version)
    known = dict.fromkeys((*WATSON_ML_VERSIONS, *WATSONX_AI_VERSIONS))
    last = WATSONX_AI_VERSIONS[-1]
    numbers = parse_version(version)
    if version not in WATSONX_AI_VERSIONS and version in WATSON_ML_VERSIONS:
        text = (
            f"only ibm-watson-machine-learning supports {version}, and it needs a Python below "
            "3.13: pip install 'cloudtune[watson]'"
        )
        yield Note(path, text)
    elif version == last:
        yield Note(path, f"unknown whether Software Hub {version} still runs training scripts")
    elif version not in known and numbers and numbers > (parse_version(last) or ()):
        yield Note(path, f"not checked: ibm-watsonx-ai 1.8.1 supports versions up to {last}")
    elif version not in known:
        hint = "; standalone requires backend: wmla" if version == STANDALONE else ""
        yield Finding("refused", path, f"IBM's packages accept {', '.join(known)}{hint}")
