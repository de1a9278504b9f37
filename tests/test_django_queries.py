"""Querysets as statements: `query_and_params` gives the rows that Django gives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from library import Library, open_library
from stack import Run


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, puff: Run) -> Iterator[Library]:
    with open_library(tmp_path_factory.mktemp("django"), puff) as library:
        yield library


def test_rows_are_djangos(library: Library) -> None:
    last = library("querysets.cases").splitlines()
    assert last == [f"{int(last[-1].split()[0])} querysets, 0 differ"]
    assert int(last[-1].split()[0]) > 130


def test_rows_of_querysets_by_chance_are_djangos(library: Library) -> None:
    assert library("querysets.by_chances") == "400 querysets, 0 differ\n"


def test_statements_that_are_kept_are_those_that_django_compiles(library: Library) -> None:
    assert library("kept.seen").endswith(" kept, 0 differ\n")


def test_what_has_no_statement_is_told_why(library: Library) -> None:
    printed = dict(line.split(": ", 1) for line in library("querysets.refused").splitlines())
    wanted = {
        "prefetch_related": "the queryset of Author has prefetch_related",
        "a field that Python changes": "the column 'motto' is of the field shelf.Sheet.motto, and Shouted.",
        "a field of a related object": "the column 'sheet__motto' is of the field shelf.Sheet.motto",
        "another database": "the queryset of Author asks the database 'file', which is SQLite",
        "another database of PostgreSQL": "the queryset of Author asks the database 'archive', which is",
        "a model": "Author is a model; give a queryset, such as Author.objects.all()",
        "an object": "an object of Author is no queryset",
        "a list": "query_and_params() takes a queryset, not list: that is what was made of one",
        "an iterator": "query_and_params() takes a queryset, not generator: that is",
        "an asynchronous iterator": "query_and_params() takes a queryset, not async_generator: that is",
        "a number": "query_and_params() takes a queryset, not int: that is",
        "nothing": "query_and_params() takes a queryset, not NoneType",
        "a value of no type": "a object has no SQL form",
        "a placeholder in quotes": "a placeholder stands in quotes: '%s'",
        "a per cent sign": "%' in a statement of Django is no placeholder",
        "too few parameters": "the statement has 1 places for parameters, and there are 0 of them",
        "a column twice": "two columns are called 'author__name'",
        "raw without a value": "raw() has the placeholder %(a)s, and its params have no such key",
    }
    for name, beginning in wanted.items():
        assert printed[name].startswith(beginning), printed[name]
    assert printed.keys() == wanted.keys()


def test_rows_that_django_does_not_have_like_that(library: Library) -> None:
    assert library("querysets.others") == "as said\n"


def test_a_prepared_queryset_is_asked_with_different_values(library: Library) -> None:
    assert library("querysets.prepares").splitlines() == [
        "the prepared queryset has the parameter n, which is not given",
        "the prepared queryset has no parameter m (parameters: n)",
    ]
