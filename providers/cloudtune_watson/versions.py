"""IBM's products and versions: which back ends they have.

The findings and the table in ``docs/watson.md`` come from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudtune_watson.settings import Backend

SOFTWARE_HUB = (
    "https://www.ibm.com/docs/en/software-hub/5.4.x?topic=upgrading-preparing-upgrade (the same "
    "for 5.3.x), read 2026-11-25"
)
"""IBM's page on the removal of WML Accelerator in Software Hub 5.3."""
SAMPLES = (
    "IBM/watsonx-ai-samples, commits 409205e (2022-09-16, on IBM Cloud) and 2974caf (notebooks "
    "for Cloud Pak for Data 4.0 to 5.1), read 2026-11-24"
)
WATSON_ML = "ibm-watson-machine-learning 1.0.370, utils/cpd_version.py, read 2026-11-25"
WATSONX_AI = "ibm-watsonx-ai 1.8.1, utils/cpd_version.py, read 2026-11-25"
"""Sources of the versions that IBM's packages accept."""

STANDALONE = "standalone"
"""The version of a WML Accelerator without Cloud Pak for Data."""
WATSON_ML_VERSIONS = ("4.0", "4.5", "4.6", "4.7", "4.8", "5.0")
WATSONX_AI_VERSIONS = ("5.0", "5.1", "5.2", "5.3", "5.4", "6.0")
WMLA_FIRST, WMLA_LAST, WMLA_GONE = (3, 5), (5, 1), (5, 3)
"""The first version with WML Accelerator, the last known one with it, and the first without."""


@dataclass(frozen=True)
class Offer:
    """How one of IBM's products runs and tunes a training script."""

    product: str
    trainings: str
    search: str
    backend: str
    source: str


OFFERS = (
    Offer(
        "IBM Cloud: watsonx.ai Runtime, formerly Watson Machine Learning",
        "removed in September 2022",
        "none; the one of the old experiments was removed with API v3 in October 2020",
        "none",
        SAMPLES,
    ),
    Offer(
        "Cloud Pak for Data 3.5",
        "Watson Machine Learning, but IBM's packages no longer support this version",
        "WML Accelerator, if installed",
        "`wmla`",
        "IBM/wmla-assets at fe322c8, notebooks for 3.5, read 2026-11-25",
    ),
    Offer(
        "Cloud Pak for Data 4.0 to 5.0, Software Hub 5.1",
        "Watson Machine Learning",
        "WML Accelerator, if installed",
        "`wml` or `wmla`",
        SAMPLES,
    ),
    Offer(
        "Software Hub 5.2",
        "Watson Machine Learning",
        "unknown",
        "`wml`",
        WATSONX_AI,
    ),
    Offer(
        "Software Hub 5.3, 5.4",
        "Watson Machine Learning",
        "WML's API, whose request IBM has not published; WML Accelerator was withdrawn",
        "`wml`",
        SOFTWARE_HUB,
    ),
    Offer(
        "Software Hub 6.0",
        "unknown",
        "unknown",
        "`wml`, untested",
        WATSONX_AI,
    ),
    Offer(
        "WML Accelerator 1.2 and 2.x without Cloud Pak for Data",
        "not with this API",
        "WML Accelerator",
        "`wmla`, version `standalone`",
        "https://www.ibm.com/docs/en/wmla/2.3?topic=reference-deep-learning-rest-api, "
        "read 2026-11-24",
    ),
)
"""IBM's products."""

CHOOSE_BACKEND = (
    "set the IBM service of your installation. wml: Watson Machine Learning on Cloud Pak for Data "
    "4.0 to Software Hub 5.4 runs one training per trial, and cloudtune chooses the trials. wmla: "
    "WML Accelerator, on Cloud Pak for Data 3.5 to Software Hub 5.1 or standalone, has its own "
    "hyperparameter search (removed in Software Hub 5.3). IBM Cloud has neither: its trainings "
    "were removed in September 2022"
)
"""A summary of `OFFERS`."""
OTHER_MODE: dict[Backend, str] = {
    "wml": "IBM has published no request for searches of Watson Machine Learning, so cloudtune "
    "chooses the trials, in driven mode; for IBM's search set backend: wmla",
    "wmla": "WML Accelerator's search chooses the trials, in managed mode; to let cloudtune choose "
    "them set backend: wml",
}
"""Why a back end does not have the other mode."""


def offers_table() -> str:
    """Return `OFFERS` as a Markdown table, followed by its sources."""
    lines = [
        "| IBM's product | runs training scripts | tunes hyperparameters | `backend` |",
        "|---|---|---|---|",
    ]
    lines += [f"| {o.product} | {o.trainings} | {o.search} | {o.backend} |" for o in OFFERS]
    sources = dict.fromkeys(offer.source for offer in OFFERS)
    return "\n".join([*lines, "", *(f"- {source}" for source in sources)]) + "\n"


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
