"""The launcher in a job of Vertex AI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.bundle.launcher import PROGRAM
from cloudtune.fitting.capabilities import DRIVEN, Capabilities
from cloudtune.fitting.fit import FittedStudy, fit, restore_definitions
from cloudtune.study.search_space import format_value
from cloudtune.study.study import Study
from tests.launched import Launched

TREE = replace(
    DRIVEN,
    parameters={
        "float": frozenset({"linear", "log"}),
        "int": frozenset({"linear"}),
        "discrete": frozenset({"linear"}),
        "categorical": frozenset(),
    },
    steps=False,
    conditions="tree",
)
"""What a service like Vertex AI can hold: conditions, and no bool."""
MEASUREMENTS = "gs://bucket/mine/measurements"


def fitted(study: Mapping[str, Any]) -> FittedStudy:
    able = Capabilities("vertex", "Vertex AI", "offline only", TREE, None)
    return fit(Study.model_validate(study), able, "managed")


class LaunchedJob(Launched):
    """A container's files and variables below a folder of its own, with the bundle unpacked."""

    PROVIDER = "vertex"
    VARIABLES = ("CLOUD_ML_", "AIP_", "CLOUDTUNE_GCS")
    measurements = MEASUREMENTS

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.job: str | None = None
        """The name of a driven trial's start."""
        self.gcs = self.folder / "gcs"
        (self.gcs / "bucket").mkdir(parents=True)
        self.metric_file = self.folder / "hypertune" / "output.metrics"

    def fitted(self) -> FittedStudy:
        return fitted(self.study)

    def sent(self, of: FittedStudy, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values of active parameters, by the names that they are sent under."""
        names = {definition["name"]: definition["sent"] for definition in restore_definitions(of)}
        return {names[name]: value for name, value in values.items()}

    def command(self, values: Mapping[str, Any]) -> tuple[Sequence[str], Mapping[str, str]]:
        base = "gs://bucket/mine/output/7"
        words = [f"--{name}={format_value(value)}" for name, value in values.items()]
        trial = {
            "CLOUD_ML_TRIAL_ID": "7",
            "CLOUD_ML_HP_METRIC_FILE": str(self.metric_file),
        }
        return [PROGRAM, *words], {
            "CLOUD_ML_JOB_ID": "4711",
            "CLOUDTUNE_GCS": str(self.gcs),
            "AIP_MODEL_DIR": f"{base}/model/",
            "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": f"{base}/logs/",
            **({"CLOUDTUNE_JOB": self.job} if self.job else trial),
        }

    def add_input(self) -> str:
        (self.gcs / "bucket" / "train").mkdir()
        (self.gcs / "bucket" / "train" / "rows.csv").touch()
        return "/gcs/bucket/train"

    def published(self, name: str, output: str) -> list[float]:
        return [value for metric, value, _ in self.spoken if metric == name]

    @property
    def failure(self) -> str | None:
        return self.kept[-1].get("failure")

    @property
    def kept_file(self) -> Path:
        return self.gcs / "bucket" / "mine" / "measurements" / f"{self.job or 7}.jsonl"

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The lines that were kept, less their times."""
        lines = [json.loads(line) for line in self.kept_file.read_text("utf-8").splitlines()]
        return [{k: v for k, v in line.items() if k != "time"} for line in lines]

    @property
    def spoken(self) -> list[tuple[str, float, int]]:
        """What the service reads: metric, value and step."""
        own = ("checkpoint_path", "global_step", "timestamp", "trial")
        if not self.metric_file.exists():
            return []
        lines = [json.loads(line) for line in self.metric_file.read_text("utf-8").splitlines()]
        return [
            (name, float(line[name]), int(line["global_step"]))
            for line in lines
            for name in line
            if name not in own
        ]
