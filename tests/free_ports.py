"""Ports for daemons that cannot choose one themselves."""

from __future__ import annotations

import os
import random
import socket
from contextlib import suppress

_COUNT = 2_000
"""The ports of each of up to six processes that run tests."""


def free_ports(count: int) -> list[int]:
    """Return ports that are free now, and that no other process of these tests takes.

    They are below those of outgoing calls, one of which could take a port before the daemon does,
    and outside those of Ray's workers, 10002 to 19999.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw5").removeprefix("gw")) % 6
    first = 20_000 + _COUNT * process
    chance = random.SystemRandom()  # a test may have given the others a seed
    ports: set[int] = set()
    while len(ports) < count:
        port = chance.randrange(first, first + _COUNT)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("0.0.0.0", port))
            ports.add(port)
    return [*ports]
