"""A whole Slurm on this machine, for tests: the controller and several nodes, with their own munge.

The nodes are declared with more processors, memory and GPUs than this machine may have. All ports,
folders and sockets are the cluster's own, so it disturbs no other. It runs as the user that starts
it, and needs no systemd. The options are in slurm.conf(5), gres.conf(5) and munged(8).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.free_ports import free_ports

PROGRAMS = ("slurmctld", "slurmd", "munged", "mungekey")
COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_TIMEOUT = 200.0
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random")
"""They pretend to be GPUs: Slurm wants devices, and does not touch them without control groups."""

_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
SlurmctldPort={port}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=0,defer_batch
ReturnToService=2
SlurmdTimeout={slurmd_timeout}
KillWait={kill_wait}
MinJobAge={min_job_age}
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
SlurmdParameters=config_overrides
"""


def missing() -> str:
    """Return why no Slurm can be started here; empty if it can."""
    names = [name for name in (*PROGRAMS, *COMMANDS) if shutil.which(name, path=_PATH) is None]
    return f"Debian's slurm-wlm and munge are not installed: {', '.join(names)}" if names else ""


def version() -> str:
    """Return the version of Slurm, such as ``24.11.5``."""
    words = ["slurmctld", "-V"]
    done = subprocess.run(words, env={"PATH": _PATH}, capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


class Cluster:
    """A Slurm that runs until `close`."""

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 2,
        cpus: int = 4,
        memory: int = 4000,
        gpus: int = 2,
        kill_wait: int = 5,
        min_job_age: int = 300,
        slurmd_timeout: int = 10,
        niceness: int = 0,
        more: Sequence[str] = (),
    ) -> None:
        """Write the configuration.

        Args:
            folder: The cluster's folder; its path must be short, since it has a socket.
            nodes: How many nodes it has.
            cpus: The processors of each node.
            memory: The memory of each, in MB.
            gpus: The GPUs of each, at most four.
            kill_wait: Seconds between SIGTERM and SIGKILL.
            min_job_age: Seconds after which an ended job is forgotten.
            slurmd_timeout: Seconds after which a silent node is lost.
            niceness: That of the nodes and their jobs.
            more: Further lines of slurm.conf.
        """
        self.folder = folder
        self._niceness = niceness
        self.nodes = [f"n{number}" for number in range(1, nodes + 1)]
        self.environment: dict[str, str] = {
            name: value for name, value in os.environ.items() if not name.startswith("SLURM")
        }
        self.environment |= {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _PATH}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "log", *(f"spool/{node}" for node in self.nodes)):
            (folder / name).mkdir(parents=True, exist_ok=True)
        ports = free_ports(nodes + 1)
        lines = [
            _CONF.format(
                host=socket.gethostname().partition(".")[0],
                user=_user(),
                folder=folder,
                port=ports[0],
                kill_wait=kill_wait,
                min_job_age=min_job_age,
                slurmd_timeout=slurmd_timeout,
            ),
            *more,
        ]
        gres = f"Gres=gpu:{gpus} " if gpus else ""
        for node, port in zip(self.nodes, ports[1:], strict=True):
            lines.append(
                f"NodeName={node} NodeHostname={socket.gethostname().partition('.')[0]} "
                f"NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory={memory} {gres}"
                "State=UNKNOWN"
            )
        everything = ",".join(self.nodes)
        lines.append(f"PartitionName=main Nodes={everything} Default=YES MaxTime=INFINITE State=UP")
        lines.append(f"PartitionName=short Nodes={everything} MaxTime=5 State=UP")
        (folder / "slurm.conf").write_text("\n".join([*lines, ""]))
        devices = ",".join(_DEVICES[:gpus])
        (folder / "gres.conf").write_text(f"Name=gpu File={devices}\n" if gpus else "")

    def start(self) -> None:
        """Start the daemons, and wait until all nodes are idle."""
        key, sock = self.folder / "munge.key", self.folder / "munge.sock"
        self._run_checked("mungekey", "--create", f"--keyfile={key}")
        self.folder.chmod(0o755)
        self._start(
            "munged",
            *("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={sock}"),
            *(f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/log/munged.log"),
            *(f"--seed-file={self.folder}/munged.seed", "--num-threads=2"),
        )
        _until(sock.exists, "munged does not listen")
        self._start("slurmctld", "slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
        for node in self.nodes:
            self.start_node(node)
        _until(lambda: self.states() == {"idle"}, "the nodes are not idle", self.describe)

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        conf = self.environment["SLURM_CONF"]
        nice = ("nice", "-n", str(self._niceness)) if self._niceness else ()
        self._start(
            node, *nice, shutil.which("slurmd", path=_PATH) or "", "-D", "-N", node, "-f", conf
        )

    def kill_node(self, node: str) -> None:
        """Kill a node as a loss of power does: its daemon and everything that runs there."""
        daemon = self._daemons.pop(node)
        pids = self.processes(node)
        for pid in [daemon.pid, *pids]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        daemon.wait()

    def run(
        self,
        *words: str,
        text: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of Slurm, such as ``sbatch``."""
        return subprocess.run(
            words,
            input=text or "",
            env={**self.environment, **(env or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )

    def states(self) -> set[str]:
        """Return the states of the nodes."""
        return set(self.run("sinfo", "-h", "-o", "%t").stdout.split())

    def describe(self) -> str:
        """Return what an error should show."""
        logs = [log.read_text(errors="replace")[-2_000:] for log in self.folder.glob("log/*")]
        return "\n".join([self.run("sinfo", "-R").stdout, *logs])

    def close(self) -> None:
        """Stop everything."""
        with suppress(OSError):
            self.run("scancel", f"--user={_user()}")
        for name in ["slurmctld", *self.nodes]:
            if (daemon := self._daemons.pop(name, None)) is not None:
                daemon.terminate()
                try:
                    daemon.wait(20)  # short: it is killed then
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if (daemon := self._daemons.pop("munged", None)) is not None:
            daemon.terminate()
            daemon.wait(200)
        assert not self._daemons

    def processes(self, *nodes: str) -> list[int]:
        """Return the processes of jobs on some nodes, or on all: the daemon of each and its tree.

        The daemon of a job is a child of init; it is known by the log of its node, which it has
        open.
        """
        logs = {str(self.folder / "log" / f"slurmd-{node}.log") for node in nodes or self.nodes}
        parents: dict[int, int] = {}
        for pid in _pids():
            with suppress(OSError, IndexError):
                stat = Path(f"/proc/{pid}/stat").read_text()
                parents[pid] = int(stat.rpartition(")")[2].split()[1])
        roots = {pid for pid in parents if _is_step_daemon(pid) and _open_files(pid) & logs}
        tree = set(roots)
        while more := {p for p, parent in parents.items() if parent in tree} - tree:
            tree |= more
        return sorted(tree)

    def _start(self, name: str, *words: str) -> None:
        program = shutil.which(words[0], path=_PATH)
        assert program is not None
        tie = shutil.which("setpriv", path=_PATH)  # ends with the tests, however these end
        wrapper = [tie, "--pdeathsig=KILL"] if tie else []
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                [*wrapper, program, *words[1:]],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _run_checked(self, *words: str) -> None:
        subprocess.run(words, env=self.environment, check=True, capture_output=True)


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _until(
    is_good: Callable[[], bool], problem: str, describe: Callable[[], str] = lambda: ""
) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not is_good():
        assert time.monotonic() < deadline, f"{problem}\n{describe()}"
        time.sleep(0.1)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _is_step_daemon(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"slurmstepd:")
    except OSError:
        return False


def _open_files(pid: int) -> set[str]:
    files: set[str] = set()
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                files.add(str(link.readlink()))
    return files
