"""Metrics for Prometheus, and health checks."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from stack import Answer, Run, Serve, Server, free_port, serving
from support import eventually

APP = """
import os
import time

import puff


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/sleep":
        puff.sleep(0.4)
    if path == "/long":
        puff.sleep(2)
    while path == "/hold" and not os.path.exists("released"):
        puff.sleep(0.01)
    while path == "/block" and not os.path.exists("released"):
        time.sleep(0.01)
    if path == "/busy":
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            pass
    if path == "/query":
        puff.global_postgres().query("SELECT 1")
    if path == "/redis":
        puff.global_redis().set("a", "b")
    if path == "/wrong":
        raise RuntimeError("no such luck")
    if path == "/upload":
        environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


@dataclasses.dataclass
class Watched:
    """A server, and where it is watched from."""

    server: Server
    port: int

    def get(self, path: str, timeout: float = 30) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read())
        finally:
            connection.close()

    def numbers(self) -> dict[str, float]:
        """All samples by name and labels, as Prometheus' own parser reads them."""
        page = self.get("/metrics")
        assert page.status == 200
        assert page.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(page.text):
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                name = f"{sample.name}{{{labels}}}" if labels else sample.name
                assert name not in found, name
                found[name] = sample.value
        return found


@contextlib.contextmanager
def watched(folder: Path, *arguments: str) -> Iterator[Watched]:
    (folder / "shop.py").write_text(APP)
    port = free_port()
    options = ["--wsgi", "shop:app", "--metrics-bind", f"127.0.0.1:{port}", *arguments]
    with serving(*options, cwd=folder) as server:
        yield Watched(server, port)


