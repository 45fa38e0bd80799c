"""IBM's versions: which of them have which back end. ``docs/watson.md`` has a table."""

from __future__ import annotations

from typing import Literal

from cloudtune_watson.regions import is_ibm_cloud

BackendName = Literal["wml", "wmla", "jobs"]
AUTO = "auto"
"""The back end that the address and the version decide."""
STANDALONE = "standalone"
"""The version of a WML Accelerator without Cloud Pak for Data."""
WATSON_ML_VERSIONS = ("4.0", "4.5", "4.6", "4.7", "4.8", "5.0")
"""ibm-watson-machine-learning 1.0.370, utils/cpd_version.py, read 2026-11-25."""
WATSONX_AI_VERSIONS = ("5.0", "5.1", "5.2", "5.3", "5.4", "6.0")
"""ibm-watsonx-ai 1.8.1, utils/cpd_version.py, read 2026-11-25."""
WML_FIRST, WML_LAST = (4, 0), (5, 4)
"""The versions whose Watson Machine Learning is known to run trainings: IBM/watsonx-ai-samples at
2974caf for 4.0 to 5.1 (read 2026-11-24), and the page on Software Hub 5.4 below."""
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
    "set the IBM service that you have: jobs (watsonx.ai Runtime, as on IBM Cloud), wml (Watson "
    "Machine Learning, Cloud Pak for Data 4.0 to Software Hub 5.4), wmla (WML Accelerator), or auto"
)
"""IBM Cloud has no trainings: IBM/watsonx-ai-samples, commit 409205e (2022-09-16), read 2026-11-24.
Standalone: https://www.ibm.com/docs/en/wmla/2.3?topic=reference-deep-learning-rest-api, read
2026-11-24."""
OTHER_MODE: dict[BackendName, str] = {
    "wml": "IBM has published no request for searches of Watson Machine Learning, so cloudtune "
    "chooses the trials, in driven mode; for IBM's search set backend: wmla",
    "wmla": "WML Accelerator's search chooses the trials, in managed mode; to let cloudtune choose "
    "them set backend: wml",
    "jobs": "watsonx.ai Runtime has no search of hyperparameters, so cloudtune chooses the trials, "
    "in driven mode",
}
"""Why a back end does not have the other mode."""


def choose_backend(url: str | None, version: str | None) -> tuple[BackendName | None, str]:
    """Return the back end that an address and a version decide, and why; None if they do not.

    Deployment jobs are chosen only where no other back end works: their metrics can be read only
    after the end of a trial.

    Args:
        url: The address in the settings.
        version: The version in the settings.
    """
    if url and is_ibm_cloud(url):
        return "jobs", "IBM Cloud has no trainings, and runs scripts as deployment jobs"
    if version is None:
        return None, "give url and version, which decide the back end"
    if version == STANDALONE:
        return "wmla", "a standalone WML Accelerator has only its own search"
    numbers = parse_version(version)
    if numbers is None or len(numbers) < 2:
        return None, "give the version of Cloud Pak for Data or Software Hub, such as '5.1'"
    if numbers[:2] < WML_FIRST:
        return "wmla", f"Cloud Pak for Data {version} runs searches of WML Accelerator"
    if numbers[:2] <= WML_LAST:
        return "wml", (
            f"version {version} has trainings, whose metrics can be read while they run, unlike "
            "those of deployment jobs"
        )
    return None, f"unknown whether Software Hub {version} has trainings: set wml or jobs"


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
