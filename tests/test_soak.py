"""Mixed traffic for a while: what some clients and the operator do must not harm the others.

Well-behaved clients share a server of three workers with clients that send nonsense, send slowly or leave in
the middle, while workers are killed, recycled and reloaded. No answer may be refused or cut, memory and open
files stay flat. PUFF_SOAK sets the seconds: 20 by default, 120 in CI, 1800 before a release.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from load import Load
from stack import Serve, Server
from support import eventually
from test_workers import APP, log_has, workers

SECONDS = float(os.environ.get("PUFF_SOAK", "20"))

NONSENSE = [
    b"\x00\x01\x02\x03\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


class Rudeness:
    """Clients that behave badly, each in a thread, until they are told to stop."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.stop = threading.Event()
        self.done = 0
        kinds = (self._nonsense, self._slow, self._reset, self._half_read, self._silent)
        self.threads = [threading.Thread(target=self._repeat, args=(kind,), daemon=True) for kind in kinds]

    def __enter__(self) -> Rudeness:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(30)

    def _repeat(self, behave: Callable[[socket.socket], object]) -> None:
        while not self.stop.wait(0.02):
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                    behave(connection)
                self.done += 1

    def _nonsense(self, connection: socket.socket) -> None:
        connection.sendall(random.choice(NONSENSE))
        while connection.recv(65536):
            pass

    def _slow(self, connection: socket.socket) -> None:
        for byte in b"GET / HTTP/1.1\r\nHost: x\r\n":
            connection.sendall(bytes([byte]))
            if self.stop.wait(0.05):
                return

    def _reset(self, connection: socket.socket) -> None:
        connection.sendall(b"GET /nap HTTP/1.1\r\nHost: x\r\n\r\n" * random.choice([1, 20]))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _half_read(self, connection: socket.socket) -> None:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(10)

    def _silent(self, _: socket.socket) -> None:
        self.stop.wait(1)


@contextlib.contextmanager
def slow_clients(port: int) -> Iterator[None]:
    """Debian's slowhttptest, where it is installed: half a hundred slow heads and slow readers."""
    program = shutil.which("slowhttptest")
    if program is None:
        yield
        return
    url = f"http://127.0.0.1:{port}/"
    length = str(int(SECONDS) + 5)
    kinds = [["-H", "-i", "1"], ["-X", "-n", "1", "-w", "10", "-y", "20", "-z", "5"]]
    processes = [
        subprocess.Popen(
            [program, *kind, "-c", "50", "-r", "25", "-l", length, "-u", url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for kind in kinds
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def resources(pids: list[int]) -> tuple[float, int]:
    """Resident MiB and open files of processes, together."""
    memory, files = 0.0, 0
    for pid in pids:
        status = Path(f"/proc/{pid}/status").read_text()
        memory += int(status.split("VmRSS:")[1].split()[0]) / 1024
        files += len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return memory, files


@pytest.mark.parametrize("kills", [False, True], ids=["reloads", "kills"])
def test_mixed_traffic(tmp_path: Path, serve: Serve, kills: bool) -> None:
    (tmp_path / "app.py").write_text(APP)
    limits = [
        "--header-timeout",
        "3s",
        "--body-timeout",
        "3s",
        "--write-timeout",
        "5s",
        "--idle-timeout",
        "5s",
    ]
    chance = random.Random(int(kills))
    deadline = time.monotonic() + SECONDS / 2
    actions = 0
    with serve(
        "--wsgi", "app:app", "--workers", "3", "--worker-requests", "20000", *limits, cwd=tmp_path
    ) as server:
        assert log_has(server, "with 3 workers")
        first = resources([server.process.pid])
        with Load(server.port) as load, Rudeness(server.port) as rude, slow_clients(server.port):
            load.wait_for(200)
            while time.monotonic() < deadline:
                time.sleep(chance.uniform(0.5, 2.0))
                if kills and len(workers(server)) == 3:
                    os.kill(chance.choice(workers(server)), signal.SIGKILL)
                elif not kills:
                    server.process.send_signal(signal.SIGHUP)
                actions += 1
                load.errors.extend(() if server.process.poll() is None else ("the supervisor has ended",))
                if not kills:
                    load.assert_flawless()
            load.wait_for(200)
        assert actions > 0
        assert rude.done > 0
        # A client has one request at a time, so that is what the death of a worker may cost.
        allowed = 6 * actions if kills else 0
        assert len(load.errors) <= allowed, (actions, load.count, load.errors[:5])
        assert len(load.errors) < load.count / 20
        settled(server, first)
        assert server.stop() == 0


def settled(server: Server, first: tuple[float, int]) -> None:
    """The supervisor holds no more than at its start; the workers hold what three young ones do."""
    assert eventually(lambda: len(workers(server)) == 3, 60)
    memory, files = resources([server.process.pid])
    assert files <= first[1] + 12, (files, first)
    assert memory <= first[0] + 20, (memory, first)
    assert eventually(lambda: resources(workers(server))[1] < 3 * 60, 30)


def test_one_server_stays_flat(tmp_path: Path, serve: Serve) -> None:
    """Without a supervisor: the same process from the beginning to the end."""
    (tmp_path / "app.py").write_text(APP)
    limits = ["--header-timeout", "2s", "--write-timeout", "3s", "--idle-timeout", "3s"]
    with serve("--wsgi", "app:app", *limits, cwd=tmp_path) as server:
        pid = server.process.pid
        with Load(server.port) as load, Rudeness(server.port), slow_clients(server.port):
            # The allocators have what they keep after a while; how long that takes says nothing.
            load.wait_for(3000, 120)
            time.sleep(SECONDS / 4)
            memory, _ = resources([pid])
            time.sleep(SECONDS / 4)
            load.wait_for(500)
        load.assert_flawless()
        assert eventually(lambda: resources([pid])[1] < 60, 30)
        assert resources([pid])[0] < memory * 1.2 + 10
        assert server.stop() == 0
