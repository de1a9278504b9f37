"""How much memory a server takes, and what each connection, waiting request and WebSocket adds to it.

    cd benches && python footprint.py

Private memory of the process tree (`Private_Clean` and `Private_Dirty` of /proc/PID/smaps_rollup), after a
warm-up, and again with a thousand of each: the difference divided by a thousand is what one takes. The
load is plain sockets of this process.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

COUNT = 1000
SECONDS = 60.0
PLAIN = """
import puff

pubsub = puff.global_pubsub()


@puff.websocket("/quiet")
def quiet(ws):
    for _ in ws:
        pass


@puff.websocket("/bound")
def bound(ws):
    ws.bind("channel")
    for _ in ws:
        pass


def app(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        puff.sleep(600)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
FLASK = """
from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "ok"
"""
DJANGO = """
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="x",
    INSTALLED_APPS=[f"django.contrib.{app}" for app in "admin auth contenttypes sessions messages".split()],
    DATABASES={"default": {"ENGINE": "puff.contrib.django.postgresql"}},
)
django.setup()
urlpatterns = [path("", lambda request: HttpResponse("ok"))]
app = get_wsgi_application()
"""
GET = "GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
)


class Server:
    """A running `puff runserver`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def ask(self, path: str, request: str = GET, answer: bytes = b"ok") -> socket.socket:
        """A connection on which a request was sent, and its answer read if one is awaited."""
        made = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
        key = base64.b64encode(os.urandom(16)).decode()
        made.sendall(request.format(path=path, key=key).encode())
        got = b""
        while answer and answer not in got:
            got += made.recv(4096)
        return made

    def memory(self) -> float:
        """MiB that its processes have for themselves, once that stands still."""
        before, now = -1.0, self._memory()
        while abs(now - before) > 0.1:
            time.sleep(0.5)
            before, now = now, self._memory()
        return now

    def _memory(self) -> float:
        pids = [self.process.pid]
        for pid in pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
        return sum(_private(pid) for pid in set(pids)) / 1024


def _private(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


@contextlib.contextmanager
def serving(app: str, *options: str) -> Iterator[Server]:
    """The application in a folder of its own, on a free port; nothing of it uses a database."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        (Path(folder) / "served.py").write_text(app)
        puff = Path(sys.executable).parent / "puff"
        command = [puff, "runserver", "--wsgi", "served:app", "--pubsub-url", "memory:", *options]
        process = subprocess.Popen(
            [*command, "--bind", f"127.0.0.1:{port}"], cwd=folder, stderr=subprocess.DEVNULL
        )
        server = Server(process, port)
        try:
            deadline = time.monotonic() + SECONDS
            while True:
                try:
                    server.ask("/").close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
            yield server
        finally:
            process.terminate()
            process.wait(SECONDS)


def each(server: Server, open_one: Callable[[], socket.socket]) -> float:
    """KiB that one takes, of a thousand."""
    before = server.memory()
    with contextlib.ExitStack() as stack:
        for _ in range(COUNT):
            stack.enter_context(open_one())
        return (server.memory() - before) * 1024 / COUNT


def main() -> None:
    """Prints a table."""
    print("| a server of | MiB |\n|---|---:|")
    for name, app in {"plain WSGI": PLAIN, "Flask": FLASK, "Django with its admin": DJANGO}.items():
        with serving(app) as server:
            print(f"| {name} | {server.memory():.0f} |")
    with serving(PLAIN, "--workers", "2") as server:
        print(f"| plain WSGI, a supervisor and two workers | {server.memory():.0f} |")
    print("\n| one more | KiB |\n|---|---:|")
    kinds: dict[str, tuple[str, str, bytes]] = {
        "connection between requests": ("/", GET, b"ok"),
        "request that waits in a view": ("/wait", GET, b""),
        "WebSocket with a Python function": ("/quiet", UPGRADE, b"\r\n\r\n"),
        "WebSocket bound to a channel as well": ("/bound", UPGRADE, b"\r\n\r\n"),
    }
    for name, (path, request, answer) in kinds.items():
        with serving(PLAIN) as server:
            print(f"| {name} | {each(server, partial(server.ask, path, request, answer)):.0f} |")


if __name__ == "__main__":
    main()
