"""Commands and files on this machine, by a stand-in for ssh, and by a real sshd."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.provider.trial_files import StoredFile
from cloudtune_slurm.errors import SlurmError, command_error
from cloudtune_slurm.host import Host, LocalHost, SshHost, Unreadable, clean_environment

FAKE_SSH = """\
#!{python}
# Runs words as sshd does: joined with spaces, by the login shell of the user.
import os, subprocess, sys
words = sys.argv[1:]
with open({calls!r}, "a") as file:
    file.write(repr(words) + "\\n")
assert words[:5] == ["-T", "-o", "BatchMode=yes", "--", "login"], words
if os.environ.get("FAKE_SSH_FAILS"):
    sys.exit(print(os.environ["FAKE_SSH_FAILS"], file=sys.stderr) or 255)
env = {{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}}
print("Welcome to the cluster!", flush=True)
shell = os.environ.get("FAKE_SSH_SHELL", "/bin/sh")
sys.exit(subprocess.run([shell, "-c", " ".join(words[5:])], env=env).returncode)
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for ssh on the PATH; returns the file with its words."""
    calls = tmp_path / "calls"
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(FAKE_SSH.format(python=sys.executable, calls=str(calls)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return calls


SHELLS = [shell for name in ("sh", "bash", "tcsh", "fish", "zsh") if (shell := shutil.which(name))]


@pytest.fixture(params=["local", *SHELLS])
def host(request: pytest.FixtureRequest, calls: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    if request.param == "local":
        return LocalHost()
    monkeypatch.setenv("FAKE_SSH_SHELL", request.param)
    return SshHost("login")


ODD = 'a\'b "c" $HOME `id` \\ ! ; & | > * ü\nline 2'


def test_words_and_variables_arrive_unchanged(host: Host) -> None:
    script = 'import os, sys; print(repr([*sys.argv[1:], os.environ["SECRET"], sys.stdin.read()]))'
    output = host.run([sys.executable, "-c", script, ODD, ""], {"SECRET": ODD})
    assert output == f"{[ODD, '', ODD, '']!r}\n"


def test_no_jobs_of_an_unknown_user_are_no_answer_of_squeue(host: Host) -> None:
    """Squeue exits with 0 if the name service does not answer: all jobs would count as lost."""
    said = "squeue: error: Invalid user: 940740146"
    with pytest.raises(SlurmError, match="Invalid user: 940740146") as caught:
        host.run(["sh", "-c", f"echo '{said}' >&2"])
    assert caught.value.retryable
    assert host.run(["sh", "-c", "echo 'squeue: error: Ignoring obsolete option' >&2"]) == ""


def test_secrets_and_commands_are_in_no_words_of_ssh(calls: Path) -> None:
    SshHost("login").run(["sh", "-c", 'test "$TOKEN" = very-secret'], {"TOKEN": "very-secret"})
    assert "very-secret" not in calls.read_text()


def test_files_are_written_and_read_from_an_offset(host: Host, tmp_path: Path) -> None:
    folder = str(tmp_path / "run")
    host.write(folder, {"a/one": b"0123", "two": bytes(range(256)), "run.sh": b"#!/bin/sh\n"})
    offsets = {f"{folder}/a/one": 2, f"{folder}/two": 0, f"{folder}/three": 0, "/nowhere/x": 0}
    assert host.read(offsets) == {f"{folder}/a/one": b"23", f"{folder}/two": bytes(range(256))}
    assert os.access(f"{folder}/run.sh", os.X_OK)
    assert Path(folder).stat().st_mode & 0o077 == 0
    source = tmp_path / "archive"
    source.write_bytes(b"\0" * 100_000)
    host.upload(f"{folder}/new/code.tar.gz", source)
    assert Path(folder, "new/code.tar.gz").read_bytes() == b"\0" * 100_000
    assert host.read({}) == {}


def test_a_command_that_fails_is_an_error_with_its_message(host: Host) -> None:
    text = "Batch job submission failed: Invalid account"
    with pytest.raises(SlurmError, match="Invalid account") as caught:
        host.run(["sh", "-c", f"echo 'sbatch: error: {text}' >&2; exit 1"])
    assert not caught.value.retryable
    assert not caught.value.affects_all_calls


def test_an_unknown_option_of_sbatch_is_not_taken_for_an_error_of_ssh(
    host: Host, tmp_path: Path
) -> None:
    program = tmp_path / "sbatch"
    program.write_text("#!/bin/sh\necho \"sbatch: unrecognized option '--foo'\" >&2\nexit 255\n")
    program.chmod(0o755)
    with pytest.raises(SlurmError, match=r"sbatch: unrecognized option '--foo'$"):
        host.run([str(program), "--foo"])


def test_a_command_that_is_missing_affects_all_calls(host: Host) -> None:
    with pytest.raises(SlurmError, match="no-such-command not found") as caught:
        host.run(["no-such-command"])
    assert caught.value.affects_all_calls


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("Socket timed out on send/recv operation", "retryable"),
        ("Unable to contact slurm controller (connect failure)", "retryable"),
        ("Slurm temporarily unable to accept job, sleeping and retrying", "retryable"),
        ("Batch job submission failed: Protocol authentication error", "retryable"),
        ("Invalid user for SlurmUser slurm, ignored", "retryable"),
        ("QOSMaxSubmitJobPerUserLimit", "quota_exceeded"),
        ("AssocMaxSubmitJobLimit", "quota_exceeded"),
        ("Job violates accounting/QOS policy (job submit limit, user's size", "quota_exceeded"),
        ("Invalid partition name specified", "affects_all_calls"),
        ("Invalid account or account/partition combination specified", "affects_all_calls"),
        ("Requested node configuration is not available", ""),
    ],
)
def test_messages_of_sbatch(text: str, flag: str) -> None:
    error = command_error("sbatch", 1, f"sbatch: error: {text}\n")
    flags = [name for name, value in vars(error).items() if value is True]
    assert flags == ([flag] if flag else [])


@pytest.mark.parametrize(
    ("text", "retryable"),
    [
        ("ssh: connect to host login port 22: Connection refused", True),
        ("kex_exchange_identification: Connection closed by remote host", True),
        ("me@login: Permission denied (publickey).", False),
        ("Host key verification failed.", False),
    ],
)
@pytest.mark.usefixtures("calls")
def test_errors_of_ssh(text: str, *, retryable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SSH_FAILS", text)
    with pytest.raises(SlurmError, match="cannot reach login by ssh") as caught:
        SshHost("login").run(["squeue"])
    assert (caught.value.retryable, caught.value.affects_all_calls) == (retryable, not retryable)


def test_variables_of_a_job_in_which_cloudtune_runs_do_not_reach_sbatch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SLURM_CPUS_PER_TASK", "SQUEUE_FORMAT", "SLURM_CONF", "SBATCH_ACCOUNT"):
        monkeypatch.setenv(name, "x")
    env = clean_environment()
    assert {"SLURM_CONF", "SBATCH_ACCOUNT"} <= env.keys()
    assert not {"SLURM_CPUS_PER_TASK", "SQUEUE_FORMAT"} & env.keys()


@pytest.mark.parametrize(
    ("given", "clusters"),
    [
        ({"SLURM_CLUSTERS": "gpu"}, "gpu"),
        ({"SBATCH_CLUSTERS": "gpu"}, "gpu"),  # squeue and scancel read only SLURM_CLUSTERS
        ({"SBATCH_CLUSTERS": "cpu", "SLURM_CLUSTERS": "gpu"}, "gpu"),
        ({}, None),
    ],
)
def test_all_commands_reach_the_cluster_that_the_user_has_chosen(
    given: dict[str, str], clusters: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_CLUSTERS", "SBATCH_CLUSTERS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**given, "SLURM_JWT": "token", "SLURM_CONF_SERVER": "ctl"}.items():
        monkeypatch.setenv(name, value)
    env = clean_environment()
    assert env.get("SLURM_CLUSTERS") == clusters
    assert (env["SLURM_JWT"], env["SLURM_CONF_SERVER"]) == ("token", "ctl")


SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A real sshd on this machine, which ssh starts to reach ``login``, by its configuration."""
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("needs sshd and ssh-keygen")
    folder = tmp_path / "sshd"
    folder.mkdir(mode=0o700)
    for key in ("host", "user"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
        subprocess.run(words, check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    (folder / "config").write_text(
        f"HostKey {folder}/host\n"
        f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nPidFile none\n"
        "UsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    (folder / "client").write_text(
        f"Host login\n  ProxyCommand {SSHD} -i -f {folder}/config\n"
        f"  IdentityFile {folder}/user\n"
        f"  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking accept-new\n"
    )
    program = tmp_path / "real" / "ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/client "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    return "login"


def test_a_real_sshd(login: str, tmp_path: Path) -> None:
    host, folder = SshHost(login), str(tmp_path / "run")
    test_words_and_variables_arrive_unchanged(host)
    test_files_are_written_and_read_from_an_offset(host, tmp_path)
    assert host.read({f"{folder}/a/one": 3}) == {f"{folder}/a/one": b"3"}


def test_only_regular_files_within_the_limit_are_read(host: Host, tmp_path: Path) -> None:
    names = ("plain", "pipe", "device", "large", "absent")
    paths = {name: str(tmp_path / name) for name in names}
    Path(paths["plain"]).write_bytes(b"text")
    os.mkfifo(paths["pipe"])
    Path(paths["device"]).symlink_to("/dev/zero")
    Path(paths["large"]).write_bytes(bytes(2**20 + 1))
    contents = host.read(dict.fromkeys(paths.values(), 0), 2**20)
    irregular = Unreadable("not a regular file")
    assert {name: contents.get(path) for name, path in paths.items()} == {
        "plain": b"text",
        "pipe": irregular,
        "device": irregular,
        "large": Unreadable("larger than 1 MiB"),
        "absent": None,
    }


def test_what_a_trial_left_is_listed_and_streamed(host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "a 'quoted' folder"
    (folder / "deep").mkdir(parents=True)
    name = "odd ü'\"$x\n.bin"
    (folder / "deep" / name).write_bytes(bytes(range(256)) * 8000)
    (folder / "latest").symlink_to("deep/x y")
    os.mkfifo(folder / "pipe")
    files, links = host.list_files(str(folder))
    (file,) = files.values()
    assert ({*files}, file.size, links) == ({f"deep/{name}"}, 2_048_000, {"latest": "deep/x y"})
    for start in (0, 2_047_999, 1_000_000):
        assert b"".join(host.stream(file, start)) == (bytes(range(256)) * 8000)[start:]
    next(stream := host.stream(file, 0))
    stream.close()  # type: ignore[attr-defined]
    assert host.list_files(str(tmp_path / "absent")) == ({}, {})
    for address in (folder / "latest", folder / "pipe", folder / "absent"):
        with pytest.raises(SlurmError):
            b"".join(host.stream(StoredFile(str(address), 1), 0))
