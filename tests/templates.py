"""The templates as the tests see them: their files, and what their READMEs promise."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1] / "templates"
NAMES = sorted(path.parent.name for path in ROOT.glob("*/study.yaml"))
FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
REACHES = re.compile(r"^<!-- reaches: (.+) -->$", re.MULTILINE)
CONDITION = re.compile(r"(\w+) (>=|<=) (\S+)")
OPERATORS: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Condition:
    """A bound of a metric, as in `accuracy >= 0.97`."""

    metric: str
    sign: str
    bound: float

    def holds(self, metrics: dict[str, float]) -> bool:
        return OPERATORS[self.sign](metrics[self.metric], self.bound)


def read_me(name: str) -> str:
    return (ROOT / name / "README.md").read_text("utf-8")


def commands(name: str) -> list[str]:
    """Return the lines of the first shell block of a README."""
    block = FENCE.search(read_me(name))
    assert block, "README.md needs a ```sh block with the commands that run the study"
    return [line.partition("  # ")[0].strip() for line in block[1].splitlines()]


def preparation(name: str) -> list[str]:
    """Return the commands of a README before the first one of cloudtune."""
    lines = commands(name)
    return lines[: next(i for i, line in enumerate(lines) if line.startswith("cloudtune "))]


def conditions(name: str) -> list[Condition]:
    """Return what every run of a template reaches, according to a comment in its README."""
    match = REACHES.search(read_me(name))
    assert match, "README.md needs a comment such as <!-- reaches: accuracy >= 0.97 -->"
    parts = [CONDITION.fullmatch(part.strip()) for part in match[1].split(",")]
    assert all(parts), match[1]
    return [Condition(part[1], part[2], float(part[3])) for part in parts if part]
