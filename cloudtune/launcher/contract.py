"""What a service does to the process that it starts."""

from __future__ import annotations

import os
import sys

from cloudtune.launcher import SEED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]

BEGINS_ANEW = "begins_anew"
"""Key of a line of reports: the script starts again from the beginning, as do its steps."""


class Contract:
    """The contract of a service that reads metrics from the log.

    A provider whose service needs more has a subclass in its `CONTRACT_FILE`, and there a function
    ``find_contract(study, argv)``, which returns it, or None in another environment.
    """

    signals_script = False
    """Whether the service itself signals the script to stop, and not only the launcher."""

    def __init__(self, raw: Mapping[str, Any], trial: Json | None = None) -> None:
        """Store what the service provides for this trial.

        Args:
            raw: Values by the names under which they were sent.
            trial: Fields of the trial's file: ``trial``, ``inputs``, ``output``, ``checkpoint``.
                With ``reports``, the service reads that file itself.
        """
        self.raw = raw
        self.trial: Json = trial or {}
        self.continues = False
        """Whether there were checkpoints when the script was started; the launcher sets it."""
        self.grace: float | None = None
        """Seconds after a stop signal until the launcher kills the script; None for never."""
        self._last_steps: dict[str, int] = {}
        self._latest: dict[str, tuple[int, float]] = {}
        """The step and the value of each metric's latest report."""

    def observe(self, report: Mapping[str, Any]) -> None:
        """Remember the values of a report, for `divergence`."""
        for name, value in report["metrics"].items():
            before = self._latest.get(name, (0, 0.0))[0]
            self._latest[name] = (report.get("step", before + 1), float(value))

    def divergence(self, objectives: Iterable[str]) -> str:
        """Return which of the objectives ended with a value that is not finite; empty if none.

        Services drop such values, and would count the trial with its last finite one.
        """
        for name in objectives:
            step, value = self._latest.get(name, (0, 0.0))
            if not abs(value) <= sys.float_info.max:
                return "{} was {} at step {}".format(name, value, step)
        return ""

    def assign_steps(self, report: Mapping[str, Any], after: int = 0) -> dict[int, Json]:
        """Return the metrics of a report by step.

        In a report without a step, each metric has the one that follows its last step.

        Args:
            report: The report.
            after: The last step of a metric that was not reported yet.
        """
        by_step: dict[int, Json] = {}
        for name, value in report["metrics"].items():
            step = report.get("step", self._last_steps.get(name, after) + 1)
            self._last_steps[name] = step
            by_step.setdefault(step, {})[name] = float(value)
        return by_step

    def publish(self, report: Mapping[str, Any]) -> str:
        """Pass a report on to the service; return the lines to print for it."""
        lines = ""
        for name, value in report["metrics"].items():
            if abs(value) <= sys.float_info.max and name.isprintable():
                lines += "[cloudtune] metric {} = {!r}\n".format(name, float(value))
            else:
                lines += skipped_metric(name, value)
        return lines

    def report_failure(self, reason: str) -> None:
        """Pass on why the trial failed, if the service does not read that from the log."""

    def report_warning(self, warning: str) -> None:
        """Pass on why the metrics of a script that succeeded may be wrong."""
        self.report_failure(warning)

    def report_exit(self, code: int, *, stopped: bool) -> None:
        """Pass on the script's exit code, negative for a signal; before `close`.

        ``stopped`` is whether the launcher received a stop signal.
        """

    def script_variables(self, _folder: str) -> dict[str, str]:
        """Return additional environment variables; ``folder`` is for temporary files."""
        return {}

    def tick(self) -> float | None:
        """Do what is due while a process runs; return the seconds until the next call."""
        return None

    def close(self) -> None:
        """Write everything that is still queued."""


def has_files(folder: str) -> bool:
    """Return whether a folder exists and is not empty."""
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False


def skipped_metric(name: str, value: float) -> str:
    """Return the line to print for a value that a service does not accept."""
    return "[cloudtune] skipped metric {!r}: {}\n".format(name, value)


def parse_flags(study: Json, argv: Sequence[str]) -> Json:
    """Return the values of ``--name=value``, ``--name value`` and, for one letter, ``-n value``.

    Args:
        study: The content of `STUDY_FILE`. Other names are ignored.
        argv: The arguments of the launcher.
    """
    names = {definition.get("sent", definition["name"]) for definition in study["parameters"]}
    names |= {study.get("resource"), SEED, *study["constants"]}
    raw: Json = {}
    words = iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        name = flag[2:] if flag.startswith("--") else flag[1:]
        if name in names and flag in ("--" + name, "-" + name):
            raw[name] = value if equals else next(words, "")
    return raw
