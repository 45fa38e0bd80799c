"""The deployment jobs of a run: which of them count, and what ends them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, cast

import pytest

from cloudtune.errors import UsageError
from cloudtune.planning.planner import plan
from cloudtune.provider.models import JobContext
from cloudtune.results.events import Started
from cloudtune.study.study import Study
from cloudtune_watson.errors import WatsonError, service_error
from cloudtune_watson.jobs.client import RuntimeClient
from cloudtune_watson.jobs.training_client import MAX_ATTEMPTS, DeploymentJobs
from cloudtune_watson.jobs.uploads import ensure_deployment
from tests.cloudtune_watson import support


class Runtime:
    """A runtime with some jobs."""

    emulated = True

    def __init__(self, *jobs: tuple[str, str, str]) -> None:
        self.jobs = [job(*each) for each in jobs]
        self.cancelled: list[str] = []
        self.deleted: list[str] = []
        self.created: list[Any] = []
        self.deployed: list[str] = ["d"]
        self.content = b""
        self.refuses = False
        self.ended: dict[str, Any] | None = None
        """The job as it is after a refused stop."""

    def create_job(self, request: Any) -> None:
        self.created.append(request)

    def find_assets(self, _kind: str, _name: str) -> list[str]:
        return ["o"]

    def get_asset(self, asset: str) -> Any:
        return {"metadata": {"asset_id": asset}}

    def download(self, _asset: Any, path: Path) -> bool:
        path.write_bytes(self.content)
        return True

    def delete_asset(self, asset: str) -> None:
        self.deleted.append(asset)

    def delete_job(self, job_id: str) -> None:
        self.deleted.append(job_id)

    def deploy(self) -> str:
        self.deployed.append("d")
        return "d"

    def list_deployments(self, _name: str) -> list[dict[str, Any]]:
        return [{"metadata": {"id": each}} for each in self.deployed]

    def list_jobs(self, _deployment: str) -> list[dict[str, Any]]:
        return sorted(self.jobs, key=lambda each: each["metadata"]["created_at"])

    def get_job(self, job_id: str) -> Any:
        return self.ended or next(e for e in self.jobs if e["metadata"]["id"] == job_id)

    def cancel_job(self, described: Any, _version: object) -> None:
        if self.refuses:
            raise service_error("DELETE", 400, "cannot be stopped")
        self.cancelled.append(described["metadata"]["id"])


def job(id_: str, created: str, state: str) -> dict[str, Any]:
    status = {"state": state, "running_at": f"2026-01-0{id_}T00:00:00Z", "completed_at": ""}
    metadata = {"id": id_, "name": "run-1", "created_at": created}
    return {"metadata": metadata, "entity": {"scoring": {"status": status}}}


def client(folder: Path, runtime: Runtime, study: Study | None = None) -> DeploymentJobs:
    (folder / "train.py").touch()
    planned = plan(study or support.study_of("jobs"), "watson", base=folder, emulated=True)
    return DeploymentJobs(
        cast("RuntimeClient", runtime), planned, JobContext(folder), runtime.deploy
    )


START = Started(1, 0.0, {}, id="run-1")


def test_of_two_jobs_with_one_name_the_oldest_counts_and_both_are_stopped(tmp_path: Path) -> None:
    runtime = Runtime(("2", "2026-02", "running"), ("1", "2026-01", "running"))
    jobs = client(tmp_path, runtime)
    polled = jobs.poll([START])["run-1"]
    assert (polled.state, polled.word, polled.machine) == ("running", "running", "S")
    assert polled.started == 1767225600.0  # the first of January
    jobs.stop("run-1")
    assert sorted(runtime.cancelled) == ["1", "2"]


def test_a_job_that_is_not_there_is_omitted_and_not_stopped(tmp_path: Path) -> None:
    runtime = Runtime()
    jobs = client(tmp_path, runtime)
    assert jobs.poll([START]) == {}
    jobs.stop("run-1")
    assert runtime.cancelled == []


def test_only_a_start_deploys(tmp_path: Path) -> None:
    runtime = Runtime()
    runtime.deployed.clear()
    jobs = client(tmp_path, runtime)
    assert jobs.poll([START]) == {}
    jobs.stop("run-1")
    assert runtime.deployed == []
    jobs.create(START)
    jobs.create(Started(2, 0.0, {}, id="run-2"))
    assert runtime.deployed == ["d"]


def test_a_refused_stop_is_an_error_unless_the_job_has_ended(tmp_path: Path) -> None:
    runtime = Runtime(("1", "2026-01", "running"))
    runtime.refuses = True
    with pytest.raises(Exception, match="cannot be stopped"):
        client(tmp_path, runtime).stop("run-1")
    runtime.ended = job("1", "2026-01", "completed")
    client(tmp_path, runtime).stop("run-1")


def test_unknown_states_are_kept_as_words(tmp_path: Path) -> None:
    runtime = Runtime(("1", "2026-01", "paused"))
    polled = client(tmp_path, runtime).poll([START])["run-1"]
    assert (polled.state, polled.word, polled.over) == ("unknown", "paused", False)


def test_results_that_cannot_be_unpacked_are_kept_and_do_not_stop_the_run(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a" * 300, "x")
    runtime = Runtime(("1", "2026-01", "completed"))
    runtime.content = packed.getvalue()
    location = {"href": "/v2/assets/o?space_id=s"}
    runtime.jobs[0]["entity"]["scoring"]["output_data_reference"] = {"location": location}
    jobs = client(tmp_path, runtime)
    for _ in range(MAX_ATTEMPTS - 1):
        with pytest.raises(WatsonError, match="damaged") as raised:
            jobs.poll([START])
        assert raised.value.retryable
    assert runtime.deleted == []
    polled = jobs.poll([START])["run-1"]
    output = tmp_path / "results" / "run-1" / "output"
    assert (polled.state, output.read_bytes()) == ("failed", packed.getvalue())
    assert str(output) in polled.reason
    assert runtime.deleted == ["o", "1"]


def test_secrets_are_sent_and_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "{{job}}-hidden")
    trial = {"script": "train.py", "env": {"TOKEN": {"from_env": "MINE"}}}
    study = support.study_of("jobs", {"trial": trial}, visible_secrets=True)
    runtime = Runtime(("1", "2026-01", "completed"))
    jobs = client(tmp_path, runtime, study)
    jobs.create(START)
    variables = runtime.created[0]["scoring"]["environment_variables"]
    assert (variables["TOKEN"], variables["CLOUDTUNE_JOB"]) == ("{{job}}-hidden", "run-1")
    runtime.jobs[0]["entity"]["scoring"]["environment_variables"] = variables
    runtime.content = b"no archive"
    assert jobs.poll([START])["run-1"].over
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in files if b"hidden" in path.read_bytes()] == []
    monkeypatch.delenv("MINE")
    with pytest.raises(UsageError, match="MINE"):
        client(tmp_path, runtime, study)


def test_a_short_job_is_billed_for_a_minute(tmp_path: Path) -> None:
    runtime = Runtime(("1", "2026-01", "failed"))
    runtime.emulated = False
    runtime.jobs[0]["entity"]["scoring"]["status"]["completed_at"] = "2026-01-01T00:00:10Z"
    runtime.jobs[0]["metadata"]["created_at"] = "2025-12-31T23:59:55Z"
    polled = client(tmp_path, runtime).poll([START])["run-1"]
    assert (polled.billed_at_least, polled.billed_seconds) == (60, 60)


def test_what_is_billed_is_bounded_from_both_sides(tmp_path: Path) -> None:
    """``running_at`` can be the end of the job, as was recorded on 2024-04-24."""
    runtime = Runtime(("1", "2026-01", "completed"))
    runtime.emulated = False
    ended = "2024-04-24T14:07:08.000Z"
    runtime.jobs[0]["metadata"]["created_at"] = "2024-04-24T13:56:31.606Z"
    runtime.jobs[0]["entity"]["scoring"]["status"] |= {"running_at": ended, "completed_at": ended}
    polled = client(tmp_path, runtime).poll([START])["run-1"]
    assert polled.billed_at_least == 60
    assert polled.billed_seconds == pytest.approx(636.4, abs=0.1)


@pytest.mark.parametrize("ready", ["ready", "DEPLOY_SUCCESS"])
def test_a_deployment_is_waited_for_as_by_ibms_package(tmp_path: Path, ready: str) -> None:
    states = ["initializing", "DEPLOY_IN_PROGRESS", ready]
    runtime = Runtime()

    def get_deployment(_id: str) -> dict[str, Any]:
        return {"entity": {"status": {"state": states.pop(0)}}}

    vars(runtime)["get_deployment"] = get_deployment
    planned = plan(support.study_of("jobs"), "watson", base=tmp_path, emulated=True)
    found = ensure_deployment(cast("RuntimeClient", runtime), planned, JobContext(tmp_path))
    assert (found, states) == ("d", [])
