"""Ports for servers that begin to listen a while after their port was chosen."""

import os
import random
import socket

_PORTS = range(20_000, 30_000)
"""Below those that the kernel gives to every connection that is opened, one of which could have the port before the server has it."""
_PROCESSES = 10
_chance = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """A port of the loopback address that nothing uses, and that no other process of this run of tests chooses meanwhile."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = _PORTS[worker % _PROCESSES :: _PROCESSES]
    while True:
        port = _chance.choice(own)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def free_ports(count: int) -> list[int]:
    """So many of them."""
    return [free_port() for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
