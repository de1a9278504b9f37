"""`python -m graphql_engine.memory`, in the folder `benches`: the memory of answers with 10,000 rows.

A server with a private PostgreSQL is asked by more and more clients at once, and the most memory that it
has had is read from the kernel. Clients either read at once, or not before all of them have asked and the
server has had time to finish: then it holds what the kernel does not take. The slope over the number of
clients is what one more request takes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from peers.machine import machine
from peers.tables import table, verdicts

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
PAUSE = 3.0
"""Seconds in which the server finishes all answers that nobody reads yet."""

MOST = 3.0
"""How many times an answer's own size one more request may take."""

PUFF = Path(sys.executable).parent / "puff"
START_SECONDS = 60.0
FIELDS = "{ id name body price odd created }"


def main() -> int:
    """Measures and prints the tables; the status is 1 if a request takes more than it may."""
    parser = argparse.ArgumentParser(prog="python -m graphql_engine.memory", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory(prefix="puff-bench-") as name:
        folder = Path(name)
        shutil.copy(Path(__file__).parent / "app.py", folder)
        try:
            is_met = _measure(folder, arguments.rows)
        finally:
            for command in (["stop"], ["reset", "--yes"]):
                subprocess.run([PUFF, "db", *command], cwd=folder, capture_output=True, check=False)
    return 0 if is_met else 1


def _measure(folder: Path, rows: int) -> bool:
    about = machine()
    print(f"{about['date']}, {about['cores']} cores of {about['cpu']}, commit {about['commit']}\n")
    judged = []
    for field in ("rows", "objects"):
        size, found = 0, []
        for slow in (False, True):
            peaks = []
            for clients in CLIENTS:
                # Each time a new server: an allocator keeps what it once had.
                with _server(folder) as (pid, port):
                    body = _body(field, rows)
                    size = len(_ask(port, body))
                    _forget_peak(pid)
                    before = _status_mib(pid, "VmRSS")
                    _ask_all(port, body, clients, PAUSE if slow else 0.0)
                    peaks.append(_status_mib(pid, "VmHWM") - before)
            found.append(peaks)
        print(f"`{field}`, {rows:,} of them: {size / 1e6:.2f} MB in an answer\n")
        head = ["additional MiB at the peak", *(f"{count} clients" for count in CLIENTS), "each more"]
        titles = ("clients that read at once", "clients that read when all is answered")
        lines = [
            [title, *(f"{peak:.1f}" for peak in peaks), f"{_slope(CLIENTS, peaks):.2f}"]
            for title, peaks in zip(titles, found, strict=True)
        ]
        print(table(head, lines), "\n", flush=True)
        judged += [
            (f"{field}, {title}: x the answer's size", MOST, _slope(CLIENTS, peaks) * 1.048576 / (size / 1e6))
            for title, peaks in zip(titles, found, strict=True)
        ]
    print(verdicts(judged))
    return all(ratio <= most for _, most, ratio in judged)


@contextmanager
def _server(folder: Path) -> Iterator[tuple[int, int]]:
    """A server of the folder's schema: the number of its process, and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PUFF_")}
    kept.pop("DATABASE_URL", None)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [PUFF, "runserver", "--bind", f"127.0.0.1:{port}", "--graphql", "app:Schema"],
            cwd=folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, port, folder / "server.log")
        yield process.pid, port
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise SystemExit(f"the server does not answer:\n{log.read_text()}")


def _body(field: str, rows: int) -> bytes:
    query = f"query($count: Int!) {{ {field}(count: $count) {FIELDS} }}"
    return json.dumps({"query": query, "variables": {"count": rows}}).encode()


def _ask(port: int, body: bytes, sent: threading.Barrier | None = None, pause: float = 0.0) -> bytes:
    """Return an answer's body, which is not read before all have asked and `pause` is over."""
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.socket() as connection:
        # A small window, so that what is not read stays in the server.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(120)
        connection.connect(("127.0.0.1", port))
        if sent is not None:
            sent.wait()
        connection.sendall(head.encode() + body)
        time.sleep(pause)
        found = bytearray()
        while part := connection.recv(1 << 16):
            found += part
    status, _, answer = bytes(found).partition(b"\r\n\r\n")
    if not status.startswith(b"HTTP/1.1 200") or b'"errors"' in answer[-2000:]:
        raise SystemExit(f"a wrong answer: {status!r} {answer[:500]!r}")
    return answer


def _ask_all(port: int, body: bytes, clients: int, pause: float) -> None:
    sent = threading.Barrier(clients)
    threads = [threading.Thread(target=_ask, args=(port, body, sent, pause)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status_mib(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def _slope(counts: Sequence[int], peaks: Sequence[float]) -> float:
    """The slope of the line through the points, by least squares."""
    x, y = sum(counts) / len(counts), sum(peaks) / len(peaks)
    both = sum((count - x) * (peak - y) for count, peak in zip(counts, peaks, strict=True))
    return both / sum((count - x) ** 2 for count in counts)


if __name__ == "__main__":
    sys.exit(main())
