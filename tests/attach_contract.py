"""What holds for a tuning job that the service's own client started and cloudtune attached."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from cloudtune.emulation import process
from cloudtune.emulation.environment import folder_variable
from cloudtune.provider import registry
from tests.read_here import read_here
from tests.waiting import wait_until

SENT = """\
name: sent
objective: {metric: score, goal: maximize}
parameters:
  x: {type: float, min: -1, max: 1}
  flag: {type: bool}
  code: {type: categorical, values: ["007", "true", "1e3"]}
  batch: {type: discrete, values: [16, 32, 64]}
  one: {type: int, min: 3, max: 3}
  depth: {type: int, min: 1, max: 9, step: 2, when: {flag: true}}
constants: {epochs: 3}
strategy: {name: random, seed: 3}
limits: {max_trials: 4, parallel_trials: 2}
trial: {script: train.py, metrics: {loss: {}}}
"""
"""A study with all that a service cannot return: types, conditions, a constant, a step."""
SCRIPT = """\
from cloudtune.trial import params, report
for step in range(1, 4):
    report(score=step / 10 - params()["x"] ** 2, loss=1 / step, step=step)
"""

_HOLD = """\
import os, time
try:
    os.mkdir(GATE + ".first")
except FileExistsError:
    while not os.path.exists(GATE):
        time.sleep(0.05)
"""


def hold(gate: Path | None) -> str:
    """Return the beginning of a script: of a job, only the first trial passes before the gate is.

    Without a gate, all pass.
    """
    return _HOLD.replace("GATE", repr(str(gate))) if gate else ""


@dataclass(frozen=True)
class Told:
    """A trial as the service's own client reads it."""

    parameters: Mapping[str, Any]
    """In the types of the study."""
    objective: float


