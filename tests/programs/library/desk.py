"""A schema that writes by Django's ORM, in the transaction of the request."""

from __future__ import annotations

from dataclasses import dataclass

import filling  # noqa: F401  (sets Django up)
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection, transaction
from django.http import Http404
from django.shortcuts import get_object_or_404
from shelf.models import Choice, Question, Tag

import puff
from puff import graphql
from puff.contrib.django import graphql as django
from puff.contrib.django import query_and_params

DONE: list[str] = []


@django.type(Choice, fields=["text"])
class ChoiceType:
    pass


@django.type(Question, fields=["id", "text", "choices"])
class QuestionType:
    pass


@django.type(Tag, fields=["word"])
class TagType:
    pass


def numbers() -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), txid_current()")
        return cursor.fetchone()


@dataclass
class Where:
    pid: int
    tx: int


@dataclass
class Query:
    tags = django.objects("list[TagType]", filters={"word": ["startswith"]}, order="word")
    questions = django.objects("list[QuestionType]", filters={"text": ["startswith"]}, order="id")

    @classmethod
    def where(cls, context, /) -> tuple[list[Where], str, list]:
        return ..., "SELECT pg_backend_pid() AS pid, txid_current() AS tx", []

    @classmethod
    @graphql.borrow_db_context
    def orm(cls, context, /) -> tuple[Where, Where]:
        return ..., Where(*numbers())

    @classmethod
    @graphql.borrow_db_context
    def count(cls, context, /, word: str) -> int:
        return Tag.objects.filter(word=word).count()

    @classmethod
    def done(cls, context, /) -> list[str]:
        return DONE


@dataclass
class Mutation:
    @classmethod
    @graphql.borrow_db_context
    def ask(cls, context, /, text: str, choices: list[str]) -> QuestionType | None:
        question = Question.objects.create(text=text)
        with transaction.atomic():
            for choice in choices:
                if choice == "stop":
                    raise ValidationError({"choices": ["stop is none"], "text": ["too short", "too dull"]})
                Choice.objects.create(question=question, text=choice)
        transaction.on_commit(lambda: DONE.append(f"{text}: {Question.objects.filter(text=text).count()}"))
        return question

    @classmethod
    @graphql.borrow_db_context
    def tag(cls, context, /, word: str, keep: bool = False) -> TagType | None:
        Tag.objects.create(word=f"before {word}")
        transaction.on_commit(lambda: DONE.append(f"tagged {word}"))
        if not keep:
            return Tag.objects.create(word=word)
        try:
            with transaction.atomic():
                transaction.on_commit(lambda: DONE.append("never"))
                return Tag.objects.create(word=word)
        except IntegrityError:
            return Tag.objects.get(word=word)

    @classmethod
    @graphql.borrow_db_context
    def nested(cls, context, /, word: str) -> int:
        with transaction.atomic():
            Tag.objects.create(word=f"{word} 1")
            try:
                with transaction.atomic():
                    Tag.objects.create(word=f"{word} 2")
                    with transaction.atomic():
                        Tag.objects.create(word=f"{word} 3")
                    raise LookupError
            except LookupError:
                Tag.objects.create(word=f"{word} 4")
            sid = transaction.savepoint()
            Tag.objects.create(word=f"{word} 5")
            transaction.savepoint_rollback(sid)
        list(Tag.objects.select_for_update().filter(word__startswith=word))
        return Tag.objects.filter(word__startswith=word).count()

    @classmethod
    @graphql.borrow_db_context
    def rows(cls, context, /, word: str) -> tuple[list[TagType], str, list]:
        Tag.objects.create(word=word)
        return ..., *query_and_params(Tag.objects.filter(word=word))

    @classmethod
    @graphql.borrow_db_context
    def fail(cls, context, /, how: str) -> str | None:
        Tag.objects.create(word=f"fails by {how}")
        if how == "get":
            Tag.objects.get(word="nowhere")
        elif how == "404":
            get_object_or_404(Tag, word="nowhere")
        elif how == "http":
            raise Http404
        elif how == "denied":
            raise PermissionDenied("not yours")
        elif how == "invalid":
            Tag(word="x" * 50).full_clean()
        elif how == "null":
            Tag.objects.create(word=None)
        elif how == "foreign key":
            Choice.objects.create(question_id=-1, text="of nobody")
            connection.check_constraints()
        elif how == "killed":
            puff.global_postgres().query("SELECT pg_terminate_backend($1::int)", [numbers()[0]])
            Tag.objects.count()
        elif how == "later":
            # Found out at the commit, which is the request's.
            Choice.objects.create(question_id=-1, text="of nobody")
        return "done"


@dataclass
class Schema:
    query: Query
    mutation: Mutation
