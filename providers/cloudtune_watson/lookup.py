"""What must be known of the cluster and of this machine before a study is planned on IBM Watson.

Nothing is asked of IBM. What is not known is a stand-in that shows: ``{{url}}``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.provider.cost import price_facts
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import code_address, find_inputs, input_address, local_facts
from cloudtune.study.study import Study
from cloudtune_watson.prices import hour_price
from cloudtune_watson.request.layout import DATA, home
from cloudtune_watson.settings import NAME, WatsonSettings
from cloudtune_watson.versions import STANDALONE, release

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
OF_EACH = {
    "wml": ("url", "version", "username", "space_id", "hardware_spec", "software_spec"),
    "wmla": ("url", "version", "username", "exec_start"),
}
"""What each back end must know."""
_NEEDED = {
    "url": "the https address of the cluster; for wmla, of WML Accelerator's console",
    "version": "the version of Cloud Pak for Data or Software Hub, as '5.1': it decides how one "
    "signs in, and what there is",
    "username": "who signs in; the key is read from the variable that key_variable names",
    "space_id": "the id of the deployment space, or give project_id",
    "hardware_spec": "the name of a hardware specification of the cluster, as M",
    "software_spec": "the name of a software specification of the cluster, as "
    "tensorflow_rt24.1-py3.11",
    "exec_start": "the framework that starts a trial, as PyTorch; WML Accelerator's "
    "dlicmd --dl-frameworks lists them",
    "instance_group": "the instance group that runs the trials of a standalone WML Accelerator",
}


def lookup(study: Study, settings: WatsonSettings, facts: Facts) -> Mapping[str, Any]:
    """Return the facts of `cloudtune.provider.facts.Facts.own`, as JSON data.

    What the study leaves out and needs is named in ``missing``, and has a stand-in.
    """
    needed = list(OF_EACH[settings.backend]) if settings.backend else []
    if settings.project_id and "space_id" in needed:
        needed.remove("space_id")
    if settings.backend == "wmla" and settings.version == STANDALONE:
        needed.append("instance_group")
    said = {name: getattr(settings, name) for name in EMULATED}
    stand_ins = EMULATED if facts.emulated else {name: f"{{{{{name}}}}}" for name in EMULATED}
    found = {name: value or stand_ins[name] for name, value in said.items()}
    certificate = _here(settings.certificate, facts) if settings.certificate else None
    own: dict[str, Any] = {
        **found,
        "version": release(found["version"]),
        "sign_in_url": settings.sign_in_url or found["url"],
        "backend": settings.backend,
        "project_id": settings.project_id,
        "prefix": settings.prefix,
        "certificate": str(certificate) if certificate else None,
        "certificate_is_there": certificate is not None and certificate.is_file(),
        "key_is_set": bool(os.environ.get(settings.key_variable)),
        "code": code_address(study, NAME),
        "missing": {name: _NEEDED[name] for name in needed if not said[name]},
        **price_facts(hour_price(settings, study.limits_for(NAME).max_cost)),
        "links": {},
        **local_facts(study, facts),
    }
    return {**own, **_inputs(study, replace(facts, own=own))}


def _here(path: str, facts: Facts) -> Path:
    return (facts.base / Path(path).expanduser()).resolve()


def _inputs(study: Study, facts: Facts) -> dict[str, Any]:
    """Return where each input lies on the volume and in a trial, and what is on this machine.

    What is on this machine is brought to the emulator alone, a folder's files or one file by its
    name; a cluster's volume has its data already.
    """
    found = find_inputs(study, facts, NAME, f"{home(facts)}/{facts.job_name}")
    local: dict[str, str] = found["uploads"]
    paths = {name: DATA for name, address in found["inputs"].items() if address}
    paths |= {name: f"{DATA}/{Path(p).name}" for name, p in local.items() if Path(p).is_file()}
    for name, by_provider in study.trial.inputs.items():
        at_ibm = by_provider.get(NAME)
        if at_ibm and at_ibm is input_address(study, NAME, name, emulated=facts.emulated):
            found["inputs"][name], paths[name] = at_ibm.uri, DATA
            local.pop(name, None)
            found["absent_inputs"] = [each for each in found["absent_inputs"] if each != name]
    if facts.emulated:
        return {**found, "paths": paths, "local_inputs": local}
    addresses = {**found["inputs"], **local}
    return {**found, "inputs": addresses, "paths": paths, "uploads": {}, "local_inputs": local}
