"""The library as GraphQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import filling  # noqa: F401  (sets Django up)
from django.db.models import Count
from shelf.models import Author, Book, Choice, Country, Genre, Question, Room, Sheet, Tag, Vote, Work

from puff import graphql
from puff.contrib.django import graphql as django
from puff.graphql import Connection


@django.type(Country, fields=["code", "label", "authors"])
class CountryType:
    pass


@django.filter(Work, {"title": ["exact", "icontains"], "author__name": ["startswith"], "tags__word": ["in"]})
class WorkFilter:
    long: bool | None = None

    @staticmethod
    def filter_long(queryset, value):
        return queryset.filter(book__pages__gte=250) if value else queryset.filter(book__pages__lt=250)


WorkOrder = django.order(Work, ["title", "added", "author__name"])


@django.type(Author, exclude=["facts"])
class AuthorType:
    """Who writes."""

    works: list[WorkType] = django.relation(filters=WorkFilter, orders=WorkOrder, order="id")
    country: CountryType | None

    @classmethod
    def shouted(cls, parents, context, /) -> str:
        return [f"{parent.name.upper()}!" for parent in parents]


@django.type(Tag, fields=["word"])
class TagType:
    works: Connection[WorkType] = django.relation(order="-added", orders=["title"], first=2, most=10)


@django.type(Work, fields=["id", "title", "author", "tags", "added", "changed", "book"])
class WorkType:
    pass


BOOK = "id title author tags key price pages sold shelf lent words marks read_at length years notes data scan"


@django.type(Book, fields=[*BOOK.split(), "seen_from", "cover", "sheet", "genre"])
class BookType:
    genre: Genre


@django.type(Sheet, fields=["id", "motto", "book"])
class SheetType:
    pass


@django.type(Question, fields=["id", "text", "asked"])
class QuestionType:
    choices: list[ChoiceType]
    choice_count: int

    @classmethod
    def get_queryset(cls, queryset, context):
        return queryset.annotate(choice_count=Count("choices")).exclude(text=context.headers.get("but", ""))


@django.type(Choice, fields=["id", "text"])
class ChoiceType:
    votes: list[VoteType]
    question: QuestionType | None


def may_count(context, guarded):
    return "refused" not in context.headers


@django.type(Vote, fields=["voter"], permission=may_count)
class VoteType:
    @classmethod
    def get_queryset(cls, queryset, context):
        return queryset if context.auth_token == "counter" else queryset.filter(secret=False)


@django.type(Room, fields=["name", "parent", "children", "doors", "keys", "country", "by_tag"])
class RoomType:
    """Rooms in rooms."""


@django.type(Question, name="PlainQuestion", fields=["text"])
class Plain:
    choices: Annotated[list[PlainChoice], graphql.field(description="What may be answered.")]


@django.type(Choice, name="PlainChoice", fields=["text"])
class PlainChoice:
    votes: list[PlainVote]


@django.type(Vote, name="PlainVote", fields=["voter"])
class PlainVote:
    pass


BookGenre = django.choices(Book, "genre")


LOOKUPS = {
    "pages": ["gte", "in"],
    "key": "exact",
    "author": "in",
    "shelf": ["exact", "isnull"],
    "price": "lte",
    "added": ["gt", "year"],
    "lent": "exact",
    "author__name": "iexact",
    "title": "endswith",
    "sold": "in",
    "data": "exact",
    "words": "overlap",
}


@django.filter(Book, LOOKUPS, groups=False)
class BookFilter:
    genre: BookGenre | None = None


@dataclass
class Query:
    countries = django.objects("list[CountryType]", order="code")
    authors = django.objects("list[AuthorType]", order="id")
    works = django.objects("list[WorkType]", filters=WorkFilter, orders=WorkOrder, order="id", limit=20)
    books = django.objects("list[BookType]", order="id", filters=BookFilter)
    pages = django.objects("Connection[WorkType]", filters=WorkFilter, orders=WorkOrder, first=3)
    work = django.objects("WorkType | None", by="id")
    on_shelf = django.objects("BookType | None", by=["id", "shelf"])
    tag = django.objects("TagType | None", by="word")
    author_of = django.objects("AuthorType | None", by=["name", "country"])
    tags = django.objects(list[TagType], order="word")
    sheets = django.objects(list[SheetType], order="id")
    rooms = django.objects(list[RoomType], order="name")
    questions = django.objects(list[QuestionType], order="-id", limit=20, most=200)
    question = django.objects("QuestionType | None", by="id")
    plain = django.objects(list[Plain], limit=100)
    every = django.objects(list[Plain])


@dataclass
class Schema:
    query: Query
