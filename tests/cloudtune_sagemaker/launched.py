"""The launcher as a training job of SageMaker starts it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from cloudtune.bundle.launcher import PROGRAM
from cloudtune.fitting.capabilities import DRIVEN, Capabilities, Limit
from cloudtune.fitting.fit import FittedStudy, fit, restore_definitions
from cloudtune.study.search_space import format_value
from cloudtune.study.study import Study
from tests.launched import Launched

FLAT = replace(
    DRIVEN,
    parameters={
        "float": frozenset({"linear", "log"}),
        "int": frozenset({"linear"}),
        "categorical": frozenset(),
    },
    steps=False,
    conditions="none",
    text_only=True,
    single_values=False,
    max_values=Limit(30, "made up for this test"),
)
"""What a service like SageMaker can hold: numbers and text, no conditions."""


def fitted(study: Mapping[str, Any]) -> FittedStudy:
    able = Capabilities("aws", "AWS", "offline only", FLAT, None)
    return fit(Study.model_validate(study), able, "managed")


def sent(of: FittedStudy, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what such a service sends for a trial: inactive parameters have a value as well."""
    raw = {name: format_value(value) for name, value in of.original.constants.items()}
    for definition in restore_definitions(of):
        name = definition["name"]
        value = values.get(name, definition.get("values", [definition.get("min", True)])[0])
        raw[definition["sent"]] = format_value(value)
    return raw


def words(raw: Mapping[str, str]) -> list[str]:
    """Return the words that the training toolkit makes of hyperparameters."""
    arguments: list[str] = []
    for name in sorted(raw):
        if not name.startswith(("sagemaker_", "_tuning_")):
            value: Any = raw[name]
            with suppress(ValueError):
                value = json.loads(value)
            if isinstance(value, dict):
                value = ",".join(f"{k}={v}" for k, v in cast("dict[str, Any]", value).items())
            arguments += [f"--{name}" if len(name) > 1 else f"-{name}"]
            arguments += ["" if value is None else str(value)]
    return arguments


def definition(name: str) -> str:
    """Return the expression by which SageMaker is told to find a metric."""
    return rf"\[cloudtune\] metric {re.escape(name)} = ([-+0-9.e]+)"


def values_of(output: str, name: str) -> list[float]:
    return [float(each) for each in re.findall(f"(?m)^{definition(name)}$", output)]


class LaunchedJob(Launched):
    """A training job's /opt/ml below a folder of its own, with the archive unpacked in it."""

    PROVIDER = "sagemaker"
    VARIABLES = ("SM_", "SAGEMAKER_", "TRAINING_JOB_")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.managed = True
        self.base = self.folder / "opt" / "ml"
        self.code = self.base / "code"
        for name in ("code", "model", "input/config", "input/data", "output/data"):
            (self.base / name).mkdir(parents=True)

    def fitted(self) -> FittedStudy:
        self.paths = {
            name: self.paths.get(name, f"/opt/ml/input/data/{name}")
            for name in self.study["trial"].get("inputs", ())
        }
        return fitted(self.study)

    def sent(self, of: FittedStudy, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return sent(of, values)

    def command(self, values: Mapping[str, Any]) -> tuple[Sequence[str], Mapping[str, str]]:
        own = {"sagemaker_program": PROGRAM, "sagemaker_submit_directory": "s3://b/code.tar.gz"}
        if self.managed:
            own["_tuning_objective_metric"] = "acc"
        raw = {**{name: format_value(value) for name, value in values.items()}, **own}
        config = self.base / "input" / "config"
        (config / "hyperparameters.json").write_text(json.dumps(raw), "utf-8")
        channels = (self.base / "input" / "data").iterdir()
        return ["--", PROGRAM, *words(raw)], {
            "SAGEMAKER_BASE_DIR": str(self.base),
            "TRAINING_JOB_NAME": "job-7",
            "SM_INPUT_DIR": str(self.base / "input"),
            "SM_INPUT_CONFIG_DIR": str(config),
            "SM_MODEL_DIR": str(self.base / "model"),
            "SM_OUTPUT_DIR": str(self.base / "output"),
            "SM_HPS": json.dumps(raw),
            **{f"SM_CHANNEL_{each.name.upper()}": str(each) for each in channels},
        }

    def add_input(self) -> str:
        (self.base / "input/data/train").mkdir()
        (self.base / "input/data/train/rows.csv").touch()
        return "/opt/ml/input/data/train"

    def published(self, name: str, output: str) -> list[float]:
        return values_of(output, name)

    @property
    def failure(self) -> str | None:
        file = self.base / "output" / "failure"
        return file.read_text("utf-8") if file.exists() else None
