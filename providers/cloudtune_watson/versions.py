"""IBM's versions: which of them have which back end. ``docs/watson.md`` has a table."""

from __future__ import annotations

from cloudtune_watson.settings import Backend

STANDALONE = "standalone"
"""The version of a WML Accelerator without Cloud Pak for Data."""
WATSON_ML_VERSIONS = ("4.0", "4.5", "4.6", "4.7", "4.8", "5.0")
"""ibm-watson-machine-learning 1.0.370, utils/cpd_version.py, read 2026-11-25."""
WATSONX_AI_VERSIONS = ("5.0", "5.1", "5.2", "5.3", "5.4", "6.0")
"""ibm-watsonx-ai 1.8.1, utils/cpd_version.py, read 2026-11-25."""
WMLA_FIRST, WMLA_LAST, WMLA_GONE = (3, 5), (5, 1), (5, 3)
"""The first version with WML Accelerator (IBM/wmla-assets at fe322c8, read 2026-11-25), the last
known one with it (IBM/watsonx-ai-samples at 2974caf, read 2026-11-24), and the first without
(https://www.ibm.com/docs/en/software-hub/5.4.x?topic=upgrading-preparing-upgrade and the same page
for 5.3.x, read 2026-11-25)."""

UNSUPPORTED = frozenset({"4.6", "4.7", "4.8"})
END_OF_SUPPORT = "31 July 2025"
"""When IBM ended the support of those versions of Cloud Pak for Data: banner of
https://ibm.com/docs/en/SSQNUZ_4.8.x/wsj/analyze-data/deploy-script.html and of pages for 4.6 and
4.7, read 2026-11-27."""

CHOOSE_BACKEND = (
    "set the IBM service of your installation. wml: Watson Machine Learning on Cloud Pak for Data "
    "4.0 to Software Hub 5.4 runs one training per trial, and cloudtune chooses the trials. wmla: "
    "WML Accelerator, on Cloud Pak for Data 3.5 to Software Hub 5.1 or standalone, has its own "
    "hyperparameter search (removed in Software Hub 5.3). IBM Cloud has neither: its trainings "
    "were removed in September 2022, and cloudtune does not use its deployment jobs of scripts yet"
)
"""On IBM Cloud: IBM/watsonx-ai-samples, commit 409205e (2022-09-16), read 2026-11-24. Standalone:
https://www.ibm.com/docs/en/wmla/2.3?topic=reference-deep-learning-rest-api, read 2026-11-24."""
OTHER_MODE: dict[Backend, str] = {
    "wml": "IBM has published no request for searches of Watson Machine Learning, so cloudtune "
    "chooses the trials, in driven mode; for IBM's search set backend: wmla",
    "wmla": "WML Accelerator's search chooses the trials, in managed mode; to let cloudtune choose "
    "them set backend: wml",
}
"""Why a back end does not have the other mode."""


def parse_version(version: str) -> tuple[int, ...] | None:
    """Return the numbers of a version, or None if it has other parts."""
    parts = version.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        return None
    return tuple(map(int, parts))


def short_version(version: str) -> str:
    """Return a version as IBM's packages accept it: 5.1 for 5.1.3.

    Example:
        >>> short_version("5.1.3")
        '5.1'
    """
    numbers = parse_version(version)
    return ".".join(map(str, numbers[:2])) if numbers else version
