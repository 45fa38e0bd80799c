"""WML Accelerator's own documents: the ``data`` of a hyperparameter search.

Follows IBM's client (ibm-wmla 0.1.1, wmla_api_v1.py, start_hpo), its notebooks (IBM/wmla-assets at
fe322c8) and its page on algorithms
(https://www.ibm.com/docs/en/SSFHA8_4.0/us/dli_hpo_default_search_algorithms.html), read 2026-11-24.
The misspelled names are IBM's. Nothing here depends on the request that `cloudtune_watson.request`
sends.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.formats import Fields, Format, StudyDraft
from cloudtune.provider import Json, is_map
from cloudtune_watson.settings import NAME


class WatsonFormat(Format):
    """Searches of WML Accelerator: what a user posts, and what the service returns for one."""

    name = NAME
    title = "a hyperparameter search of IBM's WML Accelerator"
    source = "ibm-wmla 0.1.1, wmla_api_v1.py, start_hpo, read 2026-11-24"
    dialect_at = "cloudtune_watson.wmla.dialect:WATSON"

    @override
    def matches(self, document: Json) -> bool:
        if is_map(document.get("algoDef")):
            return True
        data = document.get("data")
        return (is_map(data) and "algoDef" in data) or (
            isinstance(data, str) and '"algoDef"' in data
        )

    @override
    def explain(self, document: Json) -> str | None:
        if {"hpoName", "experiments", "state"} <= document.keys():
            return (
                "is what WML Accelerator returns for a search, without its algorithm and its "
                "hyperparameters: import the data that was posted"
            )
        return None

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune_watson.wmla.native.reader import read_search

        return read_search(document)
