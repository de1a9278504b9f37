"""The command line: exit statuses, what errors say, the forms of `puff python`, where settings come from."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack import PUFF, ROOT, Run, Serve, clean_environment

MAIN = """
import os
import sys

import puff


def nothing():
    print("arguments", sys.argv[1:])


def three():
    return 3


def leave():
    sys.exit("left")


def fail():
    raise ValueError("on purpose")


def greenlets():
    def work(n):
        puff.sleep(0.01)
        return n * n

    print([greenlet.join() for greenlet in [puff.spawn(work, n) for n in range(4)]])


def rows():
    print(puff.global_postgres().query("SELECT 1 + 1 AS n"), puff.global_redis().command("PING"))


not_a_function = 5
"""

SCHEMA = """
from dataclasses import dataclass


@dataclass
class Query:
    @classmethod
    def z_last(cls, context, /) -> str:
        return f"token {context.auth_token}"

    @classmethod
    def a_first(cls, context, /, n: int = 1) -> int:
        return n + 1


@dataclass
class Schema:
    query: Query
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with some Python in it."""
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "schema.py").write_text(SCHEMA)
    return tmp_path


@pytest.mark.parametrize(
    ("function", "status", "output"),
    [
        ("main.nothing", 0, "arguments ['a', '--b']"),
        ("main:nothing", 0, "arguments ['a', '--b']"),
        ("main.three", 3, ""),
        ("main.leave", 1, ""),
        ("main.fail", 1, ""),
        ("main.greenlets", 0, "[0, 1, 4, 9]"),
    ],
)
def test_run_ends_with_the_functions_status(
    project: Path, puff: Run, function: str, status: int, output: str
) -> None:
    result = puff("run", function, "a", "--b", cwd=project)
    assert (result.returncode, result.stdout.strip()) == (status, output), result.stderr


def test_a_traceback_begins_at_the_users_code(project: Path, puff: Run) -> None:
    lines = puff("run", "main.fail", cwd=project).stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].startswith(f'  File "{project}/main.py", line ')
    assert lines[-1] == "ValueError: on purpose"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "main.nope"], 'module "main" has no attribute "nope"'),
        (["run", "nowhere.f"], 'no Python module "nowhere"'),
        (["run", "main"], "write pkg.module:attribute"),
        (["run", "main.not_a_function"], "main.not_a_function is not a function"),
        (["run"], "MODULE.FUNCTION"),
        (["dance"], "unrecognized subcommand 'dance'"),
        (["runserver"], "nothing to serve"),
        (["runserver", "--wsgi", "main:nope"], 'has no attribute "nope"'),
        (["runserver", "--wsgi", "main:not_a_function"], "a WSGI application is a callable"),
        (["runserver", "--graphql", "schema:Nope"], "has no attribute 'Nope'"),
        (["runserver", "--wsgi", "main:nothing", "--bind", "here"], '--bind: "here" is not an address'),
        (["runserver", "--wsgi", "main:nothing", "--threads", "0"], '--threads: "0" is not a whole number'),
        (["runserver", "--nonsense"], "unexpected argument '--nonsense'"),
        (["python", "-u", "x.py"], "no option -u"),
        (["python", "gone.py"], "can't open file 'gone.py'"),
        (["graphql", "schema"], "no schema"),
        (["graphql", "query", "--graphql", "schema", "{a}", "--variables", "[]"], "is not a JSON object"),
        (["--config", "gone.toml", "run", "main.nothing"], "gone.toml: No such file"),
        (["--postgres-url", "mysql://u:secret@h/d", "run", "main.nothing"], "--postgres-url: "),
        (["--redis-url", "http://u:secret@h/d", "run", "main.nothing"], "--redis-url: "),
        (["--log", "a=b=c", "run", "main.nothing"], "--log: "),
        (["db", "reset"], "add --yes"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_status_2(
    project: Path, puff: Run, arguments: list[str], message: str
) -> None:
    result = puff(*arguments, cwd=project)
    assert result.returncode == 2, result.stdout + result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("puff: error: ")
    assert message in line
    assert "secret" not in line


def test_an_error_while_importing_is_told_with_its_traceback(project: Path, puff: Run) -> None:
    (project / "broken.py").write_text("import nothing_of_that_name\n")
    result = puff("runserver", "--wsgi", "broken:app", cwd=project)
    assert result.returncode == 2
    lines = result.stderr.splitlines()
    assert lines[1] == f'  File "{project}/broken.py", line 1, in <module>'
    assert lines[-2:] == [
        "ModuleNotFoundError: No module named 'nothing_of_that_name'",
        "puff: error: the import of broken:app failed",
    ]


@pytest.mark.parametrize("command", [[], ["runserver"], ["run"], ["python"], ["graphql"], ["db"]])
def test_every_command_has_help(puff: Run, tmp_path: Path, command: list[str]) -> None:
    result = puff(*command, "--help", cwd=tmp_path)
    assert result.returncode == 0
    assert "Usage: puff" in result.stdout
    assert not command or "Examples:" in result.stdout


# ---------------------------------------------------------------------------- settings


def test_the_file_of_settings(project: Path, puff: Run) -> None:
    (project / "puff.toml").write_text("graphql = 'schema:Schema'\ngraphql_camel_case = true\n")
    assert "aFirst" in puff("graphql", "schema", cwd=project).stdout
    plain = puff("graphql", "schema", cwd=project, env={"PUFF_GRAPHQL_CAMEL_CASE": "no"})
    assert "a_first" in plain.stdout
    (project / "puff.toml").write_text("grapql = 'schema:Schema'\n")
    result = puff("graphql", "schema", cwd=project)
    assert result.returncode == 2
    assert 'unknown key "grapql" (did you mean "graphql"?)' in result.stderr
    (project / "puff.toml").write_text("a = = 1\n")
    assert "puff.toml: line 1: " in puff("graphql", "schema", cwd=project).stderr


# ---------------------------------------------------------------------------- puff python


@pytest.mark.parametrize(
    ("arguments", "argv", "first"),
    [
        (["-c", "import show", "x", "-y"], ["-c", "x", "-y"], ""),
        (["-m", "show", "x"], ["{project}/show.py", "x"], "{project}"),
        (["show.py", "-m"], ["show.py", "-m"], "{project}"),
        (["sub/script.py"], ["sub/script.py"], "{project}/sub"),
    ],
)
def test_python_sees_what_python_would(
    project: Path, puff: Run, arguments: list[str], argv: list[str], first: str
) -> None:
    (project / "show.py").write_text("import sys\nprint(sys.argv)\nprint(repr(sys.path[0]))\n")
    (project / "sub").mkdir()
    (project / "sub" / "script.py").write_text((project / "show.py").read_text())
    result = puff("python", *arguments, cwd=project)
    expected = [text.format(project=project) for text in argv]
    assert result.stdout.splitlines() == [repr(expected), repr(first.format(project=project))], result.stderr


def test_python_runs_in_the_real_main_module(project: Path, puff: Run) -> None:
    (project / "pickled.py").write_text(
        "import pickle\nclass A: pass\nprint(__name__, type(pickle.loads(pickle.dumps(A()))).__name__)\n"
        "raise SystemExit(7)\n"
    )
    for form in (["pickled.py"], ["-m", "pickled"]):
        result = puff("python", *form, cwd=project)
        assert (result.returncode, result.stdout) == (7, "__main__ A\n"), result.stderr


def test_exit_functions_run_and_output_is_flushed(project: Path, puff: Run) -> None:
    code = (
        "import atexit, threading, time\n"
        "atexit.register(print, 'bye')\n"
        "said = threading.Event()\n"
        "threading.Thread(target=lambda: (said.wait(), time.sleep(0.1), print('thread'))).start()\n"
        "print('main')\n"
        "said.set()"
    )
    assert puff("python", "-c", code, cwd=project).stdout.split() == ["main", "thread", "bye"]


# ---------------------------------------------------------------------------- puff graphql


def test_graphql_from_the_command_line(project: Path, puff: Run) -> None:
    def graphql(*arguments: str) -> subprocess.CompletedProcess[str]:
        return puff("graphql", *arguments, cwd=project, env={"PUFF_GRAPHQL": "schema:Schema"})

    query = "query Q($n: Int!) { z_last a_first(n: $n) }"
    result = graphql("query", query, "--variables", '{"n": 4}', "--header", "Authorization: Bearer abc")
    assert result.returncode == 0, result.stderr
    # In the order of the query.
    assert result.stdout.split() == [
        "{",
        '"data":',
        "{",
        '"z_last":',
        '"token',
        'abc",',
        '"a_first":',
        "5",
        "}",
        "}",
    ]
    (project / "q.graphql").write_text("{ a_first }")
    plan = graphql("plan", "@q.graphql")
    assert plan.returncode == 0, plan.stderr
    assert "Query.a_first" in plan.stdout
    wrong = graphql("query", "{ nope }")
    assert wrong.returncode == 1
    assert "nope" in wrong.stdout


# ---------------------------------------------------------------------------- services


@pytest.fixture
def with_services(project: Path, stop_services: Callable[[Path], None]) -> Iterator[Path]:
    yield project
    stop_services(project)


def test_private_services_start_on_first_use(with_services: Path, puff: Run) -> None:
    result = puff("run", "main.rows", cwd=with_services)
    assert result.stdout.strip() == "[{'n': 2}] PONG", result.stderr
    assert [line.split(" in ")[0] for line in result.stderr.splitlines()] == [
        "Starting PostgreSQL",
        "Starting Valkey",
    ]
    status = puff("db", "status", cwd=with_services).stdout
    assert "PostgreSQL 1" in status
    select = puff("db", "psql", "-Atc", "SELECT current_database()", cwd=with_services)
    assert select.stdout.strip() == "puff", select.stderr
    assert "database system is ready" in puff("db", "logs", cwd=with_services).stdout
    assert "stopped" in puff("db", "stop", cwd=with_services).stdout
    assert "PostgreSQL does not run" in puff("db", "status", cwd=with_services).stdout
    assert "deleted" in puff("db", "reset", "postgres", "--yes", cwd=with_services).stdout


def test_production_starts_no_private_services(project: Path, puff: Run) -> None:
    shutil.copy(ROOT / "examples" / "hello" / "hello.py", project)
    arguments = ("runserver", "--graphql", "hello:Schema", "--bind", "127.0.0.1:0")
    result = puff(*arguments, cwd=project, env={"PUFF_ENV": "production"})
    assert result.returncode == 2
    assert "set PUFF_POSTGRES_URL" in result.stderr
    assert not (project / ".puff").exists()


def test_a_schema_without_statements_needs_no_postgres(project: Path, serve: Serve) -> None:
    with serve("--graphql", "schema:Schema", cwd=project, env={"PUFF_ENV": "production"}) as server:
        assert server.graphql("{ a_first }") == {"data": {"a_first": 2}}
    assert not (project / ".puff").exists()


def test_a_server_that_cannot_be_reached_is_named_without_its_password(project: Path, puff: Run) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        url = f"postgres://user:secret@127.0.0.1:{port}/db"
        result = puff(
            "runserver",
            "--graphql",
            "schema:Schema",
            "--bind",
            "127.0.0.1:0",
            cwd=project,
            env={"DATABASE_URL": url},
        )
    assert result.returncode == 2
    line = result.stderr.splitlines()[-1]
    assert line.startswith("puff: error: PostgreSQL is not available: ")
    assert f"127.0.0.1:{port}" in line
    assert "secret" not in result.stderr


def test_a_port_in_use_is_told_before_anything_starts(project: Path, puff: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = puff("runserver", "--graphql", "schema:Schema", "--bind", address, cwd=project)
    assert result.returncode == 2
    assert result.stderr.strip() == (
        f"puff: error: cannot listen on {address}: address already in use (another program uses this port; "
        "choose one with --bind)"
    )
    assert not (project / ".puff").exists()


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_program_starts_ends_it(project: Path, signum: int, status: int) -> None:
    (project / "slow.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [str(PUFF), "runserver", "--wsgi", "slow:app", "--bind", "127.0.0.1:0"],
        cwd=project,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signum)
        assert process.wait(30) == status, "it would be a minute"
