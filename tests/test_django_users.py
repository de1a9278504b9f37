"""`context.user`: Django's users in GraphQL, by session and by token, and permissions that ask for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from library import Library, open_library
from stack import Run, Serve, Server
from websockets.sync.client import connect

ME = "{ me { name } }"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, puff: Run) -> Iterator[Library]:
    with open_library(tmp_path_factory.mktemp("django"), puff) as library:
        yield library


@pytest.fixture(scope="module")
def cookies(library: Library) -> dict[str, str]:
    """The session cookies of Ada and Bob."""
    ada, bob = library("members.sign_in").split()
    return {"ada": f"sessionid={ada}", "bob": f"theme=dark; sessionid={bob}"}


@pytest.fixture(scope="module")
def server(library: Library, serve: Serve) -> Iterator[Server]:
    environment = {**library.environment, "SHELF_TOKENS": "1"}
    with serve("--graphql", "members:Schema", cwd=library.folder, env=environment) as server:
        yield server


def ask(server: Server, document: str, **headers: str) -> Any:
    body = json.dumps({"query": document}).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.request("POST", "/graphql", body, {"Content-Type": "application/json", **names}).json()


def name(server: Server, **headers: str) -> str:
    found: str = ask(server, ME, **headers)["data"]["me"]["name"]
    return found


@pytest.mark.parametrize("engine", ["db", "cache", "cached_db", "signed_cookies", "file"])
def test_a_session_of_any_engine_says_who_it_is(library: Library, serve: Serve, engine: str) -> None:
    ada, bob = library("members.sign_in", SHELF_SESSIONS=engine).split()
    environment = {**library.environment, "SHELF_SESSIONS": engine}
    with serve("--graphql", "members:Schema", cwd=library.folder, env=environment) as server:
        assert name(server, Cookie=f"sessionid={ada}") == "ada"
        assert name(server, Cookie=f"a=b; sessionid={bob}") == "bob"
        assert name(server, Cookie="sessionid=nothing") == "nobody"
        assert name(server) == "nobody"


def test_everybody_else_is_anonymous(server: Server, cookies: dict[str, str]) -> None:
    assert name(server) == "nobody"
    assert name(server, Cookie="sessionid=") == "nobody"
    assert name(server, Cookie="sessionid=../../etc/passwd") == "nobody"
    assert name(server, Cookie=cookies["ada"]) == "ada"


def test_one_request_asks_once_and_also_beside_a_borrowed_connection(
    server: Server, cookies: dict[str, str]
) -> None:
    before = ask(server, "{ asked }")["data"]["asked"]
    answer = ask(server, "{ me { name email } again { name } borrowed staff }", Cookie=cookies["ada"])
    assert ask(server, "{ asked }") == {"data": {"asked": before + 1}}
    me = {"name": "ada", "email": "somebody@example.org"}
    assert answer == {"data": {"me": me, "again": {"name": "ada"}, "borrowed": "ada", "staff": "for staff"}}


@pytest.mark.parametrize(
    ("origin", "who"),
    [
        ("http://HOST", "ada"),
        ("https://HOST", "ada"),
        ("https://shop.example.org", "ada"),
        ("https://a.example.com", "ada"),
        ("https://example.com", "ada"),
        ("https://evil.example", "nobody"),
        ("http://a.example.com", "nobody"),
        ("https://badexample.com", "nobody"),
        ("null", "nobody"),
    ],
)
def test_a_page_of_another_site_has_no_session(
    server: Server, cookies: dict[str, str], origin: str, who: str
) -> None:
    origin = origin.replace("HOST", f"127.0.0.1:{server.port}")
    assert name(server, Cookie=cookies["ada"], Origin=origin) == who
    # A token is no cookie: nobody sends it by accident.
    assert name(server, Cookie=cookies["ada"], Origin=origin, Authorization="Bearer token-bob") == "bob"


def test_a_site_that_fetches_without_an_origin_has_none_either(
    server: Server, cookies: dict[str, str]
) -> None:
    assert name(server, Cookie=cookies["ada"], Sec_Fetch_Site="same-origin") == "ada"
    assert name(server, Cookie=cookies["ada"], Sec_Fetch_Site="cross-site") == "nobody"


def test_a_token_says_who_it_is(server: Server, cookies: dict[str, str]) -> None:
    assert name(server, Authorization="Bearer token-bob") == "bob"
    assert name(server, Authorization="Bearer token-bob", Cookie=cookies["ada"]) == "bob"
    assert name(server, Authorization="Basic YTpi") == "nobody"
    refused = ask(server, ME, Authorization="Bearer token-eve")
    assert refused["errors"][0]["message"] == "no such token"
    assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def codes(answer: Any) -> list[str]:
    return [error["extensions"]["code"] for error in answer.get("errors", [])]


def test_permissions_ask_for_the_user(server: Server, cookies: dict[str, str]) -> None:
    votes = "{ votes { voter } }"
    assert codes(ask(server, votes)) == ["UNAUTHENTICATED"]
    assert codes(ask(server, votes, Cookie=cookies["ada"])) == ["FORBIDDEN"]
    assert len(ask(server, votes, Cookie=cookies["bob"])["data"]["votes"]) == 2
    assert codes(ask(server, "{ staff }")) == ["UNAUTHENTICATED"]
    assert codes(ask(server, "{ staff }", Cookie=cookies["bob"])) == ["FORBIDDEN"]
    assert ask(server, "{ staff }", Cookie=cookies["ada"]) == {"data": {"staff": "for staff"}}
    assert codes(ask(server, "{ me { name email } }")) == ["UNAUTHENTICATED"]


def test_mutations(server: Server, cookies: dict[str, str]) -> None:
    rename = 'mutation { rename(email: "a@b.example") }'
    assert codes(ask(server, rename)) == ["UNAUTHENTICATED"]
    assert codes(ask(server, rename, Cookie=cookies["bob"], Origin="https://evil.example")) == [
        "UNAUTHENTICATED"
    ]
    assert ask(server, rename, Cookie=cookies["bob"]) == {"data": {"rename": "a@b.example"}}
    # What a form could send is refused before anybody asks who it is.
    form = {"Cookie": cookies["bob"], "Content-Type": "text/plain"}
    body = json.dumps({"query": rename}).encode()
    assert server.request("POST", "/graphql", body, form).status == 415


@pytest.mark.parametrize(
    ("headers", "params", "who"),
    [
        ({}, {}, "nobody"),
        ({"Cookie": "ada"}, {}, "ada"),
        ({"Authorization": "Bearer token-bob"}, {}, "bob"),
        ({}, {"Authorization": "Bearer token-ada"}, "ada"),
        ({"Cookie": "ada"}, {"authorization": "Bearer token-bob"}, "bob"),
    ],
)
def test_subscriptions_have_users_too(
    server: Server, cookies: dict[str, str], headers: dict[str, str], params: dict[str, str], who: str
) -> None:
    if "Cookie" in headers:
        headers = {"Cookie": cookies[headers["Cookie"]]}
    address = f"ws://127.0.0.1:{server.port}/subscriptions"
    with connect(address, subprotocols=["graphql-transport-ws"], additional_headers=headers) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": params}))
        assert json.loads(socket.recv())["type"] == "connection_ack"
        query = "subscription { names(times: 2) }"
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}))
        events = [json.loads(socket.recv()) for _ in range(3)]
        assert [event["payload"] for event in events[:2]] == [{"data": {"names": who}}] * 2
        socket.send(json.dumps({"type": "subscribe", "id": "2", "payload": {"query": ME}}))
        assert json.loads(socket.recv())["payload"] == {"data": {"me": {"name": who}}}


def test_a_session_ends_with_the_password(library: Library, serve: Serve) -> None:
    ada, _ = library("members.sign_in").split()
    with serve("--graphql", "members:Schema", cwd=library.folder, env=library.environment) as server:
        assert name(server, Cookie=f"sessionid={ada}") == "ada"
        library("members.sign_out_everywhere")
        assert name(server, Cookie=f"sessionid={ada}") == "nobody"


def test_a_session_outlives_the_change_of_keys(library: Library, serve: Serve) -> None:
    ada, _ = library("members.sign_in", SHELF_KEYS="old").split()
    environment = {**library.environment, "SHELF_KEYS": "new,old"}
    with serve("--graphql", "members:Schema", cwd=library.folder, env=environment) as server:
        # Django would give it another key, of which an answer of GraphQL's does not tell.
        for _ in range(2):
            assert name(server, Cookie=f"sessionid={ada}") == "ada"


def test_in_process_the_user_is_given(library: Library) -> None:
    assert library("members.in_process", PUFF_GRAPHQL="members:Schema") == "eve\n"


def test_without_django_nobody_says_who_it_is(puff: Run, tmp_path: Any) -> None:
    (tmp_path / "schema.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Query:\n    @classmethod\n    def me(cls, context, /) -> str:\n"
        "        return context.user\n"
        "@dataclass\nclass Schema:\n    query: Query\n"
    )
    done = puff("graphql", "query", "{ me }", "--graphql", "schema:Schema", cwd=tmp_path)
    assert "context.user: nobody says who the user is; put one into context.state" in done.stdout
