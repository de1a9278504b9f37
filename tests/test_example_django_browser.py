"""The Django example in a real browser: the admin, and the pages of its visitors."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browsing import LAPTOP, Visit, visiting
from playwright.sync_api import Browser, Page, expect
from polls_pages import photograph, sign_up
from polls_site import ADMIN
from stack import Server

PHONE = (390, 780)
REFUSED = "status of 422"
"""What a browser says of a form that has to be mended."""


def picture() -> bytes:
    """A PNG of a few blue pixels, as PNGs are written."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((60, 100 + 8 * y, 220)) * 32 for y in range(16))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 16, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@contextmanager
def visitor(browser: Browser, server: Server, name: str) -> Iterator[Page]:
    """Somebody who has signed up and is logged in."""
    with visiting(browser, server.url, "/") as visit:
        sign_up(visit.page, server, name)
        yield visit.page


@pytest.fixture
def admin(browser: Browser, polls_server: Server) -> Iterator[Page]:
    """The admin, logged in."""
    with visiting(browser, polls_server.url, "/admin/") as visit:
        page = visit.page
        page.goto(f"{visit.url}/admin/")
        photograph(page, "admin-login")
        page.get_by_label("Username").fill(ADMIN[0])
        page.get_by_label("Password").fill(ADMIN[1])
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Site administration")).to_be_visible()
        yield page


@pytest.fixture
def visit(browser: Browser, polls_server: Server) -> Iterator[Visit]:
    """Somebody who is not logged in."""
    with visiting(browser, polls_server.url, "/") as visit:
        visit.page.goto(visit.url)
        yield visit


def test_the_admin_from_login_to_delete(admin: Page, polls_server: Server, polls_folder: Path) -> None:
    photograph(admin, "admin")
    admin.get_by_role("link", name="Questions", exact=True).click()
    expect(admin.locator("#result_list tbody tr")).to_have_count(50)
    photograph(admin, "admin-list")

    # Add, with two answers inline, a topic from a search, and a file.
    admin.get_by_role("link", name="Add question").click()
    admin.get_by_label("Question:").fill("Is the sky blue?")
    admin.locator(".field-topic .select2-selection").click()
    admin.locator(".select2-search__field").fill("Sci")
    admin.get_by_role("option", name="Science").click()
    admin.locator("#id_choices-0-choice_text").fill("Yes")
    admin.locator("#id_choices-1-choice_text").fill("At times")
    admin.locator("#id_picture").set_input_files(
        {"name": "sky.png", "mimeType": "image/png", "buffer": picture()}
    )
    photograph(admin, "admin-add")
    admin.get_by_role("button", name="Save and continue editing").click()
    expect(admin.locator(".messagelist .success")).to_contain_text("was added successfully")
    # The browser has loaded what was uploaded: it is 32 pixels wide there.
    preview = admin.locator(".field-preview img")
    preview.scroll_into_view_if_needed()
    admin.wait_for_function("document.querySelector('.field-preview img').naturalWidth === 32")
    photograph(admin, "admin-edit")
    [file] = (polls_folder / "media").glob("questions/*/*/sky*.png")
    assert file.read_bytes() == picture()

    # Edit.
    admin.get_by_label("Question:").fill("Is the sky always blue?")
    admin.locator("#id_choices-2-choice_text").fill("Never")
    admin.get_by_role("button", name="Save", exact=True).click()
    expect(admin.locator(".messagelist .success")).to_contain_text("was changed successfully")

    # Search and filter.
    admin.locator("#searchbar").fill("always blue")
    admin.locator("#searchbar").press("Enter")
    expect(admin.locator("#result_list tbody tr")).to_have_count(1)
    expect(admin.locator("#result_list .field-topic")).to_have_text("Science")
    admin.get_by_role("link", name="No", exact=True).click()
    expect(admin.get_by_text("0 questions", exact=True)).to_be_visible()
    admin.get_by_role("link", name="Yes", exact=True).click()
    expect(admin.locator("#result_list tbody tr")).to_have_count(1)

    # Delete, from the list.
    admin.locator("#result_list .action-select").check()
    admin.locator("select[name=action]").select_option("delete_selected")
    admin.get_by_role("button", name="Go").click()
    expect(admin.get_by_text("Answer: Never")).to_be_visible()
    photograph(admin, "admin-delete")
    admin.get_by_role("button", name="Yes, I’m sure").click()
    expect(admin.locator(".messagelist .success")).to_contain_text("Successfully deleted 1 question")


