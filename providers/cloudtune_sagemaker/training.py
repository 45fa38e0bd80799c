"""The driven mode's calls: training jobs made, looked at and stopped, one a start of a trial."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cloudtune.events import Started, TrialState
from cloudtune.planning import Plan
from cloudtune.provider import Json
from cloudtune.space import text
from cloudtune_sagemaker import response
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.environment import resolved
from cloudtune_sagemaker.failures import AwsError
from cloudtune_sagemaker.request import NUMBER, RUN_TAG

PAGE = 100
"""Items of a page at most (botocore 1.44.8 model, MaxResults)."""
TOKENS = ("NextToken", "NextToken")
"""What the token of the next page is called, in an answer and in a request."""


class TrainingJobs:
    """The training jobs of one run."""

    def __init__(self, aws: Aws, plan: Plan) -> None:
        """Prepare; nothing is called.

        Raises:
            UsageError: If a variable that trials are to be given is not set.
        """
        self._aws = aws
        self._run = plan.facts.run_id
        self._template = resolved(plan.request, plan.study)
        self._resource = plan.fitted.study.strategy.resource
        self._searches = True

    @property
    def several(self) -> bool:
        """Whether a trial may be started again, with more of its resource."""
        return self._resource is not None

    def given(self, started: Started) -> dict[str, str]:
        """Return what a trial is given beside the constants, as it is sent."""
        given = {name: text(value) for name, value in started.parameters.items()}
        if self._resource and started.resource is not None:
            given[self._resource] = text(started.resource)
        return given

    def request(self, number: int, count: int, given: Mapping[str, str]) -> Json:
        """Return the request for the training job of a trial.

        Args:
            number: The trial's.
            count: Which of its starts it is, from 1.
            given: Its hyperparameters beside the constants.
        """
        suffix = f"{number}-{count}" if count > 1 else f"{number}"
        name: str = self._template["TrainingJobName"].replace(NUMBER, suffix)
        hyperparameters: Json = {**self._template.get("HyperParameters", {}), **given}
        if "sagemaker_job_name" in hyperparameters:
            hyperparameters["sagemaker_job_name"] = name
        made: Json = {**self._template, "TrainingJobName": name}
        made["HyperParameters"] = hyperparameters
        if "CheckpointConfig" in made:  # the same for all starts, which go on from one another
            config: Json = made["CheckpointConfig"]
            folder = config["S3Uri"].replace(NUMBER, str(number))
            made["CheckpointConfig"] = {**config, "S3Uri": folder}
        made["Tags"] = [
            {**tag, "Value": str(number)} if tag["Value"] == NUMBER else tag for tag in made["Tags"]
        ]
        return made

    def create(self, request: Json) -> str:
        """Create a training job and return its ARN.

        Raises:
            AwsError: If it fails.
        """
        arn: str = self._aws.call("sagemaker", "create_training_job", **request)["TrainingJobArn"]
        return arn

    def find(self, name: str) -> Json | None:
        """Return a training job, or None if there is none.

        Raises:
            AwsError: If SageMaker cannot be asked.
        """
        try:
            return self._aws.call("sagemaker", "describe_training_job", TrainingJobName=name)
        except AwsError as error:
            if error.not_found:
                return None
            raise

    def is_own(self, job: Json) -> bool:
        """Tell whether a training job is one of this run.

        Raises:
            AwsError: If SageMaker cannot be asked.
        """
        return run_of(self._aws, job["TrainingJobArn"], otherwise=self._run) == self._run

    def of_trial(self, number: int) -> list[Json]:
        """Return the training jobs of a trial's starts, in order.

        Raises:
            AwsError: If SageMaker cannot be asked.
        """
        found: list[Json] = []
        while job := self.find(self.request(number, len(found) + 1, {})["TrainingJobName"]):
            found.append(job)
            if not self.several:
                break
        return found

    def told(self, names: Collection[str]) -> dict[str, Json]:
        """Return training jobs by their names, without those that are not there any more.

        Raises:
            AwsError: If SageMaker cannot be asked.
        """
        found = self._searched(names) if self._searches else {}
        for name in names:
            if name not in found and (job := self.find(name)):  # a search may lag behind
                found[name] = job
        return found

    def stop(self, name: str) -> None:
        """Ask a training job to end.

        Raises:
            AwsError: If that is refused, as it is for one that has ended.
        """
        self._aws.call("sagemaker", "stop_training_job", TrainingJobName=name)

    def _searched(self, names: Collection[str]) -> dict[str, Json]:
        """Return what a search tells, newest first, until all are found."""
        found: dict[str, Json] = {}
        tag = {"Name": f"Tags.{RUN_TAG}", "Operator": "Equals", "Value": self._run}
        pages = self._aws.pages(
            "sagemaker",
            "search",
            TOKENS,
            Resource="TrainingJob",
            SearchExpression={"Filters": [tag]},
            SortBy="CreationTime",
            SortOrder="Descending",
            MaxResults=PAGE,
        )
        try:
            for page in pages:
                jobs: list[Json] = [each["TrainingJob"] for each in page.get("Results", ())]
                found |= {job["TrainingJobName"]: job for job in jobs}
                if found.keys() >= set(names):
                    break
        except AwsError as error:
            if not error.no_such_search:
                raise
            self._searches = False
        return found


def run_of(aws: Aws, arn: str, *, otherwise: str) -> str | None:
    """Return the run to which a job belongs by its tags.

    Args:
        aws: Reaches the service.
        arn: Of the job.
        otherwise: What holds where tags may not be read.

    Raises:
        AwsError: If the service cannot be reached.
    """
    try:
        pages = list(aws.pages("sagemaker", "list_tags", TOKENS, ResourceArn=arn))
    except AwsError as error:
        if error.denied:
            return otherwise
        raise
    tags = {tag["Key"]: tag["Value"] for page in pages for tag in page.get("Tags", ())}
    return tags.get(RUN_TAG)


def ending(told: Json, *, stopped: bool) -> tuple[TrialState, str]:
    """Return how a training job ended, as the service sees it, and why.

    Args:
        told: The job.
        stopped: Whether we wanted it to.
    """
    match response.phase_of(told):
        case "completed":
            return "completed", ""
        case "stopped" if told.get("SecondaryStatus") in response.TOO_LONG:
            return "failed", response.TOO_LONG[told["SecondaryStatus"]]
        case "stopped" if stopped:
            return "completed", ""
        case "stopped":
            return "failed", "this training job was stopped by somebody else, at SageMaker"
        case _:
            return "failed", response.failure_of(told)
