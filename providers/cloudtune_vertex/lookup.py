"""What must be known of the project and of this machine before a study is planned on Vertex AI.

Nothing is asked of Google. What is not known is a stand-in that shows: ``{{project}}``.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.lookups import code_elsewhere, input_address, on_this_machine
from cloudtune.provider import Facts
from cloudtune.study import Study
from cloudtune_vertex.layout import home, mounted
from cloudtune_vertex.prices import hour_price
from cloudtune_vertex.settings import VertexSettings

NAME = "vertex"
EMULATED = {
    "project": "emulated",
    "location": "us-central1",
    "bucket": "emulated",
    "image": "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest",
    "machine_type": "n1-standard-4",
}
"""What stands for what a study does not say, on the emulator."""
CONSOLE = "https://console.cloud.google.com/vertex-ai/training"
_PREBUILT = re.compile(
    r"([a-z]+-docker\.pkg\.dev/vertex-ai|([a-z]+\.)?gcr\.io/cloud-aiplatform)/.+"
)


def lookup(study: Study, settings: VertexSettings, facts: Facts) -> Mapping[str, Any]:
    """Return the facts of `cloudtune.provider.Facts.own`, as JSON data.

    What the study leaves out and needs is named in ``missing``, and has a stand-in.
    """
    said = {
        "project": settings.project,
        "location": settings.location,
        "bucket": settings.bucket,
        "image": settings.image,
        "machine_type": settings.machine_type,
    }
    if not facts.emulated:
        said["project"] = said["project"] or project_here()
        said["location"] = said["location"] or location_here()
    stand_ins = EMULATED if facts.emulated else {name: f"{{{{{name}}}}}" for name in said}
    found = {name: value or stand_ins[name] for name, value in said.items()}
    price = hour_price(found["location"], found["machine_type"], settings)
    own: dict[str, Any] = {
        **found,
        "prefix": settings.prefix,
        "prebuilt": _PREBUILT.fullmatch(found["image"]) is not None or not said["image"],
        "code": code_elsewhere(study, NAME),
        "missing": [name for name, value in said.items() if not value],
        "price_per_second": price.amount / 3600 if price else None,
        "currency": price.currency if price else None,
        "price_source": price.source if price else None,
        "links": {
            "managed": f"{CONSOLE}/hyperparameter-tuning-jobs?project={found['project']}",
            "driven": f"{CONSOLE}/custom-jobs?project={found['project']}",
        },
        **on_this_machine(study, facts),
    }
    return {**own, **_inputs(study, replace(facts, own=own))}


def project_here() -> str | None:
    """Return the project that the environment or gcloud's configuration names."""
    for variable in ("GOOGLE_CLOUD_PROJECT", "CLOUD_ML_PROJECT_ID"):
        if project := os.environ.get(variable):
            return project
    return _gcloud("core", "project")


def location_here() -> str | None:
    """Return the location that the environment or gcloud's configuration names."""
    for variable in ("GOOGLE_CLOUD_REGION", "CLOUD_ML_REGION"):
        if location := os.environ.get(variable):
            return location
    return _gcloud("ai", "region")


def _gcloud(section: str, name: str) -> str | None:
    folder = Path(os.environ.get("CLOUDSDK_CONFIG") or "~/.config/gcloud").expanduser()
    config = configparser.RawConfigParser(strict=False)
    try:
        active = os.environ.get("CLOUDSDK_ACTIVE_CONFIG_NAME") or (
            (folder / "active_config").read_text("utf-8").strip()
        )
        config.read(folder / "configurations" / f"config_{active}", encoding="utf-8")
    except (OSError, configparser.Error, UnicodeDecodeError):
        return None
    return config.get(section, name, fallback="").strip() or None


def _inputs(study: Study, facts: Facts) -> dict[str, Any]:
    """Return where each input lies in Cloud Storage and in a container, and what is brought there.

    What is local is brought below its address: a folder's files, or one file by its name.
    """
    inputs: dict[str, str | None] = {}
    paths: dict[str, str] = {}
    uploads: dict[str, str] = {}
    absent: list[str] = []
    for name in study.trial.inputs:
        found = input_address(study, NAME, name, emulated=facts.emulated)
        uri = found.uri.removeprefix("file://") if found else ""
        if not uri:
            inputs[name] = None
            continue
        if "://" in uri:
            inputs[name] = uri
            paths[name] = mounted(uri)
            continue
        local = (facts.base / Path(uri).expanduser()).resolve()
        inputs[name] = folder = f"{home(facts)}/inputs/{name}"
        paths[name] = mounted(f"{folder}/{local.name}" if local.is_file() else folder)
        uploads[name] = str(local)
        if not (local.is_file() or any(inner.is_file() for inner in local.rglob("*"))):
            absent.append(name)
    return {"inputs": inputs, "paths": paths, "uploads": uploads, "absent_inputs": absent}
