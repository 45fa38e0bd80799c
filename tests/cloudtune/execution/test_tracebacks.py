"""Which lines have metrics, on this machine and where the launcher reads the output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from cloudtune import trial
from cloudtune.execution.metric_reader import MetricPatterns, StepCounter
from cloudtune.launcher import STUDY_FILE
from cloudtune.results.events import Measured

METRICS = {"loss": [r"loss=(\S+)"]}
PREFIXED = """
    import sys
    text = '''Traceback (most recent call last):
      File "/x/train.py", line 3, in main
        fit("loss=2")
    ValueError: loss=3
    more loss=4'''
    for line in textwrap.dedent(text).splitlines():
        print(PREFIX + line)
    sys.exit(1)
"""
SCRIPTS: dict[str, tuple[str, list[float]]] = {
    "message": ("print('loss=1')\nraise ValueError('bad shape loss=0.5')", [1]),
    "message of several lines": (
        "print('loss=1')\nraise ValueError('bad\\nloss=2 here\\n\\n  loss=3\\nloss=4')",
        [1],
    ),
    "message of a process that ends slowly": (
        """
        import atexit, time
        atexit.register(time.sleep, 1.5)
        print("loss=1", flush=True)
        raise ValueError("bad\\nloss=2")
        """,
        [1],
    ),
    "chained": (
        """
        print("loss=1")
        try:
            raise ValueError("loss=2\\nloss=3")
        except ValueError:
            raise RuntimeError("loss=4")
        """,
        [1],
    ),
    "cause": (
        """
        print("loss=1")
        try:
            raise ValueError("loss=2")
        except ValueError as error:
            raise RuntimeError("loss=3") from error
        """,
        [1],
    ),
    "group": (
        """
        print("loss=1")
        def fail():
            raise KeyError("loss=2")
        errors = [ValueError("loss=3\\nloss=4")]
        try:
            fail()
        except KeyError as error:
            errors.append(error)
        raise ExceptionGroup("loss=5", errors)
        """,
        [1],
    ),
    "recursion": ("print('loss=1')\ndef f(loss='loss=2'):\n    f('loss=3')\nf()", [1]),
    "syntax": ("x = ('loss=1'\ny=", []),
    "process": (
        """
        from multiprocessing import Pool
        def fit(x):
            raise ValueError("loss=2")
        if __name__ == "__main__":
            print("loss=1", flush=True)
            with Pool(1) as pool:
                pool.map(fit, [1])
        """,
        [1],
    ),
    "rich": (
        """
        from rich.traceback import install
        install()
        print("loss=1", flush=True)
        raise ValueError("loss=2")
        """,
        [1],
    ),
    "rank": ("import textwrap\nPREFIX = '[rank0]: '\n" + textwrap.dedent(PREFIXED), []),
    "time": ("import textwrap\nPREFIX = '2026-01-01 ERROR '\n" + textwrap.dedent(PREFIXED), []),
    "caught": (
        """
        import logging, traceback
        for epoch in range(3):
            try:
                raise ValueError("loss=100")
            except ValueError:
                traceback.print_exc()
            print(f"loss={epoch}", flush=True)
        traceback.print_stack()
        print("loss=3", flush=True)
        try:
            raise ValueError("loss=100")
        except ValueError:
            logging.exception("checkpoint skipped")
        print("loss=4")
        """,
        [0, 1, 2, 3, 4],
    ),
    "caught long before the failure": (
        """
        import sys, time, traceback
        try:
            raise ValueError("loss=100\\nloss=5")
        except ValueError:
            traceback.print_exc()
        print("loss=6", file=sys.stderr)
        time.sleep(2.5)
        print("loss=7", file=sys.stderr)
        sys.exit(1)
        """,
        [5, 6, 7],
    ),
    "after the traceback of the other stream": (
        """
        import sys, traceback
        try:
            raise ValueError("bad\\nloss=5")
        except ValueError:
            traceback.print_exc()
        print("loss=6", flush=True)
        sys.exit(1)
        """,
        [6],
    ),
    "one line on each stream": (
        """
        import sys
        print("loss=0.5", end="", flush=True)
        print("7 warnings", file=sys.stderr)
        """,
        [0.5],
    ),
    "a line within a line of the other stream": (
        """
        import sys
        print("loss=0.", end="", flush=True)
        print("WARN 7", file=sys.stderr)
        print("5 loss=3")
        """,
        [0.5, 3],
    ),
    "backspaces": (
        """
        print("loss=0.9\\b\\b\\b0.5")
        print("loss=0.75\\b\\b\\b\\b\\b\\b\\b\\b\\b", end="\\r")
        print("lx\\boss=4")
        print("\\b\\bloss=5")
        """,
        [0.5, 0.75, 4, 5],
    ),
    "a progress bar before a line": (
        """
        import sys
        sys.stderr.write("\\r 10%|#| 1/10 loss=9.9")
        sys.stderr.flush()
        print("loss=0.5")
        """,
        [9.9, 0.5],
    ),
    "a progress bar that is closed after a line": (
        """
        import sys
        sys.stderr.write("\\r 10%|#| 1/10 loss=9.9")
        sys.stderr.flush()
        print("loss=0.5", flush=True)
        sys.stderr.write("\\n")
        """,
        [9.9, 0.5],
    ),
    "a progress bar of backspaces": (
        """
        import sys
        sys.stderr.write("loss=9.9\\b\\b\\b8.8\\b\\b\\b")
        sys.stderr.flush()
        print("loss=0.5")
        """,
        [8.8, 0.5],
    ),
    "a progress bar after a line": (
        """
        import sys, time
        print("loss=0.5", flush=True)
        time.sleep(0.5)
        sys.stderr.write("\\r 10%|#| 1/10 loss=9.9")
        """,
        [0.5, 9.9],
    ),
}
each_script = pytest.mark.parametrize(("code", "expected"), SCRIPTS.values(), ids=SCRIPTS)


@each_script
def test_on_this_machine(bench: Any, code: str, expected: list[float]) -> None:
    bench.run(code, metrics=METRICS)
    measured = [event for event in bench.seen if isinstance(event, Measured)]
    assert [event.metrics["loss"] for event in measured] == expected
    assert [event.step for event in measured] == [n + 1 for n in range(len(expected))]


@each_script
def test_in_the_launcher(tmp_path: Path, code: str, expected: list[float]) -> None:
    output, errors = launch(tmp_path, code)
    lines = [line for line in output.splitlines() if line.startswith("[cloudtune] metric")]
    values = [float(line.rpartition("=")[2]) for line in lines]
    assert values == expected, output + errors


def test_the_log_has_a_progress_bar_before_the_line_after_it(bench: Any, tmp_path: Path) -> None:
    code, _ = SCRIPTS["a progress bar before a line"]
    bench.run(code, metrics=METRICS)
    expected = "\r 10%|#| 1/10 loss=9.9\nloss=0.5\n"
    assert bench.log().decode() == expected
    folder = tmp_path / "launched"
    folder.mkdir()
    assert launch(folder, code)[0].startswith(expected)


def launch(tmp_path: Path, code: str) -> tuple[str, str]:
    """Return the output and the errors of a script in the launcher."""
    (tmp_path / "train.py").write_text(textwrap.dedent(code))
    study: dict[str, Any] = {
        "run": "run",
        "trial": {"script": "train.py", "metrics": METRICS, "env": {}},
        "parameters": [],
        "constants": {},
        "inputs": {},
    }
    (tmp_path / STUDY_FILE).write_text(json.dumps(study))
    done = subprocess.run(
        [sys.executable, "-m", "cloudtune.launcher.main"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != trial.TRIAL} | {"PYTHONUNBUFFERED": "1"},
        capture_output=True,
        timeout=200,
        check=False,
    )
    return done.stdout.decode(), done.stderr.decode()


def test_tracebacks_are_searched_where_the_service_does() -> None:
    output = b'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: loss=2\n'
    patterns = MetricPatterns(METRICS, StepCounter(), as_service=True)
    assert [values for _, _, values in patterns.feed(output)] == [{"loss": 2.0}]


def test_a_message_without_end_is_output() -> None:
    traceback = b'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: x\n'
    patterns = MetricPatterns(METRICS, StepCounter())
    output = traceback + b"loss=1\n" * 2000
    assert len([*patterns.feed(output)]) == 2000
