"""The command of ``notify``: what it hears, and that it never harms a run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.engine.observer import Observer
from cloudtune.errors import StudyError
from cloudtune.planning.planner import plan
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Event, Outcome
from cloudtune.results.model import StudyResult
from cloudtune.runs import lifecycle, notifier
from cloudtune.runs.limits import set_limits
from cloudtune.study.study import Study
from tests.providers import EMULATED
from tests.waiting import wait_until

SCRIPT = """
import os, sys
from cloudtune.trial import params, report
x = params()["x"]
if x == 2:
    sys.exit("the secret is " + os.environ.get("TOKEN", ""))
report(loss=[5, 9, 9, 7, 3][x], step=1)
"""
HEAR = """
import os, sys
with open("heard.jsonl", "a") as file:
    file.write(sys.stdin.read())
"""


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("MY_TOKEN", "very-secret")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(SCRIPT)
    (tmp_path / "hear.py").write_text(HEAR)


class Messages:
    """Keeps the lines for the user: an `Observer`."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float) -> None: ...

    def events(self, provider: str, events: Sequence[Event]) -> None: ...

    def end(self, provider: str, outcome: Outcome) -> None: ...

    def message(self, text: str) -> None:
        self.lines.append(text)


def create(command: Sequence[str], on: Sequence[str], **blocks: Any) -> str:
    study = Study.model_validate(
        {
            "name": "told",
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"x": {"type": "int", "min": 0, "max": 4}},
            "strategy": "grid",
            "limits": {"max_failed_trials": 9},
            "trial": {
                "script": "train.py",
                "source": "code",
                "env": {"TOKEN": {"from_env": "MY_TOKEN"}},
            },
            "notify": {"command": command, "on": on},
            **blocks,
        }
    )
    return lifecycle.create([plan(study, "local", base=Path().absolute())]).id


def execute(run: str, observer: Observer | None = None) -> StudyResult:
    lifecycle.execute(run, observer)
    return lifecycle.results(run)[0]


def heard() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("heard.jsonl").read_text().splitlines()]


ALL = ["best", "failed", "ended"]


def test_a_command_hears_of_best_and_failed_trials_and_of_the_end() -> None:
    run = create([sys.executable, "hear.py"], ALL)
    result = execute(run)
    documents = heard()
    assert [(each["event"], each.get("trial", {}).get("number")) for each in documents] == [
        *(("best", 1), ("failed", 3), ("best", 5), ("ended", None)),
    ]
    best, failed, _, ended = documents
    head = {"format": "cloudtune.notification/v1", "study": "told", "run": run}
    assert best.items() >= {**head, "provider": "local", "emulated": False}.items()
    assert best["trial"]["parameters"] == {"x": 0}
    assert (best["trial"]["objective"], best["trials"]) == ([5.0], {"completed": 1})
    assert failed["trial"]["state"] == "failed"
    assert [each["number"] for each in failed["best"]] == [1]
    assert (ended["state"], ended["trials"]) == ("completed", {"completed": 4, "failed": 1})
    assert [each["number"] for each in ended["best"]] == [5]
    text = Path("heard.jsonl").read_text()
    assert "the secret is" in text
    assert "very-secret" not in text
    assert not {"measurements", "log_tail"} & {*best["trial"], *failed["trial"]}
    assert result.state == "completed"


def test_nothing_is_repeated_when_a_run_is_resumed() -> None:
    run = create([sys.executable, "hear.py"], ALL, limits={"max_trials": 1})
    execute(run)
    execute(run)  # it has ended already
    assert [each["event"] for each in heard()] == ["best", "ended"]
    set_limits(run, ["limits.max_trials=5", "limits.max_failed_trials=9"])
    execute(run)
    assert [each["event"] for each in heard()][2:] == ["failed", "best", "ended"]


def test_a_failed_run_is_a_failure_if_its_end_is_not_asked_for() -> None:
    run = create([sys.executable, "hear.py"], ["failed"], limits={"max_failed_trials": 0})
    assert execute(run).state == "failed"
    assert [(each["event"], each.get("state")) for each in heard()] == [
        *(("failed", None), ("failed", "failed")),
    ]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["./absent"], "absent"),
        (
            [sys.executable, "-c", "import sys; sys.exit('no network')"],
            "exited with 1 (no network)",
        ),
        (
            [sys.executable, "-c", "import os, time; os.fork() or time.sleep(99); time.sleep(99)"],
            "killed after",
        ),
    ],
)
def test_a_command_that_fails_or_hangs_is_reported_once_and_harms_nothing(
    words: list[str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if problem == "killed after":
        monkeypatch.setattr(notifier, "TIMEOUT", 1.0)
    messages = Messages()
    result = execute(create(words, ["ended", "failed"]), messages)
    assert (result.state, len(result.trials)) == ("completed", 5)
    (line,) = [line for line in messages.lines if line.startswith("notify: ")]
    assert problem in line


def test_a_command_that_is_left_behind_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a run waits only for a while: a slow command is killed with what it started."""
    monkeypatch.setattr(notifier, "TIMEOUT", 0.5)
    seconds = f"600{os.getpid()}"  # as no other process has it
    messages = Messages()
    command = ["sh", "-c", f"sleep {seconds} & sleep {seconds}"]
    execute(create(command, ["ended", "best", "failed"]), messages)
    wait_until(lambda: not any(seconds in each for each in commands()))
    assert any(line.startswith("notify: ") for line in messages.lines)


def commands() -> list[str]:
    """Return the command lines of all processes."""
    found: list[str] = []
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            found.append(" ".join(each.cmdline()))
    return found


def test_what_is_notified_does_not_make_another_study() -> None:
    data = {"parameters": {"x": {"type": "bool"}}}
    told = Study.model_validate({**data, "notify": {"command": ["x"], "on": "best"}})
    assert told.fingerprint() == Study.model_validate(data).fingerprint()
    assert told.notify
    assert told.notify.on == ["best"]


@pytest.mark.parametrize(
    ("notify", "problem"),
    [
        ({"command": []}, "command"),
        ({"command": "x | y"}, "command"),
        ({"command": ["x"], "on": ["done"]}, "best"),
        ({"on": ["best"]}, "command"),
        ({"command": ["x"], "url": "http://x"}, "url"),
    ],
)
def test_mistakes_are_those_of_a_study(notify: Any, problem: str) -> None:
    from cloudtune.study.loader import load

    with pytest.raises(StudyError, match=problem):
        load({"parameters": {"x": {"type": "bool"}}, "notify": notify})


def test_services_get_nothing_of_it() -> None:
    study = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"x": {"type": "int", "min": 0, "max": 4}},
        "trial": {"script": "train.py", "source": "code"},
        "limits": {"max_trials": 2},
        "notify": {"command": ["./only-here"]},
    }
    for name in EMULATED:
        made = plan(Study.model_validate(study), name, base=Path().absolute(), emulated=True)
        assert "only-here" not in json.dumps(made.request)
        assert not [each for each in made.findings if each.path.startswith("notify")]
    assert os.environ["MY_TOKEN"]
