"""What the launcher does in training jobs of SageMaker only."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtune.bundle.launcher import PROGRAM, launch_data
from cloudtune.launcher.contract import Contract
from cloudtune.launcher.restore import restore_values
from cloudtune.study.search_space import format_value
from cloudtune_sagemaker.launcher_contract import find_contract
from tests.cloudtune_sagemaker.launched import LaunchedJob as Job
from tests.cloudtune_sagemaker.launched import fitted, sent, words
from tests.cloudtune_sagemaker.launched import values_of as found
from tests.launched import AWKWARD, ended


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,6}", fullmatch=True)
TEXTS = st.one_of(st.sampled_from(AWKWARD), st.text(max_size=8)).filter(
    lambda said: "\0" not in said and not any("\ud800" <= c <= "\udfff" for c in said)
)


@st.composite
def parameters(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    """Return a definition and one of its values."""
    kind = draw(st.sampled_from(["float", "int", "discrete", "categorical", "bool"]))
    if kind == "bool":
        return {"type": kind}, draw(st.booleans())
    if kind in ("float", "int"):
        numbers = st.floats(-1e9, 1e9) if kind == "float" else st.integers(-(2**60), 2**60)
        low, value, high = sorted(draw(st.lists(numbers, min_size=3, max_size=3)))
        return {"type": kind, "min": low, "max": high}, value
    some = st.integers(-99, 99) if kind == "discrete" else st.one_of(TEXTS, st.integers(-9, 99))
    values = draw(st.lists(some, min_size=1, max_size=5, unique_by=format_value))
    if kind == "discrete":
        values.sort()
    return {"type": kind, "values": values}, draw(st.sampled_from(values))


@given(st.dictionaries(NAMES, parameters(), min_size=1, max_size=6))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_types_survive_the_strings(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    drawn: dict[str, tuple[dict[str, Any], Any]],
) -> None:
    values = {name: value for name, (_, value) in drawn.items()}
    of = fitted({"parameters": {name: definition for name, (definition, _) in drawn.items()}})
    raw = sent(of, values)
    (tmp_path / "hyperparameters.json").write_text(json.dumps(raw))
    monkeypatch.setenv("SM_INPUT_CONFIG_DIR", str(tmp_path))
    file = json.loads(json.dumps(launch_data(of, "run", {})))
    contract = find_contract(file, words(raw))
    assert contract is not None
    restored = restore_values(file["parameters"], contract.raw)
    assert list(restored.items()) == list(values.items())
    assert [type(value) for value in restored.values()] == [type(v) for v in values.values()]


# Values beside the parameters.


def test_constants_and_the_resource_may_be_sent_for_a_trial(job: Job) -> None:
    job.study["constants"] = {"k": 1, "rate": 0.5, "word": "1", "on": True}
    job.study["strategy"] = {"name": "hyperband", "resource": "epochs", "max": 27}
    job.managed = False
    job.write("import sys\nfrom cloudtune.trial import params\nprint(params(), sys.argv[1:])")
    job.unpack()
    raw = {"x": "2", "k": "7", "rate": "1e-05", "word": "007", "on": "False", "epochs": "9"}
    _, out, err = ended(job.launch(raw))
    assert out == (
        "{'k': 7, 'rate': 1e-05, 'word': '007', 'on': False, 'epochs': 9, 'x': 2} ["
        "'--k', '7', '--rate', '1e-05', '--word', '007', '--on', 'False', '--epochs', '9', "
        "'--x', '2']\n"
    ), err
    _, out, _ = ended(job.launch({"x": "2"}))
    assert out.startswith("{'k': 1, 'rate': 0.5, 'word': '1', 'on': True, 'x': 2}")


def test_an_invalid_constant_fails_the_trial(job: Job) -> None:
    job.study["constants"] = {"k": 1}
    code, _, err = job.run("", k="many")
    assert code == 2
    assert "invalid value 'many' for k" in err
    assert job.failure == "cannot start the trial: invalid value 'many' for k"


WHERE = """
    import os
    from cloudtune.trial import *
    from cloudtune.trial import inputs, output_dir, checkpoint_dir, trial_id
    base = os.environ["SAGEMAKER_BASE_DIR"]
    paths = [*inputs().values(), output_dir(), checkpoint_dir()]
    print([os.path.relpath(path, base) for path in paths], trial_id())
