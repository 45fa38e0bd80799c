"""Rules of the address, the token, the labels and the storage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from cloudtune.provider import Facts, Finding, Note
from cloudtune.provider.lookup import is_loopback
from cloudtune_ray.settings import RaySettings

SETTINGS = "providers.ray"
"""The path of the settings in a study."""
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?"
_SELECTOR = re.compile(rf"!?{_LABEL}|!?(?:in)?\({_LABEL}(?:, ?{_LABEL})*\)|")
"""What Ray accepts as a selector of a label (2.60.0, _private/label_utils.py)."""


def settings_rules(settings: RaySettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the findings on the cluster, the labels and the storage."""
    address: str = facts.data["address"]
    if not facts.emulated and "{{" not in address:
        if problem := _address_problem(address):
            yield Finding("refused", f"{SETTINGS}.address", problem)
        else:
            yield from _connection(address, settings, facts)
    for name, selector in settings.label_selector.items():
        if not _SELECTOR.fullmatch(selector):
            reason = f"not a selector: {selector!r}; use a, !a, in(a, b) or !in(a, b)"
            yield Finding("refused", f"{SETTINGS}.label_selector.{name}", reason)
    if settings.storage and not settings.storage.startswith("/"):
        reason = (
            "must be an absolute path that all nodes share; mount a bucket on the nodes to use one"
        )
        yield Finding("refused", f"{SETTINGS}.storage", reason)


def _address_problem(address: str) -> str:
    """Return what is wrong with the address of a cluster; empty if nothing is."""
    if "," in address:
        return "must be one address: that of the dashboard on the head node"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return "is not an address such as http://127.0.0.1:8265"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        hint = "; ray:// and the port 6379 are for Ray's own clients" if parts.scheme else ""
        return f"must be an http or https address, such as http://127.0.0.1:8265{hint}"
    if parts.username or parts.password:
        return f"must not contain a user or a password: set {SETTINGS}.token_variable"
    if parts.query or parts.fragment:
        return "must be an address without ? and #"
    if port == 6379:
        return "the port 6379 is for Ray's own nodes: give the dashboard's, by default 8265"
    return ""


def _connection(address: str, settings: RaySettings, facts: Facts) -> Iterator[Finding | Note]:
    secure = address.startswith("https://")
    if settings.certificate and not secure:
        yield Finding("dropped", f"{SETTINGS}.certificate", "only an https address has one")
    elif settings.certificate and not facts.data["certificate_is_there"]:
        reason = f"file not found: {facts.data['certificate']}"
        yield Finding("refused", f"{SETTINGS}.certificate", reason)
    if not secure and facts.data["token_is_set"] and not is_loopback(address):
        text = (
            f"the token in {settings.token_variable} is sent unencrypted: use https, or a "
            "port-forward to this machine"
        )
        yield Note(f"{SETTINGS}.address", text)
    if not facts.data["token_is_set"] and "token_variable" in settings.model_fields_set:
        text = f"the variable {settings.token_variable} is not set: no token is sent"
        yield Note(f"{SETTINGS}.token_variable", text)
