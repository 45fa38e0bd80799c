"""Calls AWS. Only this file imports boto3.

With an emulator, every service has the emulator's address, its key is the only credential, no
profile or configuration file is read, and requests to other addresses fail.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any
from urllib.parse import urlsplit

from cloudtune._version import __version__
from cloudtune.provider import (
    Emulator,
    EmulatorEndedError,
    JobContext,
    Json,
    MissingExtraError,
    Plan,
    retry_pauses,
)
from cloudtune.provider.answers import problem
from cloudtune.provider.call_record import recorded_call
from cloudtune.provider.trial_files import PART_BYTES
from cloudtune_sagemaker.answers import NEEDED, check_types
from cloudtune_sagemaker.errors import (
    PROVIDER,
    AwsError,
    connection_error,
    refusal,
    service_error,
)
from cloudtune_sagemaker.settings import SageMakerSettings

TRANSFER_ATTEMPTS = 8
"""Attempts of one request of a transfer to S3, which boto3 repeats itself."""
RECORDED = frozenset({"sagemaker", "sagemaker-metrics"})
"""The services whose answers are checked, and whose calls a verification records."""
_DOMAINS = (
    *(".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu"),
    *(".api.aws", ".api.amazonwebservices.com.cn", ".api.amazonwebservices.eu"),
)
"""How the hosts of AWS end (botocore 1.44.8, endpoints.json and partitions.json)."""
PAGE_SIZE = 100
"""Maximum items of a page (botocore 1.44.8 model, MaxResults)."""
_NO_FILES: Mapping[str, tuple[None, None, str | None, None]] = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""Session variables that make botocore ignore its files and environment variables."""


def connect(plan: Plan, context: JobContext, *, impatient: bool = False) -> Aws:
    """Return a client of AWS without sending a request; an ``impatient`` one repeats no call.

    Raises:
        MissingExtraError: If boto3 is not installed.
        ProviderError: If the AWS profile does not exist, or a plan is emulated without an emulator.
    """
    plan.check_context(context)
    assert isinstance(plan.settings, SageMakerSettings)
    return Aws(
        plan.facts.data["region"],
        profile=plan.settings.profile,
        emulator=context.emulator,
        is_stopping=(lambda: True) if impatient else context.is_stopping,
        impatient=impatient,
    )


