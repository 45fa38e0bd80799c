"""The header of a script is locked by uv when a study is planned."""

from __future__ import annotations

import hashlib
import http.server
import shutil
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cloudtune.bundle.locked_requirements import CONVERTED, read_requirements
from cloudtune.errors import LockError
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning.planner import plan, plan_run
from cloudtune.planning.serialization import read_plan_file, write_plan_file
from cloudtune.provider.plan import Plan
from cloudtune.runs import lifecycle
from cloudtune.study.study import Study
from tests.cloudtune.bundle.locks import HEADER, PLAIN_HEADER, SCRIPT_LOCK, installed, write

STUDY = Study.model_validate(
    {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"x": {"type": "int", "min": 0, "max": 4}},
        "limits": {"max_trials": 2},
        "trial": {"script": "train.py", "source": ".", "requirements": "train.py"},
    }
)
UV = """#!{python}
import pathlib, sys
here = pathlib.Path(__file__).parent
script = pathlib.Path(sys.argv[-1])
assert sys.argv[1:-1] == ["lock", "--quiet", "--no-build", "--script"], sys.argv
with (here / "calls").open("a") as calls:
    print(script.read_text().count("dependencies"), file=calls)
if (here / "error").exists():
    sys.exit((here / "error").read_text())
script.with_name(script.name + ".lock").write_text((here / "answer").read_text())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    (tmp_path / "code").mkdir()
    monkeypatch.chdir(tmp_path / "code")
    return write(tmp_path / "code", train__py=HEADER)


@pytest.fixture
def uv(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a stand-in for uv: its answer, its error and its calls."""
    place = folder.parent / "bin"
    place.mkdir()
    marker = '{ name = "both", marker = "os_name == \'posix\'" }'
    answer = SCRIPT_LOCK.replace('{ name = "both" }', marker)
    write(place, uv=UV.format(python=sys.executable), answer=answer)
    (place / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(place))
    return place


def texts(made: Plan) -> list[str]:
    return [note.text for note in made.notes if note.path == "trial.requirements"]


def sent(made: Plan) -> str:
    """Return what pip reads in a run of a plan."""
    run = lifecycle.create([made], saved=True).id
    with Ledger() as ledger:
        return (ledger.job_folder(run, made.provider) / "source" / CONVERTED).read_text()


@pytest.mark.parametrize("on", ["sagemaker", "ray"])
def test_a_saved_plan_installs_what_uv_had_chosen(folder: Path, uv: Path, on: str) -> None:
    made = plan(STUDY, on, base=folder, emulated=True)
    assert installed(made.facts.locked) == {"plain": "==1.0", "both": "==1.0"}
    assert texts(made) == [
        "2 packages with exact versions and hashes, which uv has chosen now for this plan; to keep "
        "them for later plans: uv lock --script train.py"
    ]
    assert [path.name for path in folder.iterdir()] == ["train.py"]
    write_plan_file([made], file := folder.parent / "plan.json")
    write(uv, answer=SCRIPT_LOCK.replace('"1.0"', '"2.0"'))
    (restored,) = read_plan_file(file) or []
    assert sent(restored) == made.facts.locked
    later = plan(STUDY, on, base=folder, emulated=True)
    assert installed(later.facts.locked) == {"plain": "==2.0", "both": "==2.0"}
    if on == "ray":  # which installs them itself
        assert restored.facts.data["packages"] == made.facts.locked.splitlines()


def test_all_services_of_a_run_install_the_same_and_this_machine_nothing(uv: Path) -> None:
    plans = plan_run(STUDY, ["local", "sagemaker", "ray"], emulated=True)
    assert (uv / "calls").read_text() == "1\n"
    assert [bool(each.facts.locked) for each in plans] == [False, True, True]
    assert plans[1].facts.locked == plans[2].facts.locked
    plan(STUDY, "local", emulated=True)
    assert (uv / "calls").read_text() == "1\n"


