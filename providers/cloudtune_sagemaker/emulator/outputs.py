"""What a training job leaves: its model and output in S3, what it printed in CloudWatch's logs."""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloudtune_sagemaker.contract import Container
from cloudtune_sagemaker.emulator import storage
from cloudtune_sagemaker.emulator.state import TrainingJob

LOG_GROUP = NAMESPACE = "/aws/sagemaker/TrainingJobs"
"""Where training jobs log (developer guide, logging-cloudwatch) and put their metrics (developer
guide, training-metrics)."""


def upload(job: TrainingJob, container: Container) -> str:
    """Put model and output of a job into S3, and return the address of the model.

    The layout ``<S3OutputPath>/<job>/output/model.tar.gz`` is that of the SDK's examples. Without
    compression (OutputDataConfig.CompressionType) the files are put below ``output/model/``.

    Raises:
        StorageError: If the bucket is not there.
    """
    config = job.request["OutputDataConfig"]
    root = f"{config['S3OutputPath'].rstrip('/')}/{job.name}/output"
    if config.get("CompressionType") == "NONE":
        storage.synchronise(container.model, f"{root}/model/", set())
        storage.synchronise(container.data, f"{root}/data/", set())
        return f"{root}/model/"
    storage.store(f"{root}/model.tar.gz", _archive(container.model))
    if any(storage.files(container.data)):
        storage.store(f"{root}/output.tar.gz", _archive(container.data))
    return f"{root}/model.tar.gz"


def put_log(job: TrainingJob, when: float) -> None:
    """Put what a job printed where clients of CloudWatch look for it."""
    from moto.logs.models import logs_backends

    path = job.folder / "log.txt"
    lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
    backend: Any = logs_backends[storage.ACCOUNT][job.region]
    if LOG_GROUP not in backend.groups:
        backend.create_log_group(LOG_GROUP, {})
    stream = f"{job.name}/algo-1-{int(job.created)}"
    backend.create_log_stream(LOG_GROUP, stream)
    stamp = int(when * 1000)
    events = [{"timestamp": stamp, "message": line} for line in lines if line]
    if events:
        backend.put_log_events(LOG_GROUP, stream, events)


def put_metrics(job: TrainingJob) -> None:
    """Put what a job measured where clients of CloudWatch look for it.

    The dimension is that of `TrainingJobAnalytics` of the sagemaker SDK (2.257.7).
    """
    from moto.cloudwatch.models import cloudwatch_backends

    backend: Any = cloudwatch_backends[storage.ACCOUNT][job.region]
    data = [  # times without a zone, as moto has them
        {
            "MetricName": name,
            "Dimensions": [{"Name": "TrainingJobName", "Value": job.name}],
            "Timestamp": datetime.fromtimestamp(measured.time, UTC).replace(tzinfo=None),
            "Value": value,
        }
        for measured in job.measured
        for name, value in measured.metrics.items()
    ]
    backend.put_metric_data(NAMESPACE, data)


def _archive(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for path in storage.files(folder):
            archive.add(path, path.relative_to(folder).as_posix())
    return packed.getvalue()
