from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cloudtune import trial
from cloudtune.bundle.launcher import PROGRAM, launcher_program
from cloudtune.errors import UsageError
from cloudtune.execution import reaper
from cloudtune.launcher import STUDY_FILE
from cloudtune.launcher.call import THREADS
from cloudtune.launcher.values import format_value
from cloudtune.provider.models import Interrupted
from cloudtune.results.events import HostFailure, Measured, Started
from cloudtune.study.schema import Resources
from cloudtune_local import runner
from cloudtune_local.contract import (
    _PACKAGE,  # pyright: ignore[reportPrivateUsage]
)

if TYPE_CHECKING:
    from .conftest import Job

ROOT = Path(trial.__file__).parents[1]


def test_an_unmodified_argparse_script(job: Job) -> None:
    job.write("""
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("-C", type=float, required=True)
        C = parser.parse_args().C
        for epoch in range(1, 4): print(f"epoch {epoch} val_acc: {C * epoch:.2f}")
    """)
    job.request |= {"metrics": {"acc": [r"val_acc: (\S+)"]}, "parameters": ["C"]}
    job.run_one(parameters={"C": 0.25})
    assert job.measured() == [(1, {"acc": 0.25}), (2, {"acc": 0.5}), (3, {"acc": 0.75})]


def test_an_expression_of_several_metrics_is_reported(job: Job) -> None:
    job.write("""
        for epoch in range(3): print(f"loss: {epoch} val_loss: {epoch + 1}")
    """)
    job.request["metrics"] = {"loss": [r"loss: (\S+)"]}
    job.start()
    assert "reads loss and val_loss as one metric; make it match only one" in job.end().reason


def test_a_script_that_only_reports_is_no_reason_to_warn(job: Job) -> None:
    job.write("from cloudtune.trial import report\nreport(loss=1)")
    job.request["metrics"] = {"loss": [r"loss: (\S+)"]}
    job.start()
    ended = job.end()
    assert (ended.state, ended.reason) == ("completed", "")


def test_a_script_that_imports_cloudtune(job: Job) -> None:
    job.write("""
        from cloudtune.trial import *
        from cloudtune.trial import trial_id
        p = params()
        assert type(p["n"]) is int and p["k"] == "007", p
        open(output_dir() + "/model", "w").write("m")
        print(trial_id())
        report(loss=p["n"] / 4, step=2)
        report({"b:c": 1})
    """)
    job.request["constants"] = {"n": 1}
    output = job.run_one(parameters={"n": 2, "k": "007"})
    assert output == f"{job.run}-1\n"
    assert job.measured() == [(2, {"loss": 0.5}), (1, {"b:c": 1.0})]
    assert (job.folder / "trials" / "1" / "output" / "model").read_text() == "m"


def test_each_trial_has_its_own_copy_of_the_source(job: Job) -> None:
    (job.source / "sub").mkdir()
    (job.source / "sub" / "data").write_text("as it was")
    (job.source / "tool.sh").write_text("#!/bin/sh\necho tool\n")
    (job.source / "tool.sh").chmod(0o755)
    (job.source / "link").symlink_to("sub/data")
    job.write("""
        import os, subprocess
        print(open("link").read(), subprocess.check_output(["./tool.sh"], text=True).strip())
        open("sub/data", "w").write("changed")
        print(os.path.basename(os.getcwd()), os.path.islink("link"))
    """)
    for number in (1, 2):
        assert job.run_one(number) == "as it was tool\nwork True\n"
    assert (job.source / "sub" / "data").read_text() == "as it was"


def test_the_copy_that_was_made_when_the_run_began_is_used(job: Job) -> None:
    (job.folder / "source").mkdir()
    (job.folder / "source" / "train.py").write_text("print('then')")
    job.write("print('now')")
    assert job.run_one() == "then\n"


