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

from cloudtune.provider.cost import overrides_any, price_facts
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import code_address, find_inputs, local_facts
from cloudtune.study.study import Study
from cloudtune_vertex.prices import LIMITS, LONGEST_TRIAL, hour_price
from cloudtune_vertex.request.layout import home, job_page, mounted
from cloudtune_vertex.settings import NAME, VertexSettings

EMULATED = {
    "project": "emulated",
    "location": "us-central1",
    "bucket": "emulated",
    "image": "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest",
    "machine_type": "n1-standard-4",
}
"""What stands for what a study does not say, on the emulator."""
_NEEDED = {
    "project": "name the project, or set GOOGLE_CLOUD_PROJECT; gcloud's configuration has none",
    "location": "name it, as us-central1, or set GOOGLE_CLOUD_REGION",
    "bucket": "name a bucket of Cloud Storage in the location: code and outputs lie there",
    "image": "give the address of the training image: one of Google's prebuilt ones, as "
    "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest, or your own",
    "machine_type": "name the machine, as n1-standard-4",
}
_CONSOLE = "https://console.cloud.google.com/vertex-ai/training"
_PREBUILT = re.compile(
    r"([a-z]+-docker\.pkg\.dev/vertex-ai|([a-z]+\.)?gcr\.io/cloud-aiplatform)/training/.+"
)


def lookup(study: Study, settings: VertexSettings, facts: Facts) -> Mapping[str, Any]:
    """Return the facts of `cloudtune.provider.facts.Facts.own`, as JSON data.

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
    own: dict[str, Any] = {
        **found,
        "prefix": settings.prefix,
        "prebuilt": _PREBUILT.fullmatch(found["image"]) is not None or not said["image"],
        "code": code_address(study, NAME),
        "missing": {name: _NEEDED[name] for name, value in said.items() if not value},
        **price_facts(hour_price(found["location"], found["machine_type"], settings)),
        # With a resource a trial is started again for each rung, each time for as long as this.
        "longest_trial": None if study.strategy.resource else LONGEST_TRIAL,
        "own_limits": overrides_any(settings.native, LIMITS),
        "links": {
            "managed": f"{_CONSOLE}/hyperparameter-tuning-jobs?project={found['project']}",
            "driven": f"{_CONSOLE}/custom-jobs?project={found['project']}",
        },
        "job_links": {"managed": job_page(found["project"], found["location"], "{job}")},
        **local_facts(study, facts),
    }
    own |= find_inputs(study, facts, NAME, home(replace(facts, own=own)))
    return {**own, "paths": _paths(own["inputs"], own["uploads"])}


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


def _paths(addresses: Mapping[str, str | None], uploads: Mapping[str, str]) -> dict[str, str]:
    """Return where each input lies in a container: a folder, or one file that is brought."""
    paths: dict[str, str] = {}
    for name, uri in addresses.items():
        local = Path(uploads.get(name, ""))
        if uri is not None:
            paths[name] = mounted(f"{uri}/{local.name}" if local.is_file() else uri)
    return paths
