"""The emulated slurmctld: its queue, its nodes and its jobs."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from cloudtune.emulator_kit import Delays, FaultPlan
from cloudtune_slurm.emulator import delays
from cloudtune_slurm.emulator.conf import Conf, Partition, expand
from cloudtune_slurm.emulator.errors import (
    ServiceError,
    already_done,
    invalid_job,
    not_now,
    over_limit,
    unavailable,
)
from cloudtune_slurm.emulator.script_jobs import Jobs
from cloudtune_slurm.emulator.state import Job, Node, Spec

_WHOLE_JOB = frozenset({0, int(signal.SIGKILL)})
"""The signals with which ``scancel`` ends a job as a whole; 0 for none named."""


class Controller:
    """Accepts jobs, gives them nodes in their order, and ends them."""

    def __init__(
        self,
        folder: Path,
        conf: Conf,
        waits: Delays,
        faults: FaultPlan,
        lock: threading.RLock,
    ) -> None:
        """Create a controller without jobs.

        Args:
            folder: The emulator's folder.
            conf: The cluster.
            waits: How long Slurm's own steps take.
            faults: What goes wrong on purpose.
            lock: Held while anything changes.
        """
        self.conf = conf
        self.script_jobs = Jobs(folder, conf, waits, lock)
        self.script_jobs.release = self._release
        self.script_jobs.lose_node = self._lose_node
        self.nodes = {
            each.name: Node(each, each.cpus, each.memory, each.gpus) for each in conf.nodes
        }
        self._jobs: dict[int, Job] = {}
        self._ids = itertools.count(1)
        self._waits = waits
        self._faults = faults
        self._lock = lock
        self._changed = threading.Event()
        threading.Thread(target=self._schedule_forever, name="scheduler", daemon=True).start()

    def submit(self, spec: Spec) -> Job:
        """Put a job into the queue.

        Raises:
            ServiceError: If it is refused. One that no node could run is listed as failed
                nevertheless, as with 24.11.5.
        """
        job, partition = self._check(spec)
        self._jobs[job.id] = job
        if problems := self._impossible(job, partition):
            job.exit_signal = 1
            job.started = job.created
            job.end("FAILED", "BadConstraints")
            raise unavailable(*filter(None, problems))
        job.fault = self._faults.next_trial()
        if job.fault and job.fault.effect == "slow_start":
            job.eligible += job.fault.seconds / self._waits.speed
        job.reason = "JobHeldUser" if spec.hold else "None"
        self._changed.set()
        return job

    def test(self, spec: Spec) -> tuple[Job, str]:
        """Return the job that `submit` would create, and a node that could run it.

        Raises:
            ServiceError: If it would be refused.
        """
        job, partition = self._check(spec)
        if self._impossible(job, partition):
            raise unavailable()
        nodes = self._candidates(job, partition)
        return job, next(node.conf.name for node in nodes if self._could_fit(job, node))

    def jobs(self) -> list[Job]:
        """Return the jobs that are not forgotten."""
        oldest = time.time() - self.conf.min_job_age
        forgotten = [job.id for job in self._jobs.values() if job.ended and job.ended < oldest]
        for number in forgotten:
            del self._jobs[number]
        return list(self._jobs.values())

    def find(self, number: int) -> Job:
        """Return a job.

        Raises:
            ServiceError: If no job has the id, or it is forgotten.
        """
        self.jobs()
        if (job := self._jobs.get(number)) is None:
            raise invalid_job()
        return job

    def end(self, job: Job, number: int, *, batch: bool, full: bool) -> None:
        """Send a signal to a job, or end it (scancel(1); measured with 24.11.5).

        Args:
            job: The job.
            number: The signal; 0 for none named.
            batch: Whether only its batch script gets it.
            full: Whether its batch script and its steps get it.

        Raises:
            ServiceError: If it has ended, or does not run and the signal would not end it.
        """
        if job.is_over:
            raise already_done() if number in _WHOLE_JOB else invalid_job()
        if number in _WHOLE_JOB and not batch:
            if job.state == "PENDING":
                job.started = time.time()
                job.end("CANCELLED", job.reason)
                self._changed.set()
            elif not job.outcome:
                self.script_jobs.cancel(job, "CANCELLED")
        elif job.state == "PENDING":
            raise not_now()
        elif batch or full:
            self.script_jobs.signal(job, number or int(signal.SIGTERM))

    def _check(self, spec: Spec) -> tuple[Job, Partition]:
        partition = self._partition(spec.partition)
        jobs = self.jobs()
        active = sum(not job.is_over for job in jobs)
        if 0 < self.conf.max_submit_jobs <= active:
            raise over_limit()
        if len(jobs) >= self.conf.max_job_count:
            raise ServiceError("Resource temporarily unavailable")
        known = frozenset[str]().union(*(each.features for each in self.conf.nodes))
        if spec.constraint and spec.constraint not in known:
            raise ServiceError("Invalid feature specification")
        if spec.nodelist and (set(expand(spec.nodelist)) - self.nodes.keys()):
            raise ServiceError("Invalid node name specified")
        limit = partition.max_time if spec.time is None else spec.time or None
        job = Job(id=next(self._ids), spec=spec, partition=partition.name, limit=limit)
        return job, partition

    def _partition(self, name: str) -> Partition:
        for each in self.conf.partitions:
            if each.name == name or (not name and each.default):
                return each
        if not name:
            raise ServiceError("No partition specified or system default partition")
        text = f"invalid partition specified: {name}"
        raise ServiceError("Invalid partition name specified", [text])

    def _memory(self, job: Job, node: Node) -> int:
        """Return the MB that a job takes (slurm.conf(5); measured with 24.11.5).

        One that requests none takes the default, or all of the node's if the cluster has none.
        """
        spec = job.spec
        if spec.memory is not None:
            return spec.memory or node.conf.memory
        per_cpu = spec.memory_per_cpu or self.conf.default_memory
        return per_cpu * spec.cpus if per_cpu else node.conf.memory

    def _candidates(self, job: Job, partition: Partition) -> list[Node]:
        names: Collection[str] = partition.nodes
        if job.spec.nodelist:
            names = set(names) & set(expand(job.spec.nodelist))
        nodes = [node for name, node in self.nodes.items() if name in names]
        return [
            n for n in nodes if not job.spec.constraint or job.spec.constraint in n.conf.features
        ]

    def _impossible(self, job: Job, partition: Partition) -> list[str]:
        """Return why no node could ever run a job, in words of sbatch; empty if one could."""
        nodes, spec = self._candidates(job, partition), job.spec
        if all(spec.cpus > node.conf.cpus for node in nodes):
            return ["CPU count per node can not be satisfied"]
        if all(self._memory(job, node) > node.conf.memory for node in nodes):
            return ["Memory specification can not be satisfied"]
        return [] if any(self._could_fit(job, node) for node in nodes) else [""]

    def _could_fit(self, job: Job, node: Node) -> bool:
        whole = Node(node.conf, node.conf.cpus, node.conf.memory, node.conf.gpus)
        return whole.fits(job, self._memory(job, node))

    def _schedule_forever(self) -> None:
        closing = self.script_jobs.closing
        while not closing.is_set():
            self._changed.wait(0.5)
            if self._changed.is_set():
                self._changed.clear()
                self._waits.wait(delays.SCHEDULING, closing)
            with self._lock:
                self._schedule()

    def _schedule(self) -> None:
        """Start the pending jobs that fit, in their order; none overtakes one that has to wait."""
        blocked: set[str] = set()
        now = time.time()
        for job in list(self._jobs.values()):
            if job.state != "PENDING" or self.script_jobs.closing.is_set():
                continue
            partition = self._partition(job.partition)
            exceeds = partition.max_time and (job.limit is None or job.limit > partition.max_time)
            if job.spec.hold:
                job.reason = "JobHeldUser"
            elif exceeds:
                job.reason = "PartitionTimeLimit"
            elif now < job.eligible:
                job.reason = "BeginTime" if job.restarts else "Priority"
            elif job.partition in blocked:
                job.reason = "Priority"
            elif (node := self._free_node(job, partition)) is None:
                job.reason = "Resources"
                blocked.add(job.partition)
            else:
                self._start(job, node)

    def _free_node(self, job: Job, partition: Partition) -> Node | None:
        nodes = self._candidates(job, partition)
        return next((node for node in nodes if node.fits(job, self._memory(job, node))), None)

    def _start(self, job: Job, node: Node) -> None:
        job.node, job.memory, job.reason = node.conf.name, self._memory(job, node), "None"
        node.cpus -= job.spec.cpus
        node.memory -= job.memory
        node.gpus -= job.spec.gpus
        job.started = None
        job.enter("RUNNING")
        self.script_jobs.launch(job)

    def _release(self, job: Job) -> None:
        node = self.nodes[job.node]
        node.cpus += job.spec.cpus
        node.memory += job.memory
        node.gpus += job.spec.gpus
        if job.state == "NODE_FAIL" and job.spec.requeue:
            job.restarts += 1
            job.eligible = time.time() + delays.REQUEUED / self._waits.speed
            job.outcome, job.ended, job.node = "", None, ""
            job.stop_requested.clear()
            job.enter("PENDING")
            job.reason = "BeginTime"
        self._changed.set()

    def _lose_node(self, name: str) -> None:
        """Take a node away with all its jobs; it is back after a reboot."""
        node = self.nodes[name]
        node.is_down = True
        for job in self._running_on(name):
            self.script_jobs.kill(job, "NODE_FAIL", "NodeDown")
        timer = threading.Timer(delays.REBOOT / self._waits.speed, self._return_node, [node])
        timer.daemon = True
        timer.start()

    def _running_on(self, name: str) -> Sequence[Job]:
        jobs: Iterable[Job] = list(self._jobs.values())
        return [job for job in jobs if job.node == name and job.state == "RUNNING"]

    def _return_node(self, node: Node) -> None:
        with self._lock:
            node.is_down = False
        self._changed.set()
