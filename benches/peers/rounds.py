"""The measurement: all servers of a group up at once, rounds taken in turns."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .database import Database
from .errors import PeerError
from .load import load
from .processes import Cores
from .registry import Peer
from .results import Measured, Results, Round
from .server import Server
from .verify import verify
from .workloads import Workload

FAILURES = (PeerError, OSError, subprocess.TimeoutExpired)
"""What a peer may fail with; the others go on without it."""

_FRESH_WARM_SECONDS = 1


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        rounds: rounds of each peer on each workload.
        seconds: of load in a round.
        warm_seconds: of load before the first round, not counted.
    """

    rounds: int = 5
    seconds: int = 3
    warm_seconds: int = 3


class Servers:
    """The running servers of one group; `stop` ends them."""

    def __init__(self, core: int, pg_url: str) -> None:
        self._core, self._pg_url = core, pg_url
        self._running: dict[str, Server] = {}

    @contextmanager
    def lease(self, peer: Peer, workload: Workload) -> Iterator[Server]:
        """The peer's server, answering: a new one for a workload that asks for it, else the one that runs.

        Raises:
            PeerError: it does not start.
        """
        running = None if workload.fresh else self._running.get(peer.name)
        if running is not None:
            yield running
            return
        server = Server(peer, self._core, self._pg_url)
        try:
            server.wait(workload)
            if not workload.fresh:
                self._running[peer.name] = server
            yield server
        finally:
            if self._running.get(peer.name) is not server:
                server.stop()

    def stop(self) -> None:
        """Ends all that run."""
        for server in self._running.values():
            server.stop()
        self._running.clear()


class Measurement:
    """One run; `results` grows and is saved as it goes."""

    def __init__(self, plan: Plan, cores: Cores, database: Database, results: Results, path: Path) -> None:
        self._plan, self._cores, self._database = plan, cores, database
        self._results, self._path = results, path

    def run(self, workloads: Sequence[Workload], peers: Sequence[Peer]) -> None:
        """Measures every workload on every peer that serves it."""
        for group in dict.fromkeys(workload.group for workload in workloads):
            servers = Servers(self._cores.server, self._database.url)
            try:
                for workload in workloads:
                    if workload.group == group:
                        serving = [p for p in peers if p.group == group and workload.name in p.targets]
                        self._measure(workload, serving, servers)
            finally:
                servers.stop()

    def _measure(self, workload: Workload, peers: list[Peer], servers: Servers) -> None:
        if workload.fresh:
            servers.stop()
        for number in range(self._plan.rounds + 1):
            # Who goes first rotates, so that no peer always follows the same one.
            first = number % max(1, len(peers))
            for peer in peers[first:] + peers[:first]:
                try:
                    with servers.lease(peer, workload) as server:
                        self._round(number, workload, server)
                except FAILURES as error:
                    print(f"{workload.name:11} {peer.name:20} FAILED: {error}", file=sys.stderr)
                    self._results.failed[f"{workload.name}/{peer.name}"] = str(error)
                    peers = [each for each in peers if each is not peer]
            self._results.save(self._path)

    def _round(self, number: int, workload: Workload, server: Server) -> None:
        """Round 0 checks the answer and warms up; the last one checks again."""
        record = self._results.workloads.setdefault(workload.name, {}).setdefault(
            server.peer.name, Measured(server.peer.note)
        )
        if number == 0:
            record.equal = verify(server, workload)
        if number == 0:
            self._load(server, workload, self._plan.warm_seconds)
        elif workload.fresh:
            self._load(server, workload, _FRESH_WARM_SECONDS)
        if number > 0:
            measured = self._load(server, workload, self._plan.seconds)
            record.rounds.append(measured)
            _show(number, workload, server, measured)
        if number == self._plan.rounds:
            verify(server, workload)

    def _load(self, server: Server, workload: Workload, seconds: int) -> Round:
        return load(server, workload, seconds, self._cores, self._database.pid)


def _show(number: int, workload: Workload, server: Server, measured: Round) -> None:
    said = (
        f"round {number}",
        f"{measured.requests_per_second:8.0f} req/s",
        f"p99 {measured.p99_ms:7.2f} ms",
        f"CPU {measured.cpu_us:8.1f} us",
        f"PostgreSQL {measured.database_us:6.1f} us",
        f"core {measured.server_core_used:4.0%}",
        f"others {measured.others_on_server_core:4.0%}",
        f"failed {measured.failed}",
    )
    print(f"{workload.name:11} {server.peer.name:20} {', '.join(said)}", file=sys.stderr)
