"""Refuses every connection but those to the emulator, and notes all. Loaded at Python's start."""

import os
import sys
from pathlib import Path

_LOCAL = ("127.0.0.1", int(os.environ["TEST_EMULATOR_PORT"]))
_NOTED = Path(os.environ["TEST_CONNECTIONS"])


def _watch(event: str, given: tuple[object, ...]) -> None:
    if event == "socket.connect":
        address = given[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        address = tuple(given[:2])
    else:
        return
    with _NOTED.open("a", encoding="utf-8") as file:
        file.write(f"{event} {address!r}\n")
    if address != _LOCAL:
        raise PermissionError(f"{event} is refused by the test")


sys.addaudithook(_watch)
