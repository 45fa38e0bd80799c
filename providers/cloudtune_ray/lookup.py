"""The lookup of the Ray provider. It does not call the cluster."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.provider import (
    Facts,
    Inputs,
    Lookup,
    Price,
    Study,
    UsageError,
    read_requirements,
)
from cloudtune.provider.lookup import (
    input_address,
    local_lookup,
    required_pythons_of,
)
from cloudtune_ray.settings import NAME, RaySettings

ADDRESS = "RAY_API_SERVER_ADDRESS"
"""The variable with which Ray's own command line finds the cluster."""
_EMULATED = "http://127.0.0.1"
_HINT = (
    f"give the http address of the cluster's dashboard, or set {ADDRESS}; through a port-forward "
    "that is http://127.0.0.1:8265"
)


def lookup(study: Study, settings: RaySettings, facts: Facts) -> Lookup:
    """Return what is known of the cluster and of this machine."""
    address = settings.address or ("" if facts.emulated else os.environ.get(ADDRESS, ""))
    certificate = None
    if settings.certificate:
        certificate = (facts.base / Path(settings.certificate).expanduser()).resolve()
    data: dict[str, Any] = {
        "address": (_EMULATED if facts.emulated else address or "{{address}}").rstrip("/"),
        "certificate": str(certificate) if certificate else None,
        "certificate_is_there": certificate is not None and certificate.is_file(),
        "token_is_set": bool(os.environ.get(settings.token_variable)),
        "packages": _packages(study, facts),
        "pythons": required_pythons_of(study, facts),
    }
    inputs, local = _inputs(study, facts)
    prices = settings.prices
    return replace(
        local_lookup(study, facts, NAME),
        price=Price.hourly(*prices.hour, "from providers.ray.prices") if prices else "",
        missing_settings={} if address or facts.emulated else {"address": _HINT},
        inputs=inputs,
        data=data | {"paths": dict(inputs.addresses), "local_inputs": local},
    )


def _packages(study: Study, facts: Facts) -> list[str]:
    """Return the lines of the requirements file, as Ray's own client sends them."""
    name = study.trial.requirements
    if not name or facts.source is None:
        return []
    try:
        text = read_requirements(facts.source, name, facts.locked).text
    except (OSError, UnicodeDecodeError, UsageError):
        return []  # the core reports it
    lines = (line.split(" #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _inputs(study: Study, facts: Facts) -> tuple[Inputs, list[str]]:
    """Return the address of each input, and the names of those that are only known locally."""
    addresses: dict[str, str | None] = {}
    absent: list[str] = []
    local: list[str] = []
    for name, by_provider in study.trial.inputs.items():
        address = input_address(study, NAME, name, emulated=facts.emulated)
        uri = address.uri if address else None
        if uri and address is by_provider.get("local"):
            path = (facts.base / Path(uri).expanduser()).resolve()
            uri = str(path)
            local.append(name)
            if not path.exists():
                absent.append(name)
        addresses[name] = uri
    return Inputs(addresses, {}, tuple(absent)), local
