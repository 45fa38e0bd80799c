"""Rules of the back end, its version and address, and the sign-in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from cloudtune.provider import Facts, Finding, Mode, Note
from cloudtune_watson.layout import TAG
from cloudtune_watson.regions import PLATFORMS, is_ibm_cloud, platform_url
from cloudtune_watson.settings import MODES, WatsonSettings
from cloudtune_watson.versions import (
    AUTO,
    CHOOSE_BACKEND,
    END_OF_SUPPORT,
    OTHER_MODE,
    STANDALONE,
    UNSUPPORTED,
    WATSON_ML_VERSIONS,
    WATSONX_AI_VERSIONS,
    WML_FIRST,
    WML_LAST,
    WMLA_FIRST,
    WMLA_GONE,
    WMLA_LAST,
    Backend,
    choose_backend,
    parse_version,
    short_version,
)

SETTINGS = "providers.watson"
"""The path of the settings in a study."""
_FIELDS: dict[str, tuple[Backend, ...]] = {
    **dict.fromkeys(("space_id", "hardware_spec", "software_spec", "tags"), ("wml", "jobs")),
    **dict.fromkeys(("project_id", "nodes", "prefix"), ("wml",)),
    "visible_secrets": ("jobs",),
    **dict.fromkeys(("sign_in_url", "exec_start", "worker_devices", "instance_group"), ("wmla",)),
}
"""The settings that not all back ends use, with those that do."""
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


def settings_rules(settings: WatsonSettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the findings on the cluster and the sign-in."""
    if settings.backend == AUTO:
        reason = choose_backend(settings.url, settings.version)[1]
        yield Note(f"{SETTINGS}.backend", f"{settings.service}: {reason}")
    for name in ("url", "sign_in_url"):
        url: str | None = getattr(settings, name)
        if url is not None and (problem := _url_problem(url, settings.service)):
            yield _refused(name, problem)
    if facts.data["is_cloud"]:
        for name in ("version", "username"):
            if getattr(settings, name) is not None:
                yield Note(f"{SETTINGS}.{name}", "not used on IBM Cloud")
    elif settings.version is not None:
        if short_version(settings.version) in UNSUPPORTED:
            text = f"IBM ended the support of Cloud Pak for Data 4.6 to 4.8 on {END_OF_SUPPORT}"
            yield Note(f"{SETTINGS}.version", text)
        if settings.service == "wml":
            yield from _wml_version(short_version(settings.version))
        elif settings.service == "jobs":
            yield from _jobs_version(short_version(settings.version))
        else:
            yield from _wmla_version(settings.version, settings)
    yield from _sign_in(settings, facts)
    for name, services in _FIELDS.items():
        if settings.service not in services and name in settings.model_fields_set:
            if name == "project_id" and settings.service == "jobs":
                yield _refused(name, "deployments are in a space, and not in a project")
                continue
            reason = f"only backend: {' or '.join(services)} uses this"
            yield Finding("dropped", f"{SETTINGS}.{name}", reason)
    if settings.service != "wmla":
        yield from _scope(settings)
        for number, tag in enumerate(settings.tags):
            if tag == TAG or tag.startswith(f"{TAG}-"):
                reason = "this tag is reserved: cloudtune finds its jobs by it"
                yield _refused(f"tags.{number}", reason)
    if settings.service != "jobs" and settings.space_id and settings.project_id:
        yield _refused("project_id", "set only one of space_id and project_id")


def _refused(field: str, reason: str) -> Finding:
    return Finding("refused", f"{SETTINGS}.{field}", reason)


def _url_problem(url: str, service: Backend | None) -> str:
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
    if service != "jobs":
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


def _wml_version(version: str) -> Iterator[Finding | Note]:
    path = f"{SETTINGS}.version"
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


def _jobs_version(version: str) -> Iterator[Finding | Note]:
    numbers = parse_version(version)
    if numbers is None or len(numbers) < 2:
        reason = "must be the version of Cloud Pak for Data or Software Hub, such as '5.4'"
        yield _refused("version", reason)
    elif numbers[:2] < WML_FIRST:
        yield _refused("version", "IBM documents deployment jobs of scripts from 4.0 on")
    elif numbers[:2] > WML_LAST:
        text = f"IBM documents deployment jobs of scripts up to 5.4; {version} was not checked"
        yield Note(f"{SETTINGS}.version", text)


def _wmla_version(version: str, settings: WatsonSettings) -> Iterator[Finding | Note]:
    if version == STANDALONE:
        return
    if settings.instance_group:
        reason = "only a standalone WML Accelerator uses this"
        yield Finding("dropped", f"{SETTINGS}.instance_group", reason)
    numbers = parse_version(version)
    if numbers is None or len(numbers) < 2:
        reason = (
            "must be the version of Cloud Pak for Data or Software Hub, such as '5.1', or "
            f"{STANDALONE}"
        )
        yield _refused("version", reason)
    elif numbers < WMLA_FIRST:
        reason = (
            "Cloud Pak for Data has WML Accelerator since 3.5; for a WML Accelerator without it, "
            f"set {STANDALONE}, whatever its version"
        )
        yield _refused("version", reason)
    elif numbers[:2] >= WMLA_GONE:
        reason = (
            f"Software Hub {version} no longer has WML Accelerator. According to IBM, Watson "
            "Machine Learning's API runs searches there, but IBM has not published that request: "
            "set backend: wml to let cloudtune choose the trials"
        )
        yield _refused("version", reason)
    elif numbers[:2] > WMLA_LAST:
        text = f"unknown whether Software Hub {version} has WML Accelerator"
        yield Note(f"{SETTINGS}.version", text)


def _sign_in(settings: WatsonSettings, facts: Facts) -> Iterator[Finding | Note]:
    if facts.emulated:
        return
    if not facts.data["key_is_set"]:
        text = f"a run needs the key in the variable {settings.key_variable}, which is not set"
        yield Note(f"{SETTINGS}.key_variable", text)
    if settings.certificate and not facts.data["certificate_is_there"]:
        yield _refused("certificate", f"file not found: {facts.data['certificate']}")
