"""The playground in a real browser: what a newcomer sees after `make demo`, or with a schema of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import EDITOR, RUN, SERVER_GONE, Visit, visiting
from playwright.sync_api import Browser, expect
from stack import Serve, Server

OWN = '''
from dataclasses import dataclass
from decimal import Decimal

import puff

ENDED: list[str] = []


@dataclass
class Book:
    """Something to read."""

    title: str
    price: Decimal


@dataclass
class Query:
    @classmethod
    def needs(cls, context, /, word: str) -> str:
        return word

    @classmethod
    def shelf(cls, context, /, first: int = 100) -> tuple[list[Book], list[Book]]:
        """What is on the shelf."""
        return ..., [Book("Ulysses", Decimal("0.12345678901234567890"))][:first]

    @classmethod
    def header(cls, context, /, name: str) -> str | None:
        return context.headers.get(name)

    @classmethod
    def slow(cls, context, /) -> int:
        try:
            puff.sleep(60)
        finally:
            ENDED.append("slow")
        return 1

    @classmethod
    def ended(cls, context, /) -> list[str]:
        return list(ENDED)

    @classmethod
    def broken(cls, context, /) -> int | None:
        raise ValueError("out of ink")


@dataclass
class Schema:
    query: Query
'''


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def demo(browser: Browser, demo_server: Server, scheme: str) -> Iterator[Visit]:
    """The demo, which has a WSGI application at `/`."""
    with visiting(browser, demo_server.url, "/playground", scheme) as visit:
        yield visit


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.py").write_text(OWN)
    return folder


@pytest.fixture(scope="module")
def own_server(own_folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--graphql", "own:Schema", cwd=own_folder) as server:
        yield server


@pytest.fixture
def own(browser: Browser, own_server: Server) -> Iterator[Visit]:
    """A schema without a WSGI application: the playground is at `/`."""
    with visiting(browser, own_server.url, "/") as visit:
        yield visit


def test_a_typed_query_shows_its_answer(demo: Visit, scheme: str, tmp_path: Path) -> None:
    demo.open()
    expect(demo.page).to_have_title("Puff playground")
    demo.write('{ airport(icao: "BIKF") { name city country_code } }')
    answer = demo.run()

    keflavik = {"name": "Keflavik International Airport", "city": "Reykjavik", "country_code": "IS"}
    assert answer["data"] == {"airport": keflavik}
    expect(demo.result).to_contain_text("Keflavik")
    # The trace that came with it is for the plan panel.
    assert demo.shows({"data": answer["data"]})
    demo.page.screenshot(path=tmp_path / f"answer-{scheme}.png")


def test_the_start_page_leads_to_a_query_three_levels_deep(demo: Visit, scheme: str, tmp_path: Path) -> None:
    demo.page.goto(demo.url + "/")
    demo.page.screenshot(path=tmp_path / f"start-{scheme}.png")
    demo.page.get_by_role("link", name="Open in the playground").first.click()
    expect(demo.page.locator(EDITOR)).to_contain_text("ThreeLevels")
    answer = demo.run()

    assert "errors" not in answer
    countries = answer["data"]["countries"]
    assert len(countries) == 20
    # Each airport sits below a subdivision, each subdivision below its country.
    algeria = next(country for country in countries if country["name"] == "Algeria")
    adrar = next(subdivision for subdivision in algeria["subdivisions"] if subdivision["name"] == "Adrar")
    assert adrar["kind"] == "Province"
    assert [airport["icao"][:2] for airport in adrar["airports"]] == ["DA", "DA", "DA"]
    expect(demo.result).to_contain_text("Afghanistan")
    demo.page.screenshot(path=tmp_path / f"three-levels-{scheme}.png")


def test_the_documentation_leads_to_a_type(own: Visit) -> None:
    own.open()
    docs = own.show("Documentation Explorer")
    docs.get_by_role("link", name="Query").click()
    expect(docs).to_contain_text("What is on the shelf.")
    docs.get_by_role("link", name="Book").click()
    expect(docs).to_contain_text("Something to read.")
    expect(docs.get_by_role("link", name="price")).to_be_visible()


def test_the_editor_knows_the_schema(own: Visit) -> None:
    own.open("{ no_such_field }")
    # The query is checked in a background worker: a mark under the field proves that it runs.
    expect(own.page.locator(f"{EDITOR} .squiggly-error").first).to_be_visible()


def test_a_new_page_has_a_query_made_from_the_schema(own: Visit) -> None:
    own.open()
    # Of the root fields that can be asked without knowing more, the first that is a list of objects.
    expect(own.page.locator(EDITOR)).to_contain_text("price")
    assert own.run()["data"] == {"shelf": [{"title": "Ulysses", "price": pytest.approx(0.1234567890123)}]}


def test_numbers_are_shown_as_the_server_wrote_them(own: Visit) -> None:
    own.open("{ shelf { price } }")
    own.run()
    expect(own.result).to_contain_text('"price": 0.12345678901234567890')


@pytest.mark.parametrize("second", ['query B { needs(word: "b") }', '{ needs(word: "b") }'])
def test_what_is_typed_can_be_run_at_once(own: Visit, second: str) -> None:
    own.open('query A { needs(word: "a") }')
    own.run()
    own.write(second)
    # GraphiQL looks at what was typed a tenth of a second later.
    assert own.run_by_keyboard()["data"] == {"needs": "b"}


def test_headers_reach_the_server(own: Visit) -> None:
    own.open('query { header(name: "x-shop") }')
    own.write_headers({"X-Shop": "north"})
    assert own.run()["data"] == {"header": "north"}


def test_a_link_may_bring_variables(own: Visit) -> None:
    own.open("query Say($word: String!) { needs(word: $word) }", variables='{"word": "hello"}')
    assert own.run()["data"] == {"needs": "hello"}


def test_what_was_run_is_in_the_history(own: Visit) -> None:
    own.open("query Shelved { shelf { title } }")
    own.run()
    expect(own.show("History").get_by_text("Shelved").first).to_be_visible()


def test_a_wrong_query_shows_an_error_with_its_place(own: Visit) -> None:
    # GraphQL over HTTP answers a document that cannot run with 400; browsers put that on the console.
    own.tolerated = "status of 400"
    own.open()
    own.write("{ no_such_field }")
    [error] = own.run()["errors"]
    assert "no_such_field" in error["message"]
    assert error["locations"] == [{"line": 1, "column": 3}]
    expect(own.result).to_contain_text("no_such_field")


def test_a_running_query_can_be_stopped(own: Visit) -> None:
    own.open("{ slow }")
    own.page.click(RUN)
    stop = own.page.get_by_role("button", name="Stop query")
    expect(stop).to_be_visible()
    stop.click()
    expect(own.page.get_by_role("button", name="Execute query")).to_be_visible()
    # The server ends the greenlet of a client that is gone.
    own.write("{ ended }")
    own.page.wait_for_function(
        """async () => {
            const body = JSON.stringify({ query: '{ ended }' });
            const headers = { 'Content-Type': 'application/json' };
            const answer = await (await fetch('/graphql', { method: 'POST', headers, body })).json();
            return answer.data.ended.includes('slow');
        }"""
    )


def test_a_server_that_is_gone_is_named(browser: Browser, own_folder: Path, serve: Serve) -> None:
    with (
        serve("--graphql", "own:Schema", cwd=own_folder) as server,
        visiting(browser, server.url, "/") as visit,
    ):
        visit.tolerated = SERVER_GONE
        visit.open("{ shelf { title } }")
        visit.run()
        server.stop()
        visit.page.click(RUN)
        expect(visit.result).to_contain_text("Is the server running?")


def test_an_answer_that_is_not_json_is_shown(own: Visit) -> None:
    own.tolerated = "status of 502"
    own.open("{ shelf { title } }")
    # What a proxy says whose server is gone.
    own.page.route(
        "**/graphql", lambda route: route.fulfill(status=502, content_type="text/html", body="<h1>Oh no</h1>")
    )
    own.page.click(RUN)
    expect(own.result).to_contain_text("The server answered 502 Bad Gateway with text/html, not with JSON.")
    expect(own.result).to_contain_text("<h1>Oh no</h1>")


def test_the_page_may_load_nothing_from_elsewhere(own_server: Server) -> None:
    policy = own_server.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; ")
    assert policy.endswith("; connect-src 'self'")
