"""One round: the load on a server that runs, and what it cost."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from dataclasses import asdict, dataclass
from typing import Any

from peers import places, processes, procfs
from peers.errors import PeerError
from peers.processes import Cores
from peers.valkey import Valkey

from .servers import Server, Side
from .workloads import EACH, SIZE, SOCKETS, Workload

_PROGRAM = places.FLOORS_TARGET / "release" / "bench-fanout-load"
_DRAIN_SECONDS = 10
_GRACE_SECONDS = 120


@dataclass(frozen=True)
class Round:
    """What one round saw; CPU in microseconds for each frame that arrived.

    Attributes:
        published: messages, while it was measured.
        delivered: frames that arrived while it was measured.
        p50_ms: from just before a message is published to a client's having its text; so `p99_ms`, `max_ms`.
        cpu_us: of the server's whole process tree.
        valkey_us: Valkey's.
        server_core_used: the server's share of its core.
        load_core_used: how busy the core of the load and Valkey was.
        wrong: messages that were passed over, came twice, or late, or were not ours; in the whole run.
        outstanding: frames that had not come 10 s after the last message.
        closed: whether a socket ended early.
    """

    published: int
    delivered: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: float
    valkey_us: float
    server_core_used: float
    load_core_used: float
    rss_mib: float
    wrong: int
    outstanding: int
    closed: bool

    @property
    def complete(self) -> bool:
        """Whether every message reached each of its subscribers exactly once and in order."""
        return not (self.wrong or self.outstanding or self.closed)

    def kept_up(self, workload: Workload) -> bool:
        """Whether it was published at the rate that was asked for, and as much arrived meanwhile."""
        published = self.published >= 0.98 * workload.rate * self.seconds
        return published and self.delivered >= 0.98 * self.published * workload.subscribers

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)


@dataclass(frozen=True)
class _Used:
    """CPU so far."""

    server: float
    valkey: float
    load_core: float

    @classmethod
    def now(cls, server: Server, valkey: Valkey, cores: Cores) -> _Used:
        return cls(
            procfs.cpu(server.pid).total, procfs.cpu(valkey.pid).total, procfs.cores()[cores.load].busy
        )


def run(side: Side, workload: Workload, cores: Cores, seconds: int, warm: int) -> Round:
    """Starts Valkey and the side's server, loads it, and stops both.

    Raises:
        PeerError: the server or the load failed.
    """
    with Valkey(cores.load) as valkey:
        server = Server(side, cores.server, valkey.url)
        try:
            return _load(side, workload, server, valkey, cores, seconds, warm)
        finally:
            server.stop()


def _load(
    side: Side, workload: Workload, server: Server, valkey: Valkey, cores: Cores, seconds: int, warm: int
) -> Round:
    publisher = None if side.publisher is None else side.argv(side.publisher, valkey.url)
    settings = {
        "url": f"ws://127.0.0.1:{server.port}{side.path}",
        "redis_url": valkey.url,
        "publisher": publisher,
        "sockets": SOCKETS,
        "channels": workload.channels,
        "each": EACH,
        "rate": workload.rate,
        "warm_seconds": warm,
        "seconds": seconds,
        "drain_seconds": _DRAIN_SECONDS,
        "size": SIZE,
    }
    log = places.LOGS / f"fanout-load-{side.name}.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [str(_PROGRAM), json.dumps(settings)],
            cwd=places.APPS / side.directory,
            env={**processes.plain_environment(), **side.variables(valkey.url)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {cores.load}),
        )
    watch = threading.Timer(seconds + warm + _GRACE_SECONDS, process.kill)
    watch.start()
    try:
        assert process.stdout is not None
        said = iter(process.stdout)
        _expect(next(said, ""), "begin", log)
        before = _Used.now(server, valkey, cores)
        _expect(next(said, ""), "end", log)
        after = _Used.now(server, valkey, cores)
        rss = procfs.rss_mib(server.pid)
        counted = next(said, "")
        if not counted:
            raise PeerError(f"the load failed; see {log}")
        return _round(json.loads(counted), before, after, rss)
    finally:
        watch.cancel()
        processes.stop(process)


def _expect(said: str, word: str, log: object) -> None:
    if said.strip() != word:
        raise PeerError(f"the load failed; see {log}")


def _round(counted: dict[str, Any], before: _Used, after: _Used, rss: float) -> Round:
    seconds, delivered = counted["seconds"], counted["delivered"]
    if not delivered:
        raise PeerError("nothing arrived")
    server = after.server - before.server
    return Round(
        published=counted["published"],
        delivered=delivered,
        seconds=seconds,
        p50_ms=counted["p50_ms"],
        p99_ms=counted["p99_ms"],
        max_ms=counted["max_ms"],
        cpu_us=server / delivered * 1e6,
        valkey_us=(after.valkey - before.valkey) / delivered * 1e6,
        server_core_used=server / seconds,
        load_core_used=(after.load_core - before.load_core) / seconds,
        rss_mib=rss,
        wrong=counted["skipped"] + counted["repeated"] + counted["strange"],
        outstanding=counted["outstanding"],
        closed=counted["closed"],
    )
