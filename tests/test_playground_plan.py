"""The plan panel of the playground, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import DESKTOP, LAPTOP, RESULT, Visit, visiting
from playwright.sync_api import Browser, expect
from stack import Serve, Server

NESTED = """
query Nested {
  countries(limit: 20) { name subdivisions { name airports(limit: 3) { icao notes { text } } } }
  route(stops: ["KJFK", "BIKF"]) { distance_km }
}
"""

PLAIN = """
from dataclasses import dataclass


@dataclass
class Query:
    @classmethod
    def one(cls, context, /) -> int:
        return 1


@dataclass
class Schema:
    query: Query
"""

BRANCHES = "".join(f"a{number}: airports(limit: {number}) {{ name }} " for number in range(1, 31))


@pytest.fixture
def demo(browser: Browser, demo_server: Server) -> Iterator[Visit]:
    with visiting(browser, demo_server.url, "/playground") as visit:
        yield visit


def flat(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A trace's layers, each before those below it."""
    return [found for layer in layers for found in (layer, *flat(layer["children"]))]


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", LAPTOP), ("dark", LAPTOP), ("light", DESKTOP), ("dark", DESKTOP)]
)
def test_the_layers_of_a_nested_query(
    browser: Browser, demo_server: Server, tmp_path: Path, scheme: str, size: tuple[int, int]
) -> None:
    with visiting(browser, demo_server.url, "/playground", scheme, size) as visit:
        visit.open(NESTED)
        plan = visit.show("Plan")
        expect(plan).to_contain_text("Run an operation")
        visit.page.screenshot(path=tmp_path / f"before-{scheme}-{size[0]}.png")
        trace = visit.run()["extensions"]["puff"]
        expect(plan.locator("li")).to_have_count(5)

        layers = flat(trace["layers"])
        assert [layer["path"][-1] for layer in layers] == [
            "countries",
            "subdivisions",
            "airports",
            "notes",
            "route",
        ]
        for layer, item in zip(layers, plan.locator("li").all(), strict=True):
            summary = item.locator("summary")
            expect(summary.locator(".name")).to_contain_text(layer["path"][-1])
            expect(summary.locator(".rows")).to_have_text(re.compile(rf"^{layer['rows']:,} "))
            summary.click()
            if layer["resolver"]:
                expect(item.locator("code").first).to_have_text(layer["resolver"])
            else:
                expect(item).to_contain_text("never enters Python")
            if layer["sql"]:
                assert item.locator("pre").inner_text().split() == layer["sql"].split()
                expect(item.locator(".puff-plan-parameters dt")).to_have_count(len(layer["parameters"]))
            else:
                expect(item.locator("pre")).to_have_count(0)
        expect(plan.locator("li").nth(2)).to_contain_text(
            f"{layers[2]['parents']:,} parents → {layers[2]['rows']:,} rows"
        )
        expect(plan).to_contain_text("Nested")
        assert "extensions" not in visit.page.locator(RESULT).inner_text()
        visit.page.screenshot(path=tmp_path / f"nested-{scheme}-{size[0]}.png")


def test_the_second_time_the_plan_is_cached(demo: Visit) -> None:
    demo.open("query Twice { countries(limit: 1) { code } }")
    plan = demo.show("Plan")
    demo.run()
    expect(plan).to_contain_text("Plan built in")
    demo.run()
    expect(plan).to_contain_text("cached")


def test_the_line_below_the_answer_opens_the_panel(demo: Visit) -> None:
    demo.open("{ countries(limit: 1) { code } }")
    demo.run()
    demo.page.get_by_role("button", name="1 layer, 1 statement").click()
    expect(demo.page.locator(".puff-plan li")).to_have_count(1)


def test_many_layers_are_closed_and_opened_from_the_keyboard(demo: Visit, tmp_path: Path) -> None:
    demo.open(f"{{ {BRANCHES} }}")
    plan = demo.show("Plan")
    demo.run()
    expect(plan.locator("li")).to_have_count(30)
    expect(plan.locator("pre:visible")).to_have_count(0)
    demo.page.screenshot(path=tmp_path / "many.png")
    # From the button before it, one step to the first layer and one to the next.
    plan.get_by_role("button", name="Open all").focus()
    demo.page.keyboard.press("Tab")
    demo.page.keyboard.press("Tab")
    demo.page.keyboard.press("Enter")
    expect(plan.locator("li").nth(1).locator("pre")).to_be_visible()
    expect(plan.locator("pre:visible")).to_have_count(1)
    plan.get_by_role("button", name="Open all").press("Enter")
    expect(plan.locator("pre:visible")).to_have_count(30)
    plan.get_by_role("button", name="Close all").press("Enter")
    expect(plan.locator("pre:visible")).to_have_count(0)


def test_a_layer_that_failed_says_why(demo: Visit, tmp_path: Path) -> None:
    demo.open('{ route(stops: ["KJFK", "XXXX"]) { distance_km } countries(limit: 1) { code } }')
    plan = demo.show("Plan")
    demo.run()
    route = plan.locator("li", has_text="route")
    expect(route.locator(".rows")).to_have_text("failed")
    expect(route).to_contain_text("no airport has the ICAO code XXXX")
    demo.page.screenshot(path=tmp_path / "failed.png")


def test_a_query_that_does_not_run_has_no_plan(demo: Visit) -> None:
    demo.tolerated = "status of 400"
    demo.open("{ no_such_field }")
    plan = demo.show("Plan")
    demo.run()
    expect(plan).to_contain_text("No plan came with this answer.")
    expect(plan).to_contain_text("no_such_field")


def test_each_tab_has_its_own_plan(demo: Visit) -> None:
    demo.open("query First { countries(limit: 1) { code } }")
    plan = demo.show("Plan")
    demo.run()
    demo.page.get_by_role("button", name="New tab").click()
    expect(plan).to_contain_text("Run an operation")
    demo.write("query Second { airports(limit: 2) { icao } }")
    demo.run()
    expect(plan.locator("li")).to_contain_text("airports")
    demo.page.get_by_role("tab", name="First").click()
    expect(plan.locator("li")).to_contain_text("countries")


def test_a_server_that_sends_no_plan_says_how_to_get_one(
    browser: Browser, serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    with (
        serve("--graphql", "plain:Schema", cwd=tmp_path, env={"PUFF_GRAPHQL_TRACE": "off"}) as server,
        visiting(browser, server.url, "/") as visit,
    ):
        visit.open("{ one }")
        plan = visit.show("Plan")
        assert visit.run() == {"data": {"one": 1}}
        expect(plan).to_contain_text('graphql_trace = "always"')
