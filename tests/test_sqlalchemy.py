"""SQLAlchemy 2 on this driver, under psycopg2's name, sees what it sees with psycopg2."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_postgres import PROGRAMS, OwnPostgres, own_postgres
from stack import PUFF, clean_environment


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with own_postgres() as started:
        yield started


def run(server: OwnPostgres, folder: Path, *command: str) -> list[str]:
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(**server.environment, PYTHONPATH=str(PROGRAMS)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def expected(server: OwnPostgres, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the program prints with psycopg2."""
    folder = tmp_path_factory.mktemp("psycopg2")
    lines = run(server, folder, sys.executable, str(PROGRAMS / "alchemy.py"), "psycopg2")
    assert lines[-1] == "left behind 0"
    return lines


def test_in_threads(server: OwnPostgres, expected: list[str], tmp_path: Path) -> None:
    assert run(server, tmp_path, sys.executable, str(PROGRAMS / "alchemy.py")) == expected


def test_in_greenlets(server: OwnPostgres, expected: list[str], tmp_path: Path) -> None:
    assert run(server, tmp_path, str(PUFF), "run", "alchemy.main") == expected
