"""Keeps credentials at the service when its server redirects a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

_PORTS = {"https": 443, "http": 80}


def guard_redirects(session: Any, refusal: Callable[[str], Exception]) -> None:
    """Make a session of ``requests`` follow redirects only within the same scheme, host and port.

    On a redirect, ``requests`` repeats the body and most headers at the new address, even if that
    is another host or has no encryption. Both may contain a key.

    Args:
        session: The session, which is changed.
        refusal: Returns the error to raise for a message, which names only the new host.
    """
    find_target = session.get_redirect_target

    def get_redirect_target(response: Any) -> Any:
        target = find_target(response)
        if target is not None:
            url = str(response.url)
            old, new = urlsplit(url), urlsplit(urljoin(url, str(target)))
            if _origin(old) != _origin(new):
                response.close()
                address = f"{new.scheme}://{new.hostname}"
                raise refusal(
                    f"{old.path or '/'}: the server redirects to {address}, and a redirect is only "
                    "followed on the same host over TLS"
                )
        return target

    session.get_redirect_target = get_redirect_target


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    try:
        port = url.port
    except ValueError:  # not a number
        port = None
    return url.scheme, url.hostname, port or _PORTS.get(url.scheme)