def test_a_visitor_finds_votes_and_speaks(browser: Browser, polls_server: Server) -> None:
    with visitor(browser, polls_server, "vera") as page, visiting(browser, polls_server.url, "/") as other:
        page.get_by_role("searchbox", name="Search").fill("breakfast")
        page.get_by_label("Order").select_option("Most votes")
        page.get_by_role("button", name="Search").click()
        expect(page.locator(".card h2").first).to_contain_text("breakfast")
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="More").click()
        expect(page.locator(".pages")).to_contain_text("Page 2 of")
        expect(page.locator(".card h2").first).to_contain_text("breakfast")
        page.locator(".card:not(:has(.tag)) h2 a").first.click()

        # Somebody else looks at the same question, and sees the vote come.
        other.page.goto(page.url)
        total = other.page.locator("[data-total]")
        before = int(total.inner_text())
        first = page.locator(".choice").first
        votes = int(first.locator("b").inner_text())
        first.click()
        page.get_by_role("button", name="Vote", exact=True).click()
        expect(page.get_by_role("status")).to_have_text("Your vote counts. Thank you!")
        expect(total).to_have_text(str(before + 1))
        expect(other.page.locator(".choice b").first).to_have_text(str(votes + 1))

        # A mind is changed: as many votes, elsewhere.
        page.locator(".choice").last.click()
        page.get_by_role("button", name="Change my vote").click()
        expect(other.page.locator(".choice b").first).to_have_text(str(votes))
        expect(total).to_have_text(str(before + 1))
        expect(page.locator(".choice").last.get_by_role("radio")).to_be_checked()

        page.get_by_label("Your comment").fill("<i>Porridge</i>, of course.")
        page.get_by_role("button", name="Say it").click()
        expect(page.locator(".comment").first).to_contain_text("<i>Porridge</i>, of course.")
        expect(page.locator(".comment").first).to_contain_text("vera")
        page.evaluate("scrollTo(0, 0)")
        photograph(page, "voted")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("link", name="Log in")).to_be_visible()


def test_a_visitor_asks(browser: Browser, polls_server: Server) -> None:
    with visitor(browser, polls_server, "ulf") as page:
        page.get_by_role("link", name="Ask a question").click()
        page.get_by_label("Your question").fill("What is in the picture?")
        page.get_by_label("Answers").fill("The sea\nThe sky")
        page.get_by_label("Picture").set_input_files(
            {"name": "x.png", "mimeType": "image/png", "buffer": picture()}
        )
        photograph(page, "ask")
        page.get_by_role("button", name="Publish").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("What is in the picture?")
        expect(page.locator(".choice")).to_contain_text(["The sea", "The sky"])
        page.wait_for_function("document.querySelector('.picture').naturalWidth === 32")
        page.get_by_role("link", name="ulf").first.click()
        expect(page.locator(".card h2")).to_have_text(["What is in the picture?"])
        photograph(page, "person")


def test_forms_say_what_is_wrong(visit: Visit, polls_server: Server) -> None:
    visit.tolerated = REFUSED
    page = visit.page
    sign_up(page, polls_server, "wim")
    page.goto(f"{polls_server.url}/ask/")
    page.get_by_label("Your question").fill("Alone?")
    page.get_by_label("Answers").fill("Yes")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("alert")).to_have_text("There have to be 2 to 8 different answers.")
    # What was written is there to be mended.
    expect(page.get_by_label("Your question")).to_have_value("Alone?")
    photograph(page, "wrong")


def test_the_language_stays(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("navigation", name="Topics").get_by_role("link", name="Travel").click()
    page.get_by_role("button", name="Deutsch").click()
    expect(page).to_have_url(re.compile(r"topic=travel$"))
    expect(page.get_by_role("searchbox")).to_have_attribute("placeholder", "Fragen durchsuchen")
    page.locator(".card h2 a").first.click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("main")).to_contain_text("Stimmen insgesamt")
    photograph(page, "german")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("main")).to_contain_text("votes in all")


@pytest.mark.parametrize(("scheme", "size"), [("light", LAPTOP), ("dark", LAPTOP), ("dark", PHONE)])
def test_it_fits_the_window(
    browser: Browser, polls_server: Server, scheme: str, size: tuple[int, int]
) -> None:
    with visiting(browser, polls_server.url, "/", scheme, size) as visit:
        page = visit.page
        for name, path in {"list": "/?order=votes", "sign-up": "/sign-up/", "about": "/about/"}.items():
            page.goto(visit.url + path)
            photograph(page, f"{name}-{scheme}-{size[0]}")
            assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
        page.goto(f"{visit.url}/?order=votes")
        page.locator(".card h2 a").first.click()
        photograph(page, f"question-{scheme}-{size[0]}")
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
