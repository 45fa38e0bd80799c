r"""Katib Experiments (``kubeflow.org/v1beta1``).

Follows Katib's own guide and API (kubeflow/website content/en/docs/components/katib, kubeflow/katib
pkg/apis/controller/experiments/v1beta1, read 2026-11-27). The defaults are those of its webhook
(``experiment_defaults.go``). The expression of the standard output collector is from memory:
``([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)`` (``common/const.go``, not verified).

The code of a trial is in an image, so ``trialTemplate`` stays in ``providers.katib.native``.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.katib.names import HOME, STUDY_JOB
from cloudtune.formats.model import Format, StudyDraft


class KatibFormat(Format):
    """Experiments of Katib, one in each document of a file."""

    name = HOME
    title = "a Katib Experiment"
    source = "https://www.kubeflow.org/docs/components/katib/, read 2026-11-27"
    dialect_at = "cloudtune.formats.katib.dialect:KATIB"
    syntax = "yaml"

    @override
    def matches(self, document: Json) -> bool:
        group = str(document.get("apiVersion", "")).partition("/")[0]
        return str(document.get("kind")) in {"Experiment", STUDY_JOB} and group == "kubeflow.org"

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune.formats.katib.reader import ExperimentReader

        if document.peek("kind") == STUDY_JOB:
            reason = "a StudyJob of v1alpha1 is not read; rewrite it as an Experiment"
            document.refuse("kind", reason)
            return []
        return [ExperimentReader(document).draft()]
