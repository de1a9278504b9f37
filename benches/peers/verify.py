"""Whether a peer gives the one true answer."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from .errors import PeerError
from .server import Server
from .workloads import Workload

_CLIENTS = 8
_REQUESTS = 24
_SHOWN = 300


def verify(server: Server, workload: Workload) -> str:
    """Asks under parallel clients: "bytes" if every answer is equal, "json" if equal once parsed.

    Raises:
        PeerError: another status, or another answer.
    """
    with ThreadPoolExecutor(_CLIENTS) as clients:
        answers = list(clients.map(lambda _: server.ask(workload), range(_REQUESTS)))
    equal = "bytes"
    for status, body in answers:
        if status != 200:
            raise PeerError(f"status {status}: {body[:_SHOWN]!r}")
        if body != workload.expect:
            if not _same_json(body, workload.expect):
                raise PeerError(f"wrong answer: {body[:_SHOWN]!r}")
            equal = "json"
    return equal


def _same_json(left: bytes, right: bytes) -> bool:
    try:
        return bool(json.loads(left) == json.loads(right))
    except ValueError:
        return False
