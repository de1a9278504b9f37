"""`puff runserver --reload`: changes of files, mistakes and their repair, private services that stay."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from stack import Serve, Server
from support import eventually
from test_workers import children, log_has

APP = """
import helper

def app(environ, start_response):
    if environ["PATH_INFO"] == "/late":
        import late
        helper.text = late.text
    answer = f"{helper.text}".encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "helper.py").write_text("text = 'one'\n")
    (tmp_path / "late.py").write_text("text = 'late'\n")
    (tmp_path / "puff.toml").write_text('wsgi = "app:app"\n')
    return tmp_path


def answers(server: Server, text: str) -> bool:
    """Whether the server comes to answer with a text. Each request waits for a worker, none is refused."""
    return eventually(lambda: server.get("/").text == text, 30)


def test_a_changed_module_is_taken(project: Path, serve: Serve) -> None:
    with serve("--reload", cwd=project) as server:
        assert server.get("/").text == "one"
        (project / "helper.py").write_text("text = 'another'\n")
        assert answers(server, "another")
        assert f"{project}/helper.py has changed: starting anew" in server.log.read_text()
        # A module that is imported later, by a request, and not of the process that leaves.
        assert eventually(lambda: len(children(server.process.pid)) == 1)
        assert server.get("/late").text == "late"
        (project / "late.py").write_text("text = 'changed'\n")
        assert log_has(server, f"{project}/late.py has changed")
        assert eventually(lambda: server.get("/late").text == "changed", 30)
        (project / "puff.toml").write_text('wsgi = "app:app"\nmount = "/shop"\n')
        assert eventually(lambda: server.get("/shop").status == 200, 30)
        assert server.stop(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("text = 'one\n", "SyntaxError"),
        ("import not_written_yet\n", "ModuleNotFoundError"),
        ("text = 1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_a_mistake_is_shown_and_its_repair_taken(project: Path, serve: Serve, broken: str, said: str) -> None:
    with serve("--reload", cwd=project) as server:
        assert server.get("/").text == "one"
        # At once: a look at a file that is half written would find the mistake twice.
        (project / "helper.new").write_text(broken)
        (project / "helper.new").replace(project / "helper.py")
        assert log_has(server, said)
        assert log_has(server, "waiting for a change")
        assert eventually(lambda: children(server.process.pid) == [])
        assert eventually(lambda: server.get("/").status == 503)
        assert server.get("/").headers["refresh"] == "1"
        (project / "helper.py").write_text("text = 'repaired'\n")
        assert answers(server, "repaired")
        assert server.log.read_text().count(said) == 1


def test_a_program_that_is_broken_from_the_start(project: Path, serve: Serve) -> None:
    (project / "app.py").write_text("import missing\n" + APP)
    with serve("--reload", cwd=project) as server:
        assert log_has(server, "waiting for a change")
        # Whoever is told so is told by one who looks at the folders.
        assert eventually(lambda: server.get("/").status == 503)
        # Not a file that was there, but a new one.
        (project / "missing.py").write_text("")
        assert answers(server, "one")


def test_other_files_can_be_watched(project: Path, serve: Serve) -> None:
    (project / "pages").mkdir()
    with serve("--reload", "--reload-paths", "pages", cwd=project) as server:
        assert server.get("/").text == "one"
        (project / "pages" / "start.html").write_text("Hello")
        assert log_has(server, "start.html has changed")
        assert server.get("/").text == "one"


STORE = """
import puff

pubsub = puff.global_redis()
{mistake}

def app(environ, start_response):
    if environ["PATH_INFO"] == "/set":
        pubsub.set("key", "kept")
    answer = pubsub.get("key") or b""
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""


def test_private_services_stay(tmp_path: Path, serve: Serve, stop_services: Callable[[Path], None]) -> None:
    (tmp_path / "store.py").write_text(STORE.format(mistake=""))
    try:
        with serve("--reload", "--wsgi", "store:app", cwd=tmp_path) as server:
            assert server.get("/set").text == "kept"
            started = server.log.read_text().count("Started Valkey")
            assert started == 1
            (tmp_path / "store.py").write_text(STORE.format(mistake="import missing"))
            assert log_has(server, "waiting for a change")
            # Longer than a private server waits for its next user.
            assert not eventually(lambda: False, 7)
            (tmp_path / "store.py").write_text(STORE.format(mistake="# repaired"))
            assert eventually(lambda: server.get("/").text == "kept", 30)
            assert log_has(server, "Using the running Valkey")
            assert server.log.read_text().count("Started Valkey") == 1
    finally:
        stop_services(tmp_path)
