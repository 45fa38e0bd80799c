"""Keeps the requests of an emulated run at its emulator."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from cloudtune_vertex.errors import GoogleError


def guard_adapter(url: str) -> Any:
    """Return an adapter of requests that refuses requests to other origins than a URL's."""
    adapters: Any = import_module("requests.adapters")
    origin = urlsplit(url)[:2]
    send: Callable[..., Any] = adapters.HTTPAdapter.send

    def send_guarded(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        request_url = urlsplit(str(request.url))
        if request_url[:2] != origin:
            raise GoogleError(
                f"blocked a request to {request_url.netloc}: an emulated run only calls its "
                "emulator",
                affects_all_calls=True,
            )
        return send(self, request, *args, **options)

    return type("Guard", (adapters.HTTPAdapter,), {"send": send_guarded})()


def refuse_redirect(message: str) -> GoogleError:
    """Return the error for a redirect to another address."""
    return GoogleError(message, affects_all_calls=True)
