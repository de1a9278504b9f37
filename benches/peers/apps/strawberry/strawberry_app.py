"""Strawberry over ASGI: asyncpg, DataLoader per request, parse and validation caches, orjson."""

import os
from collections import defaultdict

import asyncpg
import orjson
import strawberry
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.types import Info

pool = None


async def get_pool():
    global pool
    if pool is None:
        n = int(os.environ.get("BENCH_POOL", "16"))
        pool = await asyncpg.create_pool(os.environ["BENCH_PG_URL"], min_size=1, max_size=n)
    return pool


@strawberry.type
class Comment:
    id: int
    body: str


@strawberry.type
class Post:
    id: int
    title: str
    author_id: int = 0
    body: str = ""
    views: int = 0
    published: bool = False

    @strawberry.field
    async def comments(self, info: Info) -> list[Comment]:
        return await info.context["comments"].load(self.id)


@strawberry.type
class Author:
    id: int
    name: str

    @strawberry.field
    async def posts(self, info: Info) -> list[Post]:
        return await info.context["posts"].load(self.id)


async def load_posts(keys):
    rows = await (await get_pool()).fetch(
        "SELECT id, author_id, title FROM posts WHERE author_id = ANY($1::int[]) ORDER BY id", keys
    )
    by = defaultdict(list)
    for r in rows:
        by[r[1]].append(Post(id=r[0], title=r[2]))
    return [by[k] for k in keys]


async def load_comments(keys):
    rows = await (await get_pool()).fetch(
        "SELECT id, post_id, body FROM comments WHERE post_id = ANY($1::int[]) ORDER BY id", keys
    )
    by = defaultdict(list)
    for r in rows:
        by[r[1]].append(Comment(id=r[0], body=r[2]))
    return [by[k] for k in keys]


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "world"

    @strawberry.field
    async def authors(self, limit: int) -> list[Author]:
        rows = await (await get_pool()).fetch("SELECT id, name FROM authors ORDER BY id LIMIT $1", limit)
        return [Author(id=r[0], name=r[1]) for r in rows]

    @strawberry.field
    async def posts(self, limit: int) -> list[Post]:
        rows = await (await get_pool()).fetch(
            "SELECT id, author_id, title, body, views, published FROM posts ORDER BY id LIMIT $1", limit
        )
        return [
            Post(id=r[0], author_id=r[1], title=r[2], body=r[3], views=r[4], published=r[5]) for r in rows
        ]


schema = strawberry.Schema(Query, extensions=[ParserCache(maxsize=100), ValidationCache(maxsize=100)])


class App(GraphQL):
    async def get_context(self, request, response):
        return {"posts": DataLoader(load_posts), "comments": DataLoader(load_comments)}

    def encode_json(self, data):
        return orjson.dumps(data)


app = App(schema, graphql_ide=None)
