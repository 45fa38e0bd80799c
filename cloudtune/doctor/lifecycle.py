"""How a script reacts to SIGTERM, and whether it continues from its checkpoint."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from cloudtune.diagnostics import Check
from cloudtune.doctor.trials import GRACE, Trials, reports_early
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings

_CHECKPOINT = re.compile(
    r"\.(ckpt|pt|pth|safetensors|keras|h5|joblib|pkl|npz)$|(^|/)(checkpoints?|ckpts?)[^/]*(/|$)",
    re.IGNORECASE,
)
"""The names of files that look like the state of a training."""


_MIN_SECONDS = 0.5
"""A script that runs so long after SIGTERM may have ignored it."""
_MIN_SECONDS_SERVICE = 5.0
"""The same if an emulator runs it, which needs some time for the end of a job."""


def check_stop(trials: Trials, *, is_local: bool) -> Iterator[Check]:
    """Yield whether the script stops in time.

    Args:
        trials: The trials.
        is_local: Whether the script ran without a service's delays.
    """
    stopped = trials.stopped
    if stopped is None or stopped.stopped is None:
        return
    seconds = (stopped.over or stopped.stopped) - stopped.stopped
    killed = stopped.ended is None or "did not exit within" in stopped.ended.reason
    if not killed and _ran_to_end(trials, _MIN_SECONDS if is_local else _MIN_SECONDS_SERVICE):
        yield _ignored("it runs to its end after SIGTERM")
    elif killed or (stopped.ended and "SIGKILL" in stopped.ended.reason):
        yield _ignored(f"it still runs {min(seconds, GRACE):.0f} s after SIGTERM, and is killed")
    else:
        message = f"stops at SIGTERM in {seconds:.1f} s"
        yield Check(severity="ok", area="script", id="stop", message=message)


def _ran_to_end(trials: Trials, at_least: float) -> bool:
    """Return whether a start that was stopped half-way completed its work."""
    first, stopped = trials.first, trials.stopped
    if stopped is None or stopped is first or stopped.ended is None or stopped.stopped is None:
        return False
    after = stopped.seconds - (stopped.stopped - stopped.begun)
    complete = stopped.ended.state == "completed" and len(stopped.measured) >= len(first.measured)
    worked = first.seconds
    if reports_early(first):  # imports before the work may take longer than it
        worked -= first.arrivals[0] - first.begun
    return complete and after > max(at_least, 0.3 * worked)


def _ignored(message: str) -> Check:
    return Check(
        severity="warning",
        area="script",
        id="stop-ignored",
        message=message,
        fix="make it save its state and exit at SIGTERM, for which cloudtune.trial.should_stop() "
        "returns true; in a shell script, start the last program with exec",
    )


def check_checkpoints(plan: Plan, folder: Path, trials: Trials) -> Iterator[Check]:
    """Yield whether a trial that is started again continues where it was."""
    stopped, resumed = trials.stopped, trials.resumed
    if stopped is None or resumed is None or not stopped.measured or not resumed.measured:
        return
    path = (
        "strategy.resource" if plan.study.strategy.resource else f"providers.{plan.provider}.spot"
    )
    first, again = stopped.measured[0].step, resumed.measured[0].step
    if again > first:
        message = f"continues from its checkpoint at step {again}"
        yield Check(severity="ok", area="script", id="checkpoint", message=message)
        return
    elsewhere = _other_checkpoints(plan, folder)
    kept = _kept_checkpoints(folder)
    if kept:
        message = f"it saves {kept[0]}, but a second start begins at step {again} again"
        name, fix = "checkpoint-unread", "load it at the start, if it exists"
        if isinstance(plan.settings, CloudSettings):
            fix += f"; not every service keeps it, see docs/{plan.provider}.md"
    elif elsewhere:
        message = f"it saves {elsewhere[0]}, which is lost when the trial is started again"
        name, fix = "checkpoint-elsewhere", "save it in the folder that checkpoint_dir() returns"
    else:
        message = "it saves no checkpoint: a trial that is started again starts over"
        name, fix = "checkpoint-missing", "save the state in checkpoint_dir() of cloudtune.trial"
    yield Check(severity="warning", area="script", id=name, path=path, message=message, fix=fix)


def _kept_checkpoints(folder: Path) -> list[str]:
    """Return the files in folders for checkpoints, which are outside of the script's own folder."""
    return [
        path.name
        for path in _files(folder)
        if re.search(r"/checkpoints?/", str(path.parent) + "/") and not _is_work(folder, path)
    ]


def _other_checkpoints(plan: Plan, folder: Path) -> list[str]:
    """Return the files in the script's own folder that look like checkpoints and are new."""
    known = set(plan.facts.files or ())
    found: list[str] = []
    for path in _files(folder):
        inner = _inside_work(folder, path)
        if inner and inner not in known and _CHECKPOINT.search(inner):
            found.append(inner)
    return sorted(found)


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def _is_work(folder: Path, path: Path) -> bool:
    return _inside_work(folder, path) is not None


def _inside_work(folder: Path, path: Path) -> str | None:
    """Return the name of a file relative to the folder in which the script runs."""
    parts = path.relative_to(folder).parts
    for index, part in enumerate(parts[:-1]):
        if part in {"work", "source"}:
            return "/".join(parts[index + 1 :])
    return None
