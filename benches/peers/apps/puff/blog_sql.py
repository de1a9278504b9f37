"""The nested part again, with constant statements below the root: Rust runs them without entering Python."""

# mypy: disable-error-code="return-value"
# A resolver returns `...` where its annotation names the field's type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from puff import graphql


@dataclass
class Comment:
    id: int
    body: str


@dataclass
class Post:
    id: int
    title: str

    comments = graphql.sql(
        list[Comment],
        "SELECT id, post_id, body FROM comments WHERE post_id = ANY($1) ORDER BY id",
        parents="id",
        children="post_id",
    )


@dataclass
class Author:
    id: int
    name: str

    posts = graphql.sql(
        list[Post],
        "SELECT id, author_id, title FROM posts WHERE author_id = ANY($1) ORDER BY id",
        parents="id",
        children="author_id",
    )


@dataclass
class Query:
    @classmethod
    def authors(cls, context: Any, /, limit: int) -> tuple[list[Author], str, list[Any]]:
        return ..., "SELECT id, name FROM authors ORDER BY id LIMIT $1", [limit]


@dataclass
class Schema:
    query: Query
