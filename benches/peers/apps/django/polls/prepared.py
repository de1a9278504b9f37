"""The polls by querysets that are compiled once."""

# mypy: disable-error-code="return-value"
# A resolver returns `...` where its annotation names the field's type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import django

django.setup()

from polls import models  # noqa: E402
from puff.contrib.django import Parameter, prepared  # noqa: E402


@prepared
def choices_of():
    return models.Choice.objects.filter(question_id__in=Parameter("ids"))


@prepared
def all_questions():
    return models.Question.objects.all()


@dataclass
class Choice:
    id: int
    choice_text: str
    votes: int


@dataclass
class Question:
    id: int
    question_text: str

    @classmethod
    def choices(cls, context: Any, /) -> tuple[list[Choice], str, list[Any], list[str], list[str]]:
        ids = [question_id for (question_id,) in context.parent_values(["id"])]
        return ..., *choices_of(ids=ids), ["id"], ["question_id"]


@dataclass
class Query:
    @classmethod
    def questions(cls, context: Any, /, limit: int) -> tuple[list[Question], str, list[Any]]:
        sql, params = all_questions()
        return ..., f"{sql} LIMIT $1", [*params, limit]


@dataclass
class Schema:
    query: Query