class Aws:
    """The services of AWS in one region for one caller. Thread-safe.

    Methods raise `AwsError` if a call fails.
    """

    def __init__(
        self,
        region: str,
        *,
        profile: str | None = None,
        emulator: Emulator | None = None,
        is_stopping: Callable[[], bool] = bool,
        impatient: bool = False,
    ) -> None:
        """Create a session without calling AWS; with an emulator, the profile is not used.

        Args:
            region: The region of all services.
            profile: The profile of the AWS configuration files.
            emulator: The only address to call, if any.
            is_stopping: Returns whether calls that fail are to give up soon.
            impatient: Whether calls soon give up on a service that does not respond.

        Raises:
            MissingExtraError: If boto3 is not installed.
            ProviderError: If the profile does not exist.
        """
        self.emulated = emulator is not None
        self._emulator = emulator
        self._region = region
        self._is_stopping = is_stopping
        self._impatient = impatient
        self._boto3 = _import("boto3")
        self._exceptions = _import("botocore.exceptions")
        self._parser_error = _import("botocore.parsers").ResponseParserError
        with self._translate_errors("the AWS configuration"):
            self._session = self._create_session(profile)
        self._clients: dict[str, Any] = {}

    def call(self, service: str, operation: str, **members: Any) -> Json:
        """Return the response of a method of boto3's client, after retries if they make sense.

        A request to stop ends the retries at once; boto3's own would wait until their pause is
        over.
        """
        client = self.client(service)
        name: str = client.meta.method_to_api_mapping[operation]
        pauses = retry_pauses(self._is_stopping, emulated=self.emulated)
        while True:
            try:
                with self._recorded(client, name, members) as record, self._translate_errors(name):
                    response: Json = getattr(client, operation)(**members)
                    record({k: v for k, v in response.items() if k != "ResponseMetadata"})
                if wrong := problem(response, NEEDED.get(name, {})):
                    raise AwsError(f"{name}: {wrong}")
            except AwsError as error:
                if not (error.retryable and next(pauses, False)):
                    raise
            else:
                return response

    @staticmethod
    def _recorded(
        client: Any, name: str, members: Json
    ) -> AbstractContextManager[Callable[[Json], Json]]:
        if client.meta.service_model.service_name not in RECORDED:
            return nullcontext(lambda answer: answer)
        host = urlsplit(str(client.meta.endpoint_url)).hostname or ""
        return recorded_call(name, members, refusal, is_at_service=host.endswith(_DOMAINS))

    def read(self, bucket: str, key: str, start: int, etag: str) -> Iterator[bytes]:
        """Yield the content of an object of S3 from a byte on, if it still has this ETag."""
        part: Json = {"Range": f"bytes={start}-"} if start else {}
        body = self.call("s3", "get_object", Bucket=bucket, Key=key, IfMatch=etag, **part)["Body"]
        with closing(body), self._translate_errors("GetObject"):
            yield from body.iter_chunks(PART_BYTES)

    def find(self, operation: str, **members: Any) -> Json | None:
        """Return the response of a SageMaker operation, or None if the resource does not exist."""
        try:
            return self.call("sagemaker", operation, **members)
        except AwsError as error:
            if error.not_found:
                return None
            raise

    def search_training_jobs(self, sort_by: str, **properties: str) -> Iterator[list[Json]]:
        """Yield pages of the training jobs with the properties, in descending order."""
        filters = [
            {"Name": name, "Operator": "Equals", "Value": value}
            for name, value in properties.items()
        ]
        pages = self.pages(
            "sagemaker",
            "search",
            Resource="TrainingJob",
            SearchExpression={"Filters": filters},
            SortBy=sort_by,
            SortOrder="Descending",
            MaxResults=PAGE_SIZE,
        )
        for page in pages:
            yield [result["TrainingJob"] for result in page.get("Results", ())]

    def pages(
        self,
        service: str,
        operation: str,
        tokens: tuple[str, str] = ("NextToken", "NextToken"),
        **members: Any,
    ) -> Iterator[Json]:
        """Yield the responses of a paginated call.

        ``tokens`` are the members with the token of the next page, in a response and in a request.
        """
        response_token, request_token = tokens
        token: str | None = None
        while True:
            page_members = {request_token: token} if token else {}
            response = self.call(service, operation, **members, **page_members)
            yield response
            token = response.get(response_token)
            if not token:
                return

    def credentials_source(self) -> tuple[str, str] | None:
        """Return where boto3 finds the credentials, in its own word, and the profile; or None.

        The credentials themselves are not read.
        """
        with self._translate_errors("the credentials"):
            credentials = self._session.get_credentials()
            return None if credentials is None else (credentials.method, self._session.profile_name)

    def client(self, service: str) -> Any:
        """Return boto3's client of a service."""
        if service not in self._clients:
            with self._translate_errors(service):
                self._clients[service] = self._create_client(service)
        return self._clients[service]

    @contextmanager
    def transfer(self) -> Generator[Any]:
        """Yield boto3's transfer manager for S3, and wait for its transfers at the end."""
        transfer = _import("boto3.s3.transfer")
        with self._translate_errors("the upload to S3"):
            client = self._create_client("s3", attempts=TRANSFER_ATTEMPTS)
            manager = transfer.create_transfer_manager(client, transfer.TransferConfig())
            with closing(client), manager:
                yield manager

    def _is_known_region(self) -> bool:
        partitions: list[str] = self._session.get_available_partitions()
        return any(
            self._region in self._session.get_available_regions("sagemaker", partition_name=name)
            for name in partitions
        )

    def _create_session(self, profile: str | None) -> Any:
        if self._emulator is None:
            return self._boto3.session.Session(profile_name=profile, region_name=self._region)
        return self._boto3.session.Session(
            aws_access_key_id=self._emulator.key,
            aws_secret_access_key=self._emulator.key,
            region_name=self._region,
            botocore_session=_import("botocore.session").Session(session_vars=dict(_NO_FILES)),
        )

    def _create_client(self, service: str, *, attempts: int = 1) -> Any:
        options: Json = {
            "retries": {"mode": "adaptive", "total_max_attempts": attempts},
            "user_agent_extra": f"cloudtune/{__version__}",
        }
        if self._impatient:
            options |= {"connect_timeout": 10, "read_timeout": 20}
        endpoint: Json = {}
        if self._emulator is not None:
            options |= {
                "proxies": {},
                "defaults_mode": "legacy",
                "s3": {"addressing_style": "path"},
            }
            endpoint["endpoint_url"] = self._emulator.url
        config = _import("botocore.config").Config(**options)
        client = self._session.client(service, config=config, **endpoint)
        if service in RECORDED:
            client.meta.events.register(f"before-parse.{service}", check_types)
        if self._emulator is not None:
            client.meta.events.register_first("before-send", _Guard(self._emulator.url))
        return client

    @contextmanager
    def _translate_errors(self, operation: str) -> Generator[None]:
        try:
            yield
        except self._exceptions.ClientError as error:
            details: Json = error.response.get("Error", {})
            status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            code, message = str(details.get("Code", status)), str(details.get("Message", ""))
            headers: Json = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            date = str(headers.get("date", ""))
            raise service_error(operation, code, message, status, date) from error
        except self._exceptions.BotoCoreError as error:
            classes = [each.__name__ for each in type(error).__mro__]
            if classes[0] == "EndpointConnectionError" and self.emulated:
                raise EmulatorEndedError(PROVIDER, operation) from error
            if classes[0] == "EndpointConnectionError" and not self._is_known_region():
                text = f"{operation}: this version of boto3 knows no region {self._region}"
                raise AwsError(text, affects_all_calls=True) from error
            raise connection_error(operation, classes, str(error)) from error
        except self._parser_error as error:
            text = f"{operation}: the response is not one of AWS; check the network [{error}]"
            raise AwsError(text, retryable=True) from error
        except self._boto3.exceptions.Boto3Error as error:
            raise AwsError(f"{operation}: {error}") from error


class _Guard:
    """Refuses requests to any address but the emulator's."""

    def __init__(self, url: str) -> None:
        self._origin = urlsplit(url)[:2]

    def __call__(self, request: Any, **_context: Any) -> None:
        url = urlsplit(str(request.url))
        if url[:2] != self._origin:
            raise AwsError(
                f"blocked a request to {url.netloc}: an emulated run only calls its emulator",
                affects_all_calls=True,
            )


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("SageMaker", "sagemaker") from error
