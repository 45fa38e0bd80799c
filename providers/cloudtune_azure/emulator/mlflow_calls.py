"""MLflow's calls, as a part of the emulator's operations: each run is a job, or a run within one.

Their fields are those of `tracking`. The id of an experiment is its name, and each name is one.
"""

from __future__ import annotations

import re
import secrets

from cloudtune.emulator_kit import Context, Response, operation
from cloudtune_azure.emulator import tracking
from cloudtune_azure.emulator.calls import WORKSPACE_ID, Call, answer
from cloudtune_azure.emulator.script_jobs import Jobs
from cloudtune_azure.emulator.state import RUNNING, Job, Sweep

RUNS_READ = "Microsoft.MachineLearningServices/workspaces/experiments/runs/read"
_MLFLOW = f"(?i)/mlflow/v1.0{WORKSPACE_ID}/api/2.0/mlflow"
_CONDITION = re.compile(r"""tags\.[`"]?([\w.-]+)[`"]? *= *['"]([^'"]*)['"]""")
"""A condition of a search: the value of a tag."""


class MlflowCalls:
    """The calls of scripts, and of those who read their runs."""

    context: Context[Jobs]
    jobs: dict[str, Job | Sweep]
    nested: dict[str, Job]
    """The runs that scripts create within theirs."""

    @operation("POST", f"{_MLFLOW}/runs/log-batch")
    def log_batch(self, call: Call) -> Response:
        """Add values and tags to a run."""
        content = call.content
        return answer(tracking.log_batch(self._job_of(str(content.get("run_id"))), content))

    @operation("POST", f"{_MLFLOW}/runs/create")
    def create_run(self, call: Call) -> Response:
        """Create a run within another one, by its tags."""
        content = call.content
        name = secrets.token_hex(16)
        request = {"experimentName": str(content.get("experiment_id"))}
        folder = self.context.folder / "runs" / name
        job = Job(name, call.workspace, request, folder, folder, state=RUNNING)
        tracking.log_batch(job, {"tags": content.get("tags") or []})
        self.nested[name] = job
        return answer(tracking.get_run(job))

    @operation("POST", f"{_MLFLOW}/runs/search", RUNS_READ)
    def search_runs(self, call: Call) -> Response:
        """Return the runs of experiments whose tags have given values, all on one page."""
        content = call.content
        wanted, text = content.get("experiment_ids"), str(content.get("filter") or "")
        texts = re.split(r" +(?i:and) +", text) if text else []
        conditions = [_CONDITION.fullmatch(each) for each in texts]
        if None in conditions:
            raise tracking.invalid("the emulator searches only for values of tags")
        jobs = (*self.jobs.values(), *self.nested.values())
        runs = [tracking.get_run(each)["run"] for each in jobs]
        pairs = {(each[1], each[2]) for each in conditions if each}
        found = [
            run
            for run in runs
            if not wanted or run["info"]["experiment_id"] in wanted
            if pairs <= {(tag["key"], tag["value"]) for tag in run["data"]["tags"]}
        ]
        return answer({"runs": found})

    @operation("POST", f"{_MLFLOW}/runs/{{call}}")
    def log_to_run(self, call: Call) -> Response:
        """Add a metric, a parameter or a tag to a run, or end it.

        The state of a job stays, whatever its script says.
        """
        content = call.content
        run = self._job_of(str(content.get("run_id") or content.get("run_uuid")))
        state = tracking.STATES.get(str(content.get("status")))
        if call.names["call"] == "update" and run.name in self.nested and state:
            run.enter(state)
        return answer(tracking.log(run, call.names["call"], content))

    @operation("GET", f"{_MLFLOW}/runs/get", RUNS_READ)
    def get_run(self, call: Call) -> Response:
        """Return a run."""
        name = call.query.get("run_id", "")
        run = self.jobs.get(name) or self._job_of(name)
        return answer(tracking.get_run(run))

    @operation("GET", f"{_MLFLOW}/metrics/get-history", RUNS_READ)
    def get_metric_history(self, call: Call) -> Response:
        """Return all values of a metric of a run."""
        run = self._job_of(call.query.get("run_id", ""))
        return answer(tracking.get_history(run, call.query.get("metric_key", "")))

    @operation("GET", f"{_MLFLOW}/experiments/get", RUNS_READ, name="GetExperiment")
    @operation("GET", f"{_MLFLOW}/experiments/get-by-name", RUNS_READ)
    def get_experiment_by_name(self, call: Call) -> Response:
        """Return an experiment."""
        name = call.query.get("experiment_name") or call.query.get("experiment_id", "")
        experiment = {"experiment_id": name, "name": name, "lifecycle_stage": "active"}
        return answer({"experiment": {**experiment, "artifact_location": "", "tags": []}})

    def _job_of(self, run: str) -> Job:
        """Return what has the metrics of a run; a sweep has none."""
        job = self.nested.get(run) or self.jobs.get(run)
        if not isinstance(job, Job):
            raise tracking.no_run(run)
        return job
