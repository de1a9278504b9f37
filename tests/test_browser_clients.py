"""Apollo Client and urql on a page in Chromium, with queries, mutations, errors and subscriptions."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from browsing import Visit, visiting
from node_clients import TARGET, node
from playwright.sync_api import Browser
from stack import Serve

APP = """
from collections.abc import Iterator
from dataclasses import dataclass

import puff

CLOSED: list[str] = []


@dataclass
class Book:
    id: int
    title: str


BOOKS = [Book(1, "Ulysses")]


@dataclass
class Query:
    @classmethod
    def books(cls, context, /, word: str = "") -> tuple[list[Book], list[Book]]:
        return ..., [book for book in BOOKS if word in book.title]

    @classmethod
    def broken(cls, context, /) -> int | None:
        raise ValueError("out of ink")

    @classmethod
    def closed(cls, context, /) -> list[str]:
        return list(CLOSED)


@dataclass
class Mutation:
    @classmethod
    def add(cls, context, /, title: str) -> tuple[Book, Book]:
        BOOKS.append(Book(len(BOOKS) + 1, title))
        return ..., BOOKS[-1]


@dataclass
class Subscription:
    @classmethod
    def count(cls, context, /, to: int) -> Iterator[int]:
        for number in range(to):
            puff.sleep_ms(10)
            yield number

    @classmethod
    def waiting(cls, context, /, name: str) -> Iterator[str]:
        try:
            yield name
            puff.sleep(60)
        finally:
            CLOSED.append(name)


@dataclass
class Schema:
    query: Query
    mutation: Mutation
    subscription: Subscription
"""


@pytest.fixture(scope="module")
def visit(browser: Browser, tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Iterator[Visit]:
    """A page of the server's own origin, as WebSockets of others are refused."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "app.py").write_text(APP)
    (folder / "page").mkdir()
    command = [str(node()), "build.mjs", str(folder / "page")]
    subprocess.run(command, cwd=TARGET, check=True, timeout=120, stdin=subprocess.DEVNULL)
    with (
        serve("--graphql", "app:Schema", "--static", "/page=page", cwd=folder) as server,
        visiting(browser, server.url, "/page/index.html") as visit,
    ):
        visit.page.goto(visit.url + visit.path)
        visit.page.wait_for_function("window.clients")
        yield visit


@pytest.fixture(params=["apollo", "urql"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_queries_and_mutations(visit: Visit, client: str) -> None:
    ask = f"([document, variables]) => clients.{client}.%s(document, variables)"
    title = f"A book of {client}"
    query = "query Books($word: String!) { books(word: $word) { id title } }"
    added = visit.page.evaluate(
        ask % "mutate",
        ["mutation Add($title: String!) { add(title: $title) { id title } }", {"title": title}],
    )
    book = added["data"]["add"]
    assert added["errors"] == []
    assert book["title"] == title
    found = visit.page.evaluate(ask % "query", [query, {"word": client}])
    assert found == {"data": {"books": [book]}, "errors": []}


def test_errors_beside_data(visit: Visit, client: str) -> None:
    answer = visit.page.evaluate(f"clients.{client}.query('{{ broken books {{ id }} }}', {{}})")
    assert answer["errors"] == ["out of ink"]
    assert answer["data"]["broken"] is None
    assert answer["data"]["books"][0]["id"] == 1


def test_a_subscription_to_its_end(visit: Visit, client: str) -> None:
    number = visit.page.evaluate(f"clients.{client}.listen('subscription {{ count(to: 5) }}', {{}})")
    visit.page.wait_for_function(f"streams[{number}].events.length === 5")
    events = visit.page.evaluate(f"streams[{number}].events")
    assert [event["count"] for event in events] == [0, 1, 2, 3, 4]


def test_unsubscribing_closes_the_generator(visit: Visit, client: str) -> None:
    listen = "([document, variables]) => clients.%s.listen(document, variables)"
    document = "subscription Wait($name: String!) { waiting(name: $name) }"
    number = visit.page.evaluate(listen % client, [document, {"name": client}])
    visit.page.wait_for_function(f"streams[{number}].events.length === 1")
    visit.page.evaluate(f"streams[{number}].stop()")
    visit.page.wait_for_function(
        """async (name) => {
            const answer = await fetch('/graphql?query=' + encodeURIComponent('{ closed }'));
            return (await answer.json()).data.closed.includes(name);
        }""",
        arg=client,
    )
