"""Locks as pip reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudtune.bundle.launcher import launch_data
from cloudtune.bundle.locked_requirements import CONVERTED, read_requirements
from cloudtune.errors import LockError
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning.planner import plan
from cloudtune.runs import lifecycle
from cloudtune.runs.source_check import require_unchanged_source
from cloudtune.study.study import Study
from tests.cloudtune.bundle.locks import (
    HEADER,
    PLAIN_HEADER,
    PYLOCK,
    ROOT,
    SCRIPT_LOCK,
    UV_LOCK,
    installed,
    package,
    sha,
    write,
)


def test_a_lock_of_uv_has_what_its_project_needs_on_each_system(tmp_path: Path) -> None:
    text, floating, _ = read_requirements(write(tmp_path, uv__lock=UV_LOCK), "uv.lock")
    assert floating == ()
    assert text.splitlines()[:2] == [
        "--extra-index-url https://main.example/simple",
        "--extra-index-url https://index.example/simple",
    ]
    same = {"plain": "==1.0", "extra": "==1.0", "optional": "==1.0", "loop": "==1.0"}
    linux = {"sys_platform": "linux", "os_name": "posix", "python_full_version": "3.11.2"}
    assert installed(text, **linux) == {**same, "both": "==1.0", "forked": "==1.0"}
    mac = {"sys_platform": "darwin", "os_name": "posix", "python_full_version": "3.12.0"}
    assert installed(text, **mac) == {**same, "both": "==1.0", "forked": "==2.0"}
    windows = {"sys_platform": "win32", "os_name": "nt", "python_full_version": "3.12.0"}
    assert installed(text, **windows) == {
        **same,
        "winonly": "==1.0",
        "deep": "==1.0",
        "forked": "==2.0",
    }
    hashes = sorted(["sha256:" + sha("plain1.0"), "sha256:" + sha("plain")])
    assert "plain==1.0 " + " ".join(f"--hash={each}" for each in hashes) in text


def test_a_pylock_and_the_lock_of_a_script_are_read(tmp_path: Path) -> None:
    write(tmp_path, pylock__toml=PYLOCK, train__py=PLAIN_HEADER, train__py__lock=SCRIPT_LOCK)
    text = read_requirements(tmp_path, "pylock.toml").text
    assert text.splitlines() == [
        "--extra-index-url https://main.example/simple",
        "--extra-index-url https://index.example/simple",
        "plain==1.0 " + " ".join(sorted(f"--hash=sha256:{sha(each)}" for each in "ab")),
        f"other==2 ; sys_platform == 'win32' --hash=sha256:{sha('c')}",
    ]
    assert installed(read_requirements(tmp_path, "train.py").text) == {
        "plain": "==1.0",
        "both": "==1.0",
    }


def test_a_version_of_the_lock_of_a_script_is_for_its_pythons(tmp_path: Path) -> None:
    forks = {"1.0": "python_full_version < '3.11'", "2.0": "python_full_version >= '3.11'"}
    lock = 'version = 1\n[manifest]\nrequirements = [{ name = "forked", specifier = ">=1" }]\n'
    header = PLAIN_HEADER.replace("plain", "Forked")
    for version, marker in forks.items():
        lock += package("forked", version, f'resolution-markers = ["{marker}"]')
    write(tmp_path, train__py=header, train__py__lock=lock)
    text = read_requirements(tmp_path, "train.py").text
    for python, version in (("3.10.2", "==1.0"), ("3.11.0", "==2.0")):
        assert installed(text, python_full_version=python) == {"forked": version}


@pytest.mark.parametrize(
    ("text", "floating"),
    [
        ("a==1.0\nb[x] == 2 ; python_version > '3'\n# c\n\nd @ https://x/d.whl\n-i https://x", ()),
        ("a==1.0 \\\n    --hash=sha256:0\n", ()),
        ("a>=1\nb\nc==1.*\nd~=1.0  # why\n-r other.txt", ("a", "b", "c", "d", "-r other.txt")),
    ],
)
def test_what_floats_is_named(tmp_path: Path, text: str, floating: tuple[str, ...]) -> None:
    write(tmp_path, requirements__txt=text)
    assert read_requirements(tmp_path, "requirements.txt")[:2] == (text, floating)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("uv.lock", "version = 2", "has the version 2; 1 is known"),
        ("uv.lock", "version = 1", "has no project, and no script"),
        ("uv.lock", "[", "is not TOML"),
        ("uv.lock", "version = 1\npackage = 3", "is not a lock that cloudtune can read"),
        (
            "uv.lock",
            ROOT + '[[package]]\nname = "plain"\nversion = "1"\nsource = { git = "https://x" }\n',
            "pip cannot check plain, since it comes from git",
        ),
        (
            "uv.lock",
            UV_LOCK.replace('name = "plain"\n', 'name = "plan"\n'),
            "needs 'plain' and does",
        ),
        ("uv.lock", UV_LOCK.replace("'nt'", "nt ="), r"pip cannot check deep, since its marker is"),
        ("uv.lock", UV_LOCK.replace("'nt'", r"'nt'\\nevil==1"), "since its marker is"),
        (
            "uv.lock",
            UV_LOCK.replace('"2.0"\ns', '"2.0 --pre"\ns'),
            "needs 'forked 2.0' and does not",
        ),
        ("uv.lock", UV_LOCK.replace("sha256:", "md5:"), "pip cannot check plain.*no hash of SHA"),
        ("uv.lock", UV_LOCK.replace("://main", "://u:secret@main"), "has a password; remove it"),
        ("uv.lock", UV_LOCK.replace("//main", "//main --pre "), "is not the address of an index"),
        ("pylock.toml", PYLOCK.replace('"other"', r'"other\nevil==1"'), "is not one of a package"),
        ("pylock.toml", PYLOCK.replace('"2"', '"2 -r x"'), "its version is '2 -r x'"),
        ("pylock.toml", 'lock-version = "2.0"', "has the version 2.0"),
        ("pylock.toml", PYLOCK.replace("sys_platform ==", "'x' in extras and"), "extras or groups"),
        ("train.py", "import plain\n", "has no header with its dependencies"),
        ("train.py", HEADER + HEADER, "has 2 headers"),
        (
            "train.py",
            HEADER.replace("plain>=1", "-r /etc/passwd"),
            "'-r /etc/passwd', which is not",
        ),
        ("train.py", HEADER.replace('"plain>=1"', "1"), "must be a list of strings"),
    ],
)
def test_what_cannot_be_converted_is_refused(
    tmp_path: Path, name: str, text: str, problem: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(LockError, match=problem):
        read_requirements(tmp_path, name)


METADATA = """
[package.metadata]
requires-dist = [
    { name = "plain", specifier = ">=1,<2" },
    { name = "winonly", extras = ["b", "a"], marker = "python_full_version < '3.11'" },
    { name = "optional", marker = "sys_platform == 'linux' and extra == 'x'" },
    { name = "own", git = "https://x/own" },
    { name = "proj", extras = ["x"] },
]
provides-extras = ["x"]

