"""The playground in a real browser, as a user has it in front of them."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from support import eventually

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Request, Response

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_MS = 30_000
QUIET = (
    # No graphics card, and no talk with the browser's makers: a request to another host is a bug of ours.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

LAPTOP = (1280, 800)
DESKTOP = (1920, 1080)

expect.set_options(timeout=PATIENCE_MS)

SERVER_GONE = "ERR_CONNECTION_REFUSED|dynamically imported module"
"""What a browser says when the server is gone: a part of GraphiQL may be loaded only then."""

EDITOR = ".graphiql-query-editor"
RESULT = ".graphiql-response"
RUN = "button.graphiql-execute-button"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium, the machine's own; skips where there is none."""
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


@dataclass
class Visit:
    """A browser's page on a server, and what must not happen there."""

    page: Page
    url: str
    path: str
    strangers: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    tolerated: str | None = None
    """Errors that match this are expected: browsers put failed requests on the console."""

    def __post_init__(self) -> None:
        self.page.on("request", self._on_request)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self._complain(str(error)))

    def open(self, query: str | None = None, **parameters: str) -> None:
        """Goes to the playground, with a query in its editor."""
        given = {"query": query, **parameters} if query is not None else parameters
        self.page.goto(f"{self.url}{self.path}?{urlencode(given)}".rstrip("?"))
        expect(self.page.locator(f"{EDITOR} .view-line").first).to_be_visible()
        if query is None:  # the playground writes one of its own
            expect(self.page.locator(EDITOR)).to_contain_text("{")

    def beside(self) -> Visit:
        """Another page of the same browser profile, with the same rules."""
        return Visit(
            self.page.context.new_page(), self.url, self.path, self.strangers, self.complaints, self.tolerated
        )

    def write(self, text: str, editor: str = EDITOR) -> None:
        """Replaces what is in an editor."""
        self.page.click(f"{editor} .view-lines")
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.press("Delete")
        self.page.keyboard.insert_text(text)

    def write_headers(self, headers: dict[str, str]) -> None:
        """Replaces what is in the headers editor."""
        self.page.get_by_role("button", name="Headers", exact=True).click()
        self.write(json.dumps(headers), ".graphiql-editor-tool .graphiql-editor:not(.hidden)")

    def run(self) -> dict[str, Any]:
        """Presses the run button; the answer as it went over the wire."""
        return self._answer_to(lambda: self.page.click(RUN))

    def run_by_keyboard(self) -> dict[str, Any]:
        """As `run`, from within the editor."""
        return self._answer_to(lambda: self.page.keyboard.press("ControlOrMeta+Enter"))

    def _answer_to(self, deed: Callable[[], object]) -> dict[str, Any]:
        with self.page.expect_response(_answers_an_operation) as waiting:
            deed()
        answer: dict[str, Any] = waiting.value.json()
        return answer

    def read(self) -> str:
        """The result pane's text, as far as it is in sight."""
        # The editor draws only these lines, with no-break spaces.
        text = self.page.locator(f"{RESULT} .view-lines").inner_text()
        return text.replace("\N{NO-BREAK SPACE}", " ")

    def shows(self, answer: Any) -> bool:
        """Whether the result pane's text, read as JSON, comes to be this."""

        def shown() -> Any:
            text = self.read()
            try:
                return json.loads(text)
            except ValueError:
                return text  # not all of it is drawn yet

        return eventually(lambda: shown() == answer)

    @property
    def result(self) -> Locator:
        """The result pane."""
        return self.page.locator(RESULT)

    def show(self, plugin: str) -> Locator:
        """Opens one of the panels on the left."""
        self.page.get_by_role("button", name=f"Show {plugin}").click()
        return self.page.locator(".graphiql-plugin")

    def _on_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != urlsplit(self.url).netloc:
            self.strangers.append(request.url)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._complain(message.text)

    def _complain(self, text: str) -> None:
        if not (self.tolerated and re.search(self.tolerated, text)):
            self.complaints.append(text)


@contextmanager
def visiting(
    browser: Browser, url: str, path: str, scheme: str = "light", size: tuple[int, int] = LAPTOP
) -> Iterator[Visit]:
    """A fresh browser profile on a server; fails for any request elsewhere and any script error."""
    width, height = size
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": height}
    )
    context.set_default_timeout(PATIENCE_MS)
    visit = Visit(context.new_page(), url.rstrip("/"), path)
    try:
        yield visit
    finally:
        context.close()
    assert not visit.strangers, visit.strangers
    assert not visit.complaints, visit.complaints


def _answers_an_operation(response: Response) -> bool:
    """Whether this is the answer to what a user runs, not to GraphiQL's own question for the schema."""
    asked = response.request.post_data or ""
    return urlsplit(response.url).path == "/graphql" and "IntrospectionQuery" not in asked
