"""Programs in Rust that embed Python: the examples, run by cargo."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack import ROOT, Serve, clean_environment
from support import eventually

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")


def cargo(example: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`cargo run ARGUMENTS` in the folder of an example, in this interpreter's virtual environment."""
    folder: Path = ROOT / "examples" / example
    return subprocess.run(
        ["cargo", "run", "--quiet", "--", *arguments],
        cwd=folder,
        env=clean_environment(VIRTUAL_ENV=sys.prefix, PYO3_PYTHON=sys.executable, **variables),
        capture_output=True,
        text=True,
        timeout=900,  # the first run compiles
        check=False,
    )


def test_a_python_function_is_a_command() -> None:
    result = cargo("puff-and-python", "run_hello_world")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "Hello from python!! Zip is 123 bytes long from rust and 123 bytes from Python.\n"


def test_python_calls_rust() -> None:
    # The future is `async move` and not `async`: it owns the text that it logs, as Rust demands of a task.
    cargo("puff-and-rust", "--help")
    begin = time.monotonic()
    result = cargo("puff-and-rust", "run_hello_world", PUFF_LOG="debug")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["Hello from Rust! Python Says: Hello from Python!", "42"]
    assert "Python says: hello async" in result.stderr
    assert time.monotonic() - begin > 1, "the future sleeps for a second"


def test_a_program_explains_itself() -> None:
    result = cargo("puff-and-python", "--help")
    assert result.returncode == 0
    assert "This is my first app" in result.stdout
    assert "run_hello_world" in result.stdout
    wrong = cargo("puff-and-python", "run_hello_mars")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("my_first_app: error: ")


@pytest.fixture
def chat(tmp_path: Path, stop_services: Callable[[Path], None]) -> Iterator[Path]:
    """The working directory of the example with GraphQL, somewhere else, with services of its own."""
    example = ROOT / "examples" / "puff-and-graphql"
    shutil.copyfile(example / "my_python_gql_app.py", tmp_path / "my_python_gql_app.py")
    tests = "hello_world_py_app"
    shutil.copytree(example / tests, tmp_path / tests, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    yield tmp_path
    stop_services(tmp_path)


def test_python_classes_are_a_graphql_server_with_tests(chat: Path, serve: Serve) -> None:
    # As README.md of the example says, but for the working directory.
    manifest = str(ROOT / "examples" / "puff-and-graphql" / "Cargo.toml")
    command = ("cargo", "run", "--quiet", "--manifest-path", manifest, "--")
    variables = {"VIRTUAL_ENV": sys.prefix, "PYO3_PYTHON": sys.executable}
    tests = subprocess.run(
        [*command, "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=chat,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=900,  # the first run compiles
        check=False,
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert "2 passed" in tests.stdout
    with serve(cwd=chat, command=(*command, "runserver"), env=variables) as server:
        answer = server.graphql("{ hello_world(my_input: 3) { title was_input } new_connection_id }")
        assert answer["data"]["hello_world"] == [{"title": "hi from pg", "was_input": 3}]
        assert server.get("/subscriptions").status == 426


SITE_APP = """
import puff
from greenlet import GreenletExit

begun, killed = [], []

def shout(word):
    if word in ("begun", "killed"):
        return " ".join(begun if word == "begun" else killed)
    begun.append(word)
    try:
        puff.sleep(60 if word == "slowly" else 0.001)
    except GreenletExit:
        killed.append(word)
        raise
    if not word.isalpha():
        raise ValueError(f"{word} is no word")
    return word.upper() + "!"

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"from Python: " + environ["PATH_INFO"].encode()]
"""

SITE_SCHEMA = """
from dataclasses import dataclass

@dataclass
class Thing:
    n: int

@dataclass
class Query:
    @classmethod
    def things(cls, context, /, count: int) -> tuple[list[Thing], str, list]:
        return ..., "SELECT generate_series(1, $1::int) AS n", [count]

@dataclass
class Schema:
    query: Query

@dataclass
class Terms:
    @classmethod
    def discount(cls, context, /) -> int:
        return 20

@dataclass
class Partners:
    query: Terms
"""


def test_rust_graphql_and_wsgi_in_one_server(
    tmp_path: Path, serve: Serve, stop_services: Callable[[Path], None]
) -> None:
    (tmp_path / "site_app.py").write_text(SITE_APP)
    (tmp_path / "site_schema.py").write_text(SITE_SCHEMA)
    subprocess.run(
        ["cargo", "build", "--quiet", "-p", "puff-rs", "--example", "router"],
        cwd=ROOT,
        env=clean_environment(PYO3_PYTHON=sys.executable),
        timeout=900,
        check=True,
    )
    manifest = str(ROOT / "Cargo.toml")
    command = ("cargo", "run", "--quiet", "--manifest-path", manifest, "-p", "puff-rs", "--example", "router")
    variables = {"VIRTUAL_ENV": sys.prefix, "PYO3_PYTHON": sys.executable}
    with serve(cwd=tmp_path, command=(*command, "--", "runserver"), env=variables) as server:
        # Any axum extractor: path and state, JSON, the client's address.
        assert server.get("/greet/World").text == "Hello World"
        answer = server.request(
            "POST", "/sum", json.dumps([1, 2, 3]).encode(), {"Content-Type": "application/json"}
        )
        assert answer.json() == 6
        assert server.get("/client").text == "127.0.0.1"
        # One handler's panic is one 500.
        assert server.get("/broken").status == 500
        assert server.get("/greet/again").status == 200
        # A Rust handler may ask Python; what Python raises is a 500 that tells nothing.
        assert server.get("/shout/hello").text == "HELLO!"
        failed = server.get("/shout/123")
        assert (failed.status, failed.text) == (500, "internal server error\n")
        said = "a handler failed: ValueError: 123 is no word"
        assert eventually(lambda: said in server.log.read_text())
        # A client that goes away takes the call with it.
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(b"GET /shout/slowly HTTP/1.1\r\nHost: x\r\n\r\n")
            assert eventually(lambda: server.get("/shout/begun").text.endswith("slowly"))
        assert eventually(lambda: server.get("/shout/killed").text == "slowly")
        assert server.get("/elsewhere").text == "from Python: /elsewhere"
        assert server.graphql("{ things(count: 2) { n } }") == {"data": {"things": [{"n": 1}, {"n": 2}]}}
        terms = server.request(
            "POST", "/partners/graphql", b'{"query": "{ discount }"}', {"Content-Type": "application/json"}
        )
        assert terms.json() == {"data": {"discount": 20}}
        assert server.get("/subscriptions").status == 426
        page = server.get("/playground")
        assert page.status == 404 or '"subscriptions": "/subscriptions"' in page.text
    stop_services(tmp_path)