[package.metadata.requires-dev]
dev = [{ name = "old" }, { name = "test", specifier = ">=1" }]
more = [{ name = "test", specifier = ">=1" }]
"""
PROJECT = """
[project]
name = "Proj"
dependencies = [
    "Plain<2.0, >=1", "winonly[A,b]; python_version < '3.11'", "proj[x]", "own>=4"
]
[project.optional-dependencies]
X = ["optional; sys_platform == 'linux'"]
[dependency-groups]
dev = [{ include-group = "more" }]
more = ["test>=1"]
[tool.uv]
dev-dependencies = ["old"]
sources = { own = { git = "https://x/own" } }
"""


CONSTRAINED = "constraint-dependencies: deep: "
PLACES = "plain: from "
INDEX = "[[tool.uv.index]]\nname = 'other'\nurl = 'https://other.example/simple'"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("", ""), ""),
        (("Plain<2.0", "Plain<3"), "plain: Plain<3,>=1, locked plain<2,>=1"),
        (("Plain<2.0, >=1", "plain"), "plain: plain, locked plain<2,>=1"),
        (("[A,b]", "[b]"), r"winonly: winonly\[b\]"),
        (("< '3.11'", "< '3.12'"), 'winonly: .*python_version < "3.12", locked'),
        (('"own', '"added", "own'), "added: added, locked nothing"),
        ((', "own>=4"', ""), "own: nothing, locked own"),
        (("optional;", "optional==2;"), "optional: optional==2"),
        (('X = ["', 'X = ["plain", "'), "plain: "),
        (("test>=1", "test>=2"), "test: test>=2, locked test>=1"),
        (('["old"]', "[]"), "old: nothing, locked old"),
        (('"Proj"', '"other"'), "it has no project other"),
        (('"Plain<', '"!", "Plain<'), "its dependencies cannot be read"),
        (('["old"]', "3"), "its dependencies cannot be read"),
        (("[tool.uv]", "[tool.uv]\nconstraint-dependencies = ['Deep>1,<9']"), ""),
        (("[tool.uv]", "[tool.uv]\nconstraint-dependencies = []"), CONSTRAINED + "nothing"),
        (("[tool.uv]", "[tool.uv]\nconstraint-dependencies = ['deep<8']"), CONSTRAINED + "deep<8"),
        (
            ("[tool.uv]", "[tool.uv]\noverride-dependencies = ['deep==2']"),
            "override-dependencies: deep: deep==2, locked nothing",
        ),
        (("{ own =", "{ Plain = { url = 'https://x/p.whl' }, own ="), PLACES + "https://x/p.whl"),
        (("{ own =", "{ plain = [{ path = 'p', marker = '1 > 2' }], own ="), ""),
        (("{ own =", "{ unused = { url = 'https://x/p.whl' }, own ="), ""),
        (("{ git = ", "{ url = "), "own: from https://x/own, locked from git"),
        (("sources =", "other ="), "own: from an index, locked from git"),
        (("[tool.uv]", f"{INDEX}\n[tool.uv]"), ""),
        (
            ("[tool.uv]", f"{INDEX}\ndefault = true\n[tool.uv]"),
            "index: https://main.example/simple",
        ),
        (("[tool.uv]", "[tool.uv]\nindex-url = 'https://u:p@main.example/simple/'"), "index: htt"),
        (
            (
                "[tool.uv]",
                "[tool.uv]\nindex-url = 'https://u:p@main.example/simple/'\n"
                "extra-index-url = ['https://index.example/simple']",
            ),
            "",
        ),
        (("{ own =", "{ plain = { index = 'other' }, own ="), ""),
        (
            (
                "sources = { own",
                "index = [{ name = 'other', url = 'https://other.example/simple/' }]\n"
                "sources = { plain = { index = 'other' }, own",
            ),
            PLACES + "index https://other.example/simple, locked from an index",
        ),
        (("[tool.uv]", "[tool.uv]\nbuild-constraint-dependencies = ['deep>1']"), "build-c.*deep>1"),
        (("[tool.uv]", "[tool.uv]\nresolution = 'lowest'"), "resolution: lowest, locked highest"),
        (
            ("[tool.uv]", "[tool.uv]\nenvironments = 'sys_platform == \"linux\"'"),
            'environments: sys_platform == "linux", locked all',
        ),
        (("[tool.uv]", "[tool.uv]\nfork-strategy = 'requires-python'"), ""),
        (("[tool.uv]", "[tool.uv]\nexclude-newer = '2026-01-01'"), "exclude-newer: 2026-01-01"),
        (("[tool.uv]", "[tool.uv]\nexclude-newer-package = { Deep = '3 weeks' }"), "package: Deep"),
        (("[tool.uv]", "[tool.uv]\nexclude-dependencies = ['deep']"), "exclude-depend.*: deep"),
        (
            ("[tool.uv]", "[[tool.uv.dependency-metadata]]\nname = 'deep'\n[tool.uv]"),
            "dependency-metadata: deep",
        ),
        (
            ("[tool.uv]", "[tool.uv]\nconflicts = [[{ extra = 'x' }, { group = 'dev' }]]"),
            "conflicts: dev and x",
        ),
        (
            (
                "[tool.uv]",
                "[tool.uv]\ndependency-groups = { more = { requires-python = '>3.12' } }",
            ),
            'test: test>=1; python_full_version > "3.12", locked test>=1',
        ),
        (('name = "Proj"', 'name = "proj"\nrequires-python = ">=3.10,>3.9"'), ""),
        (('name = "Proj"', 'name = "proj"\nrequires-python = ">=3.11"'), "requires-python: >=3.11"),
        (('name = "Proj"', 'name = "proj"\ndynamic = ["dependencies"]'), ""),
    ],
)
def test_a_lock_of_uv_that_is_not_of_what_its_project_requires_now_is_refused(
    tmp_path: Path, change: tuple[str, str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    lock = UV_LOCK.replace("[package.dev-dependencies]", f"{METADATA}\n[package.dev-dependencies]")
    if "constraint-dependencies" in change[1]:
        lock += '\n[manifest]\nconstraints = [{ name = "deep", specifier = ">1,<9" }]\n'
    write(tmp_path, uv__lock=lock, pyproject__toml=PROJECT.replace(*change))
    if problem:
        with pytest.raises(LockError, match=problem):
            read_requirements(tmp_path, "uv.lock")
    else:
        assert "plain==1.0" in read_requirements(tmp_path, "uv.lock").text


def test_a_lock_of_an_early_uv_must_have_all_packages_of_its_project(tmp_path: Path) -> None:
    project = "[project]\nname = 'proj'\ndependencies = ['plain>=1']"
    write(tmp_path, uv__lock=UV_LOCK, pyproject__toml=project)
    assert "plain==1.0" in read_requirements(tmp_path, "uv.lock").text
    write(tmp_path, pyproject__toml=project.replace("'plain", "'added', 'plain"))
    with pytest.raises(LockError, match=r"requires now \(added\)"):
        read_requirements(tmp_path, "uv.lock")


def test_all_mistakes_of_a_lock_are_named_and_no_password(tmp_path: Path) -> None:
    lock = UV_LOCK.replace("://main", "://user:secret@main").replace("'nt'", "nt =")
    write(tmp_path, uv__lock=lock.replace('name = "plain"\n', 'name = "plan"\n'))
    with pytest.raises(LockError) as caught:
        read_requirements(tmp_path, "uv.lock")
    text = str(caught.value)
    assert all(each in text for each in ("has a password", "deep", "needs 'plain'"))
    assert "secret" not in text


def study(requirements: str) -> Study:
    return Study.model_validate(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"x": {"type": "int", "min": 0, "max": 4}},
            "limits": {"max_trials": 2},
            "trial": {"script": "train.py", "source": ".", "requirements": requirements},
        }
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    code = tmp_path / "code"
    code.mkdir()
    monkeypatch.chdir(code)
    return write(code, uv__lock=UV_LOCK, train__py=HEADER)


@pytest.mark.parametrize("on", ["sagemaker", "slurm", "ray"])
def test_the_copy_of_the_source_has_what_pip_reads(folder: Path, on: str) -> None:
    made = plan(study("uv.lock"), on, base=folder, emulated=True)
    run = lifecycle.create([made]).id
    with Ledger() as ledger:
        record = ledger.run(run)
        copy = ledger.job_folder(run, on) / "source"
    text = read_requirements(folder, "uv.lock").text
    assert (copy / CONVERTED).read_text() == text
    assert launch_data(made.fitted, run, {}, "source")["trial"]["requirements"] == CONVERTED
    require_unchanged_source(record, record.jobs[0], copy)
    assert not (folder / CONVERTED).exists()
    if on == "ray":  # which installs them itself
        assert made.facts.data["packages"] == text.splitlines()


def test_a_lock_does_not_float_and_the_plan_says_what_cannot_be_read(folder: Path) -> None:
    fixed = plan(study("uv.lock"), "slurm", base=folder, emulated=True)
    assert "floats" not in json.dumps([note.text for note in fixed.notes])
    here = plan(study("train.py"), "local", base=folder)
    assert "floats" not in json.dumps([note.text for note in here.notes])
    project = "[project]\nname = 'proj'\ndynamic = ['dependencies']"
    write(folder, pyproject__toml=project)
    notes = plan(study("uv.lock"), "slurm", base=folder, emulated=True).notes
    assert [note.text for note in notes if note.path == "trial.requirements"][:1] == [
        "unknown whether uv.lock is of what its project requires now: pyproject.toml leaves its "
        "dependencies to its build backend; `uv lock --check` tells"
    ]
    write(folder, uv__lock="version = 9")
    broken = plan(study("uv.lock"), "slurm", base=folder, emulated=True)
    (finding,) = [each for each in broken.findings if each.path == "trial.requirements"]
    assert (finding.kind, "has the version 9" in finding.reason) == ("refused", True)
