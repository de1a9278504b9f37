"""Mixed traffic for a while: what some clients and the operator do must not harm the others.

Well-behaved clients share a server with clients that send nonsense, send slowly or leave in the middle, while
workers are killed, recycled and reloaded. No answer may be refused or cut, memory and open files stay flat.
PUFF_SOAK sets the seconds for all of it: 20 by default, 120 in CI, 1800 in `make soak`, which also shows the
figures.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import signal
import time
from pathlib import Path

import pytest
from load import Load
from rudeness import Rudeness, slow_clients
from stack import Serve, Server
from support import eventually
from test_workers import log_has, workers
from visitors import APP, FILE, Visitors

SECONDS = float(os.environ.get("PUFF_SOAK", "20")) / 3
LIMITS = [
    *("--header-timeout", "10s", "--body-timeout", "10s", "--write-timeout", "5s", "--idle-timeout", "5s"),
    *("--static", "/static=public"),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "puff.toml").write_text('wsgi = "app:app"\n')
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "file.bin").write_bytes(FILE)
    return tmp_path


@dataclasses.dataclass(frozen=True)
class Held:
    """What processes hold together."""

    memory: float
    """Resident MiB."""
    files: int

    @classmethod
    def by(cls, *pids: int) -> Held:
        memory, files = 0.0, 0
        for pid in pids:
            with contextlib.suppress(OSError, IndexError):  # one that has just ended
                status = Path(f"/proc/{pid}/status").read_text()
                memory += int(status.split("VmRSS:")[1].split()[0]) / 1024
                files += len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(memory, files)

    def __str__(self) -> str:
        return f"{self.memory:.0f} MiB, {self.files} files"


class Traffic:
    """All kinds of clients at once."""

    def __init__(self, server: Server) -> None:
        self.load = Load(server.port)
        self.visitors = Visitors(server.port)
        self.rude = Rudeness(server.port)
        self._slow = slow_clients(server.port, SECONDS)

    def __enter__(self) -> Traffic:
        for clients in (self.load, self.visitors, self.rude, self._slow):
            clients.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for clients in (self._slow, self.rude, self.visitors, self.load):
            clients.__exit__(None, None, None)

    @property
    def errors(self) -> list[str]:
        return [*self.load.errors, *self.visitors.errors]

    @property
    def answers(self) -> int:
        return self.load.count + sum(self.visitors.visits.values())

    def assert_flawless(self) -> None:
        assert not self.errors, (len(self.errors), self.answers, self.errors[:5])

    def __str__(self) -> str:
        visits = ", ".join(f"{count} {kind}" for kind, count in sorted(self.visitors.visits.items()))
        again = self.load.repeated + sum(self.visitors.again.values())
        return (
            f"{self.load.count} requests, {visits}; {again} asked again, {len(self.errors)} failed;"
            f" {self.rude.done} rude clients"
        )


@pytest.mark.parametrize("kills", [False, True], ids=["reloads", "kills"])
def test_mixed_traffic(project: Path, serve: Serve, kills: bool) -> None:
    chance = random.Random(int(kills))
    actions = 0
    with serve("--workers", "3", "--worker-requests", "5000", *LIMITS, cwd=project) as server:
        assert log_has(server, "with 3 workers")
        first = Held.by(server.process.pid)
        with Traffic(server) as traffic:
            traffic.load.wait_for(200, 120)
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                time.sleep(chance.uniform(0.5, 2.0))
                if kills and len(workers(server)) == 3:
                    os.kill(chance.choice(workers(server)), signal.SIGKILL)
                elif not kills:
                    server.process.send_signal(signal.SIGHUP)
                actions += 1
                assert server.process.poll() is None, "the supervisor has ended"
                if not kills:
                    traffic.assert_flawless()
            traffic.load.wait_for(200, 120)
        print(f"{actions} {'kills' if kills else 'reloads'} in {SECONDS:.0f} s: {traffic}")
        assert actions > 0
        assert traffic.rude.done > 0
        # A client has one request at a time, so that is what the death of a worker may cost.
        allowed = 12 * actions if kills else 0
        assert len(traffic.errors) <= allowed, (actions, traffic.answers, traffic.errors[:5])
        assert len(traffic.errors) < traffic.answers / 20
        settled(server, first)
        assert server.stop() == 0


def settled(server: Server, first: Held) -> None:
    """The supervisor holds no more than at its start; the workers hold what three young ones do."""
    assert eventually(lambda: len(workers(server)) == 3, 60)
    now = Held.by(server.process.pid)
    print(f"the supervisor held {first} at first, {now} at the end")
    assert now.files <= first.files + 12
    assert now.memory <= first.memory + 20
    assert eventually(lambda: Held.by(*workers(server)).files < 3 * 60, 30)
    print(f"the workers hold {Held.by(*workers(server))} at the end")


def test_one_server_stays_flat(project: Path, serve: Serve) -> None:
    """Without a supervisor: the same process from the beginning to the end."""
    with serve(*LIMITS, cwd=project) as server:
        pid = server.process.pid
        with Traffic(server) as traffic:
            # The allocators have what they keep after a while; how long that takes says nothing.
            traffic.load.wait_for(3000, 120)
            held = [Held.by(pid)]
            for _ in range(8):
                time.sleep(SECONDS / 8)
                held.append(Held.by(pid))
            traffic.load.wait_for(500, 120)
        print(f"{SECONDS:.0f} s: {traffic}")
        traffic.assert_flawless()
        assert eventually(lambda: Held.by(pid).files < 60, 30)
        held.append(Held.by(pid))
        print("one server held", "; ".join(map(str, held)))
        warm = max(sample.memory for sample in held[:5])
        assert held[-1].memory < warm * 1.1 + 10, held
        assert server.stop() == 0
