"""A script and the launcher as a cloud starts them, in folders of a test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import textwrap
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from cloudtune.bundle import archive
from cloudtune.bundle.files import copy_files, list_files
from cloudtune.bundle.launcher import SOURCE, launcher_files
from cloudtune.fitting.fit import FittedStudy

AWKWARD = [
    "true", "True", "1e3", "1E3", "null", "None", "007", "NaN", '{"a": 1}', "[1, 2]", '"quoted"',
    "ünï ☃", " spaced ", "-1", "--n", "a=b", "new\nline", "$(x) `y`", "{{n}}", "16", "-1e-05",
]  # fmt: skip
SHOW = """
    import json, os, sys
    from cloudtune.trial import inputs, params

    said = {
        "words": sys.argv[1:],
        "params": [[name, type(value).__name__, value] for name, value in params().items()],
        "folder": sorted([place, *sorted(files)] for place, _, files in os.walk(".")),
        "variables": sorted(os.environ),
        "inputs": {name: sorted(os.listdir(path)) for name, path in inputs().items()},
        "variable": sorted(os.listdir(os.environ["CLOUDTUNE_INPUT_TRAIN"])),
        "word": os.environ.get("MORE"),
        "hash": os.environ["PYTHONHASHSEED"],
    }
    print("shown: " + json.dumps(said))
    print("acc=1")
"""


def awkward_study() -> dict[str, Any]:
    return {
        "parameters": {
            "n": {"type": "int", "min": 1, "max": 64},
            "lr": {"type": "float", "min": -1, "max": 1},
            "kernel": {"type": "categorical", "values": AWKWARD},
            "units": {"type": "categorical", "values": [16, 32, "64", 0.5]},
            "batch": {"type": "discrete", "values": [0.1, 0.2, 0.30000000000000004]},
            "shrink": {"type": "bool"},
            "depth": [
                {"type": "int", "min": 2, "max": 5, "when": {"kernel": "true"}},
                {"type": "int", "min": 6, "max": 9, "when": {"kernel": "True"}},
            ],
            "one": {"type": "int", "min": 3, "max": 3},
            "momentum": {"type": "float", "min": 0.5, "max": 0.9, "when": {"shrink": True}},
        },
        "constants": {"epochs": 20, "flag": True, "name": "null", "rate": 1e-05, "code": "007"},
        "strategy": "list",
        "objective": {"metric": "acc", "goal": "maximize"},
        "trial": {
            "script": "train.py",
            "metrics": {"acc": r"acc=(\S+)"},
            "args": ["--verbose", "--gamma", "{{momentum}}", "--data={{inputs.train}}"],
            "env": {"MORE": "ä b"},
        },
    }


def awkward_trials() -> list[dict[str, Any]]:
    trials: list[dict[str, Any]] = []
    for index, kernel in enumerate(AWKWARD):
        values: dict[str, Any] = {
            "n": 1 + index,
            "lr": [-1e-05, 0.1 + 0.2, 1.0, -0.25][index % 4],
            "kernel": kernel,
            "units": [16, 32, "64", 0.5][index % 4],
            "batch": [0.1, 0.2, 0.30000000000000004][index % 3],
            "shrink": index % 2 == 0,
        }
        if kernel in ("true", "True"):
            values["depth"] = 4 if kernel == "true" else 8
        values["one"] = 3
        if values["shrink"]:
            values["momentum"] = 0.75
        trials.append(values)
    return trials


class Launched:
    """A trial of a study with one parameter, whose script the launcher starts."""

    PROVIDER: ClassVar[str]
    VARIABLES: ClassVar[tuple[str, ...]]
    """The beginnings of the names of the service's own variables."""
    measurements: str | None = None
    """The address where the launcher saves measurements."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "container"
        self.source = folder / "src"
        for each in (self.folder, self.source):
            each.mkdir()
        self.code = self.folder / "code"
        """Where the bundle is unpacked."""
        self.study: dict[str, Any] = {
            "objective": {"metric": "acc", "goal": "maximize"},
            "parameters": {"x": {"type": "int", "min": 1, "max": 9}},
            "trial": {"script": "train.py"},
        }
        self.paths: dict[str, str] = {}
        """The inputs, as the service has them."""
        self.env: dict[str, str] = {}

    @abstractmethod
    def fitted(self) -> FittedStudy:
        """Return the study as the service can express it."""

    @abstractmethod
    def sent(self, of: FittedStudy, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what the service sends for the values of a trial."""

    @abstractmethod
    def command(self, values: Mapping[str, Any]) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return the words after the interpreter, and the service's variables."""

    @abstractmethod
    def published(self, name: str, output: str) -> list[float]:
        """Return the values of a metric that the service reads."""

    @property
    @abstractmethod
    def failure(self) -> str | None:
        """Why the trial failed, as the launcher has left it."""

    def add_input(self) -> str:
        """Create the input ``train``, with one file, and return its path there."""
        raise NotImplementedError

    @property
    def work(self) -> Path:
        """The folder in which the script runs."""
        return self.code / SOURCE

    def unpack(self, source: bool = True) -> FittedStudy:
        """Put the bundle where the service puts it."""
        of, snapshot = self.fitted(), self.folder / "snapshot"
        copy_files(self.source, list_files(self.source), snapshot)
        contract = import_module(f"cloudtune_{self.PROVIDER}.launcher_contract").__file__
        files = launcher_files(of, "run-id", self.paths, self.measurements, Path(str(contract)))
        packed = self.folder / "bundle.tar.gz"
        archive.write_archive(packed, snapshot if source else None, SOURCE, files)
        with tarfile.open(packed, "r:gz") as tar:
            tar.extractall(self.code, filter="data")
        return of

    def write(self, code: str) -> None:
        (self.source / "train.py").write_text(textwrap.dedent(code), "utf-8")

    def start(self, code: str, *words: str, **values: Any) -> subprocess.Popen[bytes]:
        self.write(code)
        self.unpack()
        return self.launch({"x": 1, **values}, *words)

    def launch(self, values: Mapping[str, Any], *more: str) -> subprocess.Popen[bytes]:
        """Start what is unpacked with these values."""
        words, variables = self.command(values)
        env = {name: value for name, value in os.environ.items() if name != "CLOUDTUNE_TRIAL"}
        env |= {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(self.folder)}
        return subprocess.Popen(
            [sys.executable, *words, *more],
            cwd=self.code,
            env={**env, **variables, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, code: str, *words: str, **values: Any) -> tuple[int, str, str]:
        """Return the exit code, the output and the errors of a script."""
        return ended(self.start(code, *words, **values))

    def shown(self, output: str) -> dict[str, Any]:
        """Return what `SHOW` printed; where the inputs lie may differ."""
        said: dict[str, Any] = json.loads(output.partition("shown: ")[2].partition("\n")[0])
        said["words"] = [re.sub("^--data=.*", "--data=", word) for word in said["words"]]
        own = (*self.VARIABLES, "TMPDIR")
        said["variables"] = [name for name in said["variables"] if not name.startswith(own)]
        return said


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Return the exit code, the output and the errors of a process."""
    with process:
        out, err = process.communicate(timeout=200)
    return process.returncode, out.decode(), err.decode()
