"""The polls as GraphQL: most of it is SQL that Django writes and Rust runs."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import db
from django.db.models import F
from django.utils import timezone

import puff
from puff import graphql
from puff.contrib.django import query_and_params
from puff.contrib.django.graphql import login_required, permission_required

from . import voting
from .models import Choice, Question, Vote

pubsub = puff.global_pubsub()

MOST = 100
"""How many questions one may ask for at a time."""


@dataclass
class VoteObject:
    """Somebody's vote."""

    choice_id: int
    voted_at: datetime.datetime
    voter: str | None


@dataclass
class ChoiceObject:
    """One of the answers."""

    id: int
    question_id: int
    choice_text: str
    votes: int

    @classmethod
    def cast(cls, context: Any, /) -> tuple[list[VoteObject], str, list[Any], list[str], list[str]]:
        """The votes one by one, the newest first."""
        ids = [id for (id,) in context.parent_values(["id"])]
        votes = Vote.objects.filter(choice__in=ids).values("choice_id", "voted_at", voter=F("user__username"))
        return ..., *query_and_params(votes), ["id"], ["choice_id"]


@dataclass
class QuestionObject:
    """Something to vote on."""

    id: int
    pub_date: datetime.datetime
    question_text: str

    @classmethod
    def choices(cls, context: Any, /) -> tuple[list[ChoiceObject], str, list[Any], list[str], list[str]]:
        """The answers of all questions of the layer, by one statement."""
        ids = [id for (id,) in context.parent_values(["id"])]
        choices = Choice.objects.filter(question__in=ids)
        return ..., *query_and_params(choices), ["id"], ["question_id"]


@dataclass
class ChoiceNumber:
    choice_id: int
    votes: int


@dataclass
class Numbers:
    """The votes on a question as they have become."""

    question_id: int
    revision: int
    choices: list[ChoiceNumber]


@dataclass
class Query:
    @classmethod
    def questions(
        cls, context: Any, /, first: int = 20, search: str | None = None, topic: str | None = None
    ) -> tuple[list[QuestionObject], str, list[Any]]:
        """The newest questions. Django makes the statement; its rows do not become Python objects."""
        questions = Question.objects.published()
        if search:
            questions = questions.filter(question_text__icontains=search)
        if topic:
            questions = questions.filter(topic__slug=topic)
        return ..., *query_and_params(questions[: at_most(first)])

    @classmethod
    @graphql.borrow_db_context
    def question_objs(cls, context: Any, /, first: int = 20) -> tuple[list[QuestionObject], list[Any]]:
        """The same as Django's objects, on the connection and in the transaction of this request."""
        return ..., list(Question.objects.published()[: at_most(first)])

    @classmethod
    def me(cls, context: Any, /) -> str | None:
        """Who is logged in, on the pages or the admin."""
        return context.user.username or None


@graphql.type(permission=login_required)
@dataclass
class Mutation:
    @classmethod
    @graphql.borrow_db_context
    def create_question(
        cls, context: Any, /, question_text: str, choices: list[str] | None = None
    ) -> QuestionObject:
        """Asks something. If anything below fails, there is no such question."""
        if not 0 < len(question_text.strip()) <= 200:
            raise graphql.GraphQLError("a question has 1 to 200 characters")
        question = Question.objects.create(
            question_text=question_text.strip(), pub_date=timezone.now(), author=context.user
        )
        for text in choices or ():
            Choice.objects.create(question=question, choice_text=text)
        return question

    @classmethod
    @graphql.borrow_db_context
    def vote(cls, context: Any, /, choice_id: int) -> QuestionObject:
        """Votes, or changes the vote that there is."""
        published = Choice.objects.filter(question__in=Question.objects.published())
        choice = published.select_related("question").get(pk=choice_id)
        try:
            voting.cast_vote(context.user, choice)
        except voting.Closed:
            raise graphql.GraphQLError("this poll is closed") from None
        return choice.question

    @classmethod
    @graphql.field(permission=permission_required("polls.change_question"))
    @graphql.borrow_db_context
    def close_question(cls, context: Any, /, id: int) -> QuestionObject:
        """Ends a poll; for who may do so in the admin."""
        question = Question.objects.get(pk=id)
        question.closes_at = timezone.now()
        question.save(update_fields=("closes_at",))
        return question


@dataclass
class Subscription:
    @classmethod
    def votes(cls, context: Any, /, question_id: int) -> Iterator[Numbers]:
        """The numbers of a question, each time that somebody votes: on this site, by whatever way."""
        if not Question.objects.published().filter(pk=question_id).exists():
            raise graphql.GraphQLError("there is no such question")
        db.connection.close()  # it lasts long, and has no more use for a session
        with pubsub.connection() as connection:
            connection.subscribe(voting.channel(question_id))
            for message in connection:
                news = message.json()
                numbers = [ChoiceNumber(int(choice), votes) for choice, votes in news["votes"].items()]
                yield Numbers(question_id, news["revision"], numbers)


@dataclass
class Schema:
    query: Query
    mutation: Mutation
    subscription: Subscription


def at_most(first: int) -> int:
    if not 0 <= first <= MOST:
        raise graphql.GraphQLError(f"first is 0 to {MOST}")
    return first
