"""The common schema, as Puff's documents write it: a Python resolver per layer hands SQL to Rust."""

# mypy: disable-error-code="return-value"
# A resolver returns `...` where its annotation names the field's type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Comment:
    id: int
    body: str


@dataclass
class Post:
    id: int
    author_id: int
    title: str
    body: str
    views: int
    published: bool

    @classmethod
    def comments(cls, context: Any, /) -> tuple[list[Comment], str, list[Any], list[str], list[str]]:
        ids = [post_id for (post_id,) in context.parent_values(["id"])]
        sql = "SELECT id, post_id, body FROM comments WHERE post_id = ANY($1) ORDER BY id"
        return ..., sql, [ids], ["id"], ["post_id"]


@dataclass
class Author:
    id: int
    name: str

    @classmethod
    def posts(cls, context: Any, /) -> tuple[list[Post], str, list[Any], list[str], list[str]]:
        ids = [author_id for (author_id,) in context.parent_values(["id"])]
        sql = "SELECT id, author_id, title FROM posts WHERE author_id = ANY($1) ORDER BY id"
        return ..., sql, [ids], ["id"], ["author_id"]


@dataclass
class Query:
    @classmethod
    def hello(cls, context: Any, /) -> str:
        return "world"

    @classmethod
    def authors(cls, context: Any, /, limit: int) -> tuple[list[Author], str, list[Any]]:
        return ..., "SELECT id, name FROM authors ORDER BY id LIMIT $1", [limit]

    @classmethod
    def posts(cls, context: Any, /, limit: int) -> tuple[list[Post], str, list[Any]]:
        sql = "SELECT id, author_id, title, body, views, published FROM posts ORDER BY id LIMIT $1"
        return ..., sql, [limit]


@dataclass
class Schema:
    query: Query