"""


@pytest.mark.parametrize(("managed", "below"), [(True, "/job-7"), (False, "")])
def test_paths(job: Job, managed: bool, below: str) -> None:
    job.study["trial"]["inputs"] = {"train": "s3://b/t", "a-b": "s3://b/x"}
    job.managed = managed
    (job.base / "input/data/train").mkdir()
    _, out, err = job.run(WHERE)
    wanted = ["input/data/train", "input/data/a-b", "model", f"checkpoints{below}"]
    assert out == f"{wanted} job-7\n", err


def test_an_input_may_be_one_file_of_its_channel(job: Job) -> None:
    job.study["trial"]["inputs"] = {"train": "s3://b/t"}
    job.paths = {"train": "/opt/ml/input/data/train/a b.csv"}
    _, out, _ = job.run("from cloudtune.trial import inputs\nprint(inputs())")
    assert out == f"{{'train': '{job.base}/input/data/train/a b.csv'}}\n"


def test_python_in_a_command_is_the_one_of_the_image(job: Job) -> None:
    job.study["trial"] = {"command": ["python", "train.py", "{{x}}"]}
    job.env = {"PATH": os.defpath}
    _, out, err = job.run("import sys\nprint(sys.prefix, sys.argv[1:])")
    assert out == f"{sys.prefix} ['1']\n", err


def test_no_source_at_all(job: Job) -> None:
    job.study["trial"] = {"command": [sys.executable, "-c", "import os; print(os.listdir())"]}
    job.unpack(source=False)
    assert ended(job.launch({"x": 1})) == (0, "[]\n", "")


# Metrics.


@given(st.floats())
def test_published_numbers_are_read_back(value: float) -> None:
    said = Contract({}).publish({"metrics": {"val:f1 (ä)": value, "f1 (ä)": 5}})
    finite = value == value and abs(value) != float("inf")  # noqa: PLR0124
    assert found(said, "val:f1 (ä)") == ([value] if finite else [])
    assert found(said, "f1 (ä)") == [5.0]
    assert said.count("\n") == 2


def test_reported_and_printed_metrics_are_published(job: Job) -> None:
    job.study["trial"]["metrics"] = {"acc": [r"acc=(\S+)", r"ACC (\S+)"], "loss": []}
    _, out, err = job.run("""
        from cloudtune.trial import report
        print("acc=0.5", flush=True)
        report({"loss": 1, "val loss": 0.25}, step=3)
        report(loss=float("nan"))
        report({"a\\nb": 1})
        print("ACC 1e-5, acc=0.7")
    """)
    assert found(out, "acc") == [0.5, 0.7, 1e-05], err
    assert found(out, "loss") == [1.0]
    assert found(out, "val loss") == [0.25]
    assert "skipped metric 'loss': nan" in out
    assert r"skipped metric 'a\nb': 1.0" in out
    assert out.startswith("acc=0.5\n")


def test_source_in_a_traceback_is_no_metric(job: Job) -> None:
    job.study["trial"]["metrics"] = {"acc": r"acc: (\S+)"}
    _, out, _ = job.run("""
        print("acc: 0.5", flush=True)
        print("acc: 0.75", 1 / 0)
    """)
    assert found(out, "acc") == [0.5]


@pytest.mark.parametrize(("host", "count"), [("algo-1", 2), ("algo-2", 0)])
def test_only_the_first_host_publishes_metrics(job: Job, host: str, count: int) -> None:
    job.env = {"SM_HOSTS": '["algo-1", "algo-2"]', "SM_CURRENT_HOST": host}
    job.study["trial"]["metrics"] = {"acc": r"acc=(\S+)", "loss": {}}
    _, out, _ = job.run("""
        from cloudtune.trial import report
        print("acc=0.5")
        report(loss=0.25)
    """)
    assert ("acc=0.5" in out, out.count("[cloudtune] metric")) == (True, count)


def test_the_group_step_is_not_the_value(job: Job) -> None:
    job.study["trial"]["metrics"] = {"acc": r"step (?P<step>\d+) acc (\S+)"}
    _, out, _ = job.run("print('step 7 acc 0.5')")
    assert found(out, "acc") == [0.5]


def test_metrics_are_published_while_the_script_runs(job: Job) -> None:
    job.study["trial"]["metrics"] = {"acc": r"acc=(\S+)"}
    with job.start("""
        import os, sys, time
        from cloudtune.trial import report
        report(loss=0.5)
        while not os.path.exists("go"): time.sleep(0.01)
        print("acc=1\\rmore", end="", flush=True)
        while not os.path.exists("end"): time.sleep(0.01)
    """) as process:
        assert process.stdout is not None
        work = job.work
        assert process.stdout.readline() == b"[cloudtune] metric loss = 0.5\n"
        (work / "go").touch()
        assert process.stdout.readline() == b"acc=1\r\n"
        assert process.stdout.readline() == b"[cloudtune] metric acc = 1.0\n"
        (work / "end").touch()
        assert process.stdout.read() == b"more"
    assert process.returncode == 0


def test_lines_of_metrics_stay_whole(job: Job) -> None:
    _, out, _ = job.run("""
        import sys, threading
        from cloudtune.trial import report
        def chat():
            for n in range(300):
                sys.stdout.write("x" * 40)
                sys.stdout.flush()
                sys.stderr.write("y" * n + ("\\n" if n % 7 == 0 else "\\r"))
                sys.stderr.flush()
        other = threading.Thread(target=chat)
        other.start()
        for n in range(300):
            report(a=n)
        other.join()
        sys.stdout.write("z" * 200_000)
        sys.stdout.flush()
        report(b=1)
        sys.stdout.write("end")
    """)
    assert found(out, "a") == list(range(300))
    assert found(out, "b") == [1.0]
    assert (out.count("x"), out.count("z")) == (12_000, 200_000)
    assert re.search("(?m)end$", out)


def test_reports_of_a_script_without_output(job: Job) -> None:
    _, out, _ = job.run("""
        import os
        from cloudtune.trial import report
        os.close(1); os.close(2)
        for n in range(5): report(a=n)
        os._exit(0)
    """)
    assert found(out, "a") == [0, 1, 2, 3, 4]


# The end.


def test_the_exit_code_is_the_scripts(job: Job) -> None:
    code, out, _ = job.run("""
        import subprocess, sys
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
        print("done")
    """)
    assert (code, out, job.failure) == (0, "done\n", None)
    assert not list(job.folder.glob("cloudtune-*"))


def test_a_failure_has_the_last_lines(job: Job) -> None:
    code, _, _ = job.run("""
        import sys
        print("x" * 5000)
        for n in range(100):
            print("step", n, end="\\r")
        print()
        print("\\x1b[31mred\\x1b[0m")
        def f(): raise ValueError("the ä data is wrong")
        sys.stdout.flush()
        f()
    """)
    assert code == 1
    failure = job.failure or ""
    assert failure.startswith("exit code 1\nstep ")
    assert failure.endswith("ValueError: the ä data is wrong")
    assert "\nred\nTraceback" in failure
    assert len(failure) <= 1024


def test_a_long_last_line_keeps_its_beginning(job: Job) -> None:
    code, _, _ = job.run("raise SystemExit('no good: ' + 'y' * 50_000)")
    failure = job.failure or ""
    assert (code, len(failure)) == (1, 1024)
    assert failure.startswith("exit code 1\nno good: yyy")


def test_secrets_are_masked_in_the_output_and_before_the_failure_is_cut(job: Job) -> None:
    job.study["trial"]["env"] = {"TOKEN": {"from_env": "HF_TOKEN"}}
    job.env = {"TOKEN": 'very"secret-0123456789'}
    code, out, _ = job.run("""
        import json, os, sys
        print(os.environ["TOKEN"], json.dumps([os.environ["TOKEN"]]), "two", end=" ", flush=True)
        print("loss: 0.5")
        sys.exit("y" * 1_000 + os.environ["TOKEN"])
    """)
    assert code == 1
    assert out.startswith('${HF_TOKEN} ["${HF_TOKEN}"] two loss: 0.5\n')
    failure = job.failure or ""
    assert "very" not in failure + out
    assert failure.endswith("yyy${HF_TOKEN}")


def test_a_metric_that_looks_like_a_secret_is_published(job: Job) -> None:
    job.env["CODE"] = "123456"
    job.study["trial"]["env"] = {"CODE": {"from_env": "CODE"}}
    job.study["trial"]["metrics"] = {"acc": {}}
    _, out, _ = job.run("from cloudtune.trial import report\nreport(acc=123456)")
    assert found(out, "acc") == [123456.0]


# Requirements.


def wheel(folder: Path, name: str) -> None:
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "said = 'hello'\n")
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")


def other_pip(job: Job, code: str) -> None:
    """Let the job install requirements with a pip that runs some code."""
    pip = job.source / "other" / "pip" / "__main__.py"
    pip.parent.mkdir(parents=True)
    pip.with_name("__init__.py").touch()
    pip.write_text(code)
    (job.source / "requirements.txt").touch()
    other = job.work / "other"
    job.study["trial"] |= {"requirements": "requirements.txt", "env": {"PYTHONPATH": str(other)}}


@pytest.mark.slow
def test_requirements_are_installed_first(job: Job) -> None:
    wheel(job.source, "greeting")
    (job.source / "needs.txt").write_text("./greeting-1.0-py3-none-any.whl\n")
    site = str(job.folder / "site")
    job.study["trial"] |= {
        "requirements": "needs.txt",
        "env": {"PIP_TARGET": site, "PYTHONPATH": site, "PIP_NO_INDEX": "1"},
        "metrics": {"acc": r"(?:acc=|greeting-)([\d.]+)"},
    }
    code, out, err = job.run("import greeting; print(greeting.said); print('acc=1')")
    assert (code, err, job.failure) == (0, "", None)
    assert "Successfully installed greeting-1.0\n" in out
    assert out.endswith("hello\nacc=1\n[cloudtune] metric acc = 1.0\n")
    assert found(out, "acc") == [1.0]


def test_a_failure_does_not_include_the_output_of_pip(job: Job) -> None:
    other_pip(job, "print('installing')")
    code, out, _ = job.run("raise SystemExit('no good')")
    assert out == "installing\nno good\n"
    assert (code, job.failure) == (1, "exit code 1\nno good")


def test_a_failed_installation_fails_the_trial(job: Job) -> None:
    (job.source / "requirements.txt").write_text("./not-there.whl\n")
    job.study["trial"]["requirements"] = "requirements.txt"
    code, out, err = job.run("print('started')")
    assert code == 2
    assert "started" not in out
    assert err == "cloudtune: cannot install requirements.txt: exit code 1\n"
    failure = job.failure or ""
    assert failure.startswith("cannot install requirements.txt: exit code 1\n")
    assert "not-there.whl" in failure
    assert len(failure) <= 1024


def test_a_stop_during_installation_is_not_a_failure(job: Job) -> None:
    other_pip(job, "import time; print('installing', flush=True); time.sleep(99)")
    with job.start("print('started')") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"installing\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b""
    assert (process.returncode, job.failure) == (-signal.SIGTERM, None)


def test_the_program_can_start_as_a_module(job: Job) -> None:
    job.write("print('started')")
    job.unpack()
    done = subprocess.run(
        [sys.executable, "-m", PROGRAM.removesuffix(".py"), "-x", "1"],
        cwd=job.base / "code",
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr
