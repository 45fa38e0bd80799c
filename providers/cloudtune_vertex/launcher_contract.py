"""The launcher's contract with Vertex AI custom jobs and tuning jobs.

The archive of a job carries this file in ``cloudtune/``, so it uses only the standard
library and the syntax of Python 3.7.
"""

from __future__ import annotations

import json
import os
import sys

from cloudtune.launcher.contract import BEGINS_ANEW, Contract, parse_flags, skipped_metric

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]

METRIC_FILE = "/tmp/hypertune/output.metrics"  # noqa: S108
"""Where cloudml-hypertune writes without ``CLOUD_ML_HP_METRIC_FILE``."""
PUBLISH_INTERVAL = 0.1
"""Minimum seconds between two writes of the file that the service reads."""
SAVE_INTERVAL = 5.0
"""Minimum seconds between two uploads of the measurements; longer where an upload is slow."""
MAX_SAVED_BYTES = 64 * 1024 * 1024
"""Size limit of the measurements, since each upload sends all of them."""
_HYPERTUNE_FIELDS = {"checkpoint_path", "global_step", "timestamp", "trial"}


class VertexContract(Contract):
    """Vertex AI reads the latest value of each objective from a file and shows no others.

    The file has the format of Google's cloudml-hypertune. Each step has the value that counts so
    far: where the study selects the best value, that is the best one. A trial counts with a step
    that has all objectives, so an objective that is not reported at a step keeps its previous
    value.

    A script that reports through cloudml-hypertune gets a file of its own, and its lines are
    treated like any report. All measurements are also saved to Cloud Storage, where an object can
    only be written as a whole.
    """

    def __init__(
        self,
        raw: Json,
        trial: Json,
        objectives: Mapping[str, str],
        metric_file: str,
        saved_file: str,
        *,
        restarts: bool = False,
    ) -> None:
        """Continue the measurements in ``saved_file``, if the machine was restarted.

        ``metric_file`` is the file that the service reads, and ``saved_file`` the one in Cloud
        Storage for all measurements. Each is empty for none. ``restarts`` is whether an
        earlier job of the trial has measurements.
        """
        super().__init__(raw, trial)
        self._restarts = restarts
        self._objectives = objectives
        self._metric_file = metric_file
        self._lines: list[str] = []
        self._lines_changed = False
        self._publish_at = 0.0
        self._saved_file = saved_file
        self._measurements = bytearray()
        self._saved_bytes = 0
        self._save_at = 0.0
        self._overflow: dict[str, Json] = {}
        self._current: dict[str, float] = {}
        self._step = 0
        self._step_time = 0.0
        self._reported_at_step: set[str] = set()
        self._script_file = ""
        self._script_lines: list[str] = []
        self._reported_at_zero: set[str] = set()
        if os.path.exists(saved_file):
            with open(saved_file, "rb") as file:
                self._restore(file.read())

    def publish(self, report: Mapping[str, Any]) -> str:
        """Queue a report for the service's file and for Cloud Storage."""
        lines = ""
        for name, value in report["metrics"].items():
            step = report.get("step", self._last_steps.get(name, 0) + 1)
            self._last_steps[name] = step
            if self._update_objective(name, value):
                self._publish_objective(name, step, report["time"])
            elif name in self._objectives:
                lines += skipped_metric(name, value)
        if self._restarts and not self.continues:
            self._add_measurement({"metrics": {}, BEGINS_ANEW: True})
        self._restarts = False
        if len(self._measurements) < MAX_SAVED_BYTES:
            self._add_measurement(report)
        else:
            self._add_overflow(report)
        return lines

    def _update_objective(self, name: str, value: float) -> bool:
        """Update the value that counts; return False for values that the service rejects."""
        if name not in self._objectives or not abs(value) <= sys.float_info.max:
            return False
        previous = self._current.get(name, value)
        choose = {"maximize": max, "minimize": min}.get(self._objectives[name])
        self._current[name] = choose(previous, value) if choose else value
        return True

    def _publish_objective(self, name: str, step: int, time: float) -> None:
        """Add a line for an objective; with several objectives, steps never decrease."""
        if self._reported_at_step and len(self._objectives) > 1:
            step = max(step, self._step)
            if name in self._reported_at_step or step > self._step:
                self._complete_step()
        self._step, self._step_time = step, time
        self._reported_at_step.add(name)
        self._add_line(name)

    def _complete_step(self) -> None:
        """Add the objectives that were not reported at the step that ends here."""
        if self._reported_at_step and len(self._current) == len(self._objectives):
            for name in self._objectives:
                if name not in self._reported_at_step:
                    self._add_line(name)
        self._reported_at_step.clear()

    def _add_line(self, name: str) -> None:
        line = {
            "timestamp": self._step_time,
            "trial": os.environ.get("CLOUD_ML_TRIAL_ID", "0"),
            name: str(float(self._current[name])),
            "global_step": str(self._step),
            "checkpoint_path": "",
        }
        self._lines = [*self._lines[-99:], json.dumps(line, sort_keys=True) + "\n"]
        self._lines_changed = bool(self._metric_file)

    def report_failure(self, reason: str) -> None:
        """Save the reason with the measurements."""
        self._add_measurement({"failure": reason})

    def script_variables(self, folder: str) -> dict[str, str]:
        """Redirect cloudml-hypertune in the script to a file that the launcher reads."""
        self._script_file = os.path.join(folder, "hypertune", "output.metrics")
        return {"CLOUD_ML_HP_METRIC_FILE": self._script_file}

    def tick(self) -> float | None:
        """Write the service's file and the measurements when they are due."""
        import time

        for report in self._script_reports():
            self.observe(report)
            _log(self.publish(report))
        started = time.monotonic()
        if self._lines_changed and started >= self._publish_at:
            os.makedirs(os.path.dirname(self._metric_file), exist_ok=True)
            with open(self._metric_file, "w") as file:
                file.writelines(self._lines)
            self._lines_changed, self._publish_at = False, started + PUBLISH_INTERVAL
        unsaved = self._saved_file and len(self._measurements) > self._saved_bytes
        if unsaved and started >= self._save_at:
            self._save()
            ended = time.monotonic()
            self._save_at = ended + max(SAVE_INTERVAL, 20 * (ended - started))
        return PUBLISH_INTERVAL if self._lines_changed else 1.0

    def close(self) -> None:
        """Write everything that is still queued."""
        self._complete_step()
        for line in self._overflow.values():
            self._add_measurement(line)
        self._save_at = self._publish_at = 0.0
        self.tick()

    def _restore(self, data: bytes) -> None:
        self._measurements += data[: data.rfind(b"\n") + 1]
        self._restarts = self._restarts or bool(self._measurements)
        for line in self._measurements.splitlines():
            for name, value in json.loads(line).get("metrics", {}).items():
                self._update_objective(name, value)

    def _add_measurement(self, line: Mapping[str, Any]) -> None:
        self._measurements += json.dumps(line).encode() + b"\n"

    def _add_overflow(self, report: Mapping[str, Any]) -> None:
        """Keep the last value of each metric, and the best one where that counts."""
        if not self._overflow:
            _log(
                "[cloudtune] more than {:,} bytes of measurements: from here on, only the best "
                "and the last values are saved, at the end\n".format(MAX_SAVED_BYTES)
            )
        for name, value in report["metrics"].items():
            line = {
                "metrics": {name: value},
                "step": self._last_steps[name],
                "time": report["time"],
            }
            selects_best = self._objectives.get(name, "last") != "last"
            is_best = selects_best and self._current.get(name) == value
            for key in ["best " + name] * is_best + ["last " + name]:
                self._overflow.pop(key, None)
                self._overflow[key] = line

    def _save(self) -> None:
        try:
            os.makedirs(os.path.dirname(self._saved_file), exist_ok=True)
            with open(self._saved_file, "wb") as file:
                file.write(self._measurements)
        except OSError as error:
            _log("[cloudtune] cannot save the measurements: {}\n".format(error))
        else:
            self._saved_bytes = len(self._measurements)

    def _script_reports(self) -> list[Json]:
        """Return the new lines of cloudml-hypertune, which rewrites its file each time."""
        try:
            with open(self._script_file, encoding="utf-8") as file:
                lines = file.read().split("\n")[:-1]
        except (OSError, ValueError):
            return []
        reports: list[Json] = []
        previous = set(self._script_lines)
        for line in [each for each in lines if each not in previous]:
            self._script_lines = [*self._script_lines[-299:], line]
            try:
                entry = json.loads(line)
                (name,) = entry.keys() - _HYPERTUNE_FIELDS
                report = {"metrics": {name: float(entry[name])}, "time": float(entry["timestamp"])}
                step = int(entry["global_step"])
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # not a line of cloudml-hypertune
            if step or name not in self._reported_at_zero:  # a script without steps reports 0 again
                report["step"] = step
            if not step:
                self._reported_at_zero.add(name)
            reports.append(report)
        return reports


def find_contract(study: Json, argv: Sequence[str]) -> Contract | None:
    """Return the contract in a trial of a tuning job, or in a custom job of a driven trial.

    Cloud Storage is mounted at ``/gcs`` there.

    Raises:
        OSError: If the bucket for the measurements is not mounted.
    """
    env = os.environ
    job = env.get("CLOUDTUNE_JOB")
    if not (job or "CLOUD_ML_JOB_ID" in env or "AIP_CHECKPOINT_DIR" in env):
        return None
    trial: Json = {"trial": job or env.get("CLOUD_ML_TRIAL_ID") or study["run"]}
    trial["inputs"] = {name: _mounted(path) for name, path in study["inputs"].items()}
    for name, variable in (("checkpoint", "AIP_CHECKPOINT_DIR"), ("output", "AIP_MODEL_DIR")):
        if env.get(variable):
            trial[name] = _mounted(env[variable]).rstrip("/")
    saved_file = ""
    if study.get("measurements"):
        address: str = study["measurements"]
        bucket = _mounted("/".join(address.split("/")[:3]))
        if not os.path.isdir(bucket):
            raise OSError(
                "Cloud Storage is not mounted at {}; check that the job's service account may use "
                "the bucket".format(bucket)
            )
        saved_file = "{}/{}.jsonl".format(_mounted(address), trial["trial"])
    metric_file = "" if job else env.get("CLOUD_ML_HP_METRIC_FILE") or METRIC_FILE
    raw = parse_flags(study, argv)
    return VertexContract(
        raw,
        trial,
        study.get("objectives") or {},
        metric_file,
        saved_file,
        restarts="CLOUDTUNE_AFTER_STEP" in env,
    )


def _mounted(address: str) -> str:
    """Return the path of a Cloud Storage address or ``/gcs`` path; keep other paths."""
    for start in ("gs://", "/gcs/"):
        if address.startswith(start):
            return (os.environ.get("CLOUDTUNE_GCS") or "/gcs") + "/" + address[len(start) :]
    return address


def _log(text: str) -> None:
    print(text, end="", file=sys.stderr)  # noqa: T201
