"""The fixture `graphql` of the package's pytest plugin, in projects' own tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from stack import PUFF, clean_environment

SHOP = """
from collections.abc import Iterator
from dataclasses import dataclass

import puff
from puff import graphql


@dataclass
class Item:
    title: str

    def price(self, context, /) -> int | None:
        if self.title == "Ulysses":
            raise graphql.GraphQLError("nobody knows", code="NO_PRICE")
        return 3


@dataclass
class Query:
    @classmethod
    def items(cls, context, /, first: int = 10) -> list[Item]:
        return [Item("Emma"), Item("Ulysses")][:first]

    @classmethod
    def who(cls, context, /) -> list[str | None]:
        return [context.auth_token, context.headers.get("x-tenant"), context.state.get("user")]

    @classmethod
    def secret(cls, context, /) -> str:
        if not context.auth_token:
            raise graphql.Unauthenticated("log in first")
        return "42"


@dataclass
class Subscription:
    @classmethod
    def ticks(cls, context, /, count: int) -> Iterator[str]:
        for n in range(count):
            yield f"{context.auth_token} {n}"
        if count == 1:
            puff.sleep(60)


@dataclass
class Schema:
    query: Query
    subscription: Subscription


@dataclass
class Staff:
    @classmethod
    def names(cls, context, /) -> list[str]:
        return ["Ada"]


@dataclass
class Office:
    query: Staff
"""

TESTS = """
import pytest
from puff.testing import GraphQLErrors


def test_data(graphql):
    data = graphql.data("query($n: Int!) { items(first: $n) { title } }", {"n": 1})
    assert data == {"items": [{"title": "Emma"}]}
    assert graphql.data("query A { a: who } query B { b: who }", operation="B") == {"b": [None, None, None]}


def test_answers(graphql):
    answer = graphql.query("{ items { title price } }")
    assert answer.data == {"items": [{"title": "Emma", "price": 3}, {"title": "Ulysses", "price": None}]}
    assert answer.codes == ["NO_PRICE"]
    assert answer.errors[0]["path"] == ["items", 1, "price"]
    good = graphql.query("{ items { title } }")
    assert good.raise_errors() is good


def test_what_errors_look_like(graphql):
    with pytest.raises(GraphQLErrors) as caught:
        graphql.data("{\\n  items {\\n    price\\n  }\\n}")
    assert str(caught.value).splitlines() == [
        "the answer has 1 error",
        "items.1.price: nobody knows [NO_PRICE]",
        "  3 |     price",
        "          ^",
    ]
    assert caught.value.errors[0]["message"] == "nobody knows"
    with pytest.raises(GraphQLErrors, match=r"2 errors(.|\\n)*`a`(.|\\n)*1 \\| { a b }"):
        graphql.data("{ a b }")


def test_what_resolvers_see(graphql):
    assert graphql.data("{ who }") == {"who": [None, None, None]}
    ada = graphql.with_bearer("ada").with_headers({"X-Tenant": "7"}).with_context({"user": 5})
    assert ada.data("{ who }") == {"who": ["ada", "7", "5"]}
    assert graphql.query("{ secret }").codes == ["UNAUTHENTICATED"]
    assert ada.data("{ secret }") == {"secret": "42"}


def test_subscriptions(graphql):
    ada = graphql.with_bearer("ada")
    with ada.subscribe("subscription($n: Int!) { ticks(count: $n) }", {"n": 3}) as answers:
        assert [answer.data["ticks"] for answer in answers] == ["ada 0", "ada 1", "ada 2"]
    assert answers.next() is None
    with graphql.subscribe("subscription { ticks(count: 1) }", timeout=0.2) as answers:
        assert answers.next(timeout=5).raise_errors().data == {"ticks": "None 0"}
        with pytest.raises(TimeoutError):
            answers.next()
    (refused,) = graphql.subscribe("subscription { tocks }")
    assert refused.codes == ["GRAPHQL_VALIDATION_FAILED"]


def test_plans_and_the_schema(graphql):
    assert "Query.items" in graphql.plan("{ items { title } }")
    assert "type Item" in graphql.sdl()


def test_a_schema_with_a_name(graphql):
    assert graphql.named("office").data("{ names }") == {"names": ["Ada"]}
    assert "names" in graphql.named("office").sdl()
    with pytest.raises(RuntimeError, match="it has office"):
        graphql.named("none").query("{ names }")
"""

WRONG = """
def test_wrong(graphql):
    assert graphql.data("{ items { price } }")
"""

OWN = """
import pytest


@pytest.fixture
def graphql():
    return 3


def test_own(graphql):
    assert graphql == 3
"""

HOSTS = {"puff": [str(PUFF), "pytest"], "plain": [sys.executable, "-m", "pytest"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fixture")
    (folder / "shop.py").write_text(SHOP)
    (folder / "puff.toml").write_text(
        'graphql = "shop:Schema"\n[graphql_schema.office]\nclass = "shop:Office"\n'
    )
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in {"shop": TESTS, "wrong": WRONG, "own": OWN}.items():
        (folder / f"test_{name}.py").write_text(text)
    return folder


def run(folder: Path, host: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HOSTS[host], "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("host", HOSTS)
def test_a_projects_tests(folder: Path, host: str) -> None:
    done = run(folder, host, "test_shop.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout


def test_a_test_that_fails_shows_the_errors_and_its_own_line(folder: Path) -> None:
    done = run(folder, "puff", "test_wrong.py")
    assert done.returncode == 1
    assert '>       assert graphql.data("{ items { price } }")' in done.stdout
    for line in (
        "the answer has 1 error",
        "items.1.price: nobody knows [NO_PRICE]",
        "1 | { items { price } }",
    ):
        assert line in done.stdout
    assert "testing.py" not in done.stdout  # frames of ours are left out


def test_a_projects_own_fixture_wins(folder: Path) -> None:
    done = run(folder, "plain", "test_own.py")
    assert done.returncode == 0, done.stdout
