"""Single training jobs: what reaches the script, what becomes of what it leaves."""

from __future__ import annotations

import io
import json
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from cloudtune.provider.models import Emulator as Address
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.console import read_log
from cloudtune_sagemaker.errors import AwsError

if TYPE_CHECKING:
    from tests.cloudtune_sagemaker.emulator.conftest import Emulator

BUCKET = "team-bucket"
WAITS = """
    import time
    print("loss=1;", flush=True)
    time.sleep(100)
"""


def members(emulator: Emulator, uri: str) -> dict[str, bytes]:
    """Return what an archive in S3 holds."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = emulator.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        for member in archive:
            if (file := archive.extractfile(member)) is not None:
                found[member.name] = file.read()
    return found


def keys(emulator: Emulator, prefix: str) -> list[str]:
    found = emulator.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [each["Key"].removeprefix(prefix) for each in found.get("Contents", ())]


def begun(emulator: Emulator, name: str) -> None:
    """Wait until the script of a job has printed."""
    emulator.until(lambda: emulator.log(name), lambda text: "loss=1" in text)


def test_the_type_that_is_preferred_is_selected(emulator: Emulator) -> None:
    preferred = [{"InstanceType": "ml.m5.xlarge"}, {"InstanceType": "ml.c5.xlarge"}]
    machines = {"InstancePreferences": preferred, "InstanceCount": 1, "VolumeSizeInGB": 10}
    code = "import os; print('on', os.environ['SM_CURRENT_INSTANCE_TYPE'])"
    name = emulator.train(code, ResourceConfig=machines)
    assert emulator.trained(name)["ResourceConfig"] == {
        **machines,
        "SelectedInstanceType": "ml.m5.xlarge",
        "SelectedInstanceCount": 1,
    }
    assert "on ml.m5.xlarge" in emulator.log(name)


@pytest.mark.parametrize(
    "machines",
    [
        {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
        {"InstancePreferences": [{"InstanceType": "ml.m5.xlarge", "InstanceCount": 2}]},
        {
            "InstanceGroups": [
                {"InstanceGroupName": name, "InstanceType": "ml.m5.xlarge", "InstanceCount": 1}
                for name in ("one", "two")
            ]
        },
    ],
)
def test_several_hosts_are_refused(emulator: Emulator, machines: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="one host per training job, and the request has 2"):
        emulator.train("print('loss=1')", ResourceConfig={**machines, "VolumeSizeInGB": 10})


def test_a_job_goes_through_the_services_states(emulator: Emulator) -> None:
    name = emulator.train(static={"width": "1.5"})
    job = emulator.trained(name)
    assert job["TrainingJobStatus"] == "Completed"
    assert job["SecondaryStatus"] == "Completed"
    steps = job["SecondaryStatusTransitions"]
    assert [step["Status"] for step in steps] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert all(step["StartTime"] <= step["EndTime"] for step in steps)
    order = [job["CreationTime"], job["TrainingStartTime"], job["TrainingEndTime"]]
    assert order == sorted(order)
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1
    (metric,) = job["FinalMetricDataList"]
    assert metric["MetricName"] == "loss"
    assert metric["Value"] == pytest.approx(0.25 + 1 - 0.2)
    assert "TuningJobArn" not in job


def test_the_script_finds_data_and_leaves_a_model(emulator: Emulator) -> None:
    for key, text in {"data/a.txt": "A", "data/deep/b.txt": "B", "single.txt": "C"}.items():
        emulator.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def channel(name: str, key: str) -> dict[str, Any]:
        place = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{key}"}
        return {"ChannelName": name, "DataSource": {"S3DataSource": place}}

    code = """
        import json, os, pathlib
        said = {}
        for name in ("TRAIN", "ONE"):
            folder = pathlib.Path(os.environ["SM_CHANNEL_" + name])
            for path in sorted(folder.rglob("*.txt")):
                said[path.relative_to(folder).as_posix()] = path.read_text()
        said["environment"] = os.environ["TEAM"]
        pathlib.Path(os.environ["SM_MODEL_DIR"], "said.json").write_text(json.dumps(said))
        pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "curve.csv").write_text("1,2")
    """
    name = emulator.train(
        code,
        InputDataConfig=[channel("train", "data"), channel("one", "single.txt")],
        Environment={"TEAM": "blue"},
    )
    job = emulator.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert model == f"s3://{BUCKET}/output/{name}/output/model.tar.gz"
    said = json.loads(members(emulator, model)["said.json"])
    assert said == {"a.txt": "A", "deep/b.txt": "B", "single.txt": "C", "environment": "blue"}
    output = members(emulator, f"s3://{BUCKET}/output/{name}/output/output.tar.gz")
    assert output == {"curve.csv": b"1,2"}


def test_without_compression_the_model_is_a_folder(emulator: Emulator) -> None:
    code = """
        import os, pathlib
        pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("1")
    """
    config = {"S3OutputPath": f"s3://{BUCKET}/plain", "CompressionType": "NONE"}
    name = emulator.train(code, OutputDataConfig=config)
    place = emulator.trained(name)["ModelArtifacts"]["S3ModelArtifacts"]
    assert place == f"s3://{BUCKET}/plain/{name}/output/model/"
    assert keys(emulator, f"plain/{name}/") == ["output/model/weights"]


def test_the_script_sees_nothing_of_the_emulators_key(emulator: Emulator) -> None:
    code = """
        import os
        print(sorted(os.environ.items()))
    """
    name = emulator.train(code)
    emulator.trained(name)
    said = emulator.log(name)
    assert "TRAINING_JOB_NAME" in said
    assert emulator.key not in said


def test_why_a_script_failed_is_told(emulator: Emulator) -> None:
    job = emulator.trained(emulator.train("import sys\nprint('loss=3;')\nsys.exit(7)"))
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ")
    assert "ExitCode 7" in job["FailureReason"]
    assert "ModelArtifacts" not in job

    code = """
        import os, sys
        path = os.path.join(os.environ["SM_OUTPUT_DIR"], "failure")
        with open(path, "w") as file:
            file.write("the data is empty " + "x" * 5000)
        sys.exit(1)
    """
    reason = emulator.trained(emulator.train(code))["FailureReason"]
    assert reason.startswith("AlgorithmError: the data is empty")
    assert len(reason) <= 1024


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"static": {"sagemaker_submit_directory": f"s3://{BUCKET}/no/such.tar.gz"}}, "no/such"),
        (
            {"static": {"sagemaker_submit_directory": "s3://no-such-bucket/x.tar.gz"}},
            "NoSuchBucket",
        ),
        ({"OutputDataConfig": {"S3OutputPath": "s3://no-such-bucket/x"}}, "NoSuchBucket"),
    ],
)
def test_what_is_not_there_fails_the_job(
    emulator: Emulator, changes: dict[str, Any], said: str
) -> None:
    job = emulator.trained(emulator.train(**changes))
    assert job["TrainingJobStatus"] == "Failed"
    assert said in job["FailureReason"]


@pytest.mark.parametrize("start", ["train", "tune"])
def test_a_job_without_a_script_is_refused(emulator: Emulator, start: str) -> None:
    changes: dict[str, Any] = {"StaticHyperParameters": {"eta": "0.1"}}
    if start == "tune":
        changes = {"definition": changes}
    with pytest.raises(emulator.sagemaker.exceptions.ClientError) as caught:
        getattr(emulator, start)(**changes)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert "runs scripts, not images" in error["Message"]
    assert "sagemaker_submit_directory" in error["Message"]


DRIVER = """
echo "arguments: $@ own: $OWN"
cat /opt/ml/input/data/train/a.csv
cat /opt/ml/input/config/hyperparameters.json
cp /opt/ml/input/data/train/a.csv /opt/ml/model/
python -c "import sys; print(sys.prefix); print('loss=0.5;')"
command -v pip
[ -z "$WRONG" ] || { echo "it went wrong" > /opt/ml/output/failure; exit 7; }
"""


def entrypoint(emulator: Emulator, **changes: Any) -> str:
    """Start a job as `ModelTrainer` of the SDK does; return its name."""
    prefix = f"drivers/{next(emulator.names)}"
    for name, text in {"sm_drivers/train.sh": DRIVER, "train/a.csv": "1.5"}.items():
        emulator.s3.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=text.encode())
    where = "/opt/ml/input/data/sm_drivers/train.sh"
    return emulator.train(
        StaticHyperParameters={"rate": "0.1"},
        AlgorithmSpecification={
            "TrainingImage": "own:1",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/bash"],
            "ContainerArguments": ["-c", f"chmod +x {where} && {where} one"],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
        },
        InputDataConfig=[
            {
                "ChannelName": name,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{BUCKET}/{prefix}/{name}/",
                    }
                },
            }
            for name in ("sm_drivers", "train")
        ],
        **changes,
    )


def test_a_container_entrypoint_runs(emulator: Emulator) -> None:
    name = entrypoint(emulator, Environment={"OWN": "/opt/ml/model"})
    job = emulator.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    assert job["FinalMetricDataList"][0]["Value"] == 0.5
    root = emulator.folder / "jobs" / "us-east-1" / name / "root"
    lines = emulator.log(name).splitlines()
    assert lines[0] == f"arguments: one own: {root}/opt/ml/model"
    assert lines[1] == '1.5{"rate": "0.1"}' + str(root / "image")
    assert lines[-1] == str(root / "image" / "bin" / "pip")
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("/output/model.tar.gz")


def test_a_container_entrypoint_fails_with_its_own_words(emulator: Emulator) -> None:
    job = emulator.trained(entrypoint(emulator, Environment={"WRONG": "1"}))
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: it went wrong\n, exit code: 7"


def test_a_stopped_job_keeps_what_it_made(emulator: Emulator) -> None:
    code = """
        import os, pathlib, signal, sys, time
        def save(*_):
            pathlib.Path(os.environ["SM_MODEL_DIR"], "saved").write_text("yes")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        print("loss=1;", flush=True)
        time.sleep(100)
    """
    name = emulator.train(code)
    begun(emulator, name)
    emulator.sagemaker.stop_training_job(TrainingJobName=name)
    job = emulator.trained(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "Stopping" in [step["Status"] for step in job["SecondaryStatusTransitions"]]
    assert members(emulator, job["ModelArtifacts"]["S3ModelArtifacts"]) == {"saved": b"yes"}
    assert job["FinalMetricDataList"][0]["Value"] == 1.0
    with pytest.raises(emulator.sagemaker.exceptions.ClientError, match="in status Stopped"):
        emulator.sagemaker.stop_training_job(TrainingJobName=name)


def test_the_longest_runtime_ends_a_job(emulator: Emulator) -> None:
    begin = time.monotonic()
    name = emulator.train(WAITS, StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = emulator.trained(name)
    assert job["TrainingJobStatus"] == "Stopped"
    assert job["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert time.monotonic() - begin >= 1  # the script's time is not divided by the speed


def test_addresses_select_by_prefix_as_at_the_service(emulator: Emulator) -> None:
    for key in ("part/1/own", "part/10/other", "part/1x"):
        emulator.s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    code = """
        import os, pathlib
        root = pathlib.Path(os.environ["SM_INPUT_DIR"]).parent
        names = sorted(path.name for path in root.rglob("*") if path.parent.name in %r)
        pathlib.Path(os.environ["SM_MODEL_DIR"], "names").write_text(" ".join(names))
    """

    def names(folder: str, **fields: Any) -> str:
        job = emulator.trained(emulator.train(code % [folder], **fields))
        assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
        model = job["ModelArtifacts"]["S3ModelArtifacts"]
        return members(emulator, model)["names"].decode()

    for end, expected in (("/", "own"), ("", "1x other own")):
        uri = f"s3://{BUCKET}/part/1{end}"
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
        channels = [{"ChannelName": "train", "DataSource": source}]
        assert names("train", InputDataConfig=channels) == expected
        assert names("checkpoints", CheckpointConfig={"S3Uri": uri}) == expected


def test_checkpoints_come_and_go(emulator: Emulator) -> None:
    emulator.s3.put_object(Bucket=BUCKET, Key="points/old", Body=b"4")
    emulator.s3.put_object(Bucket=BUCKET, Key="points/gone", Body=b"4")
    code = """
        import json, os, pathlib
        folder = pathlib.Path(json.load(open(os.path.join(
            os.environ["SM_INPUT_CONFIG_DIR"], "checkpointconfig.json")))["LocalPath"])
        (folder / "new").write_text(str(int((folder / "old").read_text()) + 1))
        (folder / "gone").unlink()
    """
    name = emulator.train(code, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/points/"})
    assert emulator.trained(name)["TrainingJobStatus"] == "Completed"
    assert keys(emulator, "points/") == ["new", "old"]


def test_spot_time_is_billed_less(emulator: Emulator) -> None:
    job = emulator.trained(
        emulator.train(
            "import time; time.sleep(2)",
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
        )
    )
    assert job["BillableTimeInSeconds"] < job["TrainingTimeInSeconds"]


def test_expressions_that_capture_nothing_are_no_error(emulator: Emulator) -> None:
    found = [
        {"Name": "none", "Regex": "loss=.*;"},
        {"Name": "broken", "Regex": "loss=(.*"},
        {"Name": "loss", "Regex": "loss=(.*?);"},
        {"Name": "word", "Regex": "kind=([a-z]+)"},
    ]
    algorithm = {
        "TrainingImage": "own",
        "TrainingInputMode": "File",
        "MetricDefinitions": found,
    }
    code = """
        import sys
        print("loss=2; kind=abc")
        print("loss=nan;")
        print("loss=1e3;", file=sys.stderr)
    """
    job = emulator.trained(emulator.train(code, AlgorithmSpecification=algorithm))
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("loss", 1000.0)]


@pytest.mark.parametrize("more", ["", "time.sleep(100)"])
def test_an_expression_that_takes_too_long_is_the_failures_reason(
    emulator: Emulator, more: str
) -> None:
    algorithm = {
        "TrainingImage": "own",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "(a+)+b"}],
    }
    code = f"import time\nprint('a' * 5000 + 'cb', flush=True)\n{more}"
    job = emulator.trained(emulator.train(code, AlgorithmSpecification=algorithm))
    assert job["TrainingJobStatus"] == "Failed"
    reason = "ClientError: the regular expression of the metric loss needed"
    assert job["FailureReason"].startswith(reason)


def test_a_signal_is_told_by_its_number(emulator: Emulator) -> None:
    job = emulator.trained(emulator.train("import os; os.kill(os.getpid(), 6)"))
    assert "ExitCode -6" in job["FailureReason"]


def test_metrics_over_their_steps(emulator: Emulator) -> None:
    metrics = emulator.client("sagemaker-metrics")
    job = emulator.trained(emulator.train(static={"width": "1"}))

    def ask(**changes: Any) -> dict[str, Any]:
        query = {
            "MetricName": "loss",
            "ResourceArn": job["TrainingJobArn"],
            "MetricStat": "Last",
            "Period": "IterationNumber",
            "XAxisType": "IterationNumber",
        }
        answer = metrics.batch_get_metrics(MetricQueries=[query | changes])
        (result,) = answer["MetricQueryResults"]
        found: dict[str, Any] = result
        return found

    found = ask()
    assert found["Status"] == "Complete"
    assert found["XAxisValues"] == [1, 2, 3]
    assert found["MetricValues"] == pytest.approx([1.0, 0.9, 0.8])
    found = ask(Period="OneHour", XAxisType="Timestamp", MetricStat="Count")
    assert sum(found["MetricValues"]) == 3
    assert ask(MetricName="other")["XAxisValues"] == []
    assert ask(ResourceArn=job["TrainingJobArn"] + "x")["Status"] == "ValidationError"


def test_what_was_printed_is_in_the_logs(emulator: Emulator) -> None:
    logs = emulator.client("logs")
    name = emulator.train("print('hello from the script')")
    emulator.trained(name)
    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")
    (stream,) = streams["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])
    assert [event["message"] for event in events["events"]] == ["hello from the script"]


def test_requirements_that_cannot_be_had_fail_the_job(emulator: Emulator) -> None:
    # The index is one on which nobody listens.
    address = emulator.upload("print(1)", **{"requirements.txt": "no-such-package-anywhere==9\n"})
    name = emulator.train(
        static={"sagemaker_submit_directory": address},
        Environment={"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"},
    )
    job = emulator.trained(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert "InstallRequirementsError" in job["FailureReason"]


def test_lists_and_searches(emulator: Emulator) -> None:
    names = [emulator.name() for _ in range(3)]
    for number, name in enumerate(names):
        request = emulator.definition("print('loss=1;')")
        request["HyperParameters"] = request.pop("StaticHyperParameters")
        tags = [{"Key": "round", "Value": f"of-search-{number}"}]
        emulator.sagemaker.create_training_job(TrainingJobName=name, Tags=tags, **request)
    for name in names:
        emulator.trained(name)

    def search(*filters: tuple[str, str, str], **more: Any) -> list[str]:
        said = [{"Name": n, "Operator": o, "Value": v} for n, o, v in filters]
        pages = emulator.sagemaker.get_paginator("search").paginate(
            Resource="TrainingJob",
            SearchExpression={"Filters": said, **more},
            SortBy="CreationTime",
        )
        found = [
            each["TrainingJob"]["TrainingJobName"] for page in pages for each in page["Results"]
        ]
        return found[::-1]

    mine = ("Tags.round", "Contains", "of-search")
    assert search(mine) == names
    assert search(("Tags.round", "Equals", "of-search-1")) == [names[1]]
    assert search(mine, ("TrainingJobName", "NotEquals", names[0])) == names[1:]
    assert search(mine, ("TrainingJobStatus", "Equals", "Failed")) == []
    assert search(("TrainingJobName", "In", ",".join(names[:2]))) == names[:2]
    assert search(mine, ("TrainingTimeInSeconds", "GreaterThan", "0")) == names
    either = [("TrainingJobName", "Equals", name) for name in names[1:]]
    assert search(*either, Operator="Or") == names[1:]

    later, earlier = "2999-01-01T00:00:00", "2000-01-01T00:00:00"
    assert search(mine, ("CreationTime", "GreaterThan", earlier)) == names
    assert search(mine, ("CreationTime", "LessThan", earlier)) == []
    assert search(mine, ("CreationTime", "LessThan", later)) == names
    assert search(mine, ("ResourceConfig.InstanceType", "Equals", "ml.m5.xlarge")) == names
    for name, value, said in [
        ("CreationTime", "yesterday", "not a date of the form"),
        ("Surprise", "1", "Surprise is not a property of TrainingJob"),
        ("ResourceConfig.Surprise", "1", "not a property"),
        ("RoleArn.Surprise", "1", "not a property"),
    ]:
        with pytest.raises(emulator.sagemaker.exceptions.ClientError, match=said):
            search((name, "Equals", value))

    one = emulator.sagemaker.list_training_jobs(NameContains=names[1])["TrainingJobSummaries"]
    assert names[1] in [job["TrainingJobName"] for job in one]
    arn = one[0]["TrainingJobArn"]
    emulator.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}])
    emulator.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["round"])
    assert emulator.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "1"}]


def test_cloudtune_reads_logs_from_cloudwatch(emulator: Emulator) -> None:
    name = emulator.train("print('first')\nprint('second')")
    assert emulator.trained(name)["TrainingJobStatus"] == "Completed"
    aws = Aws("us-east-1", emulator=Address(emulator.url, emulator.key))
    assert list(read_log(aws, name)) == ["first", "second"]
    with pytest.raises(AwsError, match="no log"):
        list(read_log(aws, "other"))
