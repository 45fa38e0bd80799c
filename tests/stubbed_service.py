"""The clients of a provider, in front of a service whose answers a test sets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudtune.planning.planner import plan
from cloudtune.provider.models import Emulator, JobContext
from cloudtune.results.events import Started
from cloudtune.study.study import Study
from cloudtune_sagemaker.client import Aws
from cloudtune_vertex.client import Google
from cloudtune_watson.http import Connection, HttpClient
from tests.cloudtune_azure.support import SETTINGS as AZURE
from tests.cloudtune_sagemaker.support import SETTINGS as SAGEMAKER
from tests.cloudtune_vertex.support import SETTINGS as VERTEX
from tests.cloudtune_watson.support import SETTINGS as WATSON
from tests.in_process import KEY, URL, InProcess
from tests.played_service import STUDY

T = 1.7e9
"""When the start of a trial begins."""


@dataclass(frozen=True)
class Refusal:
    """An answer of a stub that refuses the call."""

    status: str
    body: Mapping[str, Any]


class Stub:
    """A service that gives the same answer to all calls whose address or operation has a word."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.queries = 0
        """Of the last call for metrics."""

    def __call__(self, environ: Mapping[str, Any], start: Any) -> list[bytes]:
        place = f"{environ.get('HTTP_X_AMZ_TARGET', '')} {environ['PATH_INFO']}"
        words = [each for each in self.answers if each in place]
        answer: Any = self.answers[words[0]] if words else {}
        if place.endswith("/BatchGetMetrics"):
            self.queries = len(json.load(environ["wsgi.input"])["MetricQueries"])
            results: list[Any] = [{}] * self.queries
            answer = answer or {"MetricQueryResults": results}
        status = "200 OK"
        if isinstance(answer, Refusal):
            status, answer = answer.status, answer.body
        start(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


class StubbedService:
    """The clients of one provider, and a stub that they call."""

    def __init__(self, name: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.stub = folder, Stub()
        self.in_process = InProcess(patch)
        self.in_process.app = self.stub
        self.in_process.serve_requests()
        self.in_process.serve_boto3()
        self.context = JobContext(folder)
        patch.setenv("CLOUDTUNE_HOME", str(folder / "state"))
        (folder / "train.py").write_text("print(1)\n", "utf-8")
        self.name = name
        self.started = Started(1, T, {"lr": 0.5, "kind": "1e3"}, id="job-1")
        """The start that the clients of driven runs follow."""
        provider = name.partition("-")[0]
        aws, google = Emulator(URL, KEY), Emulator(URL, KEY)
        if provider == "sagemaker":
            self.aws = Aws("us-east-1", emulator=aws)
        elif provider == "vertex":
            self.google = Google("p", "us-central1", emulator=google)
        own = {"azure": AZURE, "sagemaker": SAGEMAKER, "vertex": VERTEX}.get(provider)
        own = own or WATSON[name.partition("-")[2]]
        mode = "managed" if name.endswith(("wmla", "tuning")) else "driven"
        study = Study.model_validate({**STUDY, "providers": {provider: {**own, "mode": mode}}})
        self.plan = plan(study, provider, base=folder)
        self.http = HttpClient(Connection(URL, "me", KEY, emulated=True))
        self.facts = {**self.plan.facts.data, "sign_in_url": URL, "platform_url": URL}

    def poll(self, jobs: Any) -> object:
        return jobs.poll([self.started])
