"""The pages of the Django example in a browser: what several tests do there."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from stack import ROOT, Server

SCREENSHOTS = ROOT / "target" / "screenshots"


def photograph(page: Page, name: str) -> None:
    """Keeps what is in sight, for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"django-{name}.png")


def sign_up(page: Page, server: Server, name: str, password: str = "f9-Kx_2p") -> None:
    """Makes an account, by hand."""
    page.goto(f"{server.url}/sign-up/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("E-mail").fill(f"{name}@example.com")
    page.get_by_label("Password:", exact=True).fill(password)
    page.get_by_label("Password confirmation").fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("status")).to_have_text(f"Welcome, {name}!")
