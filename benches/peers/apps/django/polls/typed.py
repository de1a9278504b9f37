"""The polls by types of the models."""

# mypy: disable-error-code="return-value"

from __future__ import annotations

from dataclasses import dataclass

import django

django.setup()

from polls import models  # noqa: E402
from puff.contrib.django import graphql  # noqa: E402


@graphql.type(models.Choice, fields=["id", "choice_text", "votes"])
class Choice:
    id: int


@graphql.type(models.Question, fields=["id", "question_text"])
class Question:
    id: int
    choices: list[Choice] = graphql.relation(order="id")


@dataclass
class Query:
    questions = graphql.objects("list[Question]", order="id", limit=20)


@dataclass
class Schema:
    query: Query
