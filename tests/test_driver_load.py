"""The driver and its pool of sessions under load: who waits, who is killed, what is left behind.

PUFF_STRESS makes it last a minute instead of some seconds.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_postgres import PROGRAMS, OwnPostgres, own_postgres
from stack import PUFF, Serve, clean_environment
from support import eventually

SECONDS = 60 if "PUFF_STRESS" in os.environ else 10


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with own_postgres() as started:
        yield started


def environment(server: OwnPostgres) -> dict[str, str]:
    return {**server.environment, "SECONDS": str(SECONDS), "PYTHONPATH": str(PROGRAMS)}


def run(server: OwnPostgres, folder: Path, function: str) -> list[str]:
    done = subprocess.run(
        [str(PUFF), "run", f"load.{function}"],
        cwd=folder,
        env=clean_environment(**environment(server)),
        capture_output=True,
        text=True,
        timeout=SECONDS * 2 + 90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stderr)
    return done.stdout.splitlines()


def test_five_hundred_greenlets_share_ten_sessions(server: OwnPostgres, tmp_path: Path) -> None:
    assert run(server, tmp_path, "crowd") == [
        "at most 10 of 10 and looked often: True",
        "nobody starves: True True",
        "first come, first served: True",
        "in use 0 waiting 0",
        "left behind: False",
    ]


def test_greenlets_end_at_any_moment(server: OwnPostgres, tmp_path: Path) -> None:
    assert run(server, tmp_path, "storm") == [
        "killed some: True at most 10 True",
        "given back: True",
        "nothing runs: True",
        "clean: {(42,), (0, 0)} at once: True",
        "left behind: False",
    ]


def test_one_connection_for_many(server: OwnPostgres, tmp_path: Path) -> None:
    assert run(server, tmp_path, "shared") == ["answers: True [] 0", "left behind: False"]


def test_a_copy_that_fails_harms_nobody_else(server: OwnPostgres, tmp_path: Path) -> None:
    refused = "['InvalidTextRepresentation', 5, 5, 5] 0"
    broken_off = "['QueryCanceled', 5, 5, 5] 0"
    assert run(server, tmp_path, "copies_that_fail") == [refused, refused, broken_off, broken_off]


def test_clients_that_vanish(server: OwnPostgres, tmp_path: Path, serve: Serve) -> None:
    with serve("--wsgi", "load:application", cwd=tmp_path, env=environment(server)) as web:
        assert web.get("/").status == 200
        for _ in range(30):
            with socket.create_connection(("127.0.0.1", web.port), 10) as line:
                line.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")

        def all_back() -> bool:
            size, idle, in_use = map(int, web.get("/").text.strip("()").split(","))
            return in_use == 1 and idle == size - 1 and size <= 10

        assert eventually(all_back, 30), web.get("/").text
