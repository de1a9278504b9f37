"""Constants of a schema: what clients get, and that Python has no part in it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stack import Run, Serve, Server
from support import eventually

SCHEMA = """
import datetime
import decimal
import enum
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from puff import graphql


@graphql.enum(values={"BLUE": "AZURE"})
class Color(enum.Enum):
    RED = 1
    BLUE = 2


Price = Annotated[decimal.Decimal, graphql.scalar("Price", serialize=lambda price: f"{price:.2f}")]


def nobody(context, guarded):
    return False


@graphql.interface
@dataclass
class Thing:
    id: int
    kind = graphql.constant(str, "thing")


@dataclass
class Book(Thing):
    kind = graphql.constant(str, "book")


@dataclass
class Film(Thing):
    pass


VALUES = {
    "text": (str, 'a "quoted" \\n text \\u00e9'),
    "id": (graphql.ID, "7"),
    "whole": (int, -5),
    "number": (float, 2.5),
    "flag": (bool, True),
    "nothing": ("int | None", None),
    "big": (graphql.BigInt, 2**70),
    "many": ("list[list[int | None]]", [[1, None], []]),
    "color": (Color, Color.BLUE),
    "colors": (list[Color], [Color.RED, Color.BLUE]),
    "moment": (datetime.datetime, datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)),
    "day": (datetime.date, datetime.date(2024, 2, 29)),
    "clock": (datetime.time, datetime.time(12, 30)),
    "length": (datetime.timedelta, datetime.timedelta(days=1, hours=2)),
    "exact": (decimal.Decimal, decimal.Decimal("1.20")),
    "uuid": (uuid.UUID, uuid.UUID(int=5)),
    "data": (bytes, b"abc"),
    "json": (Any, {"a": [1, None, datetime.date(2024, 2, 29)]}),
    "price": (Price, decimal.Decimal("1.2")),
}


@dataclass
class Constants:
    locals().update({name: graphql.constant(*given) for name, given in VALUES.items()})


@dataclass
class Resolved:
    __annotations__ = {name: given[0] for name, given in VALUES.items()}


@dataclass
class Query(Constants):
    secret = graphql.constant(int, 42, permission=nobody)

    @classmethod
    def resolved(cls, context, /) -> tuple[Resolved, Any]:
        return ..., {name: value for name, (_, value) in VALUES.items()}

    @classmethod
    def things(cls, context, /) -> list[Thing]:
        return [Book(1), Film(2)]

    @classmethod
    def block(cls, context, /) -> int:
        Path("begun").touch()
        while not Path("go").exists():
            time.sleep(0.01)
        return 1


@dataclass
class Mutation:
    version = graphql.constant(str, "2")


@dataclass
class Schema:
    query: Query
    mutation: Mutation
"""

NAMES = "text id whole number flag nothing big many color colors moment day clock length exact"
NAMES += " uuid data json price"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("constants")
    (folder / "schema.py").write_text(SCHEMA)
    (folder / "puff.toml").write_text('graphql = "schema:Schema"\n')
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve(cwd=folder) as server:
        yield server


def test_a_constant_is_what_a_resolver_would_have_returned(server: Server) -> None:
    body = json.dumps({"query": f"{{ {NAMES} resolved {{ {NAMES} }} }}"}).encode()
    # As text, which shows numbers as they are written.
    text = server.request("POST", "/graphql", body, {"Content-Type": "application/json"}).text
    constants, _, resolved = text.removeprefix('{"data":').partition(',"resolved":')
    assert constants + "}" == resolved.removesuffix("}}")
    answer: dict[str, Any] = json.loads(text)["data"]["resolved"]
    assert list(answer) == NAMES.split()
    assert (answer["color"], answer["price"], answer["big"]) == ("AZURE", "1.20", str(2**70))


def test_constants_of_objects(server: Server) -> None:
    answer = server.graphql("{ things { __typename id kind } }")
    assert answer["data"]["things"] == [
        {"__typename": "Book", "id": 1, "kind": "book"},
        {"__typename": "Film", "id": 2, "kind": "thing"},
    ]
    assert server.graphql("mutation { version }") == {"data": {"version": "2"}}


def test_a_guarded_constant(server: Server) -> None:
    answer = server.graphql("{ secret }")
    assert answer["data"] is None
    assert "42" not in json.dumps(answer)


def test_python_is_not_entered(server: Server, folder: Path) -> None:
    blocking = threading.Thread(target=server.graphql, args=("{ block }",))
    blocking.start()
    assert eventually((folder / "begun").exists)
    # The hub's only thread is busy in a resolver that does not wait.
    assert server.graphql("{ text whole colors }")["data"]["whole"] == -5
    assert blocking.is_alive()
    (folder / "go").touch()
    blocking.join(20)
    body = json.dumps({"query": "{ text }"}).encode()
    headers = {"Content-Type": "application/json", "Puff-Trace": "1"}
    trace = server.request("POST", "/graphql", body, headers).json()["extensions"]["puff"]
    assert trace["layers"] == []


def test_a_constant_that_does_not_fit_keeps_the_program_from_starting(folder: Path, puff: Run) -> None:
    text = SCHEMA.replace('graphql.constant(str, "2")', "graphql.constant(str, 2)")
    (folder / "wrong.py").write_text(text)
    line = text[: text.index("graphql.constant(str, 2)")].count("\n") + 1
    done = puff("graphql", "schema", "--graphql", "wrong:Schema", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"puff: error: {folder}/wrong.py:{line}: Mutation.version: the constant 2 does not"
    )
