"""Rules of the back end, its version and address, and the sign-in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from cloudtune.provider import Facts, Finding, Mode, Note
from cloudtune.provider.lookup import python_misfit
from cloudtune.provider.pythons import check_python
from cloudtune_watson.backend import Backend
from cloudtune_watson.backends import BACKENDS
from cloudtune_watson.layout import TAG
from cloudtune_watson.regions import PLATFORMS, is_ibm_cloud, platform_url
from cloudtune_watson.settings import MODES, SETTINGS, WatsonSettings
from cloudtune_watson.versions import (
    AUTO,
    CHOOSE_BACKEND,
    END_OF_SUPPORT,
    OTHER_MODE,
    UNSUPPORTED,
    choose_backend,
    short_version,
)

_PYTHON = re.compile(r"-py(3\.\d+)$")
"""The Python of IBM's specifications, such as runtime-25.1-py3.12."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def backend_rules(mode: Mode, settings: WatsonSettings) -> Iterator[Finding]:
    """Yield a finding if the back end is missing or does not have the mode."""
    if settings.backend == AUTO and settings.service is None:
        yield _refused("backend", choose_backend(settings.url, settings.version)[1])
    elif settings.service is None:
        explained_in = "managed" if settings.mode == "auto" else settings.mode
        yield _refused(
            "backend", CHOOSE_BACKEND if mode == explained_in else "set jobs, wml or wmla"
        )
    elif MODES[settings.service] != mode:
        yield _refused("backend", OTHER_MODE[settings.service])


def settings_rules(
    settings: WatsonSettings, backend: Backend, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield the findings on the cluster and the sign-in."""
    if settings.backend == AUTO:
        reason = choose_backend(settings.url, settings.version)[1]
        yield Note(f"{SETTINGS}.backend", f"{settings.service}: {reason}")
    for name in ("url", "sign_in_url"):
        url: str | None = getattr(settings, name)
        if url is not None and (problem := _url_problem(url, backend)):
            yield _refused(name, problem)
    if facts.data["is_cloud"]:
        for name in ("version", "username"):
            if getattr(settings, name) is not None:
                yield Note(f"{SETTINGS}.{name}", "not used on IBM Cloud")
    elif settings.version is not None:
        if short_version(settings.version) in UNSUPPORTED:
            text = f"IBM ended the support of Cloud Pak for Data 4.6 to 4.8 on {END_OF_SUPPORT}"
            yield Note(f"{SETTINGS}.version", text)
        yield from backend.version_rules(settings, settings.version)
    yield from _python(settings, backend, facts)
    yield from _sign_in(settings, facts)
    yield from _foreign_settings(settings, backend)
    if "space_id" in backend.settings:
        yield from _scope(settings)
        for number, tag in enumerate(settings.tags):
            if tag == TAG or tag.startswith(f"{TAG}-"):
                reason = "this tag is reserved: cloudtune finds its jobs by it"
                yield _refused(f"tags.{number}", reason)
    if "project_id" in backend.settings and settings.space_id and settings.project_id:
        yield _refused("project_id", "set only one of space_id and project_id")


def _python(settings: WatsonSettings, backend: Backend, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what requires another Python than the one in the name of the software specification."""
    software = settings.software_spec or ""
    if facts.emulated or not software or "software_spec" not in backend.settings:
        return
    python = _PYTHON.search(software)
    if python is None:
        name = f"the Python of {software}"
        yield from check_python(facts, f"{SETTINGS}.software_spec", name, "")
        return
    if misfit := python_misfit(facts, python[1]):
        reason = f"{software} has Python {python[1]}, and {misfit}: choose another specification"
        yield _refused("software_spec", reason)


def _foreign_settings(settings: WatsonSettings, backend: Backend) -> Iterator[Finding]:
    for name in WatsonSettings.model_fields:
        users = [key for key, each in BACKENDS.items() if name in each.settings]
        if not users or name in backend.settings or name not in settings.model_fields_set:
            continue
        if name in backend.refused_settings:
            yield _refused(name, backend.refused_settings[name])
        else:
            reason = f"only backend: {' or '.join(users)} uses this"
            yield Finding("dropped", f"{SETTINGS}.{name}", reason)


def _refused(field: str, reason: str) -> Finding:
    return Finding("refused", f"{SETTINGS}.{field}", reason)


def _url_problem(url: str, backend: Backend) -> str:
    """Return what is wrong with an address; empty if nothing is."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return "must start with https://, the only scheme that IBM's packages accept"
    if parts.username or parts.password:
        return f"must not contain a user or a key: set {SETTINGS}.username and the key's variable"
    if parts.query or parts.fragment:
        return "must be an address without ? and #"
    if not is_ibm_cloud(url):
        return ""
    if not backend.has_ibm_cloud:
        return (
            "this is IBM Cloud, whose trainings were removed in September 2022: set backend: jobs, "
            "or use a cluster with Cloud Pak for Data or Software Hub"
        )
    if platform_url(url) is None:
        return (
            "unknown region of IBM Cloud: give the address of its watsonx.ai Runtime, such as "
            f"https://us-south.ml.cloud.ibm.com; the regions are {', '.join(PLATFORMS)}"
        )
    return ""


def _scope(settings: WatsonSettings) -> Iterator[Finding]:
    for name in ("space_id", "project_id"):
        id_: str | None = getattr(settings, name)
        if id_ and not _ID.fullmatch(id_):
            reason = "an id has only letters, digits, '-', '_' and '.': copy it from its web page"
            yield _refused(name, reason)
    if ".." in settings.prefix.split("/") or not settings.prefix.isprintable():
        yield _refused("prefix", "must be a path without .., such as team/cloudtune")


def _sign_in(settings: WatsonSettings, facts: Facts) -> Iterator[Finding | Note]:
    if facts.emulated:
        return
    if not facts.data["key_is_set"]:
        text = f"a run needs the key in the variable {settings.key_variable}, which is not set"
        yield Note(f"{SETTINGS}.key_variable", text)
    if settings.certificate and not facts.data["certificate_is_there"]:
        yield _refused("certificate", f"file not found: {facts.data['certificate']}")
