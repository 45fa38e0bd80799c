"""The script of one training job: its container, its steps, its checkpoints."""

from __future__ import annotations

import os
import shutil
import signal

from cloudtune.emulator_kit import (
    NOT_STARTED,
    Container,
    Ended,
    Json,
    ProcessSpec,
    create_image,
    describe_exit_code,
    in_container,
    runtime,
)
from cloudtune_sagemaker import contract
from cloudtune_sagemaker.emulator import storage
from cloudtune_sagemaker.emulator.delays import GRACE
from cloudtune_sagemaker.emulator.metric_regex import usable
from cloudtune_sagemaker.emulator.state import TrainingJob

_REPORTS_OUTPUT = ("pytorch", "tensorflow")
"""Images whose toolkit reports the output of a failed script; see `contract.failure_text`."""


class Script:
    """The script of a training job, with its code and data."""

    def __init__(self, job: TrainingJob, container: contract.Container) -> None:
        self.container = container
        self._job = job
        self._start: contract.Start | None = None
        self._step = 0
        self._exit_code = 1
        self._cut_short = ""
        """Why the script was killed, if the reason was what it printed."""
        self._saved: set[str] = set()

    @classmethod
    def fetched(cls, job: TrainingJob) -> Script:
        """Create the container of a job and fetch its code, its data and its checkpoints.

        An earlier container is deleted: it was on another machine.

        Raises:
            StorageError: If something is missing in S3.
            BadArchive: If the archive of the source is unusable.
            OSError: If this machine cannot.
        """
        root = job.folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        description = {**job.request, "TrainingJobArn": job.arn, "ResourceConfig": job.machines}
        container = contract.create_container(root, description)
        script = cls(job, container)
        for channel in job.request.get("InputDataConfig", ()):
            script._fetch_channel(channel)
        script._fetch_checkpoints()
        script._fetch_code()
        return script

    def begin(self) -> None:
        """Plan the steps that start the script.

        Raises:
            ToolkitFailure: If the toolkit gives up; the container has its message.
            OSError: If this machine cannot.
        """
        if runtime().engine:
            self._start = contract.image_start(self.container)
            return
        machine = contract.Machine(cpus=os.cpu_count() or 1, gpus=0)
        try:
            python = create_image(self.container.host_path("/image"))
            self._start = contract.build_start(self.container, python, os.environ, machine)
        except contract.ToolkitFailure as failure:
            self._exit_code = failure.exit_code
            contract.write_result(self.container, str(failure))
            raise

    def process(self) -> ProcessSpec:
        """Return the process of the current step: an installation, or the script."""
        assert self._start is not None
        fault = self._job.fault
        blind = fault is not None and fault.effect == "no_metric"
        process = ProcessSpec(
            command=self._start.steps[self._step].command,
            cwd=self._start.cwd,
            env=self._start.env,
            log=self._job.folder / "log.txt",
            metrics={} if blind else usable(self._job.metric_definitions),
            metrics_as_service=True,
            grace=GRACE,
        )
        engine = runtime().engine
        return in_container(engine, self._image(), process) if engine else process

    def _image(self) -> Container:
        """Return the container in which the service runs the job's image."""
        algorithm: Json = self._job.request["AlgorithmSpecification"]
        entrypoint: list[str] = algorithm.get("ContainerEntrypoint") or []
        mounts = {self.container.base: contract.BASE}
        if (folder := self.container.checkpoints) and not folder.is_relative_to(
            self.container.base
        ):
            mounts[folder] = self._job.request["CheckpointConfig"]["LocalPath"]
        return Container(
            image=algorithm["TrainingImage"],
            entrypoint=entrypoint,
            arguments=(algorithm.get("ContainerArguments") or []) if entrypoint else ["train"],
            mounts=mounts,
            hosts=contract.hosts(self.container.job),  # the toolkit waits until they have addresses
            has_network=not self._job.request.get("EnableNetworkIsolation"),
        )

    def advance(self, ended: Ended) -> bool:
        """Record how a step ended, as the toolkit does; return whether there is another step.

        Raises:
            OSError: If this machine cannot.
        """
        assert self._start is not None
        if ended.state == "completed":
            self._step += 1
            if self._step < len(self._start.steps):
                return True
            if self._start.by_toolkit:
                contract.write_result(self.container, None)
            return False
        code = _exit_code(ended)
        if code is None:
            self._cut_short = f"ClientError: {ended.reason}"
            return False
        if runtime().engine and code == NOT_STARTED:
            last = (ended.log_tail or "").strip().rpartition("\n")[2]
            self._cut_short = f"ClientError: the image cannot be run: {last}"
            return False
        if not self._start.by_toolkit:
            self._exit_code = code if code >= 0 else 128 - code  # as Docker reports a signal
            return False
        image: str = self._job.request["AlgorithmSpecification"].get("TrainingImage", "")
        reports = any(name in image for name in _REPORTS_OUTPUT)
        output = self._job.folder / "log.txt" if reports else None
        text = contract.failure_text(self._start.steps[self._step], code, output)
        contract.write_result(self.container, text)
        return False

    def failure(self) -> str:
        """Return the FailureReason of a script that failed, or was killed for what it printed."""
        return self._cut_short or contract.failure_reason(self.container, self._exit_code)

    def save_checkpoints(self) -> None:
        """Synchronize the job's checkpoints to S3, including deletions.

        The service does so all the time, the emulator when the script has ended.

        Raises:
            StorageError: If the bucket does not exist.
        """
        folder = self.container.checkpoints
        if folder is not None and folder.is_dir():
            uri: str = self._job.request["CheckpointConfig"]["S3Uri"]
            self._saved = storage.synchronize(folder, uri, self._saved)

    def _fetch_channel(self, channel: contract.Job) -> None:
        source = channel["DataSource"].get("S3DataSource")
        name: str = channel["ChannelName"]
        algorithm = self._job.request["AlgorithmSpecification"]
        if channel.get("InputMode", algorithm["TrainingInputMode"]) == "Pipe":
            raise storage.StorageError(
                f"ClientError: channel {name}: this emulator has no pipes; use the mode File"
            )
        if source is None or source["S3DataType"] != "S3Prefix":
            raise storage.StorageError(
                f"ClientError: channel {name}: this emulator only has data of the type S3Prefix"
            )
        if not storage.download(source["S3Uri"], self.container.channel(name)):
            raise storage.StorageError(
                f"ClientError: Data download failed: No S3 objects found under S3 URL "
                f'"{source["S3Uri"]}" given in input data source of channel {name}. Please ensure '
                "that the bucket exists in the selected region, that objects exist under that S3 "
                "prefix, and that the role may list and read them."
            )

    def _fetch_checkpoints(self) -> None:
        folder = self.container.checkpoints
        if folder is not None:
            uri: str = self._job.request["CheckpointConfig"]["S3Uri"]
            storage.download(uri, folder)
            self._saved = {f.relative_to(folder).as_posix() for f in storage.files(folder)}

    def _fetch_code(self) -> None:
        if "ContainerEntrypoint" in self._job.request["AlgorithmSpecification"]:
            return  # it comes in channels
        try:
            address = contract.source_uri(self.container.job)
        except contract.ToolkitFailure as failure:
            raise storage.StorageError(str(failure)) from failure
        if address is None:  # the image is the code
            return
        if address.startswith("s3://"):
            path = self._job.folder / "sourcedir.tar.gz"
            path.write_bytes(storage.fetch(address))
        else:  # without a network the archive comes in a channel
            path = self.container.host_path(address)
        if path.is_dir():
            shutil.copytree(path, self.container.code, dirs_exist_ok=True)
        elif path.is_file():
            contract.unpack(path, self.container.code)
        else:
            raise storage.StorageError(f"ClientError: {address} not found in the container")


def _exit_code(ended: Ended) -> int | None:
    """Return the exit code of a step; None if it was killed for what it printed."""
    codes = [-each for each in signal.Signals] if ended.exit_code is None else [ended.exit_code]
    return next((code for code in codes if describe_exit_code(code) == ended.reason), None)
