"""Check without Docker that the image of the Dockerfile can run trials on three services.

Installs what the Dockerfile installs by pip into the folder `image`, which stands in for it, and
starts a small script there as each service starts a container:

    python check_image.py
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
IMAGE = HERE / "image"
LONGEST = 300
"""Seconds that a start may take on a busy machine."""
PROBE = """\
import importlib.metadata, json, os, sys
names = json.loads(os.environ.get("PACKAGES", "[]"))
packages = {name: importlib.metadata.version(name) for name in names}
with open(os.environ["SEEN"], "w") as file:
    json.dump({"argv": sys.argv[1:], "python": sys.version_info[:2], "packages": packages}, file)
sys.exit(3 if "--fail" in sys.argv else 0)
"""
VERTEX = """\
import runpy, sys, tarfile
tarfile.open(sys.argv.pop(1)).extractall("code")
sys.argv[0] = "code/probe.py"
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Does what the command of cloudtune's requests does: unpacks the code of the mounted bucket."""


def main() -> int:
    """Print the checks, a line each; return 1 if one fails."""
    lines = instructions((HERE / "Dockerfile").read_text("utf-8"))
    packages = install(lines)
    problems = {
        "Dockerfile": [*check_dockerfile(lines)],
        "SageMaker": [*check_sagemaker(packages)],
        "Vertex AI": [*check_vertex(packages)],
        "IBM Watson": [*check_watson(packages)],
    }
    for subject, found in problems.items():
        print(f"{subject:<10} {'; '.join(found) or 'ok'}")
    print(
        "not checked: the base images with their Python, apt-get, and the architecture, linux/amd64"
    )
    return int(any(problems.values()))


