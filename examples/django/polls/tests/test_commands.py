"""The management commands, and the migration that makes data."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import F, Sum

from polls.models import Choice, Comment, Question, Topic, Vote

SIZES = {"questions": 20, "votes": 100, "comments": 30, "users": 10}


def load(**options: Any) -> str:
    said = StringIO()
    call_command("load_polls", **{**SIZES, **options}, quiet=True, stdout=said)
    return said.getvalue()


def content() -> list[Any]:
    """All that matters, but for keys."""
    votes = Vote.objects.values_list("question__question_text", "choice__choice_text", "user__username")
    return [
        list(votes.order_by("pk")),
        list(Comment.objects.order_by("pk").values_list("text", "written_at")),
    ]


def test_data_is_loaded(db: None) -> None:
    assert load().startswith("made 10 users, 20 questions, ")
    counts = [model.objects.count() for model in (User, Question, Vote, Comment)]
    assert counts == [10, 20, 100, 30]
    assert Choice.objects.aggregate(total=Sum("votes"))["total"] == 100
    assert not Vote.objects.exclude(question=F("choice__question")).exists()


def test_the_same_seed_makes_the_same_data(db: None) -> None:
    load()
    first = content()
    load(clear=True)
    assert content() == first
    load(clear=True, seed=2)
    assert content() != first


def test_what_is_there_is_not_loaded_twice(question: Question) -> None:
    load()
    with pytest.raises(CommandError, match="--clear removes it first"):
        load()
    load(clear=True, questions=0, votes=0, comments=0, users=1)
    assert Question.objects.get() == question, "what others have made stays"


@pytest.mark.parametrize(
    ("options", "text"),
    [({"questions": 0}, "votes and comments need questions"), ({"votes": 201}, "can vote 200 times")],
)
def test_wrong_numbers(db: None, options: dict[str, int], text: str) -> None:
    with pytest.raises(CommandError, match=text):
        load(**options)
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_first_topics_come_and_go(question: Question) -> None:
    question.topic = Topic.objects.get(slug="food")
    question.save()
    executor = MigrationExecutor(connection)
    executor.migrate([("polls", "0001_initial")])
    try:
        assert [topic.slug for topic in Topic.objects.all()] == ["food"], "one that is used stays"
        Topic.objects.all().delete()
    finally:
        executor.loader.build_graph()
        executor.migrate([("polls", "0002_first_topics")])
    assert Topic.objects.count() == 6
