"""One round of load on one server, and what it cost."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

from . import places, procfs
from .errors import BenchError, PeerError
from .processes import Cores
from .results import Round
from .server import Server
from .workloads import Workload, encode

_GRACE_SECONDS = 60


def require_wrk() -> None:
    """Raises BenchError with advice if the load generator is missing."""
    if shutil.which("wrk") is None:
        raise BenchError(
            "the load generator wrk is missing: install it (Debian, Ubuntu: apt-get install wrk)"
        )


def load(server: Server, workload: Workload, seconds: int, cores: Cores, database: int) -> Round:
    """Loads `server` for `seconds`; `database` is PostgreSQL's pid.

    Raises:
        PeerError: it gave no answer.
    """
    before = _Usage(server.pid, database)
    counted = _wrk(server, workload, seconds, cores.load)
    after = _Usage(server.pid, database)
    requests: int = counted["requests"]
    if not requests:
        raise PeerError("no answer at all under load")
    wall = after.wall - before.wall
    cpu = after.server - before.server
    pg = after.database - before.database
    wrk = after.children - before.children
    on_server_core = after.busy(cores.server) - before.busy(cores.server)
    on_load_core = after.busy(cores.load) - before.busy(cores.load)
    return Round(
        requests=requests,
        requests_per_second=requests / (counted["duration_us"] / 1e6),
        p50_ms=counted["p50_us"] / 1e3,
        p99_ms=counted["p99_us"] / 1e3,
        max_ms=counted["max_us"] / 1e3,
        user_us=cpu.user / requests * 1e6,
        system_us=cpu.system / requests * 1e6,
        database_us=pg / requests * 1e6,
        failed=counted["failed"] + counted["status"],
        bytes_per_request=counted["bytes"] / requests,
        server_core_used=cpu.total / wall,
        others_on_server_core=max(0.0, on_server_core - cpu.total) / wall,
        others_on_load_core=max(0.0, on_load_core - pg - wrk) / wall,
        steal=(after.steal - before.steal) / wall,
        rss_mib=procfs.rss_mib(server.pid),
        threads=procfs.threads(server.pid),
    )


@dataclass
class _Usage:
    """Counters at one moment."""

    server_pid: int
    database_pid: int
    wall: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.server = procfs.cpu(self.server_pid)
        self.database = procfs.cpu_seconds(self.database_pid)
        self._cores = procfs.cores()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.children = used.ru_utime + used.ru_stime

    def busy(self, core: int) -> float:
        """Busy seconds of one core."""
        return self._cores[core].busy

    @property
    def steal(self) -> float:
        """Seconds that the hypervisor kept all cores from us."""
        return sum(core.steal for core in self._cores.values())


def _wrk(server: Server, workload: Workload, seconds: int, core: int) -> dict[str, Any]:
    path, body = server.peer.target(workload)
    environment = {
        **os.environ,
        "BENCH_BODY": "" if body is None else encode(body),
        "BENCH_FROM": str(time.time_ns() // 1000 % 10**9),
    }
    command = ["wrk", "-t1", f"-c{workload.connections}", f"-d{seconds}s", "--timeout", "15s"]
    done = subprocess.run(
        [*command, "-s", str(places.PEERS / "load.lua"), f"http://127.0.0.1:{server.port}{path}"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds + _GRACE_SECONDS,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        check=False,
    )
    for line in done.stdout.splitlines():
        if line.startswith("BENCH "):
            counted: dict[str, Any] = json.loads(line.removeprefix("BENCH "))
            return counted
    raise BenchError(f"wrk said: {done.stdout[-500:]}")
