"""The playground in a real browser: what a newcomer sees after `make demo`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Request, Response

SCREENSHOTS = Path(__file__).parents[1] / "target" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_MS = 20_000
QUIET = (
    # No graphics card, and no talk with the browser's makers: a request to another host is a bug of ours.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

EDITOR = ".graphiql-query-editor"
RESULT = ".graphiql-response"
RUN = "button.graphiql-execute-button"


@dataclass
class Visit:
    """A browser's page on the demo, and what must not happen there."""

    page: Page
    url: str
    strangers: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    tolerated: str | None = None

    def watch(self) -> None:
        """Notes every request to another host and every error of the page's scripts."""
        self.page.on("request", self._on_request)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, path: str) -> None:
        """Goes to a page of the demo."""
        self.page.goto(self.url + path)

    def write(self, query: str) -> None:
        """Replaces what is in the query editor."""
        self.page.click(f"{EDITOR} .view-lines")
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.press("Delete")
        self.page.keyboard.insert_text(query)

    def run(self) -> dict[str, Any]:
        """Presses the run button; the answer as it went over the wire."""
        with self.page.expect_response(_answers_an_operation) as waiting:
            self.page.click(RUN)
        answer: dict[str, Any] = waiting.value.json()
        return answer

    def shown(self) -> Any:
        """The result pane's text, read as JSON."""
        # The editor draws only the lines in sight, each indented with no-break spaces.
        text = self.page.locator(f"{RESULT} .view-lines").inner_text()
        return json.loads(text.replace("\N{NO-BREAK SPACE}", " "))

    def screenshot(self, name: str) -> None:
        """Keeps a picture for whoever wants to look."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def _on_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != urlsplit(self.url).netloc:
            self.strangers.append(request.url)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not (self.tolerated and self.tolerated in message.text):
            self.complaints.append(message.text)


def _answers_an_operation(response: Response) -> bool:
    """Whether this is the answer to what a user runs, not to GraphiQL's own question for the schema."""
    asked = response.request.post_data or ""
    return urlsplit(response.url).path == "/graphql" and "IntrospectionQuery" not in asked


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium, the machine's own."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        reason = f"no Chromium on PATH (looked for {', '.join(BROWSERS)})"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def visit(request: pytest.FixtureRequest, browser: Browser, demo_server: Any) -> Iterator[Visit]:
    """A fresh browser profile on the demo; fails the test for any request elsewhere and any script error."""
    context = browser.new_context(color_scheme=request.param, viewport={"width": 1280, "height": 860})
    context.set_default_timeout(PATIENCE_MS)
    visit = Visit(context.new_page(), demo_server.url.rstrip("/"))
    visit.watch()
    yield visit
    context.close()
    assert visit.strangers == []
    assert visit.complaints == []


def test_a_typed_query_shows_its_answer(visit: Visit, request: pytest.FixtureRequest) -> None:
    visit.open("/playground")
    expect(visit.page).to_have_title("Puff playground")
    visit.write('{ airport(icao: "BIKF") { name city country_code } }')
    answer = visit.run()

    keflavik = {"name": "Keflavik International Airport", "city": "Reykjavik", "country_code": "IS"}
    assert answer == {"data": {"airport": keflavik}}
    expect(visit.page.locator(RESULT)).to_contain_text("Keflavik")
    assert visit.shown() == answer
    visit.screenshot(f"playground-{request.node.callspec.params['visit']}")


def test_the_start_page_leads_to_a_query_three_levels_deep(
    visit: Visit, request: pytest.FixtureRequest
) -> None:
    visit.open("/")
    visit.screenshot(f"start-{request.node.callspec.params['visit']}")
    visit.page.get_by_role("link", name="Open in the playground").first.click()
    expect(visit.page.locator(EDITOR)).to_contain_text("ThreeLevels")
    answer = visit.run()

    assert "errors" not in answer
    countries = answer["data"]["countries"]
    assert len(countries) == 20
    # Each airport sits below a subdivision, each subdivision below its country.
    algeria = next(country for country in countries if country["name"] == "Algeria")
    adrar = next(subdivision for subdivision in algeria["subdivisions"] if subdivision["name"] == "Adrar")
    assert adrar["kind"] == "Province"
    assert [airport["icao"][:2] for airport in adrar["airports"]] == ["DA", "DA", "DA"]
    expect(visit.page.locator(RESULT)).to_contain_text("Afghanistan")
    visit.screenshot(f"three-levels-{request.node.callspec.params['visit']}")


def test_the_editor_knows_the_schema(visit: Visit) -> None:
    visit.open("/playground")
    visit.page.click("button[aria-label='Show Documentation Explorer']")
    expect(visit.page.locator(".graphiql-doc-explorer-content")).to_contain_text("Mutation")
    # The query is checked in a background worker: a mark under the field proves that it runs.
    visit.write("{ no_such_field }")
    expect(visit.page.locator(f"{EDITOR} .squiggly-error").first).to_be_visible()


def test_a_wrong_query_shows_an_error_with_its_place(visit: Visit) -> None:
    # GraphQL over HTTP answers a document that cannot run with 400; browsers put that on the console.
    visit.tolerated = "status of 400"
    visit.open("/playground")
    visit.write("{ no_such_field }")
    [error] = visit.run()["errors"]
    assert "no_such_field" in error["message"]
    assert error["locations"] == [{"line": 1, "column": 3}]
    expect(visit.page.locator(RESULT)).to_contain_text("no_such_field")
