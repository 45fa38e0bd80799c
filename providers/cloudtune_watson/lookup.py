"""What must be known of the cluster and of this machine before a study is planned on IBM Watson.

Nothing is asked of IBM. What is not known is a stand-in that shows: ``{{url}}``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.lookups import code_elsewhere, input_address, on_this_machine
from cloudtune.provider import Facts
from cloudtune.study import Study
from cloudtune_watson.backends import STANDALONE
from cloudtune_watson.layout import DATA, input_folder
from cloudtune_watson.prices import hour_price
from cloudtune_watson.settings import WatsonSettings

NAME = "watson"
EMULATED = {
    "url": "https://127.0.0.1",
    "version": "5.1",
    "username": "emulated",
    "space_id": "00000000-0000-4000-8000-000000000001",
    "hardware_spec": "M",
    "software_spec": "tensorflow_rt24.1-py3.11",
    "exec_start": "PyTorch",
    "instance_group": "emulated",
}
"""What stands for what a study does not say, on the emulator."""
NEEDED = {
    "wml": ("url", "version", "username", "space_id", "hardware_spec", "software_spec"),
    "wmla": ("url", "version", "username", "exec_start"),
}
"""What each back end must know."""


def lookup(study: Study, settings: WatsonSettings, facts: Facts) -> Mapping[str, Any]:
    """Return the facts of `cloudtune.provider.Facts.own`, as JSON data.

    What the study leaves out and needs is named in ``missing``, and has a stand-in.
    """
    needed = list(NEEDED[settings.backend]) if settings.backend else []
    if settings.project_id and "space_id" in needed:
        needed.remove("space_id")
    if settings.backend == "wmla" and settings.version == STANDALONE:
        needed.append("instance_group")
    said = {name: getattr(settings, name) for name in EMULATED}
    stand_ins = EMULATED if facts.emulated else {name: f"{{{{{name}}}}}" for name in EMULATED}
    found = {name: value or stand_ins[name] for name, value in said.items()}
    price = hour_price(settings, study.limits_for(NAME).max_cost)
    certificate = _here(settings.certificate, facts) if settings.certificate else None
    own: dict[str, Any] = {
        **found,
        "sign_in_url": settings.sign_in_url or found["url"],
        "backend": settings.backend,
        "project_id": settings.project_id,
        "prefix": settings.prefix,
        "certificate": str(certificate) if certificate else None,
        "certificate_is_there": certificate is not None and certificate.is_file(),
        "key_is_set": bool(os.environ.get(settings.key_variable)),
        "code": code_elsewhere(study, NAME),
        "missing": [name for name in needed if not said[name]],
        "price_per_second": price.amount / 3600 if price else None,
        "currency": price.currency if price else None,
        "price_source": price.source if price else None,
        "links": {},
        **on_this_machine(study, facts),
    }
    return {**own, **_inputs(study, replace(facts, own=own))}


def _here(path: str, facts: Facts) -> Path:
    return (facts.base / Path(path).expanduser()).resolve()


def _inputs(study: Study, facts: Facts) -> dict[str, Any]:
    """Return where each input lies on the volume and in a trial, and what is on this machine.

    What is on this machine has an address at the emulator, to which it is brought: a folder's
    files, or one file by its name.
    """
    inputs: dict[str, str | None] = {}
    paths: dict[str, str] = {}
    uploads: dict[str, str] = {}
    absent: list[str] = []
    for name, by_provider in study.trial.inputs.items():
        found = input_address(study, NAME, name, emulated=facts.emulated)
        uri = found.uri if found else ""
        if not uri:
            inputs[name] = None
        elif found is by_provider.get(NAME) or "://" in uri.removeprefix("file://"):
            inputs[name], paths[name] = uri, DATA
        else:
            local = _here(uri.removeprefix("file://"), facts)
            uploads[name] = str(local)
            inputs[name] = input_folder(facts, name)
            paths[name] = f"{DATA}/{local.name}" if local.is_file() else DATA
            if not (local.is_file() or any(inner.is_file() for inner in local.rglob("*"))):
                absent.append(name)
    return {"inputs": inputs, "paths": paths, "uploads": uploads, "absent_inputs": absent}
