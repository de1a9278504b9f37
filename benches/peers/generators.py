"""The programs that make the load: wrk, and h2load for HTTP/2."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import places
from .errors import BenchError
from .server import Server
from .workloads import Workload, encode

_GRACE_SECONDS = 60
_DEBIAN_PACKAGES = {"wrk": "wrk", "h2load": "nghttp2-client"}


@dataclass(frozen=True)
class Counted:
    """What a generator counted; `failed` are requests without an answer, or with a status that is not 2xx."""

    requests: int
    seconds: float
    bytes: int
    failed: int
    p50_ms: float
    p99_ms: float
    max_ms: float


def require(*programs: str) -> None:
    """Raises BenchError with advice if a load generator is missing."""
    for program in programs:
        if shutil.which(program) is None:
            raise BenchError(
                f"the load generator {program} is missing: install it "
                f"(Debian, Ubuntu: apt-get install {_DEBIAN_PACKAGES[program]})"
            )


def generate(server: Server, workload: Workload, seconds: int, core: int) -> Counted:
    """Loads `server` from `core`.

    Raises:
        BenchError: the generator failed.
    """
    return (_h2load if workload.http2 else _wrk)(server, workload, seconds, core)


def _wrk(server: Server, workload: Workload, seconds: int, core: int) -> Counted:
    path, body = server.peer.target(workload)
    environment = {
        **os.environ,
        "BENCH_BODY": "" if body is None else encode(body),
        "BENCH_FROM": str(time.time_ns() // 1000 % 10**9),
    }
    command = ["wrk", "-t1", f"-c{workload.connections}", f"-d{seconds}s", "--timeout", "15s"]
    command += ["-s", str(places.PEERS / "load.lua"), server.url(workload, path)]
    said = _run(command, seconds, core, environment)
    for line in said.splitlines():
        if line.startswith("BENCH "):
            counted = json.loads(line.removeprefix("BENCH "))
            return Counted(
                requests=counted["requests"],
                seconds=counted["duration_us"] / 1e6,
                bytes=counted["bytes"],
                failed=counted["failed"] + counted["status"],
                p50_ms=counted["p50_us"] / 1e3,
                p99_ms=counted["p99_us"] / 1e3,
                max_ms=counted["max_us"] / 1e3,
            )
    raise BenchError(f"wrk said: {said[-500:]}")


def _h2load(server: Server, workload: Workload, seconds: int, core: int) -> Counted:
    """Four streams on each of a fourth as many connections."""
    path, _ = server.peer.target(workload)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        command = ["h2load", "-t1", f"-c{workload.connections // 4}", "-m4", f"-D{seconds}"]
        said = _run(
            [*command, f"--log-file={log}", server.url(workload, path)], seconds, core, dict(os.environ)
        )
        took = sorted(int(line.split()[2]) / 1e3 for line in log.read_text().splitlines())
    good = re.search(r"status codes: (\d+) 2xx", said)
    failed = re.search(r"(\d+) failed", said)
    traffic = re.search(r"\((\d+)\) total", said)
    if good is None or failed is None or traffic is None or len(took) < 2:
        raise BenchError(f"h2load said: {said[-500:]}")
    cuts = statistics.quantiles(took, n=100)
    requests = int(good[1])
    failures = int(failed[1]) + max(0, len(took) - requests)
    return Counted(requests, float(seconds), int(traffic[1]), failures, cuts[49], cuts[98], took[-1])


def _run(command: Sequence[str], seconds: int, core: int, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds + _GRACE_SECONDS,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        check=False,
    )
    return done.stdout
