"""Rules of the back end, its version and address, and of who signs in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from cloudtune.provider import Facts, Finding, Mode, Note
from cloudtune_watson.request.layout import TAG
from cloudtune_watson.settings import MODES, Backend, WatsonSettings
from cloudtune_watson.versions import (
    CHOICE,
    OF_WATSON_ML,
    OF_WATSONX_AI,
    OTHER_MODE,
    STANDALONE,
    WMLA_FIRST,
    WMLA_GONE,
    WMLA_LAST,
    number,
    release,
)

HERE = "providers.watson"
_OF_ONE: dict[Backend, tuple[str, ...]] = {
    "wml": ("space_id", "project_id", "hardware_spec", "nodes", "software_spec", "prefix", "tags"),
    "wmla": ("sign_in_url", "exec_start", "worker_devices", "instance_group"),
}
"""The settings that one back end alone reads."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_IBM_CLOUD = (
    *(".cloud.ibm.com", ".ibm.cloud.com", ".wxai.ibm.com", ".ibmforusgov.com"),
    ".ibm-watson-ml.mybluemix.net",
)
"""How hosts of IBM's own services end (``PLATFORM_URLS_MAP`` in ibm-watsonx-ai 1.8.1, client.py);
the last is of the older service."""


def backend_rules(mode: Mode, settings: WatsonSettings) -> Iterator[Finding]:
    """Yield why there is no such mode, if there is none: nothing else is worth knowing then."""
    path = f"{HERE}.backend"
    if settings.backend is None:
        shown_first = "managed" if settings.mode == "auto" else settings.mode
        yield Finding("refused", path, CHOICE if mode == shown_first else "which is it: wml, wmla?")
    elif MODES[settings.backend] != mode:
        yield Finding("refused", path, OTHER_MODE[settings.backend])


def settings_rules(settings: WatsonSettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what is wrong with where the trials run, and as whom."""
    yield from _addresses(settings)
    if settings.version is not None:
        if settings.backend == "wml":
            yield from _wml_version(release(settings.version))
        else:
            yield from _wmla_version(settings.version, settings)
    yield from _sign_in(settings, facts)
    yield from _of_the_other(settings)
    if settings.backend == "wml":
        yield from _folders(settings)
    if settings.space_id and settings.project_id:
        reason = "a training is in a space or in a project: keep one of the two"
        yield Finding("refused", f"{HERE}.project_id", reason)
    for place, tag in enumerate(settings.tags if settings.backend == "wml" else ()):
        if tag == TAG or tag.startswith(f"{TAG}-"):
            yield Finding("refused", f"{HERE}.tags.{place}", "cloudtune finds its jobs by this")


def _addresses(settings: WatsonSettings) -> Iterator[Finding]:
    for name in ("url", "sign_in_url"):
        said: str | None = getattr(settings, name)
        if said is None:
            continue
        path = f"{HERE}.{name}"
        address = urlsplit(said)
        if address.scheme != "https" or not address.hostname:
            reason = "an address begins with https://; IBM's packages know nothing else"
            yield Finding("refused", path, reason)
        elif address.username or address.password:
            reason = f"no name and no key belong here: give {HERE}.username, and the key's variable"
            yield Finding("refused", path, reason)
        elif address.query or address.fragment:
            yield Finding("refused", path, "the address alone, without ? or #")
        elif f".{address.hostname.rstrip('.')}".endswith(_IBM_CLOUD):
            reason = (
                "this is IBM Cloud, which has run no training scripts since September 2022: a "
                "cluster with Cloud Pak for Data or Software Hub is needed"
            )
            yield Finding("refused", path, reason)


def _folders(settings: WatsonSettings) -> Iterator[Finding]:
    """Yield what can be no part of the path at which results lie."""
    for name in ("space_id", "project_id"):
        said: str | None = getattr(settings, name)
        if said and not _ID.fullmatch(said):
            reason = "an id is made of letters, digits, '-', '_' and '.': take it from its web page"
            yield Finding("refused", f"{HERE}.{name}", reason)
    if ".." in settings.prefix.split("/") or not settings.prefix.isprintable():
        reason = "results lie below the space's assets: a path without .., as team/cloudtune"
        yield Finding("refused", f"{HERE}.prefix", reason)


def _wml_version(version: str) -> Iterator[Finding | Note]:
    path = f"{HERE}.version"
    known = dict.fromkeys((*OF_WATSON_ML, *OF_WATSONX_AI))
    found = number(version)
    if version not in OF_WATSONX_AI and version in OF_WATSON_ML:
        text = (
            f"only ibm-watson-machine-learning knows {version}, and it needs a Python below 3.13: "
            "pip install 'cloudtune[watson]'"
        )
        yield Note(path, text)
    elif version == OF_WATSONX_AI[-1]:
        text = (
            f"whether Software Hub {version} still runs trainings of one's own is not established"
        )
        yield Note(path, text)
    elif version not in known and found and found > (number(OF_WATSONX_AI[-1]) or ()):
        text = (
            f"newer than any that was looked at; ibm-watsonx-ai 1.8.1 ends at {OF_WATSONX_AI[-1]}"
        )
        yield Note(path, text)
    elif version not in known:
        also = "; standalone is of wmla alone" if version == STANDALONE else ""
        reason = f"IBM's packages take {', '.join(known)}{also}"
        yield Finding("refused", path, reason)


def _wmla_version(version: str, settings: WatsonSettings) -> Iterator[Finding | Note]:
    path = f"{HERE}.version"
    found = number(version)
    if version == STANDALONE:
        return
    if settings.instance_group:
        reason = "an instance group is told to a standalone WML Accelerator alone"
        yield Finding("dropped", f"{HERE}.instance_group", reason)
    if found is None or len(found) < 2:
        reason = "that of Cloud Pak for Data or Software Hub, as '5.1', or standalone"
        yield Finding("refused", path, reason)
    elif found < WMLA_FIRST:
        reason = (
            "WML Accelerator came with Cloud Pak for Data 3.5; for one without Cloud Pak for Data, "
            f"say {STANDALONE}, whatever its own version"
        )
        yield Finding("refused", path, reason)
    elif found[:2] >= WMLA_GONE:
        reason = (
            f"Software Hub {version} has no WML Accelerator any more. IBM says that it searches "
            "through Watson Machine Learning's API, and has not published that request. backend: "
            "wml runs the trials there, and cloudtune chooses them"
        )
        yield Finding("refused", path, reason)
    elif found[:2] > WMLA_LAST:
        yield Note(path, f"whether Software Hub {version} has WML Accelerator is not established")


def _sign_in(settings: WatsonSettings, facts: Facts) -> Iterator[Finding | Note]:
    if facts.emulated:
        return
    if not facts.data["key_is_set"]:
        text = f"the variable {settings.key_variable}, from which a run reads the key, is not set"
        yield Note(f"{HERE}.key_variable", text)
    if settings.certificate and not facts.data["certificate_is_there"]:
        reason = f"there is no file {facts.data['certificate']}"
        yield Finding("refused", f"{HERE}.certificate", reason)


def _of_the_other(settings: WatsonSettings) -> Iterator[Finding]:
    for backend, names in _OF_ONE.items():
        if backend == settings.backend:
            continue
        for name in names:
            if name in settings.model_fields_set:
                reason = f"only backend: {backend} reads this"
                yield Finding("dropped", f"{HERE}.{name}", reason)
