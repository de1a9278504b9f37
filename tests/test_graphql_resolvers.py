"""What resolvers may do: methods, errors of single parents, errors meant for clients, SQL's forms."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stack import Run, Serve, Server
from support import eventually, open_database_project

APP = r'''
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import puff
from puff import graphql

CALLS: list[str] = []
GONE: list[bool] = []


@dataclass
class Pet:
    name: str

    def shout(self, context, /, mark: str = "!") -> str | None:
        CALLS.append("shout")
        if self.name == "Rex":
            raise graphql.GraphQLError("Rex is asleep", code="ASLEEP", extensions={"until": 7, "code": "X"})
        if self.name == "Tom":
            raise LookupError("no Tom")
        return self.name.upper() + mark


@dataclass
class Person:
    id: int
    first: str
    last: str

    def full_name(self, context, /) -> str:
        return self._greeting(f"{self.first} {self.last}")

    def _greeting(self, name: str) -> str:
        return f"Mx {name}"

    def pets(self, context, /) -> tuple[list[Pet] | None, Any]:
        if self.id == 2:
            raise graphql.Forbidden("not yours")
        return ..., [Pet(name) for name in ("Rex", "Kit", "Tom")[: self.id]]

    @classmethod
    def best(cls, parents, context, /) -> tuple[Pet | None, Any]:
        return ..., [
            graphql.Unauthenticated() if p.id == 1 else None if p.id == 2 else Pet("Kit") for p in parents
        ]

    @classmethod
    def lucky(cls, parents, context, /) -> list[int | None]:
        return [[parent.id, ValueError("unlucky"), 7] for parent in parents]


@dataclass
class Size:
    width: int
    height: float

    def area(self, context, /) -> float:
        return self.width * self.height


@dataclass
class Part:
    name: str
    price: str | None
    size: Size | None
    parts: list[Part]
    tags: list[str]
    of = graphql.sql(
        "str | None",
        "SELECT n AS name, 'of ' || n AS value FROM unnest($1::text[]) n",
        parents="name",
        children="name",
    )


@dataclass
class Order:
    id: int
    main: Part | None
    parts: list[Part]


PART = """jsonb_build_object('name', 'p' || n, 'price', n * 1.10, 'parts', jsonb_build_array(
    jsonb_build_object('name', 'q' || n, 'parts', '[]'::jsonb, 'tags', '["a", "b"]'::jsonb,
        'size', jsonb_build_object('width', n, 'height', 2.5))), 'tags', '[]'::jsonb)"""


@dataclass
class Query:
    @classmethod
    def people(cls, context, /, count: int = 3) -> tuple[list[Person], str, dict]:
        sql = """SELECT n AS id, :first || n AS first, ':last'::text AS last
            FROM generate_series(1, :count::int) n"""
        return ..., sql, {"first": "f", "count": count, "unused": 1}

    @classmethod
    def objects(cls, context, /) -> tuple[list[Person], Any]:
        return ..., [Person(3, "a", "b"), {"id": 3, "first": "c", "last": "d"}, ValueError("no person")]

    @classmethod
    def nameless(cls, context, /) -> tuple[list[Person] | None, str, dict]:
        return ..., "SELECT :nope AS id", {"id": 1}

    @classmethod
    def mixed(cls, context, /) -> tuple[list[Person] | None, str, dict]:
        return ..., "SELECT :id AS id, $2", {"id": 1}

    @classmethod
    def orders(cls, context, /) -> tuple[list[Order], str, list]:
        return ..., f"""SELECT n AS id, CASE WHEN n < 3 THEN {PART} END AS main,
            CASE n WHEN 3 THEN '[null]' WHEN 2 THEN '{{}}' ELSE jsonb_build_array({PART}) END AS parts
            FROM generate_series(1, 3) n""", []

    @classmethod
    def meant(cls, context, /) -> str | None:
        raise graphql.GraphQLError("read me")

    @classmethod
    def unmeant(cls, context, /) -> str | None:
        raise RuntimeError("the password is hunter2")

    @classmethod
    def broken(cls, context, /) -> tuple[list[Pet] | None, str, list]:
        return ..., "SELECT * FROM hunter2", []

    @classmethod
    def misfit(cls, context, /) -> tuple[list[Pet] | None, str, list]:
        return ..., "SELECT", [], []

    @classmethod
    def about(cls, context, /) -> dict[str, Any]:
        return {
            "cookies": context.cookies, "id": context.request_id, "peer": context.peer, "gone": context.gone,
            "state": context.state,
        }

    @classmethod
    def calls(cls, context, /) -> list[str]:
        return CALLS

    @classmethod
    def gone(cls, context, /) -> list[bool]:
        return GONE


@dataclass
class Mutation:
    @classmethod
    def work(cls, context, /) -> bool:
        GONE.append(context.gone)
        with puff.timeout(20):
            while not context.gone:
                puff.sleep(0.02)
        GONE.append(context.gone)
        return True


@dataclass
class Schema:
    query: Query
    mutation: Mutation


def in_process():
    schema = puff.global_graphql()
    state = {"who": "me"}
    answer = schema.query("{ about }", context=state, headers={"Cookie": 'a=1; b="x y"'})
    about = answer["data"]["about"]
    assert about.pop("cookies") == {"a": "1", "b": "x y"}, about
    assert about == {"id": None, "peer": None, "gone": False, "state": state}, about
    assert schema.query("query A { meant } query B { calls }", operation="B") == {"data": {"calls": []}}
    assert "people[]  <- Query.people" in schema.plan("{ people { id } }"), schema.plan("{ people { id } }")
    for wrong in (lambda: schema.plan("{ nope }"), lambda: schema.query("{ calls }", headers={"a b": "c"})):
        try:
            wrong()
        except ValueError:
            continue
        raise AssertionError("no ValueError")
'''


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_database_project(APP) as folder:
        yield folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--graphql", "app:Schema", cwd=folder) as server:
        yield server


def data(answer: Any) -> Any:
    assert "errors" not in answer, answer
    return answer["data"]


def errors(answer: Any) -> dict[str, tuple[str, str]]:
    """Code and message by path."""
    return {
        ".".join(map(str, error["path"])): (error["extensions"]["code"], error["message"])
        for error in answer["errors"]
    }


def test_methods_are_called_on_rows_and_on_objects(server: Server) -> None:
    assert data(server.graphql("{ people { full_name } }")) == {
        "people": [{"full_name": f"Mx f{n} :last"} for n in (1, 2, 3)]
    }
    answer = server.graphql("{ objects { full_name } }")
    assert answer["data"] is None
    assert errors(answer) == {"objects.2": ("RESOLVER_ERROR", "no person")}


def test_an_exception_is_the_error_of_its_own_parent(server: Server) -> None:
    answer = server.graphql('{ people { id pets { shout(mark: "?") } best { name } lucky } }')
    first, second, third = ({"id": 1}, {"id": 2}, {"id": 3})
    assert [person["pets"] for person in answer["data"]["people"]] == [
        [{"shout": None}],
        None,
        [{"shout": None}, {"shout": "KIT?"}, {"shout": None}],
    ]
    found = errors(answer)
    assert found["people.0.pets.0.shout"] == ("ASLEEP", "Rex is asleep")
    assert found["people.1.pets"] == ("FORBIDDEN", "not yours")
    assert found["people.2.pets.2.shout"] == ("RESOLVER_ERROR", "no Tom")
    assert found["people.0.best"] == ("UNAUTHENTICATED", "sign in first")
    assert found["people.2.lucky.1"] == ("RESOLVER_ERROR", "unlucky")
    (asleep,) = (e for e in answer["errors"] if e["extensions"]["code"] == "ASLEEP" and e["path"][1] == 0)
    assert asleep["extensions"] == {"code": "ASLEEP", "until": 7}
    answer = server.graphql("{ people { id best { name } lucky } }")
    assert answer["data"] == {
        "people": [
            {**first, "best": None, "lucky": [1, None, 7]},
            {**second, "best": None, "lucky": [2, None, 7]},
            {**third, "best": {"name": "Kit"}, "lucky": [3, None, 7]},
        ]
    }
    # One line in the log for the layer, none for what is meant for clients.
    assert eventually(lambda: "3 of its values are exceptions, the first" in server.log.read_text())
    assert "Rex is asleep" not in server.log.read_text()


def test_a_wrong_form_is_logged_with_its_place(server: Server) -> None:
    answer = server.graphql("{ misfit { name } }")
    (code, message) = errors(answer)["misfit"]
    assert (code, message.split(";")[0]) == (
        "RESOLVER_ERROR",
        "the resolver Query.misfit returned a tuple of 4",
    )
    line = APP.splitlines().index("    def misfit(cls, context, /) -> tuple[list[Pet] | None, str, list]:")
    assert eventually(lambda: f"app.py:{line + 1}) failed" in server.log.read_text())


def test_parameters_by_name(server: Server) -> None:
    assert data(server.graphql("{ people(count: 1) { first last } }")) == {
        "people": [{"first": "f1", "last": ":last"}]
    }
    answer = server.graphql("{ nameless { id } mixed { id } }")
    assert errors(answer) == {
        "nameless": (
            "RESOLVER_ERROR",
            "the statement has the parameter :nope, and the dict of parameters has no such key (keys: id)",
        ),
        "mixed": (
            "RESOLVER_ERROR",
            "the statement has both $2 and parameters given by name in a dict; "
            "write :name for each, or give a list",
        ),
    }


def test_json_columns_are_objects(server: Server) -> None:
    query = "{ orders { id main { name price of parts { name of tags size { width height area } } } } }"
    main = {
        n: {
            "name": f"p{n}",
            "price": f"{n * 1.1:.2f}",
            "of": f"of p{n}",
            "parts": [
                {
                    "name": f"q{n}",
                    "of": f"of q{n}",
                    "tags": ["a", "b"],
                    "size": {"width": n, "height": 2.5, "area": n * 2.5},
                }
            ],
        }
        for n in (1, 2)
    }
    assert data(server.graphql(query)) == {
        "orders": [{"id": 1, "main": main[1]}, {"id": 2, "main": main[2]}, {"id": 3, "main": None}]
    }
    answer = server.graphql("{ orders { id parts { name } } }")
    assert answer["data"] is None
    found = errors(answer)
    assert found["orders.1.parts"] == (
        "BAD_VALUE",
        "Order.parts: the JSON holds no list where one was expected",
    )


def test_the_request(server: Server) -> None:
    headers = {"Content-Type": "application/json", "Cookie": 'a=1; b="x y"; c', "X-Request-Id": "r-1"}
    body = json.dumps({"query": "{ about }"}).encode()
    about = data(server.request("POST", "/graphql", body, headers).json())["about"]
    assert about["cookies"] == {"a": "1", "b": "x y"}
    assert about["peer"][0] == "127.0.0.1"
    assert isinstance(about["peer"][1], int)
    assert (about["gone"], about["state"]) == (False, {})


def test_a_mutation_is_told_that_its_client_has_gone(server: Server) -> None:
    body = b'{"query": "mutation { work }"}'
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(
            b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        assert eventually(lambda: data(server.graphql("{ gone }"))["gone"] == [False])
    assert eventually(lambda: data(server.graphql("{ gone }"))["gone"] == [False, True])


def test_masked_errors(folder: Path, serve: Serve) -> None:
    with serve("--graphql", "app:Schema", cwd=folder, env={"PUFF_GRAPHQL_MASK_ERRORS": "true"}) as server:
        answer = server.graphql("{ meant unmeant broken { name } people { lucky } misfit { name } }")
        assert "hunter2" not in json.dumps(answer)
        assert "Query." not in json.dumps(answer)
        found = errors(answer)
        assert found["meant"] == ("RESOLVER_ERROR", "read me")
        assert found["unmeant"] == ("RESOLVER_ERROR", "the resolver failed")
        assert found["broken"] == ("SQL_ERROR", "the statement failed")
        assert found["people.0.lucky.1"] == ("RESOLVER_ERROR", "the resolver failed")
        assert eventually(lambda: 'relation "hunter2" does not exist' in server.log.read_text())
        assert eventually(lambda: "RuntimeError: the password is hunter2" in server.log.read_text())
        assert eventually(lambda: "ValueError: unlucky" in server.log.read_text())


def test_in_process(folder: Path, puff: Run) -> None:
    result = puff("run", "app.in_process", cwd=folder, env={"PUFF_GRAPHQL": "app:Schema"})
    assert result.returncode == 0, result.stderr
