"""The life of private services: begun with the first server, shared, gone with the last, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from stack import PUFF, Serve, Server, clean_environment
from support import eventually, is_alive, open_folder, ordinary_user, processes_of

SCHEMA = """
from dataclasses import dataclass
from typing import Any

import puff

REDIS = puff.global_redis()


@dataclass
class Query:
    @classmethod
    def notes(cls, context, /) -> list[str]:
        puff.global_postgres().script("CREATE TABLE IF NOT EXISTS notes (id serial, text text)")
        return [row["text"] for row in puff.global_postgres().query("SELECT text FROM notes ORDER BY id")]

    @classmethod
    def visits(cls, context, /) -> int:
        return REDIS.command("INCR", "visits")


@dataclass
class Mutation:
    @classmethod
    def note(cls, context, /, text: str) -> bool:
        return puff.global_postgres().execute("INSERT INTO notes (text) VALUES ($1)", [text]) == 1


@dataclass
class Schema:
    query: Query
    mutation: Mutation
"""


@dataclass
class Project:
    """A folder, and how its commands are run."""

    folder: Path
    command: tuple[str, ...]
    environment: dict[str, str]
    user: int

    def puff(self, *arguments: str) -> str:
        """What a command prints; it must succeed."""
        result = subprocess.run(
            [*self.command, *arguments],
            cwd=self.folder,
            env=clean_environment(**self.environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def servers(self) -> set[int]:
        """The processes of the private services, each with its supervisor."""
        states = [json.loads(path.read_text()) for path in self.folder.glob(".puff/run/*.json")]
        return {state[name] for state in states for name in ("server_pid", "supervisor_pid")}

    @contextlib.contextmanager
    def serving(self, serve: Serve) -> Iterator[Server]:
        with serve(
            "--graphql",
            "schema:Schema",
            cwd=self.folder,
            env=self.environment,
            command=(*self.command, "runserver"),
        ) as server:
            yield server


@pytest.fixture(params=["us", "an ordinary user"])
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    """A project of this process's user, and one of an ordinary user where that is somebody else."""
    command: list[str] = [str(PUFF)]
    environment: dict[str, str] = {}
    user = os.getuid()
    if request.param != "us":
        if os.getuid() != 0:
            pytest.skip("this is an ordinary user already")
        command, environment, user = ordinary_user()
    with open_folder(user) as folder:
        (folder / "schema.py").write_text(SCHEMA)
        yield Project(folder, tuple(command), environment, user)


def write(server: Server, text: str) -> list[str]:
    """Leaves a note; all notes."""
    server.graphql("{ notes }")
    answer = server.graphql("mutation($text: String!) { note(text: $text) }", text=text)
    assert answer == {"data": {"note": True}}, answer
    return read(server)


def read(server: Server) -> list[str]:
    answer = server.graphql("{ notes visits }")
    assert "errors" not in answer, answer
    notes: list[str] = answer["data"]["notes"]
    return notes


def owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def test_kill_9_leaves_no_server_and_loses_no_data(project: Project, serve: Serve) -> None:
    with project.serving(serve) as server:
        assert write(server, "before") == ["before"]
        status = project.puff("db", "status")
        named = {int(pid) for pid in re.findall(r"runs \(in use\), process (\d+)", status)}
        servers = project.servers()
        assert len(named) == 2, status
        assert named < servers
        assert len(servers) == 4
        assert all(map(is_alive, servers))
        # Servers never run as root; an ordinary user's are their own.
        expected = project.user or None
        assert all(owner(pid) != 0 if expected is None else owner(pid) == expected for pid in named)
        server.process.kill()
        server.process.wait()
        begin = time.monotonic()
        assert eventually(lambda: not any(map(is_alive, servers)), 60), project.puff("db", "status")
        print(f"all servers were gone {time.monotonic() - begin:.1f} s after kill -9")
        assert eventually(lambda: processes_of(project.folder) == {}, 30), processes_of(project.folder)
    begin = time.monotonic()
    with project.serving(serve) as server:
        assert read(server) == ["before"]
        seconds = time.monotonic() - begin
        print(f"the second start answered its first GraphQL request after {seconds:.2f} s")
        assert seconds < 60
        assert write(server, "after") == ["before", "after"]


def test_two_servers_share_the_services_and_the_last_one_out_stops_them(
    project: Project, serve: Serve
) -> None:
    with project.serving(serve) as first:
        write(first, "one")
        servers = project.servers()
        with project.serving(serve) as second:
            assert write(second, "two") == ["one", "two"]
            assert project.servers() == servers
            assert first.stop(signal.SIGINT) == 0
            status = project.puff("db", "status")
            assert status.count("(in use)") == 2, status
            assert all(map(is_alive, servers))
            assert write(second, "three") == ["one", "two", "three"]
            assert second.stop(signal.SIGINT) == 0
    assert eventually(lambda: not any(map(is_alive, servers)), 60)
    assert "PostgreSQL does not run" in project.puff("db", "status")
    for log in (first.log, second.log):
        assert "Traceback" not in log.read_text()
        assert "error" not in log.read_text().lower()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server_and_its_services(serve: Serve, signum: int) -> None:
    with open_folder() as folder:
        (folder / "schema.py").write_text(SCHEMA)
        project = Project(folder, (str(PUFF),), {}, os.getuid())
        with project.serving(serve) as server:
            read(server)
            servers = project.servers()
            assert server.stop(signum) == 0
        assert eventually(lambda: not any(map(is_alive, servers)), 60)
        assert project.servers() == set()
        assert eventually(lambda: processes_of(folder) == {}), processes_of(folder)
        assert "Traceback" not in server.log.read_text()
