"""Permissions: asked once a layer, before anything is done or read, whatever the guarded field comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from feed import client
from stack import Line, Run, Serve, Server
from support import eventually, open_folder

APP = '''
from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import puff
from puff import graphql

ASKED: list[str] = []
DONE: list[str] = []


def signed_in(context, guarded):
    ASKED.append(f"signed_in {guarded}")
    if context.auth_token is None:
        raise graphql.Unauthenticated()
    return True


def staff(context, guarded) -> bool:
    # Waits like any resolver.
    role = puff.global_postgres().query("SELECT $1::text AS role", [context.auth_token])[0]["role"]
    ASKED.append(f"staff {guarded} {dict(guarded.arguments)}")
    return role == "staff"


def own(context, guarded):
    ids = [id for (id,) in context.parent_values(["id"])]
    ASKED.append(f"own {guarded} {ids}")
    return [True if str(id) == context.auth_token else graphql.Forbidden(f"not yours: {id}") for id in ids]


def broken(context, guarded):
    raise LookupError("no such role")


def forgets(context, guarded):
    context.state["seen"] = True


def few(context, guarded):
    return [True]


def slow(context, guarded):
    ASKED.append("slow begins")
    try:
        puff.sleep(20)
    finally:
        ASKED.append("slow ends")
    return True


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


def by_level(context, guarded):
    ASKED.append(f"by_level {guarded.arguments}")
    return guarded.arguments["level"] is Level.LOW


Secret = Annotated[str | None, graphql.scalar("Secret", sql=lambda cell: DONE.append("converted") or cell)]


@graphql.type(permission=staff)
@dataclass
class Salary:
    amount: int


@dataclass
class Address:
    street: Annotated[str | None, graphql.field(permission=own)]
    id: int


@dataclass
class User:
    id: int
    name: str
    email: Annotated[str | None, graphql.field(permission=own)]
    secret: Annotated[Secret, graphql.field(permission=staff)]
    address: Address | None = None
    salary = graphql.sql(
        "Salary | None",
        "SELECT n AS id, n * 10 AS amount FROM unnest($1::int[]) n",
        parents="id",
        children="id",
    )
    logins = graphql.sql(
        "int | None",
        "SELECT n AS id, n * 100 AS logins FROM unnest($1::int[]) n",
        parents="id",
        children="id",
        permission=[signed_in, own],
    )

    @classmethod
    @graphql.field(permission=own)
    def notes(cls, context, /) -> tuple[list[str] | None, str, list, list[str], list[str]]:
        ids = [id for (id,) in context.parent_values(["id"])]
        DONE.append(f"notes {ids}")
        return ..., "SELECT n AS id, 'note ' || n AS notes FROM unnest($1::int[]) n", [ids], ["id"], ["id"]

    @graphql.field(permission=by_level)
    def level(self, context, /, level: Level = Level.LOW) -> str | None:
        return level.name


@graphql.interface(permission=signed_in)
@dataclass
class Node:
    id: int
    title: Annotated[str | None, graphql.field(permission=own)]

    @classmethod
    @graphql.field(permission=own)
    def size(cls, context, /) -> int | None:
        DONE.append("size")
        return 1


@dataclass
class Post(Node):
    title: str | None
    likes: int


@graphql.type(permission=staff)
@dataclass
class Report(Node):
    pages: int

    @classmethod
    def size(cls, context, /) -> int | None:
        return 2


@dataclass
class Free:
    text: str


Found = Annotated[Report | Free, graphql.union("Found")]

USERS = """SELECT n AS id, 'u' || n AS name, n || '@x' AS email, 'secret' AS secret,
    jsonb_build_object('street', 's' || n, 'id', n) AS address FROM generate_series(1, 3) n"""


@dataclass
class Query:
    @classmethod
    def users(cls, context, /) -> tuple[list[User], str, list]:
        DONE.append("users")
        return ..., USERS, []

    @classmethod
    def objects(cls, context, /) -> tuple[list[User], Any]:
        return ..., [User(n, f"u{n}", f"{n}@x", "secret", Address(f"s{n}", n)) for n in (1, 2)]

    @classmethod
    def nodes(cls, context, /) -> tuple[list[Node | None], str, list]:
        return ..., """SELECT * FROM (VALUES ('Post', 1, 'a', 5, NULL), ('Report', 2, 'b', NULL, 6),
            ('Post', 3, 'c', 7, NULL)) n (__typename, id, title, likes, pages)""", []

    @classmethod
    def found(cls, context, /) -> list[Found | None]:
        return [Report(1, "r", 9), Free("free")]

    @classmethod
    @graphql.field(permission=signed_in)
    def me(cls, context, /) -> str | None:
        return context.auth_token

    @classmethod
    @graphql.field(permission=signed_in)
    def must(cls, context, /) -> str:
        return "must"

    @classmethod
    @graphql.field(permission=broken)
    def broken(cls, context, /) -> str | None:
        DONE.append("broken")

    @classmethod
    @graphql.field(permission=forgets)
    def forgotten(cls, context, /) -> str | None:
        DONE.append("forgotten")

    @classmethod
    @graphql.field(permission=slow)
    def slow(cls, context, /) -> str | None:
        DONE.append("slow")

    constant = graphql.sql("int | None", "SELECT 1 AS constant", permission=signed_in)

    entries = graphql.sql("int", "SELECT count(*)::int AS entries FROM entry")

    @classmethod
    def log(cls, context, /) -> list[list[str]]:
        log = [ASKED[:], DONE[:]]
        ASKED.clear()
        DONE.clear()
        return log


@dataclass
class Entry:
    id: int
    hidden: Annotated[int | None, graphql.field(permission=staff)]


@graphql.type(permission=signed_in)
@dataclass
class Mutation:
    @classmethod
    def enter(cls, context, /) -> tuple[Entry | None, str, list]:
        return ..., "INSERT INTO entry VALUES (1) RETURNING id, id AS hidden", []

    @classmethod
    def write(cls, context, /, text: str) -> str | None:
        DONE.append(f"write {text}")
        return text

    @classmethod
    @graphql.field(permission=staff)
    def erase(cls, context, /, id: int) -> bool | None:
        DONE.append(f"erase {id}")
        return True

    @classmethod
    def pay(cls, context, /) -> tuple[Salary | None, Any]:
        DONE.append("pay")
        return ..., Salary(1)


@dataclass
class Event:
    id: int
    text: Annotated[str | None, graphql.field(permission=own)]


@dataclass
class Subscription:
    @classmethod
    @graphql.field(permission=signed_in)
    def ticks(cls, context, /, count: int = 2) -> Iterator[int]:
        DONE.append("ticks")
        yield from range(count)

    @classmethod
    def salaries(cls, context, /) -> Iterator[Salary]:
        DONE.append("salaries")
        yield Salary(1)

    @classmethod
    def events(cls, context, /) -> Iterator[Event]:
        yield Event(1, "one")
        yield Event(2, "two")


@dataclass
class Schema:
    query: Query
    mutation: Mutation
    subscription: Subscription
'''


@pytest.fixture(scope="module")
def folder(puff: Run) -> Iterator[Path]:
    with open_folder() as folder:
        (folder / "app.py").write_text(APP)
        (folder / "few.py").write_text(
            APP.replace(
                "email: Annotated[str | None, graphql.field(permission=own)]",
                "email: Annotated[str | None, graphql.field(permission=few)]",
            )
        )
        table = "import puff; puff.global_postgres().script('CREATE TABLE entry (id int)')"
        result = puff("python", "-c", table, cwd=folder)
        assert result.returncode == 0, result.stderr
        yield folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--graphql", "app:Schema", cwd=folder) as server:
        yield server


def ask(server: Server, query: str, token: str | None = None) -> Any:
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return server.request("POST", "/graphql", json.dumps({"query": query}).encode(), headers).json()


def log(server: Server) -> tuple[list[str], list[str]]:
    """Which permissions were asked, which resolvers ran; since the last look."""
    asked, done = ask(server, "{ log }")["data"]["log"]
    return asked, done


def errors(answer: Any) -> dict[str, str]:
    """Codes by path."""
    return {".".join(map(str, e["path"])): e["extensions"]["code"] for e in answer["errors"]}


@pytest.fixture(autouse=True)
def _forget(server: Server) -> None:
    log(server)


def test_a_root_field_that_is_refused_leaves_the_others(server: Server) -> None:
    answer = ask(server, "{\n  me\n  users { name }\n  constant\n}")
    assert answer["data"] == {"me": None, "users": [{"name": f"u{n}"} for n in (1, 2, 3)], "constant": None}
    assert answer["errors"][0] == {
        "message": "sign in first",
        "locations": [{"line": 2, "column": 3}],
        "path": ["me"],
        "extensions": {"code": "UNAUTHENTICATED"},
    }
    assert errors(answer) == {"me": "UNAUTHENTICATED", "constant": "UNAUTHENTICATED"}
    assert log(server) == (["signed_in Query.me", "signed_in Query.constant"], ["users"])
    assert ask(server, "{ me constant }", "7") == {"data": {"me": "7", "constant": 1}}


def test_what_must_not_be_null_takes_all_with_it(server: Server) -> None:
    answer = ask(server, "{ must users { name } }")
    assert answer["data"] is None
    assert errors(answer) == {"must": "UNAUTHENTICATED"}


def test_columns_of_rows_are_guarded(server: Server) -> None:
    answer = ask(server, "{ users { id mail: email secret } }", "2")
    assert answer["data"]["users"] == [
        {"id": n, "mail": "2@x" if n == 2 else None, "secret": None} for n in (1, 2, 3)
    ]
    assert errors(answer) == {
        **{f"users.{n}.mail": "FORBIDDEN" for n in (0, 2)},
        **{f"users.{n}.secret": "FORBIDDEN" for n in (0, 1, 2)},
    }
    assert {e["message"] for e in answer["errors"]} == {
        "not yours: 1",
        "not yours: 3",
        "you may not see this",
    }
    asked, done = log(server)
    assert asked == ["own User.email [1, 2, 3]", "staff User.secret {}"]
    # Nor does the scalar's own function see the cells.
    assert done == ["users"]
    answer = ask(server, "{ users { secret } }", "staff")
    assert answer == {"data": {"users": [{"secret": "secret"}] * 3}}


def test_resolvers_and_statements_serve_only_those_who_may_see(server: Server) -> None:
    answer = ask(server, "{ users { notes logins salary { amount } level a: level(level: HIGH) } }", "2")
    other = {"notes": None, "logins": None, "salary": None, "level": "LOW", "a": None}
    assert answer["data"]["users"] == [other, {**other, "notes": ["note 2"], "logins": 200}, other]
    asked, done = log(server)
    assert done == ["users", "notes [2]"]
    assert asked == [
        # In the order of the document, one call for each.
        "own User.notes [1, 2, 3]",
        "signed_in User.logins",
        "own User.logins [1, 2, 3]",
        "by_level {'level': <Level.LOW: 1>}",
        "by_level {'level': <Level.HIGH: 2>}",
        "staff Salary {}",
    ]
    answer = ask(server, "{ users { salary { amount } logins } }", "staff")
    assert answer["data"]["users"][2] == {"salary": {"amount": 30}, "logins": None}
    # The first that refuses is the last that is asked.
    assert set(errors(ask(server, "{ users { logins } }")).values()) == {"UNAUTHENTICATED"}
    assert log(server)[0][-1] == "signed_in User.logins"


@pytest.mark.parametrize("root", ["users", "objects"])
def test_objects_in_attributes_and_in_json_are_guarded(server: Server, root: str) -> None:
    answer = ask(server, f"{{ {root} {{ address {{ street }} email }} }}", "2")
    mine = {"address": {"street": "s2"}, "email": "2@x"}
    assert answer["data"][root][:2] == [{"address": {"street": None}, "email": None}, mine]
    ids = [1, 2, 3] if root == "users" else [1, 2]
    assert log(server)[0] == [f"own User.email {ids}", f"own Address.street {ids}"]


def test_of_interfaces_and_unions_the_concrete_type_counts(server: Server) -> None:
    query = "{ nodes { __typename id size ... on Post { likes } } found { __typename ... on Free { text } } }"
    answer = ask(server, query, "3")
    post = {"__typename": "Post", "id": 3, "size": 1, "likes": 7}
    assert answer["data"] == {
        "nodes": [{**post, "id": 1, "size": None, "likes": 5}, None, post],
        "found": [None, {"__typename": "Free", "text": "free"}],
    }
    assert errors(answer) == {"nodes.0.size": "FORBIDDEN", "nodes.1": "FORBIDDEN", "found.0": "FORBIDDEN"}
    asked, done = log(server)
    # That of the interface is asked once for both of its types; what is not shown is not asked about.
    layer = ["signed_in Node", "staff Report {}"]
    assert sorted(asked) == sorted([*layer, *layer, "own Node.size [1, 3]"])
    assert done == ["size"]
    answer = ask(server, query)
    assert answer["data"] == {"nodes": [None] * 3, "found": [None, {"__typename": "Free", "text": "free"}]}
    assert set(errors(answer).values()) == {"UNAUTHENTICATED"}
    assert not any("own" in line or "staff" in line for line in log(server)[0])


def test_a_type_that_overrides_a_guarded_field_keeps_the_guard(server: Server) -> None:
    answer = ask(server, "{ nodes { title size } }", "staff")
    assert answer["data"]["nodes"] == [{"title": None, "size": None}] * 3
    assert set(errors(answer).values()) == {"FORBIDDEN"}


def test_a_refused_mutation_does_nothing(server: Server) -> None:
    query = 'mutation { write(text: "a") erase(id: 1) pay { amount } }'
    answer = ask(server, query)
    assert answer["data"] == {"write": None, "erase": None, "pay": None}
    assert set(errors(answer).values()) == {"UNAUTHENTICATED"}
    # The root's own permission is asked once for all of its fields.
    assert log(server) == (["signed_in Mutation"], [])
    answer = ask(server, query, "7")
    assert answer["data"] == {"write": "a", "erase": None, "pay": None}
    assert errors(answer) == {"erase": "FORBIDDEN", "pay": "FORBIDDEN"}
    assert log(server) == (
        ["signed_in Mutation", "staff Mutation.erase {'id': 1}", "staff Salary {}"],
        ["write a"],
    )
    assert ask(server, query, "staff")["data"] == {"write": "a", "erase": True, "pay": {"amount": 1}}


def test_an_atomic_mutation_whose_answer_is_refused_is_undone(folder: Path, serve: Serve) -> None:
    with serve(
        "--graphql", "app:Schema", cwd=folder, env={"PUFF_GRAPHQL_ATOMIC_MUTATIONS": "true"}
    ) as server:
        answer = ask(server, 'mutation { enter { id hidden } write(text: "b") erase(id: 1) }', "7")
        assert answer["data"] == {"enter": None, "write": "b", "erase": None}
        found = {error["path"][0]: error["extensions"] for error in answer["errors"]}
        # What is refused at the root had nothing to undo, and undoes nothing of the others.
        assert found == {
            "enter": {"code": "FORBIDDEN", "rolled_back": True},
            "erase": {"code": "FORBIDDEN"},
        }
        assert ask(server, "{ entries }") == {"data": {"entries": 0}}
        assert ask(server, "mutation { enter { id } erase(id: 1) }", "7")["data"]["enter"] == {"id": 1}
        assert ask(server, "{ entries }") == {"data": {"entries": 1}}


def test_a_refused_subscription_does_not_begin(server: Server) -> None:
    with client(server) as found:
        (answer,) = found.all("subscription { ticks }")
        assert answer == [
            {
                "message": "sign in first",
                "locations": [{"line": 1, "column": 16}],
                "path": ["ticks"],
                "extensions": {"code": "UNAUTHENTICATED"},
            }
        ]
        (answer,) = found.all("subscription { salaries { amount } }")
        assert answer[0]["extensions"]["code"] == "FORBIDDEN"
        assert log(server)[1] == []
    with client(server, authorization="Bearer 2") as found:
        assert found.all("subscription { ticks }")[:2] == [{"data": {"ticks": 0}}, {"data": {"ticks": 1}}]
        # Once for the stream; below, once for each event.
        assert log(server) == (["signed_in Subscription.ticks"], ["ticks"])
        one, two, end = found.all("subscription { events { text } }")
        assert (one["data"], two["data"], end) == (
            {"events": {"text": None}},
            {"events": {"text": "two"}},
            "complete",
        )
        assert log(server)[0] == ["own Event.text [1]", "own Event.text [2]"]


def test_a_permission_that_fails_refuses(server: Server) -> None:
    answer = ask(server, "{ broken forgotten }")
    assert answer["data"] == {"broken": None, "forgotten": None}
    assert errors(answer) == {"broken": "RESOLVER_ERROR", "forgotten": "RESOLVER_ERROR"}
    assert [e["message"] for e in answer["errors"]] == [
        "no such role",
        "the permission returned None; it returns True or False, or raises",
    ]
    assert log(server)[1] == []
    for name in ("broken", "forgotten"):
        line = APP.splitlines().index(f"    def {name}(cls, context, /) -> str | None:") + 1
        function = "forgets" if name == "forgotten" else name
        wanted = f"permission {function} of Query.{name} ("
        assert eventually(lambda wanted=wanted: wanted in server.log.read_text())
        assert eventually(lambda line=line: f"app.py:{line}) failed" in server.log.read_text())


def test_a_list_has_an_answer_for_each_parent(folder: Path, serve: Serve) -> None:
    with serve("--graphql", "few:Schema", cwd=folder, env={"PUFF_GRAPHQL_MASK_ERRORS": "true"}) as server:
        answer = ask(server, "{ users { id email } }")
        assert [user["email"] for user in answer["data"]["users"]] == [None] * 3
        assert answer["errors"][0]["message"] == "the resolver failed"
        assert eventually(lambda: "returned 1 answers for 3 parents" in server.log.read_text())


def test_a_client_that_goes_ends_the_permission(server: Server) -> None:
    body = json.dumps({"query": "{ slow }"}).encode()
    found: list[str] = []

    def has(text: str) -> bool:
        found.extend(log(server)[0])
        return text in found

    with Line(server) as line:
        length = f"Content-Length: {len(body)}"
        line.send("POST /graphql HTTP/1.1", "Content-Type: application/json", length, body=body)
        assert eventually(lambda: has("slow begins"))
    assert eventually(lambda: has("slow ends"))
