"""The polls by statements written by hand; the lower layer never enters Python."""

# mypy: disable-error-code="return-value"
# A resolver returns `...` where its annotation names the field's type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from puff import graphql


@dataclass
class Choice:
    id: int
    choice_text: str
    votes: int


@dataclass
class Question:
    id: int
    question_text: str

    choices = graphql.sql(
        list[Choice],
        "SELECT id, question_id, choice_text, votes FROM polls_choice"
        " WHERE question_id = ANY($1) ORDER BY id",
        parents="id",
        children="question_id",
    )


@dataclass
class Query:
    @classmethod
    def questions(cls, context: Any, /, limit: int) -> tuple[list[Question], str, list[Any]]:
        return ..., "SELECT id, question_text FROM polls_question ORDER BY id LIMIT $1", [limit]


@dataclass
class Schema:
    query: Query
