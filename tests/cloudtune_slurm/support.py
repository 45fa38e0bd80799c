"""Plans for Slurm, and a cluster in memory for the jobs of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudtune.planning.planner import plan
from cloudtune.provider.plan import Plan
from cloudtune.study.study import Study
from cloudtune_slurm.errors import SlurmError
from cloudtune_slurm.host import LocalHost

PLAIN: Mapping[str, Any] = {
    "name": "plain",
    "objective": {"metric": "accuracy", "goal": "maximize"},
    "parameters": {"lr": {"type": "float", "min": 0.001, "max": 0.1, "scale": "log"}},
    "strategy": {"name": "random", "seed": 1},
    "limits": {"max_trials": 20, "parallel_trials": 2},
    "trial": {"script": "train.py"},
}
RUN = "3f6k2m9qxt"


def study_of(over: Mapping[str, Any] = {}, /, **settings: Any) -> Study:
    """Return `PLAIN` with other blocks and settings."""
    return Study.model_validate({**PLAIN, **over, "providers": {"slurm": settings}})


def plan_of(base: Path, over: Mapping[str, Any] = {}, /, **settings: Any) -> Plan:
    """Return the plan of a study in a folder with a script."""
    (base / "train.py").write_text("print(1)\n")
    return plan(study_of(over, **settings), "slurm", base=base, run_id=RUN)


def on_file_system(kind: str) -> Callable[[Path], str]:
    """Return a stand-in for `cloudtune_slurm.lookup.file_system`."""

    def file_system(_: Path) -> str:
        return kind

    return file_system


class FakeCluster(LocalHost):
    """Files on this machine, and a queue that the test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []
        self.variables: list[Mapping[str, str]] = []
        self.queue: dict[str, tuple[str, str, str]] = {}
        """Id, state and reason by the job's name."""
        self.errors: dict[str, list[SlurmError]] = {}
        """The errors of the next calls by command; the call has its effect nevertheless."""

    def run(self, words: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
        self.calls.append(list(words))
        self.variables.append(variables or {})
        output = self._act(words)
        if errors := self.errors.get(words[0]):
            raise errors.pop(0)
        return output

    def _act(self, words: Sequence[str]) -> str:
        match words[0]:
            case "sbatch":
                name = next(w.partition("=")[2] for w in words if w.startswith("--job-name="))
                id_ = str(100 + self.count("sbatch"))
                self.queue[name] = (id_, "PENDING", "Priority")
                return f"{id_}\n"
            case "squeue":
                names = next(w for w in words if w.startswith("--name=")).removeprefix("--name=")
                rows = [(n, self.queue[n]) for n in names.split(",") if n in self.queue]
                return "".join(f"{n}|{i}|{s}|{r}|n1|N/A|N/A\n" for n, (i, s, r) in rows)
            case _:
                return ""

    def count(self, program: str) -> int:
        """Return how often a command was called."""
        return sum(call[0] == program for call in self.calls)

    def set_state(self, name: str, state: str, reason: str = "None") -> None:
        """Set the state of a job."""
        self.queue[name] = (self.queue[name][0], state, reason)
