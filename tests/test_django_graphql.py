"""GraphQL of Django's models: types, relations, filters, orders, pages, and who sees what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from library import Library, open_library
from stack import Run, Serve

THREE_LAYERS = "{ plain(limit: 100) { text choices { text votes { voter } } } }"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, puff: Run) -> Iterator[Library]:
    """The library, whose PostgreSQL counts statements."""

    def prepare(folder: Path) -> None:
        sql(puff, folder, "ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements")
        puff("db", "stop", cwd=folder)  # the setting counts from the next start
        sql(puff, folder, "CREATE EXTENSION pg_stat_statements")

    with open_library(tmp_path_factory.mktemp("django"), puff, prepare) as library:
        yield library


def sql(puff: Run, folder: Path, statement: str) -> str:
    result = puff("db", "psql", "-v", "ON_ERROR_STOP=1", "-qAtc", statement, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout


def graph(library: Library, function: str) -> str:
    return library(f"graphs.{function}", PUFF_GRAPHQL="schema:Schema")


@pytest.mark.parametrize("function", ["relations", "values", "pages"])
def test_answers_are_those_of_the_orm(library: Library, function: str) -> None:
    assert graph(library, function) == "the same\n"


def test_clients_filter_and_order_and_are_told_what_is_wrong(library: Library) -> None:
    assert graph(library, "asked").splitlines() == [
        """[("id: Field 'id' expected a number but got 'abc'.", 'BAD_USER_INPUT')]""",
        "[('limit is 1000, and has to be from 0 to 100', 'BAD_USER_INPUT')]",
        "[('offset is -1, and has to be 0 or more', 'BAD_USER_INPUT')]",
        """[("filters: Field 'id' expected a number but got 'abc'.", 'BAD_USER_INPUT')]""",
        "[('filters: long cannot stand in any_of', 'BAD_USER_INPUT')]",
        "[('filters stand in each other 8 deep at most', 'BAD_USER_INPUT')]",
    ]


def test_get_queryset_and_permissions_hold_wherever_objects_come_from(library: Library) -> None:
    assert graph(library, "limits") == "limited\n"


def test_a_hundred_questions_with_choices_and_votes_are_three_statements(
    library: Library, puff: Run, serve: Serve
) -> None:
    statistics = """
        SELECT json_agg(json_build_array(substring(query from 'FROM "shelf_(\\w+)"'), calls, rows))
        FROM pg_stat_statements WHERE query ~ 'shelf_' AND query !~ 'pg_stat_statements'
    """
    with serve("--graphql", "schema:Schema", cwd=library.folder, env=library.environment) as server:
        sql(puff, library.folder, "SELECT pg_stat_statements_reset()")
        answer = server.graphql(THREE_LAYERS)
        counted = json.loads(sql(puff, library.folder, statistics))
    questions = answer["data"]["plain"]
    choices = [choice for question in questions for choice in question["choices"]]
    votes = [vote for choice in choices for vote in choice["votes"]]
    assert (len(questions), len(choices)) == (100, 300)
    assert sorted(counted) == [
        ["choice", 1, len(choices)],
        ["question", 1, len(questions)],
        ["vote", 1, len(votes)],
    ]


def test_relations_that_nobody_limits_never_enter_python(library: Library) -> None:
    kinds = dict(line.split(" ", 1) for line in graph(library, "kinds").splitlines())
    constant, python = kinds["sql"].split(), kinds["python"].split()
    assert {"PlainQuestion.choices", "PlainChoice.votes", "WorkType.tags", "Query.every"} <= set(constant)
    assert {"ChoiceType.votes", "AuthorType.works", "BookType.scan", "SheetType.motto"} <= set(python)


def test_a_schema_that_makes_no_sense_is_told_why(library: Library) -> None:
    printed = dict(line.split(": ", 1) for line in library("wrongs.main").splitlines())
    wanted = {
        "unknown field": "T.wrod: the model Tag has no field 'wrod'. Did you mean 'word'.",
        "unknown hint with a relation": "T.wrks: the model Tag has no field 'wrks'. Did you mean 'works'.",
        "query name": "T.author: the model Country has no field 'author'. Did you mean 'authors'.",
        "text for a list": "T: fields='word' is a text. Write a list of names, fields=['word'].",
        "both": "T: there are both fields= and exclude=",
        "exclude of nothing": "T: the model Tag has no field 'wrod'. Did you mean 'word'.",
        "also": "T: also= names 'works', which is no column",
        "a dataclass": "T: it is a dataclass already",
        "get_queryset of objects": "T.get_queryset: it is asked of no object. Write @classmethod",
        "no type": "T.book: it has objects of the model Book, which has no type. Make one with @type(Book",
        "no type of a model": "T.book: Other is no type of a model",
        "type of another model": "S.book: T is a type of the model Tag, and the relation has objects of Book",
        "one for many": "T.works: 'works' is many objects, and its type hint says one. Write list[W].",
        "unknown name": "T.works: the name 'Wrok' in the type hint 'list[Wrok]' cannot be resolved",
        "field without a type": "T.strange: shelf.Odd.strange is a Strange, which has no GraphQL type",
        "generic relation": "T.target: shelf.Odd.target is no column of the table",
        "wrong lookup": "F.title__containts: 'title__containts': 'containts' is no lookup of CharField",
        "wrong path": "F.athor__name: 'athor__name' is no path of the model Work",
        "no method": "F.popular: 'popular' is no path of the model Work",
        "filter of another model": "Query.works: F filters objects of Tag, not of Work",
        "order of many": "Query.works: the order 'tags__word' is no path to one value of Work",
        "order of nothing": "Query.works: 'titel' is no path of the model Work",
        "one without by": "Query.work: it is one object, and nothing says which. Write by='id'",
        "by for many": "Query.works: by= finds one object, and its type is a list",
        "limit": "Query.works: a list has 500 objects by default and 100 at most",
        "hint on objects": "Query.works: objects(...) is the default value of a data field here. Remove the",
        "relation elsewhere": "Query.works: relation() stands in a class that has no model",
    }
    for name, beginning in wanted.items():
        assert printed[name].startswith(beginning), f"{name}: {printed[name]}"
    assert printed.keys() == wanted.keys()
