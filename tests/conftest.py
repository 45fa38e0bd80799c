"""Environments of their own for packages that cannot live next to cloudtune's."""

from __future__ import annotations

import fcntl
import functools
import gc
import hashlib
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / os.environ.get("LOCKS", "locks")
"""Where the locks are of what tests install; LOCKS names another folder."""
LONGEST = 1200
"""Seconds that an installation may take on a busy machine."""

# How long an example takes depends on what else the machine does, so it cannot fail a test. The
# examples are the same in each run; pytest's --hypothesis-profile=explore draws new ones.
settings.register_profile(
    "repeat",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    database=None,
)
settings.register_profile(
    "explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=1_000
)
settings.load_profile("repeat")

# Planning asks uv, if it is there, for the packages of a script's header.
os.environ["UV_OFFLINE"] = "1"

MEMORY = Path("/dev/shm")
MEMORY_NEEDED = 8 << 30
"""Bytes that must be free there and in the whole memory: some tests install large packages."""

# A shell starts what runs in its background with this signal ignored, which processes inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Keep the folders of tests in memory where there is room.

    Tests create and flush so many small files that they would wait for a disk half of their time.
    """
    if config.getoption("basetemp") is None and _has_memory():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _has_memory() -> bool:
    try:
        system = os.statvfs(MEMORY)
        sizes = Path("/proc/meminfo").read_text("utf-8").split()
    except OSError:  # another system than Linux
        return False
    free = system.f_bavail * system.f_frsize
    available = 1024 * int(sizes[sizes.index("MemAvailable:") + 1])
    return min(free, available) >= MEMORY_NEEDED and not system.f_flag & os.ST_NOEXEC


@pytest.fixture(autouse=True)
def _fixed_seeds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study without a seed is planned with the same one in each run of the tests.

    Processes that a test starts draw their own.
    """
    monkeypatch.setattr(secrets, "randbelow", random.Random(request.node.nodeid).randrange)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests the time to install packages, or to wait until other tests have."""
    for item in items:
        names: list[str] = getattr(item, "fixturenames", [])
        if "python_with" in names and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(2 * LONGEST))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the replay of somebody's recordings does not compare, with the reasons."""
    if "CLOUDTUNE_RECORDINGS" not in os.environ:
        return
    reports = [each for many in terminalreporter.stats.values() for each in many]
    lines = [
        text
        for each in reports
        if getattr(each, "when", "") == "call"
        for name, text in each.user_properties
        if name == "not compared"
    ]
    if lines:
        terminalreporter.section("not compared")
    for line in dict.fromkeys(lines):
        terminalreporter.line(line)


def pytest_collection_finish() -> None:
    """Save time in what follows.

    Later collections of garbage pass over the tests and the modules, which are many. Linear algebra
    uses one thread, since other tests run next to it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    threadpoolctl: Any = import_module("threadpoolctl")
    threadpoolctl.threadpool_limits(1, user_api="blas")


@pytest.fixture(scope="session")
def python_with(pytestconfig: pytest.Config) -> Callable[[str, str], str]:
    """Returns a Python that has the packages of a lock, made once below pytest's cache.

    The first argument is the name of the lock, the second a variable of the environment that names
    a Python to be used instead. The test is skipped where no package index can be reached, and
    where the packages cannot be installed on another system than Linux, which is that of the
    services' images.
    """
    cache = pytestconfig.cache
    assert cache is not None
    return functools.partial(_python_with, cache)


def _python_with(cache: pytest.Cache, lock: str, named_by: str) -> str:
    if named := os.environ.get(named_by):
        return named
    path = LOCKS / f"{lock}.txt"
    parent = cache.mkdir(f"{lock}-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}")
    folder = parent / f"{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--retries", "1"]
    new_pip = [*install, "--requirement", str(LOCKS / "pip.txt")]
    packages = [*install, "--no-deps", "--requirement", str(path)]
    packages += ["--build-constraint", str(LOCKS / "build.txt")]
    packages += ["--no-compile"]  # most of a big package is never imported
    with (parent / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # tests may run in several processes
        if (folder / "whole").exists():
            return str(python)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        for command in (new_pip, packages):
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=LONGEST
            )
            if done.returncode:
                why = f"{path} cannot be installed here: {done.stderr[-1000:]}"
                if "connection broken" in done.stderr or sys.platform != "linux":
                    pytest.skip(why)
                pytest.fail(why)
        (folder / "whole").touch()
    return str(python)
