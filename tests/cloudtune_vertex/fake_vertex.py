"""A fake of the client, with Vertex AI and Cloud Storage in memory."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import md5
from pathlib import Path
from typing import Any, TypeVar

from cloudtune.fitting.capabilities import DRIVEN, Capabilities
from cloudtune.fitting.fit import fit
from cloudtune.provider.facts import Facts, Inputs, Lookup
from cloudtune.provider.models import CloudSettings
from cloudtune.provider.plan import Plan
from cloudtune.study.schema import Json, Mode
from cloudtune.study.study import Study
from cloudtune_vertex.client import Google, StoredObject
from cloudtune_vertex.errors import GoogleError, service_error

T = TypeVar("T")

PARENT = "projects/my-project/locations/us-central1"
NUMBERED = "projects/123456789012/locations/us-central1"
"""Google answers with the project's number."""
DATA: Mapping[str, Any] = {
    "project": "my-project",
    "location": "us-central1",
    "bucket": "my-bucket",
    "prefix": "tuning",
    "prebuilt": True,
    "paths": {},
}
STUDY: Mapping[str, Any] = {
    "name": "fake",
    "objective": {"metric": "accuracy", "goal": "maximize"},
    "parameters": {
        "lr": {"type": "float", "min": 0.0, "max": 1.0},
        "kind": {"type": "categorical", "values": ["true", "1e3"]},
    },
    "strategy": {"name": "random", "seed": 1},
    "limits": {"max_trials": 200, "parallel_trials": 4},
    "trial": {"script": "train.py"},
}


def planned(mode: Mode, over: Mapping[str, Any] = {}, **data: Any) -> Plan:
    """Return a plan of `STUDY` with some fields replaced."""
    study = Study.model_validate({**STUDY, **over})
    fitted = fit(study, Capabilities("vertex", "Vertex AI", "here", DRIVEN, DRIVEN), mode)
    facts = Facts(
        run_id="3f6k2m9qxt",
        job_name="fake-3f6k2m9qxt",
        seed=1,
        base=Path(),
        lookup=Lookup(
            code_address=data.pop("code", None),
            inputs=Inputs(data.pop("inputs", {}), data.pop("uploads", {})),
            data={**DATA, **data},
        ),
    )
    return Plan(
        "vertex",
        mode,
        fitted,
        CloudSettings.model_validate({}),
        facts,
        _request(mode, fitted.study),
        (),
        (),
        unattended=True,
    )


def _request(mode: Mode, study: Study) -> Json:
    """Return a request like that of the provider."""
    driven = mode == "driven"
    env = [{"name": n, "value": v if isinstance(v, str) else f"${{{v.from_env}}}"}
           for n, v in study.trial.env.items()]  # fmt: skip
    if driven:
        env.append({"name": "CLOUDTUNE_JOB", "value": "{{job}}"})
    home = "gs://my-bucket/tuning/fake-3f6k2m9qxt"
    task: Json = {
        "executorImageUri": "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest",
        "packageUris": [f"{home}/source/cloudtune_trial-1.tar.gz"],
        "pythonModule": "cloudtune_trial",
        **({"env": env} if env else {}),
    }
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "pythonPackageSpec": task}
    base = f"{home}/trials/{{{{number}}}}" if driven else f"{home}/output"
    spec = {"workerPoolSpecs": [pool], "baseOutputDirectory": {"outputUriPrefix": base}}
    labels = {"cloudtune-run": "3f6k2m9qxt"}
    if driven:
        job: Json = {"displayName": "{{job}}", "labels": {**labels, "cloudtune-job": "{{job}}"}}
        return {"parent": PARENT, "customJob": {**job, "jobSpec": spec}}
    job = {
        "displayName": "fake-3f6k2m9qxt",
        "labels": labels,
        "studySpec": {"metrics": [{"metricId": "accuracy", "goal": "MAXIMIZE"}]},
        "trialJobSpec": spec,
    }
    return {"parent": PARENT, "hyperparameterTuningJob": job}


def error(code: int, message: str = "no") -> GoogleError:
    """Return the error for a response of the service."""
    return service_error("Operation", code, message)


