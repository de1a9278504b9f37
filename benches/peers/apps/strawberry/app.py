"""Strawberry over ASGI: asyncpg, a DataLoader per request, parse and validation caches, orjson."""

import os
from collections import defaultdict

import asyncpg
import orjson
import strawberry
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.types import Info

AUTHORS = "SELECT id, name FROM authors ORDER BY id LIMIT $1"
POSTS = "SELECT id, author_id, title, body, views, published FROM posts ORDER BY id LIMIT $1"
POSTS_OF = "SELECT id, author_id, title FROM posts WHERE author_id = ANY($1::int[]) ORDER BY id"
COMMENTS_OF = "SELECT id, post_id, body FROM comments WHERE post_id = ANY($1::int[]) ORDER BY id"

pool = None


async def fetch(sql, *parameters):
    global pool
    if pool is None:  # asyncpg wants the running loop
        pool = await asyncpg.create_pool(os.environ["BENCH_PG_URL"], min_size=1, max_size=16)
    return await pool.fetch(sql, *parameters)


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
    posts = defaultdict(list)
    for post_id, author_id, title in await fetch(POSTS_OF, keys):
        posts[author_id].append(Post(id=post_id, title=title))
    return [posts[key] for key in keys]


async def load_comments(keys):
    comments = defaultdict(list)
    for comment_id, post_id, body in await fetch(COMMENTS_OF, keys):
        comments[post_id].append(Comment(id=comment_id, body=body))
    return [comments[key] for key in keys]


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "world"

    @strawberry.field
    async def authors(self, limit: int) -> list[Author]:
        return [Author(id=row[0], name=row[1]) for row in await fetch(AUTHORS, limit)]

    @strawberry.field
    async def posts(self, limit: int) -> list[Post]:
        return [
            Post(id=row[0], author_id=row[1], title=row[2], body=row[3], views=row[4], published=row[5])
            for row in await fetch(POSTS, limit)
        ]


schema = strawberry.Schema(Query, extensions=[ParserCache(maxsize=100), ValidationCache(maxsize=100)])


class App(GraphQL):
    async def get_context(self, request, response):
        return {"posts": DataLoader(load_posts), "comments": DataLoader(load_comments)}

    def encode_json(self, data):
        return orjson.dumps(data)


app = App(schema, graphql_ide=None)
