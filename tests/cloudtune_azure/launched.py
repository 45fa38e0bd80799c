"""The launcher in a command job of Azure."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cloudtune.bundle.launcher import PROGRAM
from cloudtune.fitting.fit import FittedStudy, fit
from cloudtune.study.search_space import format_value
from cloudtune.study.study import Study
from cloudtune_azure.capabilities import CAPABILITIES
from cloudtune_azure.emulator import tracking
from cloudtune_azure.emulator.state import Job
from cloudtune_azure.launcher_contract import FAILURE, FOLDER, INPUT
from tests.launched import Launched


class LaunchedJob(Launched):
    """A job's folders and variables below a folder of its own, and MLflow's calls of its run."""

    PROVIDER = "azure"
    VARIABLES = ("AZUREML_", "MLFLOW_", "CLOUDTUNE_AZURE")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.run_of_job = Job("job", "/w", {}, Path(), Path())
        job = self.run_of_job

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(tracking.get_run(job))

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                self.answer(tracking.log_batch(job, json.loads(self.rfile.read(length))))

            def answer(self, content: Any) -> None:
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{server.server_port}"

    def fitted(self) -> FittedStudy:
        return fit(Study.model_validate(self.study), CAPABILITIES, "driven")

    def sent(self, of: FittedStudy, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values as they are."""
        return values

    def command(self, values: Mapping[str, Any]) -> tuple[Sequence[str], Mapping[str, str]]:
        self.run_of_job.metrics.clear()  # each job has a run of its own
        words = [f"--{name}={format_value(value)}" for name, value in values.items()]
        return [PROGRAM, *words], {
            "MLFLOW_TRACKING_URI": self.address,
            "MLFLOW_RUN_ID": "job",
            "MLFLOW_TRACKING_TOKEN": "token",
            FOLDER: str(self.folder / "trial"),
            f"{INPUT}0": str(self.folder / "train"),
        }

    def add_input(self) -> str:
        (self.folder / "train").mkdir()
        (self.folder / "train" / "rows.csv").touch()
        return f"{INPUT}0"

    def published(self, name: str, output: str) -> list[float]:
        return [each["value"] for each in list(self.run_of_job.metrics) if each["key"] == name]

    @property
    def failure(self) -> str | None:
        return self.run_of_job.run_tags.get(FAILURE)
