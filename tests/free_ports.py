"""Ports for daemons that cannot choose one themselves."""

from __future__ import annotations

import random
import socket
from contextlib import suppress


def free_ports(count: int) -> list[int]:
    """Return ports that are free now.

    They are below those of outgoing calls, one of which could take a port before the daemon does,
    and outside those of Ray's workers, 10002 to 19999.
    """
    ports: set[int] = set()
    while len(ports) < count:
        port = random.randint(20_000, 32_000)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("0.0.0.0", port))
            ports.add(port)
    return [*ports]