class Command:
    """cloudtune in a folder of its own, with a state of its own."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.env = {**env, "CLOUDTUNE_HOME": str(folder / "state")}

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "cloudtune", *words],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *words: str, code: int = 0) -> str:
        started = self.start(*words)
        output, _ = started.communicate(timeout=240)
        assert started.returncode == code, output
        return output

    def trials(self) -> list[dict[str, Any]]:
        """Return the trials of the latest run; none if there is no run yet."""
        _, output = read_here(self.folder, self.folder / "state", "results", "--format", "jsonl")
        return [json.loads(line) for line in output.splitlines()]

    def job(self) -> dict[str, Any]:
        _, output = read_here(self.folder, self.folder / "state", "results", "--format", "json")
        found: Any = json.loads(output)
        return cast("dict[str, Any]", found[0] if isinstance(found, list) else found)


class AttachContract:
    """The tests; a provider starts its job and reads it with the client of its vendor."""

    name: ClassVar[str]
    speed: ClassVar[float] = 3000.0
    operation: ClassVar[str]
    """The operation that describes a job, as fault plans name it."""
    denial: ClassVar[tuple[str, str]]
    """A job, and what the message says to a caller without the right to read it."""
    sent_settings: ClassVar[str] = "{mode: managed}"
    conditional: ClassVar[str] = "depth"
    """The name of the conditional parameter of `SENT` in what the service returns."""
    address: process.Address

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _service(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        with cls.serve(tmp_path_factory.mktemp(cls.name) / "emulator"):
            yield

    @classmethod
    @contextmanager
    def serve(cls, folder: Path, faults: str = "") -> Generator[None]:
        """Run the service's emulator in the block, with faults if given."""
        module = registry.get(cls.name).emulator
        assert module is not None
        options = process.EmulationOptions(cls.speed)
        if faults:
            file = folder.parent / "faults.yaml"
            file.write_text(f"faults: [{faults}]", "utf-8")
            options = process.EmulationOptions(
                cls.speed, process.read_fault_plans(file, {cls.name: None})
            )
        words = process.command_line_options(cls.name, options, folder)
        cls.address = process.start(cls.name, module, folder, words, tied=True)
        cls.env = {
            **os.environ,
            **cls.address.environment,
            folder_variable(cls.name): str(folder),
        }
        try:
            cls.prepare()
            yield
        finally:
            process.stop(cls.address)

    env: ClassVar[dict[str, str]]

    @pytest.fixture
    def command(self, tmp_path: Path) -> Command:
        return Command(tmp_path / "here", self.env)

    @classmethod
    def prepare(cls) -> None:
        """Create what the service needs before jobs."""

    def begin(self, trials: int, gate: Path | None = None) -> str:
        """Start a tuning job by the vendor's client; return how `attach` names it.

        Its script begins with `hold`.
        """
        raise NotImplementedError

    def word(self, job: str) -> str:
        """Return the service's word for the state of the job."""
        raise NotImplementedError

    running: ClassVar[frozenset[str]]
    stopped: ClassVar[frozenset[str]]

    def told(self, job: str) -> Mapping[int, Told]:
        """Return the ended trials of a job as the vendor's client reads them, by number."""
        raise NotImplementedError

    def missing(self) -> Mapping[str, tuple[int, str]]:
        """Return names that are no tuning jobs, each with the exit code and the message's text."""
        raise NotImplementedError

    def check(self, job: str, trials: list[dict[str, Any]], count: int) -> None:
        """Check that all trials are there once, as the service has them."""
        told = self.told(job)
        assert [trial["number"] for trial in trials] == list(range(1, count + 1)), trials
        for trial in trials:
            expected = told[trial["number"]]
            assert trial["state"] == "completed", trial
            assert trial["parameters"] == expected.parameters
            for name, value in expected.parameters.items():
                assert type(trial["parameters"][name]) is type(value), name
            assert trial["objective"] == [pytest.approx(expected.objective, rel=1e-6)]
            assert "cost" not in trial

    def test_a_finished_job_has_all_its_trials(self, command: Command) -> None:
        begun = time.time()
        job = self.begin(4)
        wait_until(lambda: self.word(job) not in self.running)
        over = time.time()
        output = command("attach", f"{self.name}:{job}")
        assert "4 trials on" in output
        self.check(job, command.trials(), 4)
        result = command.job()
        assert result["state"] == "completed"
        assert result["study"]["description"].startswith("Rebuilt from ")
        times = [begun - 1, result["started"], result["ended"], over + 1]
        assert times == sorted(times)
        again = command("attach", f"{self.name}:{job}")
        assert f"is run {result['run']} already" in again
        assert len(json.loads(command("status", "--json"))) == 1
        for words in (("report",), ("status",), ("resume",), ("watch",)):
            command(*words)

    def test_a_running_job_survives_the_death_of_cloudtune(
        self, command: Command, tmp_path: Path
    ) -> None:
        gate = tmp_path / "gate"
        job = self.begin(8, gate)
        following = command.start("attach", f"{self.name}:{job}")
        wait_until(lambda: any(t["state"] == "completed" for t in command.trials()))
        following.kill()
        following.communicate()
        assert self.word(job) in self.running
        gate.touch()
        command("resume")
        self.check(job, command.trials(), 8)

    def test_a_job_is_left_and_then_stopped(self, command: Command, tmp_path: Path) -> None:
        job = self.begin(30, tmp_path / "gate")
        following = command.start("attach", f"{self.name}:{job}")
        wait_until(lambda: any(t["state"] == "completed" for t in command.trials()))
        following.send_signal(signal.SIGINT)
        output, _ = following.communicate(timeout=120)
        assert following.returncode == 130, output
        assert f"{self.name} continues the job; to follow it again: cloudtune resume" in output
        time.sleep(1)
        assert self.word(job) in self.running
        assert "started elsewhere, for everyone" in command("stop")
        wait_until(lambda: self.word(job) in self.stopped)
        command("watch", code=130)
        assert {t["state"] for t in command.trials()} <= {"completed", "cancelled", "failed"}

    def test_what_is_no_tuning_job_is_an_error(self, command: Command) -> None:
        for name, (code, text) in self.missing().items():
            output = command("attach", f"{self.name}:{name}", code=code)
            assert text in output
            assert "Traceback" not in output

    def test_a_caller_without_the_right_learns_what_is_missing(self, tmp_path: Path) -> None:
        class Denied(type(self)):  # type: ignore[misc]
            """The same service with other rights."""

            __test__ = False

        job, text = self.denial
        faults = f"{{operation: {self.operation}, probability: 1, effect: deny}}"
        with Denied.serve(tmp_path / "denying", faults):
            command = Command(tmp_path / "here", Denied.env)
            assert text in command("attach", f"{self.name}:{job}", code=3)
            assert "no runs in" in command("status")

    def test_a_job_that_another_machine_sent_is_the_same_with_its_study(
        self, command: Command, tmp_path: Path
    ) -> None:
        other = Command(tmp_path / "other", self.env)
        file = other.folder / "study.yaml"
        file.write_text(f"{SENT}providers: {{{self.name}: {self.sent_settings}}}\n", "utf-8")
        (other.folder / "train.py").write_text(textwrap.dedent(SCRIPT), "utf-8")
        other("run", "study.yaml", "--on", self.name)
        sent = other.job()
        command("attach", f"{self.name}:{sent['job']}", "--study", str(file))
        again = command("attach", f"{self.name}:{sent['job']}", "--study", str(file))
        assert f"is not used: run {command.job()['run']} has the job" in again
        # The rest is what cloudtune observed when: it polled the trial before it ran, for example.
        fields = ("id", "number", "state", "word", "parameters", "metrics", "objective", "ended")
        expected, found = (
            [{name: trial[name] for name in fields} for trial in each.trials()]
            for each in (other, command)
        )
        assert found == expected, (found, expected)
        changed = file.read_text("utf-8").replace("max: 9", "max: 11")
        file.write_text(changed, "utf-8")
        third = Command(tmp_path / "third", self.env)
        output = third("attach", f"{self.name}:{sent['job']}", "--study", str(file), code=2)
        assert "does not describe" in output
        assert f"refused parameters.{self.conditional}." in output