def instructions(text: str) -> list[str]:
    """Return the instructions of a Dockerfile, without comments, each on one line."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    words = [line.split(maxsplit=1) for line in lines if line.strip()]
    return [" ".join([keyword.upper(), *rest]) for keyword, *rest in words]


def install(lines: list[str]) -> list[str]:
    """Install what `pip wheel` collects into IMAGE, and return the names of the packages."""
    words = shlex.split(wheel_command(lines))
    wanted = words[words.index("--wheel-dir") + 2 :]
    requirements = (HERE / "requirements.txt").read_text()
    stamp, state = IMAGE / "installed", json.dumps([wanted, requirements])
    if not stamp.exists() or stamp.read_text() != state:
        print(f"installing {shlex.join(wanted)} into {IMAGE.name}/, which takes a minute")
        shutil.rmtree(IMAGE, ignore_errors=True)
        venv.create(IMAGE, with_pip=True)
        pip = [IMAGE / "bin" / "python", "-m", "pip", "install", "--quiet", *wanted]
        subprocess.run(pip, cwd=HERE, check=True)
        stamp.write_text(state)
    return package_names(wanted, requirements)


def wheel_command(lines: list[str]) -> str:
    """Return the line that collects the packages."""
    found = [line for line in lines if line.startswith("RUN pip wheel --wheel-dir ")]
    if len(found) != 1:
        sys.exit("Dockerfile: needs one line `RUN pip wheel --wheel-dir /wheels ...`")
    return found[0]


def package_names(wanted: list[str], requirements: str) -> list[str]:
    """Return the packages among the words of a command of pip, and those of a requirements file."""
    name = re.compile(r"^[a-z0-9][\w.-]*", re.IGNORECASE | re.MULTILINE)
    words = [word for word in wanted if "/" not in word and not word.endswith(".txt")]
    return name.findall("\n".join([*words, requirements]))


def check_dockerfile(lines: list[str]) -> Iterator[str]:
    """Yield what services reject in the last stage of the Dockerfile."""
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    for line in lines[last:]:
        if line.startswith("ENTRYPOINT"):
            yield "has an ENTRYPOINT, which gets SageMaker's word `train` as its argument"
        if "tini" in line.split():
            yield "starts tini, which SageMaker's developer guide excludes"
    if not any("pip install" in line and "/wheels" in line for line in lines[last:]):
        yield "the last stage does not install the wheels"
    if "${BASE}" not in lines[last]:
        yield "the last stage has no BASE, for an image of IBM"


def check_sagemaker(packages: list[str]) -> Iterator[str]:
    """Start `train` on a copy of /opt/ml, as SageMaker does; yield what differs."""
    if not (IMAGE / "bin" / "train").exists():
        yield "no command `train`: install sagemaker-training"
        return
    for failing in (False, True):
        with tempfile.TemporaryDirectory() as name:
            base = Path(name) / "opt" / "ml"
            values = {
                "lr": "0.1",  # all values are texts
                **({"fail": "now"} if failing else {}),
                "sagemaker_program": "probe.py",
                "sagemaker_submit_directory": str(archive(Path(name))),
                "sagemaker_region": "us-east-1",
            }
            hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
            files = {"hyperparameters": values, "resourceconfig": hosts, "inputdataconfig": {}}
            for folder in ("input/config", "input/data", "model", "output", "code"):
                (base / folder).mkdir(parents=True)
            for file, content in files.items():
                (base / "input" / "config" / f"{file}.json").write_text(json.dumps(content))
            more = {"SAGEMAKER_BASE_DIR": str(base), "SM_STUDIO_LOCAL_MODE": "true"}  # no DNS
            code, seen = start(["train"], Path(name), packages, **more)
            if failing:
                if code == 0 or not (base / "output" / "failure").exists():
                    yield "a script that fails is not reported in /opt/ml/output/failure"
            else:
                yield from differences(code, seen, ["--lr", "0.1"])


def check_vertex(packages: list[str]) -> Iterator[str]:
    """Start the command of a request, with the code in a folder like /gcs; yield what differs."""
    with tempfile.TemporaryDirectory() as name:
        words = ["python3", "-c", VERTEX, str(archive(Path(name))), "--lr=0.1"]
        yield from differences(*start(words, Path(name), packages), ["--lr=0.1"])


def check_watson(packages: list[str]) -> Iterator[str]:
    """Start a command line with the code in the current folder; yield what differs.

    On a cluster, containers have an arbitrary user without a home.
    """
    with tempfile.TemporaryDirectory() as name:
        shutil.unpack_archive(archive(Path(name)), name)
        words = ["sh", "-c", "python probe.py --lr=0.1"]
        yield from differences(*start(words, Path(name), packages, HOME="/nowhere"), ["--lr=0.1"])


def archive(folder: Path) -> Path:
    """Return an archive with the probe, as services get code."""
    script = folder / "probe.py"
    script.write_text(PROBE)
    with tarfile.open(folder / "code.tar.gz", "w:gz") as file:
        file.add(script, "probe.py")
    script.unlink()
    return folder / "code.tar.gz"


def start(
    words: list[str], folder: Path, packages: list[str], **variables: str
) -> tuple[int, dict[str, object] | None]:
    """Start a command with nothing but the image, and return its exit code and what it saw."""
    seen = folder / "seen.json"
    environment = {
        "PATH": f"{IMAGE / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin",
        "PACKAGES": json.dumps(packages),
        "SEEN": str(seen),
        **variables,
    }
    words = [shutil.which(words[0], path=environment["PATH"]) or words[0], *words[1:]]
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    if done.returncode and not seen.exists():
        print(done.stdout, done.stderr, file=sys.stderr)
    return done.returncode, json.loads(seen.read_text()) if seen.exists() else None


def differences(code: int, seen: dict[str, object] | None, argv: list[str]) -> Iterator[str]:
    """Yield how a start differs from what the service needs."""
    if seen is None:
        yield f"the script was not started, exit code {code}"
    elif code:
        yield f"exit code {code}"
    elif seen["argv"] != argv:
        yield f"the script got {seen['argv']}"
    elif tuple(seen["python"]) < (3, 7):
        yield f"Python {seen['python']}, but cloudtune's launcher needs 3.7"


if __name__ == "__main__":
    sys.exit(main())
