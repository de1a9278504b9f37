"""The chat of the examples: two nodes on one Valkey, a browser on each."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browsing import Visit, visiting
from own_valkey import OwnValkey, own_valkey
from playwright.sync_api import Browser, Locator, expect
from stack import ROOT, Serve, Server
from websockets.sync.client import connect

PHONE = (390, 780)
KEPT = 200
GONE = "WebSocket connection to"
"""What a browser says of a server that is gone."""


@dataclass
class Person:
    """Somebody in front of the page."""

    visit: Visit

    @property
    def log(self) -> Locator:
        return self.visit.page.get_by_role("log", name="Messages")

    @property
    def here(self) -> Locator:
        return self.visit.page.get_by_role("list", name="Who is here").get_by_role("listitem")

    @property
    def state(self) -> Locator:
        return self.visit.page.get_by_role("status")

    @property
    def texts(self) -> Locator:
        return self.log.locator(".text")

    def join(self, name: str) -> None:
        """By keyboard, as all that follows."""
        page = self.visit.page
        expect(page.get_by_label("What is your name?")).to_be_focused()
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        expect(page.get_by_label("Your message")).to_be_focused()
        expect(self.here.filter(has_text="(you)")).to_contain_text(name.strip())

    def say(self, text: str) -> None:
        self.visit.page.keyboard.type(text)
        self.visit.page.keyboard.press("Enter")
        expect(self.log.locator(".own .text").last).to_have_text(text)

    def go_to(self, room: str) -> None:
        self.visit.page.get_by_role("link", name=room).click()
        expect(self.here.filter(has_text="(you)")).to_be_visible()
        self.visit.page.get_by_label("Your message").focus()


@dataclass(frozen=True)
class Nodes:
    """Two servers of the chat, and what they talk over."""

    serve: Callable[..., contextlib.AbstractContextManager[Server]]
    valkey: OwnValkey
    a: Server
    b: Server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, stop_services: Callable[[Path], None]) -> Iterator[Path]:
    """The example, somewhere else."""
    folder = tmp_path_factory.mktemp("chat") / "chat"
    shutil.copytree(ROOT / "examples" / "chat", folder, ignore=shutil.ignore_patterns(".puff", "__pycache__"))
    yield folder
    stop_services(folder)


@contextlib.contextmanager
def two_nodes(folder: Path, serve: Serve) -> Iterator[Nodes]:
    with own_valkey() as valkey:
        env = {"PUFF_REDIS_URL": valkey.url, "PUFF_PUBSUB_PRESENCE_TTL": "2s"}

        def start(**options: Any) -> contextlib.AbstractContextManager[Server]:
            return serve(cwd=folder, env=env, **options)

        with start() as a, start() as b:
            yield Nodes(start, valkey, a, b)


@pytest.fixture(scope="module")
def nodes(folder: Path, serve: Serve) -> Iterator[Nodes]:
    """Two nodes that nothing happens to."""
    with two_nodes(folder, serve) as nodes:
        yield nodes


@pytest.fixture
def mortal(folder: Path, serve: Serve) -> Iterator[Nodes]:
    """Two nodes and a Valkey that may be killed."""
    with two_nodes(folder, serve) as nodes:
        yield nodes


@contextlib.contextmanager
def person(browser: Browser, server: Server, name: str, room: str = "", **options: Any) -> Iterator[Person]:
    """Somebody who has come in."""
    with visiting(browser, server.url, "/", **options) as visit:
        visit.page.goto(f"{server.url}/#{room}")
        somebody = Person(visit)
        somebody.join(name)
        yield somebody


def say_from_afar(server: Server, texts: list[str], room: str = "lobby") -> None:
    """Says many things, without a browser."""
    say = (
        """mutation ($room: Room!, $text: String!) { say(room: $room, connection_id: "afar", text: $text) }"""
    )
    url = server.url.replace("http", "ws") + "/subscriptions"
    with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        socket.send(json.dumps({"type": "connection_init", "payload": {"name": "Far"}}))
        assert json.loads(socket.recv(30))["type"] == "connection_ack"
        for text in texts:
            payload = {"query": say, "variables": {"room": room, "text": text}}
            socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            assert "errors" not in json.loads(socket.recv(30))["payload"]
            assert json.loads(socket.recv(30))["type"] == "complete"


def test_what_is_said_at_one_node_appears_at_the_other(browser: Browser, nodes: Nodes) -> None:
    with (
        person(browser, nodes.a, "Ada") as ada,
        person(browser, nodes.b, "Bob") as bob,
    ):
        expect(ada.here).to_have_text([re.compile("Ada.*you"), re.compile("Bob")])
        expect(bob.here).to_have_text([re.compile("Ada"), re.compile("Bob.*you")])
        expect(ada.log).to_contain_text("Bob came in")

        ada.say("Hello from A")
        expect(bob.log.locator(".message:not(.own)")).to_contain_text(["Hello from A"])
        expect(bob.log.locator(".message").last.locator(".name")).to_have_text("Ada")
        bob.say("And hello from B")
        expect(ada.texts).to_have_text(["Hello from A", "And hello from B"])
        expect(ada.log.locator(".own .text")).to_have_text(["Hello from A"])
        expect(ada.log.locator("time").last).to_have_text(re.compile(r"\d:\d\d"))

        bob.visit.page.close()
        expect(ada.here).to_have_count(1)
        expect(ada.log).to_contain_text("Bob left")
        ada.visit.page.reload()
        expect(ada.texts).to_have_text(["Hello from A", "And hello from B"])
        expect(ada.log.locator(".own .text")).to_have_text(["Hello from A"])


def test_rooms_are_apart(browser: Browser, nodes: Nodes) -> None:
    with (
        person(browser, nodes.a, "Ada", room="garden") as ada,
        person(browser, nodes.b, "Bob", room="garden") as bob,
    ):
        ada.say("Roses")
        expect(bob.texts).to_have_text(["Roses"])
        bob.go_to("library")
        expect(bob.here).to_have_count(1)
        expect(bob.texts).to_have_count(0)
        expect(ada.here).to_have_count(1)
        bob.say("Sh!")
        ada.say("Tulips")
        bob.go_to("garden")
        expect(bob.texts).to_have_text(["Roses", "Tulips"])
        expect(bob.here).to_have_count(2)
        expect(bob.visit.page.get_by_role("link", name="garden")).to_have_attribute("aria-current", "page")


def test_what_looks_like_a_script_is_text(browser: Browser, nodes: Nodes) -> None:
    name = "<img src=x onerror='harm()'>"
    text = "<script>harm()</script><b>bold</b>\u202e"
    with (
        person(browser, nodes.a, name, room="library") as eve,
        person(browser, nodes.b, "Bob", room="library") as bob,
    ):
        eve.say(text)
        expect(bob.texts.last).to_have_text(text)
        expect(bob.log.locator(".name").last).to_have_text(name)
        expect(bob.here.first).to_contain_text(name)
        expect(
            bob.visit.page.locator("#chat :is(script, img:not([src='icon.svg']), #log b b)")
        ).to_have_count(0)


def test_names_and_texts_have_bounds(browser: Browser, nodes: Nodes) -> None:
    with visiting(browser, nodes.a.url, "/") as visit:
        visit.page.goto(nodes.a.url)
        visit.page.keyboard.type("   ")
        visit.page.keyboard.press("Enter")
        expect(visit.page.get_by_role("alert")).to_have_text("a name has 1 to 40 characters")
        Person(visit).join("Ada")
        box = visit.page.get_by_label("Your message")
        box.evaluate("box => { box.removeAttribute('maxlength'); box.value = 'x'.repeat(2001); }")
        visit.page.keyboard.press("Enter")
        expect(Person(visit).state).to_have_text("Not sent: a message has 1 to 2000 characters")
        # What was not sent is there to be mended.
        assert len(box.input_value()) == 2001

    say = """mutation { say(room: lobby, connection_id: "x", text: "Boo") }"""
    [error] = nodes.a.graphql(say)["errors"]
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(("scheme", "size"), [("light", (1100, 720)), ("dark", (1100, 720)), ("dark", PHONE)])
def test_it_fits_the_window(
    browser: Browser, nodes: Nodes, scheme: str, size: tuple[int, int], tmp_path: Path
) -> None:
    say_from_afar(nodes.b, [f"{number} " + "word" * 30 for number in range(10)], room="garden")
    with person(browser, nodes.a, "Ada", room="garden", scheme=scheme, size=size) as ada:
        page = ada.visit.page
        ada.say("x" * 500)
        # The newest message is in sight, and nothing is wider than the window.
        expect(ada.texts.last).to_be_in_viewport()
        assert page.evaluate(
            "[...document.querySelectorAll('main *')].every(e => e.scrollWidth <= innerWidth)"
        )
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 26, 38)"
        assert dark == (scheme == "dark")
        # Who reads something older goes on reading it.
        first = ada.texts.first
        first.scroll_into_view_if_needed()
        say_from_afar(nodes.b, ["Something new"], room="garden")
        expect(ada.texts.last).to_have_text("Something new")
        expect(first).to_be_in_viewport()
        page.screenshot(path=tmp_path / "chat.png")


@pytest.mark.parametrize("count", [5, KEPT + 5])
def test_a_node_is_killed_and_comes_back(browser: Browser, mortal: Nodes, count: int) -> None:
    with person(browser, mortal.a, "Ada") as ada, person(browser, mortal.b, "Bob") as bob:
        ada.visit.tolerated = GONE
        ada.say("Before")
        expect(bob.texts).to_have_text(["Before"])
        mortal.a.stop(signal.SIGKILL)
        expect(ada.state).to_contain_text("The connection is lost.")
        # Nobody told that Ada has left: her node is not heard of any more.
        expect(bob.here).to_have_text([re.compile("Bob")])
        said = [f"Meanwhile {number}" for number in range(count)]
        say_from_afar(mortal.b, said)
        with mortal.serve(port=mortal.a.port):
            expect(ada.state).to_have_text("Connected again.")
            expect(ada.texts).to_have_text(["Before", *said[-KEPT:]])
            missed = ["Messages may be missing here (5)"] if count > KEPT else []
            expect(ada.log.locator(".missed")).to_have_text(missed)
            expect(bob.here).to_have_count(2)
            expect(ada.here).to_have_count(2)
            bob.say("Welcome back")
            expect(ada.texts.last).to_have_text("Welcome back")
            ada.say("Thanks")
            expect(bob.texts.last).to_have_text("Thanks")


def test_a_room_keeps_its_last_messages(browser: Browser, mortal: Nodes) -> None:
    said = [str(number) for number in range(KEPT + 1)]
    say_from_afar(mortal.a, said)
    with person(browser, mortal.b, "Bob") as bob:
        expect(bob.texts).to_have_text(said[1:])
        expect(bob.log.locator("li").first).to_have_text("Older messages are no longer kept (1)")


def test_valkey_is_lost_and_comes_back(browser: Browser, mortal: Nodes) -> None:
    with person(browser, mortal.a, "Ada") as ada, person(browser, mortal.b, "Bob") as bob:
        ada.say("Before")
        expect(bob.texts).to_have_text(["Before"])
        mortal.valkey.kill()
        ada.visit.page.keyboard.type("Into the void")
        ada.visit.page.keyboard.press("Enter")
        expect(ada.state).to_contain_text("Not sent")
        mortal.valkey.start()
        # All that it held is lost: the page says so. Nobody needs to connect again.
        for somebody in (ada, bob):
            expect(somebody.log.locator(".missed")).to_have_text(["Messages may be missing here"])
            expect(somebody.here).to_have_count(2)
        ada.visit.page.keyboard.press("Enter")  # what was not sent is still there
        expect(bob.texts).to_have_text(["Before", "Into the void"])
        bob.say("There you are")
        expect(ada.texts).to_have_text(["Before", "Into the void", "There you are"])


def test_one_node_without_redis(browser: Browser, folder: Path, serve: Serve) -> None:
    with (
        serve(cwd=folder, env={"PUFF_PUBSUB_URL": "memory:", "PUFF_ENV": "production"}) as server,
        person(browser, server, "Ada") as ada,
        person(browser, server, "Bob") as bob,
    ):
        ada.say("Just us")
        expect(bob.texts).to_have_text(["Just us"])
        expect(bob.here).to_have_count(2)
        ada.visit.page.close()
        expect(bob.here).to_have_count(1)
        bob.visit.page.reload()
        expect(bob.texts).to_have_text(["Just us"])
        assert "<title>Puff playground</title>" in server.get("/playground").text
        assert "Started" not in server.log.read_text()