def test_a_lock_next_to_the_script_is_used_if_it_is_of_its_header(folder: Path, uv: Path) -> None:
    write(folder, train__py=PLAIN_HEADER, train__py__lock=SCRIPT_LOCK)
    made = plan(STUDY, "ray", base=folder, emulated=True)
    assert (made.facts.locked, texts(made), (uv / "calls").exists()) == ("", [], False)
    assert sent(made) == read_requirements(folder, "train.py").text
    write(folder, train__py=PLAIN_HEADER.replace("plain>=1", "plain>=2"))
    (refused,) = [f for f in plan(STUDY, "ray", base=folder).findings if "lock" in f.reason]
    assert (refused.kind, refused.path) == ("refused", "trial.requirements")
    changed = "plain: plain>=2, locked plain>=1"
    stale = "train.py.lock is not of what its script requires now ({}): lock again"
    assert refused.reason == stale.format(changed)
    tool = "# [tool.uv]\n# constraint-dependencies = ['plain<3']\n# ///\n"
    write(folder, train__py=tool.join(PLAIN_HEADER.rsplit("# ///\n", 1)))
    with pytest.raises(LockError) as raised:
        read_requirements(folder, "train.py")
    changed = "constraint-dependencies: plain: plain<3, locked nothing"
    assert str(raised.value) == stale.format(changed)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "uv, which would lock them, is not on the PATH"),
        (
            {"error": "error: Failed to fetch:\n https://me:secret@x.example/simple/"},
            "uv could not lock them (Failed to fetch: https://x.example/simple/)",
        ),
        ({"answer": SCRIPT_LOCK.replace("sha256:", "md5:")}, "uv's lock: pip cannot check plain"),
        ({"answer": "version = 3"}, "uv's lock has the version 3; 1 is known"),
    ],
)
def test_without_a_lock_the_plan_says_what_floats_and_why(
    folder: Path, uv: Path, change: dict[str, str], reason: str
) -> None:
    write(uv, **change)
    if not change:
        (uv / "uv").unlink()
    made = plan(STUDY, "slurm", base=folder, emulated=True)
    (text,) = (each for each in texts(made) if "floats" in each)
    assert text.startswith(
        "the environment floats: plain, what exact needs can have another version in each trial. "
        + reason
    )
    assert text.endswith("; lock them: uv lock --script train.py")
    assert "secret" not in text


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index on loopback with two packages, of which one needs the other."""
    for name, needs in (("plain", "Requires-Dist: both\n"), ("both", "")):
        place = tmp_path / "index" / name
        place.mkdir(parents=True)
        wheel = place / f"{name}-1.5-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            about = f"{name}-1.5.dist-info"
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n{needs}"
            archive.writestr(f"{about}/METADATA", metadata)
            archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            archive.writestr(f"{about}/RECORD", "")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        link = f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>'
        (place / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - theirs
            pass

    handler = partial(Handler, directory=str(tmp_path / "index"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


REAL_UV = shutil.which("uv")


@pytest.mark.skipif(REAL_UV is None, reason="uv is not on the PATH")
def test_uv_locks_a_header_with_all_that_its_packages_need(
    folder: Path, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert REAL_UV
    monkeypatch.setenv("PATH", str(Path(REAL_UV).parent))
    monkeypatch.setenv("UV_DEFAULT_INDEX", index)
    monkeypatch.setenv("UV_CACHE_DIR", str(folder.parent / "cache"))
    monkeypatch.delenv("UV_OFFLINE")
    write(folder, train__py=PLAIN_HEADER)
    made = plan(STUDY, "ray", base=folder, emulated=True)
    assert made.facts.unlocked == ""
    assert installed(made.facts.locked) == {"plain": "==1.5", "both": "==1.5"}
    wheel = folder.parent / "index" / "both" / "both-1.5-py3-none-any.whl"
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() in made.facts.locked
    assert [path.name for path in folder.iterdir()] == ["train.py"]