class FakeGoogle(Google):
    """Answers the calls to Google from memory."""

    def __init__(self) -> None:
        self.emulated = True
        self.calls: list[str] = []
        self.created: list[Json] = []
        self.faults: dict[str, list[GoogleError | None]] = {}
        """The errors of the next calls of an operation; None for a success."""
        self.always: dict[str, Exception] = {}
        """The error of each call of an operation."""
        self.lost: dict[str, int] = {}
        """How many calls of an operation succeed but lose the response."""
        self.jobs: dict[str, Json] = {}
        """By full name; a tuning job has its trials."""
        self.buckets: dict[str, dict[str, bytes]] = {"my-bucket": {}}
        self.generations: dict[str, int] = {}
        self.unlisted: set[str] = set()
        """Display names of jobs that lists do not contain yet."""
        self.reads: list[tuple[str, int]] = []
        self.at_look: Callable[[], None] = lambda: None
        """Called before each list of jobs."""

    def create(self, request: Json) -> Json:
        self.created.append(request)
        kind = "customJobs" if "customJob" in request else "hyperparameterTuningJobs"
        described = request.get("customJob") or request["hyperparameterTuningJob"]
        return self._called("create", lambda: dict(self.add(kind, **described)))

    def get(self, name: str) -> Json:
        return self._called("get", lambda: self._there(name))

    def list_tuning_jobs(self, filter_: str) -> list[Json]:
        return self._called(
            "list_tuning_jobs", lambda: self._listed("hyperparameterTuningJobs", filter_)
        )

    def list_custom_jobs(self, filter_: str) -> list[Json]:
        self.at_look()
        return self._called("list_custom_jobs", lambda: self._listed("customJobs", filter_))

    def cancel(self, name: str) -> None:
        self._called("cancel", lambda: self._cancel(name))

    def list_objects(self, bucket: str, prefix: str) -> list[StoredObject]:
        return self._called("list_objects", lambda: self._objects(bucket, prefix))

    def read(self, bucket: str, name: str, start: int) -> bytes:
        self.reads.append((name, start))
        return self._called("read", lambda: self._bucket(bucket)[name][start:])

    def write(self, bucket: str, name: str, path: Path) -> None:
        self._called("write", lambda: self.put(name, path.read_bytes(), bucket))

    def write_bytes(self, bucket: str, name: str, content: bytes) -> None:
        self._called("write_bytes", lambda: self.put(name, content, bucket))

    def delete(self, bucket: str, name: str) -> None:
        self._called("delete", lambda: self.buckets.get(bucket, {}).pop(name, None))

    def create_bucket(self, bucket: str) -> None:
        self._called("create_bucket", lambda: self.buckets.setdefault(bucket, {}))

    def add(self, kind: str = "customJobs", **fields: Any) -> Json:
        """Add a job."""
        number = 1000 + len(self.jobs)
        job = {
            "name": f"{NUMBERED}/{kind}/{number}",
            "state": "JOB_STATE_RUNNING",
            "createTime": _when(number),
            "startTime": _when(number + 1),
            **fields,
        }
        self.jobs[job["name"]] = job
        return job

    def put(self, name: str, data: bytes, bucket: str = "my-bucket") -> None:
        """Write an object."""
        self._bucket(bucket)[name] = data
        self.generations[name] = self.generations.get(name, 0) + 1

    def called(self, display: str) -> Json:
        """Return the job of a display name."""
        return next(job for job in self.jobs.values() if job.get("displayName") == display)

    def change(self, display: str, state: str, **fields: Any) -> None:
        """Change the state of a job."""
        job = self.called(display)
        job |= {"state": f"JOB_STATE_{state}", **fields}
        if state in {"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"}:
            job["endTime"] = _when(9000)

    def report(self, name: str, step: int | None = None, **metrics: float) -> None:
        """Save a measurement like a launcher."""
        line: Json = {"metrics": metrics, "time": 1_700_000_000.5}
        if step is not None:
            line["step"] = step
        self.keep(name, line)

    def keep(self, name: str, line: Mapping[str, Any]) -> None:
        """Save a line like a launcher."""
        path = f"tuning/fake-3f6k2m9qxt/measurements/{name}.jsonl"
        before = self.buckets["my-bucket"].get(path, b"")
        self.put(path, before + json.dumps(line).encode() + b"\n")

    def _called(self, operation: str, answer: Callable[[], T]) -> T:
        self.calls.append(operation)
        if failure := self.always.get(operation):
            raise failure
        if (faults := self.faults.get(operation)) and (fault := faults.pop(0)):
            raise fault
        answered = answer()
        if self.lost.get(operation, 0) > 0:
            self.lost[operation] -= 1
            raise GoogleError("the connection ended before the answer", retryable=True)
        return answered

    def _there(self, name: str) -> Json:
        if name not in self.jobs:
            raise error(404, f"The CustomJob {name} does not exist.")
        return dict(self.jobs[name])

    def _listed(self, kind: str, filter_: str) -> list[Json]:
        jobs = [job for name, job in self.jobs.items() if f"/{kind}/" in name]
        for term in filter_.split(" AND "):
            if found := re.fullmatch(r"labels\.([a-z-]+)=([a-z0-9-]+)", term):
                key, value = found[1], found[2]
                jobs = [job for job in jobs if job.get("labels", {}).get(key) == value]
            else:
                found = re.fullmatch(r'state!="(JOB_STATE_[A-Z_]+)"', term)
                assert found, term
                state = found[1]
                jobs = [job for job in jobs if job["state"] != state]
        return [
            {key: value for key, value in job.items() if key != "trials"}
            for job in jobs
            if job.get("displayName") not in self.unlisted
        ]

    def _cancel(self, name: str) -> None:
        job = self.jobs[name]
        if job["state"] not in {"JOB_STATE_RUNNING", "JOB_STATE_PENDING"}:
            raise error(400, f"The job {name} cannot be cancelled in the state {job['state']}.")
        job["state"] = "JOB_STATE_CANCELLING"

    def _bucket(self, bucket: str) -> dict[str, bytes]:
        if bucket not in self.buckets:
            raise error(404, "The specified bucket does not exist.")
        return self.buckets[bucket]

    def _objects(self, bucket: str, prefix: str) -> list[StoredObject]:
        return [
            StoredObject(
                name,
                len(data),
                str(self.generations[name]),
                b64encode(md5(data, usedforsecurity=False).digest()).decode(),
            )
            for name, data in sorted(self._bucket(bucket).items())
            if name.startswith(prefix)
        ]


def _when(number: int) -> str:
    moment = time.gmtime(1_700_000_000 + number)
    return time.strftime("%Y-%m-%dT%H:%M:%S.500Z", moment)
