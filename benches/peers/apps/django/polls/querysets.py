"""The polls by querysets, which a resolver makes anew for each request; Rust has their rows."""

# mypy: disable-error-code="return-value"
# A resolver returns `...` where its annotation names the field's type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import django

django.setup()

from polls import models  # noqa: E402
from puff.contrib.django import query_and_params  # noqa: E402


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
        found = models.Choice.objects.filter(question_id__in=ids)
        return ..., *query_and_params(found), ["id"], ["question_id"]


@dataclass
class Query:
    @classmethod
    def questions(cls, context: Any, /, limit: int) -> tuple[list[Question], str, list[Any]]:
        return ..., *query_and_params(models.Question.objects.all()[:limit])


@dataclass
class Schema:
    query: Query
