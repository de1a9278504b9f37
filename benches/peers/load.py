"""One round of load on one server, and what it cost."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, field

from . import procfs
from .errors import PeerError
from .generators import generate
from .processes import Cores
from .results import Round
from .server import Server
from .workloads import Workload


def load(server: Server, workload: Workload, seconds: int, cores: Cores, database: int) -> Round:
    """Loads `server` for `seconds`; `database` is PostgreSQL's pid.

    Raises:
        PeerError: it gave no answer.
    """
    before = _Usage(server.pid, database)
    counted = generate(server, workload, seconds, cores.load)
    after = _Usage(server.pid, database)
    requests = counted.requests
    if not requests:
        raise PeerError("no answer at all under load")
    wall = after.wall - before.wall
    cpu = after.server - before.server
    pg = after.database - before.database
    generator = after.children - before.children
    on_server_core = after.busy(cores.server) - before.busy(cores.server)
    on_load_core = after.busy(cores.load) - before.busy(cores.load)
    return Round(
        requests=requests,
        requests_per_second=requests / counted.seconds,
        p50_ms=counted.p50_ms,
        p99_ms=counted.p99_ms,
        max_ms=counted.max_ms,
        user_us=cpu.user / requests * 1e6,
        system_us=cpu.system / requests * 1e6,
        database_us=pg / requests * 1e6,
        failed=counted.failed,
        bytes_per_request=counted.bytes / requests,
        server_core_used=cpu.total / wall,
        others_on_server_core=max(0.0, on_server_core - cpu.total) / wall,
        others_on_load_core=max(0.0, on_load_core - pg - generator) / wall,
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
