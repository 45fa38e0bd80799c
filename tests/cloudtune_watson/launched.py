"""The launcher as IBM's services start it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.bundle.launcher import PROGRAM
from cloudtune.fitting.capabilities import DRIVEN, Capabilities
from cloudtune.fitting.fit import FittedStudy, fit
from cloudtune.study.search_space import format_value
from cloudtune.study.study import Study
from tests.cloudtune_sagemaker.launched import sent
from tests.launched import Launched

WORDS = replace(DRIVEN, text_only=True)
"""What the words of a command can hold: text for every value."""
FLAT = replace(WORDS, conditions="none")
"""What IBM's tuner can hold: no conditions either."""


class LaunchedJob(Launched):
    """The folders and variables of one trial, with the bundle unpacked where it is started."""

    PROVIDER = "watson"
    VARIABLES = ("DATA_DIR", "RESULT_DIR", "LOG_DIR", "SUBID", "TRAINING_ID")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.searched = False
        """Whether IBM's tuner chose the parameters, which are in a file then."""
        self.results = self.folder / "results"
        self.logs = self.folder / "logs"
        self.data = self.folder / "data"
        for each in (self.code, self.results, self.logs, self.data):
            each.mkdir()

    def fitted(self) -> FittedStudy:
        able = Capabilities("watson", "IBM Watson", "offline only", FLAT, WORDS)
        return fit(Study.model_validate(self.study), able, "managed" if self.searched else "driven")

    def sent(self, of: FittedStudy, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return sent(of, values) if self.searched else values

    def command(self, values: Mapping[str, Any]) -> tuple[Sequence[str], Mapping[str, str]]:
        texts = {name: format_value(value) for name, value in values.items()}
        env = {
            "DATA_DIR": str(self.data),
            "RESULT_DIR": str(self.results),
            "LOG_DIR": str(self.logs),
            "TRAINING_ID": "4711",
        }
        if not self.searched:
            return [PROGRAM, *(w for name, text in texts.items() for w in (f"--{name}", text))], env
        (self.code / "config.json").write_text(json.dumps(texts), "utf-8")
        return [PROGRAM], {**env, "SUBID": "7"}

    def add_input(self) -> str:
        (self.data / "rows.csv").touch()
        return "$DATA_DIR"

    def published(self, name: str, output: str) -> list[float]:
        return [entry[name] for entry in self.listed if name in entry]

    @property
    def list_file(self) -> Path:
        return self.results / "val_dict_list.json"

    @property
    def listed(self) -> Any:
        """What IBM's tuner reads."""
        try:
            return json.loads(self.list_file.read_bytes())
        except FileNotFoundError:  # the launcher is replacing it
            return []

    @property
    def logged(self) -> list[dict[str, Any]]:
        """The lines of the log of what was measured."""
        file = self.logs / ("7" if self.searched else "") / "evaluation-metrics.txt"
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]

    @property
    def failure(self) -> str | None:
        file = self.results / "cloudtune_failure.txt"
        return file.read_text("utf-8") if file.exists() else None
