"""The files of a run in the shared folder.

::

    FOLDER/JOB/                  the folder of the run
      run.sh  code.tar.gz  complete
      trials/7/checkpoint/  output/    of trial 7
      trials/7/1/                      of its first start, which one job runs
        trial.json  log.txt  begin.json  reports.jsonl  end.json  stop  code/source/
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from cloudtune.provider import JobContext, Json, Plan, start_name
from cloudtune.provider.trial_files import CHECKPOINT, OUTPUT, StoredFile, TrialFiles, follow_links
from cloudtune.results import Started
from cloudtune_slurm.errors import SlurmError
from cloudtune_slurm.host import Host, Unreadable
from cloudtune_slurm.request import LOG

COMPLETE = "complete"
"""Exists when the code is there."""
STOP_FILE = "stop"
"""Exists in the folder of a start that cloudtune has asked to stop."""


@dataclass(frozen=True)
class Layout:
    """The paths of a run."""

    folder: str
    """The folder of the run."""
    job: str
    """The name with which the names of its jobs begin."""

    @classmethod
    def of_plan(cls, plan: Plan, context: JobContext | None = None) -> Layout:
        """Return the layout of a plan, in the folder of its job if that is given."""
        request = locate_request(plan, context) if context else plan.request
        return cls(request["folder"], plan.facts.job_name)

    def job_name(self, number: int, start: int) -> str:
        """Return the name of the job of a trial's start."""
        return start_name(self.job, number, start)

    def start(self, name: str) -> str:
        """Return the folder of the start whose job has a name."""
        number, _, start = name.removeprefix(f"{self.job}-").partition("-")
        return f"{self.folder}/trials/{number}/{start or 1}"

    def trial(self, number: int) -> str:
        """Return the folder of a trial, whose starts share its checkpoints and output."""
        return f"{self.folder}/trials/{number}"


def locate_request(plan: Plan, context: JobContext) -> Json:
    """Return the request of a plan; an emulated one with its files in the folder of the job.

    The doctor executes plans in a folder of its own.
    """
    if not plan.facts.emulated:
        return plan.request
    planned, actual = json.dumps(plan.request["folder"]), json.dumps(f"{context.folder}/shared")
    text = json.dumps(plan.request).replace(planned[1:-1], actual[1:-1])
    return cast("Json", json.loads(text))


def trial_files(host: Host, layout: Layout, started: Started) -> TrialFiles:
    """Return the outputs and checkpoints of a trial.

    Raises:
        SlurmError: If they cannot be listed.
    """
    folders = {
        OUTPUT: f"{layout.trial(started.number)}/output",
        CHECKPOINT: f"{layout.trial(started.checkpoint_number)}/checkpoint",
    }
    files: dict[str, StoredFile] = {}
    missing: list[str] = []
    for prefix, folder in folders.items():
        found, skipped = follow_links(*host.list_files(folder), folder)
        files |= {f"{prefix}/{name}": file for name, file in found.items()}
        missing += [f"{prefix}/{each}" for each in skipped]
    return TrialFiles(host.stream, files, missing=tuple(missing))


def read_log(host: Host, layout: Layout, name: str) -> Iterator[str]:
    """Return the lines of the log of a job.

    Raises:
        SlurmError: If it does not exist or cannot be read.
    """
    path = f"{layout.start(name)}/{LOG}"
    content = host.read({path: 0}).get(path)
    if isinstance(content, Unreadable):
        raise SlurmError(f"cannot read the log {path}: {content.reason}")
    if content is None:
        raise SlurmError(
            f"the job has not started, or its files were removed: {path} does not exist"
        )
    return iter(codecs.decode(content, "utf-8", "replace").splitlines())