def in_background(*calls: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def test_requests_are_counted(tmp_path: Path) -> None:
    with watched(tmp_path) as site:
        before = site.numbers()
        assert before["puff_requests_total{method=GET,status=2xx}"] == 0
        assert before["puff_requests_total{method=GET,status=5xx}"] == 0
        for _ in range(3):
            site.server.get("/")
        site.server.request("POST", "/upload", b"x" * 100_000)
        site.server.request("BREW", "/")
        site.server.get("/wrong")
        after: dict[str, float] = {}

        def all_there() -> bool:
            after.clear()
            after.update(site.numbers())
            is_counted = after["puff_request_duration_seconds_count"] == 6
            return is_counted and after["puff_requests_in_flight"] == 0 and after["puff_hub_up"] == 1

        assert eventually(all_there), after
    assert after["puff_requests_total{method=GET,status=2xx}"] == 3
    assert after["puff_requests_total{method=GET,status=5xx}"] == 1
    assert after["puff_requests_total{method=POST,status=2xx}"] == 1
    assert after["puff_requests_total{method=other,status=2xx}"] == 1
    assert after["puff_request_duration_seconds_bucket{le=+Inf}"] == 6
    assert 0 < after["puff_request_duration_seconds_sum"] < 60
    assert after["puff_received_bytes_total"] > 100_000
    assert after["puff_sent_bytes_total"] > 6 * 5
    assert after["puff_connections_accepted_total"] >= 6
    assert after["puff_greenlets"] >= 1
    assert 0 < after["puff_hub_latency_seconds"] < 5
    assert after["process_resident_memory_bytes"] > 10 << 20
    assert after["process_open_fds"] > 5
    assert after["process_cpu_seconds_total"] > 0
    assert abs(after["process_start_time_seconds"] - time.time()) < 600


def test_what_is_under_way_and_what_waits(tmp_path: Path) -> None:
    with watched(tmp_path, "--max-requests", "2", "--queue-timeout", "10s") as site:
        threads = in_background(*[lambda: site.server.get("/hold")] * 5)
        now: dict[str, float] = {}

        def all_there() -> bool:
            now.update(site.numbers())
            is_held = now["puff_requests_in_flight"] == 5 and now["puff_requests_queued"] == 3
            return is_held and now["puff_connections"] == 5

        assert eventually(all_there), now
        assert eventually(lambda: site.numbers()["puff_requests_refused_total"] == 3, 60)
        (tmp_path / "released").touch()
        for thread in threads:
            thread.join(30)
        assert eventually(lambda: site.numbers()["puff_requests_in_flight"] == 0)
        after = site.numbers()
    assert after["puff_requests_refused_total"] == 3
    assert after["puff_requests_total{method=GET,status=5xx}"] == 3
    assert after["puff_requests_queued"] == 0


def test_time_in_the_queue_is_measured(tmp_path: Path) -> None:
    with watched(tmp_path, "--max-requests", "1", "--queue-timeout", "60s") as site:
        begun = time.monotonic()
        threads = in_background(*[lambda: site.server.get("/hold")] * 2)
        assert eventually(lambda: site.numbers()["puff_requests_queued"] == 1)
        queued = time.monotonic()
        site.numbers()
        at_least = time.monotonic() - queued
        (tmp_path / "released").touch()
        for thread in threads:
            thread.join()
        assert eventually(lambda: site.numbers()["puff_request_queue_seconds_count"] == 1)
        found = site.numbers()["puff_request_queue_seconds_sum"]
        assert at_least <= found <= time.monotonic() - begun


def test_the_hubs_work_is_timed(tmp_path: Path) -> None:
    with watched(tmp_path) as site:
        begun = site.numbers()["puff_hub_busy_seconds_total"]
        site.server.get("/long")
        idle = site.numbers()["puff_hub_busy_seconds_total"]
        assert idle - begun < 1.5  # a greenlet that waits is no work
        site.server.get("/busy")
        assert eventually(lambda: site.numbers()["puff_hub_busy_seconds_total"] > idle + 0.29)


def test_pools_have_their_numbers(tmp_path: Path, stop_services: Callable[[Path], None]) -> None:
    try:
        with watched(tmp_path) as site:
            assert not [name for name in site.numbers() if "postgres" in name or "redis" in name]
            assert site.server.get("/query").status == 200
            assert site.server.get("/redis").status == 200
            found = site.numbers()
            assert eventually(lambda: site.get("/readyz").text == "ok\n")
    finally:
        stop_services(tmp_path)
    assert found["puff_postgres_connections{pool=default,state=idle}"] == 1
    assert found["puff_postgres_connections{pool=default,state=in_use}"] == 0
    assert found["puff_postgres_connections{pool=default,state=max}"] == 10
    assert found["puff_postgres_acquired_total{pool=default}"] == 1
    assert found["puff_postgres_waiting{pool=default}"] == 0
    assert found["puff_postgres_wait_seconds_total{pool=default}"] >= 0
    assert found["puff_redis_commands_total{pool=default}"] >= 1
    assert found["puff_redis_in_flight{pool=default}"] == 0
    assert found["puff_redis_connections{pool=default,state=open}"] >= 1


def test_health_is_answered_and_nothing_else(tmp_path: Path) -> None:
    with watched(tmp_path) as site:
        for path in ("/healthz", "/readyz"):
            answer = site.get(path)
            assert (answer.status, answer.text) == (200, "ok\n")
            assert answer.headers["cache-control"] == "no-store"
        assert site.get("/").status == 404
        # Beside the application only where that is asked for.
        assert site.server.get("/healthz").text == "hello"
        assert site.server.get("/metrics").text == "hello"


def test_health_beside_the_application(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "shop.py").write_text(APP)
    with serve("--wsgi", "shop:app", "--health", "true", "--max-requests", "1", cwd=tmp_path) as server:
        (thread,) = in_background(lambda: server.get("/sleep"))
        assert server.get("/healthz").text == "ok\n"  # though no request has a turn now
        assert server.get("/readyz").text == "ok\n"
        assert server.request("POST", "/healthz").text == "hello"
        thread.join()


def test_a_hub_that_is_blocked_is_not_healthy(tmp_path: Path) -> None:
    with watched(tmp_path, "--watchdog", "0s") as site:
        (thread,) = in_background(lambda: site.server.get("/block"))
        found: dict[str, float] = {}

        def blocked() -> bool:
            found.update(site.numbers())  # they are there meanwhile, but for what only Python knows
            return found["puff_hub_up"] == 0

        assert eventually(blocked)
        assert found["puff_requests_in_flight"] == 1
        answer = site.get("/healthz")
        assert answer.status == 503
        assert answer.text == "the hub has not answered within 5s: a greenlet blocks it\n"
        (tmp_path / "released").touch()
        thread.join()
        assert eventually(lambda: site.get("/healthz").status == 200)


def test_a_lost_service_is_not_ready(tmp_path: Path) -> None:
    closed = free_port()
    (tmp_path / "puff.toml").write_text(f"postgres_url = 'postgres://nobody@127.0.0.1:{closed}/none'\n")
    with watched(tmp_path, "--postgres-acquire-timeout", "1s") as site:
        assert site.get("/readyz").status == 200  # nobody uses it yet
        site.server.get("/query")
        assert eventually(lambda: site.get("/readyz").status == 503)
        answer = site.get("/readyz")
        assert answer.text.startswith("PostgreSQL pool default: "), answer.text
        assert site.get("/healthz").status == 200


def test_a_server_that_stops_is_not_ready(tmp_path: Path) -> None:
    with watched(tmp_path) as site:
        (thread,) = in_background(lambda: site.server.get("/hold"))
        assert eventually(lambda: site.numbers()["puff_requests_in_flight"] == 1)
        site.server.process.send_signal(signal.SIGTERM)

        def stopping() -> bool:
            answer = site.get("/readyz")
            return (answer.status, answer.text) == (503, "the server is stopping\n")

        assert eventually(stopping)
        assert site.get("/healthz").status == 200
        (tmp_path / "released").touch()
        thread.join()
        assert site.server.process.wait(15) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", site.port), timeout=2)


def test_a_port_in_use_is_said(tmp_path: Path, puff: Run) -> None:
    (tmp_path / "shop.py").write_text(APP)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = puff("runserver", "--wsgi", "shop:app", "--bind", "0", "--metrics-bind", place, cwd=tmp_path)
    assert ended.returncode == 2
    assert place in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_websockets_are_counted(tmp_path: Path) -> None:
    (tmp_path / "chat.py").write_text("def chat(ws):\n    for message in ws:\n        ws.send(message)\n")
    (tmp_path / "puff.toml").write_text("[websockets]\n'/chat' = 'chat:chat'\n")
    with watched(tmp_path) as site:
        with socket.create_connection(("127.0.0.1", site.server.port), timeout=10) as connection:
            connection.sendall(
                b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")
            assert eventually(lambda: site.numbers()["puff_websockets"] == 1)
        assert eventually(lambda: site.numbers()["puff_websockets"] == 0)
        assert site.numbers()["puff_websockets_opened_total"] == 1


def test_each_worker_is_watched_by_itself(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "shop.py").write_text(APP)
    sockets = [tmp_path / "metrics", tmp_path / "metrics.2"]
    options = ["--wsgi", "shop:app", "--workers", "2", "--metrics-bind", f"unix:{sockets[0]}"]

    def begin_of(path: Path) -> str | None:
        """When the worker was started that answers there."""
        page = b""
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            connection.connect(str(path))
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while piece := connection.recv(65536):
                page += piece
        found = re.search(r"^process_start_time_seconds (.*)$", page.decode(), re.MULTILINE)
        return found[1] if found else None

    with serve(*options, cwd=tmp_path) as server:
        assert eventually(lambda: all(map(begin_of, sockets)))
        first = [begin_of(path) for path in sockets]
        server.process.send_signal(signal.SIGHUP)

        def taken_over() -> bool:
            now = [begin_of(path) for path in sockets]
            return all(now) and not set(now) & set(first)

        assert eventually(taken_over, 60)
        assert server.get("/").text == "hello"
