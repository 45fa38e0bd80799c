"""Reaches AWS: the only file that imports boto3.

On an emulator nothing else is reached: its address stands in for every service's, its key is the
only credential, no profile or configuration file is read, and a call to any other address fails.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from cloudtune._version import __version__
from cloudtune.errors import EmulatorEndedError, MissingExtraError
from cloudtune.provider.models import Emulator
from cloudtune.study.schema import Json
from cloudtune_sagemaker.errors import PROVIDER, AwsError, not_reached, refusal

ATTEMPTS = 8
"""Of one call, with pauses that adapt to how often the service says that there are too many."""
_NOWHERE: Mapping[str, tuple[None, None, str | None, None]] = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""Where botocore is to look on an emulator for what it finds in files and variables otherwise."""


class Aws:
    """The services of AWS in one region, for one caller. Safe in threads once made."""

    def __init__(
        self, region: str, *, profile: str | None = None, emulator: Emulator | None = None
    ) -> None:
        """Prepare; nothing is called.

        Args:
            region: The region.
            profile: Of the AWS configuration files; not read with an emulator.
            emulator: Reach this alone.

        Raises:
            MissingExtraError: If boto3 is not installed.
            ProviderError: If there is no such profile.
        """
        self.emulated = emulator is not None
        self._emulator = emulator
        self._region = region
        self._boto3 = _imported("boto3")
        self._exceptions = _imported("botocore.exceptions")
        with self._told("the AWS configuration"):
            self._session = self._made_session(profile)
        self._clients: dict[str, Any] = {}

    def call(self, service: str, operation: str, **members: Any) -> Json:
        """Return the answer of a call, made again as often as makes sense.

        Args:
            service: As boto3 calls it.
            operation: As its client calls it, with underscores.
            members: Of the request, in the service's spelling.

        Raises:
            AwsError: If it fails.
        """
        client = self.client(service)
        with self._told(client.meta.method_to_api_mapping[operation]):
            answer: Json = getattr(client, operation)(**members)
        return answer

    def pages(
        self, service: str, operation: str, token: Sequence[str], **members: Any
    ) -> Iterator[Json]:
        """Yield the answers of a call that is answered in pages.

        Args:
            service: As boto3 calls it.
            operation: As its client calls it.
            token: What the token of the next page is called, in the answer and in the request.
            members: Of the request.

        Raises:
            AwsError: If a call fails.
        """
        told, asked = token
        following: str | None = None
        while True:
            more = {asked: following} if following else {}
            answer = self.call(service, operation, **members, **more)
            yield answer
            following = answer.get(told)
            if not following:
                return

    def client(self, service: str) -> Any:
        """Return boto3's client of a service.

        Raises:
            AwsError: If it cannot be made.
        """
        if service not in self._clients:
            with self._told(service):
                self._clients[service] = self._made_client(service)
        return self._clients[service]

    @contextmanager
    def transfer(self) -> Generator[Any]:
        """Give boto3's manager of transfers to S3, and wait for them at the end.

        Raises:
            AwsError: If one of them failed.
        """
        transfer = _imported("boto3.s3.transfer")
        with self._told("the upload to S3"):
            manager = transfer.create_transfer_manager(self.client("s3"), transfer.TransferConfig())
            with manager:
                yield manager

    def _is_region(self) -> bool:
        partitions: list[str] = self._session.get_available_partitions()
        return any(
            self._region in self._session.get_available_regions("sagemaker", partition_name=each)
            for each in partitions
        )

    def _made_session(self, profile: str | None) -> Any:
        if self._emulator is None:
            return self._boto3.session.Session(profile_name=profile, region_name=self._region)
        return self._boto3.session.Session(
            aws_access_key_id=self._emulator.key,
            aws_secret_access_key=self._emulator.key,
            region_name=self._region,
            botocore_session=_imported("botocore.session").Session(session_vars=dict(_NOWHERE)),
        )

    def _made_client(self, service: str) -> Any:
        config: Json = {
            "retries": {"mode": "adaptive", "total_max_attempts": ATTEMPTS},
            "user_agent_extra": f"cloudtune/{__version__}",
        }
        more: Json = {}
        if self._emulator is not None:
            config |= {
                "proxies": {},
                "defaults_mode": "legacy",
                "s3": {"addressing_style": "path"},
            }
            more["endpoint_url"] = self._emulator.url
        made = _imported("botocore.config").Config(**config)
        client = self._session.client(service, config=made, **more)
        if self._emulator is not None:
            client.meta.events.register_first("before-send", _Guard(self._emulator.url))
        return client

    @contextmanager
    def _told(self, operation: str) -> Generator[None]:
        """Say in our own error what went wrong in the block."""
        try:
            yield
        except self._exceptions.ClientError as error:
            said: Json = error.response.get("Error", {})
            status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            raise refusal(
                operation, str(said.get("Code", status)), str(said.get("Message", "")), status
            ) from error
        except self._exceptions.BotoCoreError as error:
            kinds = [kind.__name__ for kind in type(error).__mro__]
            if kinds[0] == "EndpointConnectionError" and self.emulated:
                words = f"{operation}: the emulator has ended, and its jobs with it"
                raise EmulatorEndedError(PROVIDER, words) from error
            if kinds[0] == "EndpointConnectionError" and not self._is_region():
                words = f"{operation}: there is no region {self._region} of SageMaker, as far as "
                raise AwsError(
                    words + "this version of boto3 knows", affects_all_calls=True
                ) from error
            raise not_reached(operation, kinds, str(error)) from error
        except self._boto3.exceptions.Boto3Error as error:
            raise AwsError(f"{operation}: {error}") from error


class _Guard:
    """Refuses to send a request anywhere but to the emulator."""

    def __init__(self, url: str) -> None:
        self._origin = urlsplit(url)[:2]

    def __call__(self, request: Any, **_more: Any) -> None:
        url: str = request.url
        found = urlsplit(url)
        if found[:2] != self._origin:
            raise AwsError(
                f"a call would have left for {found.netloc}, and an emulated run reaches its "
                "emulator alone",
                affects_all_calls=True,
            )


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("SageMaker", "sagemaker") from error
