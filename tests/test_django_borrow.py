"""Django's ORM in resolvers: one connection and one transaction with the request's own statements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from library import open_library
from stack import Run, Serve, Server
from support import eventually


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, puff: Run, serve: Serve) -> Iterator[Server]:
    with (
        open_library(tmp_path_factory.mktemp("django"), puff) as library,
        serve("--graphql", "desk:Schema", cwd=library.folder, env=library.environment) as server,
    ):
        yield server


def data(answer: Any) -> Any:
    assert "errors" not in answer, answer
    return answer["data"]


def words(desk: Server, beginning: str) -> list[str]:
    found = data(
        desk.graphql("query($b: String!) { tags(filters: {word__startswith: $b}) { word } }", b=beginning)
    )
    return [tag["word"] for tag in found["tags"]]


def test_a_query_has_one_connection_and_transaction_for_both(desk: Server) -> None:
    found = data(desk.graphql("{ orm { pid tx } where { pid tx } again: orm { pid tx } }"))
    assert found["where"] == [found["orm"]]
    assert found["again"] == found["orm"]
    apart = data(desk.graphql("{ where { pid tx } }"))["where"]
    assert apart[0]["tx"] != found["orm"]["tx"]


def test_layers_see_what_the_orm_has_written_and_hooks_run_after_the_commit(desk: Server) -> None:
    made = data(
        desk.graphql('mutation { ask(text: "Why?", choices: ["so", "no"]) { text choices { text } } }')
    )
    assert made["ask"]["text"] == "Why?"
    assert sorted(choice["text"] for choice in made["ask"]["choices"]) == ["no", "so"]
    assert eventually(lambda: "Why?: 1" in data(desk.graphql("{ done }"))["done"])
    rows = data(desk.graphql('mutation { rows(word: "of a queryset") { word } }'))["rows"]
    assert rows == [{"word": "of a queryset"}]


def test_an_error_undoes_the_whole_field_and_its_hooks(desk: Server) -> None:
    answer = desk.graphql(
        """mutation {
            first: ask(text: "Undone 1", choices: ["a", "stop"]) { id }
            second: ask(text: "Undone not", choices: ["a"]) { text }
        }"""
    )
    assert answer["data"] == {"first": None, "second": {"text": "Undone not"}}
    (error,) = answer["errors"]
    assert error["message"] == "choices: stop is none text: too short text: too dull"
    assert error["path"] == ["first"]
    fields = {"choices": ["stop is none"], "text": ["too short", "too dull"]}
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "fields": fields}
    kept = data(
        desk.graphql('{ questions(filters: {text__startswith: "Undone"}) { text choices { text } } }')
    )
    assert kept["questions"] == [{"text": "Undone not", "choices": [{"text": "a"}]}]
    assert eventually(lambda: "Undone not: 1" in data(desk.graphql("{ done }"))["done"])
    assert not [done for done in data(desk.graphql("{ done }"))["done"] if done.startswith("Undone 1")]


def test_a_conflict_is_told_as_one_and_can_be_caught_in_a_savepoint(desk: Server) -> None:
    data(desk.graphql('mutation { tag(word: "once") { word } }'))
    answer = desk.graphql('mutation { tag(word: "once") { word } }')
    # What came before it in the resolver, the same again, is the first to be refused.
    (error,) = answer["errors"]
    assert answer["data"] == {"tag": None}
    assert error["message"] == "there is one like this already"
    assert error["extensions"]["code"] == "CONFLICT"
    assert error["extensions"]["sqlstate"] == "23505"
    assert error["extensions"]["constraint"].startswith("shelf_tag_word")
    data(desk.graphql('mutation { rows(word: "twice") { word } }'))
    kept = data(desk.graphql('mutation { tag(word: "twice", keep: true) { word } }'))
    assert kept == {"tag": {"word": "twice"}}
    assert words(desk, "before") == ["before once", "before twice"]
    assert eventually(lambda: "tagged twice" in data(desk.graphql("{ done }"))["done"])
    done = data(desk.graphql("{ done }"))["done"]
    assert done.count("tagged once") == 1
    assert "never" not in done


def test_nested_blocks_and_savepoints(desk: Server) -> None:
    assert data(desk.graphql('mutation { nested(word: "nest") }')) == {"nested": 2}
    assert words(desk, "nest") == ["nest 1", "nest 4"]


@pytest.mark.parametrize(
    ("how", "message", "code"),
    [
        ("get", "Tag matching query does not exist.", "NOT_FOUND"),
        ("404", "No Tag matches the given query.", "NOT_FOUND"),
        ("http", "there is no such object", "NOT_FOUND"),
        ("denied", "not yours", "FORBIDDEN"),
        ("invalid", "word: Ensure this value has at most 20 characters (it has 50).", "BAD_USER_INPUT"),
        ("foreign key", "something else depends on it, or what it depends on is not there", "CONFLICT"),
        ("null", 'null value in column "word" of relation "shelf_tag" violates not-null', "RESOLVER_ERROR"),
        ("killed", "terminating connection", "SQL_UNAVAILABLE"),
        ("later", 'insert or update on table "shelf_choice" violates foreign key', "SQL_ERROR"),
    ],
)
def test_what_goes_wrong_is_told_and_undone(desk: Server, how: str, message: str, code: str) -> None:
    answer = desk.graphql("mutation($how: String!) { fail(how: $how) }", how=how)
    assert answer["data"] == {"fail": None}
    assert message in answer["errors"][0]["message"], answer
    assert answer["errors"][0]["extensions"]["code"] == code
    assert words(desk, "fails") == []
    assert data(desk.graphql('{ count(word: "red") }')) == {"count": 1}
