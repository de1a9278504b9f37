"""Subscriptions in the playground, in a real browser; and the chat of the example between two of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsing import RUN, SERVER_GONE, Visit, visiting
from playwright.sync_api import Browser, expect
from stack import ROOT, Serve, Server

FEED = """
from collections.abc import Iterator
from dataclasses import dataclass

import puff

CLOSED: list[str] = []


@dataclass
class Tick:
    number: int

    @classmethod
    def square(cls, parents, context, /) -> int:
        return [tick.number**2 for tick in parents]


@dataclass
class Query:
    @classmethod
    def closed(cls, context, /) -> list[str]:
        return list(CLOSED)


@dataclass
class Subscription:
    @classmethod
    def ticks(cls, context, /, count: int) -> Iterator[Tick]:
        for number in range(1, count + 1):
            puff.sleep_ms(20)
            yield Tick(number)

    @classmethod
    def waiting(cls, context, /, name: str) -> Iterator[str]:
        try:
            yield f"{name} has {context.auth_token}"
            puff.sleep(60)
        finally:
            CLOSED.append(name)


@dataclass
class Schema:
    query: Query
    subscription: Subscription
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feed")
    (folder / "feed.py").write_text(FEED)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--graphql", "feed:Schema", cwd=folder) as server:
        yield server


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    with visiting(browser, server.url, "/") as visit:
        yield visit


def test_the_last_event_is_shown_and_all_are_counted(visit: Visit, tmp_path: Path) -> None:
    visit.open("subscription Ticks { ticks(count: 12) { number square } }")
    plan = visit.show("Plan")
    visit.page.click(RUN)
    expect(visit.result).to_contain_text('"square": 144')
    expect(plan).to_contain_text("12 events")
    expect(visit.page.get_by_role("button", name="Execute query")).to_be_visible()
    assert visit.shows({"data": {"ticks": {"number": 12, "square": 144}}})
    visit.page.screenshot(path=tmp_path / "subscription.png")


def test_a_subscription_can_be_run_as_soon_as_it_is_typed(visit: Visit) -> None:
    visit.open("query Closed { closed }")
    visit.run()
    visit.write("subscription Ticks { ticks(count: 2) { square } }")
    visit.page.keyboard.press("ControlOrMeta+Enter")
    expect(visit.result).to_contain_text('"square": 4')


def test_headers_are_the_init_payload(visit: Visit) -> None:
    visit.open('subscription { waiting(name: "bearer") }')
    visit.write_headers({"Authorization": "Bearer ada"})
    visit.page.click(RUN)
    expect(visit.result).to_contain_text("bearer has ada")


def test_stopping_closes_the_generator(visit: Visit, server: Server) -> None:
    visit.open('subscription { waiting(name: "stopped") }')
    visit.page.click(RUN)
    expect(visit.result).to_contain_text("stopped has None")
    visit.page.get_by_role("button", name="Stop query").click()
    beside = visit.beside()
    beside.open("{ closed }")
    beside.page.click(RUN)
    expect(beside.result).to_contain_text("stopped")


def test_a_wrong_subscription_shows_its_errors(visit: Visit) -> None:
    visit.open("subscription { no_such_field }")
    visit.page.click(RUN)
    expect(visit.result).to_contain_text('"errors"')
    expect(visit.result).to_contain_text("no_such_field")


def test_a_server_that_goes_is_named(browser: Browser, folder: Path, serve: Serve) -> None:
    with serve("--graphql", "feed:Schema", cwd=folder) as server, visiting(browser, server.url, "/") as visit:
        visit.tolerated = SERVER_GONE
        visit.open('subscription { waiting(name: "left") }')
        visit.page.click(RUN)
        expect(visit.result).to_contain_text("left has None")
        server.stop()
        expect(visit.result).to_contain_text("The server closed the connection: 1001")
        visit.page.click(RUN)
        expect(visit.result).to_contain_text("Is the server running?")


def test_two_browsers_chat(
    browser: Browser, tmp_path: Path, serve: Serve, stop_services: Callable[[Path], None]
) -> None:
    """What the vision promises, by the example as it is."""
    shutil.copy(ROOT / "examples" / "puff-and-graphql" / "my_python_gql_app.py", tmp_path)
    listen = "subscription { read_messages_from_channel(connection_id: %s) { message_text num_processed } }"
    say = 'mutation { send_message_to_channel(connection_id: "%s", message: "%s") }'
    try:
        with (
            serve("--graphql", "my_python_gql_app.Schema", cwd=tmp_path) as server,
            visiting(browser, server.url, "/") as ada,
            visiting(browser, server.url, "/", "dark") as bob,
        ):
            ids = []
            for visit in (ada, bob):
                visit.open("{ new_connection_id }")
                ids.append(visit.run()["data"]["new_connection_id"])
                visit.open(listen % f'"{ids[-1]}"')
                visit.page.click(RUN)
                expect(visit.page.get_by_role("button", name="Stop query")).to_be_visible()
            # Who listens is told only by what is heard: each says it again until the other hears.
            for speaker, hearer, number in ((ada, bob, 0), (bob, ada, 1)):
                mouth = speaker.beside()
                mouth.open(say % (ids[number], f"from {number}"))
                for _ in range(80):
                    sent = mouth.run()["data"]
                    if f"from {number}" in hearer.read():
                        break
                    mouth.page.wait_for_timeout(250)
                expect(hearer.result).to_contain_text(f"from {number}")
                assert sent == {"send_message_to_channel": True}
                # Nobody hears their own words.
                assert f"from {number}" not in speaker.read()
    finally:
        stop_services(tmp_path)
