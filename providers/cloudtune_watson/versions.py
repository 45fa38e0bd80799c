"""What IBM offers where: the back ends, the versions that have them, and IBM's own table of it.

What is said here stands in the findings and at the head of ``docs/watson.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudtune_watson.settings import Backend

SOFTWARE_HUB = (
    "https://www.ibm.com/docs/en/software-hub/5.4.x?topic=upgrading-preparing-upgrade (the same "
    "for 5.3.x), read 2026-11-25"
)
"""IBM's page on what is left of WML Accelerator since Software Hub 5.3."""
SAMPLES = (
    "IBM/watsonx-ai-samples, commits 409205e (2022-09-16, on IBM Cloud) and 2974caf (notebooks "
    "for Cloud Pak for Data 4.0 to 5.1), read 2026-11-24"
)
WATSON_ML = "ibm-watson-machine-learning 1.0.370, utils/cpd_version.py, read 2026-11-25"
WATSONX_AI = "ibm-watsonx-ai 1.8.1, utils/cpd_version.py, read 2026-11-25"
"""The versions that each of IBM's packages accepts."""

STANDALONE = "standalone"
"""The version of a WML Accelerator without Cloud Pak for Data."""
OF_WATSON_ML = ("4.0", "4.5", "4.6", "4.7", "4.8", "5.0")
OF_WATSONX_AI = ("5.0", "5.1", "5.2", "5.3", "5.4", "6.0")
WMLA_FIRST, WMLA_LAST, WMLA_GONE = (3, 5), (5, 1), (5, 3)
"""The first version with WML Accelerator, the last that is known to have it, the first without."""


@dataclass(frozen=True)
class Offer:
    """What one of IBM's products does with a training script of one's own."""

    product: str
    trainings: str
    search: str
    backend: str
    source: str


OFFERS = (
    Offer(
        "IBM Cloud: watsonx.ai Runtime, formerly Watson Machine Learning",
        "removed in September 2022",
        "none; that of the old experiments was removed with API v3 in October 2020",
        "none",
        SAMPLES,
    ),
    Offer(
        "Cloud Pak for Data 3.5",
        "Watson Machine Learning, but IBM's packages do not know this version any more",
        "WML Accelerator, where it is installed",
        "`wmla`",
        "IBM/wmla-assets at fe322c8, notebooks for 3.5, read 2026-11-25",
    ),
    Offer(
        "Cloud Pak for Data 4.0 to 5.0, Software Hub 5.1",
        "Watson Machine Learning",
        "WML Accelerator, where it is installed",
        "`wml` or `wmla`",
        SAMPLES,
    ),
    Offer(
        "Software Hub 5.2",
        "Watson Machine Learning",
        "not established",
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
        "not established",
        "not established",
        "`wml`, to be tried",
        WATSONX_AI,
    ),
    Offer(
        "WML Accelerator 1.2 and 2.x without Cloud Pak for Data",
        "not by this API",
        "WML Accelerator",
        "`wmla`, version `standalone`",
        "https://www.ibm.com/docs/en/wmla/2.3?topic=reference-deep-learning-rest-api, "
        "read 2026-11-24",
    ),
)
"""IBM's products, the oldest promise first."""

CHOICE = (
    "say which of IBM's services your installation has. wml: Watson Machine Learning on Cloud Pak "
    "for Data 4.0 to Software Hub 5.4 runs one training a trial, and cloudtune chooses the trials. "
    "wmla: WML Accelerator on Cloud Pak for Data 3.5 to 5.1, or standalone, has a hyperparameter "
    "search of its own (gone since Software Hub 5.3). IBM Cloud has neither: its trainings were "
    "removed in September 2022"
)
"""`OFFERS` in a few sentences."""
OTHER_MODE: dict[Backend, str] = {
    "wml": "Watson Machine Learning has no search whose request IBM has published: cloudtune "
    "chooses the trials, in driven mode. A search of IBM's own is backend: wmla",
    "wmla": "WML Accelerator's search chooses the trials itself, in managed mode. Trials that "
    "cloudtune chooses are backend: wml",
}
"""Why a back end does not have the other mode."""


def offers_table() -> str:
    """Return `OFFERS` as a table in Markdown, with its sources."""
    lines = [
        "| IBM's product | runs a script of yours | searches hyperparameters | `backend` |",
        "|---|---|---|---|",
    ]
    lines += [f"| {o.product} | {o.trainings} | {o.search} | {o.backend} |" for o in OFFERS]
    sources = dict.fromkeys(offer.source for offer in OFFERS)
    return "\n".join([*lines, "", *(f"- {source}" for source in sources)]) + "\n"


def number(version: str) -> tuple[int, ...] | None:
    """Return a version as numbers, or None where it is not made of them."""
    parts = version.split(".")
    return (
        tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else None
    )


def release(version: str) -> str:
    """Return a version as IBM's packages know it: of 5.1.3 the first two numbers, 5.1."""
    found = number(version)
    return ".".join(map(str, found[:2])) if found else version
