"""GraphQL schemas with names: where they are declared and served, that they are apart, what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import RUN, chromium, visiting
from playwright.sync_api import expect
from stack import Run, Serve, Server, clean_environment
from support import eventually
from websockets.sync.client import connect

SHOP = """
from collections.abc import Iterator
from dataclasses import dataclass

from puff import graphql


@dataclass
class Query:
    @classmethod
    def shop_name(cls, context, /) -> str:
        return "corner shop"

    @classmethod
    def broken(cls, context, /) -> int | None:
        raise ValueError("the till is empty")


@dataclass
class Subscription:
    @classmethod
    def sales(cls, context, /) -> Iterator[int]:
        yield 3


@dataclass
class Schema:
    query: Query
    subscription: Subscription
"""

ADMIN = """
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Query:
    @classmethod
    def staff(cls, context, /) -> list[str]:
        return ["ada", "bob"]

    @classmethod
    def broken(cls, context, /) -> int | None:
        raise ValueError("the safe is empty")


@dataclass
class Subscription:
    @classmethod
    def alarms(cls, context, /) -> Iterator[str]:
        yield "fire"


@dataclass
class Schema:
    query: Query
    subscription: Subscription

    @classmethod
    def connect(cls, context, /):
        return {"who": "admin"}
"""

USES = """
import json

import puff

shop, admin = puff.global_graphql(), puff.global_graphql("admin")


def both():
    assert puff.global_graphql("admin") is admin is not shop
    wrong = admin.query("{ shop_name }")["errors"][0]["message"]
    print(json.dumps([shop.query("{ shop_name }"), admin.query("{ staff }"), wrong]))
    with admin.subscribe("subscription { alarms }", timeout=5) as answers:
        print(list(answers))
    print("Query.staff" in admin.plan("{ staff }"), "staff" in admin.sdl(), "staff" in shop.sdl())
    print(shop, admin)


def unknown():
    for name in ("none", None):
        try:
            puff.global_graphql(name).query("{ a }")
        except RuntimeError as error:
            print(error)
    try:
        puff.global_graphql(7)
    except TypeError as error:
        print(error)
"""

BOTH = """
graphql = "shop:Schema"
graphql_mask_errors = true

[graphql_schema.admin]
class = "admin:Schema"
path = "/back/office"
mask_errors = false
introspection = false
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    for name, text in {"shop": SHOP, "admin": ADMIN, "uses": USES}.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    (folder / "puff.toml").write_text(BOTH)
    with serve(cwd=folder) as server:
        yield server


def ask(server: Server, path: str, query: str) -> Any:
    body = json.dumps({"query": query}).encode()
    return server.request("POST", path, body, {"Content-Type": "application/json"}).json()


def test_each_has_a_path_of_its_own(server: Server) -> None:
    assert ask(server, "/graphql", "{ shop_name }") == {"data": {"shop_name": "corner shop"}}
    assert ask(server, "/back/office", "{ staff }") == {"data": {"staff": ["ada", "bob"]}}
    assert "data" not in ask(server, "/graphql", "{ staff }")
    assert server.get("/back/office?query=%7Bstaff%7D").json() == {"data": {"staff": ["ada", "bob"]}}
    assert server.get("/graphql/admin").status == 404


def test_a_table_has_settings_of_its_own(server: Server) -> None:
    def message(path: str) -> str:
        return str(ask(server, path, "{ broken }")["errors"][0]["message"])

    assert message("/graphql") == "the resolver failed"
    assert message("/back/office") == "the safe is empty"
    assert "data" in ask(server, "/graphql", "{ __schema { queryType { name } } }")
    assert "data" not in ask(server, "/back/office", "{ __schema { queryType { name } } }")


def test_each_has_subscriptions_of_its_own(server: Server) -> None:
    def first(path: str, query: str) -> tuple[Any, Any]:
        url = f"ws://127.0.0.1:{server.port}{path}"
        with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
            socket.send(json.dumps({"type": "connection_init"}))
            welcome = json.loads(socket.recv(10))
            socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}))
            return welcome.get("payload"), json.loads(socket.recv(10))["payload"]

    assert first("/subscriptions", "subscription { sales }") == (None, {"data": {"sales": 3}})
    office = "/back/office/subscriptions"
    assert first(office, "subscription { alarms }") == ({"who": "admin"}, {"data": {"alarms": "fire"}})
    assert "sales" in first(office, "subscription { sales }")[1][0]["message"]


def test_each_has_event_streams_of_its_own(server: Server) -> None:
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    body = json.dumps({"query": "subscription { alarms }"}).encode()
    answer = server.request("POST", "/back/office", body, headers)
    assert '{"data":{"alarms":"fire"}}' in answer.text


def test_each_has_a_playground_of_its_own(server: Server) -> None:
    office = "/back/office/playground"
    places = [
        ("/", "{ shop_name }", "corner shop"),
        ("/", "subscription { sales }", "3"),
        (office, "{ staff }", "ada"),
        (office, "subscription { alarms }", "fire"),
    ]
    with chromium() as browser:
        for path, query, answer in places:
            with visiting(browser, server.url, path) as visit:
                visit.tolerated = "status of 400"  # the office does not show its schema
                visit.open(query)
                visit.page.click(RUN)
                expect(visit.result).to_contain_text(answer)


def test_the_banner_names_all(server: Server) -> None:
    office = f"{server.url}/back/office"
    for line in (
        f"GraphQL of shop:Schema on {server.url}/graphql, its playground on {server.url}/\n",
        f"GraphQL of admin:Schema on {office}, its playground on {office}/playground\n",
    ):
        assert eventually(lambda line=line: line in server.log.read_text()), line  # type: ignore[misc]


