"""Models that training pipelines upload; nothing serves them.

A pipeline with ``modelToUpload`` creates a model from ``model/`` below the job's base output
directory (types of google-cloud-aiplatform 2.7.0, TrainingPipeline.model_to_upload and
CustomJobSpec.base_output_directory). The fields are those of a list of models that was printed in
2022 (GoogleCloudPlatform/data-science-on-gcp issue 154). The words for a folder without files are
not verified.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator import errors
from cloudtune_vertex.emulator.named_resources import NamedResources
from cloudtune_vertex.emulator.state import (
    SUCCEEDED,
    Parent,
    Status,
    TrainingPipeline,
    new_number,
)
from cloudtune_vertex.emulator.storage import Storage, split_uri
from cloudtune_vertex.emulator.times import format_time


class Models(NamedResources):
    """The models of the emulator."""

    KIND = "Model"
    COLLECTION = "models"

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self._storage = storage

    def upload(self, pipelines: Iterable[TrainingPipeline]) -> None:
        """Create the models of pipelines whose jobs have succeeded, or fail the pipelines."""
        for each in pipelines:
            wanted: Json | None = each.request.get("modelToUpload")
            if wanted is None or each.job.state != SUCCEEDED or each.model or each.problem:
                continue
            base: str = each.job.spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
            uri = f"{base.rstrip('/')}/model" if base else ""
            if uri and not self._has_files(uri):
                text = f'There are no files under "{uri}" to copy.'
                each.problem = Status(errors.INVALID, text)
                continue
            model = _create(wanted, each, uri)
            each.model = model["name"]
            self._resources[model["name"]] = model

    def _has_files(self, uri: str) -> bool:
        bucket, path = split_uri(uri)
        return any(
            of == bucket and name.startswith(f"{path}/") for of, name in self._storage.generations()
        )

    def get(self, name: str) -> Json:
        """Return a model by its name, which may end in ``@`` and a version.

        Raises:
            ServiceError: If it does not exist.
        """
        return super().get(name.partition("@")[0])

    def list(self, parent: Parent) -> list[Json]:
        """Return the models of a parent, newest first."""
        return super().list(parent)[::-1]


def _create(wanted: Json, pipeline: TrainingPipeline, uri: str) -> Json:
    id_ = pipeline.request.get("modelId") or str(new_number())
    now = format_time(time.time())
    model: Json = {
        "displayName": pipeline.request.get("displayName", ""),
        **wanted,
        "name": f"{pipeline.parent.name}/{Models.COLLECTION}/{id_}",
        "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"],
        "trainingPipeline": pipeline.name,
        "createTime": now,
        "updateTime": now,
        "versionId": "1",
        "versionAliases": ["default"],
        "versionCreateTime": now,
        "versionUpdateTime": now,
    }
    if uri:
        model["artifactUri"] = uri
    return model
