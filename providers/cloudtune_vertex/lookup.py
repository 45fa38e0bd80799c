"""The lookup of the Vertex AI provider. It does not call Google.

An unknown value becomes a visible placeholder, such as ``{{project}}``.
"""

from __future__ import annotations

import configparser
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.provider import (
    Facts,
    Inputs,
    Lookup,
    ServiceLimits,
    Study,
    code_address,
    environment_variables,
    find_inputs,
    overrides_any,
    source_files,
)
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
"""The values of missing settings on the emulator."""
_HINTS = {
    "project": "give a project, or set GOOGLE_CLOUD_PROJECT; gcloud's configuration has none",
    "location": "give a region, such as us-central1, or set GOOGLE_CLOUD_REGION",
    "bucket": "give a Cloud Storage bucket in the location, for code and outputs",
    "image": "give the address of the training image: a prebuilt one of Google, such as "
    "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest, or your own",
    "machine_type": "give the machine type, such as n1-standard-4",
}
_CONSOLE = "https://console.cloud.google.com/vertex-ai/training"
_PREBUILT = re.compile(
    r"([a-z]+-docker\.pkg\.dev/vertex-ai|([a-z]+\.)?gcr\.io/cloud-aiplatform)/training/.+"
)


def lookup(study: Study, settings: VertexSettings, facts: Facts) -> Lookup:
    """Return what is known of the project; missing settings get stand-ins."""
    values = {
        "project": settings.project,
        "location": settings.location,
        "bucket": settings.bucket,
        "image": settings.image,
        "machine_type": settings.machine_type,
    }
    if not facts.emulated:
        values["project"] = values["project"] or default_project()
        values["location"] = values["location"] or default_location()
    stand_ins = EMULATED if facts.emulated else {name: f"{{{{{name}}}}}" for name in values}
    data: dict[str, Any] = {name: value or stand_ins[name] for name, value in values.items()}
    project, location, image = data["project"], data["location"], data["image"]
    data["prefix"] = settings.prefix
    data["prebuilt"] = _PREBUILT.fullmatch(image) is not None or not values["image"]
    folder = home(replace(facts, lookup=Lookup(data=data)))
    inputs = find_inputs(study, facts, NAME, folder)
    return Lookup(
        price=hour_price(location, data["machine_type"], settings),
        limits=ServiceLimits(
            # With a resource, a trial starts again for each rung, each time with this limit.
            longest_trial=None if study.strategy.resource else LONGEST_TRIAL,
            set_by_native=overrides_any(settings.native, LIMITS),
        ),
        missing_settings={name: _HINTS[name] for name, value in values.items() if not value},
        code_address=code_address(study, NAME),
        source=source_files(study, facts),
        variables=environment_variables(study),
        inputs=inputs,
        links={
            "managed": f"{_CONSOLE}/hyperparameter-tuning-jobs?project={project}",
            "driven": f"{_CONSOLE}/custom-jobs?project={project}",
        },
        job_links={"managed": job_page(project, location, "{job}")},
        data={**data, "paths": _paths(inputs)},
    )


def default_project() -> str | None:
    """Return the project of the environment or of gcloud's configuration."""
    for variable in ("GOOGLE_CLOUD_PROJECT", "CLOUD_ML_PROJECT_ID"):
        if project := os.environ.get(variable):
            return project
    return _gcloud("core", "project")


def default_location() -> str | None:
    """Return the location of the environment or of gcloud's configuration."""
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


def _paths(inputs: Inputs) -> dict[str, str]:
    """Return the path of each input in a container: a folder, or one uploaded file."""
    paths: dict[str, str] = {}
    for name, uri in inputs.addresses.items():
        local = Path(inputs.uploads.get(name, ""))
        if uri is not None:
            paths[name] = mounted(f"{uri}/{local.name}" if local.is_file() else uri)
    return paths