def test_a_command_needs_no_source(job: Job) -> None:
    del job.request["script"]
    job.request |= {"source": None, "command": ["sh", "-c", 'echo "$0 $1 $X"', "{{C}}"]}
    job.request |= {"parameters": ["C"], "args": ["$(touch /tmp/x); `id`"], "env": {"X": "a b"}}
    assert job.run_one(parameters={"C": "; exit 3"}) == "; exit 3 $(touch /tmp/x); `id` a b\n"


def test_python_in_a_command_is_the_trials_python(job: Job) -> None:
    del job.request["script"]
    job.request["command"] = ["python", "-c", "import sys; print(sys.prefix)"]
    assert job.run_one() == sys.prefix + "\n"


def test_a_failed_start_has_a_reason(job: Job) -> None:
    del job.request["script"]
    job.request["command"] = ["no-such-program"]
    job.start()
    ended = job.end()
    assert isinstance(ended, HostFailure)
    assert ended.reason == "cannot be started: no-such-program not found"


def test_a_variable_from_the_environment(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job.write("import os; print(os.environ['TOKEN'][::-1], os.environ['TOKEN'])")
    job.request["env"] = {"TOKEN": {"from_env": "OUR_TOKEN"}}
    with pytest.raises(UsageError, match="takes OUR_TOKEN from the environment"):
        assert job.runner
    monkeypatch.setenv("OUR_TOKEN", "s3cret")
    assert job.run_one() == "terc3s ${OUR_TOKEN}\n"  # the log is masked
    for path in job.folder.rglob("*"):
        if path.is_file() and path.name != "log.txt":
            assert b"s3cret" not in path.read_bytes()


def test_a_secret_in_the_name_of_a_metric_is_replaced_also_when_recovered(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.write("import os\nfrom cloudtune.trial import report\nreport({os.environ['TOKEN']: 1})")
    job.request["env"] = {"TOKEN": {"from_env": "OUR_TOKEN"}}
    monkeypatch.setenv("OUR_TOKEN", "s3cret")
    job.run_one()
    assert [values for _, values in job.measured()] == [{"${OUR_TOKEN}": 1.0}]
    (recovered,) = job.runner.recover([interrupted(1, 0)]).measured
    assert recovered.metrics == {"${OUR_TOKEN}": 1.0}


PRINT_THREADS = (
    "import os\nprint(*(os.environ.get(n) for n in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS')))"
)


@pytest.mark.parametrize(
    ("request_", "outside", "output"),
    [
        ({"cpus": 3}, {}, "3 3"),
        ({"cpus": 3, "env": {"OMP_NUM_THREADS": "9"}}, {}, "9 3"),
        ({"cpus": 3}, {"OMP_NUM_THREADS": "7"}, "3 3"),
        ({}, {}, "None None"),
        ({"parallel": 10_000}, {}, "1 1"),
        ({"parallel": 10_000}, {"OMP_NUM_THREADS": "7"}, "7 1"),
    ],
)
def test_threads(
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    request_: dict[str, Any],
    outside: dict[str, str],
    output: str,
) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    for name, value in outside.items():
        monkeypatch.setenv(name, value)
    job.write(PRINT_THREADS)
    job.request |= request_
    assert job.run_one() == output + "\n"


def test_parallel_trials_see_different_gpus(job: Job) -> None:
    job.write("""
        import os, time
        from cloudtune.trial import report
        print(os.environ["CUDA_VISIBLE_DEVICES"])
        report(a=1)
        while not os.path.exists("../../../go"): time.sleep(0.01)
    """)
    job.request |= {"gpus": ["0", "1", "GPU-x", "3"], "gpus_per_trial": 2, "parallel": 2}
    for number in (1, 2):
        job.start(number)
    assert {job.next().number, job.next().number} == {1, 2}
    (job.folder / "go").touch()
    assert {job.end().number, job.end().number} == {1, 2}
    job.start(3)
    job.end()
    logs = [(job.folder / "trials" / str(n) / "log.txt").read_text() for n in (1, 2, 3)]
    assert logs == ["0,1\n", "GPU-x,3\n", "0,1\n"]


CONTINUED = """
    import os
    from cloudtune.trial import params, report, checkpoint_dir, output_dir
    path = checkpoint_dir() + "/at"
    begin = int(open(path).read()) if os.path.exists(path) else 0
    print("from", begin, "to", params()["epochs"], os.listdir("."))
    open("litter", "w")
    for epoch in range(begin, params()["epochs"]): report(loss=epoch)
    open(path, "w").write(str(params()["epochs"]))
    print("END x=1")
"""


def test_more_of_the_resource_continues_the_trial(job: Job) -> None:
    job.write(CONTINUED)
    job.request |= {"resource": "epochs", "metrics": {"x": [r"x=(\d)"]}}
    job.run_one(resource=2)
    output = job.run_one(resource=3)
    assert output.splitlines() == [
        "from 0 to 2 ['train.py']",
        "END x=1",
        "from 2 to 3 ['train.py']",
        "END x=1",
    ]
    loss = [(step, m["loss"]) for step, m in job.measured() if "loss" in m]
    assert loss == [(1, 0.0), (2, 1.0), (3, 2.0)]
    assert [step for step, m in job.measured() if "x" in m] == [1, 2]


def test_a_repeat_of_an_interrupted_trial_continues_from_its_checkpoint(job: Job) -> None:
    job.write(CONTINUED)
    job.request |= {"constants": {"epochs": 2}, "metrics": {"x": [r"x=(\d)"]}}
    job.run_one(1)
    job.request["constants"] = {"epochs": 4}
    job.close()
    for number in (2, 3):  # the second one repeats the repeat
        again = {"replaces": number - 1, "checkpoint": 1, "after_step": 2}
        begin = 2 if number == 2 else 4
        assert job.run_one(number, **again).startswith(f"from {begin} to 4")
    repeats = [e for e in job.seen if isinstance(e, Measured) and e.number == 2]
    measured = sorted((m.step, *m.metrics) for m in repeats)
    assert measured == [(3, "loss"), (3, "x"), (4, "loss")]
    start = Started(2, 0.0, {}, replaces=1, checkpoint=1, after_step=2)
    recovered = job.runner.recover([Interrupted(start, 1, 0)]).measured
    assert [(m.number, m.step, m.metrics) for m in recovered] == [(2, 4, {"loss": 3.0})]


def test_a_repeat_without_a_checkpoint_begins_anew(job: Job) -> None:
    job.write("""
        from cloudtune.trial import report
        for epoch in range(3):
            report(loss=epoch)
            print(f"x={epoch}")
    """)
    job.request["metrics"] = {"x": [r"x=(\d)"]}
    job.run_one(1)
    job.run_one(2, replaces=1, checkpoint=1, after_step=3)
    repeats = [e for e in job.seen if isinstance(e, Measured) and e.number == 2]
    assert sorted(m.step for m in repeats) == [1, 1, 2, 2, 3, 3]


def test_a_trial_that_ran_out_of_memory_keeps_its_files(job: Job) -> None:
    job.write(CONTINUED)
    job.request["constants"] = {"epochs": 2}
    job.run_one(1)
    job.request["constants"] = {"epochs": 3}
    job.close()
    assert "from 2 to 3" in job.run_one(1, memory_retries=1, after_step=2)
    assert [(step, *m) for step, m in job.measured()] == [(1, "loss"), (2, "loss"), (3, "loss")]


def interrupted(number: int, measured: int) -> Interrupted:
    return Interrupted(Started(number, 0.0, {}), measured, 0)


def test_unrecorded_reports_are_recovered(job: Job) -> None:
    job.write("from cloudtune.trial import report\nfor n in range(5): report(a=n)")
    job.run_one()
    recovered = job.runner.recover([interrupted(1, 3), interrupted(2, 0)]).measured
    assert [(m.number, m.step, m.metrics) for m in recovered] == [
        (1, 4, {"a": 3.0}),
        (1, 5, {"a": 4.0}),
    ]
    assert [m.time for m in recovered] == [e.time for e in job.seen[3:5]]


def test_the_files_of_a_trial_missing_from_the_ledger_are_not_reused(
    job: Job,
) -> None:
    """After a power failure the last events may be gone: their numbers are used again."""
    job.write("""
        import os, time
        from cloudtune.trial import checkpoint_dir, report
        report(a=time.time())
        print(*os.listdir(checkpoint_dir()))
        open(checkpoint_dir() + "/saved", "w").close()
    """)
    job.run_one()
    assert job.run_one() == "\n"
    assert [m.metrics for m in job.runner.recover([interrupted(1, 0)]).measured] == [
        job.measured()[-1][1]
    ]


ENGINE = """
import json, sys, threading, time
from pathlib import Path
from cloudtune.results.events import Measured, Started
from cloudtune.engine.inbox import Inbox
from cloudtune_local.runner import LocalRunner
request, run, folder = json.loads(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
inbox = Inbox()
runner = LocalRunner(request, run, folder, inbox.put)
for number in (1, 2):
    runner.start(Started(number, time.time(), {}))
    inbox.wait()
    inbox.pop()
print("ALL", flush=True)
threading.Event().wait()
"""


def test_a_new_runner_ends_the_processes_of_a_killed_one(job: Job) -> None:
    job.write("""
        import signal, time
        from cloudtune.trial import report
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        report(a=1)
        time.sleep(1000)
    """)
    job.request["grace"] = 1000
    words = [sys.executable, "-c", ENGINE, json.dumps(job.request), job.run, str(job.folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == "ALL\n"
        engine.kill()
    assert len(reaper.find_processes(job.run)) == 2
    assert [
        m.metrics for m in job.runner.recover([interrupted(1, 0), interrupted(2, 1)]).measured
    ] == [{"a": 1.0}]
    assert reaper.find_processes(job.run) == []


@pytest.mark.parametrize("installed", [False, True])
def test_cloudtune_trial_can_be_imported_in_any_python(
    job: Job, tmp_path: Path, installed: bool
) -> None:
    own = tmp_path / "site"
    if installed:
        (own / "cloudtune").mkdir(parents=True)
        (own / "cloudtune" / "__init__.py").write_text("import cloudtune.other\nown = 1\n")
        (own / "cloudtune" / "other.py").write_text("here = True\n")
        (own / "cloudtune" / "trial.py").write_text("raise ImportError('of another version')\n")
    job.write(f"""
        import sys
        sys.path.append({str(own)!r})
        from cloudtune.trial import report
        import cloudtune
        print(cloudtune.__name__, getattr(cloudtune, "own", None), "other" in dir(cloudtune))
        report(a=1)
    """)
    job.request["env"] = {"PYTHONPATH": "", "PYTHONNOUSERSITE": "1"}
    job.request["python"] = os.path.realpath(sys.executable)
    assert job.run_one() == ("cloudtune 1 True\n" if installed else "cloudtune None False\n")
    assert job.measured() == [(1, {"a": 1.0})]


SHOW = """
    import os, sys
    from cloudtune.trial import params, inputs, trial_id
    print(sys.argv, params(), {n: type(v).__name__ for n, v in params().items()}, inputs())
    print(os.path.basename(os.getcwd()), sorted(os.listdir(".")), sys.stdin.read() == "")
    print([n for n in sorted(os.environ) if n.startswith(("CLOUDTUNE", "PYTHON", "X_"))])
"""


@pytest.mark.parametrize("style", ["flags", "equals", "assign", "json", "env", "none"])
def test_directly_and_by_the_launcher_a_script_sees_the_same(
    job: Job, tmp_path: Path, style: str
) -> None:
    job.write(SHOW)
    parameters: dict[str, Any] = {"C": -1e-05, "kernel": "007", "n": 3, "b": True}
    definitions: list[dict[str, Any]] = [
        {"name": "C", "type": "float"},
        {"name": "kernel", "type": "categorical", "values": ["007", 7]},
        {"name": "n", "type": "int"},
        {"name": "b", "type": "bool"},
        {"name": "gamma", "type": "float", "when": {"kernel": [7]}},
    ]
    job.request |= {
        "args": ["--data={{inputs.train}}", "--gamma", "{{gamma}}", "{{n}}"],
        "arguments": style,
        "constants": {"epochs": 2},
        "parameters": [*parameters, "gamma"],
        "inputs": {"train": "/in"},
        "env": {"X_1": "one"},
    }
    direct = job.run_one(parameters=parameters)

    work = tmp_path / "archive" / "work"
    package = tmp_path / "archive" / "package"
    work.mkdir(parents=True)
    for name, content in launcher_program().items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_bytes(content)
    (work / "train.py").write_bytes((job.source / "train.py").read_bytes())
    keys = ("script", "args", "arguments", "parameters", "env")
    study = {
        "run": job.run,
        "trial": {key: job.request[key] for key in keys},
        "parameters": definitions,
        "constants": {"epochs": 2},
        "inputs": {"train": "/in"},
    }
    (package / STUDY_FILE).write_text(json.dumps(study))
    words = [f"--{name}={format_value(value)}" for name, value in parameters.items()]
    launched = subprocess.run(
        [sys.executable, package / PROGRAM, *words, "--gamma=0.5"],
        cwd=work,
        env={k: v for k, v in os.environ.items() if k != "CLOUDTUNE_TRIAL"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert launched.stdout == direct, launched.stderr


def test_stop_and_close(job: Job) -> None:
    job.write("""
        import time
        from cloudtune.trial import report, should_stop
        should_stop()
        report(a=1)
        while not should_stop(): time.sleep(0.01)
        print("saved")
    """)
    job.start(1)
    job.next()
    job.runner.stop(1)
    assert job.end().state == "completed"
    job.start(2)
    job.next()
    job.runner.stop(2, now=True)
    assert job.end().reason == f"killed by {signal.SIGKILL.name}"
    job.start(3)
    job.next()
    job.runner.close()
    assert job.end().number == 3
    job.runner.stop(3)


def test_a_memory_error_is_a_lack_of_memory(job: Job) -> None:
    job.write("""
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
        bytearray(2**33)
    """)
    job.start(1)
    ended = job.end()
    assert (ended.state, ended.out_of_memory) == ("failed", True)
    assert ended.reason == "out of memory: exited with code 1"


@pytest.mark.parametrize("counted", [True, False])
def test_a_process_that_the_kernel_killed_ran_out_of_memory(
    job: Job, monkeypatch: pytest.MonkeyPatch, counted: bool
) -> None:
    kills = iter([5, 5 + counted])
    monkeypatch.setattr(runner, "count_memory_kills", lambda: next(kills))
    job.write("import os\nos.kill(os.getpid(), 9)")
    job.start(1)
    ended = job.end()
    assert (ended.state, ended.out_of_memory) == ("failed", counted)
    assert ended.reason == ("out of memory: " if counted else "") + "killed by SIGKILL"


def test_each_trial_has_its_own_threads_and_gpus(job: Job) -> None:
    job.write("import os\nprint(os.environ['OMP_NUM_THREADS'], os.environ['CUDA_VISIBLE_DEVICES'])")
    job.request |= {"gpus": ["0", "1", "2"], "gpus_per_trial": 2, "parallel": 2, "resources": [{}]}
    amounts = {1: Resources(cpus=1, gpus=1), 2: Resources(cpus=3, gpus=2)}
    job.resources = lambda started: amounts[started.number]
    job.start(1)
    job.start(2)
    job.end()
    job.end()
    logs = [(job.folder / "trials" / str(n) / "log.txt").read_text() for n in (1, 2)]
    assert logs == ["1 0\n", "3 1,2\n"]


def test_a_python_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 6, 15, "final", 0))
    with pytest.raises(ImportError, match=r"needs Python 3\.7 or later, and this is 3\.6"):
        exec(_PACKAGE, {"__path__": ["cloudtune"]})
