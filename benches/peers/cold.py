"""Cold starts: from exec to the first right answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import procfs
from .database import Database
from .processes import Cores
from .registry import Peer
from .results import ColdStart, Results
from .rounds import FAILURES
from .server import Server
from .verify import verify
from .workloads import Workload

WORKLOADS = ("wsgi_hello", "flask_hello", "django", "gql_hello")
"""Where a start is of interest: one answer that needs all of the application."""

_REST_SECONDS = 0.2


def cold_starts(
    rounds: int,
    cores: Cores,
    database: Database,
    results: Results,
    path: Path,
    workloads: Sequence[Workload],
    peers: Sequence[Peer],
) -> None:
    """Starts each peer `rounds` times, in turns."""
    todo = [
        (workload, peer)
        for workload in workloads
        for peer in peers
        if workload.name in WORKLOADS and workload.group == peer.group and workload.name in peer.targets
    ]
    for _ in range(rounds):
        for workload, peer in todo:
            try:
                start = _start(workload, peer, cores, database)
            except FAILURES as error:
                print(f"{workload.name:11} {peer.name:20} FAILED: {error}", file=sys.stderr)
                results.failed[f"cold {workload.name}/{peer.name}"] = str(error)
                continue
            results.cold.setdefault(workload.name, {}).setdefault(peer.name, []).append(start)
            print(f"{workload.name:11} {peer.name:20} {start.seconds * 1000:7.0f} ms", file=sys.stderr)
        results.save(path)


def _start(workload: Workload, peer: Peer, cores: Cores, database: Database) -> ColdStart:
    server = Server(peer, cores.server, database.url)
    try:
        seconds = server.wait(workload)
        time.sleep(_REST_SECONDS)
        cpu, rss = procfs.cpu(server.pid).total, procfs.rss_mib(server.pid)
        verify(server, workload)
        return ColdStart(seconds, cpu, rss)
    finally:
        server.stop()
