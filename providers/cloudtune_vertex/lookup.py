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

from cloudtune.provider import Facts, Inputs, Lookup, ServiceLimits, Study, overrides_any
from cloudtune.provider.lookup import local_lookup, required_pythons_of
from cloudtune.provider.uploads import shared_inputs
from cloudtune_vertex.console import job_url, list_url
from cloudtune_vertex.prices import LIMITS, LONGEST_TRIAL, hour_price
from cloudtune_vertex.request.layout import mounted_path, uploads_uri
from cloudtune_vertex.settings import NAME, VertexSettings

EMULATED = {
    "project": "emulated",
    "location": "us-central1",
    "bucket": "emulated",
    "image": "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest",
    "machine_type": "n1-standard-4",
}
"""Values of missing settings on the emulator."""
_HINTS = {
    "project": "set a project or GOOGLE_CLOUD_PROJECT; gcloud's configuration has no project",
    "location": "set a region, for example us-central1, or GOOGLE_CLOUD_REGION",
    "bucket": "set a Cloud Storage bucket in the location, for code and outputs",
    "image": "set the address of the training image: a prebuilt one of Google, for example "
    "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest, or your own",
    "machine_type": "set the machine type, for example n1-standard-4",
}
_PREBUILT = re.compile(
    r"([a-z]+-docker\.pkg\.dev/vertex-ai|([a-z]+\.)?gcr\.io/cloud-aiplatform)/training/.+"
)


def lookup(study: Study, settings: VertexSettings, facts: Facts) -> Lookup:
    """Return the known facts about the project; placeholders replace missing settings."""
    values: dict[str, str | None] = {name: getattr(settings, name) for name in _HINTS}
    if not facts.emulated:
        values["project"] = values["project"] or default_project()
        values["location"] = values["location"] or default_location()
    placeholders = EMULATED if facts.emulated else {name: f"{{{{{name}}}}}" for name in values}
    data: dict[str, Any] = {name: value or placeholders[name] for name, value in values.items()}
    project, location, image = data["project"], data["location"], data["image"]
    data["prefix"] = settings.prefix
    data["pythons"] = required_pythons_of(study, facts)
    data["prebuilt"] = _PREBUILT.fullmatch(image) is not None or not values["image"]
    inputs = shared_inputs(study, facts, NAME, uploads_uri(data))
    return replace(
        local_lookup(study, facts, NAME),
        price=hour_price(location, data["machine_type"], settings),
        limits=ServiceLimits(
            # With a resource, the limit applies to each start of a trial.
            longest_trial=None if study.strategy.resource else LONGEST_TRIAL,
            set_by_native=overrides_any(settings.native, LIMITS),
            uncounted=(
                "disks, unless your price contains them",
                "the time that Vertex AI takes to stop a trial",
            ),
        ),
        missing_settings={name: _HINTS[name] for name, value in values.items() if not value},
        inputs=inputs,
        links={
            "managed": list_url(project, "hyperparameter-tuning-jobs"),
            "driven": list_url(project, "custom-jobs"),
        },
        job_links={"managed": job_url(project, location, "{job}")},
        data={**data, "paths": _paths(inputs)},
    )


def default_project() -> str | None:
    """Return the project of the environment or of gcloud's configuration."""
    env = os.environ
    project = env.get("GOOGLE_CLOUD_PROJECT") or env.get("CLOUD_ML_PROJECT_ID")
    return project or _read_gcloud("core", "project")


def default_location() -> str | None:
    """Return the location of the environment or of gcloud's configuration."""
    env = os.environ
    location = env.get("GOOGLE_CLOUD_REGION") or env.get("CLOUD_ML_REGION")
    return location or _read_gcloud("ai", "region")


def _read_gcloud(section: str, name: str) -> str | None:
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
            paths[name] = mounted_path(f"{uri}/{local.name}" if local.is_file() else uri)
    return paths
