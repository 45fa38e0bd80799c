"""The lookup of the IBM Watson provider. It does not call IBM.

An unknown value becomes a visible placeholder, such as ``{{url}}``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.provider import Facts, Inputs, Lookup, ServiceLimits, Study
from cloudtune.provider.lookup import (
    find_inputs,
    input_address,
    local_lookup,
    required_pythons_of,
)
from cloudtune_watson.backend import STAND_INS
from cloudtune_watson.backends import BACKENDS
from cloudtune_watson.layout import DATA_FOLDER, results_root
from cloudtune_watson.prices import hour_price
from cloudtune_watson.regions import IAM_URL, platform_url
from cloudtune_watson.settings import NAME, WatsonSettings
from cloudtune_watson.versions import CHOOSE_BACKEND, choose_backend, short_version

_HINTS = {
    "url": "give the https address of the cluster, or of your region of IBM Cloud, such as "
    "https://us-south.ml.cloud.ibm.com; for wmla, of WML Accelerator's console",
    "version": "give the version of Cloud Pak for Data or Software Hub, such as '5.1': sign-in and "
    "features depend on it",
    "username": "give the user to sign in; the key is read from the variable in key_variable",
    "space_id": "give the id of the deployment space, or project_id",
    "hardware_spec": "give the name of a hardware specification, such as M",
    "software_spec": "give the name of a software specification, such as tensorflow_rt24.1-py3.11; "
    "for jobs a runtime, such as runtime-25.1-py3.12",
    "exec_start": "give the framework that starts a trial, such as PyTorch; WML Accelerator's "
    "dlicmd --dl-frameworks lists them",
    "instance_group": "give the instance group of the trials on a standalone WML Accelerator",
}


def stand_in_backend(settings: WatsonSettings) -> WatsonSettings:
    """Return the settings of an emulated run, whose back end is known.

    If neither the study nor its address and version decide, it is Watson Machine Learning, which
    can rehearse the most: inputs, early stopping and all strategies.
    """
    if settings.service is not None:
        return settings
    backend = choose_backend(settings.url, settings.version)[0]
    given = settings.model_dump(exclude_unset=True)
    return WatsonSettings.model_validate({**given, "backend": backend or "wml"})


def lookup(study: Study, settings: WatsonSettings, facts: Facts) -> Lookup:
    """Return what is known of the cluster; missing settings get stand-ins."""
    backend = BACKENDS[settings.service] if settings.service else None
    is_cloud = backend is not None and backend.is_cloud(settings, facts.emulated)
    required = backend.required_settings(settings, is_cloud=is_cloud) if backend else []
    values = {name: getattr(settings, name) for name in STAND_INS}
    stand_ins: Mapping[str, str] = {name: f"{{{{{name}}}}}" for name in STAND_INS}
    if facts.emulated and backend:
        stand_ins = backend.stand_ins
    known = {name: value or stand_ins[name] for name, value in values.items()}
    certificate = None
    if settings.certificate:
        certificate = (facts.base / Path(settings.certificate).expanduser()).resolve()
    data: dict[str, Any] = {
        **known,
        "version": short_version(known["version"]),
        "sign_in_url": settings.sign_in_url or known["url"],
        "backend": settings.service,
        "is_cloud": is_cloud,
        "platform_url": (platform_url(known["url"]) if is_cloud else None) or known["url"],
        "iam_url": IAM_URL,
        "project_id": settings.project_id,
        "prefix": settings.prefix,
        "certificate": str(certificate) if certificate else None,
        "certificate_is_there": certificate is not None and certificate.is_file(),
        "pythons": required_pythons_of(study, facts),
        "key_is_set": bool(os.environ.get(settings.key_variable)),
    }
    has_volume = backend is None or backend.has_volume
    here = replace(facts, lookup=Lookup(data=data))
    inputs, input_data = _inputs(study, here, has_volume=has_volume)
    missing = {name: _HINTS[name] for name in required if not values[name]}
    given = WatsonSettings.model_validate(study.providers.get(NAME, {}))
    if facts.emulated and given.service is None:
        missing = {f"backend ({settings.service})": CHOOSE_BACKEND, **missing}
    return replace(
        local_lookup(study, facts, NAME),
        price=hour_price(settings, backend, study.limits_for(NAME).amounts().values()),
        limits=ServiceLimits(
            timeout_unit=backend.timeout_unit if backend else 1,
            uncounted=backend.uncounted if backend else (),
        ),
        missing_settings=missing,
        inputs=inputs,
        data=data | input_data,
    )


def _inputs(study: Study, facts: Facts, *, has_volume: bool) -> tuple[Inputs, dict[str, Any]]:
    """Return where each input is on the volume, and as data its path in a trial.

    Local inputs are uploaded only to the emulator, a folder's files or one file by its name; a
    cluster's volume already has its data. With deployment jobs they are not uploaded at all.
    """
    inputs = find_inputs(study, facts, NAME, f"{results_root(facts)}/{facts.job_name}")
    addresses, absent = dict(inputs.addresses), list(inputs.absent)
    local = dict(inputs.uploads)
    paths = {name: DATA_FOLDER for name, address in addresses.items() if address}
    paths |= {
        name: f"{DATA_FOLDER}/{Path(p).name}" for name, p in local.items() if Path(p).is_file()
    }
    for name, by_provider in study.trial.inputs.items():
        volume = by_provider.get(NAME)
        if volume and volume is input_address(study, NAME, name, emulated=facts.emulated):
            addresses[name], paths[name] = volume.uri, DATA_FOLDER
            local.pop(name, None)
            absent = [each for each in absent if each != name]
    data = {"paths": paths, "local_inputs": local}
    if facts.emulated and has_volume:
        return Inputs(addresses, local, tuple(absent)), data
    return Inputs({**addresses, **local}, {}, tuple(absent)), data