def test_python_asks_for_them_by_name(folder: Path, puff: Run) -> None:
    (folder / "puff.toml").write_text(BOTH)
    plain = [sys.executable, "-c", "import uses; uses.both()"]
    # Plain Python loads each schema at its first use.
    outside = subprocess.run(
        plain, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    for done in (puff("run", "uses.both", cwd=folder), outside):
        assert done.returncode == 0, done.stderr
        answers, events, *last = done.stdout.splitlines()
        (shop, admin, wrong) = json.loads(answers)
        assert (shop, admin) == ({"data": {"shop_name": "corner shop"}}, {"data": {"staff": ["ada", "bob"]}})
        assert "shop_name" in wrong
        assert events == "[{'data': {'alarms': 'fire'}}]"
        assert last == ["True True False", "puff.global_graphql() puff.global_graphql('admin')"]


def test_a_variable_is_enough(folder: Path, puff: Run, serve: Serve) -> None:
    (folder / "puff.toml").unlink(missing_ok=True)
    env = {"PUFF_GRAPHQL_SCHEMA_ADMIN_CLASS": "admin:Schema", "PUFF_GRAPHQL_MAX_ROOT_FIELDS": "1"}
    with serve(cwd=folder, env=env) as server:
        assert ask(server, "/graphql/admin", "{ staff }") == {"data": {"staff": ["ada", "bob"]}}
        # What a schema's table does not say is as the program has it.
        many = ask(server, "/graphql/admin", "{ a: staff b: staff }")
        assert many["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert server.get("/").status == 404
    env["PUFF_GRAPHQL_SCHEMA_ADMIN_PATH"] = "/office"
    with serve(cwd=folder, env=env) as server:
        assert ask(server, "/office", "{ staff }") == {"data": {"staff": ["ada", "bob"]}}


def test_the_command_line_takes_a_name(folder: Path, puff: Run) -> None:
    (folder / "puff.toml").write_text(BOTH)
    done = puff("graphql", "query", "{ staff }", "--schema", "admin", cwd=folder)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"data": {"staff": ["ada", "bob"]}})
    done = puff("graphql", "--schema", "admin", "schema", cwd=folder)
    assert (done.returncode, "staff" in done.stdout) == (0, True)
    done = puff("graphql", "plan", "{ staff }", "--schema=admin", cwd=folder)
    assert (done.returncode, "Query.staff" in done.stdout) == (0, True)
    done = puff("graphql", "schema", cwd=folder)
    assert (done.returncode, "shop_name" in done.stdout) == (0, True)


def test_unknown_names_tell_the_known(folder: Path, puff: Run) -> None:
    (folder / "puff.toml").write_text(BOTH)
    done = puff("graphql", "schema", "--schema", "admn", cwd=folder)
    assert done.returncode == 2
    assert done.stderr == 'puff: error: this program has no GraphQL schema "admn": it has admin\n'
    (folder / "puff.toml").write_text('[graphql_schema.admin]\nclass = "admin:Schema"\n')
    done = puff("graphql", "schema", cwd=folder)
    assert done.returncode == 2
    assert done.stderr == "puff: error: no schema without a name: choose one with --schema, of admin\n"
    done = puff("run", "uses.unknown", cwd=folder)
    assert done.stdout.splitlines() == [
        'this program has no GraphQL schema "none": it has admin',
        "this program has no GraphQL schema without a name: it has admin",
        "the name of a schema is a str, not int",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("graphql_schema = 'x'", "puff.toml: graphql_schema: a schema is a table, [graphql_schema.NAME]"),
        ("[graphql_schema.Big]", "puff.toml: graphql_schema.Big: the name of a schema is lower-case letters"),
        ("[graphql_schema.default]", 'not "default", which is the one without a name'),
        ("[graphql_schema.a]\nclas = 'x'", 'unknown key "graphql_schema.a.clas" (did you mean "class"?)'),
        ("[graphql_schema.a]\npath = '/a'", 'the GraphQL schema "a" has no class: set class = '),
        (
            "[graphql_schema.a]\nclass = 'admin:Schema'\npath = 'a'",
            "graphql_schema.a.path: a path is such as",
        ),
        ("[graphql_schema.a]\nclass = 'admin:Schema'\nmax_rows = 0", 'graphql_schema.a.max_rows: "0" is not'),
        ("[graphql_schema.a]\nclass = 'x:X'\n[graphql_schema.a]\nclass = 'y:Y'", "puff.toml: line 3: "),
        (
            "graphql = 'shop:Schema'\n[graphql_schema.a]\nclass = 'admin:Schema'\npath = '/graphql'",
            'the GraphQL schema "a": it would be at /graphql, where the schema "default" is',
        ),
        ("[graphql_schema.a]\nclass = 'admin:Nothing'", "Nothing"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(folder: Path, puff: Run, text: str, message: str) -> None:
    (folder / "puff.toml").write_text(text)
    done = puff("runserver", "--bind", "127.0.0.1:0", "--check-config", cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("puff: error: ")
    assert message in line


def test_print_config_lists_them(folder: Path, puff: Run) -> None:
    (folder / "puff.toml").write_text(BOTH)
    listing = puff("runserver", "--print-config", cwd=folder).stdout
    assert 'graphql_schema.admin.class = "admin:Schema"  # ' in listing
    assert "# graphql_schema.admin.max_depth: as graphql_max_depth\n" in listing
