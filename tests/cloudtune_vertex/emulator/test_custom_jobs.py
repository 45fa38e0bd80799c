"""Custom jobs, through Google's own client."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

BASE = "gs://team-bucket/custom"


def state_of(job: Any) -> str:
    name: str = job.state.name
    return name


def exceptions() -> Any:
    return pytest.importorskip("google.api_core.exceptions")


def test_a_command_is_run_with_its_arguments_and_variables(emulator: Any) -> None:
    env = [
        {"name": "COLOUR", "value": "blue"},
        {"name": "MIXED", "value": "$(COLOUR) $$(COLOUR) $(NOTHING)"},
    ]
    code = "import os, sys; print(sys.argv[1:], os.environ['MIXED'], 'HIDDEN' in os.environ)"
    created = emulator.create_custom(emulator.container(code, "--a=1", "b", env=env))
    assert state_of(created) == "JOB_STATE_PENDING"
    job = emulator.ended(created.name)
    assert state_of(job) == "JOB_STATE_SUCCEEDED", job
    assert emulator.log(job.name) == "['--a=1', 'b'] blue $(COLOUR) $(NOTHING) False\n"
    assert job.create_time <= job.start_time <= job.end_time


def test_a_job_is_told_who_it_is_but_no_metric_file(emulator: Any) -> None:
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    spec = {"baseOutputDirectory": {"outputUriPrefix": BASE}}
    job = emulator.ended(emulator.create_custom(emulator.container(code), spec=spec).name)
    told = json.loads(emulator.log(job.name))
    assert told["CLOUD_ML_JOB_ID"] == job.name.rpartition("/")[2]
    assert told["CLOUD_ML_PROJECT_ID"] == job.name.split("/")[1]
    assert told["AIP_CHECKPOINT_DIR"] == f"{BASE}/checkpoints/"
    assert told["AIP_MODEL_DIR"] == f"{BASE}/model/"
    assert not {"CLOUD_ML_TRIAL_ID", "CLOUD_ML_HP_METRIC_FILE"} & told.keys()
    assert not [name for name in told if name.startswith("PYTEST")]


def test_a_package_and_what_it_requires_are_installed_for_the_job_alone(emulator: Any) -> None:
    code = """
        import pathlib, sys
        import trainer.extra
        (own,) = pathlib.Path(sys.prefix).glob("lib/*/site-packages")
        print(trainer.extra.WORD, own, (own / "mine.py").exists(), flush=True)
        (own / "mine.py").write_text("")
    """
    pool = emulator.package(code)
    pool["pythonPackageSpec"]["packageUris"].append(
        emulator.upload(code, **{"trainer/extra.py": "WORD = 'later'\n"})
    )
    jobs = [emulator.create_custom(pool).name for _ in range(2)]  # at the same time
    for name in jobs:
        job = emulator.ended(name)
        assert state_of(job) == "JOB_STATE_SUCCEEDED", emulator.log(job.name)
        own = emulator.folder / "jobs" / job.name.rpartition("/")[2] / "root" / "image" / "lib"
        assert emulator.log(job.name).startswith(f"later {own}/")
        assert emulator.log(job.name).endswith(" False\n")


def test_a_package_that_is_not_there_fails_the_job(emulator: Any) -> None:
    pool = emulator.package("")
    pool["pythonPackageSpec"]["packageUris"] = ["gs://team-bucket/none.tar.gz"]
    job = emulator.ended(emulator.create_custom(pool).name)
    assert state_of(job) == "JOB_STATE_FAILED"
    assert job.error.message == "The object gs://team-bucket/none.tar.gz does not exist."


def test_a_package_that_cannot_be_installed_fails_the_job(emulator: Any) -> None:
    pool = emulator.package("")
    pool["pythonPackageSpec"]["packageUris"] = [
        emulator.upload("", **{"setup.py": "raise SystemExit('cannot be built')\n"})
    ]
    for name in [emulator.create_custom(pool).name for _ in range(2)]:  # one waits for the other
        job = emulator.ended(name)
        assert state_of(job) == "JOB_STATE_FAILED"
        assert "workerpool0-0 exited with a non-zero status of 1" in job.error.message
        assert "cannot be built" in emulator.log(job.name)


def test_a_package_that_no_file_can_hold_fails_each_job(emulator: Any) -> None:
    emulator.bucket.blob("odd/a\0b").upload_from_string("")
    pool = emulator.package("")
    pool["pythonPackageSpec"]["packageUris"] = ["gs://team-bucket/odd/a\0b"]
    for name in [emulator.create_custom(pool).name for _ in range(2)]:  # none waits for the other
        job = emulator.ended(name)
        assert state_of(job) == "JOB_STATE_FAILED"
        assert "null byte" in job.error.message


def test_an_image_without_a_command_is_not_run(emulator: Any) -> None:
    job = emulator.ended(emulator.create_custom(emulator.container("", command=[])).name)
    assert state_of(job) == "JOB_STATE_FAILED"
    assert "the emulator runs no images" in job.error.message


def test_a_shell_loses_the_flags_as_it_does_on_the_service(emulator: Any) -> None:
    pool = emulator.container("", "--lr=0.1", command=["sh", "-c", "echo got: $@"])
    job = emulator.ended(emulator.create_custom(pool).name)
    assert emulator.log(job.name) == "got:\n"


def test_a_job_can_be_cancelled_while_it_runs_and_before(emulator: Any) -> None:
    code = "import time; print('ready', flush=True); time.sleep(600)"
    running = emulator.create_custom(emulator.container(code)).name
    emulator.until(lambda: "ready" in emulator.log(running), bool)
    waiting = emulator.create_custom(emulator.container(code)).name
    for name in (running, waiting):
        emulator.jobs.cancel_custom_job(name=name)
        job = emulator.ended(name)
        assert state_of(job) == "JOB_STATE_CANCELLED"
        assert job.error.code == 1
        with pytest.raises(exceptions().BadRequest, match="cannot be cancelled"):
            emulator.jobs.cancel_custom_job(name=name)


def test_a_cancelled_job_is_cancelling_until_its_script_has_ended(emulator: Any) -> None:
    code = """
        import os, pathlib, signal, sys, time
        def end(*_):
            go = pathlib.Path(os.environ["CLOUDTUNE_GCS"]) / "team-bucket" / "cancelling" / "go"
            while not go.exists():
                time.sleep(0.05)
            sys.exit()
        signal.signal(signal.SIGTERM, end)
        print("ready", flush=True)
        time.sleep(600)
    """
    name = emulator.create_custom(emulator.container(code)).name
    emulator.until(lambda: emulator.log(name), bool)
    for _ in range(2):  # once more changes nothing
        emulator.jobs.cancel_custom_job(name=name)
        job = emulator.get(name)
        assert state_of(job) == "JOB_STATE_CANCELLING"
        assert not job.end_time
        assert not job.error.code
    emulator.bucket.blob("cancelling/go").upload_from_string("")
    assert state_of(emulator.ended(name)) == "JOB_STATE_CANCELLED"


def test_ended_jobs_stay_as_they_ended(emulator: Any) -> None:
    cancelled = emulator.create_custom(emulator.container("import time; time.sleep(600)")).name
    emulator.jobs.cancel_custom_job(name=cancelled)
    limited = {"scheduling": {"timeout": "10s"}}
    names = [
        cancelled,
        emulator.create_custom(emulator.container(""), spec=limited).name,
        emulator.create_custom(emulator.container("raise SystemExit(3)"), spec=limited).name,
        emulator.create_custom(emulator.container("", command=[])).name,
    ]
    ended = {name: emulator.ended(name) for name in names}
    assert [state_of(ended[name]).removeprefix("JOB_STATE_") for name in names] == [
        *("CANCELLED", "SUCCEEDED", "FAILED", "FAILED"),
    ]
    time.sleep(10.5)  # beyond the timeout
    for name in names:
        with pytest.raises(exceptions().BadRequest):
            emulator.jobs.cancel_custom_job(name=name)
        assert emulator.get(name) == ended[name]


def test_a_job_that_runs_too_long_is_cancelled(emulator: Any) -> None:
    pool = emulator.container("import time; time.sleep(600)")
    spec = {"scheduling": {"timeout": "1s"}}
    job = emulator.ended(emulator.create_custom(pool, spec=spec).name)
    assert state_of(job) == "JOB_STATE_CANCELLED"
    assert "timeout" in job.error.message


def test_what_is_below_gcs_is_what_is_in_the_buckets(emulator: Any) -> None:
    emulator.bucket.blob("in/data.txt").upload_from_string("3 4")
    emulator.bucket.blob("in/old.txt").upload_from_string("old")
    code = """
        import os, pathlib, time
        root = pathlib.Path(os.environ["CLOUDTUNE_GCS"]) / "team-bucket"
        numbers = [int(word) for word in (root / "in/data.txt").read_text().split()]
        (root / "in/old.txt").unlink()
        (root / "out").mkdir()
        (root / "out/sum.txt").write_text(str(sum(numbers)))
        while not (root / "in/go.txt").exists():
            time.sleep(0.05)
        (root / "out/sum.txt").write_text("done")
    """
    name = emulator.create_custom(emulator.container(code)).name
    sums = emulator.bucket.blob("out/sum.txt")
    emulator.until(lambda: sums.exists() and sums.download_as_text() == "7", bool)  # it still runs
    assert not emulator.bucket.blob("in/old.txt").exists()
    generation = emulator.bucket.get_blob("out/sum.txt").generation
    emulator.bucket.blob("in/go.txt").upload_from_string("")
    assert state_of(emulator.ended(name)) == "JOB_STATE_SUCCEEDED"
    got = emulator.bucket.get_blob("out/sum.txt")
    assert got.download_as_text() == "done"  # at once, whichever folder it is in
    assert emulator.bucket.get_blob("out/sum.txt").generation > generation


def test_names_that_only_one_side_can_hold_are_passed_over(start_emulator: Any) -> None:
    made = start_emulator()
    for name in ("x" * 300, "nul\0", "a//b", "/top", "folder", "folder/within"):
        made.bucket.blob(name).upload_from_string("content")
    code = """
        import os, pathlib
        root = pathlib.Path(os.environ["CLOUDTUNE_GCS"]) / "team-bucket"
        print(sorted(path.name for path in root.iterdir()))
        (root / "new").write_text("new")
        open(os.fsencode(root) + b"/\\xff", "w").close()
    """
    job = made.ended(made.create_custom(made.container(code)).name)
    assert state_of(job) == "JOB_STATE_SUCCEEDED", job.error.message
    assert made.log(job.name) == "['folder']\n"
    made.until(made.bucket.blob("new").exists, bool)
    assert len(list(made.storage.list_blobs("team-bucket"))) == 7


@pytest.mark.parametrize("name", ["..", ".", "a/b", "Team", "ab", "x" * 300, "a\0b", "-team"])
def test_a_bucket_has_a_name_as_the_service_allows_it(emulator: Any, name: str) -> None:
    with pytest.raises(exceptions().BadRequest, match="Invalid bucket name"):
        emulator.storage._connection.api_request(
            method="POST", path="/b", query_params={"project": "team"}, data={"name": name}
        )


@pytest.mark.parametrize("seconds", [9_223_372_037, 315_576_000_000])
def test_a_timeout_may_be_longer_than_a_clock(start_emulator: Any, seconds: int) -> None:
    made = start_emulator()
    spec = {"scheduling": {"timeout": f"{seconds}s"}}
    assert state_of(made.ended(made.create_custom(made.container(""), spec=spec).name)) == (
        "JOB_STATE_SUCCEEDED"
    )
    assert "Traceback" not in (made.folder.parent / f"{made.folder.name}.err").read_text()


def test_a_script_reaches_the_storage_with_google_s_own_library(emulator: Any) -> None:
    code = """
        from google.cloud import storage
        bucket = storage.Client().bucket("team-bucket")
        bucket.blob("own/model.bin").upload_from_string(bytes(range(256)) * 65536)
        print(len(bucket.get_blob("own/model.bin").download_as_bytes()))
    """
    job = emulator.ended(emulator.create_custom(emulator.container(code)).name)
    assert state_of(job) == "JOB_STATE_SUCCEEDED", emulator.log(job.name)
    assert emulator.log(job.name) == f"{256 * 65536}\n"
    assert emulator.bucket.get_blob("own/model.bin").size == 256 * 65536


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ('display_name="a-one"', ["a-one"]),
        ('display_name:"a-*"', ["a-two", "a-one"]),
        ('display_name:"?-*"', []),
        ('display_name:"[a]-*"', []),
        ("display_name:*", ["b-one", "a-two", "a-one"]),
        ('display_name!="a-one" AND labels.batch=BATCH', ["b-one", "a-two"]),
        ("labels.batch=BATCH AND labels.two:*", ["a-two"]),
        ('labels.batch="BATCH" AND NOT labels.two:*', ["b-one", "a-one"]),
        (
            'labels.batch=BATCH AND (display_name="a-one" OR display_name="b-one")',
            ["b-one", "a-one"],
        ),
        ('labels.batch=BATCH AND state="JOB_STATE_FAILED"', []),
        ('labels.batch=BATCH AND state!="JOB_STATE_SUCCEEDED"', []),
        ('labels.batch=BATCH AND create_time>"2020-01-01T00:00:00Z"', ["b-one", "a-two", "a-one"]),
        ('labels.batch=BATCH AND create_time<="2020-01-01T00:00:00Z"', []),
    ],
)
def test_lists_are_filtered(emulator: Any, listed: str, wanted: str, names: list[str]) -> None:
    found = emulator.jobs.list_custom_jobs(
        request={
            "parent": "projects/team/locations/us-west1",
            "filter": wanted.replace("BATCH", listed),
        }
    )
    assert [job.display_name for job in found] == names


@pytest.fixture(scope="module")
def listed(emulator: Any) -> str:
    """Three jobs that have ended, in a location of their own, with this label."""
    batch = f"batch-{time.time_ns()}"
    for name in ("a-one", "a-two", "b-one"):
        labels = {"batch": batch} | ({"two": "x"} if name == "a-two" else {})
        spec = {"workerPoolSpecs": [emulator.container("")]}
        job = {"displayName": name, "jobSpec": spec, "labels": labels}
        message = emulator.types.CustomJob.from_json(json.dumps(job))
        parent = "projects/team/locations/us-west1"
        created = emulator.jobs.create_custom_job(parent=parent, custom_job=message)
        emulator.ended(created.name)
    return batch


def test_lists_come_in_pages_and_with_the_fields_that_are_asked_for(
    emulator: Any, listed: str
) -> None:
    masks: Any = pytest.importorskip("google.protobuf.field_mask_pb2")
    request = {
        "parent": "projects/team/locations/us-west1",
        "page_size": 2,
        "read_mask": masks.FieldMask(paths=["display_name", "labels"]),
    }
    pages = list(emulator.jobs.list_custom_jobs(request=request).pages)
    assert [len(page.custom_jobs) for page in pages] == [2, 1]
    job = pages[0].custom_jobs[0]
    assert (job.display_name, job.name, dict(job.labels)) == ("b-one", "", {"batch": listed})


@pytest.mark.parametrize(
    "wanted",
    [
        *("colour=blue", "labels=x", "display_name<3", "state=A state=B", "(state=A", "=", "NOT"),
        *("labels.a:b", 'create_time>"2026-01-01T00:00:00"', "create_time<2026-01-01"),
    ],
)
def test_a_filter_that_is_none_is_refused(emulator: Any, wanted: str) -> None:
    parent = "projects/team/locations/us-west1"
    with pytest.raises(exceptions().BadRequest, match="Invalid list filter"):
        list(emulator.jobs.list_custom_jobs(request={"parent": parent, "filter": wanted}))


def test_custom_jobs_of_trials_are_not_listed(emulator: Any) -> None:
    job = emulator.run(emulator.tuning(labels={"kind": "tuned"}))
    parent = "projects/team/locations/us-central1"
    request = {"parent": parent, "filter": "labels.kind=tuned"}
    assert list(emulator.jobs.list_custom_jobs(request=request)) == []
    assert dict(emulator.get(job.trials[0].custom_job).labels) == {"kind": "tuned"}


def test_a_deleted_job_ends_and_is_gone(emulator: Any) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    name = emulator.create_custom(emulator.container(code)).name
    pid = emulator.printed_pid(name)
    emulator.jobs.delete_custom_job(name=name).result(timeout=200)
    with pytest.raises(exceptions().NotFound):
        emulator.get(name)
    emulator.until(lambda: emulator.runs(pid), False.__eq__)
    name = emulator.ended(emulator.create_custom(emulator.container("")).name).name
    emulator.jobs.delete_custom_job(name=name).result(timeout=200)
    with pytest.raises(exceptions().NotFound):
        emulator.get(name)
