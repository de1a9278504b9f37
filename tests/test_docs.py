"""The documentation: the site is built as `make docs` does, without a warning, and no link leads nowhere."""

from __future__ import annotations

import posixpath
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from browsing import visiting
from playwright.sync_api import Browser, expect
from stack import ROOT, clean_environment

DOCS = ROOT / "docs"
PHONE = (390, 780)
PAGES = sorted(
    path
    for folder in (".", "docs", "examples", "benches", "tests", "crates", "fuzz", "frontend")
    for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
    if "node_modules" not in path.parts
)
"""What is read as Markdown, on the site or beside the code."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site; any warning of Sphinx's (a link, an anchor, a name that the reference lacks) is a failure."""
    made = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-E", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(made / "doctrees"), str(DOCS), str(made / "html")],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return made / "html"


class Links(HTMLParser):
    """What a page leads to, and the places in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            elif name in ("href", "src") and value is not None:
                self.targets.append(value)


def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    pages = {path.relative_to(site).as_posix(): Links(path.read_text()) for path in site.rglob("*.html")}
    assert len(pages) > 60
    astray = []
    for page, links in pages.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                if not is_well_formed(target):
                    astray.append(f"{page}: {target}")
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(parts.path)))
            path = page if not parts.path else path
            if path in pages:
                found = not parts.fragment or unquote(parts.fragment) in pages[path].places
            else:
                found = (site / path).is_file()
            if not found:
                astray.append(f"{page}: {target}")
    assert not astray, "\n".join(astray)


def is_well_formed(target: str) -> bool:
    """Whether an address elsewhere looks like one; nobody is asked."""
    parts = urlsplit(target)
    if re.search(r"\s", target):
        return False
    if parts.scheme == "http":
        return parts.hostname in ("127.0.0.1", "localhost")
    return parts.scheme == "https" and bool(re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.hostname or ""))


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.*?) *#*$", text, re.MULTILINE):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(next(name for name in _numbered(slug) if name not in found))
    return found


def _numbered(slug: str) -> Iterator[str]:
    yield slug
    yield from (f"{slug}-{number}" for number in range(1, 100))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_in_markdown_lead_somewhere(page: Path) -> None:
    """Read in the repository, without the site."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)|<(https?:[^>]*)>", text):
        address = "".join(target)
        if urlsplit(address).scheme:
            assert is_well_formed(address), address
            continue
        path, _, anchor = address.partition("#")
        leads_to = (page.parent / path).resolve() if path else page
        assert leads_to.exists(), address
        if anchor:
            assert anchor in anchors(leads_to), address


def test_the_reference_has_every_public_name(site: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "-c", "import public; print(*sorted(public.NAMES), sep='\\n')"],
        cwd=DOCS / "_site",
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    _, _, packed = (site / "objects.inv").read_bytes().rpartition(b"zlib.\n")
    known = {line.split(" ", 1)[0] for line in zlib.decompress(packed).decode().splitlines()}
    missing = set(listed.stdout.split()) - known
    assert not missing, sorted(missing)


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """The site, served as any server of files would."""
    with serving_files(site) as url:
        yield url


@contextmanager
def serving_files(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_in_a_browser(browser: Browser, address: str) -> None:
    """From the front page to a function of the reference, and by the search; nothing comes from elsewhere."""
    with visiting(browser, address, "/index.html") as visit:
        page = visit.page
        page.goto(f"{address}/index.html")
        page.get_by_role("link", name="five minutes’ tour").click()
        expect(page.get_by_role("heading", name="Five minutes")).to_be_visible()
        page.get_by_role("main").get_by_role("link", name="greenlets", exact=True).click()
        page.get_by_role("main").get_by_role("link", name="@puff.blocking").first.click()
        expect(page.locator("#puff\\.blocking")).to_be_in_viewport()
        page.get_by_placeholder("Search").first.fill("keyset")
        page.keyboard.press("Enter")
        expect(page.locator("#search-results li").first).to_be_visible()


def test_on_a_phone_nothing_is_cut_off(browser: Browser, address: str, site: Path) -> None:
    """Every page fits the width of a phone; what is wider scrolls in its own box."""
    wide = []
    with visiting(browser, address, "/index.html", size=PHONE) as visit:
        for path in sorted(site.rglob("*.html")):
            name = path.relative_to(site).as_posix()
            visit.page.goto(f"{address}/{name}", wait_until="load")
            width = visit.page.evaluate("document.documentElement.scrollWidth")
            if width > PHONE[0]:
                wide.append(f"{name}: {width}")
    assert not wide, wide
